//! `python_abi3.so`, stage two of the Python plugin: one stable-ABI binary for CPython 3.9 and later. It runs the
//! interpreter, the applications and the `uwsgi` module; stage one opens it after the right libpython and calls the
//! functions of the table below from the plugin hooks of the same names.

mod app;
mod asgi;
mod autoreload;
// half of it is for the other side
#[allow(dead_code)]
#[path = "../../src/bridge.rs"]
mod bridge;
mod environ;
mod exception;
mod exchange;
mod file_wrapper;
mod gil;
mod green;
mod input;
mod interpreter;
mod lifecycle;
mod logger;
mod module;
mod py;
mod raw;
mod request;
mod response;
mod settings;
mod shell;
mod surroundings;
mod waiting;

use bridge::{ExceptionText, Hooks, Start, VERSION};
use py::Py;
use rsgi_plugin_api::abi::{UwsgiBuffer, WsgiRequest};
use rsgi_plugin_api::{HookError, guard, log};
use std::ffi::{CStr, c_char, c_int, c_void};

static HOOKS: Hooks = Hooks {
    version: VERSION,
    run_script,
    post_init,
    preinit_apps,
    init_apps,
    mount_app,
    post_fork,
    init_thread,
    request,
    worker,
    spooler_init,
    mule,
    mule_msg,
    spooler,
    pre_fork,
    after_fork,
    atexit,
    exception_text,
    gunicorn_settings: lifecycle::gunicorn_settings,
    moment: lifecycle::moment,
    dump_stacks: lifecycle::dump_stacks,
    worker_int: lifecycle::worker_int,
    worker_abort: lifecycle::worker_abort,
    signal_handler,
    exception_log,
    rpc,
    log_line: logger::log_line,
};

/// Starts Python with the options of stage one; the table of hooks, or NULL when Python refused (said in the log).
///
/// # Safety
/// `start` is stage one's struct, whose strings live as long as the process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_python_start(start: *const Start) -> *const Hooks {
    guarded("start", std::ptr::null(), || {
        // SAFETY: by the contract.
        unsafe {
            if (*start).version != VERSION {
                log::line("python_plugin.so and python_abi3.so are of different builds: reinstall them together");
                return std::ptr::null();
            }
            settings::keep(&*start);
        }
        if interpreter::start() { &HOOKS } else { std::ptr::null() }
    })
}

fn guarded<T>(name: &str, failed: T, body: impl FnOnce() -> T) -> T {
    guard::hook("python", name, failed, || Ok::<T, HookError>(body()))
}

unsafe extern "C" fn run_script() -> c_int {
    guarded("pyrun", 1, || {
        if let Some(name) = &settings::get().test {
            return gil::with(|| c_int::from(!app::import(std::slice::from_ref(name))));
        }
        let Some(script) = &settings::get().run else {
            return -1;
        };
        gil::with(|| {
            module::refresh();
            let code = run_main(c"run_main", script);
            finish();
            code
        })
    })
}

/// Runs a script as `__main__` through a function of `support.py`; its exit code.
fn run_main(how: &CStr, script: &[u8]) -> c_int {
    let code = py::path(script).and_then(|path| {
        let code = interpreter::support(how, &[&path])?;
        // SAFETY: a live object.
        Ok(unsafe { pyo3_ffi::PyLong_AsLong(code.as_ptr()) } as c_int)
    });
    code.unwrap_or_else(|_| {
        exception::print_current();
        1
    })
}

unsafe extern "C" fn post_init() {
    guarded("post_init", (), || {
        gil::with(|| {
            module::refresh();
            if !lifecycle::load_gunicorn_conf() {
                // SAFETY: an orderly end of the start; nothing was forked yet.
                unsafe { rsgi_plugin_api::sys::uwsgi_exit(1) }
            }
            app::import(&settings::get().shared_imports);
        })
    });
}

unsafe extern "C" fn preinit_apps() {
    guarded("preinit_apps", (), || {
        gil::with(|| {
            module::refresh();
            green::patch_early();
        })
    });
}

unsafe extern "C" fn init_apps() {
    guarded("init_apps", (), || {
        gil::with(|| {
            let settings = settings::get();
            app::alias(&settings.aliases);
            app::import(&settings.imports);
            app::alias(&settings.late_aliases);
            app::load_configured();
            raw::load();
        })
    });
}

unsafe extern "C" fn mount_app(mountpoint: *const c_char, app: *const c_char) -> c_int {
    guarded("mount_app", -1, || {
        // SAFETY: the host passes two strings that live as long as the process.
        let (mountpoint, app) = unsafe { (CStr::from_ptr(mountpoint), CStr::from_ptr(app)) };
        gil::with(|| {
            module::refresh();
            app::mount(mountpoint.to_bytes(), app.to_bytes())
        })
    })
}

unsafe extern "C" fn post_fork() {
    guarded("post_fork", (), || {
        gil::with(|| {
            module::refresh();
            lifecycle::post_fork();
            app::call_module_hook(c"post_fork_hook");
            if module::start_helpers().is_err() {
                exception::print_current();
            }
        })
    });
}

