//! A task as a file: a uwsgi packet of modifier1 17, then the body, under uWSGI's names. It appears in the directory
//! whole, and whoever runs it holds its lock, which the kernel gives back however the process ends.

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, FcntlArg, OFlag, RenameFlags, fcntl, openat, renameat2};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{UnlinkatFlags, ftruncate, linkat, unlinkat};
use rsgi_protocol::uwsgi::parse_vars;
use std::fs::{File, FileTimes, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the name of a task begins with.
pub const PREFIX: &str = "uwsgi_spoolfile_on_";
/// The modifier1 of a task.
pub const MODIFIER: u8 = 17;
/// A task that is longer than this without its end is no longer being written, seconds.
const PATIENCE: i64 = 10;

static COUNTER: AtomicU64 = AtomicU64::new(0);
static HOST: OnceLock<String> = OnceLock::new();
/// Whether files without a name can get one here.
static NAMELESS: AtomicBool = AtomicBool::new(true);

/// The time, as the files of tasks have it.
pub fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

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

/// Writes a task into a directory; its path. `at`: not before, seconds since the epoch; `sync`: it survives a power
/// cut from the moment this returns.
///
/// # Errors
/// What the system refused.
pub fn write(folder: &Path, packet: &[u8], body: &[u8], at: Option<u64>, sync: bool) -> io::Result<PathBuf> {
    let size = u16::try_from(packet.len()).map_err(|_| io::Error::from_raw_os_error(libc::EMSGSIZE))?;
    let mut head = Vec::with_capacity(4 + packet.len());
    let [low, high] = size.to_le_bytes();
    head.extend([MODIFIER, low, high, 0]);
    head.extend_from_slice(packet);
    let draft = |nameless| -> io::Result<PathBuf> {
        let path = folder.join(new_name());
        let mut draft = match Draft::new(folder, &path, nameless) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                std::fs::DirBuilder::new().recursive(true).mode(0o770).create(folder)?;
                Draft::new(folder, &path, nameless)?
            }
            made => made?,
        };
        draft.file.write_all(&head)?;
        if !body.is_empty() {
            draft.file.write_all(body)?;
        }
        if let Some(at) = at {
            let times = FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(at));
            draft.file.set_times(times)?;
        }
        if sync {
            draft.file.sync_all()?;
        }
        draft.publish(&path)?;
        Ok(path)
    };
    let path = match draft(NAMELESS.load(Ordering::Relaxed)) {
        // an old kernel, no /proc in this jail: a file without a name cannot get one
        Err(e) if e.kind() == io::ErrorKind::NotFound && NAMELESS.swap(false, Ordering::Relaxed) => draft(false)?,
        written => written?,
    };
    if sync {
        File::open(folder)?.sync_all()?;
    }
    Ok(path)
}

/// The path of a task as it would be if it were written.
pub fn unwritten(folder: &Path) -> PathBuf {
    folder.join(new_name())
}

/// A task that is being written: only a whole one gets a name that spoolers look for. Of a killed producer nothing is
/// left, or, where the file system knows no files without a name, a hidden file.
struct Draft {
    file: File,
    /// Its hidden name; `None`: it has none.
    hidden: Option<PathBuf>,
}

impl Draft {
    fn new(folder: &Path, path: &Path, nameless: bool) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).mode(0o600);
        if nameless {
            match options.clone().custom_flags(libc::O_TMPFILE).open(folder) {
                Ok(file) => return Ok(Self { file, hidden: None }),
                Err(e) if matches!(e.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)) => {}
                Err(e) => return Err(e),
            }
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let hidden = path.with_file_name(format!(".{name}"));
        let file = options.create_new(true).open(&hidden)?;
        Ok(Self {
            file,
            hidden: Some(hidden),
        })
    }

    /// It gets its name, unless somebody has it: two containers may have one host name and the same pids.
    fn publish(mut self, path: &Path) -> io::Result<()> {
        let published = match &self.hidden {
            None => match linkat(&self.file, "", AT_FDCWD, path, AtFlags::AT_EMPTY_PATH) {
                // before Linux 6.10 only root may
                Err(Errno::ENOENT) => {
                    let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                    linkat(AT_FDCWD, own.as_str(), AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW)
                }
                done => done,
            },
            Some(hidden) => match renameat2(AT_FDCWD, hidden, AT_FDCWD, path, RenameFlags::RENAME_NOREPLACE) {
                // not every file system can
                Err(Errno::EINVAL | Errno::ENOSYS) => return std::fs::rename(hidden, path),
                done => done,
            },
        };
        published?;
        self.hidden = None;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(hidden) = &self.hidden {
            let _ = std::fs::remove_file(hidden);
        }
    }
}

