//! `uwsgi.*`: calls about the request that this thread serves.

use crate::asgi;
use crate::exchange::{self, Exchange};
use crate::gil;
use crate::py::{self, Args, Py, PyResult};
use rsgi_plugin_api::abi::WsgiRequest;
use rsgi_plugin_api::sys;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

super::functions! {
    connection_fd;
    request_id;
    cl;
    log_this_request;
    set_user_harakiri;
    add_var;
    route;
    sendfile;
    start_response;
    offload;
    set_logvar;
    get_logvar;
    disconnect;
    chunked_read;
    chunked_read_nb;
}

/// The WSGI request of this thread or greenlet, or an error that says there is none.
pub fn exchange_of<'a>(function: &str) -> PyResult<&'a Exchange> {
    exchange::current().ok_or_else(|| {
        let instead = match asgi::current() {
            Some(_) => "is for WSGI applications: an ASGI application awaits receive() and send()",
            None => "works only while a request is served, in the thread that serves it",
        };
        py::value_error(&format!("{function}() {instead}"))
    })
}

/// The host's request that is served here, by a WSGI or an ASGI application, or an error that says there is none.
fn current(function: &str) -> PyResult<*mut WsgiRequest> {
    match exchange::current() {
        Some(exchange) => Ok(exchange.req()),
        None => asgi::current().map_or_else(|| exchange_of(function).map(Exchange::req), Ok),
    }
}

fn connection_fd(_: &Args) -> PyResult<Py> {
    // SAFETY: the host's request, valid while its exchange lives.
    py::int(unsafe { (*current("connection_fd")?).fd }.into())
}

/// Requests that this core has served.
fn request_id(_: &Args) -> PyResult<Py> {
    let me = super::process::own_record();
    // SAFETY: our own record in shared memory and its array of cores.
    unsafe {
        let core = exchange::current().map_or(0, |x| (*x.req()).async_id.max(0) as usize);
        match me.as_ref() {
            Some(me) if !me.cores.is_null() => py::uint((*me.cores.add(core)).requests),
            _ => py::int(0),
        }
    }
}

fn cl(_: &Args) -> PyResult<Py> {
    // SAFETY: the host's request, valid while its exchange lives.
    py::uint(unsafe { (*current("cl")?).post_cl } as u64)
}

fn log_this_request(_: &Args) -> PyResult<Py> {
    // SAFETY: the host's request, valid while its exchange lives.
    unsafe { (*current("log_this_request")?).log_this = 1 };
    Ok(py::none())
}

fn set_user_harakiri(args: &Args) -> PyResult<Py> {
    args.need(0, "set_user_harakiri")?;
    let seconds = args.int(0, 0)?;
    let seconds = i32::try_from(seconds).map_err(|_| py::value_error("too many seconds"))?;
    let request = exchange::current().map(Exchange::req).or_else(asgi::current);
    // SAFETY: the host's request that is served here; without one the deadline is that of the process.
    unsafe {
        match request {
            Some(request) => sys::rsgi_set_harakiri(request, seconds),
            None => sys::set_harakiri(seconds),
        }
    }
    Ok(py::none())
}

/// `route(action, arguments)`: what a rule of internal routing would do.
fn route(args: &Args) -> PyResult<Py> {
    let text = |i: usize| -> PyResult<CString> {
        let text = py::text_bytes(&args.need(i, "route")?)?;
        CString::new(text).map_err(|_| py::value_error("the text contains a NUL"))
    };
    let (action, arguments) = (text(0)?, text(1)?);
    let request = current("route")?;
    // SAFETY: the host's request of this thread and two texts that it copies.
    let rc = unsafe { sys::uwsgi_route_api_func(request, action.as_ptr().cast_mut(), arguments.as_ptr().cast_mut()) };
    py::int(rc.into())
}

fn add_var(args: &Args) -> PyResult<Py> {
    let (key, value) = (
        py::text_bytes(&args.need(0, "add_var")?)?,
        py::text_bytes(&args.need(1, "add_var")?)?,
    );
    let request = current("add_var")?;
    let too_long = || py::value_error("unable to add request var, check your buffer size");
    let (Ok(key_len), Ok(value_len)) = (u16::try_from(key.len()), u16::try_from(value.len())) else {
        return Err(too_long());
    };
    // SAFETY: the host copies key and value.
    let place = unsafe {
        sys::uwsgi_req_append(
            request,
            key.as_ptr().cast_mut().cast(),
            key_len,
            value.as_ptr().cast_mut().cast(),
            value_len,
        )
    };
    if place.is_null() {
        Err(too_long())
    } else {
        Ok(py::boolean(true))
    }
}

