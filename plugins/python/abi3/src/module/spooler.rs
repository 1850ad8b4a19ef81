//! `uwsgi.*`: tasks for the spooler, and the call of `uwsgi.spooler` in its process.

use super::attribute;
use crate::py::{self, Args, Py, PyResult};
use crate::{exception, gil};
use pyo3_ffi::*;
use rsgi_plugin_api::{log, sys};
use std::ffi::{CStr, c_char, c_int};

super::functions! {
    set_spooler_frequency;
    spooler_jobs;
    spooler_get_task;
    spooler_pid;
    spooler_pids;
}

/// What a task that is to be tried again says.
const RETRY: c_int = -1;
/// What a task says that is not for Python.
const IGNORE: c_int = 0;

/// The rows of `spool` and `send_to_spooler`, which take keywords.
pub fn keyword_rows() -> [PyMethodDef; 2] {
    [c"spool", c"send_to_spooler"].map(|name| PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: PyMethodDefPointer {
            PyCFunctionWithKeywords: spool,
        },
        ml_flags: METH_VARARGS | METH_KEYWORDS,
        ml_doc: std::ptr::null(),
    })
}

/// A text of the host by its number.
fn listed(read: unsafe extern "C" fn(c_int, *mut c_char, usize) -> c_int, number: c_int) -> Option<Vec<u8>> {
    let mut buffer = vec![0u8; 4096];
    // SAFETY: the host writes at most so many bytes and says how many.
    let len = unsafe { read(number, buffer.as_mut_ptr().cast(), buffer.len()) };
    buffer.truncate(usize::try_from(len).ok()?);
    Some(buffer)
}

/// `uwsgi.spoolers`: the directories; `None`: there are none.
pub fn folders() -> PyResult<Option<Py>> {
    let all = (0..).map_while(|n| listed(sys::rsgi_spooler_dir, n));
    let all = all.map(|f| py::bytes(&f)).collect::<PyResult<Vec<_>>>()?;
    match all.is_empty() {
        true => Ok(None),
        false => py::tuple(&all.iter().collect::<Vec<_>>()).map(Some),
    }
}

/// The bytes of a value: of a text its UTF-8, of anything else but a bytearray what `str()` makes of it.
fn value_bytes(value: &Py) -> PyResult<Vec<u8>> {
    if let Ok(bytes) = py::text_bytes(value) {
        return Ok(bytes);
    }
    py::clear();
    // SAFETY: a live object.
    let plain = unsafe {
        match PyByteArray_Check(value.as_ptr()) {
            0 => Py::new(PyObject_Str(value.as_ptr()))?,
            _ => Py::new(PyBytes_FromObject(value.as_ptr()))?,
        }
    };
    py::text_bytes(&plain)
}

unsafe extern "C" fn spool(_: *mut PyObject, args: *mut PyObject, keywords: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with the argument tuple and NULL or a dict.
    py::give(unsafe { send(&Args::new(args), keywords) })
}

