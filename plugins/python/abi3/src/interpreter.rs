//! Starts the one interpreter of this process and runs the plugin's own Python half (`support.py`, and on occasion
//! `occasions.py`). Called once, in the process that needs Python first.

use crate::py::{self, Py, PyResult, Raised};
use crate::{gil, lifecycle, module, settings};
use pyo3_ffi::*;
use rsgi_plugin_api::{log, sys};
use std::ffi::{CStr, CString, c_int};
use std::sync::atomic::{AtomicPtr, Ordering};

/// The namespace of Python's half.
static SUPPORT: AtomicPtr<PyObject> = AtomicPtr::new(std::ptr::null_mut());
/// The main thread's state as a number, for the log and for `uwsgi.workers()`.
static MAIN: AtomicPtr<PyThreadState> = AtomicPtr::new(std::ptr::null_mut());

/// What each start needs of Python's half, and what is asked for on occasion.
const SUPPORT_SOURCE: &CStr = source(concat!(include_str!("support.py"), "\0"));
const OCCASIONS_SOURCE: &CStr = source(concat!(include_str!("occasions.py"), "\0"));

/// A Python source, which ends with the NUL added to it.
const fn source(text: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => panic!("a Python source has a NUL inside"),
    }
}

/// Starts Python; `false` when it refused (said in the log). The GIL is free afterwards.
pub fn start() -> bool {
    let settings = settings::get();
    choose_utf8();
    if settings.optimize > 0 {
        set_flag(c"Py_OptimizeFlag", c"PYTHONOPTIMIZE", settings.optimize.into());
    }
    if settings.no_site {
        set_flag(c"Py_NoSiteFlag", c"", 1);
    }
    let Ok(program) = CString::new(settings.program.clone()) else {
        return false;
    };
    // SAFETY: Python does not run yet; the decoded program name is kept by Python and never freed.
    unsafe {
        let program = Py_DecodeLocale(program.as_ptr(), std::ptr::null_mut());
        #[allow(deprecated)] // what replaces it is not part of the stable ABI before 3.14
        Py_SetProgramName(program);
        PyImport_AppendInittab(c"uwsgi".as_ptr(), Some(module::init));
        Py_InitializeEx(0);
        MAIN.store(PyThreadState_Get(), Ordering::Relaxed);
        log::line(&format!(
            "Python version: {}",
            CStr::from_ptr(Py_GetVersion()).to_string_lossy().replace('\n', "")
        ));
    }
    // SAFETY: a plain read of the published view.
    if unsafe { sys::uwsgi.has_threads } == 0 {
        log::line("*** Python threads support is disabled. You can enable it with --enable-threads ***");
        gil::without_threads();
    }
    let ready = load_support().and_then(|()| setup());
    if ready.is_err() {
        // SAFETY: the GIL is held.
        unsafe { PyErr_Print() };
    } else {
        lifecycle::prepare();
        log::line(&format!("Python main interpreter initialized at {:?}", main()));
    }
    gil::leave();
    ready.is_ok()
}

/// The main thread's state, an opaque number.
pub fn main() -> *mut PyThreadState {
    MAIN.load(Ordering::Relaxed)
}

/// As `python3` does it: a C locale means UTF-8, not ASCII.
fn choose_utf8() {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty());
    if set("LC_ALL").is_some() {
        return;
    }
    let locale = set("LC_CTYPE").or_else(|| set("LANG")).unwrap_or_else(|| "C".into());
    if locale == "C" || locale == "POSIX" {
        // SAFETY: before Python's start this process has one thread.
        unsafe { std::env::set_var("LC_CTYPE", "C.UTF-8") };
    }
}

/// Sets a global flag of Python, or its environment variable in a Python that no longer has the flag.
fn set_flag(symbol: &CStr, variable: &CStr, value: c_int) {
    // SAFETY: a lookup by name; the flag, where it exists, is an int that is read at the start.
    unsafe {
        let flag = libc::dlsym(libc::RTLD_DEFAULT, symbol.as_ptr()).cast::<c_int>();
        if !flag.is_null() {
            *flag = value;
        } else if !variable.is_empty() {
            let text = CString::new(value.to_string()).unwrap_or_default();
            libc::setenv(variable.as_ptr(), text.as_ptr(), 1);
        }
    }
}

