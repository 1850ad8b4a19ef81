//! The messages of ASGI: making those that an application receives, reading those that it sends. Keys are made once.

use crate::environ;
use crate::py::{self, Py, PyResult};
use pyo3_ffi::*;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Keys of messages.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub enum Key {
    Type,
    Body,
    MoreBody,
    Status,
    Headers,
    Text,
    Bytes,
    Code,
    Reason,
    Subprotocol,
    Path,
}
const KEYS: [&str; 11] = [
    "type",
    "body",
    "more_body",
    "status",
    "headers",
    "text",
    "bytes",
    "code",
    "reason",
    "subprotocol",
    "path",
];
const TYPES: [&str; 5] = [
    "http.request",
    "http.disconnect",
    "websocket.connect",
    "websocket.receive",
    "websocket.disconnect",
];
const REQUEST: usize = 0;
const DISCONNECT: usize = 1;
const CONNECT: usize = 2;
const RECEIVE: usize = 3;
const CLOSED: usize = 4;

static KEY: [AtomicPtr<PyObject>; KEYS.len()] = [const { AtomicPtr::new(std::ptr::null_mut()) }; KEYS.len()];
static TYPE: [AtomicPtr<PyObject>; TYPES.len()] = [const { AtomicPtr::new(std::ptr::null_mut()) }; TYPES.len()];

/// Makes the texts; once, in the worker.
pub fn prepare() -> PyResult<()> {
    for (place, text) in KEY.iter().zip(KEYS).chain(TYPE.iter().zip(TYPES)) {
        place.store(environ::intern(text.as_bytes())?.into_ptr(), Ordering::Release);
    }
    Ok(())
}

fn key(key: Key) -> *mut PyObject {
    KEY[key as usize].load(Ordering::Relaxed)
}

/// A message of a type.
fn message(kind: usize) -> PyResult<Py> {
    // SAFETY: a new dict; key and value live for ever.
    unsafe {
        let dict = Py::new(PyDict_New())?;
        let kind = TYPE[kind].load(Ordering::Relaxed);
        py::check(PyDict_SetItem(dict.as_ptr(), key(Key::Type), kind))?;
        Ok(dict)
    }
}

fn with(dict: Py, name: Key, value: &Py) -> PyResult<Py> {
    // SAFETY: a dict and live objects.
    py::check(unsafe { PyDict_SetItem(dict.as_ptr(), key(name), value.as_ptr()) })?;
    Ok(dict)
}

/// A part of a body.
pub fn body(bytes: &[u8], more: bool) -> PyResult<Py> {
    let dict = with(message(REQUEST)?, Key::Body, &py::bytes(bytes)?)?;
    with(dict, Key::MoreBody, &py::boolean(more))
}

/// The client of a request has gone, or its answer is complete.
pub fn disconnect() -> PyResult<Py> {
    message(DISCONNECT)
}

/// A client asks for a websocket.
pub fn connect() -> PyResult<Py> {
    message(CONNECT)
}

/// A text of a websocket, valid UTF-8.
pub fn text(bytes: &[u8]) -> PyResult<Py> {
    // SAFETY: pointer and length describe `bytes`, which are copied.
    let text = unsafe {
        Py::new(PyUnicode_DecodeUTF8(
            bytes.as_ptr().cast(),
            bytes.len() as Py_ssize_t,
            c"strict".as_ptr(),
        ))?
    };
    with(message(RECEIVE)?, Key::Text, &text)
}

/// A binary message of a websocket.
pub fn binary(bytes: &[u8]) -> PyResult<Py> {
    with(message(RECEIVE)?, Key::Bytes, &py::bytes(bytes)?)
}

/// A websocket is over.
pub fn closed(code: i64, reason: &Py) -> PyResult<Py> {
    let dict = with(message(CLOSED)?, Key::Code, &py::int(code)?)?;
    with(dict, Key::Reason, reason)
}

/// The value of a key; `None` where it is missing or None.
///
/// # Safety
/// A live object.
pub unsafe fn get(event: *mut PyObject, name: Key) -> Option<Py> {
    // SAFETY: by the contract; anything but a dict has no keys here.
    unsafe {
        let value = Py::borrowed(PyDict_GetItemWithError(event, key(name)));
        value.map_err(|_| py::clear()).ok().filter(|value| !value.is_none())
    }
}

