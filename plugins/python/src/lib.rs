//! `python_plugin.so`, stage one: knows the options, finds the right Python, and forwards each hook to the abi3 core.
//! It has no Python symbol of its own, so it loads everywhere and can say what is missing; Python is started only
//! when something asks for it.

mod areas;
mod bridge;
mod carried;
mod discover;
mod engine;
mod gunicorn;
mod logger;
mod options;
mod stage2;

use bridge::{ExceptionText, Moment, Numbers};
use logger::Lines;
use rsgi_plugin_api::abi::{UwsgiBuffer, WsgiRequest};
use rsgi_plugin_api::logger::register;
use rsgi_plugin_api::{HookError, export, guard, log, sys};
use std::ffi::{CStr, c_char, c_int, c_void};

/// The options that each name one application.
const APPS: &[&str] = &["wsgi-file", "module", "asgi", "eval", "paste", "paste-logged", "pecan"];

fn hook<T>(name: &str, failed: T, body: impl FnOnce() -> T) -> T {
    guard::hook("python", name, failed, || Ok::<T, HookError>(body()))
}

/// # Safety
/// `text` is NULL or a NUL-terminated string.
unsafe fn c_str<'a>(text: *const c_char) -> Option<&'a CStr> {
    // SAFETY: by the contract.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
}

unsafe extern "C" fn on_load() {
    log::forward();
    register::<Lines>(c"python");
}

unsafe extern "C" fn init() -> c_int {
    hook("init", -1, || {
        let apps = options::count(APPS);
        // SAFETY: the master, single-threaded; the host reads the field back after this hook.
        unsafe { sys::uwsgi.apps_wanted += apps as c_int }
        if !options::any() && !logger::is_wanted() {
            return 0;
        }
        engine::publish();
        let Some(hooks) = stage2::start() else {
            return -1;
        };
        // SAFETY: the core's own function, called in the master.
        let code = unsafe { (hooks.run_script)() };
        if code >= 0 {
            // SAFETY: an orderly end of the process; nothing was started yet.
            unsafe { sys::uwsgi_exit(code) }
        }
        0
    })
}

/// Hooks that only go on to the core, when there is one.
macro_rules! forward {
    ($($hook:ident ( $($arg:ident : $type:ty),* ) => $target:ident;)*) => {$(
        unsafe extern "C" fn $hook($($arg: $type),*) {
            hook(stringify!($hook), (), || {
                if let Some(hooks) = stage2::hooks() {
                    // SAFETY: the core's own function, with the arguments the host gave for this very hook.
                    unsafe { (hooks.$target)($($arg),*) }
                }
            })
        }
    )*};
}

forward! {
    post_init() => post_init;
    preinit_apps() => preinit_apps;
    init_apps() => init_apps;
    post_fork() => post_fork;
    init_thread(core: c_int) => init_thread;
    spooler_init() => spooler_init;
    pre_uwsgi_fork() => pre_fork;
    post_uwsgi_fork(step: c_int) => after_fork;
    atexit() => atexit;
}

fn moment(name: &str, moment: Moment, numbers: Numbers) -> c_int {
    hook(name, -1, || match stage2::hooks() {
        // SAFETY: the core's own function, at the moment that it names.
        Some(hooks) => unsafe { (hooks.moment)(moment, numbers) },
        None => 0,
    })
}

/// Hooks that are moments of the life cycle: without a result, and with one that may end the server.
macro_rules! moments {
    ($($hook:ident ( $($arg:ident),* ) => $moment:ident;)*) => {$(
        unsafe extern "C" fn $hook($($arg: c_int),*) {
            let mut numbers = Numbers::default();
            let given: &[c_int] = &[$($arg),*];
            numbers.0[..given.len()].copy_from_slice(given);
            moment(stringify!($hook), Moment::$moment, numbers);
        }
    )*};
}
macro_rules! verdicts {
    ($($hook:ident ( $($arg:ident),* ) => $moment:ident;)*) => {$(
        unsafe extern "C" fn $hook($($arg: c_int),*) -> c_int {
            let mut numbers = Numbers::default();
            let given: &[c_int] = &[$($arg),*];
            numbers.0[..given.len()].copy_from_slice(given);
            moment(stringify!($hook), Moment::$moment, numbers)
        }
    )*};
}

