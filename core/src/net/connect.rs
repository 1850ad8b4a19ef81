//! Connections from this server to others, with a time limit: those that plugins ask for, and questions to other
//! instances.

use super::address::Address;
use super::wait;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, UnixAddr, connect, socket};
use std::ffi::c_int;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Makes reading and writing wait, or not.
pub fn set_nonblocking(fd: c_int, on: bool) {
    if fd < 0 {
        return;
    }
    // SAFETY: the caller's descriptor, for the length of this call.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    if let Ok(flags) = fcntl(fd, FcntlArg::F_GETFL) {
        let mut flags = OFlag::from_bits_truncate(flags);
        flags.set(OFlag::O_NONBLOCK, on);
        let _ = fcntl(fd, FcntlArg::F_SETFL(flags));
    }
}

/// Connects to an address as the options spell them; `nonblocking`: without waiting for it.
///
/// # Errors
/// No such address, or nobody is there.
pub fn connect_to(name: &str, limit: Duration, nonblocking: bool) -> nix::Result<OwnedFd> {
    let address = Address::parse(name, false).map_err(|_| nix::Error::EINVAL)?;
    let open = |family| {
        socket(
            family,
            SockType::Stream,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            None,
        )
    };
    let (fd, result) = match address {
        Address::Inet(SocketAddr::V4(a)) => {
            let fd = open(AddressFamily::Inet)?;
            let result = connect(fd.as_raw_fd(), &SockaddrIn::from(a));
            (fd, result)
        }
        Address::Inet(SocketAddr::V6(a)) => {
            let fd = open(AddressFamily::Inet6)?;
            let result = connect(fd.as_raw_fd(), &SockaddrIn6::from(a));
            (fd, result)
        }
        Address::Unix(path) => {
            let fd = open(AddressFamily::Unix)?;
            let result = connect(fd.as_raw_fd(), &UnixAddr::new(&path)?);
            (fd, result)
        }
        Address::Abstract(bytes) => {
            let fd = open(AddressFamily::Unix)?;
            let result = connect(fd.as_raw_fd(), &UnixAddr::new_abstract(&bytes)?);
            (fd, result)
        }
        Address::Shared(_) | Address::Descriptor(_) => return Err(nix::Error::EINVAL),
    };
    match result {
        Ok(()) => {}
        Err(nix::Error::EINPROGRESS) if nonblocking => {}
        Err(nix::Error::EINPROGRESS) => {
            wait::writable(fd.as_raw_fd(), limit).map_err(|_| nix::Error::ETIMEDOUT)?;
            let error = nix::sys::socket::getsockopt(&fd, nix::sys::socket::sockopt::SocketError)?;
            if error != 0 {
                return Err(nix::Error::from_raw(error));
            }
        }
        Err(e) => return Err(e),
    }
    if !nonblocking {
        set_nonblocking(fd.as_raw_fd(), false);
    }
    Ok(fd)
}
