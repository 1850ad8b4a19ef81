//! Event mode: what a plugin with an event loop of its own gives to the host.
//!
//! Mirrors `include/uwsgi.h`, where every field is explained; the layout is checked against the compiled header.
#![allow(missing_docs)]

use super::WsgiRequest;

/// `struct rsgi_events`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RsgiEvents {
    pub size: usize,
    pub modifier1: u8,
    pub whole_body: u8,
    pub request: Option<unsafe extern "C" fn(*mut WsgiRequest)>,
    pub ready: Option<unsafe extern "C" fn(*mut WsgiRequest, i32)>,
}

/// There may be something to read.
pub const RSGI_READABLE: i32 = 1;
/// All of the answer so far has left.
pub const RSGI_DRAINED: i32 = 2;
/// The client has closed its side.
pub const RSGI_GONE: i32 = 4;
/// The request has lasted longer than `--harakiri` allows.
pub const RSGI_LATE: i32 = 8;