/// The type of a message, borrowed from it.
///
/// # Safety
/// A live object.
pub unsafe fn kind_of(event: *mut PyObject) -> PyResult<*mut PyObject> {
    // SAFETY: by the contract.
    unsafe {
        if PyDict_Check(event) == 0 {
            return Err(py::type_error("send() takes a dict"));
        }
        match PyDict_GetItemWithError(event, key(Key::Type)) {
            kind if kind.is_null() => Err(py::value_error("send(): the message has no \"type\"")),
            kind => Ok(kind),
        }
    }
}

/// A number.
///
/// # Safety
/// A live object.
pub unsafe fn integer(event: *mut PyObject, name: Key) -> PyResult<Option<i64>> {
    // SAFETY: by the contract.
    unsafe {
        let Some(value) = get(event, name) else {
            return Ok(None);
        };
        match PyLong_AsLongLong(value.as_ptr()) {
            -1 if !PyErr_Occurred().is_null() => Err(py::Raised),
            number => Ok(Some(number)),
        }
    }
}

/// A truth, false when it is missing.
///
/// # Safety
/// A live object.
pub unsafe fn truth(event: *mut PyObject, name: Key) -> PyResult<bool> {
    // SAFETY: by the contract.
    match unsafe { get(event, name).map(|value| PyObject_IsTrue(value.as_ptr())) } {
        Some(-1) => Err(py::Raised),
        truth => Ok(truth == Some(1)),
    }
}

/// Bytes, also of a bytearray or memoryview; `None` when they are missing.
///
/// # Safety
/// A live object.
pub unsafe fn bytes(event: *mut PyObject, name: Key) -> PyResult<Option<Py>> {
    // SAFETY: by the contract.
    unsafe {
        match get(event, name) {
            Some(value) if PyBytes_Check(value.as_ptr()) == 0 => {
                if PyUnicode_Check(value.as_ptr()) != 0 || PyLong_Check(value.as_ptr()) != 0 {
                    return Err(py::type_error(&format!(
                        "{:?} of a message is bytes",
                        KEYS[name as usize]
                    )));
                }
                Py::new(PyBytes_FromObject(value.as_ptr())).map(Some)
            }
            value => Ok(value),
        }
    }
}

/// Calls `each` with name and value of each header of a message.
///
/// # Safety
/// A live object.
pub unsafe fn each_header(event: *mut PyObject, mut each: impl FnMut(&[u8], &[u8]) -> PyResult<()>) -> PyResult<()> {
    // SAFETY: by the contract; the parts of a pair are borrowed from it during the call.
    unsafe {
        let Some(headers) = get(event, Key::Headers) else {
            return Ok(());
        };
        let is_list = PyList_Check(headers.as_ptr()) != 0;
        let iterator = match is_list {
            true => None,
            false => Some(Py::new(PyObject_GetIter(headers.as_ptr()))?),
        };
        let mut at = 0;
        loop {
            let pair = match &iterator {
                None if at >= PyList_Size(headers.as_ptr()) => return Ok(()),
                None => Py::borrowed(PyList_GetItem(headers.as_ptr(), at))?,
                Some(iterator) => match Py::new(PyIter_Next(iterator.as_ptr())) {
                    Ok(pair) => pair,
                    Err(_) if PyErr_Occurred().is_null() => return Ok(()),
                    Err(raised) => return Err(raised),
                },
            };
            at += 1;
            let (name, value) = match PyTuple_Check(pair.as_ptr()) != 0 && PyTuple_Size(pair.as_ptr()) == 2 {
                true => (
                    Py::borrowed(PyTuple_GetItem(pair.as_ptr(), 0))?,
                    Py::borrowed(PyTuple_GetItem(pair.as_ptr(), 1))?,
                ),
                false => (
                    Py::new(PySequence_GetItem(pair.as_ptr(), 0))?,
                    Py::new(PySequence_GetItem(pair.as_ptr(), 1))?,
                ),
            };
            match (py::bytes_of(name.as_ptr()), py::bytes_of(value.as_ptr())) {
                (Some(name), Some(value)) => each(name, value)?,
                _ => return Err(py::type_error("a header is a pair of bytes objects")),
            }
        }
    }
}
