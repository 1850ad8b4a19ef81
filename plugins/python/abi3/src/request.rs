//! One request: find the application, call it, send what it returns, close it, tell what went wrong.

use crate::exchange::Exchange;
use crate::py::{self, Py, PyResult};
use crate::{autoreload, environ, exception, file_wrapper, gil, input, lifecycle, module, raw, response, surroundings};
use libc::iovec;
use pyo3_ffi::*;
use rsgi_plugin_api::abi::{UWSGI_OK, UwsgiApp, WsgiRequest};
use rsgi_plugin_api::{log, sys};

/// More parts than this in a list are sent in several calls.
const MANY: usize = 64;
/// So many parts are usual; room for more takes a while to lay out.
const FEW: usize = 4;

/// Serves a request. `UWSGI_OK`, or -1: the connection is to be cut.
pub fn serve(req: *mut WsgiRequest) -> i32 {
    // SAFETY: the host's request of this core.
    if unsafe { sys::uwsgi_parse_vars(req) } != 0 {
        return -1;
    }
    if raw::is_wanted(req) {
        return gil::with(|| raw::serve(req));
    }
    if autoreload::stands_in(req) {
        return UWSGI_OK;
    }
    let Some(app) = find_app(req).or_else(|| load_app(req)) else {
        log::line("--- no python application found, check your startup logs for errors ---");
        // SAFETY: as above.
        unsafe { sys::uwsgi_500(req) };
        return UWSGI_OK;
    };
    gil::with(|| {
        surroundings::refresh();
        Exchange::new(req).enter(|exchange| run(exchange, app))
    })
}

/// The app of the request's mountpoint, else the default one.
pub fn find_app(req: *mut WsgiRequest) -> Option<&'static mut UwsgiApp> {
    // SAFETY: the host's request of this core; the apps' array lives as long as the process.
    unsafe {
        let r = &mut *req;
        let mut id = -1;
        if r.appid_len > 0 {
            id = sys::uwsgi_get_app_id(req, r.appid, r.appid_len, 0);
        } else if r.file_len > 0 {
            id = sys::uwsgi_get_app_id(req, r.file, r.file_len, 0);
        }
        if id < 0 && r.file_len > 0 {
            return None; // it names a file of its own
        }
        if id < 0 && sys::uwsgi.no_default_app == 0 {
            id = sys::uwsgi.default_app;
        }
        if id < 0 || id >= *sys::uwsgi_apps_cnt_of_process() {
            return None;
        }
        let app = &mut *sys::uwsgi_apps_of_process().add(id as usize);
        if app.modifier1 != 0 || app.callable.is_null() {
            return None;
        }
        (*req).app_id = id;
        Some(app)
    }
}

/// `dynamic-apps`: the request names the file that its application is in. The host fills the field only when the
/// operator allows it.
fn load_app(req: *mut WsgiRequest) -> Option<&'static mut UwsgiApp> {
    // SAFETY: the host's request of this core: pointers and lengths are in step.
    let (mountpoint, file) = unsafe {
        let r = &*req;
        let field = |p: *const std::ffi::c_char, len: u16| match p.is_null() {
            true => &[][..],
            false => std::slice::from_raw_parts(p.cast::<u8>(), len.into()),
        };
        (field(r.appid, r.appid_len), field(r.file, r.file_len))
    };
    let mountpoint = if mountpoint.is_empty() { file } else { mountpoint };
    if file.is_empty() || gil::with(|| crate::app::mount(mountpoint, file)) < 0 {
        return None;
    }
    find_app(req)
}

/// How the answer ended.
enum Sent {
    /// Complete.
    Whole,
    /// The client has gone.
    Gone,
    /// `start_response` was never called.
    NotStarted,
}

fn run(exchange: &Exchange, app: &mut UwsgiApp) -> i32 {
    app.requests += 1;
    let this: *const Exchange = exchange;
    let (input, responder) = match (input::new(this), response::new(this)) {
        (Ok(input), Ok(responder)) => (input, responder),
        _ => return exception::report(exchange),
    };
    exchange.responder.set(responder.as_ptr());
    let outcome = call(exchange, app, &input, &responder);
    exchange.responder.set(std::ptr::null_mut());
    // the application may have kept them: they must not reach into the next request
    // SAFETY: instances of the two classes.
    unsafe {
        crate::exchange::Handle::tie(input.as_ptr(), std::ptr::null());
        crate::exchange::Handle::tie(responder.as_ptr(), std::ptr::null());
    }
    exchange.wait_for_others();
    if exchange.stop.get() {
        module::stop_now();
    }
    outcome
}

