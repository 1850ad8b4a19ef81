//! Listening sockets that plugins make for themselves in the master: over a reload the next image gets them again, while
//! the old workers, which hold copies, still serve. A trial gets a stand-in that nobody can reach.

use crate::process::{Role, reload, role};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn, UnixAddr};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A socket, and the file that it was when it was made: a plugin may close it, and the number be another's then.
struct Made {
    key: String,
    fd: RawFd,
    file: u64,
}

static MADE: Mutex<Vec<Made>> = Mutex::new(Vec::new());

/// What the image before had and nobody has asked for yet: a plugin's thread may be late.
static LATE: Mutex<Vec<(String, OwnedFd, Instant)>> = Mutex::new(Vec::new());

/// How long it is kept for such a thread.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether a socket of a handover is one of these.
pub fn is_ours(name: &str) -> bool {
    name.starts_with("plugin ")
}

/// Keeps one that was not asked for in the start.
pub fn keep(name: String, fd: OwnedFd) {
    let mut late = LATE.lock().unwrap_or_else(PoisonError::into_inner);
    late.push((name, fd, Instant::now()));
}

/// Closes those that nobody wants; by the master, each second.
pub fn let_go() {
    let mut late = LATE.lock().unwrap_or_else(PoisonError::into_inner);
    late.retain(|(_, _, since)| since.elapsed() < PATIENCE);
}

/// In a child, right after the fork: what nobody has asked for is the master's.
pub fn leave_to_parent() {
    // the lock may be held by a thread that is not here
    if let Ok(mut late) = LATE.try_lock() {
        late.clear();
    }
}

fn inherited(key: &str) -> Option<OwnedFd> {
    if let Some(fd) = reload::inherited_socket(key) {
        // SAFETY: inherited for whoever asks for this name first.
        return Some(unsafe { OwnedFd::from_raw_fd(fd) });
    }
    let mut late = LATE.lock().unwrap_or_else(PoisonError::into_inner);
    let at = late.iter().position(|(name, _, _)| name == key)?;
    Some(late.swap_remove(at).1)
}

fn file_of(fd: RawFd) -> Option<u64> {
    // SAFETY: a number of this process, for the length of a call; the kernel judges it.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    nix::sys::stat::fstat(fd).ok().map(|stat| stat.st_ino)
}

/// The socket of an address: what the image before had, a stand-in, or what `make` makes.
///
/// # Errors
/// Those of `make`.
pub fn socket<E>(what: &str, kind: SockType, make: impl FnOnce() -> Result<OwnedFd, E>) -> Result<OwnedFd, E> {
    match role() {
        Role::Trial => match stand_in(what, kind) {
            Ok(fd) => return Ok(fd),
            Err(_) => return make(),
        },
        Role::Master => {}
        _ => return make(),
    }
    // a stream and datagrams may have the same address
    let kind = if kind == SockType::Stream {
        "stream"
    } else {
        "datagrams"
    };
    let key = format!("plugin {kind} {what}");
    let fd = match inherited(&key) {
        Some(fd) => fd,
        None => make()?,
    };
    if let Some(file) = file_of(fd.as_raw_fd()) {
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        made.push(Made {
            key,
            fd: fd.as_raw_fd(),
            file,
        });
    }
    Ok(fd)
}

/// Bound where nobody looks, of the same kind.
fn stand_in(what: &str, kind: SockType) -> nix::Result<OwnedFd> {
    let is_local = what.starts_with(['/', '@']) || !what.contains(':');
    let family = if is_local {
        AddressFamily::Unix
    } else {
        AddressFamily::Inet
    };
    let fd = socket::socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
    match is_local {
        // the kernel chooses an abstract name
        true => socket::bind(fd.as_raw_fd(), &UnixAddr::new_unnamed())?,
        false => socket::bind(fd.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0))?,
    }
    if kind == SockType::Stream {
        socket::listen(&fd, socket::Backlog::new(1)?)?;
    }
    Ok(fd)
}

/// Those that are still there, and those that were not asked for yet, for a handover: name, descriptor.
pub fn sockets() -> Vec<(String, RawFd)> {
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    made.retain(|socket| file_of(socket.fd) == Some(socket.file));
    let mut all: Vec<_> = made.iter().map(|socket| (socket.key.clone(), socket.fd)).collect();
    drop(made);
    let late = LATE.lock().unwrap_or_else(PoisonError::into_inner);
    all.extend(late.iter().map(|(name, fd, _)| (name.clone(), fd.as_raw_fd())));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::IntoRawFd;

    #[test]
    fn what_was_closed_is_not_handed_over() {
        let make = || socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None);
        let kept = socket("kept", SockType::Stream, make).unwrap();
        let closed = socket("closed", SockType::Stream, make).unwrap().into_raw_fd();
        let other = make().unwrap();
        // another socket has the number now
        // SAFETY: the number is nobody's but this test's.
        assert_eq!(unsafe { libc::dup2(other.as_raw_fd(), closed) }, closed);
        let names: Vec<String> = sockets().into_iter().map(|(name, _)| name).collect();
        assert!(
            names.contains(&"plugin stream kept".to_owned()) && !names.contains(&"plugin stream closed".to_owned())
        );
        drop(kept);
    }

    #[test]
    fn who_comes_late_is_waited_for() {
        let make = || socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None);
        let left = make().unwrap();
        let number = left.as_raw_fd();
        assert!(is_ours("plugin stream late") && !is_ours("late"));
        keep("plugin stream late".into(), left);
        assert!(sockets().contains(&("plugin stream late".to_owned(), number)));
        let_go();
        let late = socket("late", SockType::Stream, make).unwrap();
        assert_eq!(late.as_raw_fd(), number);
        assert_ne!(socket("late", SockType::Stream, make).unwrap().as_raw_fd(), number);
    }

    #[test]
    fn a_stand_in_is_of_its_kind_and_elsewhere() {
        for (what, kind) in [
            ("127.0.0.1:80", SockType::Stream),
            ("/no/such/folder/x.sock", SockType::Stream),
            ("@x", SockType::Datagram),
            (":53", SockType::Datagram),
        ] {
            let fd = stand_in(what, kind).unwrap();
            assert_eq!(
                socket::getsockopt(&fd, socket::sockopt::SockType).unwrap(),
                kind,
                "{what}"
            );
        }
    }
}
