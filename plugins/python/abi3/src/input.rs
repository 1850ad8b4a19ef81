//! `wsgi.input`: the request's body as a file. The host decodes chunked bodies and knows where the body ends; a read
//! after the request is over fails instead of touching another request.

use crate::exchange::{Exchange, Handle, Side, Turn};
use crate::gil;
use crate::py::{self, Args, END, Py, PyResult};
use pyo3_ffi::*;
use rsgi_plugin_api::abi::WsgiRequest;
use rsgi_plugin_api::sys;
use std::sync::OnceLock;

/// The class, made once.
struct Class(*mut PyTypeObject);
// SAFETY: a class lives for ever and is only used with the GIL.
unsafe impl Send for Class {}
// SAFETY: as above.
unsafe impl Sync for Class {}
static CLASS: OnceLock<Class> = OnceLock::new();

/// The class: `uwsgi._Input`.
pub fn class() -> PyResult<Py> {
    let class = CLASS.get_or_init(|| Class(make().map_or(std::ptr::null_mut(), |c| c.into_ptr().cast())));
    // SAFETY: NULL or a class that lives for ever.
    unsafe { Py::borrowed(class.0.cast()) }.map_err(|_| py::type_error("wsgi.input could not be made"))
}

/// A new `wsgi.input` for this request.
pub fn new(exchange: *const Exchange) -> PyResult<Py> {
    let class = class()?;
    // SAFETY: our class has the size of a Handle.
    unsafe {
        let object = Py::new(PyType_GenericAlloc(class.as_ptr().cast(), 0))?;
        Handle::tie(object.as_ptr(), exchange);
        Ok(object)
    }
}

fn make() -> PyResult<Py> {
    let methods = Box::leak(Box::new([
        py::method(c"read", read, METH_VARARGS),
        py::method(c"readline", readline, METH_VARARGS),
        py::method(c"readlines", readlines, METH_VARARGS),
        py::method(c"tell", tell, METH_NOARGS),
        py::method(c"seek", seek, METH_VARARGS),
        py::method(c"fileno", fileno, METH_NOARGS),
        PyMethodDef::zeroed(),
    ]));
    py::class(
        c"uwsgi._Input",
        size_of::<Handle>(),
        &mut [
            PyType_Slot {
                slot: Py_tp_dealloc,
                pfunc: py::dealloc as *mut _,
            },
            PyType_Slot {
                slot: Py_tp_methods,
                pfunc: methods.as_mut_ptr().cast(),
            },
            PyType_Slot {
                slot: Py_tp_iter,
                pfunc: iter as *mut _,
            },
            PyType_Slot {
                slot: Py_tp_iternext,
                pfunc: next as *mut _,
            },
            END,
        ],
    )
}

/// Which piece of the body.
#[derive(Clone, Copy)]
enum Piece {
    Bytes,
    Line,
}

/// One call of the host: what came, empty at the end. The slice is valid until the next call.
fn pull<'a>(req: *mut WsgiRequest, piece: Piece, hint: usize) -> PyResult<&'a [u8]> {
    let (mut len, address) = (0isize, req as usize);
    // SAFETY: the host's request of this core.
    let data = gil::released(|| unsafe {
        let req = address as *mut WsgiRequest;
        let hint = isize::try_from(hint).unwrap_or(isize::MAX);
        match piece {
            Piece::Bytes => sys::uwsgi_request_body_read(req, hint, &mut len) as usize,
            Piece::Line => sys::uwsgi_request_body_readline(req, hint, &mut len) as usize,
        }
    });
    match (data, len) {
        (0, 0) => Err(py::os_error(
            "timeout during read on wsgi.input: the client sent nothing for longer than socket-timeout",
        )),
        (0, _) => Err(py::os_error(
            "error during read on wsgi.input: the client closed the connection before its body was complete",
        )),
        (_, n) if n <= 0 => Ok(&[]),
        // SAFETY: the host returned so many valid bytes.
        (p, n) => Ok(unsafe { std::slice::from_raw_parts(p as *const u8, n as usize) }),
    }
}

