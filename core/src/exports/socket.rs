//! Descriptors: flags, connecting, reading and writing with a time limit.

use super::{bytes, text};
use crate::net::address::Address;
use crate::net::wait;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, UnixAddr, connect, socket};
use std::ffi::{c_char, c_int};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::time::Duration;

fn set_nonblocking(fd: c_int, on: bool) {
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

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_socket_nb(fd: c_int) {
    set_nonblocking(fd, true);
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_socket_b(fd: c_int) {
    set_nonblocking(fd, false);
}

/// Seconds of the C API; 0 and less: `--socket-timeout`.
fn limit(seconds: c_int) -> Duration {
    match u64::try_from(seconds) {
        Ok(n) if n > 0 => Duration::from_secs(n),
        _ => crate::server::socket_limit(),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_connect(address: *mut c_char, timeout: c_int, nonblocking: c_int) -> c_int {
    // SAFETY: the header asks for a NUL-terminated address.
    let name = String::from_utf8_lossy(unsafe { text(address) }).into_owned();
    match connect_to(&name, limit(timeout), nonblocking != 0) {
        Ok(fd) => fd.into_raw_fd(),
        Err(errno) => {
            nix::Error::set_raw(errno as i32);
            -1
        }
    }
}

fn connect_to(name: &str, limit: Duration, nonblocking: bool) -> nix::Result<OwnedFd> {
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

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_write_nb(fd: c_int, data: *mut c_char, len: usize, timeout: c_int) -> c_int {
    // SAFETY: the header asks for bytes with their length.
    match wait::write_all(fd, unsafe { bytes(data, len) }, limit(timeout)) {
        Ok(()) => 0,
        Err(_) => -1,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_read_nb(fd: c_int, data: *mut c_char, len: usize, timeout: c_int) -> c_int {
    if len == 0 {
        return 0;
    }
    // SAFETY: the header asks for `len` writable bytes.
    let room = unsafe { std::slice::from_raw_parts_mut(data.cast(), len) };
    match wait::read_exact(fd, room, limit(timeout)) {
        Ok(()) => 0,
        Err(_) => -1,
    }
}

fn waited(result: std::io::Result<()>) -> c_int {
    match result {
        Ok(()) => 1,
        Err(e) if e.kind() == std::io::ErrorKind::TimedOut => 0,
        Err(_) => -1,
    }
}

/// `uwsgi.wait_read_hook`
pub unsafe extern "C" fn wait_read(fd: c_int, timeout: c_int) -> c_int {
    waited(wait::readable(fd, limit(timeout)))
}

/// `uwsgi.wait_write_hook`
pub unsafe extern "C" fn wait_write(fd: c_int, timeout: c_int) -> c_int {
    waited(wait::writable(fd, limit(timeout)))
}

/// `uwsgi.wait_read2_hook`
pub unsafe extern "C" fn wait_read2(fd0: c_int, fd1: c_int, timeout: c_int, which: *mut c_int) -> c_int {
    let mut entries = [fd0, fd1].map(|fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    });
    let millis = i32::try_from(limit(timeout).as_millis()).unwrap_or(i32::MAX);
    // SAFETY: two valid entries.
    let count = unsafe { libc::poll(entries.as_mut_ptr(), 2, millis) };
    if count > 0 && !which.is_null() {
        // SAFETY: the header asks for a writable place.
        unsafe { *which = if entries[0].revents != 0 { fd0 } else { fd1 } };
    }
    count.clamp(-1, 1)
}
