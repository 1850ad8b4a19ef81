//! A task as a file: a uwsgi packet of modifier1 17, then the body, under uWSGI's names. It appears in the directory
//! whole, and whoever runs it holds its lock, which the kernel gives back however the process ends.

use nix::fcntl::{FcntlArg, fcntl};
use rsgi_protocol::uwsgi::parse_vars;
use std::fs::{File, FileTimes, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the name of a task begins with.
pub const PREFIX: &str = "uwsgi_spoolfile_on_";
/// The modifier1 of a task.
pub const MODIFIER: u8 = 17;

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// What a task says about itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wishes<'a> {
    /// The directory of its spooler; `None`: the first one.
    pub spooler: Option<&'a [u8]>,
    /// The directory below, which says how urgent it is.
    pub priority: Option<&'a [u8]>,
    /// Not before, seconds since the epoch.
    pub at: Option<u64>,
}

impl<'a> Wishes<'a> {
    /// Reads them from a packet's body; `None`: malformed.
    pub fn of(packet: &'a [u8]) -> Option<Self> {
        let mut wishes = Self::default();
        for pair in parse_vars(packet) {
            let (key, value) = pair.ok()?;
            match key {
                b"spooler" => wishes.spooler = Some(value),
                b"priority" => wishes.priority = Some(value),
                b"at" => wishes.at = std::str::from_utf8(value).ok()?.trim().parse().ok(),
                _ => {}
            }
        }
        Some(wishes)
    }
}

/// Writes a task into a directory; its path. `at`: not before, seconds since the epoch.
///
/// # Errors
/// What the system refused.
pub fn write(folder: &Path, packet: &[u8], body: &[u8], at: Option<u64>) -> io::Result<PathBuf> {
    let size = u16::try_from(packet.len()).map_err(|_| io::Error::from_raw_os_error(libc::EMSGSIZE))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let host = nix::unistd::gethostname().unwrap_or_default();
    let name = format!(
        "{PREFIX}{}_{}_{}_{}_{}_{}",
        host.to_string_lossy(),
        std::process::id(),
        COUNTER.fetch_add(1, Ordering::Relaxed),
        now.subsec_nanos() % 1_000_000_007,
        now.as_secs(),
        now.subsec_micros()
    );
    std::fs::DirBuilder::new().recursive(true).mode(0o770).create(folder)?;
    let (hidden, path) = (folder.join(format!(".{name}")), folder.join(&name));
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&hidden)?;
    let [low, high] = size.to_le_bytes();
    let written = file
        .write_all(&[MODIFIER, low, high, 0])
        .and_then(|()| file.write_all(packet))
        .and_then(|()| file.write_all(body))
        .and_then(|()| match at {
            Some(at) => file.set_times(FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(at))),
            None => Ok(()),
        })
        // only a whole task gets a name that spoolers look for
        .and_then(|()| std::fs::rename(&hidden, &path));
    match written {
        Ok(()) => Ok(path),
        Err(e) => {
            let _ = std::fs::remove_file(&hidden);
            Err(e)
        }
    }
}

/// A task that this process has to itself.
#[derive(Debug)]
pub struct Task {
    file: File,
    path: PathBuf,
    /// The packet's body.
    pub packet: Vec<u8>,
    /// What follows it.
    pub body: Vec<u8>,
}

/// Why a file is not run now.
#[derive(Debug, PartialEq, Eq)]
pub enum NotNow {
    /// Somebody else has it, or has finished it, or still writes it.
    Taken,
    /// It wants to wait until this second.
    Later(u64),
}

impl Task {
    /// Takes a file, if nobody has it and its time has come.
    ///
    /// # Errors
    /// Why not.
    pub fn take(path: &Path, now: u64) -> Result<Self, NotNow> {
        let mut options = OpenOptions::new();
        let open = options
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let mut file = open.open(path).map_err(|_| NotNow::Taken)?;
        let about = file.metadata().map_err(|_| NotNow::Taken)?;
        if !about.is_file() {
            return Err(NotNow::Taken);
        }
        if let Some(at) = u64::try_from(about.mtime()).ok().filter(|at| *at > now) {
            return Err(NotNow::Later(at));
        }
        // SAFETY: all fields are integers.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        lock.l_type = libc::F_WRLCK as i16;
        // a lock of this open file: unlike the other kind it does not end when the task opens and closes the file
        // itself, and it respects that of other servers of this directory
        fcntl(&file, FcntlArg::F_OFD_SETLK(&lock)).map_err(|_| NotNow::Taken)?;
        // whoever had the lock until now may have finished it
        if file.metadata().is_ok_and(|about| about.nlink() == 0) {
            return Err(NotNow::Taken);
        }
        let (packet, body) = read(&mut file).map_err(|_| NotNow::Taken)?;
        Ok(Self {
            file,
            path: path.to_owned(),
            packet,
            body,
        })
    }

    /// It is done: it will not be run again.
    ///
    /// # Errors
    /// The directory does not let go of it.
    pub fn done(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)?;
        drop(self.file);
        Ok(())
    }
}

/// Packet and body of a whole task.
fn read(file: &mut File) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut head = [0; 4];
    file.read_exact(&mut head)?;
    if head[0] != MODIFIER {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut packet = vec![0; usize::from(u16::from_le_bytes([head[1], head[2]]))];
    file.read_exact(&mut packet)?;
    let mut body = Vec::new();
    file.read_to_end(&mut body)?;
    Ok((packet, body))
}

/// Packet and body of a task's file, whoever has it.
///
/// # Errors
/// It cannot be read, or is no task.
pub fn look(path: &Path) -> io::Result<(Vec<u8>, Vec<u8>)> {
    read(&mut File::open(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_task_is_taken_once_and_gone_when_done() {
        let folder = std::env::temp_dir().join(format!("rsgi-spool-{}", std::process::id()));
        let path = write(&folder, b"\x01\0k\x01\0v", b"body", Some(5)).unwrap();
        assert_eq!(Task::take(&path, 4).unwrap_err(), NotNow::Later(5));
        let task = Task::take(&path, 5).unwrap();
        assert_eq!(
            (&task.packet[..], &task.body[..]),
            (&b"\x01\0k\x01\0v"[..], &b"body"[..])
        );
        assert_eq!(Task::take(&path, 5).unwrap_err(), NotNow::Taken);
        drop(task);
        Task::take(&path, 5).unwrap().done().unwrap();
        assert_eq!(Task::take(&path, 5).unwrap_err(), NotNow::Taken);
        std::fs::write(folder.join("half"), [MODIFIER, 9, 0, 0, 1]).unwrap();
        assert_eq!(Task::take(&folder.join("half"), u64::MAX).unwrap_err(), NotNow::Taken);
        std::fs::remove_dir_all(folder).unwrap();
    }

    proptest! {
        #[test]
        fn any_packet_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some(wishes) = Wishes::of(&bytes) {
                prop_assert!(wishes.priority.is_none_or(|p| p.len() < bytes.len()));
            }
        }
    }
}
