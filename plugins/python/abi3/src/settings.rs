//! The options as stage one handed them over, typed. Written once at the start, read everywhere.

use crate::bridge::{Setting, Start};
use std::ffi::CStr;
use std::sync::OnceLock;

/// What names the application(s) of the options.
#[derive(Debug, Clone)]
pub enum AppSource {
    /// `--wsgi-file`
    File(Vec<u8>),
    /// `--module`, with an optional `:callable`
    Module(Vec<u8>),
    /// `--asgi`: the same, and it is an ASGI application
    Asgi(Vec<u8>),
    /// `--eval`
    Code(Vec<u8>),
    /// `--pecan`
    Pecan(Vec<u8>),
    /// `--paste`; the flag: with its logging section
    Paste(Vec<u8>, bool),
}

/// All options.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Settings {
    pub program: Vec<u8>,
    pub apps: Vec<AppSource>,
    pub callable: Option<Vec<u8>>,
    pub pythonpath: Vec<Vec<u8>>,
    pub imports: Vec<Vec<u8>>,
    pub shared_imports: Vec<Vec<u8>>,
    pub spooler_imports: Vec<Vec<u8>>,
    pub argv: Vec<u8>,
    pub optimize: u8,
    pub executable: Option<Vec<u8>>,
    pub worker_override: Option<Vec<u8>>,
    pub run: Option<Vec<u8>>,
    pub paste_name: Option<Vec<u8>>,
    pub paste_logger: bool,
    pub file_wrapper: bool,
    pub accept_buffer: bool,
    pub no_site: bool,
    pub nodelay: bool,
    pub tracebacker: Option<Vec<u8>>,
    pub aliases: Vec<Vec<u8>>,
    pub late_aliases: Vec<Vec<u8>>,
    pub test: Option<Vec<u8>>,
    pub gunicorn_conf: Option<Vec<u8>>,
    pub asgi_loop: Option<Vec<u8>>,
    /// `--gevent` or `--asyncio`.
    pub engine: Option<&'static str>,
    pub monkey_patch: bool,
    pub early_monkey_patch: bool,
    pub asgi_lifespan: Option<Vec<u8>>,
    /// The file of `--python-raw`.
    pub raw: Option<Vec<u8>>,
    pub shared_areas: bool,
    pub reload_environ: bool,
    /// `--pyshell`: what to run, empty for a shell; whether only once.
    pub shell: Option<(Vec<u8>, bool)>,
    pub autoreload: u32,
    pub autoreload_ignore: Vec<Vec<u8>>,
}

static SETTINGS: OnceLock<Settings> = OnceLock::new();

/// The options; defaults before the start.
pub fn get() -> &'static Settings {
    SETTINGS.get_or_init(Settings::default)
}

/// Keeps what stage one sent.
///
/// # Safety
/// `start` is stage one's struct: its pointers are valid and NUL-terminated.
pub unsafe fn keep(start: &Start) {
    // SAFETY: by the contract.
    let (program, list) = unsafe {
        (
            CStr::from_ptr(start.program),
            std::slice::from_raw_parts(start.settings, start.settings_len),
        )
    };
    let mut s = Settings {
        program: program.to_bytes().to_vec(),
        file_wrapper: true,
        ..Settings::default()
    };
    for setting in list {
        // SAFETY: by the contract.
        unsafe { s.apply(setting) };
    }
    let _ = SETTINGS.set(s);
}

impl Settings {
    /// # Safety
    /// The row's key is NUL-terminated, its value is so or NULL.
    unsafe fn apply(&mut self, row: &Setting) {
        // SAFETY: by the contract.
        let (key, value) = unsafe {
            let value = (!row.value.is_null()).then(|| CStr::from_ptr(row.value).to_bytes().to_vec());
            (CStr::from_ptr(row.key).to_bytes(), value.unwrap_or_default())
        };
        match key {
            b"wsgi-file" => self.apps.push(AppSource::File(value)),
            b"module" => self.apps.push(AppSource::Module(value)),
            b"asgi" => self.apps.push(AppSource::Asgi(value)),
            b"gevent" => self.engine = Some("gevent"),
            b"asyncio" => self.engine = Some("asyncio"),
            b"gevent-monkey-patch" => self.monkey_patch = true,
            b"gevent-early-monkey-patch" => self.early_monkey_patch = true,
            b"asgi-loop" => self.asgi_loop = Some(value),
            b"asgi-lifespan" => self.asgi_lifespan = Some(value),
            b"pecan" => self.apps.push(AppSource::Pecan(value)),
            b"python-raw" => self.raw = Some(value),
            b"py-sharedarea" => self.shared_areas = true,
            b"reload-os-env" => self.reload_environ = true,
            b"pyshell" => self.shell = Some((value, false)),
            b"pyshell-oneshot" => self.shell = Some((value, true)),
            b"eval" => self.apps.push(AppSource::Code(value)),
            b"paste" => self.apps.push(AppSource::Paste(value, false)),
            b"paste-logged" => self.apps.push(AppSource::Paste(value, true)),
            b"paste-name" => self.paste_name = Some(value),
            b"paste-logger" => self.paste_logger = true,
            b"callable" => self.callable = Some(value),
            b"pythonpath" => self.pythonpath.push(value),
            b"import" => self.imports.push(value),
            b"shared-import" => self.shared_imports.push(value),
            b"spooler-import" => self.spooler_imports.push(value),
            b"pyargv" => self.argv = value,
            b"optimize" => self.optimize = value.first().map_or(0, |b| b.saturating_sub(b'0')),
            b"py-executable" => self.executable = Some(value),
            b"worker-override" => self.worker_override = Some(value),
            b"pyrun" => self.run = Some(value),
            b"no-file-wrapper" => self.file_wrapper = false,
            b"accept-buffer" => self.accept_buffer = true,
            b"no-site" => self.no_site = true,
            b"nodelay" => self.nodelay = true,
            b"py-tracebacker" => self.tracebacker = Some(value),
            b"pymodule-alias" => self.aliases.push(value),
            b"post-pymodule-alias" => self.late_aliases.push(value),
            b"gunicorn-conf" => self.gunicorn_conf = Some(value),
            b"test" => self.test = Some(value),
            b"py-autoreload" => self.autoreload = String::from_utf8_lossy(&value).parse().unwrap_or(0),
            b"py-autoreload-ignore" => self.autoreload_ignore.push(value),
            _ => {} // accepted by stage one, nothing to do here
        }
    }
}