/// A name that no other task has: not of this process, nor of another, nor of one of another machine.
fn new_name() -> String {
    let now = since_epoch();
    let host = HOST.get_or_init(|| {
        nix::unistd::gethostname()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    });
    format!(
        "{PREFIX}{host}_{}_{}_{:09}_{}_{:06}",
        std::process::id(),
        COUNTER.fetch_add(1, Ordering::Relaxed),
        now.subsec_nanos(),
        now.as_secs(),
        now.subsec_micros()
    )
}

/// A task that this process has to itself.
#[derive(Debug)]
pub struct Task {
    file: File,
    /// The packet's body.
    pub packet: Vec<u8>,
    /// What follows it.
    pub body: Vec<u8>,
}

/// Why a file is not run now.
#[derive(Debug, PartialEq, Eq)]
pub enum NotNow {
    /// Somebody else has it.
    Busy,
    /// Somebody else has finished it.
    Gone,
    /// It wants to wait until this second.
    Later(u64),
    /// It is no whole task; perhaps somebody still writes it.
    Unfinished,
    /// It is none and will be none.
    Broken(&'static str),
}

impl Task {
    /// Takes a file of a directory, if nobody has it and its time has come.
    ///
    /// # Errors
    /// Why not.
    pub fn take(folder: BorrowedFd, name: &str, now: u64) -> Result<Self, NotNow> {
        let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let file = openat(folder, name, flags, Mode::empty()).map_err(|e| match e {
            Errno::ENOENT => NotNow::Gone,
            _ => NotNow::Broken("it cannot be opened for reading and writing"),
        })?;
        let mut file = File::from(file);
        // a lock of this open file: unlike the other kind it does not end when the task opens and closes the file
        // itself, and it respects that of other servers of this directory
        lock(&file, libc::F_WRLCK).map_err(|e| match e {
            Errno::EAGAIN | Errno::EACCES => NotNow::Busy,
            _ => NotNow::Broken("it cannot be locked on this file system"),
        })?;
        let about = fstat(&file).map_err(|_| NotNow::Unfinished)?;
        // whoever had the lock until now may have finished it
        if about.st_nlink == 0 {
            return Err(NotNow::Gone);
        }
        if about.st_mode & libc::S_IFMT != libc::S_IFREG {
            return Err(NotNow::Broken("it is no regular file"));
        }
        if let Some(at) = u64::try_from(about.st_mtime).ok().filter(|at| *at > now) {
            return Err(NotNow::Later(at));
        }
        let still_written = about.st_mtime.saturating_add(PATIENCE) > i64::try_from(now).unwrap_or(i64::MAX);
        match read(&mut file, usize::try_from(about.st_size).unwrap_or(0)) {
            Ok((packet, body)) => Ok(Self { file, packet, body }),
            Err(_) if still_written => Err(NotNow::Unfinished),
            Err(_) => Err(NotNow::Broken("it is no whole task")),
        }
    }

    /// It is done: it will not be run again.
    ///
    /// # Errors
    /// Neither the directory nor the file lets that be written down.
    pub fn done(self, folder: BorrowedFd, name: &str) -> io::Result<()> {
        // the lock is given back after that: who gets it then sees a file without a name
        match unlinkat(folder, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            // where the directory is not ours, the file is: an empty one is no task
            Err(e) => ftruncate(&self.file, 0).map_err(|_| e.into()),
        }
    }

