//! `uwsgi.*`: small socket calls (connect, send, recv, close) that applications of the async modes use.

use crate::exchange;
use crate::gil;
use crate::py::{self, Args, Py, PyResult};
use rsgi_plugin_api::sys;
use std::ffi::CString;

super::functions! {
    connect;
    is_connected;
    send;
    recv;
    close;
}

fn descriptor(n: i64) -> PyResult<i32> {
    i32::try_from(n).map_err(|_| py::value_error("no such descriptor"))
}

/// `connect(address[, timeout])`: a descriptor, -1 when it failed.
fn connect(args: &Args) -> PyResult<Py> {
    let address = py::text_bytes(&args.need(0, "connect")?)?;
    let address = CString::new(address).map_err(|_| py::value_error("an address has no NUL"))?;
    let timeout = descriptor(args.int(1, 0)?)?;
    // SAFETY: the host reads the address during the call.
    let fd = gil::released(|| unsafe { sys::uwsgi_connect(address.as_ptr().cast_mut(), timeout, 0) });
    py::int(fd.into())
}

fn is_connected(args: &Args) -> PyResult<Py> {
    args.need(0, "is_connected")?;
    let fd = descriptor(args.int(0, -1)?)?;
    let (mut error, mut len) = (0i32, size_of::<i32>() as libc::socklen_t);
    // SAFETY: an int and its size.
    let rc = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_ERROR, (&raw mut error).cast(), &mut len) };
    Ok(py::boolean(rc == 0 && error == 0))
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
        _ => (descriptor(args.int(0, -1)?)?, args.need(1, "send")?),
    };
    let data = py::text_bytes(&data)?;
    // SAFETY: plain reads of the published view; the buffer outlives the call.
    let rc = gil::released(|| unsafe {
        sys::uwsgi_write_nb(
            fd,
            data.as_ptr().cast_mut().cast(),
            data.len(),
            sys::uwsgi.socket_timeout,
        )
    });
    match rc {
        0 => Ok(py::boolean(true)),
        _ => Err(py::os_error("unable to send data")),
    }
}

/// `recv(fd[, n])`: bytes, None when the peer closed or failed.
fn recv(args: &Args) -> PyResult<Py> {
    args.need(0, "recv")?;
    let (fd, want) = (
        descriptor(args.int(0, -1)?)?,
        args.int(1, 4096)?.clamp(0, 1 << 20) as usize,
    );
    let mut buffer = vec![0u8; want];
    let n = gil::released(|| {
        let mut poll = libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one pollfd; a plain read of the published view; a buffer of `want` bytes.
        unsafe {
            match libc::poll(&mut poll, 1, sys::uwsgi.socket_timeout.saturating_mul(1000)) {
                n if n > 0 => libc::read(fd, buffer.as_mut_ptr().cast(), want),
                _ => -1,
            }
        }
    });
    match usize::try_from(n) {
        Ok(n) if n > 0 => py::bytes(&buffer[..n]),
        _ => Ok(py::none()),
    }
}

fn close(args: &Args) -> PyResult<Py> {
    args.need(0, "close")?;
    let fd = descriptor(args.int(0, -1)?)?;
    // SAFETY: the application's own descriptor.
    unsafe { libc::close(fd) };
    Ok(py::none())
}
