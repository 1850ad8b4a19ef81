//! Tasks of a worker's threads for slow clients.
//!
//! Mirrors `include/uwsgi.h`, where every field is explained; the layout is checked against the compiled header.
#![allow(missing_docs)]

use super::{UwsgiBuffer, UwsgiThread, WsgiRequest};
use libc::off_t;
use std::ffi::{c_char, c_int, c_void};

/// Prepares a task.
pub type UwsgiOffloadPrepare = unsafe extern "C" fn(*mut WsgiRequest, *mut UwsgiOffloadRequest) -> c_int;
/// Goes on with a task.
pub type UwsgiOffloadEvent = unsafe extern "C" fn(*mut UwsgiThread, *mut UwsgiOffloadRequest, c_int) -> c_int;

/// `struct uwsgi_offload_engine`: opaque.
#[repr(C)]
pub struct UwsgiOffloadEngine {
    _private: [u8; 0],
}

/// `struct uwsgi_offload_request`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UwsgiOffloadRequest {
    pub s: c_int,
    pub fd: c_int,
    pub fd2: c_int,
    pub takeover: u8,
    pub status: c_int,
    pub name: *mut c_char,
    pub pos: off_t,
    pub buf: *mut c_char,
    pub buf_pos: off_t,
    pub to_write: usize,
    pub len: usize,
    pub written: usize,
    pub ubuf: *mut UwsgiBuffer,
    pub engine: *mut UwsgiOffloadEngine,
    pub pipe: [c_int; 2],
    pub prev: *mut UwsgiOffloadRequest,
    pub next: *mut UwsgiOffloadRequest,
    /// `ubuf1` to `ubuf8`
    pub ubufs: [*mut UwsgiBuffer; 8],
    /// `custom1` to `custom8`
    pub customs: [i64; 8],
    pub data: *mut c_void,
    pub free: Option<unsafe extern "C" fn(*mut UwsgiOffloadRequest)>,
}
