//! The published view of the server: sockets, workers, cores, apps.
//!
//! Mirrors `include/uwsgi.h`, where every field is explained; the layout is checked against the compiled header.
#![allow(missing_docs)]

use super::{
    UwsgiBuffer, UwsgiCache, UwsgiDaemon, UwsgiLockOps, UwsgiOpt, UwsgiPlugin, UwsgiShared, UwsgiSpooler, UwsgiThread,
    WsgiRequest,
};
use libc::{gid_t, pid_t, time_t, uid_t};
use std::ffi::{c_char, c_int, c_void};

/// `uwsgi_socket.proto_write`
pub type UwsgiProtoWrite = unsafe extern "C" fn(*mut WsgiRequest, *mut c_char, usize) -> c_int;
/// `uwsgi_socket.proto_read_body`
pub type UwsgiProtoReadBody = unsafe extern "C" fn(*mut WsgiRequest, *mut c_char, usize) -> isize;
/// `uwsgi_socket.proto_prepare_headers`
pub type UwsgiProtoStatus = unsafe extern "C" fn(*mut WsgiRequest, *mut c_char, u16) -> *mut UwsgiBuffer;
/// `uwsgi_socket.proto_add_header`
pub type UwsgiProtoHeader =
    unsafe extern "C" fn(*mut WsgiRequest, *mut c_char, u16, *mut c_char, u16) -> *mut UwsgiBuffer;

/// `struct uwsgi_socket`.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi), sabi(unsafe_opaque_fields))]
pub struct UwsgiSocket {
    pub fd: c_int,
    pub name: *mut c_char,
    pub name_len: c_int,
    pub family: c_int,
    pub bound: c_int,
    pub arg: c_int,
    pub ctx: *mut c_void,
    pub queue: u64,
    pub max_queue: u64,
    pub no_defer: c_int,
    pub auto_port: c_int,
    pub edge_trigger: c_int,
    pub can_offload: c_int,
    pub shared: c_int,
    pub from_shared: c_int,
    pub modifier1: u8,
    pub modifier2: u8,
    pub proto_name: *mut c_char,
    pub next: *mut UwsgiSocket,
    pub proto: Option<unsafe extern "C" fn(*mut WsgiRequest) -> c_int>,
    pub proto_accept: Option<unsafe extern "C" fn(*mut WsgiRequest, c_int) -> c_int>,
    pub proto_write: Option<UwsgiProtoWrite>,
    pub proto_write_headers: Option<UwsgiProtoWrite>,
    pub proto_sendfile: Option<unsafe extern "C" fn(*mut WsgiRequest, c_int, usize, usize) -> c_int>,
    pub proto_read_body: Option<UwsgiProtoReadBody>,
    pub proto_prepare_headers: Option<UwsgiProtoStatus>,
    pub proto_add_header: Option<UwsgiProtoHeader>,
    pub proto_fix_headers: Option<unsafe extern "C" fn(*mut WsgiRequest) -> c_int>,
    pub proto_close: Option<unsafe extern "C" fn(*mut WsgiRequest)>,
    pub proto_thread_fixup: Option<unsafe extern "C" fn(*mut UwsgiSocket, c_int)>,
    pub reserved: [u64; 5],
}

/// `struct uwsgi_app`.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi), sabi(unsafe_opaque_fields))]
pub struct UwsgiApp {
    pub modifier1: u8,
    pub mountpoint: [c_char; 255],
    pub mountpoint_len: u8,
    pub interpreter: *mut c_void,
    pub callable: *mut c_void,
    pub args: *mut *mut c_void,
    pub argc: c_int,
    pub environ: *mut *mut c_void,
    pub sendfile: *mut c_void,
    pub input: *mut c_void,
    pub error: *mut c_void,
    pub stream: *mut c_void,
    pub responder0: *mut c_void,
    pub responder1: *mut c_void,
    pub responder2: *mut c_void,
    pub eventfd_read: *mut c_void,
    pub eventfd_write: *mut c_void,
    pub request_subhandler: Option<unsafe extern "C" fn(*mut WsgiRequest, *mut UwsgiApp) -> *mut c_void>,
    pub response_subhandler: Option<unsafe extern "C" fn(*mut WsgiRequest) -> c_int>,
    pub requests: u64,
    pub exceptions: u64,
    pub chdir: [c_char; 255],
    pub touch_reload: [c_char; 255],
    pub touch_reload_mtime: time_t,
    pub gateway_version: *mut c_void,
    pub uwsgi_version: *mut c_void,
    pub uwsgi_node: *mut c_void,
    pub started_at: time_t,
    pub startup_time: time_t,
    pub avg_response_time: u64,
    pub reserved: [u64; 8],
}

