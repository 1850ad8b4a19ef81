//! `--reload-os-env`: `os.environ` as the process's environment is now. Python reads it once; what C code (a plugin, a
//! library) changes later is brought over before each request.

use crate::py::{self, Py, PyResult};
use crate::{exception, interpreter, settings};
use std::ffi::{CStr, c_char};

unsafe extern "C" {
    static environ: *const *const c_char;
}

/// Brings it up to date, if that is wanted; with the GIL.
pub fn refresh() {
    if settings::get().reload_environ && bring_over().is_err() {
        exception::print_current();
    }
}

fn bring_over() -> PyResult<()> {
    let pairs = variables()?;
    interpreter::support(c"refresh_environ", &[&py::list(&pairs)?]).map(drop)
}

fn variables() -> PyResult<Vec<Py>> {
    let mut pairs = Vec::new();
    // SAFETY: the list of libc, which ends with NULL; whoever changes it in another thread breaks every reader.
    unsafe {
        let mut place = environ;
        while !place.is_null() && !(*place).is_null() {
            let text = CStr::from_ptr(*place).to_bytes();
            if let Some(at) = text.iter().position(|b| *b == b'=') {
                pairs.push(py::tuple(&[&py::bytes(&text[..at])?, &py::bytes(&text[at + 1..])?])?);
            }
            place = place.add(1);
        }
    }
    Ok(pairs)
}
