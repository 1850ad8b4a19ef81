//! Metrics by name for plugins written in Rust: all can be read, those of the operator and of plugins be changed.

use crate::{HookError, sys, text};
use std::ffi::{c_char, c_int};

/// What is done to a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the words of the field
pub enum Change {
    Set,
    Inc,
    Dec,
    Mul,
    Div,
    SetMax,
    SetMin,
}

/// The value, 0 also when there is no such metric.
///
/// # Errors
/// The name contains a NUL.
pub fn get(name: &[u8]) -> Result<i64, HookError> {
    let name = text::to_host(name, "the metric's name")?;
    // SAFETY: the name lives during the call.
    Ok(unsafe { sys::uwsgi_metric_get(name.as_ptr().cast_mut(), std::ptr::null_mut()) })
}

/// Changes a metric; `false`: there is none of this name that can be changed.
///
/// # Errors
/// The name contains a NUL.
pub fn change(name: &[u8], change: Change, by: i64) -> Result<bool, HookError> {
    let name = text::to_host(name, "the metric's name")?;
    let call: unsafe extern "C" fn(*mut c_char, *mut c_char, i64) -> c_int = match change {
        Change::Set => sys::uwsgi_metric_set,
        Change::Inc => sys::uwsgi_metric_inc,
        Change::Dec => sys::uwsgi_metric_dec,
        Change::Mul => sys::uwsgi_metric_mul,
        Change::Div => sys::uwsgi_metric_div,
        Change::SetMax => sys::uwsgi_metric_set_max,
        Change::SetMin => sys::uwsgi_metric_set_min,
    };
    // SAFETY: the name lives during the call.
    Ok(unsafe { call(name.as_ptr().cast_mut(), std::ptr::null_mut(), by) } == 0)
}
