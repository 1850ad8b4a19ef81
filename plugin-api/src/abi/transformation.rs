//! Transformations of answers.
//!
//! Mirrors `include/uwsgi.h`, where every field is explained; the layout is checked against the compiled header.
#![allow(missing_docs)]

use super::{UwsgiBuffer, WsgiRequest};
use std::ffi::{c_int, c_void};

/// Changes a part of an answer.
pub type UwsgiTransform = unsafe extern "C" fn(*mut WsgiRequest, *mut UwsgiTransformation) -> c_int;

/// `struct uwsgi_transformation`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UwsgiTransformation {
    pub func: Option<UwsgiTransform>,
    pub chunk: *mut UwsgiBuffer,
    pub can_stream: u8,
    pub is_final: u8,
    pub flushed: u8,
    pub data: *mut c_void,
    pub round: u64,
    pub fd: c_int,
    pub ub: *mut UwsgiBuffer,
    pub len: u64,
    pub custom64: u64,
    pub next: *mut UwsgiTransformation,
}
