//! `uwsgi.*`: signals and what raises them by itself. A handler is kept as a reference that lives as long as the
//! process; the host hands it back to [`handle`].

use crate::py::{self, Args, Py, PyResult};
use crate::{asgi, exception, gil, green};
use pyo3_ffi::{PyCallable_Check, PyIndex_Check};
use rsgi_plugin_api::HookError;
use rsgi_plugin_api::signal::{self as host, Source};
use std::ffi::{c_int, c_void};
use std::time::Duration;

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

/// A handler of ours is to be run; 0: it ran to its end.
pub fn handle(signal: u8, handler: *mut c_void) -> c_int {
    gil::with(|| {
        asgi::leave();
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

/// The host's answer, with our words before its own if it refuses.
fn done(answer: Result<(), HookError>, what: &str) -> PyResult<Py> {
    match answer {
        Ok(()) => Ok(py::none()),
        Err(error) => Err(py::value_error(&format!("{what}: {error}"))),
    }
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

/// `register_signal(number, target, callable)`
fn register_signal(args: &Args) -> PyResult<Py> {
    count(args, "register_signal", 3, 3)?;
    let signal = number(args, 0)?;
    let target = py::text_bytes(&args.need(1, "register_signal")?)?;
    let handler = args.need(2, "register_signal")?;
    // SAFETY: a live object.
    if unsafe { PyCallable_Check(handler.as_ptr()) } == 0 {
        return Err(py::type_error("a signal handler must be callable"));
    }
    let registered = host::register(signal, &target, handler.as_ptr() as usize, MODIFIER1);
    done(registered, "unable to register signal")?;
    // other threads may be inside one that was replaced, so none is ever let go
    let _ = handler.into_ptr();
    Ok(py::none())
}

/// `unregister_signal(number)`
fn unregister_signal(args: &Args) -> PyResult<Py> {
    count(args, "unregister_signal", 1, 1)?;
    done(host::unregister(number(args, 0)?), "unable to unregister signal")
}

/// `signal(number[, address])`
fn signal(args: &Args) -> PyResult<Py> {
    count(args, "signal", 1, 2)?;
    let signal = number(args, 0)?;
    if args.len() == 1 {
        let raised = host::raise(signal);
        return raised
            .map(|()| py::none())
            .map_err(|error| py::os_error(&error.to_string()));
    }
    let address = py::text_bytes(&args.need(1, "signal")?)?;
    let name = String::from_utf8_lossy(&address);
    match gil::released(|| host::raise_at(&address, signal)) {
        Ok(true) => Ok(py::none()),
        Ok(false) => Err(py::value_error(&format!("node {name} rejected signal {signal}"))),
        Err(_) => Err(py::os_error(&format!(
            "unable to deliver signal {signal} to node {name}"
        ))),
    }
}

/// `signal_registered(number)`: True or None.
fn signal_registered(args: &Args) -> PyResult<Py> {
    count(args, "signal_registered", 1, 1)?;
    Ok(py::true_or_none(host::is_registered(number(args, 0)?)))
}

/// `signal_wait([number])`
fn signal_wait(args: &Args) -> PyResult<Py> {
    count(args, "signal_wait", 0, 1)?;
    let wanted = match args.len() {
        0 => None,
        _ => Some(number(args, 0)?),
    };
    if green::is_on() {
        green::signals::wait(wanted)?;
        return py::bytes(b"");
    }
    // handlers take the GIL themselves
    match gil::released(|| host::wait(wanted)) {
        Ok(_) => py::bytes(b""),
        Err(error) => Err(py::system_error(&error.to_string())),
    }
}

/// `signal_received()`
fn signal_received(_: &Args) -> PyResult<Py> {
    if let Some(signal) = green::signals::received() {
        return py::int(signal.into());
    }
    py::int(host::received().map_or(-1, i64::from))
}

/// `signal_coalesce(number[, once])`: whether it is raised once while it waits.
fn signal_coalesce(args: &Args) -> PyResult<Py> {
    count(args, "signal_coalesce", 1, 2)?;
    let (signal, once) = (number(args, 0)?, small(args, 1, 1)?);
    done(host::coalesce(signal, once != 0), "unable to coalesce signal")
}

/// Argument `i` as a number of times, 0: for ever.
fn times(args: &Args, i: usize) -> PyResult<u32> {
    let n = small(args, i, 0)?;
    u32::try_from(n).map_err(|_| py::value_error(&format!("{n} is no number of times")))
}

fn timer(args: &Args, function: &str, nanoseconds: i64) -> PyResult<Py> {
    // what cannot be a period is like none, which the host refuses
    let period = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0));
    done(host::add_timer(number(args, 0)?, period, times(args, 2)?), function)
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
    done(host::add_cron(signal, f), "unable to add cron")?;
    Ok(py::boolean(true))
}

/// `add_file_monitor(number, path[, iterations[, recursive]])`
fn add_file_monitor(args: &Args) -> PyResult<Py> {
    count(args, "add_file_monitor", 2, 4)?;
    let signal = number(args, 0)?;
    let path = py::text_bytes(&args.need(1, "add_file_monitor")?)?;
    let (iterations, recursive) = (times(args, 2)?, small(args, 3, 0)? != 0);
    let added = host::add_file_monitor(signal, &path, iterations, recursive);
    done(added, "unable to add file monitor")
}

fn remove(args: &Args, function: &str, source: Source) -> PyResult<Py> {
    count(args, function, 1, 1)?;
    done(host::remove(number(args, 0)?, source), function)
}

/// `del_timer(number)`: all timers of a signal.
fn del_timer(args: &Args) -> PyResult<Py> {
    remove(args, "del_timer", Source::Timer)
}

/// `del_cron(number)`: all crons of a signal.
fn del_cron(args: &Args) -> PyResult<Py> {
    remove(args, "del_cron", Source::Cron)
}

/// `del_file_monitor(number)`: all file monitors of a signal.
fn del_file_monitor(args: &Args) -> PyResult<Py> {
    remove(args, "del_file_monitor", Source::FileMonitor)
}
