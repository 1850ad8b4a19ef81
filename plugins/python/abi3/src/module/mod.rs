//! The `uwsgi` module: what an application may ask and tell the server. Made once when Python starts; attributes that
//! the server learns later (sockets) are refreshed before applications are loaded and after each fork.

mod alarm;
mod cache;
mod lock;
mod metric;
mod mule;
mod net;
mod process;
mod queue;
mod request;
pub mod rpc;
mod sharedarea;
pub mod signal;
mod spooler;
mod wait;
mod websocket;

pub use mule::dispatch as mule_msg;
pub use net::deliver;
pub use process::{own_record, stop_now};
pub use spooler::dispatch as spool_task;

use crate::py::{self, Args, Py, PyResult};
use crate::{autoreload, input, interpreter, settings};
use pyo3_ffi::*;
use rsgi_plugin_api::sys;
use std::ffi::{CStr, c_char};
use std::sync::atomic::{AtomicPtr, Ordering};

/// A function of the module: Rust on the inside, positional arguments only.
type Function = fn(&Args) -> PyResult<Py>;

/// The module's dict, borrowed: the module lives as long as the process.
static DICT: AtomicPtr<PyObject> = AtomicPtr::new(std::ptr::null_mut());
/// The key of `uwsgi.env`.
static ENV: AtomicPtr<PyObject> = AtomicPtr::new(std::ptr::null_mut());

/// A table of functions, one row per name; a row exists only when its condition holds.
macro_rules! functions {
    ($($name:ident $(if $present:expr)?;)*) => {
        /// The rows of this file.
        pub fn rows() -> Vec<pyo3_ffi::PyMethodDef> {
            let mut rows = Vec::new();
            $({
                unsafe extern "C" fn enter(_: *mut pyo3_ffi::PyObject, args: *mut pyo3_ffi::PyObject) -> *mut pyo3_ffi::PyObject {
                    // SAFETY: called by Python with the argument tuple.
                    let args = unsafe { crate::py::Args::new(args) };
                    let function: super::Function = $name;
                    crate::py::give(function(&args))
                }
                let present = true $(&& $present)?;
                if present {
                    rows.push(crate::py::method(
                        // SAFETY: the literal ends with the NUL added here.
                        unsafe { std::ffi::CStr::from_bytes_with_nul_unchecked(concat!(stringify!($name), "\0").as_bytes()) },
                        enter,
                        pyo3_ffi::METH_VARARGS,
                    ));
                }
            })*
            rows
        }
    };
}
pub(crate) use functions;

/// Python's init function of the module.
pub unsafe extern "C" fn init() -> *mut PyObject {
    py::give(make())
}

fn make() -> PyResult<Py> {
    let mut rows = process::rows();
    rows.extend(request::rows());
    rows.extend(net::rows());
    rows.extend(wait::rows());
    rows.extend(websocket::rows());
    rows.extend(signal::rows());
    rows.extend(cache::rows());
    rows.extend(alarm::rows());
    rows.extend(lock::rows());
    rows.extend(metric::rows());
    rows.extend(rpc::rows());
    rows.extend(queue::rows());
    rows.extend(sharedarea::rows());
    rows.extend(mule::rows());
    rows.push(mule::keyword_row());
    rows.extend(spooler::rows());
    rows.extend(spooler::keyword_rows());
    rows.push(PyMethodDef::zeroed());
    let definition = Box::leak(Box::new(PyModuleDef {
        m_base: PyModuleDef_HEAD_INIT,
        m_name: c"uwsgi".as_ptr(),
        m_doc: c"The server that this process belongs to.".as_ptr(),
        m_size: -1,
        m_methods: rows.leak().as_mut_ptr(),
        m_slots: std::ptr::null_mut(),
        m_traverse: None,
        m_clear: None,
        m_free: None,
    }));
    // SAFETY: the definition lives for ever.
    let module = unsafe { Py::new(PyModule_Create(definition))? };
    // SAFETY: a module's dict lives as long as it; Python keeps `sys.modules['uwsgi']`, and we one reference more.
    let dict = unsafe { Py::borrowed(PyModule_GetDict(module.as_ptr()))? };
    attributes(&dict)?;
    ENV.store(py::string("env")?.into_ptr(), Ordering::Release);
    DICT.store(dict.into_ptr(), Ordering::Release);
    Ok(module)
}

