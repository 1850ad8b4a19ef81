//! `uwsgi.*`: messages to mules and farms, and what a mule asks about itself.

use super::attribute;
use crate::py::{self, Args, Py, PyResult, told};
use crate::{exception, gil, interpreter};
use pyo3_ffi::*;
use rsgi_plugin_api::mule;
use std::ffi::{CStr, c_int};

super::functions! {
    mule_msg;
    farm_msg;
    farm_get_msg;
    in_farm;
    install_mule_msg_hook;
}

/// The row of `mule_get_msg`, which takes keywords.
pub fn keyword_row() -> PyMethodDef {
    PyMethodDef {
        ml_name: c"mule_get_msg".as_ptr(),
        ml_meth: PyMethodDefPointer {
            PyCFunctionWithKeywords: mule_get_msg,
        },
        ml_flags: METH_VARARGS | METH_KEYWORDS,
        ml_doc: std::ptr::null(),
    }
}

/// `mule_msg(message[, target])`: target is a mule's number (0: whichever is free first) or a farm's name.
fn mule_msg(args: &Args) -> PyResult<Py> {
    let message = py::text_bytes(&args.need(0, "mule_msg")?)?;
    let target = args.get(1).filter(|t| !t.is_none());
    if let Some(target) = &target {
        // SAFETY: a live object.
        if unsafe { PyLong_Check(target.as_ptr()) } == 0 {
            let name = py::text_bytes(target)
                .map_err(|_| py::value_error("a message goes to the number of a mule or the name of a farm"))?;
            let sent = told(mule::send_to_farm(&name, &message))?;
            return sent.map(py::boolean).ok_or_else(|| py::value_error("unknown farm"));
        }
    }
    let id = c_int::try_from(args.int(1, 0)?).unwrap_or(-1);
    told(mule::send(id, &message)).map(py::boolean)
}

/// `farm_msg(farm, message)`; to a farm that is not there it goes nowhere.
fn farm_msg(args: &Args) -> PyResult<Py> {
    let farm = py::text_bytes(&args.need(0, "farm_msg")?)?;
    let message = py::text_bytes(&args.need(1, "farm_msg")?)?;
    told(mule::send_to_farm(&farm, &message))?;
    Ok(py::none())
}

/// `mule_get_msg(signals=True, farms=True, buffer_size=65536, timeout=-1)`; `b""` when nothing came in time.
unsafe extern "C" fn mule_get_msg(_: *mut PyObject, args: *mut PyObject, keywords: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with the argument tuple and NULL or a dict.
    py::give(unsafe { get_msg(&Args::new(args), keywords) })
}

/// # Safety
/// `keywords` is NULL or a dict.
unsafe fn get_msg(args: &Args, keywords: *mut PyObject) -> PyResult<Py> {
    let given = |at: usize, name: &CStr| {
        args.get(at).or_else(|| {
            // SAFETY: by the contract; the result is borrowed from the dict.
            unsafe {
                match keywords.is_null() {
                    true => None,
                    false => Py::borrowed(PyDict_GetItemString(keywords, name.as_ptr())).ok(),
                }
            }
        })
    };
    let truth = |value: Option<Py>| match value {
        None => Ok(true),
        Some(value) => {
            // SAFETY: a live object.
            let rc = unsafe { PyObject_IsTrue(value.as_ptr()) };
            py::check(rc).map(|()| rc == 1)
        }
    };
    let number = |value: Option<Py>, default: i64| match value {
        None => Ok(default),
        // SAFETY: a tuple of one, which lives during the call.
        Some(value) => py::tuple(&[&value]).and_then(|one| unsafe { Args::new(one.as_ptr()) }.int(0, default)),
    };
    let signals = truth(given(0, c"signals"))?;
    let farms = truth(given(1, c"farms"))?;
    let size = number(given(2, c"buffer_size"), mule::LARGEST as i64)?;
    let timeout = number(given(3, c"timeout"), -1)?;
    let size = usize::try_from(size).map_err(|_| py::value_error("buffer_size is no size"))?;
    let timeout = c_int::try_from(timeout.max(-1)).unwrap_or(c_int::MAX);
    let message = gil::released(|| mule::receive(signals, farms, size, timeout));
    py::bytes(&told(message)?.unwrap_or_default())
}

/// `farm_get_msg()`: waits for a message of this mule's farms.
fn farm_get_msg(_: &Args) -> PyResult<Py> {
    match told(gil::released(mule::receive_of_farms))? {
        Some(message) => py::bytes(&message),
        None => Ok(py::none()),
    }
}

/// `in_farm([name])`: True or None.
fn in_farm(args: &Args) -> PyResult<Py> {
    let name = args.get(0).map(|name| py::text_bytes(&name)).transpose()?;
    told(mule::is_in_farm(name.as_deref())).map(py::true_or_none)
}

/// `install_mule_msg_hook(callable)`: the same as setting `uwsgi.mule_msg_hook`.
fn install_mule_msg_hook(args: &Args) -> PyResult<Py> {
    let hook = args.need(0, "install_mule_msg_hook")?;
    let module = interpreter::import(c"uwsgi")?;
    // SAFETY: a module, a NUL-terminated name, a live value.
    py::check(unsafe { PyObject_SetAttrString(module.as_ptr(), c"mule_msg_hook".as_ptr(), hook.as_ptr()) })?;
    Ok(py::none())
}

/// A message for `uwsgi.mule_msg_hook`: whether there is one.
pub fn dispatch(message: &[u8]) -> bool {
    let Some(hook) = attribute(c"mule_msg_hook") else {
        return false;
    };
    if py::bytes(message).and_then(|message| hook.call(&[&message])).is_err() {
        exception::print_current();
    }
    true
}
