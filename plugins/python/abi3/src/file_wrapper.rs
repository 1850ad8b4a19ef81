//! `wsgi.file_wrapper`: an iterable over a file-like object that the server recognises and sends with sendfile(2)
//! when there is a real file behind it.

use crate::exchange::Exchange;
use crate::py::{self, Args, END, Py, PyResult};
use pyo3_ffi::*;
use std::sync::OnceLock;

#[repr(C)]
struct Wrapper {
    base: PyObject,
    file: *mut PyObject,
    size: Py_ssize_t,
}

struct Class(*mut PyObject);
// SAFETY: a class lives for ever and is only used with the GIL.
unsafe impl Send for Class {}
// SAFETY: as above.
unsafe impl Sync for Class {}
static CLASS: OnceLock<Class> = OnceLock::new();

/// The class itself, which is what the environ has.
pub fn class() -> PyResult<Py> {
    let class = CLASS.get_or_init(|| Class(make().map_or(std::ptr::null_mut(), Py::into_ptr)));
    // SAFETY: NULL or a class that lives for ever.
    unsafe { Py::borrowed(class.0) }.map_err(|_| py::type_error("wsgi.file_wrapper could not be made"))
}

/// Whether an application's result is one of ours.
pub fn is_wrapper(object: &Py) -> bool {
    // SAFETY: a live object's class is compared by address.
    CLASS
        .get()
        .is_some_and(|class| unsafe { Py_TYPE(object.as_ptr()) }.cast() == class.0)
}

fn make() -> PyResult<Py> {
    let methods = Box::leak(Box::new([
        py::method(c"close", close, METH_NOARGS),
        PyMethodDef::zeroed(),
    ]));
    py::class(
        c"uwsgi.FileWrapper",
        size_of::<Wrapper>(),
        &mut [
            PyType_Slot {
                slot: Py_tp_new,
                pfunc: new as *mut _,
            },
            PyType_Slot {
                slot: Py_tp_dealloc,
                pfunc: dealloc as *mut _,
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

unsafe extern "C" fn new(class: *mut PyTypeObject, args: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with the class and the argument tuple; the new instance is zeroed.
    unsafe {
        let args = Args::new(args);
        py::give(args.need(0, "file_wrapper").and_then(|file| {
            let size = args.int(1, 0)?;
            let object = Py::new(PyType_GenericAlloc(class, 0))?;
            let wrapper = object.as_ptr().cast::<Wrapper>();
            (*wrapper).file = file.into_ptr();
            (*wrapper).size = if size > 0 { size as Py_ssize_t } else { 65536 };
            Ok(object)
        }))
    }
}

unsafe extern "C" fn dealloc(object: *mut PyObject) {
    // SAFETY: called once by Python; `new` may have failed before the file was set.
    unsafe {
        Py_DecRef((*object.cast::<Wrapper>()).file);
        py::dealloc(object);
    }
}

unsafe extern "C" fn iter(object: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with an instance.
    py::give(unsafe { Py::borrowed(object) })
}

unsafe fn file(object: *mut PyObject) -> PyResult<Py> {
    // SAFETY: an instance of our class, whose file is set.
    unsafe { Py::borrowed((*object.cast::<Wrapper>()).file) }
}

unsafe extern "C" fn next(object: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with an instance.
    let part = unsafe { file(object) }.and_then(|file| {
        // SAFETY: as above.
        let size = py::int(unsafe { (*object.cast::<Wrapper>()).size } as i64)?;
        file.attr(c"read")?.call(&[&size])
    });
    match part {
        // SAFETY: a live object: empty bytes (or anything else that is false) end the iteration.
        Ok(part) if unsafe { PyObject_IsTrue(part.as_ptr()) } == 0 => std::ptr::null_mut(),
        other => py::give(other),
    }
}

unsafe extern "C" fn close(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with an instance.
    py::give(unsafe { file(object) }.and_then(|file| match file.attr_opt(c"close") {
        Some(close) => close.call(&[]),
        None => Ok(py::none()),
    }))
}

/// Sends the wrapped file if the kernel can: `None` when it is no regular file and must be read instead; else whether
/// the client is still there.
pub fn send(object: &Py, exchange: &Exchange) -> Option<bool> {
    // SAFETY: the caller checked `is_wrapper`.
    let file = unsafe { file(object.as_ptr()) }.ok()?;
    let number = |name| {
        let value = file.attr_opt(name)?.call(&[]).map_err(|_| py::clear()).ok()?;
        // SAFETY: a live object.
        let n = unsafe { PyLong_AsLongLong(value.as_ptr()) };
        if n < 0 {
            py::clear();
        }
        (n >= 0).then_some(n)
    };
    let fd = i32::try_from(number(c"fileno")?).ok()?;
    // SAFETY: all-zero is a valid stat; it is filled when the result is 0.
    let stat = unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        (libc::fstat(fd, &mut stat) == 0).then_some(stat)?
    };
    if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
        return None;
    }
    let from = number(c"tell").unwrap_or(0).min(stat.st_size);
    let len = (stat.st_size - from) as usize;
    if len == 0 {
        return Some(exchange.send(&[], true));
    }
    // SAFETY: the host closes the duplicate; the application closes its own.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return None;
    }
    Some(exchange.send_file(copy, from as usize, len))
}
