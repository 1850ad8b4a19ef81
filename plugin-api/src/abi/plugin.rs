//! The plugin struct of layer 0: uWSGI's 51 members in its order, then ours.
//!
//! Mirrors `include/uwsgi.h`, where every field is explained; the layout is checked against the compiled header.
#![allow(missing_docs)]

use super::{UwsgiBuffer, UwsgiInstance, UwsgiOption, WsgiRequest};
use std::ffi::{c_char, c_int, c_void};

/// What a `jail` hook calls inside its jail; a type of its own because the layout check knows no nested functions.
#[repr(transparent)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct JailStart(pub Option<unsafe extern "C" fn(*mut c_void) -> c_int>);

/// `struct uwsgi_plugin`.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi), sabi(unsafe_opaque_fields))]
pub struct UwsgiPlugin {
    pub name: *const c_char,
    pub alias: *const c_char,
    pub modifier1: u8,
    pub data: *mut c_void,
    pub on_load: Option<unsafe extern "C" fn()>,
    pub init: Option<unsafe extern "C" fn() -> c_int>,
    pub post_init: Option<unsafe extern "C" fn()>,
    pub post_fork: Option<unsafe extern "C" fn()>,
    pub options: *mut UwsgiOption,
    pub enable_threads: Option<unsafe extern "C" fn()>,
    pub init_thread: Option<unsafe extern "C" fn(c_int)>,
    pub request: Option<unsafe extern "C" fn(*mut WsgiRequest) -> c_int>,
    pub after_request: Option<unsafe extern "C" fn(*mut WsgiRequest)>,
    pub preinit_apps: Option<unsafe extern "C" fn()>,
    pub init_apps: Option<unsafe extern "C" fn()>,
    pub postinit_apps: Option<unsafe extern "C" fn()>,
    pub fixup: Option<unsafe extern "C" fn()>,
    pub master_fixup: Option<unsafe extern "C" fn(c_int)>,
    pub master_cycle: Option<unsafe extern "C" fn()>,
    pub mount_app: Option<unsafe extern "C" fn(*mut c_char, *mut c_char) -> c_int>,
    pub manage_udp: Option<unsafe extern "C" fn(*mut c_char, c_int, *mut c_char, c_int) -> c_int>,
    pub suspend: Option<unsafe extern "C" fn(*mut WsgiRequest)>,
    pub resume: Option<unsafe extern "C" fn(*mut WsgiRequest)>,
    pub harakiri: Option<unsafe extern "C" fn(c_int)>,
    pub hijack_worker: Option<unsafe extern "C" fn()>,
    pub spooler_init: Option<unsafe extern "C" fn()>,
    pub atexit: Option<unsafe extern "C" fn()>,
    pub magic: Option<unsafe extern "C" fn(*mut c_char, *mut c_char) -> c_int>,
    pub encode_string: Option<unsafe extern "C" fn(*mut c_char) -> *mut c_void>,
    pub decode_string: Option<unsafe extern "C" fn(*mut c_void) -> *mut c_char>,
    pub signal_handler: Option<unsafe extern "C" fn(u8, *mut c_void) -> c_int>,
    pub code_string:
        Option<unsafe extern "C" fn(*mut c_char, *mut c_char, *mut c_char, *mut c_char, u16) -> *mut c_char>,
    pub spooler: Option<unsafe extern "C" fn(*mut c_char, *mut c_char, u16, *mut c_char, usize) -> c_int>,
    pub rpc: Option<unsafe extern "C" fn(*mut c_void, u8, *mut *mut c_char, *mut u16, *mut *mut c_char) -> u64>,
    pub jail: Option<unsafe extern "C" fn(JailStart, *mut *mut c_char)>,
    pub post_jail: Option<unsafe extern "C" fn()>,
    pub before_privileges_drop: Option<unsafe extern "C" fn()>,
    pub mule: Option<unsafe extern "C" fn(*mut c_char) -> c_int>,
    pub mule_msg: Option<unsafe extern "C" fn(*mut c_char, usize) -> c_int>,
    pub master_cleanup: Option<unsafe extern "C" fn()>,
    pub backtrace: Option<unsafe extern "C" fn(*mut WsgiRequest) -> *mut UwsgiBuffer>,
    pub exception_class: Option<unsafe extern "C" fn(*mut WsgiRequest) -> *mut UwsgiBuffer>,
    pub exception_msg: Option<unsafe extern "C" fn(*mut WsgiRequest) -> *mut UwsgiBuffer>,
    pub exception_repr: Option<unsafe extern "C" fn(*mut WsgiRequest) -> *mut UwsgiBuffer>,
    pub exception_log: Option<unsafe extern "C" fn(*mut WsgiRequest)>,
    pub vassal: Option<unsafe extern "C" fn(*mut UwsgiInstance)>,
    pub vassal_before_exec: Option<unsafe extern "C" fn(*mut UwsgiInstance)>,
    pub worker: Option<unsafe extern "C" fn() -> c_int>,
    pub early_post_jail: Option<unsafe extern "C" fn()>,
    pub pre_uwsgi_fork: Option<unsafe extern "C" fn()>,
    pub post_uwsgi_fork: Option<unsafe extern "C" fn(c_int)>,
    pub configure: Option<unsafe extern "C" fn() -> c_int>,
    pub dump_stacks: Option<unsafe extern "C" fn(c_int)>,
    pub on_starting: Option<unsafe extern "C" fn() -> c_int>,
    pub on_reload: Option<unsafe extern "C" fn()>,
    pub when_ready: Option<unsafe extern "C" fn() -> c_int>,
    pub pre_fork: Option<unsafe extern "C" fn(c_int) -> c_int>,
    pub child_exit: Option<unsafe extern "C" fn(c_int, c_int, c_int)>,
    pub nworkers_changed: Option<unsafe extern "C" fn(c_int, c_int)>,
    pub pre_exec: Option<unsafe extern "C" fn()>,
    pub worker_int: Option<unsafe extern "C" fn(c_int) -> c_int>,
    pub worker_abort: Option<unsafe extern "C" fn(c_int) -> c_int>,
    pub worker_exit: Option<unsafe extern "C" fn(c_int)>,
    pub pre_request: Option<unsafe extern "C" fn(*mut WsgiRequest)>,
    pub post_request: Option<unsafe extern "C" fn(*mut WsgiRequest)>,
    pub on_exit: Option<unsafe extern "C" fn()>,
}