/// What is known once the options are read.
fn attributes(dict: &Py) -> PyResult<()> {
    let view = &raw const sys::uwsgi;
    // SAFETY: plain reads of the published view, in the process's only thread; strings are NUL-terminated.
    unsafe {
        let set = |name: &CStr, value: PyResult<Py>| py::set_item(dict, name, &value?);
        set(c"numproc", py::int((*view).numproc.into()))?;
        set(c"cores", py::int((*view).cores.into()))?;
        set(c"has_threads", py::int((*view).has_threads.into()))?;
        set(c"buffer_size", py::int((*view).buffer_size.into()))?;
        set(c"started_on", py::int((*view).start_tv))?;
        set(c"is_a_reload", Ok(py::boolean((*view).is_a_reload != 0)))?;
        set(c"version", py::c_bytes((*view).version))?;
        set(c"version_info", version_info((*view).version))?;
        set(c"hostname", py::c_bytes((&raw const (*view).hostname).cast()))?;
        set(c"loop", py::c_bytes((*view).r#loop))?;
        if !(*view).pidfile.is_null() {
            set(c"pidfile", py::c_bytes((*view).pidfile))?;
        }
        let options = options()?;
        let mode = Py::borrowed(PyDict_GetItemString(options.as_ptr(), c"mode".as_ptr()));
        if let Ok(mode) = mode {
            set(c"mode", Ok(mode))?;
        }
        set(c"opt", Ok(options))?;
        set(c"magic_table", magic_table())?;
        set(c"sockets", sockets())?;
        set(c"applications", Ok(py::none()))?;
        set(c"env", Ok(py::none()))?;
        set(c"unbit", Ok(py::none()))?;
        if queue::slots() > 0 {
            set(c"queue_size", py::uint(queue::slots()))?;
        }
        set(c"SPOOL_OK", py::int(-2))?;
        set(c"SPOOL_RETRY", py::int(-1))?;
        set(c"SPOOL_IGNORE", py::int(0))?;
        set(c"_Input", input::class())?;
    }
    Ok(())
}

/// `(2, 0, 30, 0, b'')` of a version's text.
unsafe fn version_info(version: *const c_char) -> PyResult<Py> {
    let text = match version.is_null() {
        true => "",
        // SAFETY: the host's NUL-terminated string.
        false => unsafe { CStr::from_ptr(version) }.to_str().unwrap_or_default(),
    };
    let (numbers, rest) = split_version(text);
    py::tuple(&[
        &py::int(numbers[0])?,
        &py::int(numbers[1])?,
        &py::int(numbers[2])?,
        &py::int(numbers[3])?,
        &py::bytes(rest.as_bytes())?,
    ])
}

/// Up to four numbers, and what follows the first `-`.
fn split_version(text: &str) -> ([i64; 4], &str) {
    let (plain, rest) = text.split_once('-').unwrap_or((text, ""));
    let mut numbers = [0; 4];
    for (slot, part) in numbers.iter_mut().zip(plain.split('.')) {
        *slot = part.parse().unwrap_or(0);
    }
    (numbers, rest)
}

/// `uwsgi.opt`: str to bytes, True for an option without a value, a list for one given several times.
unsafe fn options() -> PyResult<Py> {
    // SAFETY: the host's array of so many rows, with NUL-terminated strings.
    unsafe {
        let dict = Py::new(PyDict_New())?;
        let (rows, count) = (sys::uwsgi.exported_opts, sys::uwsgi.exported_opts_cnt);
        for i in 0..count as usize {
            let row = &**rows.add(i);
            if row.key.is_null() {
                continue;
            }
            let key = py::path(CStr::from_ptr(row.key).to_bytes())?;
            let value = if row.value.is_null() {
                py::boolean(true)
            } else {
                py::c_bytes(row.value)?
            };
            let before = PyDict_GetItemWithError(dict.as_ptr(), key.as_ptr());
            let value = if before.is_null() {
                value
            } else if PyList_Check(before) != 0 {
                py::check(PyList_Append(before, value.as_ptr()))?;
                continue;
            } else {
                let list = Py::new(PyList_New(0))?;
                py::check(PyList_Append(list.as_ptr(), before))?;
                py::check(PyList_Append(list.as_ptr(), value.as_ptr()))?;
                list
            };
            py::check(PyDict_SetItem(dict.as_ptr(), key.as_ptr(), value.as_ptr()))?;
        }
        Ok(dict)
    }
}

/// `uwsgi.magic_table`: the one-letter placeholders of the configuration and what they stand for, as bytes.
fn magic_table() -> PyResult<Py> {
    // SAFETY: a new dict.
    let dict = unsafe { Py::new(PyDict_New())? };
    let mut buffer = [0u8; 4096];
    for letter in (b'0'..=b'9').chain(b'A'..=b'Z').chain(b'a'..=b'z') {
        // SAFETY: the host writes at most so many bytes and returns how many.
        let len = unsafe { sys::rsgi_magic(letter as c_char, buffer.as_mut_ptr().cast(), buffer.len()) };
        let Some(value) = usize::try_from(len).ok().and_then(|n| buffer.get(..n)) else {
            continue;
        };
        let (key, value) = (py::bytes(&[letter])?, py::bytes(value)?);
        // SAFETY: a dict, live key and value.
        py::check(unsafe { PyDict_SetItem(dict.as_ptr(), key.as_ptr(), value.as_ptr()) })?;
    }
    Ok(dict)
}

/// The descriptors of the workers' sockets.
fn sockets() -> PyResult<Py> {
    // SAFETY: the host's list, which does not change while a hook runs.
    unsafe {
        let list = Py::new(PyList_New(0))?;
        let mut socket = sys::uwsgi.sockets;
        while let Some(s) = socket.as_ref() {
            if s.fd >= 0 {
                py::check(PyList_Append(list.as_ptr(), py::int(s.fd.into())?.as_ptr()))?;
            }
            socket = s.next;
        }
        Ok(list)
    }
}

/// What the application has put into the module under this name.
fn attribute(name: &CStr) -> Option<Py> {
    let module = interpreter::import(c"uwsgi").map_err(|_| py::clear()).ok()?;
    module.attr_opt(name).filter(|value| !value.is_none())
}

/// Brings the attributes up to date that are not known when Python starts.
pub fn refresh() {
    let dict = DICT.load(Ordering::Acquire);
    if dict.is_null() {
        return;
    }
    // SAFETY: the module's dict lives as long as the process.
    let done = unsafe { Py::borrowed(dict) }.and_then(|dict| {
        if let Some(folders) = spooler::folders()? {
            py::set_item(&dict, c"spoolers", &folders)?;
        }
        py::set_item(&dict, c"sockets", &sockets()?)?;
        // SAFETY: a plain read of the published view.
        py::set_item(&dict, c"loop", &unsafe { py::c_bytes(sys::uwsgi.r#loop) }?)
    });
    if done.is_err() {
        py::clear();
    }
}

/// The threads of ours that a worker has: `--py-tracebacker` and `--py-autoreload`.
pub fn start_helpers() -> PyResult<()> {
    let settings = settings::get();
    // SAFETY: a plain read of the published view.
    let worker = unsafe { sys::uwsgi.mywid };
    let module = interpreter::import(c"uwsgi")?;
    let log = module.attr(c"log")?;
    if let Some(socket) = settings.tracebacker.as_ref().filter(|_| worker > 0) {
        let path = [socket.as_slice(), worker.to_string().as_bytes()].concat();
        interpreter::support(c"trace_on_demand", &[&py::path(&path)?, &log])?;
    }
    autoreload::start(worker, &log, module.attr(c"reload")?)
}

/// `uwsgi.env`: the environ of the request in work, where there is only one at a time.
pub fn set_env(environ: &Py) {
    let (dict, key) = (DICT.load(Ordering::Relaxed), ENV.load(Ordering::Relaxed));
    // SAFETY: a plain read of the published view; dict and key live as long as the process.
    unsafe {
        if sys::uwsgi.cores <= 1 && !dict.is_null() {
            PyDict_SetItem(dict, key, environ.as_ptr());
        }
    }
}
