//! What must hold before the start goes on: paths and sockets that are waited for, files that are locked, limits and
//! the nice level of the processes.

use super::StartupError;
use crate::net::address::Address;
use crate::process::reload;
use crate::say;
use crate::settings::{Settings, WaitFor, WaitKind};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::resource::{Resource, setrlimit};
use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Locks of this server, by their file; held to its end, over reloads too.
static LOCKS: Mutex<Vec<(String, OwnedFd)>> = Mutex::new(Vec::new());

/// Waits for what the configuration names. A trial does not wait: what is missing makes it fail.
///
/// # Errors
/// It is not there in time.
pub fn wait(settings: &Settings, is_trial: bool) -> Result<(), StartupError> {
    let limit = match settings.paths.wait_for_timeout {
        _ if is_trial => Some(Duration::ZERO),
        0 => None,
        seconds => Some(Duration::from_secs(seconds)),
    };
    let _ = HOOK_PATIENCE.set((limit, settings.sockets.abstract_socket));
    for wanted in &settings.paths.wait_for {
        wait_for(wanted, limit, settings.sockets.abstract_socket)
            .map_err(|why| StartupError::new(format!("{why} (wait-for options)")))?;
    }
    Ok(())
}

/// How long a hook waits, and whether plain names are abstract.
static HOOK_PATIENCE: OnceLock<(Option<Duration>, bool)> = OnceLock::new();

/// Waits as a hook's action; as long as the options for the start say.
///
/// # Errors
/// It is not there in time.
pub fn wait_here(kind: WaitKind, name: &str) -> Result<(), String> {
    let usual = (Some(Duration::from_secs(60)), false);
    let (limit, abstract_names) = HOOK_PATIENCE.get().copied().unwrap_or(usual);
    let name = name.trim().to_owned();
    wait_for(&WaitFor { kind, name }, limit, abstract_names)
}

