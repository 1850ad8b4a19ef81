//! `--python-raw`: connections of `--raw-socket` in the hands of a function of Python, which gets the descriptor.

use crate::exchange::Exchange;
use crate::py::{self, Py, PyResult};
use crate::{exception, interpreter, module, settings};
use pyo3_ffi::{PyCallable_Check, PyErr_Occurred, PyIter_Next, PyObject, PyObject_GetIter};
use rsgi_plugin_api::abi::{UWSGI_OK, WsgiRequest};
use rsgi_plugin_api::log;
use std::ffi::CStr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The function; it lives as long as the process.
static HANDLER: AtomicPtr<PyObject> = AtomicPtr::new(std::ptr::null_mut());

/// Loads the file, where applications are loaded.
pub fn load() {
    let Some(path) = &settings::get().raw else { return };
    let loaded: PyResult<()> = (|| {
        let module = interpreter::support(c"load_file", &[&py::path(path)?])?;
        let handler = module.attr(c"application")?;
        // SAFETY: a live object.
        if unsafe { PyCallable_Check(handler.as_ptr()) } == 0 {
            return Err(py::type_error("application is no function"));
        }
        HANDLER.store(handler.into_ptr(), Ordering::Release);
        Ok(())
    })();
    let name = String::from_utf8_lossy(path);
    match loaded {
        Ok(()) => log::line(&format!("{name} serves raw connections")),
        Err(_) => {
            exception::print_current();
            log::line(&format!(
                "--python-raw {name}: there is no function application(fd); raw connections are closed"
            ));
        }
    }
}

/// Whether this is a connection of a raw socket, and some file was named for them.
pub fn is_wanted(req: *mut WsgiRequest) -> bool {
    // SAFETY: the host's request of this core; a socket's name is NULL or NUL-terminated.
    let is_raw = || unsafe {
        let socket = (*req).socket;
        !socket.is_null() && !(*socket).proto_name.is_null() && CStr::from_ptr((*socket).proto_name) == c"raw"
    };
    settings::get().raw.is_some() && is_raw()
}

/// Calls the function with the descriptor; what it returns, bytes or parts of them, is sent. The connection is closed
/// then.
pub fn serve(req: *mut WsgiRequest) -> i32 {
    let handler = HANDLER.load(Ordering::Acquire);
    if handler.is_null() {
        return -1;
    }
    Exchange::new(req).enter(|exchange| {
        // SAFETY: a function that lives for ever; the host's request of this core.
        let answered = unsafe {
            let fd = (*req).fd;
            let called = Py::borrowed(handler).and_then(|handler| handler.call(&[&py::int(fd.into())?]));
            called.and_then(|result| send(exchange, fd, &result))
        };
        if answered.is_err() {
            exception::print_current();
        }
        UWSGI_OK
    })
}

/// Sends bytes, or the parts of an iterable; what the application waits for between them is waited for.
fn send(exchange: &Exchange, fd: i32, result: &Py) -> PyResult<()> {
    if result.is_none() {
        return Ok(());
    }
    // SAFETY: a live object that outlives the slice.
    if let Some(bytes) = unsafe { py::bytes_of(result.as_ptr()) } {
        return module::deliver(fd, bytes);
    }
    // SAFETY: a live object.
    let parts = unsafe { Py::new(PyObject_GetIter(result.as_ptr()))? };
    loop {
        // SAFETY: an iterator; NULL means the end, or an exception.
        let Ok(part) = (unsafe { Py::new(PyIter_Next(parts.as_ptr())) }) else {
            // SAFETY: the GIL is held.
            return if unsafe { PyErr_Occurred() }.is_null() {
                Ok(())
            } else {
                Err(py::Raised)
            };
        };
        module::deliver(fd, &py::text_bytes(&part)?)?;
        exchange.wait()?;
    }
}
