//! What one process image hands to the next over `exec`: the sockets by the addresses they were asked for, and the
//! processes of the old generation, which go on serving until the new one is ready.
//!
//! The pid stays, the children stay, the descriptors stay; a memory file named in `RSGI_HANDOVER` says which is
//! which. A trial (`RSGI_TRIAL`) is the same command line in a child that loads everything, binds nothing, and ends.

use nix::sys::memfd::{MFdFlags, memfd_create};
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

const HANDOVER: &str = "RSGI_HANDOVER";
const TRIAL: &str = "RSGI_TRIAL";
/// What applications and configurations (`if-reload`) read.
const COUNT: &str = "UWSGI_RELOADS";

/// A process of the old generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldProcess {
    /// Its pid.
    pub pid: i32,
    /// Its worker id; 0 for a gateway.
    pub worker: usize,
}

/// What the image before this one left.
#[derive(Debug, Default)]
pub struct Handover {
    sockets: Vec<(String, RawFd)>,
    /// Its processes.
    pub processes: Vec<OldProcess>,
    /// How many reloads there were, this one included.
    pub reloads: u64,
}

/// How this process was started: what an exec must restore.
struct Origin {
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    cwd: PathBuf,
    binary: PathBuf,
}

static ORIGIN: OnceLock<Origin> = OnceLock::new();
static INHERITED: Mutex<Option<Handover>> = Mutex::new(None);

/// Remembers how the process was started and takes over what the image before left; first thing in `main`.
pub fn begin() {
    let handover = std::env::var(HANDOVER)
        .ok()
        .and_then(|fd| fd.parse().ok())
        .and_then(|fd| read(fd).ok());
    let trial = std::env::var_os(TRIAL).is_some();
    // SAFETY: first thing in main: no other thread runs.
    unsafe {
        std::env::remove_var(HANDOVER);
        std::env::remove_var(TRIAL);
    }
    if trial {
        super::set_role(super::Role::Trial);
    }
    let _ = ORIGIN.set(Origin {
        args: std::env::args_os().collect(),
        env: std::env::vars_os().collect(),
        cwd: std::env::current_dir().unwrap_or_else(|_| "/".into()),
        binary: binary(),
    });
    *INHERITED.lock().unwrap_or_else(PoisonError::into_inner) = handover;
}

/// The file to run again: the name we were called by, since an upgrade replaces the file under that name.
fn binary() -> PathBuf {
    let name = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    if name.components().count() > 1
        && let Ok(path) = std::path::absolute(&name)
    {
        return path;
    }
    std::env::current_exe().unwrap_or(name)
}

/// Whether this image was made by a reload.
pub fn is_reload() -> bool {
    INHERITED.lock().unwrap_or_else(PoisonError::into_inner).is_some()
}

/// How many reloads made this image; 0: it was started.
pub fn count() -> u64 {
    let inherited = INHERITED.lock().unwrap_or_else(PoisonError::into_inner);
    inherited.as_ref().map_or(0, |h| h.reloads)
}

/// The descriptor that listens on an address as it was asked for; each is handed out once.
pub fn inherited_socket(asked: &str) -> Option<RawFd> {
    let mut inherited = INHERITED.lock().unwrap_or_else(PoisonError::into_inner);
    let sockets = &mut inherited.as_mut()?.sockets;
    let at = sockets.iter().position(|(name, _)| name == asked)?;
    Some(sockets.remove(at).1)
}

/// Closes inherited sockets that the new configuration has no use for; gives the rest of the handover.
pub fn take() -> Option<Handover> {
    let mut handover = INHERITED.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    for (_, fd) in handover.sockets.drain(..) {
        // SAFETY: inherited for us, and nobody asked for it.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
    }
    Some(handover)
}

fn read(fd: RawFd) -> io::Result<Handover> {
    // SAFETY: the image before us left this descriptor for us.
    let mut file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    file.rewind()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let mut handover = Handover::default();
    for line in text.lines() {
        let mut words = line.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("socket"), Some(fd), Some(name)) => {
                if let Ok(fd) = fd.parse() {
                    handover.sockets.push((name.to_owned(), fd));
                }
            }
            (Some("process"), Some(pid), Some(worker)) => {
                if let (Ok(pid), Ok(worker)) = (pid.parse(), worker.parse()) {
                    handover.processes.push(OldProcess { pid, worker });
                }
            }
            (Some("reloads"), Some(count), _) => handover.reloads = count.parse().unwrap_or(0),
            _ => {}
        }
    }
    Ok(handover)
}

/// Becomes a new image; returns only when that fails.
pub fn exec(sockets: &[(String, RawFd)], processes: &[OldProcess], reloads: u64) -> io::Error {
    match try_exec(sockets, processes, reloads) {
        Err(e) => e,
        Ok(never) => match never {},
    }
}

