//! `uwsgi.*`: signals and what raises them by itself. A handler is kept as a reference that lives as long as the
//! process; the host hands it back to [`handle`].

use crate::py::{self, Args, Py, PyResult};
use crate::{exception, gil, green};
use pyo3_ffi::{PyCallable_Check, PyIndex_Check, PyObject};
use rsgi_plugin_api::sys;
use std::ffi::{CStr, CString, c_int, c_void};

super::functions! {
    register_signal;
    unregister_signal;
    signal;
    signal_registered;
    signal_wait;
    signal_received;
    signal_coalesce;
    add_timer;
    add_ms_timer;
    add_rb_timer;
    add_cron;
    add_file_monitor;
    del_timer;
    del_cron;
    del_file_monitor;
}

/// The slot of this plugin: the host hands signals to whoever sits there.
const MODIFIER1: u8 = 0;
/// Kinds of sources, as `rsgi_remove_source` numbers them.
const TIMER: c_int = 0;
const CRON: c_int = 1;
const FILE_MONITOR: c_int = 2;

/// A handler of ours is to be run; 0: it ran to its end.
pub fn handle(signal: u8, handler: *mut c_void) -> c_int {
    gil::with(|| {
        // SAFETY: a callable that `register_signal` took a reference to for good.
        let handler = unsafe { Py::borrowed(handler.cast()) };
        let called = handler.and_then(|handler| {
            let number = py::int(signal.into())?;
            match green::is_on() {
                // it may wait, which the loop itself cannot
                true => green::spawn(&handler, &number),
                false => handler.call(&[&number]).map(drop),
            }
        });
        match called {
            Ok(_) => 0,
            Err(py::Raised) => {
                exception::print_current();
                -1
            }
        }
    })
}

/// `Err` with the host's own words behind ours.
fn host_error(what: &str) -> py::Raised {
    // SAFETY: the host's text of this thread, valid until its next call.
    let why = unsafe { CStr::from_ptr(sys::rsgi_signal_error()) };
    py::value_error(&format!("{what}: {}", why.to_string_lossy()))
}

fn done(rc: c_int, what: &str) -> PyResult<Py> {
    if rc < 0 { Err(host_error(what)) } else { Ok(py::none()) }
}

/// Exactly so many arguments.
fn count(args: &Args, function: &str, least: usize, most: usize) -> PyResult<()> {
    if (least..=most).contains(&args.len()) {
        return Ok(());
    }
    let wanted = if least == most {
        least.to_string()
    } else {
        format!("{least} to {most}")
    };
    Err(py::type_error(&format!(
        "{function}() takes {wanted} arguments ({} given)",
        args.len()
    )))
}

/// Argument `i` as an int; a float is none.
fn int(args: &Args, i: usize, default: i64) -> PyResult<i64> {
    if let Some(value) = args.get(i)
        // SAFETY: a live object.
        && unsafe { PyIndex_Check(value.as_ptr()) } == 0
    {
        return Err(py::type_error("an integer is required"));
    }
    args.int(i, default)
}

/// Argument `i` as a signal's number.
fn number(args: &Args, i: usize) -> PyResult<u8> {
    let n = int(args, i, 0)?;
    u8::try_from(n).map_err(|_| py::value_error(&format!("{n} is no signal: give a number from 0 to 255")))
}

/// Argument `i` as a small int.
fn small(args: &Args, i: usize, default: i64) -> PyResult<c_int> {
    let n = int(args, i, default)?;
    c_int::try_from(n).map_err(|_| py::value_error(&format!("{n} is out of range")))
}

fn text(args: &Args, i: usize, function: &str) -> PyResult<CString> {
    let text = py::text_bytes(&args.need(i, function)?)?;
    CString::new(text).map_err(|_| py::value_error("the text contains a NUL"))
}

/// `register_signal(number, target, callable)`
fn register_signal(args: &Args) -> PyResult<Py> {
    count(args, "register_signal", 3, 3)?;
    let signal = number(args, 0)?;
    let target = text(args, 1, "register_signal")?;
    let handler = args.need(2, "register_signal")?;
    // SAFETY: a live object.
    if unsafe { PyCallable_Check(handler.as_ptr()) } == 0 {
        return Err(py::type_error("a signal handler must be callable"));
    }
    let kept: *mut PyObject = handler.as_ptr();
    // SAFETY: the host copies the target; the handler stays alive below, once it is registered.
    let rc = unsafe { sys::uwsgi_register_signal(signal, target.as_ptr().cast_mut(), kept.cast(), MODIFIER1) };
    if rc < 0 {
        return Err(host_error("unable to register signal"));
    }
    // other threads may be inside one that was replaced, so none is ever let go
    let _ = handler.into_ptr();
    Ok(py::none())
}

/// `unregister_signal(number)`
fn unregister_signal(args: &Args) -> PyResult<Py> {
    count(args, "unregister_signal", 1, 1)?;
    // SAFETY: callable in the master and in workers; elsewhere the host refuses.
    done(
        unsafe { sys::rsgi_unregister_signal(number(args, 0)?) },
        "unable to unregister signal",
    )
}

/// `signal(number[, address])`
fn signal(args: &Args) -> PyResult<Py> {
    count(args, "signal", 1, 2)?;
    let signal = number(args, 0)?;
    if args.len() == 1 {
        // SAFETY: callable anywhere.
        return match unsafe { sys::uwsgi_signal_send(-1, signal) } {
            0 => Ok(py::none()),
            _ => {
                // SAFETY: the host's text of this thread.
                let why = unsafe { CStr::from_ptr(sys::rsgi_signal_error()) };
                Err(py::os_error(&why.to_string_lossy()))
            }
        };
    }
    let address = text(args, 1, "signal")?;
    // SAFETY: callable anywhere; it may wait for the other node.
    match gil::released(|| unsafe { sys::uwsgi_remote_signal_send(address.as_ptr().cast_mut(), signal) }) {
        1 => Ok(py::none()),
        0 => Err(py::value_error(&format!(
            "node {} rejected signal {signal}",
            address.to_string_lossy()
        ))),
        _ => Err(py::os_error(&format!(
            "unable to deliver signal {signal} to node {}",
            address.to_string_lossy()
        ))),
    }
}

