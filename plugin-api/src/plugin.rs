//! What a Rust plugin may implement: one method per hook of `struct uwsgi_plugin`, with its process and moment as
//! the header states them.

use crate::{HookError, Request};
use std::ffi::CStr;

/// How a request hook ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Answered.
    Done,
    /// Call the hook again (async mode).
    Again,
    /// Not served: the host answers 500 if nothing was sent, and closes.
    Refused,
}

/// The hooks of a plugin. Only those named in `hooks: [...]` of `export_plugin!` are called; the methods have no
/// receiver because a plugin is one per process, and each process has its own copy of its statics after the fork.
#[allow(unused_variables)]
pub trait Plugin {
    /// Master, right after load; options are not read yet.
    fn on_load() -> Result<(), HookError> {
        Ok(())
    }
    /// Master, options read, sockets not bound.
    fn init() -> Result<(), HookError> {
        Ok(())
    }
    /// Master, after the init of all plugins.
    fn post_init() -> Result<(), HookError> {
        Ok(())
    }
    /// Worker, mule or spooler, first thing after the fork.
    fn post_fork() -> Result<(), HookError> {
        Ok(())
    }
    /// Master, once, when threads are on.
    fn enable_threads() -> Result<(), HookError> {
        Ok(())
    }
    /// Request thread `core` (1 and up), first thing.
    fn init_thread(core: usize) -> Result<(), HookError> {
        Ok(())
    }
    /// Serve one request.
    fn request(req: &mut Request<'_>) -> Result<Outcome, HookError> {
        Ok(Outcome::Refused)
    }
    /// After the answer; replaces the host's log line (call [`Request::log`]).
    fn after_request(req: &mut Request<'_>) -> Result<(), HookError> {
        Ok(())
    }
    /// Before any application is loaded.
    fn preinit_apps() -> Result<(), HookError> {
        Ok(())
    }
    /// Load the applications that the options name.
    fn init_apps() -> Result<(), HookError> {
        Ok(())
    }
    /// After all applications are loaded.
    fn postinit_apps() -> Result<(), HookError> {
        Ok(())
    }
    /// Worker, just before the request loop.
    fn fixup() -> Result<(), HookError> {
        Ok(())
    }
    /// 0: master before the first fork; 1: child after its fork.
    fn master_fixup(step: i32) -> Result<(), HookError> {
        Ok(())
    }
    /// The master's loop, about once a second.
    fn master_cycle() -> Result<(), HookError> {
        Ok(())
    }
    /// Load `app` under `mountpoint`: its id, or `None` when it is not this plugin's.
    fn mount_app(mountpoint: &CStr, app: &CStr) -> Result<Option<i32>, HookError> {
        Ok(None)
    }
    /// Master, before it kills a worker that is over time.
    fn harakiri(worker: i32) -> Result<(), HookError> {
        Ok(())
    }
    /// Worker, before the request loop; may take the process over.
    fn hijack_worker() -> Result<(), HookError> {
        Ok(())
    }
    /// Worker, at an orderly end.
    fn atexit() -> Result<(), HookError> {
        Ok(())
    }
    /// The worker override: `true` when it was this worker's whole life.
    fn worker() -> Result<bool, HookError> {
        Ok(false)
    }
    /// A bare argument nobody knows: whether it is this plugin's.
    fn magic(mountpoint: Option<&CStr>, file: &CStr) -> Result<bool, HookError> {
        Ok(false)
    }
    /// A mule's script: whether it was this plugin's.
    fn mule(script: &CStr) -> Result<bool, HookError> {
        Ok(false)
    }
    /// Worker, mule or spooler: a signal that [`crate::signal::register`] was called for; an error is logged.
    fn signal_handler(signal: u8, handler: usize) -> Result<(), HookError> {
        Ok(())
    }
    /// Any process: call a function that [`crate::rpc::register`] was called for; an error is logged, and nothing
    /// goes back.
    fn rpc(function: usize, arguments: &[&[u8]]) -> Result<Option<Vec<u8>>, HookError> {
        Ok(None)
    }
    /// A spooler's task: -2: done, -1: again later, 0: not this plugin's.
    fn spooler(file: &CStr, packet: &[u8], body: &[u8]) -> Result<i32, HookError> {
        Ok(0)
    }
    /// A mule got a message: whether it was this plugin's.
    fn mule_msg(message: &[u8]) -> Result<bool, HookError> {
        Ok(false)
    }
    /// Just before each fork of the host.
    fn pre_uwsgi_fork() -> Result<(), HookError> {
        Ok(())
    }
    /// Just after it; 0: parent, 1: child.
    fn post_uwsgi_fork(step: i32) -> Result<(), HookError> {
        Ok(())
    }
    /// The master, after the last worker has gone.
    fn master_cleanup() -> Result<(), HookError> {
        Ok(())
    }
    /// The current exception's class, while [`crate::sys::uwsgi_manage_exception`] asks.
    fn exception_class(req: &mut Request<'_>) -> Option<Vec<u8>> {
        None
    }
    /// The current exception's message.
    fn exception_msg(req: &mut Request<'_>) -> Option<Vec<u8>> {
        None
    }
    /// The current exception as the language prints it in one line.
    fn exception_repr(req: &mut Request<'_>) -> Option<Vec<u8>> {
        None
    }
    /// The current stack, a line per frame.
    fn backtrace(req: &mut Request<'_>) -> Option<Vec<u8>> {
        None
    }
    /// Print the current exception to the log.
    fn exception_log(req: &mut Request<'_>) -> Result<(), HookError> {
        Ok(())
    }
    /// Master, all options read, nothing done with them: the place for [`crate::sys::rsgi_default_option`]. An error
    /// ends the start.
    fn configure() -> Result<(), HookError> {
        Ok(())
    }
    /// Worker, in a signal handler: write where each thread is. Async-signal-safe calls only, no panic.
    fn dump_stacks(fd: i32) {}
    /// Master, the first start, before the first fork; an error ends the server.
    fn on_starting() -> Result<(), HookError> {
        Ok(())
    }
    /// Master, a reload, before the first new worker.
    fn on_reload() -> Result<(), HookError> {
        Ok(())
    }
    /// Master, every worker takes requests; an error ends the server.
    fn when_ready() -> Result<(), HookError> {
        Ok(())
    }
    /// Master, before the fork of a worker; an error ends the server.
    fn pre_fork(worker: usize) -> Result<(), HookError> {
        Ok(())
    }
    /// Master, a worker was reaped; `status` as from `waitpid`.
    fn child_exit(worker: usize, pid: i32, status: i32) -> Result<(), HookError> {
        Ok(())
    }
    /// Master, so many workers are to run; `before` is `None` at the start.
    fn nworkers_changed(now: usize, before: Option<usize>) -> Result<(), HookError> {
        Ok(())
    }
    /// Master, last thing before it becomes the new image.
    fn pre_exec() -> Result<(), HookError> {
        Ok(())
    }
    /// Worker, told to stop at once. `calm`: the main thread, outside of a request; else a signal handler, where
    /// only async-signal-safe calls are allowed and `true` promises to end the process soon. No panic.
    fn worker_int(calm: bool) -> bool {
        false
    }
    /// Worker, a deadline has passed; as [`Self::worker_int`].
    fn worker_abort(calm: bool) -> bool {
        false
    }
    /// Worker, first thing of an orderly end.
    fn worker_exit(worker: i32) -> Result<(), HookError> {
        Ok(())
    }
    /// Before anything answers a request.
    fn pre_request(req: &mut Request<'_>) -> Result<(), HookError> {
        Ok(())
    }
    /// After the answer, before the log line.
    fn post_request(req: &mut Request<'_>) -> Result<(), HookError> {
        Ok(())
    }
    /// Master, last thing of an orderly end.
    fn on_exit() -> Result<(), HookError> {
        Ok(())
    }
}
