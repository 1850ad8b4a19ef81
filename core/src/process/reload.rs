//! From one process image to the next: how this one was started, what the one before left, and `exec`.
//!
//! The pid stays, the children stay, the descriptors stay; a memory file named in `RSGI_HANDOVER` says which is
//! which ([`Handover`]).

use super::handover::Handover;
use super::trial;
use crate::net::of_plugins;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{Mode, fstat};
use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

const HANDOVER: &str = "RSGI_HANDOVER";
/// What applications and configurations (`if-reload`) read.
pub const COUNT: &str = "UWSGI_RELOADS";

/// How this process was started: what an exec must restore.
pub struct Origin {
    /// With the name in front.
    pub args: Vec<OsString>,
    /// The environment, without what is ours alone.
    pub env: Vec<(OsString, OsString)>,
    /// The folder.
    pub cwd: PathBuf,
    /// The file to run again.
    pub binary: PathBuf,
}

/// What was inherited, until the master has begun.
struct Inherited {
    handover: Handover,
    /// Sockets that nobody has asked for yet.
    unclaimed: Vec<(String, RawFd)>,
    /// A copy of each descriptor of the handover: if this image fails, the caretaker has them all.
    spares: Vec<(RawFd, OwnedFd)>,
}

static ORIGIN: OnceLock<Origin> = OnceLock::new();
static INHERITED: Mutex<Option<Inherited>> = Mutex::new(None);

fn inherited() -> MutexGuard<'static, Option<Inherited>> {
    INHERITED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Remembers how the process was started and takes over what the image before left; first thing in `main`.
pub fn begin() {
    let handover = std::env::var(HANDOVER)
        .ok()
        .and_then(|fd| fd.parse().ok())
        // SAFETY: the image before us left this descriptor for us.
        .and_then(|fd| Handover::read(File::from(unsafe { OwnedFd::from_raw_fd(fd) })).ok());
    let is_trial = std::env::var_os(trial::VARIABLE).is_some();
    // SAFETY: first thing in main: no other thread runs.
    unsafe {
        std::env::remove_var(HANDOVER);
        std::env::remove_var(trial::VARIABLE);
    }
    if is_trial {
        super::set_role(super::Role::Trial);
    }
    let _ = ORIGIN.set(Origin {
        args: std::env::args_os().collect(),
        env: std::env::vars_os().collect(),
        cwd: std::env::current_dir().unwrap_or_else(|_| "/".into()),
        binary: binary(),
    });
    *inherited() = handover.map(|handover| {
        for fd in handover.descriptors() {
            set_close_on_exec(fd, true);
        }
        Inherited {
            unclaimed: handover.sockets.clone(),
            spares: handover
                .descriptors()
                .filter_map(|fd| Some((fd, duplicate(fd)?)))
                .collect(),
            handover,
        }
    });
}

/// The file to run again: the name we were called by, since an upgrade replaces the file under that name.
fn binary() -> PathBuf {
    let name = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    if name.components().count() > 1
        && let Ok(path) = std::path::absolute(&name)
    {
        return path;
    }
    let own = std::env::current_exe().unwrap_or_else(|_| name.clone());
    let places = std::env::var_os("PATH").unwrap_or_default();
    found_as(&name, &places, &own).unwrap_or(own)
}

/// The link on the PATH that leads from this name to this file: called `uwsgi`, a server stays `uwsgi` over reloads.
fn found_as(name: &Path, places: &OsStr, own: &Path) -> Option<PathBuf> {
    let leads_here = |path: &PathBuf| path.canonicalize().is_ok_and(|real| real == own);
    let mut candidates = std::env::split_paths(places).map(|folder| folder.join(name));
    candidates.find(|path| path.is_absolute() && leads_here(path))
}

/// How this process was started; `None` before [`begin`].
pub fn origin() -> Option<&'static Origin> {
    ORIGIN.get()
}

/// Whether this image was made by a reload.
pub fn is_reload() -> bool {
    inherited().is_some()
}

/// How many reloads made this image; 0: it was started.
pub fn count() -> u64 {
    inherited().as_ref().map_or(0, |i| i.handover.reloads)
}

/// The descriptor that listens on an address as it was asked for; each is handed out once.
pub fn inherited_socket(asked: &str) -> Option<RawFd> {
    let mut inherited = inherited();
    let sockets = &mut inherited.as_mut()?.unclaimed;
    let at = sockets.iter().position(|(name, _)| name == asked)?;
    Some(sockets.remove(at).1)
}

/// Closes inherited sockets that the new configuration has no use for; gives the rest of the handover.
pub fn take() -> Option<Handover> {
    // whoever asks meanwhile, as a plugin's thread does, finds a socket at its old place or at its new one
    let mut place = inherited();
    let inherited = place.take()?;
    for (name, fd) in inherited.unclaimed {
        // SAFETY: inherited for us, and nobody asked for it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        if of_plugins::is_ours(&name) {
            of_plugins::keep(name, fd);
        }
    }
    Some(inherited.handover)
}

/// Takes the handover for a caretaker: everything that the failed start has used or closed is restored from the
/// spares just before the next exec, by [`Spares::restore`].
pub fn take_back() -> Option<(Handover, Spares)> {
    let inherited = inherited().take()?;
    Some((inherited.handover, Spares(inherited.spares)))
}

