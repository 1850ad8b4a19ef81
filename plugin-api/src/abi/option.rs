//! Options: table rows, string lists, the options as the user gave them.
//!
//! Mirrors `include/uwsgi.h`, where every field is explained; the layout is checked against the compiled header.
#![allow(missing_docs)]

use std::ffi::{c_char, c_int, c_void};

/// `struct uwsgi_option`.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi), sabi(unsafe_opaque_fields))]
pub struct UwsgiOption {
    pub name: *mut c_char,
    pub kind: c_int,
    pub shortcut: c_int,
    pub help: *mut c_char,
    pub func: Option<unsafe extern "C" fn(*mut c_char, *mut c_char, *mut c_void)>,
    pub data: *mut c_void,
    pub flags: u64,
}

/// `struct uwsgi_string_list`.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi), sabi(unsafe_opaque_fields))]
pub struct UwsgiStringList {
    pub value: *mut c_char,
    pub len: usize,
    pub custom: u64,
    pub custom2: u64,
    pub custom_ptr: *mut c_void,
    pub next: *mut UwsgiStringList,
}

/// `struct uwsgi_opt`.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi), sabi(unsafe_opaque_fields))]
pub struct UwsgiOpt {
    pub key: *mut c_char,
    pub value: *mut c_char,
    pub configured: c_int,
}
