//! Which request a piece of asynchronous code belongs to: a context variable, set while the application is called, so
//! that its tasks, and threads that take their context along (`asyncio.to_thread`), know it for `uwsgi.*`.

use super::exchange::Exchange;
use crate::py::{self, Py, PyResult};
use pyo3_ffi::{Py_None, PyObject};
use rsgi_plugin_api::abi::WsgiRequest;
use std::ffi::{CStr, c_char, c_int};
use std::sync::atomic::{AtomicPtr, Ordering};

// not in the stable ABI, but in every CPython since 3.7.1, and unchanged
unsafe extern "C" {
    fn PyContextVar_New(name: *const c_char, default: *mut PyObject) -> *mut PyObject;
    fn PyContextVar_Get(variable: *mut PyObject, default: *mut PyObject, value: *mut *mut PyObject) -> c_int;
    fn PyContextVar_Set(variable: *mut PyObject, value: *mut PyObject) -> *mut PyObject;
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

/// Code that the loop begins from here on belongs to this request, until the next one is entered or all are left. That
/// is cheaper than to leave each: in between the loop runs nothing of its own but handlers of signals.
pub fn enter(exchange: &Exchange) -> PyResult<()> {
    set(exchange.object().as_ptr())
}

/// Code that the loop begins from here on belongs to no request.
pub fn leave() {
    // SAFETY: None lives for ever.
    if !VARIABLE.load(Ordering::Relaxed).is_null() && set(unsafe { Py_None() }).is_err() {
        py::clear();
    }
}

fn set(value: *mut PyObject) -> PyResult<()> {
    // SAFETY: a variable of ours and a live object; the token is not needed.
    unsafe { Py::new(PyContextVar_Set(VARIABLE.load(Ordering::Relaxed), value)) }.map(drop)
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
