//! Small socket calls for plugins written in Rust. A descriptor is the application's own; those that wait do so up to
//! `socket-timeout`.

use crate::{HookError, sys, text};
use std::ffi::c_int;
use std::os::fd::RawFd;

/// What a descriptor is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the words of the field
pub enum Wait {
    Read,
    Write,
}

/// The limit of the server's own waits, in seconds.
pub fn limit() -> c_int {
    // SAFETY: a plain read of the published view.
    unsafe { sys::uwsgi.socket_timeout }
}

/// Connects to an address, waiting so many seconds (0: the server's limit) or, if `nonblocking`, not at all.
///
/// # Errors
/// Nobody answers there.
pub fn connect(address: &[u8], timeout: c_int, nonblocking: bool) -> Result<RawFd, HookError> {
    let name = text::to_host(address, "the address")?;
    // SAFETY: the host reads the address during the call.
    match unsafe { sys::uwsgi_connect(name.as_ptr().cast_mut(), timeout, nonblocking.into()) } {
        fd if fd >= 0 => Ok(fd),
        _ => Err(HookError::new(format!(
            "unable to connect to {}: {}",
            name.to_string_lossy(),
            std::io::Error::last_os_error()
        ))),
    }
}

/// Whether a connection stands.
pub fn is_connected(fd: RawFd) -> bool {
    let (mut error, mut len) = (0i32, size_of::<i32>() as libc::socklen_t);
    // SAFETY: an int and its size.
    let rc = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_ERROR, (&raw mut error).cast(), &mut len) };
    rc == 0 && error == 0
}

/// Waits for a descriptor up to so many seconds (negative: for ever); whether it is ready.
pub fn wait(fd: RawFd, what: Wait, seconds: c_int) -> bool {
    let mut poll = libc::pollfd {
        fd,
        events: match what {
            Wait::Read => libc::POLLIN,
            Wait::Write => libc::POLLOUT,
        },
        revents: 0,
    };
    let limit = if seconds < 0 { -1 } else { seconds.saturating_mul(1000) };
    // SAFETY: one pollfd.
    let ready = unsafe { libc::poll(&mut poll, 1, limit) };
    ready > 0 && poll.revents & libc::POLLNVAL == 0
}

/// Writes everything.
///
/// # Errors
/// The other side has gone, or does not read.
pub fn send(fd: RawFd, data: &[u8]) -> Result<(), HookError> {
    // SAFETY: the bytes outlive the call.
    match unsafe { sys::uwsgi_write_nb(fd, data.as_ptr().cast_mut().cast(), data.len(), limit()) } {
        0 => Ok(()),
        _ => Err(HookError::new(format!(
            "unable to send to descriptor {fd}: {}",
            std::io::Error::last_os_error()
        ))),
    }
}

/// Waits for bytes, at most so many; `None`: the other side has closed, failed or kept still.
pub fn receive(fd: RawFd, most: usize) -> Option<Vec<u8>> {
    if !wait(fd, Wait::Read, limit()) {
        return None;
    }
    let mut buffer = vec![0u8; most];
    // SAFETY: a buffer of that size.
    let n = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), most) };
    let n = usize::try_from(n).ok().filter(|n| *n > 0)?;
    buffer.truncate(n);
    Some(buffer)
}

/// Closes a descriptor that the application opened.
pub fn close(fd: RawFd) {
    // SAFETY: the application's own descriptor.
    unsafe { libc::close(fd) };
}
