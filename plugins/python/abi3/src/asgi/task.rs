//! The task of a request. Its first step runs at once, inside the call that makes it, since most requests are answered
//! in one; the loop sees only those that wait for something. CPython 3.12 has such tasks; before it the first step is
//! taken out of the loop's hands.

use crate::interpreter;
use crate::py::{self, Function, Py, PyResult};
use pyo3_ffi::*;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

static TASK: AtomicPtr<PyObject> = AtomicPtr::new(std::ptr::null_mut());
static KEYWORDS: AtomicPtr<PyObject> = AtomicPtr::new(std::ptr::null_mut());
static LOOP: AtomicPtr<PyObject> = AtomicPtr::new(std::ptr::null_mut());
static CATCHER: AtomicPtr<PyObject> = AtomicPtr::new(std::ptr::null_mut());
/// The class of what `async def` functions return.
static COROUTINE: AtomicPtr<PyTypeObject> = AtomicPtr::new(std::ptr::null_mut());
static CALL_SOON: AtomicPtr<PyObject> = AtomicPtr::new(std::ptr::null_mut());
/// The class of what a new task gives to `call_soon`, once one was seen, and the loop's own function.
static STEP: AtomicPtr<PyTypeObject> = AtomicPtr::new(std::ptr::null_mut());
static OWN_CALL_SOON: AtomicPtr<PyObject> = AtomicPtr::new(std::ptr::null_mut());
/// Tasks can begin at once (3.12).
static IS_EAGER: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The first step of the task that is being made, and its context.
    static CAUGHT: RefCell<Option<(Py, Py)>> = const { RefCell::new(None) };
}

static CATCH: Function = Function::new(PyMethodDef {
    ml_meth: PyMethodDefPointer {
        PyCFunctionWithKeywords: catch,
    },
    ..py::method(c"call_soon", unused, METH_VARARGS | METH_KEYWORDS)
});

unsafe extern "C" fn unused(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    py::none().into_ptr()
}

/// Keeps what making tasks needs; once, in the worker.
pub fn prepare(event_loop: &Py, asyncio: &Py, is_eager: bool) -> PyResult<()> {
    let mut keywords = vec![(c"loop", event_loop.share()), (c"name", py::string("asgi")?)];
    if is_eager {
        keywords.push((c"eager_start", py::boolean(true)));
    }
    IS_EAGER.store(is_eager, Ordering::Release);
    TASK.store(asyncio.attr(c"Task")?.into_ptr(), Ordering::Release);
    KEYWORDS.store(py::dict(&keywords)?.into_ptr(), Ordering::Release);
    LOOP.store(event_loop.share().into_ptr(), Ordering::Release);
    COROUTINE.store(
        interpreter::import(c"types")?.attr(c"CoroutineType")?.into_ptr().cast(),
        Ordering::Release,
    );
    OWN_CALL_SOON.store(event_loop.attr(c"call_soon")?.into_ptr(), Ordering::Release);
    CALL_SOON.store(py::string("call_soon")?.into_ptr(), Ordering::Release);
    CATCHER.store(CATCH.object()?.into_ptr(), Ordering::Release);
    Ok(())
}

/// What a new task calls in place of `loop.call_soon`: the step is kept. What else calls it meanwhile (a finalizer) is
/// passed on.
unsafe extern "C" fn catch(_: *mut PyObject, args: *mut PyObject, keywords: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with a tuple, and a dict or NULL.
    unsafe {
        let step = Py::borrowed(PyTuple_GetItem(args, 0));
        if let Ok(step) = &step {
            let (class, known) = (Py_TYPE(step.as_ptr()), STEP.load(Ordering::Relaxed));
            if known.is_null() {
                STEP.store(class, Ordering::Relaxed);
            } else if class != known {
                return PyObject_Call(OWN_CALL_SOON.load(Ordering::Relaxed), args, keywords);
            }
        }
        let context = match keywords.is_null() {
            true => std::ptr::null_mut(),
            false => PyDict_GetItemString(keywords, c"context".as_ptr()),
        };
        if let (Ok(step), Ok(context)) = (step, Py::borrowed(context)) {
            CAUGHT.with_borrow_mut(|caught| *caught = Some((step, context)));
        }
        py::clear();
    }
    py::none().into_ptr()
}

/// A task for a coroutine, its first step done; its context is a copy of the current one. Only from the loop itself,
/// never inside a task.
pub fn begin(coroutine: Py) -> PyResult<Py> {
    // SAFETY: a live object.
    let is_plain = unsafe { Py_TYPE(coroutine.as_ptr()) } == COROUTINE.load(Ordering::Relaxed);
    let coroutine = match is_plain {
        true => coroutine,
        // any other awaitable
        false => interpreter::support(c"as_coroutine", &[&coroutine])?,
    };
    // SAFETY: objects that live for ever, and live ones.
    unsafe {
        let args = py::tuple(&[&coroutine])?;
        let make = || {
            Py::new(PyObject_Call(
                TASK.load(Ordering::Relaxed),
                args.as_ptr(),
                KEYWORDS.load(Ordering::Relaxed),
            ))
        };
        if IS_EAGER.load(Ordering::Relaxed) {
            return make();
        }
        let (event_loop, name) = (LOOP.load(Ordering::Relaxed), CALL_SOON.load(Ordering::Relaxed));
        py::check(PyObject_SetAttr(event_loop, name, CATCHER.load(Ordering::Relaxed)))?;
        let task = make();
        py::check(PyObject_SetAttr(event_loop, name, std::ptr::null_mut()))?;
        let task = task?;
        if let Some((step, context)) = CAUGHT.take() {
            context.attr(c"run")?.call(&[&step])?;
        }
        Ok(task)
    }
}

/// Whether a task has ended.
pub fn is_done(task: &Py) -> bool {
    match task.attr(c"done").and_then(|done| done.call(&[])) {
        // SAFETY: a live object.
        Ok(done) => unsafe { PyObject_IsTrue(done.as_ptr()) == 1 },
        Err(_) => {
            py::clear();
            false
        }
    }
}

/// Whether an ended task returned; else its exception is the current one.
pub fn has_returned(task: &Py) -> bool {
    task.attr(c"result").and_then(|result| result.call(&[])).is_ok()
}
