//! What `receive()` and `send()` return: an awaitable that is mostly ready at once. It has a coroutine's methods, so that
//! it may be awaited and wrapped in a task, as one of an `async def` function. What is not ready hangs on a waiter, which
//! does for a task what a Future would, without the loop.

use crate::py::{self, Args, Py, PyResult};
use pyo3_ffi::*;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};

static AWAITABLE: AtomicPtr<PyTypeObject> = AtomicPtr::new(std::ptr::null_mut());
static CLASS: AtomicPtr<PyTypeObject> = AtomicPtr::new(std::ptr::null_mut());
/// `None` for ever: what `send()` returns when nothing keeps it.
static DONE: AtomicPtr<PyObject> = AtomicPtr::new(std::ptr::null_mut());
/// The loop of this process.
static LOOP: AtomicPtr<PyObject> = AtomicPtr::new(std::ptr::null_mut());
/// `asyncio.CancelledError` and `asyncio.InvalidStateError`.
static CANCELLED: AtomicPtr<PyObject> = AtomicPtr::new(std::ptr::null_mut());
static INVALID: AtomicPtr<PyObject> = AtomicPtr::new(std::ptr::null_mut());

enum State {
    Waiting,
    Ready(Py),
    Cancelled,
}

struct Inner {
    state: State,
    /// Whoever is to be called: a callable and its context or None.
    callbacks: Vec<(Py, Py)>,
    blocking: bool,
}

#[repr(C)]
struct Object {
    base: PyObject,
    inner: Inner,
}

/// What is awaited: a value, or a waiter.
struct Awaited {
    value: Py,
    is_ready: bool,
}

#[repr(C)]
struct Awaitable {
    base: PyObject,
    awaited: Awaited,
}

/// Somebody waits for a value.
pub struct Waiter(Py);

/// Makes the class, and keeps what it needs of asyncio; once, in the worker.
pub fn prepare(event_loop: &Py, asyncio: &Py) -> PyResult<()> {
    LOOP.store(event_loop.share().into_ptr(), Ordering::Release);
    CANCELLED.store(asyncio.attr(c"CancelledError")?.into_ptr(), Ordering::Release);
    INVALID.store(asyncio.attr(c"InvalidStateError")?.into_ptr(), Ordering::Release);
    CLASS.store(make()?.into_ptr().cast(), Ordering::Release);
    AWAITABLE.store(make_awaitable()?.into_ptr().cast(), Ordering::Release);
    DONE.store(awaitable(py::none(), true)?.into_ptr(), Ordering::Release);
    Ok(())
}

fn awaitable(value: Py, is_ready: bool) -> PyResult<Py> {
    // SAFETY: a class of ours; its memory is zeroed and filled before anybody sees it.
    unsafe {
        let object = Py::new(PyType_GenericAlloc(AWAITABLE.load(Ordering::Relaxed), 0))?;
        let place = &raw mut (*object.as_ptr().cast::<Awaitable>()).awaited;
        place.write(Awaited { value, is_ready });
        Ok(object)
    }
}

fn new(state: State) -> PyResult<Py> {
    // SAFETY: a class of ours; its memory is zeroed and filled before anybody sees it.
    unsafe {
        let object = Py::new(PyType_GenericAlloc(CLASS.load(Ordering::Relaxed), 0))?;
        let place = &raw mut (*object.as_ptr().cast::<Object>()).inner;
        place.write(Inner {
            state,
            callbacks: Vec::new(),
            blocking: false,
        });
        Ok(object)
    }
}

/// Ready, with `None`.
pub fn done() -> Py {
    // SAFETY: made in `prepare`, lives for ever.
    unsafe { Py::borrowed(DONE.load(Ordering::Relaxed)) }.unwrap_or_else(|_| py::none())
}

/// Ready, with a value.
pub fn ready(value: Py) -> PyResult<Py> {
    awaitable(value, true)
}

/// Not ready: the second is for whoever makes it so.
pub fn waiting() -> PyResult<(Py, Waiter)> {
    let waiter = Waiter(new(State::Waiting)?);
    Ok((awaitable(waiter.0.share(), false)?, waiter))
}

