//! `start_response` and the `write` that it returns. The host gathers status and headers and sends them with the first
//! bytes of the body; what it refuses becomes an exception at the place where the application made the mistake.

use crate::exchange::{self, Exchange, Handle, Side, Turn};
use crate::py::{self, Args, END, Function, Py, PyResult, Raised};
use crate::settings;
use libc::iovec;
use pyo3_ffi::*;
use rsgi_plugin_api::sys;
use std::borrow::Cow;
use std::sync::OnceLock;

struct Class(*mut PyTypeObject);
// SAFETY: a class lives for ever and is only used with the GIL.
unsafe impl Send for Class {}
// SAFETY: as above.
unsafe impl Sync for Class {}
static CLASS: OnceLock<Class> = OnceLock::new();

static WRITE: Function = Function::new(py::method(c"write", write, METH_VARARGS));

/// A new `start_response` for this request.
pub fn new(exchange: *const Exchange) -> PyResult<Py> {
    let class = CLASS
        .get_or_init(|| Class(make().map_or(std::ptr::null_mut(), |c| c.into_ptr().cast())))
        .0;
    if class.is_null() {
        return Err(py::type_error("start_response could not be made"));
    }
    // SAFETY: our class has the size of a Handle.
    unsafe {
        let object = Py::new(PyType_GenericAlloc(class, 0))?;
        Handle::tie(object.as_ptr(), exchange);
        Ok(object)
    }
}

fn make() -> PyResult<Py> {
    py::class(
        c"uwsgi.start_response",
        size_of::<Handle>(),
        &mut [
            PyType_Slot {
                slot: Py_tp_dealloc,
                pfunc: py::dealloc as *mut _,
            },
            PyType_Slot {
                slot: Py_tp_call,
                pfunc: call as *mut _,
            },
            END,
        ],
    )
}

unsafe fn open<'a>(object: *mut PyObject) -> PyResult<Turn<'a>> {
    // SAFETY: an instance of our class.
    unsafe { Handle::turn(object, Side::Write) }
        .ok_or_else(|| py::os_error("start_response or write was used after its request had ended"))
}

unsafe extern "C" fn call(object: *mut PyObject, args: *mut PyObject, keywords: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with an instance, the argument tuple, and a dict or NULL.
    py::give(unsafe {
        open(object).and_then(|exchange| {
            start(&exchange, args, keywords)?;
            WRITE.bound(&Py::borrowed(object)?)
        })
    })
}

/// # Safety
/// The arguments of a call of `start_response`.
unsafe fn start(exchange: &Exchange, args: *mut PyObject, keywords: *mut PyObject) -> PyResult<()> {
    // SAFETY: by the contract; items are borrowed from `args` and from the headers list, which outlive them here.
    unsafe {
        let count = PyTuple_Size(args);
        if count < 2 {
            return Err(py::type_error(
                "start_response() takes at least 2 arguments: status, headers",
            ));
        }
        let mut exc_info = if count > 2 {
            PyTuple_GetItem(args, 2)
        } else {
            std::ptr::null_mut()
        };
        if exc_info.is_null() && !keywords.is_null() {
            exc_info = PyDict_GetItemString(keywords, c"exc_info".as_ptr());
        }
        if exchange.head_sent() {
            return Err(too_late(exc_info));
        }
        let status = PyTuple_GetItem(args, 0);
        if PyUnicode_Check(status) == 0 {
            return Err(py::type_error("http status must be a string"));
        }
        let headers = PyTuple_GetItem(args, 1);
        if PyList_Check(headers) == 0 {
            return Err(py::type_error("http headers must be in a python list"));
        }
        let text = latin1(status)?;
        let len = u16::try_from(text.len()).map_err(|_| py::value_error("http status is too long"))?;
        if sys::uwsgi_response_prepare_headers(exchange.req(), text.as_ptr().cast_mut().cast(), len) != 0 {
            return Err(refused(exchange, "http status", &text));
        }
        for i in 0..PyList_Size(headers) {
            add_header(exchange, PyList_GetItem(headers, i))?;
        }
        exchange.started.set(true);
        if settings::get().nodelay && sys::uwsgi_response_write_headers_do(exchange.req()) != 0 {
            exchange.gone.set(true);
        }
        Ok(())
    }
}

/// The head has left already: with exc_info the application's own exception goes on, else an OSError.
///
/// # Safety
/// `exc_info` is NULL or alive.
unsafe fn too_late(exc_info: *mut PyObject) -> Raised {
    // SAFETY: by the contract; Restore takes over references that are made here.
    unsafe {
        if !exc_info.is_null() && PyTuple_Check(exc_info) != 0 && PyTuple_Size(exc_info) == 3 {
            let part = |i| Py::borrowed(PyTuple_GetItem(exc_info, i)).ok().filter(|p| !p.is_none());
            if let Some(class) = part(0) {
                let or_null = |p: Option<Py>| p.map_or(std::ptr::null_mut(), Py::into_ptr);
                PyErr_Restore(class.into_ptr(), or_null(part(1)), or_null(part(2)));
                return Raised;
            }
        }
    }
    py::os_error("headers already sent")
}

