//! Loads applications and registers them with the host: those of the options, those of `--mount`, and modules that
//! are only imported. Runs in the master, with lazy-apps in each worker.

use crate::py::{self, Py, PyResult, Raised};
use crate::settings::{self, AppSource};
use crate::{asgi, exception, interpreter};
use pyo3_ffi::{PyList_GetItem, PyList_Size, PyTuple_GetItem};
use rsgi_plugin_api::{log, sys};
use std::ffi::{CStr, c_int};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The applications that the options name, and those that they put into `uwsgi.applications`.
pub fn load_configured() {
    let thresholds = interpreter::support(c"collect_rarely", &[]);
    for source in &settings::get().apps {
        load(b"", source);
    }
    if mount_table().is_err() {
        exception::print_current();
    }
    if thresholds
        .and_then(|before| interpreter::support(c"collect_as_before", &[&before]))
        .is_err()
    {
        exception::print_current();
    }
}

/// Whether the loaded applications were made ready to be shared.
static FROZEN: AtomicBool = AtomicBool::new(false);

/// Before a fork: once there are applications, their memory is prepared to be shared by the workers.
pub fn share() {
    // SAFETY: the host's counter of this process.
    let loaded = unsafe { *sys::uwsgi_apps_cnt_of_process() } > 0;
    if loaded && !FROZEN.swap(true, Ordering::Relaxed) && interpreter::support(c"freeze", &[]).is_err() {
        py::clear();
    }
}

/// Registers what an application's module has put into `uwsgi.applications`.
fn mount_table() -> PyResult<()> {
    let begin = Instant::now();
    let found = interpreter::support(c"mounted_by_app", &[])?;
    // SAFETY: a list of pairs, both made by `mounted_by_app`; items are borrowed and shared at once.
    let pairs = unsafe {
        (0..PyList_Size(found.as_ptr()))
            .map(|i| {
                let pair = PyList_GetItem(found.as_ptr(), i);
                Ok((
                    Py::borrowed(PyTuple_GetItem(pair, 0))?,
                    Py::borrowed(PyTuple_GetItem(pair, 1))?,
                ))
            })
            .collect::<PyResult<Vec<_>>>()?
    };
    for (mountpoint, callable) in pairs {
        announce(&py::text_bytes(&mountpoint)?, callable, begin);
    }
    Ok(())
}

/// `--mount`: what `app` is, by its spelling.
pub fn mount(mountpoint: &[u8], app: &[u8]) -> c_int {
    let source = if app.ends_with(b".py") || app.ends_with(b".wsgi") {
        AppSource::File(app.to_vec())
    } else {
        AppSource::Module(app.to_vec())
    };
    load(mountpoint, &source)
}

/// Imports modules (`--import` and its kin); one that fails is shown, and the server goes on. Whether all worked.
pub fn import(modules: &[Vec<u8>]) -> bool {
    let mut fine = true;
    for name in modules {
        let done = py::path(name).and_then(|n| interpreter::support(c"import_by_name", &[&n]));
        if done.is_err() {
            let name = String::from_utf8_lossy(name);
            exception::explain_current(&name);
            log::line(&format!("unable to import {name}"));
            fine = false;
        }
    }
    fine
}

/// `--pymodule-alias`: second names of modules.
pub fn alias(specs: &[Vec<u8>]) {
    for spec in specs {
        let done = py::path(spec).and_then(|s| interpreter::support(c"alias_module", &[&s]));
        if done.is_err() {
            exception::explain_current("");
        }
    }
}

/// Why there is no application, when Python raised nothing.
enum Missing {
    /// An exception is set.
    Raised,
    /// A line that says it.
    Said(String),
}

impl From<Raised> for Missing {
    fn from(_: Raised) -> Self {
        Missing::Raised
    }
}

/// Loads one application; its id, or -1.
fn load(mountpoint: &[u8], source: &AppSource) -> c_int {
    let begin = Instant::now();
    // SAFETY: the host's counter of this process.
    let id = unsafe { *sys::uwsgi_apps_cnt_of_process() };
    let mount_text = String::from_utf8_lossy(mountpoint);
    let callable = match find(source) {
        Ok(callable) => callable,
        Err(missing) => {
            match missing {
                Missing::Raised => exception::explain_current(&wanted(source)),
                Missing::Said(line) => log::line(&line),
            }
            log::line(&format!(
                "unable to load app {id} (mountpoint='{mount_text}') (callable not found or import error)"
            ));
            return -1;
        }
    };
    announce(mountpoint, callable, begin)
}