moments! {
    on_reload() => OnReload;
    child_exit(worker, pid, status) => ChildExit;
    nworkers_changed(now, before) => NworkersChanged;
    pre_exec() => PreExec;
    worker_exit(worker) => WorkerExit;
    on_exit() => OnExit;
    fixup() => Fixup;
}
verdicts! {
    on_starting() => OnStarting;
    when_ready() => WhenReady;
    pre_fork(worker) => PreFork;
}

unsafe extern "C" fn configure() -> c_int {
    hook("configure", -1, || {
        let steps = [engine::configure, areas::configure, gunicorn::configure];
        steps.iter().map(|step| step()).find(|code| *code != 0).unwrap_or(0)
    })
}

unsafe extern "C" fn dump_stacks(fd: c_int) {
    if let Some(hooks) = stage2::hooks() {
        // SAFETY: the core's own function, in a signal handler as it expects.
        unsafe { (hooks.dump_stacks)(fd) }
    }
}

unsafe extern "C" fn worker_int(step: c_int) -> c_int {
    // SAFETY: as above; no guard, which would log
    stage2::hooks().map_or(0, |hooks| unsafe { (hooks.worker_int)(step) })
}

unsafe extern "C" fn worker_abort(step: c_int) -> c_int {
    // SAFETY: as above.
    stage2::hooks().map_or(0, |hooks| unsafe { (hooks.worker_abort)(step) })
}

unsafe extern "C" fn request(req: *mut WsgiRequest) -> c_int {
    match stage2::hooks() {
        // SAFETY: the host's request of this core; the core has a guard of its own.
        Some(hooks) => unsafe { (hooks.request)(req) },
        None => {
            log::line("--- no python application found, check your startup logs for errors ---");
            // SAFETY: the host's request of this core.
            unsafe { sys::uwsgi_500(req) }
            0
        }
    }
}

/// Whether `app` of `--mount` looks like Python's: a .py or .wsgi file, or a dotted name with an optional callable.
fn looks_like_python(app: &[u8]) -> bool {
    if app.ends_with(b".py") || app.ends_with(b".wsgi") {
        return true;
    }
    let module = app.split(|b| *b == b':').next().unwrap_or_default();
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.') || *b >= 0x80;
    let other_languages: [&[u8]; 6] = [b".lua", b".ws", b".pl", b".psgi", b".ru", b".so"];
    !module.is_empty()
        && module.iter().all(plain)
        && !module[0].is_ascii_digit()
        && module[0] != b'.'
        && !other_languages.iter().any(|end| module.ends_with(end))
}

unsafe extern "C" fn mount_app(mountpoint: *mut c_char, app: *mut c_char) -> c_int {
    hook("mount_app", -1, || {
        // SAFETY: the host passes two strings that live as long as the process.
        let name = unsafe { c_str(app) }.map_or(&b""[..], CStr::to_bytes);
        if !looks_like_python(name) {
            return -1;
        }
        match stage2::start() {
            // SAFETY: as above.
            Some(hooks) => unsafe { (hooks.mount_app)(mountpoint, app) },
            None => -1,
        }
    })
}

unsafe extern "C" fn magic(_mountpoint: *mut c_char, file: *mut c_char) -> c_int {
    hook("magic", 0, || {
        // SAFETY: the host passes a NUL-terminated string.
        let name = unsafe { c_str(file) }.map_or(&b""[..], CStr::to_bytes);
        if !(name.ends_with(b".py") || name.ends_with(b".wsgi")) {
            return 0;
        }
        c_int::from(options::add_file(name).is_ok())
    })
}

