//! Which request a piece of asynchronous code belongs to: a context variable, set while the application is called, so
//! that its tasks, and threads that take their context along (`asyncio.to_thread`), know it for `uwsgi.*`.

use super::exchange::Exchange;
use crate::py::{self, Py, PyResult};
use pyo3_ffi::PyObject;
use rsgi_plugin_api::abi::WsgiRequest;
use std::ffi::{CStr, c_char, c_int};
use std::sync::atomic::{AtomicPtr, Ordering};

// not in the stable ABI, but in every CPython since 3.7.1, and unchanged
unsafe extern "C" {
    fn PyContextVar_New(name: *const c_char, default: *mut PyObject) -> *mut PyObject;
    fn PyContextVar_Get(variable: *mut PyObject, default: *mut PyObject, value: *mut *mut PyObject) -> c_int;
    fn PyContextVar_Set(variable: *mut PyObject, value: *mut PyObject) -> *mut PyObject;
    fn PyContextVar_Reset(variable: *mut PyObject, token: *mut PyObject) -> c_int;
}

const NAME: &CStr = c"uwsgi.request";
/// The variable, once a worker has an event loop.
static VARIABLE: AtomicPtr<PyObject> = AtomicPtr::new(std::ptr::null_mut());

/// Makes the variable; once, in the worker.
pub fn prepare() -> PyResult<()> {
    // SAFETY: a NUL-terminated name, no default.
    let variable = unsafe { Py::new(PyContextVar_New(NAME.as_ptr(), std::ptr::null_mut()))? };
    VARIABLE.store(variable.into_ptr(), Ordering::Release);
    Ok(())
}

/// What the variable was before; it is so again when this is dropped.
pub struct Inside(Py);

/// Code that begins from here on belongs to this request.
pub fn enter(exchange: &Exchange) -> PyResult<Inside> {
    // SAFETY: a variable of ours and a live object.
    unsafe {
        Py::new(PyContextVar_Set(
            VARIABLE.load(Ordering::Relaxed),
            exchange.object().as_ptr(),
        ))
    }
    .map(Inside)
}

impl Drop for Inside {
    fn drop(&mut self) {
        // an exception of the application may be on its way: `enter` and this see no Python code, so it stays as it is
        // SAFETY: the variable and the token that it gave.
        if unsafe { PyContextVar_Reset(VARIABLE.load(Ordering::Relaxed), self.0.as_ptr()) } < 0 {
            py::clear();
        }
    }
}

/// The request that the running code belongs to, if that is not over.
pub fn current() -> Option<*mut WsgiRequest> {
    let variable = VARIABLE.load(Ordering::Acquire);
    if variable.is_null() {
        return None;
    }
    let mut value = std::ptr::null_mut();
    // SAFETY: a variable of ours; the value is a new reference, or NULL where there is none.
    let object = unsafe {
        if PyContextVar_Get(variable, std::ptr::null_mut(), &mut value) < 0 {
            py::clear();
            return None;
        }
        (!value.is_null()).then(|| Py::new(value))?.ok()?
    };
    Exchange::request_of(object)
}
