//! What the two stages of the Python plugin say to each other: plain C data, one call in, one table of functions out.
//! The same file is part of both shared objects, and each refuses a partner of another [`VERSION`]. Every function
//! runs where the plugin hook of the same name runs.

use rsgi_plugin_api::abi::{UwsgiBuffer, WsgiRequest};
use std::ffi::{CStr, c_char, c_int, c_void};

/// Both files come from one build; this catches a mixed installation.
pub const VERSION: u32 = 5;
/// What the second stage exports.
pub const SYMBOL: &CStr = c"rsgi_python_start";

/// One option as the user gave it: canonical name, value or NULL. Lives as long as the process.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Setting {
    /// The option's canonical name.
    pub key: *const c_char,
    /// Its value; NULL for a flag.
    pub value: *const c_char,
}

/// What the second stage needs to start Python.
#[repr(C)]
pub struct Start {
    /// [`VERSION`] of the first stage.
    pub version: u32,
    /// Path of the interpreter that decides about `sys.prefix` and `sys.executable`.
    pub program: *const c_char,
    /// The options, in the order given.
    pub settings: *const Setting,
    /// How many.
    pub settings_len: usize,
}

/// Which text of the current exception the host asks for.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExceptionText {
    /// Name of the class.
    Class,
    /// `str()` of it.
    Message,
    /// `repr()` of it.
    Repr,
    /// The stack.
    Backtrace,
}

/// A moment in the life of the server or of a worker, for hooks without a result or a request.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the names are those of the plugin hooks
pub enum Moment {
    OnStarting,
    OnReload,
    WhenReady,
    /// The worker's id.
    PreFork,
    /// The worker's id, its pid, its status.
    ChildExit,
    /// Now, before.
    NworkersChanged,
    PreExec,
    WorkerExit,
    OnExit,
    /// Just before the request loop.
    Fixup,
}

/// What comes with a [`Moment`].
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
pub struct Numbers(pub [c_int; 3]);

/// The second stage's side of each hook.
#[repr(C)]
pub struct Hooks {
    /// [`VERSION`] of the second stage.
    pub version: u32,
    /// `--pyrun`: run a script instead of serving; its exit code, or -1 when none was asked for.
    pub run_script: unsafe extern "C" fn() -> c_int,
    /// Shared imports, once in the master.
    pub post_init: unsafe extern "C" fn(),
    /// Applications are about to be loaded.
    pub preinit_apps: unsafe extern "C" fn(),
    /// Imports and the applications of the options.
    pub init_apps: unsafe extern "C" fn(),
    /// One `--mount`: the app's id or -1.
    pub mount_app: unsafe extern "C" fn(*const c_char, *const c_char) -> c_int,
    /// The first hook of a new worker, mule or spooler.
    pub post_fork: unsafe extern "C" fn(),
    /// A further request thread begins.
    pub init_thread: unsafe extern "C" fn(c_int),
    /// One request.
    pub request: unsafe extern "C" fn(*mut WsgiRequest) -> c_int,
    /// The worker override: 1 when it ran.
    pub worker: unsafe extern "C" fn() -> c_int,
    /// A spooler process begins.
    pub spooler_init: unsafe extern "C" fn(),
    /// A mule's script: 1 when it was Python's.
    pub mule: unsafe extern "C" fn(*const c_char) -> c_int,
    /// A mule's message: 1 when `uwsgi.mule_msg_hook` took it.
    pub mule_msg: unsafe extern "C" fn(*const c_char, usize) -> c_int,
    /// A spooler's task: file, packet, body; -2 done, -1 again, 0 not mine.
    pub spooler: unsafe extern "C" fn(*const c_char, *const c_char, u16, *const c_char, usize) -> c_int,
    /// Before a fork.
    pub pre_fork: unsafe extern "C" fn(),
    /// After it; 0 parent, 1 child.
    pub after_fork: unsafe extern "C" fn(c_int),
    /// The process ends.
    pub atexit: unsafe extern "C" fn(),
    /// A text of the current exception: a new buffer or NULL.
    pub exception_text: unsafe extern "C" fn(ExceptionText) -> *mut UwsgiBuffer,
    /// Runs a gunicorn configuration file only to write what it means for the options to a descriptor: 0 fine.
    pub gunicorn_settings: unsafe extern "C" fn(*const c_char, c_int) -> c_int,
    /// A moment of the life cycle with up to three numbers; negative: the server cannot go on.
    pub moment: unsafe extern "C" fn(Moment, Numbers) -> c_int,
    /// In a signal handler: where each thread is, to descriptor 2.
    pub dump_stacks: unsafe extern "C" fn(c_int),
    /// `worker_int`: step; 1: the process will be ended.
    pub worker_int: unsafe extern "C" fn(c_int) -> c_int,
    /// `worker_abort`: the same.
    pub worker_abort: unsafe extern "C" fn(c_int) -> c_int,
    /// A handler that Python registered: the signal, the handler; 0: fine.
    pub signal_handler: unsafe extern "C" fn(u8, *mut c_void) -> c_int,
    /// Print the current exception.
    pub exception_log: unsafe extern "C" fn(),
    /// A procedure that Python registered, arguments and their lengths, the answer of `malloc`: its length.
    pub rpc: unsafe extern "C" fn(*mut c_void, u8, *mut *mut c_char, *mut u16, *mut *mut c_char) -> u64,
    /// A line for `--logger python:ARGUMENT`: the argument, the line. NULL, or a new buffer that says why not.
    pub log_line: unsafe extern "C" fn(*const c_char, *const c_char, usize) -> *mut UwsgiBuffer,
}

/// The exported function: starts Python; NULL when that failed (said in the log).
pub type StartFn = unsafe extern "C" fn(*const Start) -> *const Hooks;
