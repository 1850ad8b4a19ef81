//! Tools of the C API: lists with keys, JSON documents, threads, shared areas, patterns, the table of lock functions.
//!
//! Mirrors `include/uwsgi.h`, where every field is explained; the layout is checked against the compiled header.
#![allow(missing_docs)]

use super::UwsgiLockItem;
use libc::{off_t, pid_t};
use std::ffi::{c_char, c_int, c_void};

/// A function about a lock.
pub type UwsgiLockFn = unsafe extern "C" fn(*mut UwsgiLockItem);

/// `struct uwsgi_lock_ops`
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi), sabi(unsafe_opaque_fields))]
pub struct UwsgiLockOps {
    pub lock_init: Option<unsafe extern "C" fn(*mut c_char) -> *mut UwsgiLockItem>,
    pub lock_check: Option<unsafe extern "C" fn(*mut UwsgiLockItem) -> pid_t>,
    pub lock: Option<UwsgiLockFn>,
    pub unlock: Option<UwsgiLockFn>,
    pub rwlock_init: Option<unsafe extern "C" fn(*mut c_char) -> *mut UwsgiLockItem>,
    pub rwlock_check: Option<unsafe extern "C" fn(*mut UwsgiLockItem) -> pid_t>,
    pub rlock: Option<UwsgiLockFn>,
    pub wlock: Option<UwsgiLockFn>,
    pub rwunlock: Option<UwsgiLockFn>,
}

/// `struct uwsgi_regexp_list`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UwsgiRegexpList {
    pub pattern: *mut c_void,
    pub pattern_extra: *mut c_void,
    pub custom: u64,
    pub custom_str: *mut c_char,
    pub custom_ptr: *mut c_void,
    pub next: *mut UwsgiRegexpList,
}

/// `struct uwsgi_dyn_dict`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UwsgiDynDict {
    pub key: *mut c_char,
    pub keylen: c_int,
    pub value: *mut c_char,
    pub vallen: c_int,
    pub hits: u64,
    pub status: c_int,
    pub prev: *mut UwsgiDynDict,
    pub next: *mut UwsgiDynDict,
}

/// `struct uwsgi_stats`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UwsgiStats {
    pub base: *mut c_char,
    pub pos: off_t,
    pub tabs: usize,
    pub chunk: usize,
    pub size: usize,
    pub minified: c_int,
    pub dirty: c_int,
}

/// `struct uwsgi_thread`
#[repr(C)]
pub struct UwsgiThread {
    pub tid: libc::pthread_t,
    pub tattr: libc::pthread_attr_t,
    pub pipe: [c_int; 2],
    pub queue: c_int,
    pub rlen: isize,
    pub data: *mut c_void,
    pub buf: *mut c_char,
    pub pos: off_t,
    pub len: usize,
    pub custom0: u64,
    pub custom1: u64,
    pub custom2: u64,
    pub custom3: u64,
    pub lock: libc::pthread_mutex_t,
    pub func: Option<unsafe extern "C" fn(*mut UwsgiThread)>,
}

/// `struct uwsgi_sharedarea`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UwsgiSharedarea {
    pub id: c_int,
    pub pages: c_int,
    pub fd: c_int,
    pub lock: *mut UwsgiLockItem,
    pub area: *mut c_char,
    pub max_pos: u64,
    pub updates: u64,
    pub honour_used: u8,
    pub used: u64,
    pub obj: *mut c_void,
}

/// `struct uwsgi_alarm_fd`: opaque.
#[repr(C)]
pub struct UwsgiAlarmFd {
    _private: [u8; 0],
}
