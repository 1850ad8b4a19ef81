//! `uwsgi.*`: metrics by name.

use crate::py::{self, Args, Py, PyResult};
use rsgi_plugin_api::sys;
use std::ffi::{CString, c_char, c_int};

super::functions! {
    metric_get;
    metric_set;
    metric_inc;
    metric_dec;
    metric_mul;
    metric_div;
    metric_set_max;
    metric_set_min;
}

fn name(args: &Args, function: &str) -> PyResult<CString> {
    let name = py::text_bytes(&args.need(0, function)?)?;
    CString::new(name).map_err(|_| py::value_error("a metric's name has no NUL"))
}

/// `metric_get(name)`: the number; 0 when there is no such metric.
fn metric_get(args: &Args) -> PyResult<Py> {
    let name = name(args, "metric_get")?;
    // SAFETY: the name lives during the call.
    py::int(unsafe { sys::uwsgi_metric_get(name.as_ptr().cast_mut(), std::ptr::null_mut()) })
}

type Change = unsafe extern "C" fn(*mut c_char, *mut c_char, i64) -> c_int;

/// True, or None when there is no such metric, or it is not to be changed.
fn change(args: &Args, function: &str, change: Change) -> PyResult<Py> {
    let name = name(args, function)?;
    let by = args.int(1, 1)?;
    // SAFETY: the name lives during the call.
    let rc = unsafe { change(name.as_ptr().cast_mut(), std::ptr::null_mut(), by) };
    Ok(if rc == 0 { py::boolean(true) } else { py::none() })
}

/// `…(name[, number])`
macro_rules! changes {
    ($($name:ident $host:ident;)*) => { $(
        fn $name(args: &Args) -> PyResult<Py> {
            change(args, stringify!($name), sys::$host)
        }
    )* };
}

changes! {
    metric_set uwsgi_metric_set;
    metric_inc uwsgi_metric_inc;
    metric_dec uwsgi_metric_dec;
    metric_mul uwsgi_metric_mul;
    metric_div uwsgi_metric_div;
    metric_set_max uwsgi_metric_set_max;
    metric_set_min uwsgi_metric_set_min;
}
