//! What the server runs beside workers, in figures that the master refreshes: caches, spoolers, daemons, queues.
//!
//! Mirrors `include/uwsgi.h`, where every field is explained; the layout is checked against the compiled header.
#![allow(missing_docs)]

use super::UwsgiLockItem;
use libc::{pid_t, time_t};
use std::ffi::{c_char, c_int};

/// `struct uwsgi_cache`
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi), sabi(unsafe_opaque_fields))]
pub struct UwsgiCache {
    pub name: *mut c_char,
    pub keysize: u64,
    pub blocks: u64,
    pub blocksize: u64,
    pub max_items: u64,
    pub max_item_size: u64,
    pub hashsize: u32,
    pub n_items: u64,
    pub hits: u64,
    pub miss: u64,
    pub full: u64,
    pub last_modified_at: time_t,
    pub filesize: u64,
    pub lock: *mut UwsgiLockItem,
    pub next: *mut UwsgiCache,
    pub reserved: [u64; 8],
}

/// `struct uwsgi_spooler`
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi), sabi(unsafe_opaque_fields))]
pub struct UwsgiSpooler {
    pub dir: [c_char; 4096],
    pub pid: pid_t,
    pub respawned: u64,
    pub tasks: u64,
    pub running: c_int,
    pub next: *mut UwsgiSpooler,
    pub reserved: [u64; 8],
}

/// `struct uwsgi_daemon`
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi), sabi(unsafe_opaque_fields))]
pub struct UwsgiDaemon {
    pub command: *mut c_char,
    pub pid: pid_t,
    pub respawns: u64,
    pub status: c_int,
    pub next: *mut UwsgiDaemon,
    pub reserved: [u64; 8],
}

/// `struct uwsgi_shared`
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi), sabi(unsafe_opaque_fields))]
pub struct UwsgiShared {
    pub load: u64,
    pub backlog: u64,
    pub backlog_errors: u64,
    pub worker_signal_pipe: [c_int; 2],
    pub reserved: [u64; 16],
}