/// `struct uwsgi_core`.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi), sabi(unsafe_opaque_fields))]
pub struct UwsgiCore {
    pub requests: u64,
    pub failed_requests: u64,
    pub static_requests: u64,
    pub routed_requests: u64,
    pub offloaded_requests: u64,
    pub write_errors: u64,
    pub read_errors: u64,
    pub exceptions: u64,
    pub in_request: c_int,
    pub ts: [*mut c_void; 4],
    pub reserved: [u64; 8],
}

/// `struct uwsgi_worker`.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi), sabi(unsafe_opaque_fields))]
pub struct UwsgiWorker {
    pub id: c_int,
    pub pid: pid_t,
    pub requests: u64,
    pub delta_requests: u64,
    pub failed_requests: u64,
    pub exceptions: u64,
    pub harakiri_count: u64,
    pub respawn_count: u64,
    pub signals: u64,
    pub last_spawn: time_t,
    pub running_time: u64,
    pub avg_response_time: u64,
    pub tx: u64,
    pub rss_size: u64,
    pub vsz_size: u64,
    pub accepting: c_int,
    pub manage_next_request: c_int,
    pub cheaped: c_int,
    pub suspended: c_int,
    pub hijacked: c_int,
    pub hijacked_count: u64,
    pub busy: c_int,
    pub sig: c_int,
    pub signum: u8,
    pub signal_pipe: [c_int; 2],
    pub harakiri: time_t,
    pub user_harakiri: time_t,
    pub apps: *mut UwsgiApp,
    pub apps_cnt: c_int,
    pub cores: *mut UwsgiCore,
    pub reserved: [u64; 16],
}

/// `struct uwsgi_harakiri_options`.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi), sabi(unsafe_opaque_fields))]
pub struct UwsgiHarakiriOptions {
    pub workers: c_int,
    pub mules: c_int,
    pub spoolers: c_int,
}

/// `struct uwsgi_logging_options`.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi), sabi(unsafe_opaque_fields))]
pub struct UwsgiLoggingOptions {
    pub enabled: c_int,
    pub memory_report: c_int,
}

/// `struct uwsgi_instance_status`.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi), sabi(unsafe_opaque_fields))]
pub struct UwsgiInstanceStatus {
    pub gracefully_reloading: c_int,
    pub brutally_reloading: c_int,
    pub gracefully_destroying: c_int,
    pub brutally_destroying: c_int,
    pub chain_reloading: c_int,
    pub workers_reloading: c_int,
    pub is_cheap: c_int,
    pub reserved: [c_int; 9],
}

/// `struct uwsgi_lock_item`.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi), sabi(unsafe_opaque_fields))]
pub struct UwsgiLockItem {
    pub id: *mut c_char,
    pub lock_ptr: *mut c_void,
    pub rw: c_int,
    pub pid: pid_t,
    pub can_deadlock: c_int,
    pub next: *mut UwsgiLockItem,
}

/// `struct uwsgi_metric`.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi), sabi(unsafe_opaque_fields))]
pub struct UwsgiMetric {
    pub name: *mut c_char,
    pub name_len: usize,
    pub oid: *mut c_char,
    pub oid_len: usize,
    pub r#type: u8,
    pub reset_after_push: u8,
    pub value: *mut i64,
    pub initial_value: i64,
    pub next: *mut UwsgiMetric,
    pub reserved: [u64; 8],
}

