//! Waiting for one descriptor with a time limit; what blocks inside a request goes through here.

use std::io;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

/// Waits until `fd` is readable.
///
/// # Errors
/// `TimedOut`, or what `poll` says.
pub fn readable(fd: RawFd, limit: Duration) -> io::Result<()> {
    wait(fd, libc::POLLIN, limit)
}

/// Waits until `fd` is writable.
///
/// # Errors
/// `TimedOut`, or what `poll` says.
pub fn writable(fd: RawFd, limit: Duration) -> io::Result<()> {
    wait(fd, libc::POLLOUT, limit)
}

fn wait(fd: RawFd, events: libc::c_short, limit: Duration) -> io::Result<()> {
    let end = Instant::now() + limit;
    let mut entry = libc::pollfd { fd, events, revents: 0 };
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let millis = i32::try_from(left.as_millis())
            .unwrap_or(i32::MAX)
            .max(i32::from(!left.is_zero()));
        // SAFETY: one valid entry.
        match unsafe { libc::poll(&mut entry, 1, millis) } {
            0 if left.is_zero() => return Err(io::ErrorKind::TimedOut.into()),
            0 => {}
            n if n > 0 => return Ok(()),
            _ => match io::Error::last_os_error() {
                e if e.kind() == io::ErrorKind::Interrupted => {}
                e => return Err(e),
            },
        }
    }
}

/// Writes all of `data`, waiting up to `limit` for each piece to be taken.
///
/// # Errors
/// `TimedOut`, or what `write` says.
pub fn write_all(fd: RawFd, mut data: &[u8], limit: Duration) -> io::Result<()> {
    while !data.is_empty() {
        // SAFETY: pointer and length describe `data`.
        let n = unsafe { libc::write(fd, data.as_ptr().cast(), data.len()) };
        if n >= 0 {
            data = &data[n as usize..];
            continue;
        }
        match io::Error::last_os_error() {
            e if e.kind() == io::ErrorKind::WouldBlock => writable(fd, limit)?,
            e if e.kind() == io::ErrorKind::Interrupted => {}
            e => return Err(e),
        }
    }
    Ok(())
}

/// Fills all of `data`, waiting up to `limit` for each piece to arrive.
///
/// # Errors
/// `TimedOut`, `UnexpectedEof`, or what `read` says.
pub fn read_exact(fd: RawFd, mut data: &mut [u8], limit: Duration) -> io::Result<()> {
    while !data.is_empty() {
        // SAFETY: pointer and length describe `data`.
        let n = unsafe { libc::read(fd, data.as_mut_ptr().cast(), data.len()) };
        match n {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n if n > 0 => data = &mut data[n as usize..],
            _ => match io::Error::last_os_error() {
                e if e.kind() == io::ErrorKind::WouldBlock => readable(fd, limit)?,
                e if e.kind() == io::ErrorKind::Interrupted => {}
                e => return Err(e),
            },
        }
    }
    Ok(())
}