unsafe extern "C" fn worker() -> c_int {
    // an error must not fall through to the request loop of a worker that was to be overridden
    hook("worker", 1, || match stage2::hooks() {
        // SAFETY: the core's own function, in a worker after its fork.
        Some(hooks) => unsafe { (hooks.worker)() },
        None => 0,
    })
}

unsafe extern "C" fn mule(script: *mut c_char) -> c_int {
    hook("mule", 0, || {
        // SAFETY: the host passes a NUL-terminated string.
        let name = unsafe { c_str(script) }.map_or(&b""[..], CStr::to_bytes);
        if !looks_like_python(name) {
            return 0;
        }
        match stage2::start() {
            // SAFETY: as above.
            Some(hooks) => unsafe { (hooks.mule)(script) },
            None => 0,
        }
    })
}

unsafe extern "C" fn signal_handler(signal: u8, handler: *mut c_void) -> c_int {
    hook("signal_handler", -1, || match stage2::hooks() {
        // SAFETY: a handler that the core registered, in a process that runs signals.
        Some(hooks) => unsafe { (hooks.signal_handler)(signal, handler) },
        None => -1,
    })
}

unsafe extern "C" fn rpc(
    function: *mut c_void,
    argc: u8,
    argv: *mut *mut c_char,
    argvs: *mut u16,
    response: *mut *mut c_char,
) -> u64 {
    hook("rpc", 0, || match stage2::hooks() {
        // SAFETY: the core's own function, with the host's own arguments.
        Some(hooks) => unsafe { (hooks.rpc)(function, argc, argv, argvs, response) },
        None => 0,
    })
}

unsafe extern "C" fn mule_msg(message: *mut c_char, len: usize) -> c_int {
    hook("mule_msg", 0, || match stage2::hooks() {
        // SAFETY: the core's own function, with the host's own arguments.
        Some(hooks) => unsafe { (hooks.mule_msg)(message, len) },
        None => 0,
    })
}

unsafe extern "C" fn spooler(
    name: *mut c_char,
    packet: *mut c_char,
    len: u16,
    body: *mut c_char,
    body_len: usize,
) -> c_int {
    hook("spooler", -1, || match stage2::hooks() {
        // SAFETY: the core's own function, with the host's own arguments.
        Some(hooks) => unsafe { (hooks.spooler)(name, packet, len, body, body_len) },
        None => 0,
    })
}

fn exception_text(which: ExceptionText) -> *mut UwsgiBuffer {
    match stage2::hooks() {
        // SAFETY: the core's own function; asked while it is inside uwsgi_manage_exception.
        Some(hooks) => unsafe { (hooks.exception_text)(which) },
        None => std::ptr::null_mut(),
    }
}

unsafe extern "C" fn exception_class(_req: *mut WsgiRequest) -> *mut UwsgiBuffer {
    exception_text(ExceptionText::Class)
}
unsafe extern "C" fn exception_msg(_req: *mut WsgiRequest) -> *mut UwsgiBuffer {
    exception_text(ExceptionText::Message)
}
unsafe extern "C" fn exception_repr(_req: *mut WsgiRequest) -> *mut UwsgiBuffer {
    exception_text(ExceptionText::Repr)
}
unsafe extern "C" fn backtrace(_req: *mut WsgiRequest) -> *mut UwsgiBuffer {
    exception_text(ExceptionText::Backtrace)
}
unsafe extern "C" fn exception_log(_req: *mut WsgiRequest) {
    if let Some(hooks) = stage2::hooks() {
        // SAFETY: as in `exception_text`.
        unsafe { (hooks.exception_log)() }
    }
}

#[used]
#[unsafe(link_section = ".note.uwsgi.abi")]
static ABI_NOTE: rsgi_plugin_api::abi::AbiNote = rsgi_plugin_api::abi::AbiNote::CURRENT;

