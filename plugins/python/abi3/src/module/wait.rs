//! `uwsgi.*`: letting others run, and waiting for descriptors and time. See `crate::waiting`.

use super::request::exchange_of;
use crate::green;
use crate::interpreter;
use crate::py::{self, Args, Py, PyResult};
use crate::waiting;
use pyo3_ffi::PyObject_AsFileDescriptor;
use rsgi_plugin_api::net;
use std::ffi::c_short;
use std::time::Duration;

super::functions! {
    wait_fd_read;
    wait_fd_write;
    ready_fd;
    suspend;
    green_schedule;
    async_sleep;
    async_connect;
}

/// Argument `i` as a descriptor.
pub fn descriptor(args: &Args, i: usize) -> PyResult<i32> {
    i32::try_from(args.int(i, -1)?).map_err(|_| py::value_error("no such descriptor"))
}

fn note(args: &Args, function: &str, events: c_short) -> PyResult<Py> {
    let what = args.need(0, function)?;
    let exchange = exchange_of(function)?;
    // SAFETY: a live object: an int, or something with `fileno()`.
    let fd = unsafe { PyObject_AsFileDescriptor(what.as_ptr()) };
    py::check(fd)?;
    let limit = u64::try_from(args.nanoseconds(1)?).ok().filter(|limit| *limit > 0);
    // SAFETY: asks about a number.
    if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
        return Err(py::os_error(&format!(
            "unable to wait for descriptor {fd}: it is not open"
        )));
    }
    exchange.waits.add(fd, events, limit.map(Duration::from_nanos));
    py::bytes(b"")
}

/// `wait_fd_read(fd[, seconds])`: the next `suspend()`, or part of the body, waits until it can be read.
fn wait_fd_read(args: &Args) -> PyResult<Py> {
    note(args, "wait_fd_read", libc::POLLIN)
}

/// `wait_fd_write(fd[, seconds])`: the same until it can be written to.
fn wait_fd_write(args: &Args) -> PyResult<Py> {
    note(args, "wait_fd_write", libc::POLLOUT)
}

/// `ready_fd()`: what ended the last wait, -1: nothing but time.
fn ready_fd(_: &Args) -> PyResult<Py> {
    py::int(exchange_of("ready_fd")?.waits.take_ready().unwrap_or(-1).into())
}

/// `suspend()`: waits for what was noted; without that others have a turn, where there is a loop.
fn suspend(_: &Args) -> PyResult<Py> {
    match crate::exchange::current() {
        Some(exchange) if exchange.waits.are_there() => exchange.wait()?,
        _ if green::is_on() => green::sleep(&py::int(0)?)?,
        _ => {}
    }
    Ok(py::boolean(true))
}

fn green_schedule(args: &Args) -> PyResult<Py> {
    suspend(args)
}

/// `async_sleep(seconds)`; what it returns may be yielded as a part of the body.
fn async_sleep(args: &Args) -> PyResult<Py> {
    let seconds = args.need(0, "async_sleep")?;
    if green::is_on() {
        green::sleep(&seconds)?;
    } else {
        interpreter::import(c"time")?.attr(c"sleep")?.call(&[&seconds])?;
    }
    py::bytes(b"")
}

/// `async_connect(address)`: a descriptor at once; it can be written to when it is connected. -1: it failed.
fn async_connect(args: &Args) -> PyResult<Py> {
    let address = py::text_bytes(&args.need(0, "async_connect")?)?;
    py::int(net::connect(&address, 0, true).unwrap_or(-1).into())
}

/// Waits for one descriptor as long as `--socket-timeout` says, or so many seconds; whether it became ready.
pub fn one(fd: i32, events: c_short, seconds: i32) -> PyResult<bool> {
    let limit = if seconds > 0 { seconds } else { net::limit() };
    let limit = Duration::from_secs(u64::try_from(limit).unwrap_or(0));
    waiting::first_of(&[(fd, events)], Some(limit)).map(|ready| ready.is_some())
}