fn load_support() -> PyResult<()> {
    // SAFETY: Python runs and we hold the GIL; the namespace lives for ever.
    unsafe {
        let namespace = Py::new(PyDict_New())?;
        let builtins = Py::new(PyImport_ImportModule(c"builtins".as_ptr()))?;
        py::set_item(&namespace, c"__builtins__", &builtins)?;
        py::set_item(&namespace, c"__name__", &py::string("_rsgi")?)?;
        run(SUPPORT_SOURCE, &namespace)?;
        SUPPORT.store(namespace.into_ptr(), Ordering::Release);
    }
    Ok(())
}

/// Runs a source of ours in the namespace.
fn run(source: &CStr, namespace: &Py) -> PyResult<()> {
    // SAFETY: Python runs and we hold the GIL.
    unsafe {
        let code = Py::new(Py_CompileString(source.as_ptr(), c"<rsgi>".as_ptr(), Py_file_input))?;
        Py::new(PyEval_EvalCode(code.as_ptr(), namespace.as_ptr(), namespace.as_ptr())).map(drop)
    }
}

/// `sys.argv`, `sys.path`, the modules we bring along.
fn setup() -> PyResult<()> {
    let settings = settings::get();
    let words = settings
        .argv
        .split(|b| b.is_ascii_whitespace())
        .filter(|w| !w.is_empty());
    let argv = list(std::iter::once(&b"uwsgi"[..]).chain(words))?;
    let paths = list(settings.pythonpath.iter().map(Vec::as_slice))?;
    let executable = match &settings.executable {
        Some(file) => py::path(file)?,
        None => py::none(),
    };
    let uwsgi = import(c"uwsgi")?;
    support(c"setup", &[&argv, &paths, &executable, &uwsgi.attr(c"log")?])?;
    // SAFETY: a new dict.
    let sources = unsafe { Py::new(PyDict_New())? };
    py::set_item(
        &sources,
        c"uwsgidecorators",
        &py::string(include_str!("uwsgidecorators.py"))?,
    )?;
    for (name, source) in [
        (c"rsgidecorators", include_str!("rsgidecorators.py")),
        (c"rsgi", "from rsgidecorators import *\n"),
        (c"_rsgi_gunicorn", include_str!("gunicorn_conf.py")),
        crate::asgi::HALF,
        crate::green::HALF,
    ] {
        py::set_item(&sources, name, &py::string(source)?)?;
    }
    support(c"bring", &[&sources])?;
    Ok(())
}

/// A list of str in the file system's spelling.
pub fn list<'a>(items: impl Iterator<Item = &'a [u8]>) -> PyResult<Py> {
    // SAFETY: a new list; Append takes its own reference.
    unsafe {
        let list = Py::new(PyList_New(0))?;
        for item in items {
            py::check(PyList_Append(list.as_ptr(), py::path(item)?.as_ptr()))?;
        }
        Ok(list)
    }
}

/// Imports a module by name.
pub fn import(name: &CStr) -> PyResult<Py> {
    // SAFETY: a NUL-terminated name.
    unsafe { Py::new(PyImport_ImportModule(name.as_ptr())) }
}

/// Calls a function of Python's half.
pub fn support(function: &CStr, args: &[&Py]) -> PyResult<Py> {
    // SAFETY: NULL or a dict that lives for ever.
    let namespace = unsafe { Py::borrowed(SUPPORT.load(Ordering::Acquire)) }
        .map_err(|Raised| py::type_error("Python's half of the plugin is not loaded"))?;
    // SAFETY: the lookup borrows, and raises nothing.
    let find = || unsafe { Py::borrowed(PyDict_GetItemString(namespace.as_ptr(), function.as_ptr())) };
    let function = find().or_else(|Raised| {
        run(OCCASIONS_SOURCE, &namespace)?;
        find().map_err(|Raised| py::type_error("no such support function"))
    })?;
    function.call(args)
}