fn wait_for(wanted: &WaitFor, limit: Option<Duration>, abstract_names: bool) -> Result<(), String> {
    let begun = Instant::now();
    let mut said = false;
    while !is_there(wanted, abstract_names) {
        if limit.is_some_and(|limit| begun.elapsed() >= limit) {
            return Err(format!(
                "{} is not there after {} seconds",
                wanted.name,
                begun.elapsed().as_secs()
            ));
        }
        if !said {
            say!("waiting for {} ...", wanted.name);
            said = true;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    if said {
        say!("{} is there", wanted.name);
    }
    Ok(())
}

fn is_there(wanted: &WaitFor, abstract_names: bool) -> bool {
    let meta = || std::fs::metadata(&wanted.name);
    match wanted.kind {
        WaitKind::Path => meta().is_ok(),
        WaitKind::File => meta().is_ok_and(|m| m.is_file()),
        WaitKind::Directory => meta().is_ok_and(|m| m.is_dir()),
        WaitKind::Mountpoint => is_mountpoint(Path::new(&wanted.name)),
        WaitKind::Interface => Path::new("/sys/class/net").join(&wanted.name).exists(),
        WaitKind::Socket => match Address::parse(&wanted.name, abstract_names) {
            Ok(Address::Inet(address)) => {
                std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
            }
            Ok(Address::Unix(path)) => UnixStream::connect(path).is_ok(),
            Ok(Address::Abstract(name)) => {
                use std::os::linux::net::SocketAddrExt;
                std::os::unix::net::SocketAddr::from_abstract_name(name)
                    .and_then(|address| UnixStream::connect_addr(&address))
                    .is_ok()
            }
            // a name that does not resolve yet may do so later
            _ => false,
        },
    }
}

/// Whether a folder and the one above it are of different file systems, or it is the root.
fn is_mountpoint(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (own, above) = (std::fs::metadata(folder), std::fs::metadata(folder.join("..")));
    own.is_ok_and(|own| own.is_dir() && above.is_ok_and(|above| above.dev() != own.dev() || above.ino() == own.ino()))
}

fn key(file: &str) -> String {
    format!("flock {file}")
}

/// Locks the files of `--flock` and `--flock-wait`.
///
/// # Errors
/// Another process has a lock, or a file cannot be opened.
pub fn lock(settings: &Settings) -> Result<(), StartupError> {
    let now = settings
        .paths
        .flock
        .iter()
        .map(|f| (f, FlockArg::LockExclusiveNonblock));
    let patient = settings.paths.flock_wait.iter().map(|f| (f, FlockArg::LockExclusive));
    for (file, how) in now.chain(patient) {
        let fail = |why: String| {
            let place = super::preflight::place_of_value(settings, file);
            StartupError::new(format!("cannot lock {file}: {why} ({place})"))
        };
        let fd = match reload::inherited_socket(&key(file)) {
            // SAFETY: the image before left this descriptor for us; it carries the lock.
            Some(fd) => unsafe { OwnedFd::from_raw_fd(fd) },
            None => {
                let opened = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .create(true)
                    .truncate(false)
                    .open(file);
                take(opened.map_err(|e| fail(super::os_text(&e)))?, how).map_err(fail)?
            }
        };
        LOCKS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((key(file), fd));
    }
    Ok(())
}

/// The locked file as a plain descriptor.
fn take(file: File, how: FlockArg) -> Result<OwnedFd, String> {
    match Flock::lock(file, how) {
        Ok(locked) => {
            // a copy: dropping the guard would unlock what the copy holds as well, so the guard stays, and with it
            // the lock to the end of the process
            let copy = locked.try_clone().map_err(|e| e.to_string())?;
            std::mem::forget(locked);
            Ok(copy.into())
        }
        Err((_, nix::Error::EAGAIN)) => Err("another process has the lock (flock)".into()),
        Err((_, e)) => Err(e.desc().into()),
    }
}

/// What the next image takes over.
pub fn locks() -> Vec<(String, RawFd)> {
    let locks = LOCKS.lock().unwrap_or_else(PoisonError::into_inner);
    locks.iter().map(|(name, fd)| (name.clone(), fd.as_raw_fd())).collect()
}

/// `--limit-as`, `--limit-nproc`, `--prio`.
///
/// # Errors
/// The system refuses.
pub fn limits(settings: &Settings) -> Result<(), StartupError> {
    let limits = &settings.limits;
    let wanted = [
        ("limit-as", Resource::RLIMIT_AS, limits.limit_as * 1024 * 1024),
        ("limit-nproc", Resource::RLIMIT_NPROC, limits.limit_nproc),
    ];
    for (name, resource, limit) in wanted.into_iter().filter(|(_, _, limit)| *limit > 0) {
        setrlimit(resource, limit, limit)
            .map_err(|e| StartupError::new(format!("{name}: setrlimit(): {}", e.desc())))?;
    }
    if let Some(level) = settings.processes.prio {
        // SAFETY: plain numbers.
        if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, level) } != 0 {
            let e = std::io::Error::last_os_error();
            return Err(StartupError::new(format!(
                "prio: setpriority(): {}",
                super::os_text(&e)
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_from_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let name = |n: &str| dir.path().join(n).display().to_string();
        std::fs::write(name("file"), "").unwrap();
        let socket = std::os::unix::net::UnixListener::bind(name("socket")).unwrap();
        let there = |kind, n: &str| is_there(&WaitFor { kind, name: name(n) }, false);
        assert!(there(WaitKind::File, "file") && !there(WaitKind::Directory, "file"));
        assert!(there(WaitKind::Directory, "") && !there(WaitKind::File, ""));
        assert!(there(WaitKind::Path, "socket") && !there(WaitKind::Path, "none"));
        assert!(is_mountpoint(Path::new("/")) && is_mountpoint(Path::new("/proc")) && !there(WaitKind::Mountpoint, ""));
        let interface = |name: &str| WaitFor {
            kind: WaitKind::Interface,
            name: name.into(),
        };
        assert!(is_there(&interface("lo"), false) && !is_there(&interface("nothing0"), false));
        assert!(there(WaitKind::Socket, "socket") && !there(WaitKind::Socket, "file"));
        drop(socket);
        assert!(!there(WaitKind::Socket, "socket"));
    }

    #[test]
    fn a_lock_is_exclusive() {
        let dir = tempfile::tempdir().unwrap();
        let open = || File::create(dir.path().join("lock")).unwrap();
        let _first = take(open(), FlockArg::LockExclusiveNonblock).unwrap();
        assert!(
            take(open(), FlockArg::LockExclusiveNonblock)
                .unwrap_err()
                .contains("another process")
        );
    }
}
