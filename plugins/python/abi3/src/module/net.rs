//! `uwsgi.*`: small socket calls (connect, send, recv, close) that applications of the async modes use. In a greenlet
//! others run while one of them waits.

use super::wait::{self, descriptor};
use crate::exchange;
use crate::gil;
use crate::green;
use crate::py::{self, Args, Py, PyResult};
use rsgi_plugin_api::net;
use std::io::{Error, ErrorKind};

super::functions! {
    connect;
    is_connected;
    send;
    recv;
    close;
}

/// `connect(address[, timeout])`: a descriptor, -1 when it failed.
fn connect(args: &Args) -> PyResult<Py> {
    let address = py::text_bytes(&args.need(0, "connect")?)?;
    let timeout = i32::try_from(args.int(1, 0)?).map_err(|_| py::value_error("too many seconds"))?;
    let Ok(fd) = gil::released(|| net::connect(&address, timeout, green::is_on())) else {
        return py::int(-1);
    };
    if green::is_on() {
        let connected = wait::one(fd, libc::POLLOUT, timeout);
        if !matches!(connected, Ok(true)) || !net::is_connected(fd) {
            net::close(fd);
            connected?;
            return py::int(-1);
        }
    }
    py::int(fd.into())
}

fn is_connected(args: &Args) -> PyResult<Py> {
    args.need(0, "is_connected")?;
    Ok(py::boolean(net::is_connected(descriptor(args, 0)?)))
}

/// `send([fd,] bytes)`; without a descriptor to the client.
fn send(args: &Args) -> PyResult<Py> {
    let (fd, data) = match args.len() {
        0 | 1 => {
            let client =
                exchange::current().ok_or_else(|| py::value_error("send() without a descriptor needs a request"))?;
            // SAFETY: the host's request, valid while its exchange lives.
            (unsafe { (*client.req()).fd }, args.need(0, "send")?)
        }
        _ => (descriptor(args, 0)?, args.need(1, "send")?),
    };
    deliver(fd, &py::text_bytes(&data)?)?;
    Ok(py::boolean(true))
}

/// Writes everything, waiting up to `--socket-timeout` for the peer to take some.
pub fn deliver(fd: i32, mut rest: &[u8]) -> PyResult<()> {
    while !rest.is_empty() {
        if !wait::one(fd, libc::POLLOUT, 0)? {
            return Err(py::os_error("unable to send data: the peer takes nothing"));
        }
        match write_now(fd, rest) {
            Ok(count) => rest = &rest[count..],
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(e) => return Err(py::os_error(&format!("unable to send data: {e}"))),
        }
    }
    Ok(())
}

/// Writes what is taken now; only what is no socket may block, as a pipe that is smaller than the data.
fn write_now(fd: i32, data: &[u8]) -> Result<usize, Error> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    gil::released(|| {
        // SAFETY: the buffer outlives the call.
        let mut n = unsafe { libc::send(fd, data.as_ptr().cast(), data.len(), flags) };
        if n < 0 && Error::last_os_error().raw_os_error() == Some(libc::ENOTSOCK) {
            // SAFETY: as above.
            n = unsafe { libc::write(fd, data.as_ptr().cast(), data.len()) };
        }
        usize::try_from(n).map_err(|_| Error::last_os_error())
    })
}

/// `recv(fd[, n])`: bytes, None when the peer closed or failed.
fn recv(args: &Args) -> PyResult<Py> {
    args.need(0, "recv")?;
    let (fd, want) = (descriptor(args, 0)?, args.int(1, 4096)?.clamp(0, 1 << 20) as usize);
    if !wait::one(fd, libc::POLLIN, 0)? {
        return Ok(py::none());
    }
    let mut buffer = vec![0u8; want];
    // SAFETY: a buffer of `want` bytes.
    let n = gil::released(|| unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), want) });
    match usize::try_from(n) {
        Ok(n) if n > 0 => py::bytes(&buffer[..n]),
        _ => Ok(py::none()),
    }
}

fn close(args: &Args) -> PyResult<Py> {
    args.need(0, "close")?;
    net::close(descriptor(args, 0)?);
    Ok(py::none())
}
