//! The kinds of things that a plugin offers the host by name, as traits: implement one, and register the type in
//! `on_load`. Names are the operator's to use: `--stats-push NAME`, `--route ... NAME:ARGS` and so on.
//!
//! Request, worker override, mule, rpc, signal and spooler are hooks of [`crate::Plugin`]; loggers are in
//! [`crate::logger`]. A panic or an error inside of one becomes a line in the log.

mod log_line;
mod protocol;
mod routing;
mod server;
mod statistics;

pub use log_line::{LogChunk, LogEncoder, log_chunk, log_encoder};
pub use protocol::{Protocol, Variables, protocol};
pub use routing::{
    Part, RouteAction, RouteCondition, RouteVariable, Transformation, Verdict, route_action, route_condition,
    route_variable, transform,
};
pub use server::{
    Alarm, CheaperAlgorithm, Clock, EmperorMonitor, Gateway, HookAction, LoopEngine, Vassals, alarm, cheaper, clock,
    emperor_monitor, gateway, hook_action, loop_engine,
};
pub use statistics::{
    Exception, ExceptionHandler, Metric, MetricCollector, StatsPusher, exception_handler, metric_collector, metrics,
    stats_pusher,
};

use std::ffi::{CStr, c_char};

/// The text behind a pointer of the host, which may be NULL.
///
/// # Safety
/// It is NULL, or ends with a NUL and lives as long as the result.
unsafe fn text<'a>(place: *const c_char) -> std::borrow::Cow<'a, str> {
    match place.is_null() {
        true => "".into(),
        // SAFETY: by the contract.
        false => unsafe { CStr::from_ptr(place) }.to_string_lossy(),
    }
}

/// The bytes behind a pointer of the host.
///
/// # Safety
/// It is NULL, or so many bytes that live as long as the result.
unsafe fn bytes<'a>(place: *const c_char, len: usize) -> &'a [u8] {
    match place.is_null() || len == 0 {
        true => &[],
        // SAFETY: by the contract.
        false => unsafe { std::slice::from_raw_parts(place.cast(), len) },
    }
}

/// A copy in memory of `malloc()`, which the host gives back.
fn given(bytes: &[u8]) -> *mut c_char {
    // SAFETY: new memory of that size, or the host ends the process.
    unsafe {
        let place = crate::sys::uwsgi_malloc(bytes.len().max(1)).cast::<u8>();
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len());
        place.cast()
    }
}

/// A text that the host keeps.
fn kept(text: &str) -> *mut c_char {
    std::ffi::CString::new(text.replace('\0', ""))
        .unwrap_or_default()
        .into_raw()
}
