//! A log sink as C plugins see it.
//!
//! Mirrors `include/uwsgi.h`, where every field is explained; the layout is checked against the compiled header.
#![allow(missing_docs)]

use libc::{msghdr, sockaddr, sockaddr_in, sockaddr_in6, sockaddr_un, socklen_t};
use std::ffi::{c_char, c_int, c_void};

/// `union uwsgi_sockaddr`.
#[repr(C)]
#[derive(Clone, Copy)]
pub union UwsgiSockaddr {
    pub sa: sockaddr,
    pub sa_in: sockaddr_in,
    pub sa_in6: sockaddr_in6,
    pub sa_un: sockaddr_un,
}

/// `UWSGI_LOGGER_AGAIN`.
pub const LOGGER_AGAIN: isize = -2;

/// `struct uwsgi_logger`.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi), sabi(unsafe_opaque_fields))]
pub struct UwsgiLogger {
    pub name: *mut c_char,
    pub id: *mut c_char,
    pub func: Option<unsafe extern "C" fn(*mut UwsgiLogger, *mut c_char, usize) -> isize>,
    pub configured: c_int,
    pub fd: c_int,
    pub data: *mut c_void,
    pub addr: UwsgiSockaddr,
    pub addr_len: socklen_t,
    pub count: c_int,
    pub msg: msghdr,
    pub buf: *mut c_char,
    pub arg: *mut c_char,
    pub next: *mut UwsgiLogger,
}