/// Up to `limit` bytes, less only at the end; `None`: all.
fn take(exchange: &Turn<'_>, limit: Option<usize>) -> PyResult<Py> {
    let req = exchange.req();
    if limit == Some(0) {
        return py::bytes(b"");
    }
    let first = pull(req, Piece::Bytes, limit.unwrap_or(0))?;
    if first.is_empty() || limit.is_some_and(|n| first.len() >= n) {
        return py::bytes(first);
    }
    let mut whole = first.to_vec();
    while limit.is_none_or(|n| whole.len() < n) {
        let more = pull(req, Piece::Bytes, limit.map_or(0, |n| n - whole.len()))?;
        if more.is_empty() {
            break;
        }
        whole.extend_from_slice(more);
    }
    py::bytes(&whole)
}

/// This thread's turn at the request behind `self`, or an error when it is over.
unsafe fn open<'a>(object: *mut PyObject) -> PyResult<Turn<'a>> {
    // SAFETY: a method of our class.
    unsafe { Handle::turn(object, Side::Read) }
        .ok_or_else(|| py::value_error("wsgi.input was used after its request had ended"))
}

/// The optional size argument: missing, None and negative mean no limit.
fn size(args: &Args) -> PyResult<Option<usize>> {
    match args.get(0) {
        None => Ok(None),
        Some(value) if value.is_none() => Ok(None),
        Some(_) => Ok(usize::try_from(args.int(0, -1)?).ok()),
    }
}

unsafe extern "C" fn read(object: *mut PyObject, args: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with an instance and the argument tuple.
    let args = unsafe { Args::new(args) };
    // the size first: asking an object for its number may run code that reads
    // SAFETY: as above.
    py::give(size(&args).and_then(|limit| take(&unsafe { open(object) }?, limit)))
}

fn line(exchange: &Turn<'_>, limit: Option<usize>) -> PyResult<Py> {
    match limit {
        Some(0) => py::bytes(b""),
        _ => py::bytes(pull(exchange.req(), Piece::Line, limit.unwrap_or(0))?),
    }
}

unsafe extern "C" fn readline(object: *mut PyObject, args: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with an instance and the argument tuple.
    let args = unsafe { Args::new(args) };
    // SAFETY: as above.
    py::give(size(&args).and_then(|limit| line(&unsafe { open(object) }?, limit)))
}

unsafe extern "C" fn readlines(object: *mut PyObject, args: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with an instance and the argument tuple.
    let args = unsafe { Args::new(args) };
    let collect = |hint: Option<usize>| {
        let hint = hint.filter(|n| *n > 0);
        // SAFETY: called by Python with an instance.
        let x = unsafe { open(object) }?;
        // SAFETY: a new list; Append takes its own reference.
        let list = unsafe { Py::new(PyList_New(0))? };
        let mut total = 0;
        while hint.is_none_or(|n| total < n) {
            let line = pull(x.req(), Piece::Line, 0)?;
            if line.is_empty() {
                break;
            }
            total += line.len();
            let line = py::bytes(line)?;
            // SAFETY: a list and a live object.
            py::check(unsafe { PyList_Append(list.as_ptr(), line.as_ptr()) })?;
        }
        Ok(list)
    };
    py::give(size(&args).and_then(collect))
}

unsafe extern "C" fn iter(object: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with an instance.
    py::give(unsafe { Py::borrowed(object) })
}

unsafe extern "C" fn next(object: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with an instance.
    let open = unsafe { open(object) };
    let line = open.and_then(|x| match pull(x.req(), Piece::Line, 0)? {
        [] => Ok(std::ptr::null_mut()), // NULL without an exception ends the iteration
        line => py::bytes(line).map(Py::into_ptr),
    });
    line.unwrap_or(std::ptr::null_mut())
}

unsafe extern "C" fn tell(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with an instance; the request is valid while its exchange lives.
    py::give(unsafe { open(object) }.and_then(|x| unsafe { py::uint((*x.req()).post_pos as u64) }))
}

unsafe extern "C" fn seek(object: *mut PyObject, args: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with an instance and the argument tuple.
    let (open, args) = unsafe { (open(object), Args::new(args)) };
    py::give(open.and_then(|x| {
        // SAFETY: a plain read of the published view.
        if unsafe { sys::uwsgi.post_buffering } == 0 {
            return Err(py::os_error("wsgi.input can seek only with --post-buffering"));
        }
        // SAFETY: the host's request of this core.
        unsafe { sys::uwsgi_request_body_seek(x.req(), args.int(0, 0)?) };
        Ok(py::none())
    }))
}

unsafe extern "C" fn fileno(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with an instance; the request is valid while its exchange lives.
    py::give(unsafe { open(object) }.and_then(|x| unsafe { py::int((*x.req()).fd.into()) }))
}
