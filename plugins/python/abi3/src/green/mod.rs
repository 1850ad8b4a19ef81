//! `--gevent` and `--asyncio`: WSGI requests in greenlets on an event loop that watches the host's descriptor. The host
//! reads bodies before a request begins and keeps what a client does not take, so that only here somebody waits: the
//! greenlet, while others go on. Runs as the worker hook, in the worker's main thread, with the GIL.

pub mod signals;

use crate::asgi;
use crate::exchange;
use crate::py::{self, Function, Py, PyResult};
use crate::waiting::Wanted;
use crate::{exception, gil, interpreter, request, settings};
use pyo3_ffi::*;
use rsgi_plugin_api::abi::{RSGI_LATE, RsgiEvents, WsgiRequest};
use rsgi_plugin_api::{log, sys};
use std::cell::RefCell;
use std::ffi::{CStr, c_int};
use std::mem::ManuallyDrop;
use std::time::Duration;

/// What a client may leave of an answer before its application waits.
const MOST_KEPT: usize = 64 * 1024;

/// Functions of the engine.
struct Engine {
    getcurrent: Py,
    begin: Py,
    end: Py,
    spawn: Py,
    wait: Py,
    wake: Py,
    late: Py,
    soon: Py,
    sleep: Py,
    wait_descriptors: Py,
    serve: Py,
}

thread_local! {
    static ENGINE: RefCell<ManuallyDrop<Option<Engine>>> = const { RefCell::new(ManuallyDrop::new(None)) };
}

static TURN: Function = Function::new(py::method(c"turn", turn, METH_NOARGS));
static SERVE: Function = Function::new(py::method(c"serve", serve, METH_O));

static EVENTS: RsgiEvents = RsgiEvents {
    size: size_of::<RsgiEvents>(),
    modifier1: 0,
    whole_body: 1,
    request: Some(on_request),
    ready: Some(on_ready),
};

/// The name of the module that `interpreter` brings along, and its source.
pub const HALF: (&CStr, &str) = (c"_rsgi_green", include_str!("loop.py"));

/// Whether requests run in greenlets.
pub fn is_on() -> bool {
    ENGINE.with_borrow(|engine| engine.is_some())
}

/// `--gevent-early-monkey-patch`: before applications are loaded.
pub fn patch_early() {
    if settings::get().early_monkey_patch {
        patch();
    }
}

fn patch() {
    let patched = interpreter::import(c"_rsgi_green").and_then(|half| half.attr(c"monkey_patch")?.call(&[]));
    if patched.is_err() {
        exception::explain_current("gevent");
    }
}

/// The worker's life; with the GIL.
pub fn run(engine: &str) {
    if settings::get().monkey_patch {
        patch();
    }
    let ran = (|| {
        let half = interpreter::import(c"_rsgi_green")?;
        let engine = half.attr(c"make")?.call(&[&py::string(engine)?, &TURN.object()?])?;
        ENGINE.set(ManuallyDrop::new(Some(Engine {
            getcurrent: engine.attr(c"getcurrent")?,
            begin: engine.attr(c"begin")?,
            end: engine.attr(c"end")?,
            spawn: engine.attr(c"spawn")?,
            wait: engine.attr(c"wait")?,
            wake: engine.attr(c"wake")?,
            late: engine.attr(c"late")?,
            soon: engine.attr(c"soon")?,
            sleep: engine.attr(c"sleep")?,
            wait_descriptors: engine.attr(c"wait_descriptors")?,
            serve: SERVE.object()?,
        })));
        // SAFETY: in the worker hook; the struct lives for ever.
        match unsafe { sys::rsgi_events_begin(&EVENTS) } {
            -1 => Err(py::os_error("the host gives no events")),
            fd => {
                // SAFETY: the host has begun; the function lives for ever.
                unsafe { sys::rsgi_events_on_signal(Some(signals::seen)) };
                engine.attr(c"run")?.call(&[&py::int(fd.into())?])
            }
        }
    })();
    if ran.is_err() {
        exception::explain_current(engine);
        // SAFETY: an orderly end of this worker, in its main thread.
        unsafe { sys::uwsgi_exit(asgi::CANNOT_BEGIN) }
    }
}

/// Calls a function of the engine; the engine is not borrowed meanwhile.
fn call(which: impl FnOnce(&Engine) -> &Py, args: &[&Py]) -> PyResult<Py> {
    let function = ENGINE.with_borrow(|engine| engine.as_ref().map(|engine| which(engine).share()));
    match function {
        Some(function) => function.call(args),
        None => Ok(py::none()),
    }
}

fn told(outcome: PyResult<Py>) {
    if outcome.is_err() {
        exception::print_current();
    }
}

/// A request as a number, for Python.
fn number(req: *mut WsgiRequest) -> PyResult<Py> {
    py::uint(req as u64)
}