/// Registers an application and says so; its id, or -1.
fn announce(mountpoint: &[u8], callable: Py, begin: Instant) -> c_int {
    // SAFETY: the host's counter of this process.
    let id = unsafe { *sys::uwsgi_apps_cnt_of_process() };
    let is_asgi = asgi::is_asgi(&callable);
    match register(id, mountpoint, callable, begin) {
        Ok(is_default) => {
            if is_asgi {
                // SAFETY: a text that lives for ever; the field is a plugin's to write.
                unsafe { sys::uwsgi.r#loop = c"asyncio".as_ptr().cast_mut() };
            }
            let kind = if is_asgi { "ASGI" } else { "WSGI" };
            log::line(&format!(
                "{kind} app {id} (mountpoint='{}') ready in {} seconds on interpreter {:?} pid: {}{}",
                String::from_utf8_lossy(mountpoint),
                begin.elapsed().as_secs(),
                interpreter::main(),
                std::process::id(),
                if is_default { " (default app)" } else { "" }
            ));
            // SAFETY: plain reads of the published view.
            if id == 1 && unsafe { sys::uwsgi.single_interpreter == 0 && sys::uwsgi.mywid <= 1 } {
                log::line(
                    "Python applications share one interpreter here, also without single-interpreter: two that need \
                     modules of the same name run in instances of their own (--emperor, or one more rsgi)",
                );
            }
            id
        }
        Err(line) => {
            log::line(&line);
            -1
        }
    }
}

/// The module that the user named, for the hint about a failed import.
fn wanted(source: &AppSource) -> String {
    match source {
        AppSource::Module(spec) | AppSource::Asgi(spec) => {
            let name = spec.split(|b| *b == b':').next().unwrap_or_default();
            String::from_utf8_lossy(name).into_owned()
        }
        _ => String::new(),
    }
}

/// Loads the module and finds the callable in it.
fn find(source: &AppSource) -> Result<Py, Missing> {
    let settings = settings::get();
    let default = settings.callable.clone().unwrap_or_else(|| b"application".to_vec());
    let (module, callable, place) = match source {
        AppSource::File(path) => {
            let module = interpreter::support(c"load_file", &[&py::path(path)?]);
            if module.is_err() {
                log::line(&format!("failed to open python file {}", String::from_utf8_lossy(path)));
            }
            (module?, default, format!("file {}", String::from_utf8_lossy(path)))
        }
        AppSource::Module(spec) | AppSource::Asgi(spec) => {
            let mut parts = spec.splitn(2, |b| *b == b':');
            let name = parts.next().unwrap_or_default();
            let callable = parts.next().map_or(default, <[u8]>::to_vec);
            let module = interpreter::support(c"load_module", &[&py::path(name)?])?;
            (module, callable, format!("module {}", String::from_utf8_lossy(name)))
        }
        AppSource::Code(code) => (
            interpreter::support(c"load_eval", &[&py::path(code)?])?,
            default,
            "the code of --eval".to_owned(),
        ),
        AppSource::Pecan(path) => return Ok(interpreter::support(c"load_pecan", &[&py::path(path)?])?),
        AppSource::Paste(path, logged) => {
            let name = settings
                .paste_name
                .as_deref()
                .map_or_else(|| Ok(py::none()), py::path)?;
            let logged = py::boolean(*logged || settings.paste_logger);
            return Ok(interpreter::support(
                c"load_paste",
                &[&py::path(path)?, &name, &logged],
            )?);
        }
    };
    let found = interpreter::support(c"find_callable", &[&module, &py::path(&callable)?])?;
    let callable = String::from_utf8_lossy(&callable);
    if found.is_none() {
        let other = (callable == "application").then(|| module.attr_opt(c"app")).flatten();
        let fix = if other.is_some() {
            " (it has \"app\": add --callable app)"
        } else {
            ""
        };
        return Err(Missing::Said(format!(
            "unable to find \"{callable}\" callable in {place}{fix}"
        )));
    }
    // SAFETY: a live object.
    if unsafe { pyo3_ffi::PyCallable_Check(found.as_ptr()) } == 0 {
        return Err(Missing::Said(format!(
            "\"{callable}\" of {place} is not callable: an application is a function or an object with __call__"
        )));
    }
    if let AppSource::Asgi(_) = source {
        asgi::name(&found);
    }
    Ok(found)
}

/// Tells the host about it; whether it became the default app.
fn register(id: c_int, mountpoint: &[u8], callable: Py, begin: Instant) -> Result<bool, String> {
    let Ok(len) = c_int::try_from(mountpoint.len()) else {
        return Err("the mountpoint is too long".to_owned());
    };
    // SAFETY: single-threaded while apps are loaded; the host copies the mountpoint; the record and its reference to
    // the callable live as long as the process.
    unsafe {
        let app = sys::uwsgi_add_app(
            id,
            0,
            mountpoint.as_ptr().cast_mut().cast(),
            len,
            interpreter::main().cast(),
            callable.into_ptr().cast(),
        );
        let Some(app) = app.as_mut() else {
            return Err(format!("app {id} does not fit into the table: raise --max-apps"));
        };
        app.startup_time = begin.elapsed().as_secs() as libc::time_t;
        sys::uwsgi_emulate_cow_for_apps(id);
        Ok(sys::uwsgi.default_app == id)
    }
}

/// Calls `uwsgi.<name>()` if the application put a callable there; an exception is printed.
pub fn call_module_hook(name: &CStr) {
    let called: PyResult<()> = interpreter::import(c"uwsgi").and_then(|module| {
        let Some(hook) = module.attr_opt(name).filter(|h| !h.is_none()) else {
            return Ok(());
        };
        hook.call(&[]).map(drop)
    });
    if called.is_err() {
        exception::print_current();
    }
}