/// Copies of the descriptors of a handover.
pub struct Spares(Vec<(RawFd, OwnedFd)>);

impl Spares {
    /// Puts each copy back under its number.
    pub fn restore(&self) {
        for (number, spare) in &self.0 {
            // SAFETY: the spare is open; whatever has the number now is given up: an exec follows.
            unsafe { libc::dup2(spare.as_raw_fd(), *number) };
        }
    }

    /// The copy of a descriptor.
    pub fn get(&self, number: RawFd) -> Option<RawFd> {
        let found = self.0.iter().find(|(n, _)| *n == number);
        found.map(|(_, spare)| spare.as_raw_fd())
    }
}

/// Our own executable: what the next image goes back to if it fails.
pub fn own_binary() -> Option<OwnedFd> {
    open("/proc/self/exe", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).ok()
}

/// Whether a descriptor is the executable that runs.
pub fn is_own_binary(fd: RawFd) -> bool {
    // SAFETY: inherited for us, or it is not open and the kernel says so.
    let other = fstat(unsafe { BorrowedFd::borrow_raw(fd) });
    let own = own_binary().and_then(|own| fstat(&own).ok());
    match (other, own) {
        (Ok(other), Some(own)) => (other.st_dev, other.st_ino) == (own.st_dev, own.st_ino),
        _ => false,
    }
}

/// Becomes a new image; with `binary`, of that file instead of the one under our name. Returns only when that fails.
pub fn exec(handover: &Handover, binary: Option<RawFd>) -> io::Error {
    let run = || -> io::Result<Infallible> {
        let origin = origin().ok_or(io::ErrorKind::NotFound)?;
        let file = File::from(memfd_create(c"rsgi-handover", MFdFlags::empty())?);
        handover.write(&file)?;
        let own = [
            format!("{HANDOVER}={}", file.as_raw_fd()),
            format!("{COUNT}={}", handover.reloads),
        ];
        let args: Vec<&OsStr> = origin.args.iter().map(OsString::as_os_str).collect();
        let path = binary.map(|fd| PathBuf::from(format!("/proc/self/fd/{fd}")));
        for fd in handover.descriptors() {
            set_close_on_exec(fd, false);
        }
        become_image(origin, path.as_deref(), &args, &own)
    };
    let failed = failure(run());
    // we live on: children must not inherit any of it
    for fd in handover.descriptors() {
        set_close_on_exec(fd, true);
    }
    failed
}

/// Becomes a new image with one configuration file as its only argument; returns only when that fails.
pub fn exec_with(config: &str) -> io::Error {
    let run = || {
        let origin = origin().ok_or(io::ErrorKind::NotFound)?;
        let name = origin.args.first().map_or(OsStr::new("rsgi"), OsString::as_os_str);
        become_image(origin, None, &[name, OsStr::new(config)], &[])
    };
    failure(run())
}

fn failure(result: io::Result<Infallible>) -> io::Error {
    match result {
        Err(e) => e,
        Ok(never) => match never {},
    }
}

fn become_image(origin: &Origin, binary: Option<&Path>, args: &[&OsStr], own: &[String]) -> io::Result<Infallible> {
    std::env::set_current_dir(&origin.cwd)?;
    let text = |bytes: &[u8]| CString::new(bytes).map_err(io::Error::other);
    let args = args
        .iter()
        .map(|a| text(a.as_bytes()))
        .collect::<io::Result<Vec<_>>>()?;
    let kept = origin.env.iter().filter(|(name, _)| name != COUNT);
    let pairs = kept.map(|(k, v)| [k.as_bytes(), b"=", v.as_bytes()].concat());
    let env = pairs
        .chain(own.iter().map(|o| o.as_bytes().to_vec()))
        .map(|pair| text(&pair))
        .collect::<io::Result<Vec<_>>>()?;
    crate::emperor::link::keep_over_exec();
    let binary = text(binary.unwrap_or(&origin.binary).as_os_str().as_bytes())?;
    Ok(nix::unistd::execve(&binary, &args, &env)?)
}

fn set_close_on_exec(fd: RawFd, on: bool) {
    let flag = if on { FdFlag::FD_CLOEXEC } else { FdFlag::empty() };
    // SAFETY: ours, or not open, which the kernel says.
    let _ = fcntl(unsafe { BorrowedFd::borrow_raw(fd) }, FcntlArg::F_SETFD(flag));
}

fn duplicate(fd: RawFd) -> Option<OwnedFd> {
    // SAFETY: as above.
    let copy = fcntl(unsafe { BorrowedFd::borrow_raw(fd) }, FcntlArg::F_DUPFD_CLOEXEC(3)).ok()?;
    // SAFETY: new, and ours.
    Some(unsafe { OwnedFd::from_raw_fd(copy) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_on_the_path_keeps_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let own = std::env::current_exe().unwrap().canonicalize().unwrap();
        let link = dir.path().join("uwsgi");
        std::os::unix::fs::symlink(&own, &link).unwrap();
        std::fs::write(dir.path().join("other"), "").unwrap();
        let places = std::env::join_paths([Path::new("/nowhere"), dir.path()]).unwrap();
        let found = |name: &str| found_as(Path::new(name), &places, &own);
        assert_eq!(found("uwsgi"), Some(link));
        assert_eq!(found("other"), None);
        assert_eq!(found("absent"), None);
    }
}
