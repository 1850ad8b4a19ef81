//! The life of the server and its workers as Python sees it: the hooks of `rsgidecorators` and of a gunicorn
//! configuration, the two orders that end a worker (`worker_int`, `worker_abort`), and the stacks of all threads,
//! written by Python's own faulthandler from a signal handler.

use crate::bridge::{Moment, Numbers};
use crate::exchange::Exchange;
use crate::interpreter;
use crate::py::{self, Args, Function, Py, PyResult};
use crate::{exception, gil, module, settings};
use pyo3_ffi::*;
use rsgi_plugin_api::sys;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// Exit code of a worker whose hooks fail before it serves, as gunicorn has it.
const BOOT_ERROR: c_int = 3;

/// Faulthandler's function for a signal; NULL: Python has none.
static DUMP: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
/// Python's own function for a signal, which makes its main thread run the handler; NULL: no order has one.
static NOTE: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
/// Some hook wants to hear of SIGINT, of an abort, of requests.
static WANTS_INT: AtomicBool = AtomicBool::new(false);
static WANTS_ABORT: AtomicBool = AtomicBool::new(false);
static WANTS_REQUESTS: AtomicBool = AtomicBool::new(false);

/// The signal under which faulthandler knows us. It is never sent: we call the function ourselves, from the host's
/// handler.
fn number() -> c_int {
    libc::SIGRTMAX() - 3
}

/// Gets faulthandler's function for later; once Python runs.
pub fn prepare() {
    if let Err(py::Raised) = keep_handler() {
        py::clear();
    }
}

fn keep_handler() -> PyResult<()> {
    let faulthandler = interpreter::import(c"faulthandler")?;
    // SAFETY: plain reads and writes of this process's table of handlers; the old entry is put back.
    unsafe {
        let mut before: libc::sigaction = std::mem::zeroed();
        let mut during: libc::sigaction = std::mem::zeroed();
        libc::sigaction(number(), std::ptr::null(), &mut before);
        // signum, file, all_threads, chain
        let register = faulthandler.attr(c"register")?;
        register.call(&[
            &py::int(number().into())?,
            &py::int(2)?,
            &py::boolean(true),
            &py::boolean(false),
        ])?;
        libc::sigaction(number(), &before, &mut during);
        DUMP.store(during.sa_sigaction as *mut c_void, Ordering::Release);
    }
    Ok(())
}

/// Writes where each thread is. In a signal handler, with or without the GIL.
pub unsafe extern "C" fn dump_stacks(_fd: c_int) {
    let dump = DUMP.load(Ordering::Acquire);
    if !dump.is_null() {
        // SAFETY: faulthandler's handler: takes a signal's number, is made for this very place, and writes to 2.
        unsafe { std::mem::transmute::<*mut c_void, extern "C" fn(c_int)>(dump)(number()) }
    }
}

/// Whether anything can have registered a hook. Most applications have none, and what Python does in each worker is
/// memory that each worker has to itself.
fn has_hooks() -> bool {
    // SAFETY: we hold the GIL; both calls borrow.
    unsafe { !PyDict_GetItemString(PyImport_GetModuleDict(), c"rsgidecorators".as_ptr()).is_null() }
}

/// Asks Python's half which hooks there are, for the places that must not ask each time.
pub fn refresh() {
    let has_any = has_hooks();
    let wanted = |name: &CStr| {
        if !has_any {
            return false;
        }
        let name = py::string(&name.to_string_lossy());
        let found = name.and_then(|name| interpreter::support(c"has_hook", &[&name]));
        match found {
            // SAFETY: a live object.
            Ok(found) => unsafe { PyObject_IsTrue(found.as_ptr()) == 1 },
            Err(_) => {
                py::clear();
                false
            }
        }
    };
    WANTS_INT.store(wanted(c"worker_int"), Ordering::Release);
    WANTS_ABORT.store(wanted(c"worker_abort"), Ordering::Release);
    WANTS_REQUESTS.store(wanted(c"pre_request") || wanted(c"post_request"), Ordering::Release);
}

