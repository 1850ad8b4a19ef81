//! `uwsgi.alarm`

use crate::py::{self, Args, Py, PyResult};
use rsgi_plugin_api::sys;
use std::ffi::CString;

super::functions! {
    alarm;
}

/// `alarm(name, message)`: what is not accepted is said in the log.
fn alarm(args: &Args) -> PyResult<Py> {
    let name = py::text_bytes(&args.need(0, "alarm")?)?;
    let message = py::text_bytes(&args.need(1, "alarm")?)?;
    let name = CString::new(name).map_err(|_| py::value_error("the alarm's name contains a NUL"))?;
    // SAFETY: callable anywhere; the host copies both.
    unsafe { sys::rsgi_alarm(name.as_ptr(), message.as_ptr().cast(), message.len()) };
    Ok(py::none())
}
