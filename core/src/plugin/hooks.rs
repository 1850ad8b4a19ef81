//! The calls of the hooks, one function per moment of a process's life. Which plugins a hook is called for (request
//! plugins, generic ones, both) is the header's; no lock of ours is held around a call.

use super::inside::{Brought, Inside, Place};
use super::loader::name_of;
use super::registry::registry;
use crate::server;
use crate::settings::Action;
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

/// Calls a hook of a plugin that has it; a process that ends in there can say where. What it returned, if it was called.
macro_rules! call {
    ($plugin:expr, $hook:ident($($arg:expr),*)) => {
        $plugin.$hook.map(|hook| {
            const NAME: &CStr = match CStr::from_bytes_with_nul(concat!("hook ", stringify!($hook), "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => c"?",
            };
            let _inside = Inside::enter(Place::new($plugin, NAME));
            // SAFETY: called in the process, the thread and at the moment that the header states for this hook, with
            // arguments that live during the call.
            unsafe { hook($($arg),*) }
        })
    };
}

/// Defines a function that calls a hook without arguments for every plugin that has it.
macro_rules! moments {
    ($($(#[$doc:meta])* $hook:ident: $of:ident;)*) => { $(
        $(#[$doc])*
        pub fn $hook() {
            for plugin in plugins(Of::$of) {
                call!(plugin, $hook());
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
                if call!(plugin, $hook($($arg as i32),*)).is_some_and(|rc| rc < 0) {
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
        call!(plugin, child_exit(worker as i32, pid, status));
    }
}

/// So many workers are to run from now on.
pub fn nworkers_changed(now: usize, before: Option<usize>) {
    for plugin in plugins(Of::Both) {
        call!(plugin, nworkers_changed(now as i32, before.map_or(-1, |n| n as i32)));
    }
}

/// First thing of a worker's orderly end.
pub fn worker_exit(worker: usize) {
    for plugin in plugins(Of::Both) {
        call!(plugin, worker_exit(worker as i32));
    }
}

/// In a worker's main thread, outside of a request: it was told to stop at once.
pub fn worker_int() {
    for plugin in plugins(Of::Both) {
        call!(plugin, worker_int(CALM));
    }
}

/// The same after a deadline or SIGABRT.
pub fn worker_abort() {
    for plugin in plugins(Of::Both) {
        call!(plugin, worker_abort(CALM));
    }
}

const IN_SIGNAL: i32 = 0;
const CALM: i32 = 1;

/// What is called before and after requests.
type RequestHook = unsafe extern "C" fn(*mut WsgiRequest);

/// What is called when a worker is told to stop.
type StopHook = unsafe extern "C" fn(i32) -> i32;

/// The hooks that signal handlers and requests call: looked up once, so that neither allocates nor searches.
struct Hot {
    dump_stacks: Vec<Brought<unsafe extern "C" fn(i32)>>,
    worker_int: Vec<Brought<StopHook>>,
    worker_abort: Vec<Brought<StopHook>>,
    pre_request: Vec<Brought<RequestHook>>,
    post_request: Vec<Brought<RequestHook>>,
}

static HOT: OnceLock<Hot> = OnceLock::new();

/// Functions of `--after-request-hook`, by name; one that is not there is said.
fn after_request_functions(actions: &[Action]) -> Vec<Brought<RequestHook>> {
    let find = |action: &Action| {
        let Action::Call(name) = action else { return None };
        let address = crate::startup::hooks::function_address(name)
            .inspect_err(|why| crate::say!("after-request-hook: {why}"))
            .ok()?;
        // SAFETY: uWSGI's contract of this option: a function that takes the request.
        let function = unsafe { std::mem::transmute::<*mut std::ffi::c_void, RequestHook>(address) };
        Some(Brought::new("after-request-hook", name, function))
    };
    actions.iter().filter_map(find).collect()
}

/// Before the first fork, when all plugins are there.
pub fn settle(after_request: &[Action]) {
    let all = plugins(Of::Both);
    fn placed<F: Copy>(
        all: &[&'static UwsgiPlugin],
        hook: &'static CStr,
        of: fn(&UwsgiPlugin) -> Option<F>,
    ) -> Vec<Brought<F>> {
        let all = all.iter();
        all.filter_map(|p| Some(Brought::hook(p, hook, of(p)?))).collect()
    }
    let mut post_request: Vec<_> = placed(&all, c"hook post_request", |p| p.post_request);
    post_request.extend(after_request_functions(after_request));
    let _ = HOT.set(Hot {
        dump_stacks: placed(&all, c"hook dump_stacks", |p| p.dump_stacks),
        worker_int: placed(&all, c"hook worker_int", |p| p.worker_int),
        worker_abort: placed(&all, c"hook worker_abort", |p| p.worker_abort),
        pre_request: placed(&all, c"hook pre_request", |p| p.pre_request),
        post_request,
    });
}

/// In a signal handler: the plugins write where their threads are.
pub fn dump_stacks(fd: i32) {
    for hook in HOT.get().into_iter().flat_map(|h| &h.dump_stacks) {
        // SAFETY: in a worker, inside a signal handler, as the header states.
        hook.call_in_signal(|hook| unsafe { hook(fd) });
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

fn ask(hooks: &[Brought<StopHook>]) -> bool {
    let mut taken = false;
    for hook in hooks {
        // SAFETY: in a worker, inside a signal handler, as the header states; all of them are asked.
        taken |= hook.call_in_signal(|hook| unsafe { hook(IN_SIGNAL) }) == 1;
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
        hook.call(|hook| unsafe { hook(req) });
    }
}

/// A request was answered.
///
/// # Safety
/// `req` is the request that this thread's core has just served.
pub unsafe fn post_request(req: *mut WsgiRequest) {
    for hook in HOT.get().into_iter().flat_map(|h| &h.post_request) {
        // SAFETY: by the contract.
        hook.call(|hook| unsafe { hook(req) });
    }
}

/// First thing in a mule: of request plugins only.
pub fn post_fork_aside() {
    for plugin in plugins(Of::Request) {
        call!(plugin, post_fork());
    }
}

/// A mule's script: whether a plugin has run it.
pub fn mule(script: &CStr) -> bool {
    plugins(Of::Request)
        .into_iter()
        .any(|plugin| call!(plugin, mule(script.as_ptr().cast_mut())) == Some(1))
}

/// A mule's message: whether a plugin has taken it.
pub fn mule_msg(message: &mut [u8]) -> bool {
    plugins(Of::Request)
        .into_iter()
        .any(|plugin| call!(plugin, mule_msg(message.as_mut_ptr().cast(), message.len())) == Some(1))
}

/// A spooler's task: what the first plugin that wants it says, 0 when none does.
pub fn spooler(name: &str, packet: &mut [u8], body: &mut [u8]) -> i32 {
    let name = std::ffi::CString::new(name).unwrap_or_default();
    for plugin in plugins(Of::Request) {
        let (text, len) = (packet.as_mut_ptr().cast(), packet.len() as u16);
        let (rest, rest_len) = (body.as_mut_ptr().cast(), body.len());
        let outcome = call!(plugin, spooler(name.as_ptr().cast_mut(), text, len, rest, rest_len)).unwrap_or(0);
        if outcome != 0 {
            return outcome;
        }
    }
    0
}

/// `init` of every plugin; one that fails is said and the others go on.
pub fn init() {
    for plugin in plugins(Of::Both) {
        if let Some(rc) = call!(plugin, init()).filter(|rc| *rc < 0) {
            crate::log::line(&format!("plugin {}: init failed ({rc})", name_of(plugin)));
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
        let _ours = Inside::outside();
        match rest {
            Some(rest) => rest(),
            None => crate::say!("a plugin started the server twice in its jail; the second call is ignored"),
        }
        0
    }
    let jails = plugins(Of::Generic).into_iter();
    let Some((plugin, hook)) = jails.filter_map(|p| Some((p, p.jail?))).next() else {
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
    let _inside = Inside::enter(Place::new(plugin, c"hook jail"));
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
        call!(plugin, vassal(&mut *record));
    }
}

/// In a vassal's process, just before its exec.
pub fn vassal_before_exec(record: &mut UwsgiInstance) {
    for plugin in plugins(Of::Both) {
        call!(plugin, vassal_before_exec(&mut *record));
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
        call!(plugin, post_uwsgi_fork(step));
    }
}

/// 0: the master before its first fork; 1: a child after its fork.
pub fn master_fixup(step: i32) {
    for plugin in plugins(Of::Request) {
        call!(plugin, master_fixup(step));
    }
}

/// First thing in the request thread of core 1 and up.
pub fn init_thread(core: usize) {
    for plugin in plugins(Of::Request) {
        call!(plugin, init_thread(core as i32));
    }
}

/// A worker is over time and about to be killed.
pub fn harakiri(worker: usize) {
    for plugin in plugins(Of::Both) {
        call!(plugin, harakiri(worker as i32));
    }
}

/// `--mount`: the id of the app, or `None` when no plugin knows it.
pub fn mount_app(mountpoint: &CStr, app: &CStr) -> Option<i32> {
    plugins(Of::Request).into_iter().find_map(|plugin| {
        // the plugin may keep the texts: the caller's live as long as the process
        let id = call!(
            plugin,
            mount_app(mountpoint.as_ptr().cast_mut(), app.as_ptr().cast_mut())
        )?;
        (id >= 0).then_some(id)
    })
}

/// A bare argument that nobody knows: whether a plugin takes it.
pub fn magic(file: &CStr) -> bool {
    plugins(Of::Both).into_iter().any(|plugin| {
        // there is no mountpoint
        call!(plugin, magic(std::ptr::null_mut(), file.as_ptr().cast_mut())) == Some(1)
    })
}

/// The worker override: whether a plugin served this worker's whole life.
pub fn worker() -> bool {
    plugins(Of::Both)
        .into_iter()
        .any(|plugin| call!(plugin, worker()) == Some(1))
}

/// After an answer: whether a plugin has the hook (it then also owns the log line).
///
/// # Safety
/// `req` is the request that this thread's core has just served.
pub unsafe fn after_request(plugin: &'static UwsgiPlugin, req: *mut WsgiRequest) -> bool {
    call!(plugin, after_request(req)).is_some()
}