/// Whether requests are to be shown to hooks.
#[inline]
pub fn sees_requests() -> bool {
    WANTS_REQUESTS.load(Ordering::Relaxed)
}

/// Calls the hooks of a name; an exception is left for the caller.
fn fire(name: &CStr, numbers: &[c_int]) -> PyResult<()> {
    if !has_hooks() {
        return Ok(());
    }
    let mut args = vec![py::string(&name.to_string_lossy())?];
    for number in numbers {
        args.push(py::int((*number).into())?);
    }
    interpreter::support(c"fire", &args.iter().collect::<Vec<_>>()).map(drop)
}

/// The hooks before and after a request; `Err`: a `pre_request` hook raised.
pub fn request_hooks(name: &CStr, args: &[&Py]) -> PyResult<()> {
    let name = py::string(&name.to_string_lossy())?;
    let mut all = vec![&name];
    all.extend(args);
    interpreter::support(c"fire", &all).map(drop)
}

/// A request was answered: its hooks run, and what they raise is only printed.
pub fn after(exchange: &Exchange, environ: &Py) {
    // SAFETY: the host's request of this core.
    let (status, length) = unsafe { ((*exchange.req()).status, (*exchange.req()).response_size) };
    let shown = (|| {
        request_hooks(
            c"post_request",
            &[environ, &py::int(status.into())?, &py::uint(length as u64)?],
        )
    })();
    if shown.is_err() {
        exception::print_current();
    }
}

/// A moment of the life cycle; negative: the server cannot go on.
pub unsafe extern "C" fn moment(moment: Moment, Numbers([first, second, third]): Numbers) -> c_int {
    crate::guarded("life cycle", -1, || {
        if matches!(moment, Moment::OnStarting | Moment::OnReload) {
            crate::logger::begin();
        }
        gil::with(|| {
            let (name, numbers): (&CStr, &[c_int]) = match moment {
                Moment::OnStarting => (c"on_starting", &[]),
                Moment::OnReload => (c"on_reload", &[]),
                Moment::WhenReady => (c"when_ready", &[]),
                Moment::PreFork => (c"pre_fork", &[first]),
                Moment::ChildExit => (c"child_exit", &[first, second, third]),
                Moment::NworkersChanged => (c"nworkers_changed", &[first, second]),
                Moment::PreExec => (c"pre_exec", &[]),
                Moment::WorkerExit => (c"worker_exit", &[first]),
                Moment::OnExit => (c"on_exit", &[]),
                Moment::Fixup => {
                    worker_init();
                    return 0;
                }
            };
            match fire(name, numbers) {
                Ok(()) => 0,
                Err(_) => {
                    exception::print_current();
                    -1
                }
            }
        })
    })
}

/// A worker after its fork, before applications are loaded.
pub fn post_fork() {
    boot(c"post_fork");
}

/// A worker whose applications are loaded, just before it serves.
pub fn worker_init() {
    refresh();
    boot(c"post_worker_init");
    refresh();
}

/// Hooks whose failure is one of the worker.
fn boot(name: &CStr) {
    // SAFETY: a plain read of the published view.
    if unsafe { sys::uwsgi.mywid } == 0 {
        return;
    }
    let done = give_recycle()
        .and_then(|()| fire(name, &[]))
        .and_then(|()| install_orders());
    if done.is_err() {
        exception::print_current();
        // SAFETY: an orderly end of this worker, in its main thread.
        unsafe { sys::uwsgi_exit(BOOT_ERROR) }
    }
}