/// Tells greenlets apart: the address of the one that runs; 0 without an engine.
pub fn current() -> usize {
    let known = ENGINE.with_borrow(|engine| engine.as_ref().map(|engine| engine.getcurrent.share()));
    match known.map(|getcurrent| getcurrent.call(&[])) {
        Some(Ok(greenlet)) => greenlet.as_ptr() as usize,
        Some(Err(py::Raised)) => {
            py::clear();
            0
        }
        None => 0,
    }
}

/// Waits until something happens to the request; `false`: its greenlet is to end.
pub fn wait(req: *mut WsgiRequest) -> PyResult<()> {
    call(|engine| &engine.wait, &[&number(req)?]).map(drop)
}

/// Waits until the client has taken most of what was sent.
pub fn hold_back(req: *mut WsgiRequest) -> PyResult<()> {
    // SAFETY: the host's request.
    while is_on() && unsafe { sys::rsgi_events_kept(req) } > MOST_KEPT {
        wait(req)?;
    }
    Ok(())
}

/// Waits under a key until somebody calls [`unpark`] with it.
fn park(key: i64) -> PyResult<()> {
    call(|engine| &engine.wait, &[&py::int(key)?]).map(drop)
}

/// Lets the greenlet go on that waits under a key.
fn unpark(key: i64) {
    gil::with(|| told(py::int(key).and_then(|key| call(|engine| &engine.wake, &[&key]))));
}

/// Waits until one of these descriptors is ready, while others run; `None`: the time is over.
pub fn wait_descriptors(wanted: &[Wanted], limit: Option<Duration>) -> PyResult<Option<c_int>> {
    let mut rows = Vec::with_capacity(wanted.len());
    for (fd, events) in wanted {
        let has = |event| py::boolean(events & event != 0);
        rows.push(py::tuple(&[
            &py::int((*fd).into())?,
            &has(libc::POLLIN),
            &has(libc::POLLOUT),
        ])?);
    }
    let seconds = match limit {
        Some(limit) => py::float(limit.as_secs_f64())?,
        None => py::none(),
    };
    let ready = call(|engine| &engine.wait_descriptors, &[&py::list(&rows)?, &seconds])?;
    // SAFETY: a live object: the int that the engine returned.
    let fd = unsafe { PyLong_AsLong(ready.as_ptr()) };
    Ok(c_int::try_from(fd).ok().filter(|fd| *fd >= 0))
}

/// Lets others run for so long.
pub fn sleep(seconds: &Py) -> PyResult<()> {
    call(|engine| &engine.sleep, &[seconds]).map(drop)
}

/// Runs a function in a greenlet of its own.
pub fn spawn(function: &Py, argument: &Py) -> PyResult<()> {
    call(|engine| &engine.spawn, &[function, argument]).map(drop)
}

unsafe extern "C" fn turn(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: in the worker's main thread, from the loop.
    py::give(py::int(unsafe { sys::rsgi_events_turn() }.into()))
}

/// The host has a request: it begins in a greenlet of its own.
unsafe extern "C" fn on_request(req: *mut WsgiRequest) {
    crate::guarded("request", (), || {
        gil::with(|| {
            let serve = ENGINE.with_borrow(|engine| engine.as_ref().map(|engine| engine.serve.share()));
            let begun = number(req).and_then(|number| match &serve {
                Some(serve) => call(|engine| &engine.begin, &[serve, &number]),
                None => Ok(py::none()),
            });
            if begun.is_err() {
                exception::print_current();
                // SAFETY: the host's request.
                unsafe { sys::rsgi_events_finish(req, 0) };
            }
        })
    });
}

/// Something happened to one: its greenlet goes on, or hears that it is late.
unsafe extern "C" fn on_ready(req: *mut WsgiRequest, what: c_int) {
    crate::guarded("ready", (), || {
        gil::with(|| {
            let late = what & RSGI_LATE != 0;
            if late {
                log::line("a request is over its time (--harakiri): its greenlet gets a TimeoutError");
            }
            told(
                number(req)
                    .and_then(|number| call(|engine| if late { &engine.late } else { &engine.wake }, &[&number])),
            );
        })
    });
}

/// The life of one request, in its greenlet.
unsafe extern "C" fn serve(_: *mut PyObject, number: *mut PyObject) -> *mut PyObject {
    // SAFETY: the number that `on_request` made of the host's request.
    let req = unsafe { PyLong_AsUnsignedLongLong(number) } as usize as *mut WsgiRequest;
    let rc = request::serve(req);
    exchange::forget(current());
    // SAFETY: as above; the request is the host's again.
    let again = unsafe {
        told(Py::borrowed(number).and_then(|number| call(|engine| &engine.end, &[&number])));
        sys::rsgi_events_finish(req, c_int::from(rc == 0)) == 1
    };
    if again {
        told(call(|engine| &engine.soon, &[]));
    }
    py::none().into_ptr()
}