/// `struct uwsgi_server`.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi), sabi(unsafe_opaque_fields))]
pub struct UwsgiServer {
    pub hostname: [c_char; 256],
    pub hostname_len: c_int,
    pub page_size: c_int,
    pub cpus: c_int,
    pub argc: c_int,
    pub argv: *mut *mut c_char,
    pub environ: *mut *mut c_char,
    pub cwd: *mut c_char,
    pub binary_path: *mut c_char,
    pub empty: *mut c_char,
    pub version: *mut c_char,
    pub start_tv: time_t,
    pub current_time: time_t,
    pub mypid: pid_t,
    pub mywid: c_int,
    pub muleid: c_int,
    pub i_am_a_spooler: c_int,
    pub is_a_reload: c_int,
    pub master_process: c_int,
    pub numproc: c_int,
    pub threads: c_int,
    pub has_threads: c_int,
    pub cores: c_int,
    pub r#async: c_int,
    pub lazy: c_int,
    pub lazy_apps: c_int,
    pub max_apps: c_int,
    pub default_app: c_int,
    pub no_default_app: c_int,
    pub need_app: c_int,
    pub single_interpreter: c_int,
    pub manage_script_name: c_int,
    pub catch_exceptions: c_int,
    pub socket_timeout: c_int,
    pub listen_queue: c_int,
    pub chmod_socket: c_int,
    pub chmod_socket_value: *mut c_char,
    pub chown_socket: *mut c_char,
    pub abstract_socket: c_int,
    pub reuse_port: c_int,
    pub buffer_size: c_int,
    pub post_buffering: usize,
    pub post_buffering_bufsize: usize,
    pub limit_post: usize,
    pub write_errors_tolerance: u64,
    pub ignore_sigpipe: c_int,
    pub ignore_write_errors: c_int,
    pub disable_write_exception: c_int,
    pub honour_range: c_int,
    pub build_mime_dict: c_int,
    pub has_metrics: c_int,
    pub cheaper: c_int,
    pub cheaper_count: c_int,
    pub cheaper_step: c_int,
    pub emperor_freq: c_int,
    pub emperor_queue: c_int,
    pub ssl_initialized: c_int,
    pub log_this: c_int,
    pub memory_report: c_int,
    pub log_master_bufsize: usize,
    pub r#loop: *mut c_char,
    pub protocol: *mut c_char,
    pub procname: *mut c_char,
    pub procname_master: *mut c_char,
    pub pidfile: *mut c_char,
    pub uid: uid_t,
    pub gid: gid_t,
    pub signal_socket: c_int,
    pub my_signal_socket: c_int,
    pub master_queue: c_int,
    pub metrics_cnt: u64,
    pub harakiri_options: UwsgiHarakiriOptions,
    pub status: UwsgiInstanceStatus,
    pub sockets: *mut UwsgiSocket,
    pub workers: *mut UwsgiWorker,
    pub p: [*mut UwsgiPlugin; 256],
    pub gp: [*mut UwsgiPlugin; 64],
    pub gp_cnt: c_int,
    pub exported_opts: *mut *mut UwsgiOpt,
    pub exported_opts_cnt: c_int,
    pub wait_read_hook: Option<unsafe extern "C" fn(c_int, c_int) -> c_int>,
    pub wait_write_hook: Option<unsafe extern "C" fn(c_int, c_int) -> c_int>,
    pub wait_read2_hook: Option<unsafe extern "C" fn(c_int, c_int, c_int, *mut c_int) -> c_int>,
    pub gbcw_hook: Option<unsafe extern "C" fn()>,
    pub current_wsgi_req: Option<unsafe extern "C" fn() -> *mut WsgiRequest>,
    pub apps_wanted: c_int,
    pub file_wrapper: c_int,
    pub user_lock: *mut *mut UwsgiLockItem,
    pub registered_locks: *mut UwsgiLockItem,
    pub locks: c_int,
    pub rpc_max: c_int,
    pub metrics: *mut UwsgiMetric,
    pub metrics_lock: *mut UwsgiLockItem,
    pub lock_ops: UwsgiLockOps,
    pub caches: *mut UwsgiCache,
    pub spoolers: *mut UwsgiSpooler,
    pub daemons: *mut UwsgiDaemon,
    pub shared: *mut UwsgiShared,
    pub alarm_thread: *mut UwsgiThread,
    pub wsgi_req: *mut WsgiRequest,
    pub cheaper_overload: u64,
    pub requested_cheaper_algo: *mut c_char,
    pub original_log_fd: c_int,
    pub no_defer_accept: c_int,
    pub emperor_tyrant: c_int,
    pub honour_stdin: c_int,
    pub write_errors_exception_only: c_int,
    pub mules_cnt: c_int,
    pub mode: *mut c_char,
    pub alarm_cheap: c_int,
    pub force_get_memusage: c_int,
    pub max_fd: u64,
    pub logging_options: UwsgiLoggingOptions,
    pub wait_milliseconds_hook: Option<unsafe extern "C" fn(c_int) -> c_int>,
    pub reserved: [u64; 34],
}
