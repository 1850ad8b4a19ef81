//! `uwsgi.*`: messages to mules and farms, and what a mule asks about itself.

use super::attribute;
use crate::py::{self, Args, Py, PyResult};
use crate::{exception, gil, interpreter};
use pyo3_ffi::*;
use rsgi_plugin_api::sys;
use std::ffi::{CStr, CString, c_int};

/// The size of a message that is read, unless `buffer_size` says otherwise; none is larger.
const LARGEST: usize = 65_536;

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

/// What the host said to a message: True, False when the queue is full.
fn sent(rc: c_int, nobody: &str) -> PyResult<Py> {
    match rc {
        0 => Ok(py::boolean(true)),
        -1 => Ok(py::boolean(false)),
        -3 => Err(py::value_error(
            "a message has at most 65536 bytes (see also mule-msg-size)",
        )),
        _ => Err(py::value_error(nobody)),
    }
}

fn to_farm(name: &[u8], message: &[u8]) -> PyResult<c_int> {
    let name = CString::new(name).map_err(|_| py::value_error("a farm's name has no NUL"))?;
    // SAFETY: the host reads name and message during the call.
    Ok(unsafe { sys::rsgi_farm_send(name.as_ptr(), message.as_ptr().cast(), message.len()) })
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
            return sent(to_farm(&name, &message)?, "unknown farm");
        }
    }
    let id = c_int::try_from(args.int(1, 0)?).unwrap_or(-1);
    // SAFETY: the host reads the message during the call.
    let rc = unsafe { sys::rsgi_mule_send(id, message.as_ptr().cast(), message.len()) };
    sent(
        rc,
        if id == 0 {
            "no mule configured"
        } else {
            "invalid mule number"
        },
    )
}

/// `farm_msg(farm, message)`; to a farm that is not there it goes nowhere.
fn farm_msg(args: &Args) -> PyResult<Py> {
    let farm = py::text_bytes(&args.need(0, "farm_msg")?)?;
    let message = py::text_bytes(&args.need(1, "farm_msg")?)?;
    match to_farm(&farm, &message)? {
        -2 => Ok(py::none()),
        rc => sent(rc, "").map(|_| py::none()),
    }
}

/// Waits through `read` without the GIL; `None`: nothing came.
fn wait(size: usize, read: impl FnOnce(&mut [u8]) -> isize) -> PyResult<Option<Py>> {
    let mut buffer = vec![0u8; size];
    let n = gil::released(|| read(&mut buffer));
    match usize::try_from(n) {
        Ok(n) => py::bytes(&buffer[..n]).map(Some),
        Err(_) => Ok(None),
    }
}

fn only_in_a_mule() -> PyResult<()> {
    // SAFETY: a plain read of the published view.
    match unsafe { sys::uwsgi.muleid } {
        0 => Err(py::value_error("you can receive mule messages only in a mule !!!")),
        _ => Ok(()),
    }
}

/// `mule_get_msg(signals=True, farms=True, buffer_size=65536, timeout=-1)`; `b""` when nothing came in time.
unsafe extern "C" fn mule_get_msg(_: *mut PyObject, args: *mut PyObject, keywords: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with the argument tuple and NULL or a dict.
    py::give(unsafe { get_msg(&Args::new(args), keywords) })
}

/// # Safety
/// `keywords` is NULL or a dict.
unsafe fn get_msg(args: &Args, keywords: *mut PyObject) -> PyResult<Py> {
    only_in_a_mule()?;
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
        None => Ok(1),
        Some(value) => {
            // SAFETY: a live object.
            let rc = unsafe { PyObject_IsTrue(value.as_ptr()) };
            py::check(rc).map(|()| rc)
        }
    };
    let number = |value: Option<Py>, default: i64| match value {
        None => Ok(default),
        // SAFETY: a tuple of one, which lives during the call.
        Some(value) => py::tuple(&[&value]).and_then(|one| unsafe { Args::new(one.as_ptr()) }.int(0, default)),
    };
    let signals = truth(given(0, c"signals"))?;
    let farms = truth(given(1, c"farms"))?;
    let size = number(given(2, c"buffer_size"), LARGEST as i64)?;
    let timeout = number(given(3, c"timeout"), -1)?;
    let size = usize::try_from(size).map_err(|_| py::value_error("buffer_size is no size"))?;
    let timeout = c_int::try_from(timeout.max(-1)).unwrap_or(c_int::MAX);
    let read = |buffer: &mut [u8]| {
        // SAFETY: the host writes at most so many bytes.
        unsafe { sys::uwsgi_mule_get_msg(signals, farms, buffer.as_mut_ptr().cast(), buffer.len(), timeout) }
    };
    match wait(size.min(LARGEST), read)? {
        Some(message) => Ok(message),
        None => py::bytes(b""),
    }
}

/// `farm_get_msg()`: waits for a message of this mule's farms.
fn farm_get_msg(_: &Args) -> PyResult<Py> {
    only_in_a_mule()?;
    let read = |buffer: &mut [u8]| {
        // SAFETY: the host writes at most so many bytes.
        unsafe { sys::rsgi_farm_get_msg(buffer.as_mut_ptr().cast(), buffer.len()) }
    };
    Ok(wait(LARGEST, read)?.unwrap_or_else(py::none))
}

/// `in_farm([name])`: True or None.
fn in_farm(args: &Args) -> PyResult<Py> {
    let name = match args.get(0) {
        None => None,
        Some(name) => Some(CString::new(py::text_bytes(&name)?).map_err(|_| py::value_error("a name has no NUL"))?),
    };
    let name = name.as_ref().map_or(std::ptr::null(), |n| n.as_ptr());
    // SAFETY: NULL or a text that outlives the call.
    let is_in = unsafe { sys::rsgi_in_farm(name) } != 0;
    Ok(if is_in { py::boolean(true) } else { py::none() })
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
