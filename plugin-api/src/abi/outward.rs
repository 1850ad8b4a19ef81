//! What plugins offer by name: pushers of statistics, handlers of exceptions, encoders of log lines, clocks.
//!
//! Mirrors `include/uwsgi.h`, where every field is explained; the layout is checked against the compiled header.
#![allow(missing_docs)]

use libc::time_t;
use std::ffi::{c_char, c_int, c_void};

/// Pushes the statistics.
pub type UwsgiStatsPush = unsafe extern "C" fn(*mut UwsgiStatsPusherInstance, time_t, *mut c_char, usize);

/// `struct uwsgi_stats_pusher`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UwsgiStatsPusher {
    pub name: *mut c_char,
    pub func: Option<UwsgiStatsPush>,
    pub raw: c_int,
    pub next: *mut UwsgiStatsPusher,
}

/// `struct uwsgi_stats_pusher_instance`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UwsgiStatsPusherInstance {
    pub pusher: *mut UwsgiStatsPusher,
    pub arg: *mut c_char,
    pub data: *mut c_void,
    pub raw: c_int,
    pub configured: c_int,
    pub freq: c_int,
    pub last_run: time_t,
    pub next: *mut UwsgiStatsPusherInstance,
    pub needs_retry: c_int,
    pub retries: c_int,
    pub max_retries: c_int,
    pub retry_delay: c_int,
    pub next_retry: time_t,
}

/// `struct uwsgi_logchunk`: opaque.
#[repr(C)]
pub struct UwsgiLogchunk {
    _private: [u8; 0],
}

/// `struct uwsgi_protocol`: opaque.
#[repr(C)]
pub struct UwsgiProtocol {
    _private: [u8; 0],
}

/// Gives the text of a piece of a request's log line.
pub type UwsgiLogchunkFn = unsafe extern "C" fn(*mut super::WsgiRequest, *mut *mut c_char) -> isize;

/// `struct uwsgi_logvar`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UwsgiLogvar {
    pub key: [c_char; 256],
    pub keylen: u8,
    pub val: [c_char; 256],
    pub vallen: u8,
    pub next: *mut UwsgiLogvar,
}

/// `struct uwsgi_exception_handler`: opaque.
#[repr(C)]
pub struct UwsgiExceptionHandler {
    _private: [u8; 0],
}

/// `struct uwsgi_exception_handler_instance`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UwsgiExceptionHandlerInstance {
    pub handler: *mut UwsgiExceptionHandler,
    pub configured: c_int,
    pub fd: c_int,
    pub arg: *mut c_char,
    pub custom_ptr: *mut c_void,
    pub next: *mut UwsgiExceptionHandlerInstance,
}

/// Handles an exception.
pub type UwsgiExceptionFn = unsafe extern "C" fn(*mut UwsgiExceptionHandlerInstance, *mut c_char, usize) -> c_int;

/// Decides about the number of workers.
pub type UwsgiCheaperFn = unsafe extern "C" fn(c_int) -> c_int;

/// Changes a log line.
pub type UwsgiEncodeFn = unsafe extern "C" fn(*mut UwsgiLogEncoder, *mut c_char, usize, *mut usize) -> *mut c_char;

/// `struct uwsgi_log_encoder`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UwsgiLogEncoder {
    pub name: *mut c_char,
    pub func: Option<UwsgiEncodeFn>,
    pub configured: c_int,
    pub use_for: *mut c_char,
    pub args: *mut c_char,
    pub data: *mut c_void,
    pub next: *mut UwsgiLogEncoder,
}

/// Computes a metric.
pub type UwsgiCollectFn = unsafe extern "C" fn(*mut super::UwsgiMetric) -> i64;

/// `struct uwsgi_metric_collector`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UwsgiMetricCollector {
    pub name: *mut c_char,
    pub func: Option<UwsgiCollectFn>,
    pub next: *mut UwsgiMetricCollector,
}

/// `struct uwsgi_clock`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UwsgiClock {
    pub name: *mut c_char,
    pub seconds: Option<unsafe extern "C" fn() -> time_t>,
    pub microseconds: Option<unsafe extern "C" fn() -> u64>,
    pub next: *mut UwsgiClock,
}
