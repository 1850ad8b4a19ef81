//! Descriptors: flags, connecting, reading and writing with a time limit.

use super::{bytes, text};
use crate::net::connect::{connect_to, set_nonblocking};
use crate::net::wait;
use std::ffi::{c_char, c_int};
use std::os::fd::IntoRawFd;
use std::time::Duration;

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

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_write_true_nb(fd: c_int, data: *mut c_char, len: usize, timeout: c_int) -> c_int {
    // SAFETY: by the contract of this very function.
    unsafe { uwsgi_write_nb(fd, data, len, timeout) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_read_true_nb(fd: c_int, data: *mut c_char, len: usize, timeout: c_int) -> isize {
    loop {
        // SAFETY: the header asks for `len` writable bytes.
        let count = unsafe { libc::read(fd, data.cast(), len) };
        match nix::Error::last() {
            _ if count > 0 => return count,
            _ if count == 0 => {
                // so that callers tell the end from an error
                nix::Error::clear();
                return -1;
            }
            nix::Error::EINTR => {}
            nix::Error::EAGAIN => match wait::readable(fd, limit(timeout)) {
                Ok(()) => {}
                Err(e) if e.kind() == std::io::ErrorKind::TimedOut => return 0,
                Err(_) => return -1,
            },
            _ => return -1,
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_waitfd_event(fd: c_int, timeout: c_int, event: c_int) -> c_int {
    let mut entry = libc::pollfd {
        fd,
        events: event as libc::c_short,
        revents: 0,
    };
    let millis = match timeout {
        n if n < 0 => -1,
        n => i32::try_from(limit(n).as_millis()).unwrap_or(i32::MAX),
    };
    // SAFETY: one valid entry.
    match unsafe { libc::poll(&mut entry, 1, millis) } {
        n if n <= 0 => n,
        n if c_int::from(entry.revents) & event != 0 => n,
        _ => -1,
    }
}

/// What `uwsgi.wait_milliseconds_hook` is at first.
pub unsafe extern "C" fn wait_milliseconds(milliseconds: c_int) -> c_int {
    // SAFETY: no entries are looked at.
    unsafe { libc::poll(std::ptr::null_mut(), 0, milliseconds.max(0)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_simple_wait_read_hook(fd: c_int, timeout: c_int) -> c_int {
    waited(wait::readable(fd, limit(timeout)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_simple_wait_write_hook(fd: c_int, timeout: c_int) -> c_int {
    waited(wait::writable(fd, limit(timeout)))
}

fn waited(result: std::io::Result<()>) -> c_int {
    match result {
        Ok(()) => 1,
        Err(e) if e.kind() == std::io::ErrorKind::TimedOut => 0,
        Err(_) => -1,
    }
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