/// The state behind an object of the class; the GIL orders all accesses, and no reference is held over a call of Python.
unsafe fn inner<'a>(object: *mut PyObject) -> &'a mut Inner {
    // SAFETY: an instance of our class by the callers' contract.
    unsafe { &mut (*object.cast::<Object>()).inner }
}

impl Waiter {
    /// Whether somebody still waits.
    pub fn is_waiting(&self) -> bool {
        // SAFETY: our class.
        matches!(unsafe { inner(self.0.as_ptr()) }.state, State::Waiting)
    }

    /// Makes it ready and lets whoever waits go on, here and now. Only from the loop itself, never inside a task.
    pub fn resolve(self, value: Py) {
        // SAFETY: our class; the reference ends before Python is called.
        let callbacks = unsafe {
            let inner = inner(self.0.as_ptr());
            if !matches!(inner.state, State::Waiting) {
                return;
            }
            inner.state = State::Ready(value);
            std::mem::take(&mut inner.callbacks)
        };
        for (callback, context) in callbacks {
            let called = if context.is_none() {
                callback.call(&[&self.0])
            } else {
                context.attr(c"run").and_then(|run| run.call(&[&callback, &self.0]))
            };
            if called.is_err() {
                // SAFETY: the GIL is held and an exception is set.
                unsafe { PyErr_WriteUnraisable(callback.as_ptr()) }
            }
        }
    }
}

/// Lets the loop call somebody soon.
fn call_soon(callback: &Py, context: &Py, object: *mut PyObject) -> PyResult<()> {
    // SAFETY: live objects; the loop lives for ever.
    unsafe {
        let event_loop = Py::borrowed(LOOP.load(Ordering::Relaxed))?;
        let me = Py::borrowed(object)?;
        let call_soon = event_loop.attr(c"call_soon")?;
        let args = py::tuple(&[callback, &me])?;
        let keywords = Py::new(PyDict_New())?;
        if !context.is_none() {
            py::set_item(&keywords, c"context", context)?;
        }
        Py::new(PyObject_Call(call_soon.as_ptr(), args.as_ptr(), keywords.as_ptr())).map(drop)
    }
}

fn raise(class: &AtomicPtr<PyObject>) -> py::Raised {
    // SAFETY: a class that lives for ever.
    unsafe { PyErr_SetObject(class.load(Ordering::Relaxed), Py_None()) };
    py::Raised
}

/// The value, or why there is none.
fn result(object: *mut PyObject) -> PyResult<Py> {
    // SAFETY: our class.
    match unsafe { &inner(object).state } {
        State::Ready(value) => Ok(value.share()),
        State::Cancelled => Err(raise(&CANCELLED)),
        State::Waiting => Err(raise(&INVALID)),
    }
}

unsafe extern "C" fn itself(object: *mut PyObject) -> *mut PyObject {
    // SAFETY: alive, since Python calls with it.
    unsafe { Py_INCREF(object) };
    object
}

/// One step of an await: the value as StopIteration, or the waiter itself for the task to wait for.
unsafe extern "C" fn next(object: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with an instance.
    unsafe {
        let state = inner(object);
        match &state.state {
            State::Waiting => {
                state.blocking = true;
                itself(object)
            }
            State::Ready(value) if value.is_none() => std::ptr::null_mut(),
            State::Ready(value) => {
                let value = value.share();
                PyErr_SetObject(PyExc_StopIteration, value.as_ptr());
                std::ptr::null_mut()
            }
            State::Cancelled => {
                raise(&CANCELLED);
                std::ptr::null_mut()
            }
        }
    }
}

/// What is awaited. The reference ends before Python is called.
unsafe fn awaited<'a>(object: *mut PyObject) -> &'a Awaited {
    // SAFETY: an instance of our class by the callers' contract; its fields never change.
    unsafe { &(*object.cast::<Awaitable>()).awaited }
}

/// One step of an await.
unsafe extern "C" fn step(object: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with an instance.
    unsafe {
        let Awaited { value, is_ready } = awaited(object);
        if !is_ready {
            return next(value.as_ptr());
        }
        if !value.is_none() {
            PyErr_SetObject(PyExc_StopIteration, value.as_ptr());
        }
        std::ptr::null_mut()
    }
}

