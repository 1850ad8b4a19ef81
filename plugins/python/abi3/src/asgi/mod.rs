//! ASGI 3: applications on an event loop that watches the host's descriptor. The host accepts, reads, parses and frames;
//! here a request becomes a scope and a task, and what happens to it becomes messages. Runs as the worker hook, in the
//! worker's main thread, with the GIL.

mod context;
mod exchange;
mod messages;
mod scope;
mod task;
mod waiter;

pub use context::{current, leave};

use crate::py::{self, Args, Function, Py, PyResult};
use crate::{autoreload, exception, gil, interpreter, request, settings};
use exchange::Exchange;
use pyo3_ffi::*;
use rsgi_plugin_api::abi::{RsgiEvents, UwsgiApp, WsgiRequest};
use rsgi_plugin_api::{log, sys};
use std::cell::RefCell;
use std::ffi::{CStr, c_int};
use std::sync::Mutex;

/// Exit code of a worker whose applications cannot begin.
pub const CANNOT_BEGIN: c_int = 22;

/// An application as the loop sees it.
struct App {
    callable: *mut std::ffi::c_void,
    /// The dict of its lifespan, if it has one; `None` for a WSGI application.
    is_asgi: bool,
    state: Option<Py>,
}

thread_local! {
    static APPS: RefCell<std::mem::ManuallyDrop<Vec<App>>> = const { RefCell::new(std::mem::ManuallyDrop::new(Vec::new())) };
    static TURN: RefCell<std::mem::ManuallyDrop<Option<Turning>>> = const { RefCell::new(std::mem::ManuallyDrop::new(None)) };
}

/// What the loop calls.
struct Turning {
    call_soon: Py,
    stop: Py,
    turn: Py,
    feed: Py,
    /// `context`: that of the worker. A turn that a request asks for begins others, which must not inherit from it.
    context: Py,
}

static BEGIN: Function = Function::new(py::method(c"begin", begin, METH_VARARGS));
static TURN_ROW: Function = Function::new(py::method(c"turn", turn, METH_NOARGS));
static FEED: Function = Function::new(py::method(c"feed", feed, METH_O));

static EVENTS: RsgiEvents = RsgiEvents {
    size: size_of::<RsgiEvents>(),
    modifier1: 0,
    whole_body: 0,
    request: Some(on_request),
    ready: Some(on_ready),
};

/// The applications of this process.
fn apps() -> &'static [UwsgiApp] {
    // SAFETY: the host's array of this process and its length; no app is added while requests are served.
    unsafe {
        let (first, count) = (sys::uwsgi_apps_of_process(), *sys::uwsgi_apps_cnt_of_process());
        match first.is_null() {
            true => &[],
            false => std::slice::from_raw_parts(first, count.max(0) as usize),
        }
    }
}

/// Callables that the operator named with `--asgi`, whatever they look like.
static NAMED: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// The operator says that this is an ASGI application.
pub fn name(callable: &Py) {
    let mut named = NAMED.lock().unwrap_or_else(|e| e.into_inner());
    named.push(callable.as_ptr() as usize);
}

/// Whether an application is called as `await app(scope, receive, send)`.
pub fn is_asgi(callable: &Py) -> bool {
    let address = callable.as_ptr() as usize;
    if NAMED.lock().unwrap_or_else(|e| e.into_inner()).contains(&address) {
        return true;
    }
    match interpreter::support(c"is_asgi", &[callable]) {
        // SAFETY: a live object.
        Ok(found) => unsafe { PyObject_IsTrue(found.as_ptr()) == 1 },
        Err(_) => {
            py::clear();
            false
        }
    }
}

/// The applications of Python in this process.
fn callables() -> Vec<Py> {
    let own = apps()
        .iter()
        .filter(|app| app.modifier1 == 0 && !app.callable.is_null());
    // SAFETY: a callable lives as long as its app's record.
    own.filter_map(|app| unsafe { Py::borrowed(app.callable.cast()) }.ok())
        .collect()
}

/// Whether this worker has an event loop: one of its applications needs it.
pub fn is_wanted() -> bool {
    callables().iter().any(is_asgi)
}