fn try_exec(
    sockets: &[(String, RawFd)],
    processes: &[OldProcess],
    reloads: u64,
) -> io::Result<std::convert::Infallible> {
    let origin = ORIGIN.get().ok_or(io::ErrorKind::NotFound)?;
    let mut file = File::from(memfd_create(c"rsgi-handover", MFdFlags::empty())?);
    writeln!(file, "reloads {reloads}")?;
    for (name, fd) in sockets {
        writeln!(file, "socket {fd} {name}")?;
        keep_over_exec(*fd)?;
    }
    for process in processes {
        writeln!(file, "process {} {}", process.pid, process.worker)?;
    }
    std::env::set_current_dir(&origin.cwd)?;
    let text = |bytes: &[u8]| CString::new(bytes).map_err(io::Error::other);
    let args = origin
        .args
        .iter()
        .map(|a| text(a.as_bytes()))
        .collect::<io::Result<Vec<_>>>()?;
    let own = [format!("{HANDOVER}={}", file.as_raw_fd()), format!("{COUNT}={reloads}")];
    let env = environment(origin, &own)?;
    let binary = text(origin.binary.as_os_str().as_bytes())?;
    Ok(nix::unistd::execve(&binary, &args, &env)?)
}

/// The environment of the next image: what this process was started with, and `own`.
fn environment(origin: &Origin, own: &[String]) -> io::Result<Vec<CString>> {
    let kept = origin.env.iter().filter(|(name, _)| name != COUNT);
    let pairs = kept.map(|(k, v)| [k.as_bytes(), b"=", v.as_bytes()].concat());
    pairs
        .chain(own.iter().map(|o| o.as_bytes().to_vec()))
        .map(|pair| CString::new(pair).map_err(io::Error::other))
        .collect()
}

/// Becomes a new image with one configuration file as its only argument; returns only when that fails.
pub fn exec_with(config: &str) -> io::Error {
    let run = || -> io::Result<std::convert::Infallible> {
        let origin = ORIGIN.get().ok_or(io::ErrorKind::NotFound)?;
        std::env::set_current_dir(&origin.cwd)?;
        let text = |bytes: &[u8]| CString::new(bytes).map_err(io::Error::other);
        let name = origin.args.first().map_or(&b"rsgi"[..], |a| a.as_bytes());
        let binary = text(origin.binary.as_os_str().as_bytes())?;
        let args = [text(name)?, text(config.as_bytes())?];
        Ok(nix::unistd::execve(&binary, &args, &environment(origin, &[])?)?)
    };
    match run() {
        Err(e) => e,
        Ok(never) => match never {},
    }
}

fn keep_over_exec(fd: RawFd) -> nix::Result<()> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    // SAFETY: the descriptor is open: it listens.
    let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty())).map(drop)
}

/// A child that tries what a reload would do. Its output goes to a file that is read when it fails.
pub struct Trial {
    child: Child,
    output: File,
}

impl Trial {
    /// Starts it, as the image after `reloads` reloads.
    ///
    /// # Errors
    /// The binary cannot be run.
    pub fn start(reloads: u64) -> io::Result<Self> {
        use std::os::unix::process::CommandExt;
        let origin = ORIGIN.get().ok_or(io::ErrorKind::NotFound)?;
        let output = File::from(memfd_create(c"rsgi-trial", MFdFlags::MFD_CLOEXEC)?);
        let child = Command::new(&origin.binary)
            .arg0(origin.args.first().map_or("rsgi".into(), OsString::clone))
            .args(origin.args.iter().skip(1))
            .env_clear()
            .envs(origin.env.iter().cloned())
            .env(TRIAL, "1")
            .env(COUNT, reloads.to_string())
            .current_dir(&origin.cwd)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?)
            .spawn()?;
        Ok(Self { child, output })
    }

    /// Its pid.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// What it printed.
    pub fn output(mut self) -> String {
        let mut text = Vec::new();
        let _ = self.output.rewind();
        let _ = self.output.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handover_is_read_as_written() {
        let mut file = File::from(memfd_create(c"test", MFdFlags::empty()).unwrap());
        writeln!(
            file,
            "reloads 3\nsocket 7 127.0.0.1:80\nsocket 8 /tmp/a b.sock\nprocess 42 1\nnoise"
        )
        .unwrap();
        let handover = read(std::os::fd::IntoRawFd::into_raw_fd(file)).unwrap();
        assert_eq!(handover.reloads, 3);
        assert_eq!(
            handover.sockets,
            [("127.0.0.1:80".to_owned(), 7), ("/tmp/a b.sock".to_owned(), 8)]
        );
        assert_eq!(handover.processes, [OldProcess { pid: 42, worker: 1 }]);
    }
}
