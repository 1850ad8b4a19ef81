//! The spooler: tasks as files in directories, and the processes that run them. What all processes share of it is
//! here; `run` is the life of one, the master and `exports` are the other callers.

pub mod file;
pub mod queue;
pub mod run;

use crate::settings::Settings;
use file::Wishes;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicU64, Ordering};

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
    frequency: u64,
    ordered: bool,
    quiet: bool,
}

static SPOOLERS: OnceLock<Spoolers> = OnceLock::new();

/// Makes the directories and the slots, before the first fork.
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
        let made = std::fs::create_dir_all(folder).and_then(|()| std::fs::canonicalize(folder));
        folders.push(made.map_err(|e| {
            let place = crate::startup::preflight::place_of_value(settings, folder);
            format!("[spooler] cannot use the directory {folder}: {e} ({place}): make it writable for this user")
        })?);
    }
    let processes_each = b.spooler_processes.max(1) as usize;
    let slots = crate::shared::rows(b.spoolers.len() * processes_each + 1)
        .map_err(|e| format!("[spooler] cannot map memory: {}", e.desc()))?;
    let _ = SPOOLERS.set(Spoolers {
        folders,
        processes_each,
        slots,
        frequency: if b.spooler_frequency > 0 {
            b.spooler_frequency
        } else {
            FREQUENCY
        },
        ordered: b.spooler_ordered,
        quiet: b.spooler_quiet,
    });
    Ok(())
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
        &self.folders[number / self.processes_each]
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
        folders.flat_map(|folder| queue::scan(folder, self.ordered)).collect()
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
        let folder = match wishes.spooler {
            None => self.folders.first(),
            Some(wanted) => {
                let wanted = Path::new(std::ffi::OsStr::from_bytes(wanted));
                let real = std::fs::canonicalize(wanted).unwrap_or_else(|_| wanted.to_owned());
                self.folders.iter().find(|f| **f == real)
            }
        };
        let mut folder = folder.ok_or(SpoolError::NoSpooler)?.clone();
        if let Some(urgency) = wishes
            .priority
            .filter(|p| self.ordered && p.iter().all(u8::is_ascii_digit))
        {
            folder.push(std::ffi::OsStr::from_bytes(urgency));
        }
        let path = file::write(&folder, packet, body, wishes.at)?;
        if !self.quiet {
            let size = packet.len() + body.len() + 4;
            crate::say!("[spooler] written {size} bytes to file {}", path.display());
        }
        Ok(path)
    }
}
