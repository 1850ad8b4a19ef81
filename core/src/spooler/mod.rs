//! The spooler: tasks as files in directories, and the processes that run them. What all processes share of it is
//! here; `run` is the life of one, the master and `exports` are the other callers.

pub mod file;
pub mod queue;
pub mod run;
pub mod watch;

use crate::process::{Role, role};
use crate::settings::Settings;
use crate::signal::receiver::Receiver;
use file::Wishes;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use watch::Watch;

/// Tasks to be tried again that are remembered.
const RETRIES: usize = 4096;

/// Seconds between two looks into a directory, unless the configuration says otherwise.
const FREQUENCY: u64 = 30;

/// What the master and others know of a spooler's process.
#[repr(C)]
#[derive(Debug, Default)]
pub struct SpoolerSlot {
    /// Its pid; 0: it does not run now.
    pub pid: AtomicI32,
    /// 1: it runs a task.
    pub running: AtomicI32,
    /// Tasks so far.
    pub tasks: AtomicU64,
    /// How often it was started.
    pub spawned: AtomicU64,
    /// Seconds since the epoch when its task is over time; 0: never.
    pub deadline: AtomicI64,
    /// `set_spooler_frequency`, in the first slot; 0: that of the configuration.
    pub frequency: AtomicU32,
}

/// All spoolers of the server.
#[derive(Debug)]
pub struct Spoolers {
    /// The directories whose tasks are run here, then those that another instance runs.
    folders: Vec<PathBuf>,
    processes_each: usize,
    slots: &'static [SpoolerSlot],
    /// Of each directory that is run here.
    watches: Vec<Watch>,
    /// Of each directory, seconds since the epoch when the next task that waits is due.
    due: &'static [AtomicU64],
    /// When a task that was set back is due: the upper half says which task, the lower half the second.
    retries: &'static [AtomicU64],
    frequency: u64,
    ordered: bool,
    quiet: bool,
    sync: bool,
    cheap: bool,
}

static SPOOLERS: OnceLock<Spoolers> = OnceLock::new();

/// Makes the directories and the slots, before the first fork. For a trial nothing is made outside of this process.
///
/// # Errors
/// Which directory cannot be, and why.
pub fn prepare(settings: &Settings) -> Result<(), String> {
    let b = &settings.background;
    if b.spoolers.is_empty() && b.external_spoolers.is_empty() {
        return Ok(());
    }
    let mut folders = Vec::new();
    for folder in b.spoolers.iter().chain(&b.external_spoolers) {
        let made = match role() {
            Role::Trial => std::fs::canonicalize(folder).or_else(|_| std::path::absolute(folder)),
            _ => std::fs::create_dir_all(folder).and_then(|()| std::fs::canonicalize(folder)),
        };
        folders.push(made.map_err(|e| {
            let place = crate::startup::preflight::place_of_value(settings, folder);
            format!("[spooler] cannot use the directory {folder}: {e} ({place}): make it writable for this user")
        })?);
    }
    let processes_each = b.spooler_processes.max(1) as usize;
    let no_memory = |e: nix::Error| format!("[spooler] cannot map memory: {}", e.desc());
    let slots = crate::shared::rows(b.spoolers.len() * processes_each + 1).map_err(no_memory)?;
    let due: &[AtomicU64] = crate::shared::rows(folders.len()).map_err(no_memory)?;
    due.iter().for_each(|due| due.store(u64::MAX, Ordering::Relaxed));
    let watches = b.spoolers.iter().map(|_| Watch::new(b.spooler_ordered));
    let watches = watches
        .collect::<nix::Result<_>>()
        .map_err(|e| format!("[spooler] eventfd(): {}", e.desc()))?;
    let _ = SPOOLERS.set(Spoolers {
        folders,
        watches,
        due,
        retries: crate::shared::rows(RETRIES).map_err(no_memory)?,
        processes_each,
        slots,
        frequency: if b.spooler_frequency > 0 {
            b.spooler_frequency
        } else {
            FREQUENCY
        },
        ordered: b.spooler_ordered,
        quiet: b.spooler_quiet,
        sync: b.spooler_fsync,
        cheap: b.spooler_cheap,
    });
    Ok(())
}

/// The number of this spooler's process and one more; 0: this process is none.
static OWN: AtomicUsize = AtomicUsize::new(0);

/// This process is a spooler; first thing after its fork.
pub fn become_spooler(number: usize) {
    OWN.store(number + 1, Ordering::Relaxed);
}

/// The slot of this spooler; `None`: this process is none.
pub fn own_slot() -> Option<&'static SpoolerSlot> {
    let number = OWN.load(Ordering::Relaxed).checked_sub(1)?;
    Some(spoolers()?.slot(number))
}

/// The task is over time after so many seconds; 0: never.
pub fn set_deadline(slot: &SpoolerSlot, seconds: i64) {
    let deadline = if seconds > 0 {
        crate::exports::now() + seconds
    } else {
        0
    };
    slot.deadline.store(deadline, Ordering::Release);
}

/// The spoolers, if there are any.
pub fn spoolers() -> Option<&'static Spoolers> {
    SPOOLERS.get()
}

/// How a task could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// There is no directory, or not that one.
    #[error("no such spooler")]
    NoSpooler,
    /// The arguments are no packet, or over 64 KiB.
    #[error("the arguments are no packet of at most 64 KiB")]
    Malformed,
    /// The system says no.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