    /// It is not done: whoever wants may take it, even while a process that the task has started still has the file.
    pub fn give_back(self) {
        let _ = lock(&self.file, libc::F_UNLCK);
    }
}

fn lock(file: &File, kind: i32) -> nix::Result<()> {
    // SAFETY: all fields are integers.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as i16;
    fcntl(file, FcntlArg::F_OFD_SETLK(&lock)).map(drop)
}

/// Packet and body of a whole task; `size` is what to expect.
fn read(file: &mut File, size: usize) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut packet = vec![0; size];
    file.read_exact(&mut packet)?;
    let length = match packet.first_chunk::<4>() {
        Some([MODIFIER, low, high, _]) => usize::from(u16::from_le_bytes([*low, *high])),
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    if packet.len() < 4 + length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let body = packet.split_off(4 + length);
    packet.drain(..4);
    Ok((packet, body))
}

/// Packet and body of a task's file, whoever has it.
///
/// # Errors
/// It cannot be read, or is no task.
pub fn look(path: &Path) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    read(&mut file, usize::try_from(size).unwrap_or(0))
}

/// Removes what producers that were killed have left: hidden files that nobody has touched for an hour.
pub fn sweep(folder: BorrowedFd, name: &str, now: u64) {
    let about = nix::sys::stat::fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW);
    if about.is_ok_and(|a| u64::try_from(a.st_ctime).is_ok_and(|c| c.saturating_add(3600) < now)) {
        let _ = unlinkat(folder, name, UnlinkatFlags::NoRemoveDir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_task_is_taken_once_and_gone_when_done() {
        let folder = std::env::temp_dir().join(format!("rsgi-spool-{}", std::process::id()));
        let path = write(&folder, b"\x01\0k\x01\0v", b"body", Some(5), true).unwrap();
        assert_eq!(look(&path).unwrap().1, b"body");
        let name = path.file_name().unwrap().to_str().unwrap();
        let handle = File::open(&folder).unwrap();
        let dir = handle.as_fd();
        let take = |name: &str, now: u64| Task::take(dir, name, now);
        assert_eq!(take(name, 4).unwrap_err(), NotNow::Later(5));
        let task = take(name, 5).unwrap();
        assert_eq!(
            (&task.packet[..], &task.body[..]),
            (&b"\x01\0k\x01\0v"[..], &b"body"[..])
        );
        assert_eq!(take(name, 5).unwrap_err(), NotNow::Busy);
        // a process that the task has started may keep the file
        let copy = task.file.try_clone().unwrap();
        task.give_back();
        let task = take(name, 5).unwrap();
        drop(copy);
        let late = File::options().read(true).write(true).open(&path).unwrap();
        task.done(dir, name).unwrap();
        assert_eq!(take(name, 5).unwrap_err(), NotNow::Gone);
        drop(late);
        std::fs::write(folder.join("half"), [MODIFIER, 9, 0, 0, 1]).unwrap();
        assert_eq!(
            take("half", u64::MAX).unwrap_err(),
            NotNow::Broken("it is no whole task")
        );
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(take("half", now + 1).unwrap_err(), NotNow::Unfinished);
        std::os::unix::fs::symlink("half", folder.join("link")).unwrap();
        assert!(matches!(take("link", now).unwrap_err(), NotNow::Broken(_)));
        sweep(dir, "half", now + 3000);
        assert!(folder.join("half").exists());
        sweep(dir, "half", now + 3700);
        assert!(!folder.join("half").exists());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_draft_gets_its_name_when_it_is_whole_and_takes_nobodys() {
        let folder = tempfile::tempdir().unwrap();
        let names = || std::fs::read_dir(folder.path()).unwrap().count();
        for nameless in [true, false] {
            let path = folder.path().join(format!("task-{nameless}"));
            let draft = |path: &Path| Draft::new(folder.path(), path, nameless).unwrap();
            let before = names();
            drop(draft(&path));
            assert_eq!(names(), before);
            draft(&path).publish(&path).unwrap();
            assert_eq!(names(), before + 1);
            let taken = draft(&path).publish(&path).unwrap_err();
            assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(names(), before + 1);
        }
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