fn call(exchange: &Exchange, app: &UwsgiApp, input: &Py, responder: &Py) -> i32 {
    // SAFETY: the host's request of this core.
    let environ = match environ::build(unsafe { &*exchange.req() }, input) {
        Ok(environ) => environ,
        Err(_) => return exception::report(exchange),
    };
    module::set_env(&environ);
    if environ::has_events() {
        *exchange.environ.borrow_mut() = Some(environ.share());
    }
    if lifecycle::sees_requests() {
        if lifecycle::request_hooks(c"pre_request", &[&environ]).is_err() {
            return exception::report(exchange);
        }
        let code = answer(exchange, app, environ.share(), responder);
        lifecycle::after(exchange, &environ);
        return code;
    }
    answer(exchange, app, environ, responder)
}

/// Calls the application and sends what it returns.
fn answer(exchange: &Exchange, app: &UwsgiApp, environ: Py, responder: &Py) -> i32 {
    // SAFETY: the callable is alive, since the app's record owns a reference; the list ends with NULL.
    let result = unsafe {
        Py::new(PyObject_CallFunctionObjArgs(
            app.callable.cast(),
            environ.as_ptr(),
            responder.as_ptr(),
            std::ptr::null_mut::<PyObject>(),
        ))
    };
    drop(environ);
    let result = match result {
        Ok(result) => result,
        Err(_) => return exception::report(exchange),
    };
    let code = match send(exchange, &result) {
        Ok(Sent::Whole) => UWSGI_OK,
        Ok(Sent::Gone) => gone(exchange),
        Ok(Sent::NotStarted) => not_started(exchange),
        Err(_) => exception::report(exchange),
    };
    close(exchange, &result, code)
}

/// The one call of the result's `close`, whatever happened before.
fn close(exchange: &Exchange, result: &Py, code: i32) -> i32 {
    // SAFETY: a live object; the exact types of Python have no close.
    if unsafe { PyList_CheckExact(result.as_ptr()) != 0 || PyBytes_CheckExact(result.as_ptr()) != 0 } {
        return code;
    }
    let closed = match result.attr_opt(c"close") {
        Some(close) => close.call(&[]).map(drop),
        None => Ok(()),
    };
    match closed {
        Ok(()) => code,
        Err(_) if code == UWSGI_OK => {
            // the answer is complete: an exception here is logged and counted, but cannot change it
            exception::report(exchange);
            code
        }
        Err(_) => {
            exception::print_current();
            code
        }
    }
}

/// The client went away: silent, unless the operator wants to hear of it.
fn gone(exchange: &Exchange) -> i32 {
    // SAFETY: plain reads of the published view.
    let silent = unsafe { sys::uwsgi.disable_write_exception != 0 || sys::uwsgi.ignore_write_errors != 0 };
    if !silent {
        py::os_error("write error");
        exception::report(exchange);
    }
    -1
}

fn not_started(exchange: &Exchange) -> i32 {
    log::line(&format!(
        "the application returned from {} without calling start_response: 500 is sent; call start_response(status, headers) before the body",
        exchange.place()
    ));
    // SAFETY: the host's request of this core.
    unsafe { sys::uwsgi_500(exchange.req()) };
    UWSGI_OK
}

/// Sends the application's result.
fn send(exchange: &Exchange, result: &Py) -> PyResult<Sent> {
    let object = result.as_ptr();
    // SAFETY: a live object.
    unsafe {
        if PyList_CheckExact(object) != 0 {
            // a list has no close(), and without hooks nobody looks at the request any more
            exchange.returns_at_once.set(!lifecycle::sees_requests());
            return send_sequence(exchange, PyList_Size(object), |i| PyList_GetItem(object, i), result);
        }
        if PyTuple_CheckExact(object) != 0 {
            return send_sequence(exchange, PyTuple_Size(object), |i| PyTuple_GetItem(object, i), result);
        }
        if PyBytes_Check(object) != 0 {
            return Ok(finish(exchange, &[vector(result)]));
        }
        if PyUnicode_Check(object) != 0 {
            // a str is an iterable of strs; say it of the whole, not of its first letter
            return Err(response::not_bytes(result, "returned"));
        }
    }
    if file_wrapper::is_wrapper(result) {
        if !exchange.started.get() {
            return Ok(Sent::NotStarted);
        }
        if let Some(there) = file_wrapper::send(result, exchange) {
            return Ok(if there { Sent::Whole } else { Sent::Gone });
        }
    }
    send_iterable(exchange, result)
}