/// `signal_registered(number)`: True or None.
fn signal_registered(args: &Args) -> PyResult<Py> {
    count(args, "signal_registered", 1, 1)?;
    // SAFETY: callable anywhere.
    Ok(match unsafe { sys::uwsgi_signal_registered(number(args, 0)?) } {
        0 => py::none(),
        _ => py::boolean(true),
    })
}

/// `signal_wait([number])`
fn signal_wait(args: &Args) -> PyResult<Py> {
    count(args, "signal_wait", 0, 1)?;
    let wanted = match args.len() {
        0 => -1,
        _ => c_int::from(number(args, 0)?),
    };
    if green::is_on() {
        green::signals::wait(u8::try_from(wanted).ok())?;
        return py::bytes(b"");
    }
    // SAFETY: callable in any thread; handlers take the GIL themselves.
    match gil::released(|| unsafe { sys::uwsgi_signal_wait(wanted) }) {
        0.. => py::bytes(b""),
        _ => {
            // SAFETY: the host's text of this thread.
            let why = unsafe { CStr::from_ptr(sys::rsgi_signal_error()) };
            Err(py::system_error(&why.to_string_lossy()))
        }
    }
}

/// `signal_received()`
fn signal_received(_: &Args) -> PyResult<Py> {
    if let Some(signal) = green::signals::received() {
        return py::int(signal.into());
    }
    // SAFETY: callable anywhere.
    py::int(unsafe { sys::rsgi_signal_received() }.into())
}

/// `signal_coalesce(number[, once])`: whether it is raised once while it waits.
fn signal_coalesce(args: &Args) -> PyResult<Py> {
    count(args, "signal_coalesce", 1, 2)?;
    let (signal, once) = (number(args, 0)?, small(args, 1, 1)?);
    // SAFETY: callable anywhere.
    let rc = unsafe { sys::rsgi_signal_coalesce(signal, once) };
    done(rc, "unable to coalesce signal")
}

fn timer(args: &Args, function: &str, period: i64) -> PyResult<Py> {
    let signal = number(args, 0)?;
    let iterations = small(args, 2, 0)?;
    // SAFETY: callable in the master and in workers; elsewhere the host refuses.
    done(unsafe { sys::rsgi_add_timer(signal, period, iterations) }, function)
}

/// `add_timer(number, seconds[, iterations])`
fn add_timer(args: &Args) -> PyResult<Py> {
    count(args, "add_timer", 2, 3)?;
    number(args, 0)?;
    timer(args, "unable to add timer", args.nanoseconds(1)?)
}

/// `add_ms_timer(number, milliseconds[, iterations])`
fn add_ms_timer(args: &Args) -> PyResult<Py> {
    count(args, "add_ms_timer", 2, 3)?;
    timer(args, "unable to add timer", int(args, 1, 0)?.saturating_mul(1_000_000))
}

/// `add_rb_timer(number, seconds[, iterations])`
fn add_rb_timer(args: &Args) -> PyResult<Py> {
    count(args, "add_rb_timer", 2, 3)?;
    number(args, 0)?;
    timer(args, "unable to add rb_timer", args.nanoseconds(1)?)
}

/// `add_cron(number, minute, hour, day, month, weekday)`
fn add_cron(args: &Args) -> PyResult<Py> {
    count(args, "add_cron", 6, 6)?;
    let signal = number(args, 0)?;
    let mut f = [0; 5];
    for (i, field) in f.iter_mut().enumerate() {
        *field = small(args, i + 1, 0)?;
    }
    // SAFETY: callable in the master and in workers; elsewhere the host refuses.
    let rc = unsafe { sys::uwsgi_signal_add_cron(signal, f[0], f[1], f[2], f[3], f[4]) };
    done(rc, "unable to add cron")?;
    Ok(py::boolean(true))
}

/// `add_file_monitor(number, path[, iterations[, recursive]])`
fn add_file_monitor(args: &Args) -> PyResult<Py> {
    count(args, "add_file_monitor", 2, 4)?;
    let signal = number(args, 0)?;
    let path = text(args, 1, "add_file_monitor")?;
    let (iterations, recursive) = (small(args, 2, 0)?, small(args, 3, 0)?);
    // SAFETY: the host copies the path.
    let rc = unsafe { sys::rsgi_add_file_monitor(signal, path.as_ptr(), iterations, recursive) };
    done(rc, "unable to add file monitor")
}

fn remove(args: &Args, function: &str, kind: c_int) -> PyResult<Py> {
    count(args, function, 1, 1)?;
    // SAFETY: callable in the master and in workers; elsewhere the host refuses.
    done(unsafe { sys::rsgi_remove_source(number(args, 0)?, kind) }, function)
}

/// `del_timer(number)`: all timers of a signal.
fn del_timer(args: &Args) -> PyResult<Py> {
    remove(args, "del_timer", TIMER)
}

/// `del_cron(number)`: all crons of a signal.
fn del_cron(args: &Args) -> PyResult<Py> {
    remove(args, "del_cron", CRON)
}

/// `del_file_monitor(number)`: all file monitors of a signal.
fn del_file_monitor(args: &Args) -> PyResult<Py> {
    remove(args, "del_file_monitor", FILE_MONITOR)
}
