//! The calls of the hooks, one function per moment of a process's life. Which plugins a hook is called for (request
//! plugins, generic ones, both) is the header's; no lock of ours is held around a call.

use super::loader::name_of;
use super::registry::registry;
use crate::server;
use rsgi_plugin_api::abi::{JailStart, UwsgiInstance, UwsgiPlugin, WsgiRequest};
use std::ffi::CStr;
use std::sync::OnceLock;

/// Which plugins a hook is called for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Both,
    Request,
    Generic,
}

/// The plugins of a kind in the order that they were loaded in.
fn plugins(of: Of) -> Vec<&'static UwsgiPlugin> {
    registry()
        .plugins()
        .iter()
        .map(|p| p.copy)
        .filter(|p| match of {
            Of::Both => true,
            Of::Request => p.request.is_some(),
            Of::Generic => p.request.is_none(),
        })
        .collect()
}

/// Defines a function that calls a hook without arguments for every plugin that has it.
macro_rules! moments {
    ($($(#[$doc:meta])* $hook:ident: $of:ident;)*) => { $(
        $(#[$doc])*
        pub fn $hook() {
            for plugin in plugins(Of::$of) {
                if let Some(hook) = plugin.$hook {
                    // SAFETY: called in the process and at the moment that the header states for this hook.
                    unsafe { hook() };
                }
            }
        }
    )* };
}

moments! {
    /// After the init of all plugins, sockets bound, privileges dropped.
    post_init: Both;
    /// Threads are on; before the applications.
    enable_threads: Request;
    /// Before any application is loaded.
    preinit_apps: Both;
    /// The applications that options name.
    init_apps: Both;
    /// All applications are there.
    postinit_apps: Both;
    /// First thing in a worker.
    post_fork: Both;
    /// A spooler, after `post_fork`.
    spooler_init: Both;
    /// Just before the request loop.
    fixup: Request;
    /// Before the request loop; may take the process over.
    hijack_worker: Both;
    /// About once a second in the master.
    master_cycle: Both;
    /// The last worker has gone.
    master_cleanup: Both;
    /// An orderly end of a worker.
    atexit: Both;
    /// Inside the jail, first thing.
    early_post_jail: Generic;
    /// Inside the jail.
    post_jail: Generic;
    /// Still root.
    before_privileges_drop: Generic;
    /// Just before a fork.
    pre_uwsgi_fork: Request;
    /// The new image after a reload, or workers alone are renewed.
    on_reload: Both;
    /// Just before the master becomes the new image.
    pre_exec: Both;
    /// The master's orderly end.
    on_exit: Both;
}

/// Defines a function that calls a hook of every plugin until one refuses: `Err` with that plugin's name.
macro_rules! verdicts {
    ($($(#[$doc:meta])* $hook:ident($($arg:ident: $type:ty),*);)*) => { $(
        $(#[$doc])*
        ///
        /// # Errors
        /// The plugin that refused; it has said why.
        pub fn $hook($($arg: $type),*) -> Result<(), Refused> {
            for plugin in plugins(Of::Both) {
                if let Some(hook) = plugin.$hook
                    // SAFETY: called in the process and at the moment that the header states for this hook.
                    && unsafe { hook($($arg as i32),*) } < 0
                {
                    return Err(Refused { plugin: name_of(plugin), hook: stringify!($hook) });
                }
            }
            Ok(())
        }
    )* };
}

/// A hook that ends the server; the plugin has said why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the hook {hook} of plugin {plugin} failed (the reason stands above); the server ends")]
pub struct Refused {
    plugin: &'static str,
    hook: &'static str,
}

verdicts! {
    /// All options were read, nothing was done with them.
    configure();
    /// The first start, before the first fork.
    on_starting();
    /// Every worker takes requests.
    when_ready();
    /// Before the fork of a worker.
    pre_fork(worker: usize);
}

/// A worker was reaped; `status` as from `waitpid`.
pub fn child_exit(worker: usize, pid: i32, status: i32) {
    for plugin in plugins(Of::Both) {
        if let Some(hook) = plugin.child_exit {
            // SAFETY: in the master, after the reaping.
            unsafe { hook(worker as i32, pid, status) };
        }
    }
}

/// So many workers are to run from now on.
pub fn nworkers_changed(now: usize, before: Option<usize>) {
    for plugin in plugins(Of::Both) {
        if let Some(hook) = plugin.nworkers_changed {
            // SAFETY: in the master.
            unsafe { hook(now as i32, before.map_or(-1, |n| n as i32)) };
        }
    }
}

/// First thing of a worker's orderly end.
pub fn worker_exit(worker: usize) {
    for plugin in plugins(Of::Both) {
        if let Some(hook) = plugin.worker_exit {
            // SAFETY: in the worker's main thread.
            unsafe { hook(worker as i32) };
        }
    }
}

/// In a worker's main thread, outside of a request: it was told to stop at once.
pub fn worker_int() {
    for plugin in plugins(Of::Both) {
        if let Some(hook) = plugin.worker_int {
            // SAFETY: at the moment that the header states for this step.
            unsafe { hook(CALM) };
        }
    }
}

/// The same after a deadline or SIGABRT.
pub fn worker_abort() {
    for plugin in plugins(Of::Both) {
        if let Some(hook) = plugin.worker_abort {
            // SAFETY: as above.
            unsafe { hook(CALM) };
        }
    }
}

const IN_SIGNAL: i32 = 0;
const CALM: i32 = 1;

/// The hooks that signal handlers and requests call: looked up once, so that neither allocates nor searches.
struct Hot {
    dump_stacks: Vec<unsafe extern "C" fn(i32)>,
    worker_int: Vec<unsafe extern "C" fn(i32) -> i32>,
    worker_abort: Vec<unsafe extern "C" fn(i32) -> i32>,
    pre_request: Vec<unsafe extern "C" fn(*mut WsgiRequest)>,
    post_request: Vec<unsafe extern "C" fn(*mut WsgiRequest)>,
}

static HOT: OnceLock<Hot> = OnceLock::new();

/// Before the first fork, when all plugins are there.
pub fn settle() {
    let all = plugins(Of::Both);
    let _ = HOT.set(Hot {
        dump_stacks: all.iter().filter_map(|p| p.dump_stacks).collect(),
        worker_int: all.iter().filter_map(|p| p.worker_int).collect(),
        worker_abort: all.iter().filter_map(|p| p.worker_abort).collect(),
        pre_request: all.iter().filter_map(|p| p.pre_request).collect(),
        post_request: all.iter().filter_map(|p| p.post_request).collect(),
    });
}

/// In a signal handler: the plugins write where their threads are.
pub fn dump_stacks(fd: i32) {
    for hook in HOT.get().into_iter().flat_map(|h| &h.dump_stacks) {
        // SAFETY: in a worker, inside a signal handler, as the header states.
        unsafe { hook(fd) };
    }
}

/// In a signal handler: whether a plugin ends the process itself, soon.
pub fn worker_int_in_signal() -> bool {
    HOT.get().is_some_and(|h| ask(&h.worker_int))
}

/// In a signal handler: whether a plugin ends the process itself, soon.
pub fn worker_abort_in_signal() -> bool {
    HOT.get().is_some_and(|h| ask(&h.worker_abort))
}

fn ask(hooks: &[unsafe extern "C" fn(i32) -> i32]) -> bool {
    let mut taken = false;
    for hook in hooks {
        // SAFETY: in a worker, inside a signal handler, as the header states; all of them are asked.
        taken |= unsafe { hook(IN_SIGNAL) } == 1;
    }
    taken
}

/// Whether any plugin wants to see requests before they are answered.
#[inline]
pub fn has_pre_request() -> bool {
    HOT.get().is_some_and(|h| !h.pre_request.is_empty())
}

/// Whether any plugin wants to see answered requests.
#[inline]
pub fn has_post_request() -> bool {
    HOT.get().is_some_and(|h| !h.post_request.is_empty())
}

/// A request was parsed.
///
/// # Safety
/// `req` is the request that this thread's core serves.
pub unsafe fn pre_request(req: *mut WsgiRequest) {
    for hook in HOT.get().into_iter().flat_map(|h| &h.pre_request) {
        // SAFETY: by the contract.
        unsafe { hook(req) };
    }
}

/// A request was answered.
///
/// # Safety
/// `req` is the request that this thread's core has just served.
pub unsafe fn post_request(req: *mut WsgiRequest) {
    for hook in HOT.get().into_iter().flat_map(|h| &h.post_request) {
        // SAFETY: by the contract.
        unsafe { hook(req) };
    }
}

/// First thing in a mule: of request plugins only.
pub fn post_fork_aside() {
    for plugin in plugins(Of::Request) {
        if let Some(hook) = plugin.post_fork {
            // SAFETY: in the new process, in its only thread.
            unsafe { hook() };
        }
    }
}

/// A mule's script: whether a plugin has run it.
pub fn mule(script: &CStr) -> bool {
    plugins(Of::Request).into_iter().any(|plugin| {
        // SAFETY: in the mule's main thread; the caller's text lives as long as the process.
        plugin
            .mule
            .is_some_and(|hook| unsafe { hook(script.as_ptr().cast_mut()) } == 1)
    })
}

/// A mule's message: whether a plugin has taken it.
pub fn mule_msg(message: &mut [u8]) -> bool {
    plugins(Of::Request).into_iter().any(|plugin| {
        // SAFETY: in the mule's main thread, with a message that lives during the call.
        plugin
            .mule_msg
            .is_some_and(|hook| unsafe { hook(message.as_mut_ptr().cast(), message.len()) } == 1)
    })
}

/// A spooler's task: what the first plugin that wants it says, 0 when none does.
pub fn spooler(name: &str, packet: &mut [u8], body: &mut [u8]) -> i32 {
    let name = std::ffi::CString::new(name).unwrap_or_default();
    for plugin in plugins(Of::Request) {
        let Some(hook) = plugin.spooler else { continue };
        let (text, len) = (packet.as_mut_ptr().cast(), packet.len() as u16);
        // SAFETY: in the spooler's main thread; name, packet and body live during the call.
        let outcome = unsafe {
            hook(
                name.as_ptr().cast_mut(),
                text,
                len,
                body.as_mut_ptr().cast(),
                body.len(),
            )
        };
        if outcome != 0 {
            return outcome;
        }
    }
    0
}

/// `init` of every plugin; one that fails is said and the others go on.
pub fn init() {
    for plugin in plugins(Of::Both) {
        if let Some(hook) = plugin.init {
            // SAFETY: master, single-threaded, options read.
            let rc = unsafe { hook() };
            if rc < 0 {
                crate::log::line(&format!("plugin {}: init failed ({rc})", name_of(plugin)));
            }
        }
    }
}

/// The rest of the start, while a plugin makes the jail that it goes on in.
type Rest<T> = Box<dyn FnOnce() -> T + Send>;

/// Goes on with the start: inside the jail that a generic plugin makes, or as it is when none does.
pub fn jail<T: Send + 'static>(rest: impl FnOnce() -> T + Send + 'static) -> T {
    use std::sync::{Mutex, PoisonError};
    static REST: Mutex<Option<Rest<()>>> = Mutex::new(None);
    unsafe extern "C" fn start(_: *mut std::ffi::c_void) -> i32 {
        let rest = REST.lock().unwrap_or_else(PoisonError::into_inner).take();
        match rest {
            Some(rest) => rest(),
            None => crate::say!("a plugin started the server twice in its jail; the second call is ignored"),
        }
        0
    }
    let Some(hook) = plugins(Of::Generic).into_iter().find_map(|p| p.jail) else {
        return rest();
    };
    let outcome = std::sync::Arc::new(Mutex::new(None));
    let place = outcome.clone();
    *REST.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(move || {
        early_post_jail();
        post_jail();
        let value = rest();
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    }));
    // SAFETY: master, still root; the plugin calls `start` in its jail, in this thread, and returns when it returns.
    unsafe { hook(JailStart(Some(start)), (*server::view()).argv) };
    let value = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
    value.unwrap_or_else(|| {
        crate::say!("the jail hook of a plugin returned without starting the server");
        crate::process::exit(1)
    })
}

/// In a vassal's process, after the fork.
pub fn vassal(record: &mut UwsgiInstance) {
    for plugin in plugins(Of::Both) {
        if let Some(hook) = plugin.vassal {
            // SAFETY: the vassal's process; the record stays.
            unsafe { hook(&mut *record) };
        }
    }
}

/// In a vassal's process, just before its exec.
pub fn vassal_before_exec(record: &mut UwsgiInstance) {
    for plugin in plugins(Of::Both) {
        if let Some(hook) = plugin.vassal_before_exec {
            // SAFETY: as above.
            unsafe { hook(&mut *record) };
        }
    }
}

/// What the hooks of a vassal's process are told of it.
pub fn vassal_record(name: &str, owner: (u32, u32), link: i32) -> &'static mut UwsgiInstance {
    // SAFETY: all fields are pointers and integers: zero is valid.
    let mut record: UwsgiInstance = unsafe { std::mem::zeroed() };
    crate::emperor::monitor::describe(&mut record, name, owner);
    record.pid = std::process::id() as i32;
    record.pipe[1] = link;
    Box::leak(Box::new(record))
}

/// Whether a plugin makes a jail that the start goes on in.
pub fn has_jail() -> bool {
    plugins(Of::Generic).into_iter().any(|p| p.jail.is_some())
}

/// After a fork: 0 in the parent, 1 in the child.
pub fn post_uwsgi_fork(step: i32) {
    for plugin in plugins(Of::Request) {
        if let Some(hook) = plugin.post_uwsgi_fork {
            // SAFETY: called right after the fork, in the thread that forked.
            unsafe { hook(step) };
        }
    }
}

/// 0: the master before its first fork; 1: a child after its fork.
pub fn master_fixup(step: i32) {
    for plugin in plugins(Of::Request) {
        if let Some(hook) = plugin.master_fixup {
            // SAFETY: at the moment that the header states.
            unsafe { hook(step) };
        }
    }
}

/// First thing in the request thread of core 1 and up.
pub fn init_thread(core: usize) {
    for plugin in plugins(Of::Request) {
        if let Some(hook) = plugin.init_thread {
            // SAFETY: in the new thread, before its first request.
            unsafe { hook(core as i32) };
        }
    }
}

/// A worker is over time and about to be killed.
pub fn harakiri(worker: usize) {
    for plugin in plugins(Of::Both) {
        if let Some(hook) = plugin.harakiri {
            // SAFETY: in the master.
            unsafe { hook(worker as i32) };
        }
    }
}

/// `--mount`: the id of the app, or `None` when no plugin knows it.
pub fn mount_app(mountpoint: &CStr, app: &CStr) -> Option<i32> {
    plugins(Of::Request).into_iter().find_map(|plugin| {
        let hook = plugin.mount_app?;
        // SAFETY: the plugin may keep the texts: the caller's live as long as the process.
        let id = unsafe { hook(mountpoint.as_ptr().cast_mut(), app.as_ptr().cast_mut()) };
        (id >= 0).then_some(id)
    })
}

/// A bare argument that nobody knows: whether a plugin takes it.
pub fn magic(file: &CStr) -> bool {
    plugins(Of::Both).into_iter().any(|plugin| {
        // SAFETY: the caller's text lives as long as the process; there is no mountpoint.
        plugin
            .magic
            .is_some_and(|hook| unsafe { hook(std::ptr::null_mut(), file.as_ptr().cast_mut()) } == 1)
    })
}

/// The worker override: whether a plugin served this worker's whole life.
pub fn worker() -> bool {
    plugins(Of::Both).into_iter().any(|plugin| {
        // SAFETY: in the worker's main thread, after post_fork.
        plugin.worker.is_some_and(|hook| unsafe { hook() } == 1)
    })
}

/// After an answer: whether a plugin has the hook (it then also owns the log line).
///
/// # Safety
/// `req` is the request that this thread's core has just served.
pub unsafe fn after_request(plugin: &UwsgiPlugin, req: *mut WsgiRequest) -> bool {
    match plugin.after_request {
        Some(hook) => {
            // SAFETY: by the contract.
            unsafe { hook(req) };
            true
        }
        None => false,
    }
}
