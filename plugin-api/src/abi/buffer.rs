//! A growing byte buffer shared with C.
//!
//! Mirrors `include/uwsgi.h`, where every field is explained; the layout is checked against the compiled header.
#![allow(missing_docs)]

use std::ffi::c_char;

/// `struct uwsgi_buffer`.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi), sabi(unsafe_opaque_fields))]
pub struct UwsgiBuffer {
    pub buf: *mut c_char,
    pub pos: usize,
    pub len: usize,
    pub limit: usize,
}