/// The worker's life; with the GIL.
pub fn run() {
    let settings = settings::get();
    let ran = (|| {
        // SAFETY: a new list; Append takes its own reference.
        let list = unsafe { Py::new(PyList_New(0))? };
        for callable in callables() {
            let row = py::tuple(&[&callable, &py::boolean(is_asgi(&callable))])?;
            // SAFETY: a list and a live object.
            py::check(unsafe { PyList_Append(list.as_ptr(), row.as_ptr()) })?;
        }
        let module = interpreter::import(c"_rsgi_asgi")?;
        module.attr(c"run")?.call(&[
            &list,
            &py::path(settings.asgi_loop.as_deref().unwrap_or(b"auto"))?,
            &py::path(settings.asgi_lifespan.as_deref().unwrap_or(b"auto"))?,
            &interpreter::import(c"uwsgi")?.attr(c"log")?,
            &BEGIN.object()?,
            &TURN_ROW.object()?,
        ])
    })();
    match ran {
        Ok(began) if began.is_none() => {}
        // SAFETY: an orderly end of this worker, in its main thread.
        Ok(_) => unsafe { sys::uwsgi_exit(CANNOT_BEGIN) },
        Err(_) => {
            exception::print_current();
            // SAFETY: as above.
            unsafe { sys::uwsgi_exit(CANNOT_BEGIN) }
        }
    }
}

/// `begin(loop, is_eager, [(app, is_asgi, state), ...])`: the applications have begun; the descriptor to watch.
unsafe extern "C" fn begin(_: *mut PyObject, args: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by our own Python half with the argument tuple.
    py::give(unsafe {
        (|| {
            let args = Args::new(args);
            let (event_loop, apps) = (args.need(0, "begin")?, args.need(2, "begin")?);
            let asyncio = interpreter::import(c"asyncio")?;
            waiter::prepare(&event_loop, &asyncio)?;
            task::prepare(&event_loop, &asyncio, args.int(1, 0)? != 0)?;
            messages::prepare()?;
            exchange::prepare()?;
            context::prepare()?;
            let mut known = Vec::new();
            for i in 0..PyList_Size(apps.as_ptr()) {
                let row = PyList_GetItem(apps.as_ptr(), i);
                let state = Py::borrowed(PyTuple_GetItem(row, 2))?;
                known.push(App {
                    callable: PyTuple_GetItem(row, 0).cast(),
                    is_asgi: PyObject_IsTrue(PyTuple_GetItem(row, 1)) == 1,
                    state: (!state.is_none()).then_some(state),
                });
            }
            APPS.set(std::mem::ManuallyDrop::new(known));
            TURN.set(std::mem::ManuallyDrop::new(Some(Turning {
                call_soon: event_loop.attr(c"call_soon")?,
                stop: event_loop.attr(c"stop")?,
                turn: TURN_ROW.object()?,
                feed: FEED.object()?,
                context: py::dict(&[(
                    c"context",
                    interpreter::import(c"contextvars")?.attr(c"copy_context")?.call(&[])?,
                )])?,
            })));
            match sys::rsgi_events_begin(&EVENTS) {
                -1 => Err(py::os_error("the host gives no events")),
                fd => py::int(fd.into()),
            }
        })()
    })
}

/// The descriptor is readable, or a turn was asked for.
unsafe extern "C" fn turn(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    if TURN.with_borrow(|turning| turning.is_none()) {
        // what the loop had still to call when it was told to stop
        return py::none().into_ptr();
    }
    // SAFETY: in the worker's main thread, from the loop.
    match unsafe { sys::rsgi_events_turn() } {
        0 => {}
        1 => {
            called(|turning| turning.stop.call(&[]));
            drop(std::mem::ManuallyDrop::into_inner(TURN.take()));
        }
        _ => turn_soon(),
    }
    py::none().into_ptr()
}

fn called(call: impl FnOnce(&Turning) -> PyResult<Py>) {
    let outcome = TURN.with_borrow(|turning| turning.as_ref().map(call));
    if let Some(Err(_)) = outcome {
        exception::print_current();
    }
}

/// Asks the loop for a turn.
pub fn turn_soon() {
    called(|turning| {
        let args = py::tuple(&[&turning.turn])?;
        // SAFETY: live objects: a callable, a tuple, a dict.
        unsafe {
            Py::new(PyObject_Call(
                turning.call_soon.as_ptr(),
                args.as_ptr(),
                turning.context.as_ptr(),
            ))
        }
    });
}

/// Lets those who wait for a message of a request have it, from the loop itself.
pub fn feed_soon(object: Py) {
    called(|turning| turning.call_soon.call(&[&turning.feed, &object]));
}

unsafe extern "C" fn feed(_: *mut PyObject, object: *mut PyObject) -> *mut PyObject {
    // SAFETY: what `feed_soon` gave to the loop.
    if let Ok(object) = unsafe { Py::borrowed(object) } {
        exchange::feed(object);
    }
    py::none().into_ptr()
}