/// `sendfile(path_or_fd[, chunk[, pos[, size]]])`: None when the file cannot be opened.
fn sendfile(args: &Args) -> PyResult<Py> {
    let exchange = exchange_of("sendfile")?;
    let what = args.need(0, "sendfile")?;
    let (from, len) = (args.int(2, 0)?.max(0), args.int(3, 0)?.max(0));
    let fd = match descriptor(&what)? {
        // SAFETY: the host closes the duplicate; the application closes its own.
        Some(fd) => unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) },
        None => {
            let path = py::text_bytes(&what)?;
            match std::fs::File::open(std::ffi::OsStr::from_bytes(&path)) {
                Ok(file) => std::os::fd::IntoRawFd::into_raw_fd(file),
                Err(_) => -1,
            }
        }
    };
    if fd < 0 {
        return Ok(py::none());
    }
    exchange.started.set(true);
    if exchange.send_file(fd, from as usize, len as usize) {
        return Ok(py::boolean(true));
    }
    // SAFETY: a plain read of the published view.
    match unsafe { sys::uwsgi.disable_write_exception } {
        0 => Err(py::os_error("write error")),
        _ => Ok(py::none()),
    }
}

/// The descriptor of an int or of an object with `fileno()`; `None` for a path.
fn descriptor(what: &Py) -> PyResult<Option<i32>> {
    // SAFETY: a live object.
    unsafe {
        if pyo3_ffi::PyUnicode_Check(what.as_ptr()) != 0 || pyo3_ffi::PyBytes_Check(what.as_ptr()) != 0 {
            return Ok(None);
        }
        let fd = pyo3_ffi::PyObject_AsFileDescriptor(what.as_ptr());
        if fd < 0 { Err(py::Raised) } else { Ok(Some(fd)) }
    }
}

/// `start_response(status, headers)`: that of the request in work, for code that was not given it.
fn start_response(args: &Args) -> PyResult<Py> {
    let responder = exchange_of("start_response")?.responder.get();
    // SAFETY: borrowed while the application runs, which this is called from.
    unsafe { Py::borrowed(responder)? }.call_with(args)
}

/// `offload(...)`: uWSGI has the name and does nothing, too.
fn offload(_: &Args) -> PyResult<Py> {
    py::bytes(b"")
}

fn set_logvar(args: &Args) -> PyResult<Py> {
    let (key, value) = (
        py::text_bytes(&args.need(0, "set_logvar")?)?,
        py::text_bytes(&args.need(1, "set_logvar")?)?,
    );
    let request = current("set_logvar")?;
    let (Ok(key_len), Ok(value_len)) = (u8::try_from(key.len()), u8::try_from(value.len())) else {
        return Err(py::value_error(
            "name and value of a log variable have 255 bytes at most",
        ));
    };
    let (key, value) = (key.as_ptr().cast_mut().cast(), value.as_ptr().cast_mut().cast());
    // SAFETY: the host copies key and value.
    unsafe { sys::uwsgi_logvar_add(request, key, key_len, value, value_len) };
    Ok(py::none())
}

fn get_logvar(args: &Args) -> PyResult<Py> {
    let key = py::text_bytes(&args.need(0, "get_logvar")?)?;
    let request = current("get_logvar")?;
    let Ok(key_len) = u8::try_from(key.len()) else {
        return Ok(py::none());
    };
    let mut value = std::ptr::null_mut();
    // SAFETY: the host sets the pointer to bytes that live as long as the request, and returns how many.
    unsafe {
        match sys::rsgi_logvar_get(request, key.as_ptr().cast_mut().cast(), key_len, &mut value) {
            n if n < 0 || value.is_null() => Ok(py::none()),
            n => py::bytes(std::slice::from_raw_parts(value.cast::<u8>(), n as usize)),
        }
    }
}

fn disconnect(_: &Args) -> PyResult<Py> {
    let request = current("disconnect")?;
    // SAFETY: the host's request that is served here.
    unsafe { sys::uwsgi_disconnect(request) };
    if let Some(exchange) = exchange::current() {
        exchange.gone.set(true);
    }
    Ok(py::none())
}

/// `chunked_read([timeout])`: the next chunk of the body, empty at the end.
fn chunked_read(args: &Args) -> PyResult<Py> {
    // an event loop must not wait here
    exchange_of("chunked_read")?;
    let timeout = args.int(0, 0)?.clamp(0, i32::MAX.into()) as i32;
    match chunk("chunked_read", timeout, false)? {
        Some(chunk) => Ok(chunk),
        None => Err(py::os_error("unable to receive chunked part")),
    }
}

/// `chunked_read_nb()`: the same without waiting; None when nothing is there yet.
fn chunked_read_nb(_: &Args) -> PyResult<Py> {
    match chunk("chunked_read_nb", 0, true)? {
        Some(chunk) => Ok(chunk),
        None if std::io::Error::last_os_error().kind() == std::io::ErrorKind::WouldBlock => Ok(py::none()),
        None => Err(py::os_error("unable to receive chunked part")),
    }
}

/// `None`: errno tells why there is none.
fn chunk(function: &str, timeout: i32, at_once: bool) -> PyResult<Option<Py>> {
    let request = current(function)? as usize;
    let mut len = 0usize;
    // SAFETY: the host's request of this core; the chunk is valid until the next read.
    let data = gil::released(|| unsafe {
        sys::uwsgi_chunked_read(request as *mut WsgiRequest, &mut len, timeout, at_once.into()) as usize
    });
    match data {
        0 => Ok(None),
        // SAFETY: the host returned so many valid bytes.
        p => py::bytes(unsafe { std::slice::from_raw_parts(p as *const u8, len) }).map(Some),
    }
}
