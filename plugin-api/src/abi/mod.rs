//! `#[repr(C)]` mirrors of `include/uwsgi.h`. Both sides of the ABI use them; nothing here has behaviour.

mod alarm;
mod buffer;
mod emperor;
mod events;
mod figures;
mod logger;
mod offload;
mod option;
mod outward;
mod plugin;
mod request;
mod route;
mod server;
mod stamp;
mod tools;
mod transformation;

pub use alarm::{UwsgiAlarm, UwsgiAlarmInit, UwsgiAlarmInstance, UwsgiAlarmRun};
pub use buffer::UwsgiBuffer;
pub use emperor::{UwsgiEmperorScanner, UwsgiImperialMonitor, UwsgiInstance, UwsgiMonitorFn};
pub use events::{RSGI_DRAINED, RSGI_GONE, RSGI_LATE, RSGI_READABLE, RsgiEvents};
pub use figures::{UwsgiCache, UwsgiDaemon, UwsgiShared, UwsgiSpooler};
pub use logger::{LOGGER_AGAIN, UwsgiLogger, UwsgiSockaddr};
pub use offload::{UwsgiOffloadEngine, UwsgiOffloadEvent, UwsgiOffloadPrepare, UwsgiOffloadRequest};
pub use option::{UwsgiOpt, UwsgiOption, UwsgiStringList};
pub use outward::{
    UwsgiCheaperFn, UwsgiClock, UwsgiCollectFn, UwsgiEncodeFn, UwsgiExceptionFn, UwsgiExceptionHandler,
    UwsgiExceptionHandlerInstance, UwsgiLogEncoder, UwsgiLogchunk, UwsgiLogchunkFn, UwsgiLogvar, UwsgiMetricCollector,
    UwsgiProtocol, UwsgiStatsPush, UwsgiStatsPusher, UwsgiStatsPusherInstance,
};
pub use plugin::{JailStart, UwsgiPlugin};
pub use request::{UwsgiHeader, WsgiRequest};
pub use route::{
    UWSGI_ROUTE_BREAK, UWSGI_ROUTE_CONTINUE, UWSGI_ROUTE_NEXT, UwsgiRoute, UwsgiRouteCondition, UwsgiRouteVar,
    UwsgiRouter,
};
pub use server::{
    UwsgiApp, UwsgiCore, UwsgiHarakiriOptions, UwsgiInstanceStatus, UwsgiLockItem, UwsgiMetric, UwsgiProtoHeader,
    UwsgiProtoReadBody, UwsgiProtoStatus, UwsgiProtoWrite, UwsgiServer, UwsgiSocket, UwsgiWorker,
};
pub use stamp::{AbiNote, AbiStamp, NOTE_NAME, NOTE_SECTION};
pub use tools::{
    UwsgiAlarmFd, UwsgiDynDict, UwsgiLockFn, UwsgiLockOps, UwsgiRegexpList, UwsgiSharedarea, UwsgiStats, UwsgiThread,
};
pub use transformation::{UwsgiTransform, UwsgiTransformation};

/// `struct uwsgi_gateway`: opaque.
#[repr(C)]
pub struct UwsgiGateway {
    _private: [u8; 0],
}

/// `struct uwsgi_legion`: there are none.
#[repr(C)]
pub struct UwsgiLegion {
    _private: [u8; 0],
}

/// `struct uwsgi_legion_action`: never called.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UwsgiLegionAction {
    /// Its name.
    pub name: *mut std::ffi::c_char,
    /// What it would do.
    pub func: Option<unsafe extern "C" fn(*mut UwsgiLegion, *mut std::ffi::c_char) -> std::ffi::c_int>,
    /// What would be said.
    pub log_msg: *mut std::ffi::c_char,
    /// NULL
    pub next: *mut UwsgiLegionAction,
}

/// Results of the request hook.
pub const UWSGI_OK: i32 = 0;
/// The hook wants to be called again (async mode).
pub const UWSGI_AGAIN: i32 = 1;

/// The master is turned on by this option.
pub const UWSGI_OPT_MASTER: u64 = 1 << 1;
/// Log lines go through the master.
pub const UWSGI_OPT_LOG_MASTER: u64 = 1 << 2;
/// Threads of the language are on.
pub const UWSGI_OPT_THREADS: u64 = 1 << 3;
/// Request lines tell the memory of the process.
pub const UWSGI_OPT_MEMORY: u64 = 1 << 6;
/// Applications are loaded by each worker.
pub const UWSGI_OPT_LAZY: u64 = 1 << 8;
/// Bodies are read before the request is served.
pub const UWSGI_OPT_POST_BUFFERING: u64 = 1 << 11;
/// The metrics are made.
pub const UWSGI_OPT_METRICS: u64 = 1 << 15;
/// The setter runs as soon as the option is met.
pub const UWSGI_OPT_IMMEDIATE: u64 = 1;

// An option's `type`, as in <getopt.h>.
/// The option takes no value.
pub const NO_ARGUMENT: i32 = 0;
/// The option needs a value.
pub const REQUIRED_ARGUMENT: i32 = 1;
/// The option may have a value (`--name=value`).
pub const OPTIONAL_ARGUMENT: i32 = 2;