/// The host has a request for us.
unsafe extern "C" fn on_request(req: *mut WsgiRequest) {
    crate::guarded("request", (), || gil::with(|| serve(req)));
}

/// Something happened to one.
unsafe extern "C" fn on_ready(req: *mut WsgiRequest, what: c_int) {
    crate::guarded("ready", (), || {
        gil::with(|| {
            if let Some(exchange) = Exchange::of(req) {
                exchange.notice(what);
            }
        })
    });
}

fn serve(req: *mut WsgiRequest) {
    if autoreload::stands_in(req) {
        // SAFETY: the host's request.
        unsafe { sys::rsgi_events_finish(req, 1) };
        return;
    }
    let Some(app) = request::find_app(req) else {
        log::line("--- no python application found, check your startup logs for errors ---");
        // SAFETY: the host's request.
        unsafe {
            sys::uwsgi_500(req);
            sys::rsgi_events_finish(req, 1);
        }
        return;
    };
    let known = APPS.with_borrow(|apps| {
        let found = apps.iter().find(|known| known.callable == app.callable);
        found.map(|known| (known.is_asgi, known.state.as_ref().map(Py::share)))
    });
    let Some((true, state)) = known else {
        // a WSGI application among others: the loop waits for it
        // SAFETY: the host's request.
        unsafe {
            sys::rsgi_events_wait(req);
            let rc = request::serve(req);
            sys::rsgi_events_finish(req, c_int::from(rc == 0));
        }
        return;
    };
    app.requests += 1;
    // SAFETY: the callable is alive, since the app's record owns a reference.
    let callable = unsafe { Py::borrowed(app.callable.cast()) };
    let begun = callable.and_then(|callable| call(req, &callable, state.as_ref()));
    if begun.is_err() {
        match Exchange::of(req) {
            Some(exchange) => exchange.end(false),
            None => {
                let rc = exception::report_of(req, false);
                // SAFETY: the host's request.
                unsafe { sys::rsgi_events_finish(req, c_int::from(rc == 0)) };
            }
        }
    }
}

/// Calls the application and lets it run as far as it gets.
fn call(req: *mut WsgiRequest, callable: &Py, state: Option<&Py>) -> PyResult<()> {
    // SAFETY: the host's request of this core.
    let (scope, kind) = scope::build(unsafe { &*req }, state)?;
    if kind == scope::Kind::Websocket && !speaks_our_version(req) {
        return Ok(());
    }
    let exchange = Exchange::begin(req, kind)?;
    let (receive, send) = exchange.functions()?;
    context::enter(&exchange)?;
    // SAFETY: live objects; the list ends with NULL.
    let coroutine = unsafe {
        Py::new(PyObject_CallFunctionObjArgs(
            callable.as_ptr(),
            scope.as_ptr(),
            receive.as_ptr(),
            send.as_ptr(),
            std::ptr::null_mut::<PyObject>(),
        ))?
    };
    let task = task::begin(coroutine)?;
    if task::is_done(&task) {
        exchange.end(task::has_returned(&task));
        return Ok(());
    }
    exchange.keep(task)
}

/// Whether a websocket's client speaks the version that there is; else it is told which.
fn speaks_our_version(req: *mut WsgiRequest) -> bool {
    let (key, mut len) = (c"HTTP_SEC_WEBSOCKET_VERSION", 0u16);
    // SAFETY: the host's request; the value lies in it.
    unsafe {
        let value = sys::uwsgi_get_var(req, key.as_ptr().cast_mut(), key.count_bytes() as u16, &mut len);
        if !value.is_null() && std::slice::from_raw_parts(value.cast::<u8>(), len.into()) == b"13" {
            return true;
        }
        let (status, name, version) = (c"426 Upgrade Required", c"Sec-WebSocket-Version", c"13");
        sys::uwsgi_response_prepare_headers(req, status.as_ptr().cast_mut(), status.count_bytes() as u16);
        sys::uwsgi_response_add_header(
            req,
            name.as_ptr().cast_mut(),
            name.count_bytes() as u16,
            version.as_ptr().cast_mut(),
            2,
        );
        sys::rsgi_events_finish(req, 1);
    }
    false
}

/// The name of the module that `interpreter` brings along, and its source.
pub const HALF: (&CStr, &str) = (c"_rsgi_asgi", include_str!("loop.py"));