/// The bytes of a part, for the host.
fn vector(part: &Py) -> iovec {
    // SAFETY: `body_part` made sure that these are bytes; the caller keeps the object.
    let bytes = unsafe { py::bytes_of(part.as_ptr()) }.unwrap_or_default();
    iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    }
}

/// A list or tuple: everything in one go, so that the host can state the length.
fn send_sequence(
    exchange: &Exchange,
    len: Py_ssize_t,
    get: impl Fn(Py_ssize_t) -> *mut PyObject,
    whole: &Py,
) -> PyResult<Sent> {
    if len == 1 {
        // SAFETY: index 0 exists; the reference is ours from here on, since the GIL is given away while sending.
        let part = response::body_part(unsafe { Py::borrowed(get(0))? })?;
        return Ok(finish(exchange, &[vector(&part)]));
    }
    match len as usize {
        n if n <= FEW => send_parts::<FEW>(exchange, len, get),
        n if n <= MANY => send_parts::<MANY>(exchange, len, get),
        _ => send_iterable(exchange, whole),
    }
}

/// At most so many parts.
fn send_parts<const PARTS: usize>(
    exchange: &Exchange,
    len: Py_ssize_t,
    get: impl Fn(Py_ssize_t) -> *mut PyObject,
) -> PyResult<Sent> {
    let mut parts: [Option<Py>; PARTS] = [const { None }; PARTS];
    let empty = iovec {
        iov_base: std::ptr::null_mut(),
        iov_len: 0,
    };
    let mut vectors = [empty; PARTS];
    let mut count = 0;
    for i in 0..len {
        // SAFETY: the index exists; the reference is ours from here on.
        let part = response::body_part(unsafe { Py::borrowed(get(i))? })?;
        vectors[count] = vector(&part);
        if vectors[count].iov_len > 0 {
            parts[count] = Some(part);
            count += 1;
        }
    }
    let sent = finish(exchange, &vectors[..count]);
    drop(parts);
    Ok(sent)
}

/// The last bytes of the body.
fn finish(exchange: &Exchange, parts: &[iovec]) -> Sent {
    if !exchange.started.get() {
        return Sent::NotStarted;
    }
    let parts = if parts.len() == 1 && parts[0].iov_len == 0 {
        &[]
    } else {
        parts
    };
    if exchange.gone.get() || !exchange.send(parts, true) {
        Sent::Gone
    } else {
        Sent::Whole
    }
}

/// Anything else: each part is sent as it comes.
fn send_iterable(exchange: &Exchange, result: &Py) -> PyResult<Sent> {
    // SAFETY: a live object.
    let iterator = unsafe { Py::new(PyObject_GetIter(result.as_ptr())) };
    let iterator = match iterator {
        Ok(iterator) => iterator,
        Err(raised) => return Err(not_iterable(result, raised)),
    };
    loop {
        if exchange.gone.get() {
            return Ok(Sent::Gone);
        }
        exchange.wait()?;
        // SAFETY: an iterator; NULL means the end, or an exception.
        let Ok(part) = (unsafe { Py::new(PyIter_Next(iterator.as_ptr())) }) else {
            // SAFETY: the GIL is held.
            if !unsafe { PyErr_Occurred() }.is_null() {
                return Err(py::Raised);
            }
            return Ok(finish(exchange, &[]));
        };
        let part = response::body_part(part)?;
        let vector = vector(&part);
        if vector.iov_len == 0 {
            continue;
        }
        if !exchange.started.get() {
            return Ok(Sent::NotStarted);
        }
        if !exchange.send(&[vector], false) {
            return Ok(Sent::Gone);
        }
    }
}

/// What to say of a result that cannot be iterated: None and the like get a line of ours, an `__iter__` that raised
/// keeps its exception.
fn not_iterable(result: &Py, raised: py::Raised) -> py::Raised {
    // SAFETY: live objects; a class is asked, not the instance, so that no code of the application runs here.
    let iterable = unsafe { !PyType_GetSlot(Py_TYPE(result.as_ptr()), Py_tp_iter).is_null() };
    if iterable {
        return raised;
    }
    py::clear();
    response::not_bytes(result, "returned")
}
