//! `uwsgi.*`: remote procedures. A function is kept as a reference that lives as long as the process; the host hands
//! it back to [`answer`]. Calls are made without the GIL: they may wait, or come back to Python.

use crate::py::{self, Args, Py, PyResult};
use crate::{exception, gil};
use pyo3_ffi::{PyCallable_Check, PyTuple_New, PyTuple_SetItem};
use rsgi_plugin_api::sys;
use std::ffi::{CString, c_char, c_int, c_void};

super::functions! {
    register_rpc;
    rpc;
    call;
    rpc_list;
}

/// The slot of this plugin.
const MODIFIER1: usize = 0;

/// `register_rpc(name, callable[, argc])`
fn register_rpc(args: &Args) -> PyResult<Py> {
    let name = py::text_bytes(&args.need(0, "register_rpc")?)?;
    let function = args.need(1, "register_rpc")?;
    let argc = args.int(2, 0)?;
    // SAFETY: a live object.
    if unsafe { PyCallable_Check(function.as_ptr()) } == 0 {
        return Err(py::value_error("unable to register rpc function: it is not callable"));
    }
    let refused = || py::value_error("unable to register rpc function: see the log");
    let name = CString::new(name).map_err(|_| refused())?;
    let argc = u8::try_from(argc).map_err(|_| py::value_error("unable to register rpc function: argc is 0 to 255"))?;
    // SAFETY: the host copies the name; the function stays alive below, once it is registered.
    let rc = unsafe {
        let plugin = sys::uwsgi.p[MODIFIER1];
        sys::uwsgi_register_rpc(name.as_ptr().cast_mut(), plugin, argc, function.as_ptr().cast())
    };
    if rc < 0 {
        return Err(refused());
    }
    // other threads may be inside one that was replaced, so none is ever let go
    let _ = function.into_ptr();
    Ok(py::boolean(true))
}

/// Name and arguments of a call from argument `first` on: bytes, nothing else.
struct Call {
    name: CString,
    arguments: Vec<Vec<u8>>,
    lengths: Vec<u16>,
}

impl Call {
    fn of(args: &Args, first: usize) -> PyResult<Self> {
        let refused = |why: &str| py::value_error(&format!("unable to call rpc function: {why}"));
        let mut strings = Vec::new();
        for n in first..args.len() {
            let value = args.get(n).ok_or(py::Raised)?;
            // SAFETY: a live object; copied at once.
            let text = unsafe { py::bytes_of(value.as_ptr()) };
            strings.push(text.ok_or_else(|| refused("name and arguments are bytes"))?.to_vec());
        }
        if strings.is_empty() {
            return Err(refused("it needs a name"));
        }
        let name = CString::new(strings.remove(0)).map_err(|_| refused("a name has no NUL"))?;
        if strings.len() > u8::MAX.into() {
            return Err(refused("it takes at most 255 arguments"));
        }
        let lengths: Result<Vec<u16>, _> = strings.iter().map(|s| u16::try_from(s.len())).collect();
        Ok(Self {
            name,
            lengths: lengths.map_err(|_| refused("an argument has at most 65535 bytes"))?,
            arguments: strings,
        })
    }

    /// Makes the call; None when nothing comes back.
    fn run(mut self, node: Option<&CString>) -> PyResult<Py> {
        let mut places: Vec<*mut c_char> = self.arguments.iter_mut().map(|a| a.as_mut_ptr().cast()).collect();
        let node = node.map_or(std::ptr::null_mut(), |n| n.as_ptr().cast_mut());
        let mut len = 0;
        let text = gil::released(|| {
            // SAFETY: node, name and arguments live during the call.
            unsafe {
                sys::uwsgi_do_rpc(
                    node,
                    self.name.as_ptr().cast_mut(),
                    places.len() as u8,
                    places.as_mut_ptr(),
                    self.lengths.as_mut_ptr(),
                    &mut len,
                )
            }
        });
        if text.is_null() {
            return Ok(py::none());
        }
        // SAFETY: the host's answer of so many bytes, ours to free.
        unsafe {
            let value = py::bytes(std::slice::from_raw_parts(text.cast(), len as usize));
            libc::free(text.cast());
            value
        }
    }
}

/// `rpc(node, name, *arguments)`; without a node (None, empty) in this process.
fn rpc(args: &Args) -> PyResult<Py> {
    let node = args.get(0).filter(|node| !node.is_none());
    let node = node.map(|node| py::text_bytes(&node)).transpose()?.unwrap_or_default();
    let call = Call::of(args, 1)?;
    let node = CString::new(node).map_err(|_| py::value_error("unable to call rpc function: the node has a NUL"))?;
    call.run((!node.is_empty()).then_some(&node))
}

/// `call(name, *arguments)`
fn call(args: &Args) -> PyResult<Py> {
    Call::of(args, 0)?.run(None)
}

/// `rpc_list()`: the names of this process's functions.
fn rpc_list(_: &Args) -> PyResult<Py> {
    let mut buffer = [0u8; 256];
    let name = |number: c_int, buffer: &mut [u8]| {
        // SAFETY: the host writes at most so many bytes.
        let len = unsafe { sys::rsgi_rpc_name(number, buffer.as_mut_ptr().cast(), buffer.len()) };
        usize::try_from(len).ok()
    };
    let mut names = Vec::new();
    while let Some(len) = name(names.len() as c_int, &mut buffer) {
        names.push(py::bytes(&buffer[..len])?);
    }
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
        // SAFETY: by the contract; the tuple is filled before anybody sees it.
        let answered = unsafe {
            Py::new(PyTuple_New(argc.into())).and_then(|tuple| {
                for n in 0..usize::from(argc) {
                    let text = std::slice::from_raw_parts((*argv.add(n)).cast::<u8>(), (*argvs.add(n)).into());
                    PyTuple_SetItem(tuple.as_ptr(), n as isize, py::bytes(text)?.into_ptr());
                }
                let function = Py::borrowed(function.cast())?;
                Py::new(pyo3_ffi::PyObject_CallObject(function.as_ptr(), tuple.as_ptr()))
            })
        };
        let Ok(value) = answered else {
            exception::print_current();
            return 0;
        };
        // SAFETY: a live object; the host frees the copy.
        unsafe {
            let Some(text) = py::bytes_of(value.as_ptr()).filter(|t| !t.is_empty()) else {
                return 0;
            };
            let copy = sys::uwsgi_malloc(text.len());
            std::ptr::copy_nonoverlapping(text.as_ptr(), copy.cast(), text.len());
            *response = copy.cast();
            text.len() as u64
        }
    })
}