/// The plugin as the host finds it. Written out, because its hooks go on to the core with the host's own arguments.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static python_plugin: export::Exported = {
    let mut plugin = export::EMPTY;
    plugin.name = c"python".as_ptr();
    plugin.alias = c"python3".as_ptr();
    plugin.modifier1 = 0;
    plugin.options = &options::TABLE as *const _ as *mut rsgi_plugin_api::abi::UwsgiOption;
    plugin.on_load = Some(on_load);
    plugin.init = Some(init);
    plugin.post_init = Some(post_init);
    plugin.preinit_apps = Some(preinit_apps);
    plugin.init_apps = Some(init_apps);
    plugin.mount_app = Some(mount_app);
    plugin.magic = Some(magic);
    plugin.post_fork = Some(post_fork);
    plugin.init_thread = Some(init_thread);
    plugin.request = Some(request);
    plugin.worker = Some(worker);
    plugin.spooler_init = Some(spooler_init);
    plugin.mule = Some(mule);
    plugin.spooler = Some(spooler);
    plugin.mule_msg = Some(mule_msg);
    plugin.rpc = Some(rpc);
    plugin.pre_uwsgi_fork = Some(pre_uwsgi_fork);
    plugin.post_uwsgi_fork = Some(post_uwsgi_fork);
    plugin.atexit = Some(atexit);
    plugin.exception_class = Some(exception_class);
    plugin.exception_msg = Some(exception_msg);
    plugin.exception_repr = Some(exception_repr);
    plugin.exception_log = Some(exception_log);
    plugin.backtrace = Some(backtrace);
    plugin.fixup = Some(fixup);
    plugin.signal_handler = Some(signal_handler);
    plugin.configure = Some(configure);
    plugin.dump_stacks = Some(dump_stacks);
    plugin.on_starting = Some(on_starting);
    plugin.on_reload = Some(on_reload);
    plugin.when_ready = Some(when_ready);
    plugin.pre_fork = Some(pre_fork);
    plugin.child_exit = Some(child_exit);
    plugin.nworkers_changed = Some(nworkers_changed);
    plugin.pre_exec = Some(pre_exec);
    plugin.worker_int = Some(worker_int);
    plugin.worker_abort = Some(worker_abort);
    plugin.worker_exit = Some(worker_exit);
    plugin.on_exit = Some(on_exit);
    export::Exported(plugin)
};

#[cfg(test)]
mod tests {
    use super::looks_like_python;

    /// The host's functions that the code under test may reach; there is no host in a unit test.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn uwsgi_log_str(_text: *const std::ffi::c_char, _len: usize) {}
    #[unsafe(no_mangle)]
    unsafe extern "C" fn uwsgi_500(_req: *mut rsgi_plugin_api::abi::WsgiRequest) {}
    #[unsafe(no_mangle)]
    unsafe extern "C" fn uwsgi_exit(code: i32) -> ! {
        std::process::exit(code)
    }
    #[unsafe(no_mangle)]
    static uwsgi: [u64; 2048] = [0; 2048];
    #[unsafe(no_mangle)]
    unsafe extern "C" fn rsgi_default_option(
        _name: *const std::ffi::c_char,
        _value: *const std::ffi::c_char,
        _unless: *const std::ffi::c_char,
        _origin: *const std::ffi::c_char,
    ) -> i32 {
        -1
    }

    #[test]
    fn apps_of_other_languages_are_left_to_their_plugins() {
        for python in ["app.py", "/srv/x.wsgi", "pkg.mod", "mod:app", "mod:make()", "mod"] {
            assert!(looks_like_python(python.as_bytes()), "{python}");
        }
        for other in [
            "/srv/app.lua",
            "app.lua",
            "x.ws",
            "",
            "/srv/dir",
            "7x",
            ".hidden",
            "a b",
        ] {
            assert!(!looks_like_python(other.as_bytes()), "{other}");
        }
    }
}