/// The same as CPython 3.10 and later ask for it: 0 returns, 1 yields, −1 raises.
unsafe extern "C" fn am_send(object: *mut PyObject, _: *mut PyObject, out: *mut *mut PyObject) -> c_int {
    // SAFETY: called by Python with an instance and a place for the result.
    unsafe {
        let Awaited { value, is_ready } = awaited(object);
        if *is_ready {
            *out = value.share().into_ptr();
            return 0;
        }
        let state = inner(value.as_ptr());
        match &state.state {
            State::Ready(value) => {
                *out = value.share().into_ptr();
                0
            }
            State::Waiting => {
                state.blocking = true;
                *out = itself(value.as_ptr());
                1
            }
            State::Cancelled => {
                raise(&CANCELLED);
                *out = std::ptr::null_mut();
                -1
            }
        }
    }
}

unsafe extern "C" fn send(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: as above.
    unsafe {
        let stepped = step(object);
        if stepped.is_null() && PyErr_Occurred().is_null() {
            PyErr_SetNone(PyExc_StopIteration);
        }
        stepped
    }
}

unsafe extern "C" fn throw(_: *mut PyObject, args: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with the argument tuple; what is thrown comes out again.
    unsafe {
        let args = Args::new(args);
        match (args.get(0), args.get(1)) {
            (Some(class), value) if PyExceptionClass_Check(class.as_ptr()) != 0 => {
                let value = value.unwrap_or_else(py::none);
                PyErr_SetObject(class.as_ptr(), value.as_ptr());
            }
            (Some(value), _) => PyErr_SetObject(Py_TYPE(value.as_ptr()).cast(), value.as_ptr()),
            (None, _) => drop(py::type_error("throw() needs an exception")),
        }
        std::ptr::null_mut()
    }
}

unsafe extern "C" fn nothing(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    py::none().into_ptr()
}

unsafe extern "C" fn get_result(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    py::give(result(object))
}

unsafe extern "C" fn exception(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    py::give(result(object).map(|_| py::none()))
}

unsafe extern "C" fn is_done(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: our class.
    py::boolean(!matches!(unsafe { &inner(object).state }, State::Waiting)).into_ptr()
}

unsafe extern "C" fn is_cancelled(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: our class.
    py::boolean(matches!(unsafe { &inner(object).state }, State::Cancelled)).into_ptr()
}

unsafe extern "C" fn get_loop(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: the loop lives for ever.
    py::give(unsafe { Py::borrowed(LOOP.load(Ordering::Relaxed)) })
}

/// `cancel(msg=None)`: whoever waits hears of it soon.
unsafe extern "C" fn cancel(object: *mut PyObject, _: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: our class; the reference ends before Python is called.
    let callbacks = unsafe {
        let inner = inner(object);
        if !matches!(inner.state, State::Waiting) {
            return py::boolean(false).into_ptr();
        }
        inner.state = State::Cancelled;
        std::mem::take(&mut inner.callbacks)
    };
    for (callback, context) in callbacks {
        if call_soon(&callback, &context, object).is_err() {
            return std::ptr::null_mut();
        }
    }
    py::boolean(true).into_ptr()
}

/// `add_done_callback(callback, *, context=None)`
unsafe extern "C" fn add_done_callback(
    object: *mut PyObject,
    args: *mut PyObject,
    keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: called by Python with a tuple, and a dict or NULL.
    py::give(unsafe {
        (|| {
            let callback = Args::new(args).need(0, "add_done_callback")?;
            let context = match keywords.is_null() {
                true => std::ptr::null_mut(),
                false => PyDict_GetItemString(keywords, c"context".as_ptr()),
            };
            let context = Py::borrowed(context).unwrap_or_else(|_| py::none());
            if matches!(inner(object).state, State::Waiting) {
                inner(object).callbacks.push((callback, context));
            } else {
                call_soon(&callback, &context, object)?;
            }
            Ok(py::none())
        })()
    })
}

unsafe extern "C" fn remove_done_callback(object: *mut PyObject, callback: *mut PyObject) -> *mut PyObject {
    // SAFETY: our class. The list is taken out while Python compares.
    unsafe {
        let all = std::mem::take(&mut inner(object).callbacks);
        let before = all.len();
        let kept: Vec<_> = all
            .into_iter()
            .filter(|(known, _)| PyObject_RichCompareBool(known.as_ptr(), callback, Py_EQ) != 1)
            .collect();
        PyErr_Clear();
        let removed = before - kept.len();
        inner(object).callbacks.extend(kept);
        py::give(py::int(removed as i64))
    }
}

