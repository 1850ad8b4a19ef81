//! Vassals and what brings them.
//!
//! Mirrors `include/uwsgi.h`, where every field is explained; the layout is checked against the compiled header.
#![allow(missing_docs)]

use libc::{gid_t, pid_t, time_t, uid_t};
use std::ffi::{c_char, c_int, c_void};

/// A function about a source of vassals.
pub type UwsgiMonitorFn = unsafe extern "C" fn(*mut UwsgiEmperorScanner);

/// `struct uwsgi_imperial_monitor`: opaque.
#[repr(C)]
pub struct UwsgiImperialMonitor {
    _private: [u8; 0],
}

/// `struct uwsgi_emperor_scanner`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UwsgiEmperorScanner {
    pub arg: *mut c_char,
    pub fd: c_int,
    pub data: *mut c_void,
    pub event_func: Option<UwsgiMonitorFn>,
    pub monitor: *mut UwsgiImperialMonitor,
    pub next: *mut UwsgiEmperorScanner,
}

/// `struct uwsgi_instance`: a vassal.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UwsgiInstance {
    pub ui_prev: *mut UwsgiInstance,
    pub ui_next: *mut UwsgiInstance,
    pub name: [c_char; 255],
    pub pid: pid_t,
    pub status: c_int,
    pub born: time_t,
    pub last_mod: time_t,
    pub respawns: u64,
    pub use_config: c_int,
    pub pipe: [c_int; 2],
    pub pipe_config: [c_int; 2],
    pub config: *mut c_char,
    pub config_len: u32,
    pub loyal: c_int,
    pub ready: c_int,
    pub accepting: c_int,
    pub scanner: *mut UwsgiEmperorScanner,
    pub uid: uid_t,
    pub gid: gid_t,
    pub on_demand_fd: c_int,
    pub socket_name: *mut c_char,
    pub reserved: [u64; 8],
}