/// Python's side of the two orders: `signal.signal` for Python to know what to run, the host's handler put back, since
/// it is the host that hears the signal first.
fn install_orders() -> PyResult<()> {
    refresh();
    for (wanted, signal, order) in [
        (&WANTS_INT, libc::SIGINT, c"worker_int"),
        (&WANTS_ABORT, libc::SIGABRT, c"worker_abort"),
    ] {
        if !wanted.load(Ordering::Acquire) {
            continue;
        }
        // SAFETY: plain reads and writes of this process's table of handlers.
        unsafe {
            let mut before: libc::sigaction = std::mem::zeroed();
            let mut during: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, std::ptr::null(), &mut before);
            let leave = LEAVE.object()?;
            let set = interpreter::support(
                c"on_order",
                &[&py::int(signal.into())?, &py::string(&order.to_string_lossy())?, &leave],
            );
            libc::sigaction(signal, &before, &mut during);
            set?;
            NOTE.store(during.sa_sigaction as *mut c_void, Ordering::Release);
        }
    }
    Ok(())
}

/// Python's half gets what ends this worker after its request.
fn give_recycle() -> PyResult<()> {
    if !has_hooks() {
        return Ok(());
    }
    interpreter::support(c"give_recycle", &[&RECYCLE.object()?]).map(drop)
}

/// `recycle()`: this worker is replaced, and ends when its successor is there.
unsafe extern "C" fn recycle(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: our own record in shared memory; the field is a plugin's to clear.
    if let Some(me) = unsafe { module::own_record().as_mut() } {
        me.manage_next_request = 0;
    }
    py::none().into_ptr()
}

static RECYCLE: Function = Function::new(py::method(c"recycle", recycle, METH_VARARGS));
static LEAVE: Function = Function::new(py::method(c"leave", leave, METH_VARARGS));

/// `leave(code)`: the orderly end of this worker.
unsafe extern "C" fn leave(_: *mut PyObject, args: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with the argument tuple, in the main thread.
    unsafe {
        let code = Args::new(args).int(0, 0).unwrap_or(1);
        sys::uwsgi_exit(code as c_int)
    }
}

/// The host's word that the worker is to stop at once.
pub unsafe extern "C" fn worker_int(step: c_int) -> c_int {
    order(step, &WANTS_INT, libc::SIGINT, c"worker_int")
}

/// The host's word that a deadline has passed.
pub unsafe extern "C" fn worker_abort(step: c_int) -> c_int {
    order(step, &WANTS_ABORT, libc::SIGABRT, c"worker_abort")
}

/// In a signal handler Python is told to run the hooks as soon as its main thread can; else they run here.
fn order(step: c_int, wanted: &AtomicBool, signal: c_int, name: &CStr) -> c_int {
    if !wanted.load(Ordering::Acquire) {
        return 0;
    }
    if step == 0 {
        let note = NOTE.load(Ordering::Acquire);
        if note.is_null() {
            return 0;
        }
        // SAFETY: Python's handler: takes a signal's number and is made for this very place.
        unsafe { std::mem::transmute::<*mut c_void, extern "C" fn(c_int)>(note)(signal) };
        return 1;
    }
    crate::guarded("order", 0, || {
        gil::with(|| {
            if fire(name, &[]).is_err() {
                exception::print_current();
            }
            1
        })
    })
}

/// `--gunicorn-conf` in the child that only asks for its settings.
pub unsafe extern "C" fn gunicorn_settings(path: *const c_char, fd: c_int) -> c_int {
    crate::guarded("gunicorn-conf", 1, || {
        gil::with(|| {
            // SAFETY: stage one passes a NUL-terminated text.
            let path = unsafe { CStr::from_ptr(path) }.to_bytes();
            let written = py::path(path)
                .and_then(|path| interpreter::support(c"gunicorn_settings", &[&path, &py::int(fd.into())?]));
            match written {
                Ok(_) => 0,
                Err(_) => {
                    exception::print_current();
                    1
                }
            }
        })
    })
}

/// `--gunicorn-conf` in the master: its hooks are taken. Whether that worked.
pub fn load_gunicorn_conf() -> bool {
    let Some(path) = &settings::get().gunicorn_conf else {
        return true;
    };
    module::refresh();
    let loaded = py::path(path).and_then(|path| interpreter::support(c"gunicorn_hooks", &[&path]));
    if loaded.is_err() {
        exception::explain_current("");
        return false;
    }
    true
}