unsafe extern "C" fn get_blocking(object: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: our class.
    py::boolean(unsafe { inner(object) }.blocking).into_ptr()
}

unsafe extern "C" fn set_blocking(object: *mut PyObject, value: *mut PyObject, _: *mut c_void) -> c_int {
    // SAFETY: our class; NULL would be a deletion.
    unsafe { inner(object).blocking = !value.is_null() && PyObject_IsTrue(value) == 1 };
    0
}

unsafe extern "C" fn dealloc(object: *mut PyObject) {
    // SAFETY: called once by Python; the fields are dropped before the memory goes.
    unsafe {
        std::ptr::drop_in_place(&raw mut (*object.cast::<Object>()).inner);
        py::dealloc(object);
    }
}

unsafe extern "C" fn dealloc_awaitable(object: *mut PyObject) {
    // SAFETY: as above.
    unsafe {
        std::ptr::drop_in_place(&raw mut (*object.cast::<Awaitable>()).awaited);
        py::dealloc(object);
    }
}

fn slot(slot: c_int, pfunc: *mut c_void) -> PyType_Slot {
    PyType_Slot { slot, pfunc }
}

fn make_awaitable() -> PyResult<Py> {
    let methods = Box::leak(Box::new([
        py::method(c"send", send, METH_O),
        py::method(c"throw", throw, METH_VARARGS),
        py::method(c"close", nothing, METH_NOARGS),
        PyMethodDef::zeroed(),
    ]));
    let mut slots = vec![
        slot(Py_tp_dealloc, dealloc_awaitable as *mut _),
        slot(Py_tp_methods, methods.as_mut_ptr().cast()),
        slot(Py_am_await, itself as *mut _),
        slot(Py_tp_iter, itself as *mut _),
        slot(Py_tp_iternext, step as *mut _),
    ];
    // SAFETY: a lookup by name.
    let has_send = unsafe { !libc::dlsym(libc::RTLD_DEFAULT, c"PyIter_Send".as_ptr()).is_null() };
    if has_send {
        // Py_am_send, which the stable ABI of 3.9 does not name
        slots.push(slot(81, am_send as *mut _));
    }
    slots.push(py::END);
    py::class(c"uwsgi._Awaitable", size_of::<Awaitable>(), &mut slots)
}

fn make() -> PyResult<Py> {
    let with_keywords = |name, function: PyCFunctionWithKeywords| PyMethodDef {
        ml_meth: PyMethodDefPointer {
            PyCFunctionWithKeywords: function,
        },
        ..py::method(name, nothing, METH_VARARGS | METH_KEYWORDS)
    };
    let methods = Box::leak(Box::new([
        py::method(c"result", get_result, METH_NOARGS),
        py::method(c"exception", exception, METH_NOARGS),
        py::method(c"done", is_done, METH_NOARGS),
        py::method(c"cancelled", is_cancelled, METH_NOARGS),
        py::method(c"get_loop", get_loop, METH_NOARGS),
        with_keywords(c"cancel", cancel),
        with_keywords(c"add_done_callback", add_done_callback),
        py::method(c"remove_done_callback", remove_done_callback, METH_O),
        PyMethodDef::zeroed(),
    ]));
    let mut rows = [PyGetSetDef::default(), PyGetSetDef::default()];
    rows[0] = PyGetSetDef {
        name: c"_asyncio_future_blocking".as_ptr(),
        get: Some(get_blocking),
        set: Some(set_blocking),
        doc: std::ptr::null(),
        closure: std::ptr::null_mut(),
    };
    let properties = Box::leak(Box::new(rows));
    let mut slots = [
        slot(Py_tp_dealloc, dealloc as *mut _),
        slot(Py_tp_methods, methods.as_mut_ptr().cast()),
        slot(Py_tp_getset, properties.as_mut_ptr().cast()),
        slot(Py_am_await, itself as *mut _),
        slot(Py_tp_iter, itself as *mut _),
        slot(Py_tp_iternext, next as *mut _),
        py::END,
    ];
    py::class(c"uwsgi._Waiter", size_of::<Object>(), &mut slots)
}