/// `spool(dict)` or `spool(key=value)`: the file of the task.
///
/// # Safety
/// `keywords` is NULL or a dict.
unsafe fn send(args: &Args, keywords: *mut PyObject) -> PyResult<Py> {
    let wrong = || py::value_error("spooler callable dictionary must contains only bytes");
    let (dict, by_keyword) = match args.get(0) {
        Some(dict) => (dict, false),
        None if keywords.is_null() => return Err(wrong()),
        // SAFETY: by the contract.
        None => (unsafe { Py::borrowed(keywords)? }, true),
    };
    // SAFETY: a live object; the references of the walk are borrowed from the dict, which nobody changes meanwhile.
    let (packet, body) = unsafe {
        if PyDict_Check(dict.as_ptr()) == 0 {
            return Err(py::value_error("The argument of spooler callable must be a dictionary"));
        }
        let (mut packet, mut body) = (Vec::new(), None);
        let (mut at, mut key, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
        while PyDict_Next(dict.as_ptr(), &mut at, &mut key, &mut value) != 0 {
            let (key, value) = (Py::borrowed(key)?, Py::borrowed(value)?);
            let text = py::text_bytes(&key).map_err(|_| {
                py::clear();
                wrong()
            })?;
            if text == b"body" {
                body = Some((key, value_bytes(&value)?));
                continue;
            }
            if !by_keyword && PyBytes_Check(key.as_ptr()) == 0 {
                return Err(wrong());
            }
            for part in [text, value_bytes(&value)?] {
                let len = u16::try_from(part.len())
                    .map_err(|_| py::value_error("spooler packet cannot be more than 65536 bytes"))?;
                packet.extend_from_slice(&len.to_le_bytes());
                packet.extend_from_slice(&part);
            }
        }
        if let Some((key, _)) = &body {
            py::check(PyDict_DelItem(dict.as_ptr(), key.as_ptr()))?;
        }
        (packet, body.map(|(_, bytes)| bytes).unwrap_or_default())
    };
    if packet.len() > 0xffff {
        return Err(py::value_error("spooler packet cannot be more than 65536 bytes"));
    }
    // SAFETY: both texts live during the call.
    let path = gil::released(|| unsafe {
        sys::uwsgi_spool_request(
            std::ptr::null_mut(),
            packet.as_ptr().cast_mut().cast(),
            packet.len(),
            body.as_ptr().cast_mut().cast(),
            body.len(),
        )
    });
    if path.is_null() {
        return Err(py::value_error("unable to spool job"));
    }
    // SAFETY: a NUL-terminated text that is ours to free.
    unsafe {
        let name = py::c_bytes(path);
        libc::free(path.cast());
        name
    }
}

fn set_spooler_frequency(args: &Args) -> PyResult<Py> {
    let seconds = c_int::try_from(args.int(0, 0)?).map_err(|_| py::value_error("that is no number of seconds"))?;
    // SAFETY: callable anywhere.
    unsafe { sys::rsgi_spooler_frequency(seconds) };
    Ok(py::boolean(true))
}

/// The files of the tasks that wait.
fn spooler_jobs(_: &Args) -> PyResult<Py> {
    // SAFETY: a new list; a live item.
    unsafe {
        let list = Py::new(PyList_New(0))?;
        for job in (0..).map_while(|n| listed(sys::rsgi_spooler_job, n)) {
            py::check(PyList_Append(list.as_ptr(), py::bytes(&job)?.as_ptr()))?;
        }
        Ok(list)
    }
}

fn pids() -> Vec<c_int> {
    // SAFETY: callable anywhere.
    (0..)
        .map(|n| unsafe { sys::rsgi_spooler_pid(n) })
        .take_while(|pid| *pid >= 0)
        .collect()
}

fn spooler_pid(_: &Args) -> PyResult<Py> {
    py::int(pids().first().copied().unwrap_or(0).into())
}

fn spooler_pids(_: &Args) -> PyResult<Py> {
    // SAFETY: a new list; a live item.
    unsafe {
        let list = Py::new(PyList_New(0))?;
        for pid in pids() {
            py::check(PyList_Append(list.as_ptr(), py::int(pid.into())?.as_ptr()))?;
        }
        Ok(list)
    }
}

/// A task as `uwsgi.spooler` gets it.
fn task(name: Option<&[u8]>, packet: &[u8], body: &[u8]) -> PyResult<Option<Py>> {
    let Some(pairs) = super::process::parse_pairs(packet) else {
        return Ok(None);
    };
    // SAFETY: a new dict; live keys and values.
    unsafe {
        let dict = Py::new(PyDict_New())?;
        for (key, value) in pairs {
            let (key, value) = (py::bytes(key)?, py::bytes(value)?);
            py::check(PyDict_SetItem(dict.as_ptr(), key.as_ptr(), value.as_ptr()))?;
        }
        if let Some(name) = name {
            py::set_item(&dict, c"spooler_task_name", &py::bytes(name)?)?;
        }
        if !body.is_empty() {
            py::set_item(&dict, c"body", &py::bytes(body)?)?;
        }
        Ok(Some(dict))
    }
}

/// `spooler_get_task(path)`: a task's file as a dict, None when there is none.
fn spooler_get_task(args: &Args) -> PyResult<Py> {
    use std::os::unix::ffi::OsStrExt;
    let path = py::text_bytes(&args.need(0, "spooler_get_task")?)?;
    let Ok(file) = std::fs::read(std::ffi::OsStr::from_bytes(&path)) else {
        return Ok(py::none());
    };
    let Some((head, rest)) = file.split_first_chunk::<4>() else {
        return Ok(py::none());
    };
    let Some((packet, body)) = rest.split_at_checked(usize::from(u16::from_le_bytes([head[1], head[2]]))) else {
        return Ok(py::none());
    };
    Ok(task(None, packet, body)?.unwrap_or_else(py::none))
}

/// Runs a task through `uwsgi.spooler`: what it says, or that it is to be tried again.
pub fn dispatch(name: &CStr, packet: &[u8], body: &[u8]) -> c_int {
    let Some(function) = attribute(c"spooler") else {
        log::line("unable to find the spooler function, have you loaded it into the spooler process?");
        // another plugin may have one; if none has, the task stays
        return IGNORE;
    };
    let said = task(Some(name.to_bytes()), packet, body).and_then(|task| match task {
        Some(task) => function.call(&[&task]).map(Some),
        None => Ok(None),
    });
    match said {
        // SAFETY: a live object, checked to be an int.
        Ok(Some(code)) if unsafe { PyLong_Check(code.as_ptr()) } != 0 => {
            let one = py::tuple(&[&code]);
            // SAFETY: a tuple that lives during the call.
            let code = one.and_then(|one| unsafe { Args::new(one.as_ptr()) }.int(0, RETRY.into()));
            code.ok().and_then(|code| c_int::try_from(code).ok()).unwrap_or(RETRY)
        }
        Ok(_) => RETRY,
        Err(_) => {
            exception::print_current();
            RETRY
        }
    }
}