unsafe extern "C" fn init_thread(_core: c_int) {
    // makes this thread's state now, not inside the first request
    guarded("init_thread", (), || gil::with(|| ()));
}

unsafe extern "C" fn request(req: *mut WsgiRequest) -> c_int {
    guarded("request", -1, || request::serve(req))
}

unsafe extern "C" fn signal_handler(signal: u8, handler: *mut c_void) -> c_int {
    guarded("signal_handler", -1, || module::signal::handle(signal, handler))
}

unsafe extern "C" fn rpc(
    function: *mut c_void,
    argc: u8,
    argv: *mut *mut c_char,
    argvs: *mut u16,
    response: *mut *mut c_char,
) -> u64 {
    guarded("rpc", 0, || {
        // SAFETY: the host passes what was registered and that many arguments with their lengths.
        unsafe { module::rpc::answer(function, argc, argv, argvs, response) }
    })
}

unsafe extern "C" fn worker() -> c_int {
    guarded("worker", 1, || {
        if shell::has_ended() {
            return 1;
        }
        let Some(script) = &settings::get().worker_override else {
            return gil::with(event_loop);
        };
        gil::with(|| {
            lifecycle::worker_init();
            run_main(c"run_override", script)
        });
        1
    })
}

/// The worker's loop, if its applications or the options want one of Python's: 1 when it has ended.
fn event_loop() -> c_int {
    if let Some(engine) = settings::get().engine {
        if asgi::is_wanted() {
            log::line(&format!(
                "--{engine} is for WSGI applications, and one of these is ASGI: leave the option out"
            ));
            // SAFETY: an orderly end of this worker, in its main thread.
            unsafe { rsgi_plugin_api::sys::uwsgi_exit(asgi::CANNOT_BEGIN) }
        }
        lifecycle::worker_init();
        green::run(engine);
    } else if asgi::is_wanted() {
        lifecycle::worker_init();
        asgi::run();
    } else {
        return 0;
    }
    1
}

unsafe extern "C" fn spooler_init() {
    guarded("spooler_init", (), || {
        gil::with(|| app::import(&settings::get().spooler_imports));
    });
}

unsafe extern "C" fn mule(script: *const c_char) -> c_int {
    guarded("mule", 0, || {
        // SAFETY: the host passes a NUL-terminated string.
        let script = unsafe { CStr::from_ptr(script) };
        gil::with(|| {
            let ran = py::path(script.to_bytes()).and_then(|s| interpreter::support(c"run_mule", &[&s]));
            if ran.is_err() {
                exception::print_current();
            }
            1
        })
    })
}

unsafe extern "C" fn spooler(
    name: *const c_char,
    packet: *const c_char,
    len: u16,
    body: *const c_char,
    body_len: usize,
) -> c_int {
    guarded("spooler", -1, || {
        let bytes = |at: *const c_char, len: usize| match at.is_null() || len == 0 {
            true => &[][..],
            // SAFETY: the host passes so many bytes, which live during the call.
            false => unsafe { std::slice::from_raw_parts(at.cast::<u8>(), len) },
        };
        // SAFETY: the host passes a NUL-terminated name.
        let name = unsafe { CStr::from_ptr(name) };
        gil::with(|| module::spool_task(name, bytes(packet, len.into()), bytes(body, body_len)))
    })
}

unsafe extern "C" fn mule_msg(message: *const c_char, len: usize) -> c_int {
    guarded("mule_msg", 0, || {
        let message = match message.is_null() {
            true => &[][..],
            // SAFETY: the host passes so many bytes, which live during the call.
            false => unsafe { std::slice::from_raw_parts(message.cast(), len) },
        };
        gil::with(|| c_int::from(module::mule_msg(message)))
    })
}

unsafe extern "C" fn pre_fork() {
    guarded("pre_uwsgi_fork", (), || {
        gil::enter();
        app::share();
        // SAFETY: the GIL is held, as Python's fork protocol wants it.
        unsafe { pyo3_ffi::PyOS_BeforeFork() }
    });
}

unsafe extern "C" fn after_fork(step: c_int) {
    guarded("post_uwsgi_fork", (), || {
        // SAFETY: the GIL is held since `pre_fork`; the child has only this thread.
        unsafe {
            if step == 0 {
                pyo3_ffi::PyOS_AfterFork_Parent();
            } else {
                pyo3_ffi::PyOS_AfterFork_Child();
                environ::forget();
            }
        }
        gil::leave();
    });
}

unsafe extern "C" fn atexit() {
    guarded("atexit", (), || {
        gil::with(|| {
            app::call_module_hook(c"atexit");
            finish();
        })
    });
}

/// What a normal Python runs at its end; threads are not waited for.
fn finish() {
    if interpreter::support(c"finish", &[]).map(Py::into_ptr).is_err() {
        exception::print_current();
    }
}

unsafe extern "C" fn exception_text(which: ExceptionText) -> *mut UwsgiBuffer {
    guarded("exception", std::ptr::null_mut(), || exception::text_for_host(which))
}

unsafe extern "C" fn exception_log() {
    guarded("exception_log", (), exception::print_for_host);
}