/// # Safety
/// `header` is alive.
unsafe fn add_header(exchange: &Exchange, header: *mut PyObject) -> PyResult<()> {
    // SAFETY: by the contract; the host copies what it is given.
    unsafe {
        if header.is_null() || PyTuple_Check(header) == 0 {
            return Err(py::type_error("http header must be defined in a tuple"));
        }
        if PyTuple_Size(header) != 2 {
            return Err(py::type_error("http header must be a tuple of name and value"));
        }
        let (name, value) = (PyTuple_GetItem(header, 0), PyTuple_GetItem(header, 1));
        if PyUnicode_Check(name) == 0 {
            return Err(py::type_error("http header key must be a string"));
        }
        if PyUnicode_Check(value) == 0 {
            return Err(py::type_error("http header value must be a string"));
        }
        let (name, value) = (latin1(name)?, latin1(value)?);
        let (Ok(name_len), Ok(value_len)) = (u16::try_from(name.len()), u16::try_from(value.len())) else {
            return Err(py::value_error("http header is too long (65535 bytes at most)"));
        };
        let rc = sys::uwsgi_response_add_header(
            exchange.req(),
            name.as_ptr().cast_mut().cast(),
            name_len,
            value.as_ptr().cast_mut().cast(),
            value_len,
        );
        if rc != 0 {
            return Err(refused(exchange, "http header", &name));
        }
    }
    Ok(())
}

/// Why the host did not take a status or a header.
fn refused(exchange: &Exchange, what: &str, text: &[u8]) -> Raised {
    // SAFETY: the host's request, valid while the exchange lives.
    if unsafe { (*exchange.req()).write_errors } > 0 {
        exchange.gone.set(true);
        return py::os_error("write error");
    }
    py::value_error(&format!(
        "{what} {:?} has a character that is not allowed there",
        String::from_utf8_lossy(text)
    ))
}

/// A str as latin-1, borrowed when it is ASCII.
///
/// # Safety
/// `text` is a live str that outlives the result.
unsafe fn latin1<'a>(text: *mut PyObject) -> PyResult<Cow<'a, [u8]>> {
    // SAFETY: by the contract.
    unsafe {
        if let Some(utf8) = py::utf8(text)
            && utf8.is_ascii()
        {
            return Ok(Cow::Borrowed(utf8));
        }
        let encoded = Py::new(PyUnicode_AsLatin1String(text))?;
        Ok(Cow::Owned(py::bytes_of(encoded.as_ptr()).unwrap_or_default().to_vec()))
    }
}

unsafe extern "C" fn write(object: *mut PyObject, args: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with our instance as self and the argument tuple.
    let args = unsafe { Args::new(args) };
    // the data first: turning an object into bytes may run code that writes
    let data = args.need(0, "write").and_then(body_part);
    py::give(data.and_then(|data| {
        // SAFETY: as above.
        let exchange = unsafe { open(object) }?;
        // SAFETY: bytes, alive until the end of this call.
        let part = unsafe { py::bytes_of(data.as_ptr()) }.unwrap_or_default();
        let part = iovec {
            iov_base: part.as_ptr().cast_mut().cast(),
            iov_len: part.len(),
        };
        if exchange.gone.get() || !exchange.send(&[part], false) {
            // even where write errors are ignored: an application that writes in a loop must come to an end
            return Err(py::os_error("write error"));
        }
        Ok(py::none())
    }))
}

/// A part of the body as bytes; other buffers are taken when asked for.
pub fn body_part(item: Py) -> PyResult<Py> {
    // SAFETY: a live object.
    unsafe {
        if PyBytes_Check(item.as_ptr()) != 0 {
            return Ok(item);
        }
        let number_or_text = PyUnicode_Check(item.as_ptr()) != 0 || PyLong_Check(item.as_ptr()) != 0;
        if settings::get().accept_buffer && !number_or_text {
            return Py::new(PyBytes_FromObject(item.as_ptr()));
        }
    }
    Err(not_bytes(&item, "sent"))
}

/// The TypeError for a result, or a part of one, that is no bytes: what it is and where it came from.
pub fn not_bytes(item: &Py, verb: &str) -> Raised {
    // SAFETY: a live object's class.
    let class = unsafe { Py::borrowed(Py_TYPE(item.as_ptr()).cast()) };
    let name = class
        .and_then(|c| c.attr(c"__name__"))
        .map(|n| crate::exception::lossy(&n))
        .unwrap_or_default();
    let place = exchange::current().map(|x| x.place()).unwrap_or_default();
    py::type_error(&format!(
        "the application {verb} {name} as body of {place}: WSGI wants an iterable of bytes"
    ))
}
