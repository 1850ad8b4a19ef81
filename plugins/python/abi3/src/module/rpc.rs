//! `uwsgi.*`: remote procedures. A function is kept as a reference that lives as long as the process; the host hands
//! it back to [`answer`]. Calls are made without the GIL: they may wait, or come back to Python.

use crate::py::{self, Args, Py, PyResult, told};
use crate::{exception, gil};
use pyo3_ffi::{PyCallable_Check, PyObject_CallObject};
use rsgi_plugin_api::rpc as host;
use std::ffi::{c_char, c_void};

super::functions! {
    register_rpc;
    rpc;
    call;
    rpc_list;
}

/// The slot of this plugin.
const MODIFIER1: u8 = 0;

/// `register_rpc(name, callable[, argc])`
fn register_rpc(args: &Args) -> PyResult<Py> {
    let name = py::text_bytes(&args.need(0, "register_rpc")?)?;
    let function = args.need(1, "register_rpc")?;
    let argc = args.int(2, 0)?;
    // SAFETY: a live object.
    if unsafe { PyCallable_Check(function.as_ptr()) } == 0 {
        return Err(py::value_error("unable to register rpc function: it is not callable"));
    }
    let argc = u8::try_from(argc).map_err(|_| py::value_error("unable to register rpc function: argc is 0 to 255"))?;
    told(host::register(&name, argc, function.as_ptr() as usize, MODIFIER1))?;
    // other threads may be inside one that was replaced, so none is ever let go
    let _ = function.into_ptr();
    Ok(py::boolean(true))
}

/// Calls with name and arguments from argument `first` on: bytes, nothing else. None when nothing comes back.
fn run(node: Option<&[u8]>, args: &Args, first: usize) -> PyResult<Py> {
    let refused = |why: &str| py::value_error(&format!("unable to call rpc function: {why}"));
    let mut strings = Vec::new();
    for n in first..args.len() {
        let value = args.get(n).ok_or(py::Raised)?;
        // SAFETY: a live object; copied at once.
        let text = unsafe { py::bytes_of(value.as_ptr()) };
        strings.push(text.ok_or_else(|| refused("name and arguments are bytes"))?.to_vec());
    }
    let (name, arguments) = strings.split_first().ok_or_else(|| refused("it needs a name"))?;
    match told(gil::released(|| host::call(node, name, arguments)))? {
        Some(answer) => py::bytes(&answer),
        None => Ok(py::none()),
    }
}

/// `rpc(node, name, *arguments)`; without a node (None, empty) in this process.
fn rpc(args: &Args) -> PyResult<Py> {
    let node = args.get(0).filter(|node| !node.is_none());
    let node = node.map(|node| py::text_bytes(&node)).transpose()?;
    run(node.as_deref(), args, 1)
}

/// `call(name, *arguments)`
fn call(args: &Args) -> PyResult<Py> {
    run(None, args, 0)
}

/// `rpc_list()`: the names of this process's functions.
fn rpc_list(_: &Args) -> PyResult<Py> {
    let names = host::names()
        .iter()
        .map(|name| py::bytes(name))
        .collect::<PyResult<Vec<_>>>()?;
    py::tuple(&names.iter().collect::<Vec<_>>())
}

/// Runs a function that `register_rpc` took; the length of the answer, 0 when there is none.
///
/// # Safety
/// `function` is such a one; `argv` and `argvs` have `argc` entries, each text its length.
pub unsafe fn answer(
    function: *mut c_void,
    argc: u8,
    argv: *mut *mut c_char,
    argvs: *mut u16,
    response: *mut *mut c_char,
) -> u64 {
    gil::with(|| {
        // SAFETY: by the contract.
        let arguments = unsafe { host::arguments(argc, argv, argvs) };
        let answered = (|| {
            let arguments = arguments
                .iter()
                .map(|text| py::bytes(text))
                .collect::<PyResult<Vec<_>>>()?;
            let arguments = py::tuple(&arguments.iter().collect::<Vec<_>>())?;
            // SAFETY: a live function and a tuple.
            unsafe { Py::new(PyObject_CallObject(function.cast(), arguments.as_ptr())) }
        })();
        let Ok(value) = answered else {
            exception::print_current();
            return 0;
        };
        // SAFETY: a live object, copied at once; the host's place for the answer.
        unsafe { host::give(py::bytes_of(value.as_ptr()).map(<[u8]>::to_vec), response) }
    })
}