impl Spoolers {
    /// The directories.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// How many processes there are.
    pub fn process_count(&self) -> usize {
        self.slots.len() - 1
    }

    /// The slot of a process, from 0.
    pub fn slot(&self, number: usize) -> &SpoolerSlot {
        &self.slots[number.min(self.slots.len() - 1)]
    }

    /// The directory of a process.
    pub fn folder_of(&self, number: usize) -> &Path {
        &self.folders[self.home_of(number)]
    }

    /// Which directory is that of a process.
    fn home_of(&self, number: usize) -> usize {
        number / self.processes_each
    }

    /// Whether processes are there only while there is something to do.
    pub fn is_cheap(&self) -> bool {
        self.cheap
    }

    /// Whether there is something to do for a process: a task that is due, or a uWSGI signal.
    pub fn has_work(&self, number: usize) -> bool {
        let (home, now) = (self.home_of(number), file::since_epoch().as_secs());
        let folder = self.folder_of(number);
        let is_due = |path: &PathBuf| {
            let name = path.strip_prefix(folder).unwrap_or(path).to_string_lossy();
            let waits = std::fs::metadata(path).is_ok_and(|about| about.mtime() <= now as i64);
            waits && self.set_back_until(home, &name) <= now
        };
        let signals = crate::signal::memory().and_then(|m| m.queue(Receiver::Spooler));
        signals.is_some_and(|queue| !queue.is_empty()) || queue::paths(folder, self.ordered).iter().any(is_due)
    }

    /// A task of a directory is due at a second since the epoch: whether none was known to be due earlier.
    fn note_due(&self, home: usize, at: u64) -> bool {
        self.due[home].fetch_min(at, Ordering::AcqRel) > at
    }

    /// The second when the next task of a directory is due.
    fn due(&self, home: usize) -> u64 {
        self.due[home].load(Ordering::Acquire)
    }

    /// Somebody looks now at what is due now: it is no longer to be waited for.
    fn forget_due(&self, home: usize, now: u64) {
        let due = self.due(home);
        if due <= now {
            let _ = self.due[home].compare_exchange(due, u64::MAX, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// Where it is remembered when a task is tried again, and what marks it as that of this task. Another one may take the
    /// place: then this one is tried earlier.
    fn retry_place(&self, home: usize, name: &str) -> (&AtomicU64, u64) {
        let mut hasher = DefaultHasher::new();
        (home, name).hash(&mut hasher);
        let hash = hasher.finish();
        (&self.retries[hash as usize % RETRIES], hash >> 32 << 32)
    }

    /// A task was set back until a second since the epoch.
    fn set_back(&self, home: usize, name: &str, until: u64) {
        let (place, mark) = self.retry_place(home, name);
        place.store(mark | (until & 0xffff_ffff), Ordering::Release);
    }

    /// Until when a task was set back; 0: it was not.
    fn set_back_until(&self, home: usize, name: &str) -> u64 {
        let (place, mark) = self.retry_place(home, name);
        match place.load(Ordering::Acquire) {
            place if place & !0xffff_ffff == mark => place & 0xffff_ffff,
            _ => 0,
        }
    }

    /// Seconds between two looks.
    pub fn frequency(&self) -> u64 {
        match self.slots[0].frequency.load(Ordering::Relaxed) {
            0 => self.frequency,
            n => n.into(),
        }
    }

    /// Another frequency, for all processes.
    pub fn set_frequency(&self, seconds: u32) {
        self.slots[0].frequency.store(seconds, Ordering::Relaxed);
    }

    /// Every task that waits.
    pub fn jobs(&self) -> Vec<PathBuf> {
        let folders = self.folders.iter();
        folders.flat_map(|folder| queue::paths(folder, self.ordered)).collect()
    }

    /// Writes a task, where it wants to be.
    ///
    /// # Errors
    /// Why it was not written.
    pub fn spool(&self, packet: &[u8], body: &[u8]) -> Result<PathBuf, SpoolError> {
        use std::os::unix::ffi::OsStrExt;
        let wishes = Wishes::of(packet)
            .filter(|_| packet.len() <= 0xffff)
            .ok_or(SpoolError::Malformed)?;
        let home = match wishes.spooler {
            None => 0,
            Some(wanted) => {
                let wanted = Path::new(std::ffi::OsStr::from_bytes(wanted));
                let real = std::fs::canonicalize(wanted).unwrap_or_else(|_| wanted.to_owned());
                let found = self.folders.iter().position(|f| *f == real);
                found.ok_or(SpoolError::NoSpooler)?
            }
        };
        let mut folder = self.folders.get(home).ok_or(SpoolError::NoSpooler)?.clone();
        if let Some(urgency) = wishes
            .priority
            .filter(|p| self.ordered && p.iter().all(u8::is_ascii_digit))
        {
            folder.push(std::ffi::OsStr::from_bytes(urgency));
        }
        if role() == Role::Trial {
            // what an application spools when it is loaded, the image that stays spools itself
            return Ok(file::unwritten(&folder));
        }
        let path = file::write(&folder, packet, body, wishes.at, self.sync)?;
        if let Some(watch) = self.watches.get(home).filter(|w| !w.hears()) {
            watch.ring(self.processes_each);
        }
        if !self.quiet {
            let size = packet.len() + body.len() + 4;
            crate::say!("[spooler] written {size} bytes to file {}", path.display());
        }
        Ok(path)
    }
}
