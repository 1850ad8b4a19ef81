//! The options of the Python plugin and what the user gave for them, in order, under canonical names. Setters run in
//! the master before `init`; the second stage gets the same list and reads the rest from it.

use crate::bridge::Setting;
use rsgi_plugin_api::{HookError, OptionRow, OptionTable};
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Mutex;

/// Given options: canonical name and value.
static GIVEN: Mutex<Vec<(&'static str, Option<OsString>)>> = Mutex::new(Vec::new());

/// Remembers one option.
pub fn add(name: &'static str, value: Option<&OsStr>) -> Result<(), HookError> {
    let mut given = GIVEN.lock().unwrap_or_else(|e| e.into_inner());
    given.push((name, value.map(OsStr::to_os_string)));
    Ok(())
}

/// `--py-master-check-signals`, which has nothing to do here, and says so.
fn in_vain(name: &'static str, value: Option<&OsStr>) -> Result<(), HookError> {
    rsgi_plugin_api::log::line(&format!(
        "--{name} has no effect: the master reads its Unix signals itself and no handler of Python runs there; \
         use uwsgi.register_signal() or the hooks of rsgidecorators"
    ));
    add(name, value)
}

/// So many bytes.
fn bytes(name: &'static str, value: Option<&OsStr>) -> Result<(), HookError> {
    match value.and_then(OsStr::to_str).map(str::parse::<u32>) {
        Some(Ok(1..)) => add(name, value),
        _ => Err(HookError::new(format!(
            "--{name} takes a number of bytes, not {:?}",
            value.unwrap_or_default()
        ))),
    }
}

/// Checks a number at the place where the user can still see which option it was.
fn level(name: &'static str, value: Option<&OsStr>) -> Result<(), HookError> {
    match value.and_then(OsStr::to_str).map(str::parse::<u8>) {
        Some(Ok(0..=2)) => add(name, value),
        _ => Err(HookError::new(format!(
            "--{name} takes 0, 1 or 2, not {:?}",
            value.unwrap_or_default()
        ))),
    }
}

/// A gunicorn configuration: its path does not depend on a later `chdir`; `python:module` stays as it is.
fn conf(name: &'static str, value: Option<&OsStr>) -> Result<(), HookError> {
    let given = value.unwrap_or_default();
    if given.as_bytes().starts_with(b"python:") {
        return add(name, value);
    }
    let path = std::path::absolute(given)
        .ok()
        .filter(|p| p.is_file())
        .ok_or_else(|| HookError::new(format!("--gunicorn-conf: there is no file {}", given.display())))?;
    add(name, Some(path.as_os_str()))
}

/// A number of seconds, 0 for never.
fn seconds(name: &'static str, value: Option<&OsStr>) -> Result<(), HookError> {
    match value.and_then(OsStr::to_str).map(str::parse::<u32>) {
        Some(Ok(_)) => add(name, value),
        _ => Err(HookError::new(format!(
            "--{name} takes a number of seconds, not {:?}",
            value.unwrap_or_default()
        ))),
    }
}

/// One of these words.
fn word(name: &'static str, value: Option<&OsStr>, words: [&str; 3]) -> Result<(), HookError> {
    match value.and_then(OsStr::to_str) {
        Some(given) if words.contains(&given) => add(name, value),
        _ => Err(HookError::new(format!(
            "--{name} takes {}, not {:?}",
            words.join(", "),
            value.unwrap_or_default()
        ))),
    }
}

/// How many requests at a time.
fn cores(name: &'static str, value: Option<&OsStr>) -> Result<(), HookError> {
    match value.and_then(OsStr::to_str).map(str::parse::<u16>) {
        Some(Ok(1..)) => add(name, value),
        _ => Err(HookError::new(format!(
            "--{name} takes a number of greenlets from 1 to 65535, not {:?}",
            value.unwrap_or_default()
        ))),
    }
}

fn event_loop(name: &'static str, value: Option<&OsStr>) -> Result<(), HookError> {
    word(name, value, ["auto", "asyncio", "uvloop"])
}

fn lifespan(name: &'static str, value: Option<&OsStr>) -> Result<(), HookError> {
    word(name, value, ["auto", "on", "off"])
}

/// The last value of an option.
pub fn last(name: &str) -> Option<OsString> {
    let given = GIVEN.lock().unwrap_or_else(|e| e.into_inner());
    let mut found = given.iter().rev().filter(|(n, _)| *n == name);
    found.next().and_then(|(_, v)| v.clone())
}

/// All values of an option, in order.
pub fn all(name: &str) -> Vec<OsString> {
    let given = GIVEN.lock().unwrap_or_else(|e| e.into_inner());
    let found = given.iter().filter(|(n, _)| *n == name);
    found.filter_map(|(_, v)| v.clone()).collect()
}

/// How many of the given options are among these.
pub fn count(names: &[&str]) -> usize {
    let given = GIVEN.lock().unwrap_or_else(|e| e.into_inner());
    given.iter().filter(|(n, _)| names.contains(n)).count()
}

/// Whether any option of this plugin was given at all.
pub fn any() -> bool {
    !GIVEN.lock().unwrap_or_else(|e| e.into_inner()).is_empty()
}

/// The list for the second stage; it lives for the rest of the process.
pub fn settings() -> &'static [Setting] {
    let given = GIVEN.lock().unwrap_or_else(|e| e.into_inner());
    let text = |bytes: Vec<u8>| CString::new(bytes).map_or(std::ptr::null(), |c| c.into_raw().cast_const());
    let list: Vec<Setting> = given
        .iter()
        .map(|(name, value)| Setting {
            key: text(name.as_bytes().to_vec()),
            value: value.as_ref().map_or(std::ptr::null(), |v| text(v.as_bytes().to_vec())),
        })
        .collect();
    list.leak()
}

/// A bare argument that names a Python file.
pub fn add_file(file: &[u8]) -> Result<(), HookError> {
    add("wsgi-file", Some(&OsString::from_vec(file.to_vec())))
}

macro_rules! rows {
    ($($kind:ident $name:literal = $canonical:literal $(short $letter:literal)? $(via $how:ident)? : $help:literal;)*) => {
        const ROWS: &[OptionRow] = &[$(
            OptionRow::$kind(
                // SAFETY: the literal ends with the NUL added here and has none inside.
                unsafe { std::ffi::CStr::from_bytes_with_nul_unchecked(concat!($name, "\0").as_bytes()) },
                // SAFETY: as above.
                unsafe { std::ffi::CStr::from_bytes_with_nul_unchecked(concat!($help, "\0").as_bytes()) },
                |value| rows!(@how $($how)?)($canonical, value),
            )$(.short($letter))?,
        )*];
    };
    (@how) => { add };
    (@how $how:ident) => { $how };
}

rows! {
    value "wsgi-file" = "wsgi-file": "load the application from a Python file";
    value "file" = "wsgi-file": "load the application from a Python file";
    value "module" = "module" short b'w': "load the application from a module, or module:callable";
    value "wsgi" = "module": "load the application from a module, or module:callable";
    value "asgi" = "asgi": "load an ASGI application from a module, or module:callable, and serve it on an event loop";
    value "asgi-loop" = "asgi-loop" via event_loop: "auto (uvloop if it is installed), asyncio or uvloop";
    value "asgi-lifespan" = "asgi-lifespan" via lifespan: "auto (applications may have none), on (they must) or off";
    value "gevent" = "gevent" via cores: "serve WSGI applications in so many greenlets of gevent per worker";
    flag "gevent-monkey-patch" = "gevent-monkey-patch": "let gevent patch the standard library in each worker";
    flag "gevent-early-monkey-patch" = "gevent-early-monkey-patch": "let gevent patch it before applications are loaded";
    value "asyncio" = "asyncio" via cores: "serve WSGI applications in so many greenlets per worker on an asyncio loop";
    flag "greenlet" = "greenlet": "greenlets for --asyncio; always so";
    value "callable" = "callable": "name of the application object (application when left out)";
    value "eval" = "eval": "run this Python code and take the application from it";
    value "virtualenv" = "virtualenv" short b'H': "use this virtualenv, or this Python installation";
    value "home" = "virtualenv": "use this virtualenv, or this Python installation";
    value "venv" = "virtualenv": "use this virtualenv, or this Python installation";
    value "pyhome" = "virtualenv": "use this virtualenv, or this Python installation";
    value "pythonpath" = "pythonpath": "put a directory (or the matches of a pattern) first on sys.path";
    value "python-path" = "pythonpath": "put a directory (or the matches of a pattern) first on sys.path";
    value "pp" = "pythonpath": "put a directory (or the matches of a pattern) first on sys.path";
    value "import" = "import": "import a module before the application, in the process that loads applications";
    value "pyimport" = "import": "import a module before the application, in the process that loads applications";
    value "py-import" = "import": "import a module before the application, in the process that loads applications";
    value "python-import" = "import": "import a module before the application, in the process that loads applications";
    value "shared-import" = "shared-import": "import a module once in the master, with lazy-apps too";
    value "shared-pyimport" = "shared-import": "import a module once in the master, with lazy-apps too";
    value "shared-py-import" = "shared-import": "import a module once in the master, with lazy-apps too";
    value "shared-python-import" = "shared-import": "import a module once in the master, with lazy-apps too";
    value "spooler-import" = "spooler-import": "import a module in the spooler";
    value "spooler-pyimport" = "spooler-import": "import a module in the spooler";
    value "spooler-py-import" = "spooler-import": "import a module in the spooler";
    value "spooler-python-import" = "spooler-import": "import a module in the spooler";
    value "pyargv" = "pyargv": "arguments for sys.argv, separated by blanks";
    value "optimize" = "optimize" short b'O' via level: "bytecode optimisation of the interpreter: 0, 1 or 2";
    value "py-executable" = "py-executable": "value of sys.executable";
    value "py-sys-executable" = "py-executable": "value of sys.executable";
    value "py-programname" = "py-programname": "interpreter path that sys.prefix is derived from";
    value "py-program-name" = "py-programname": "interpreter path that sys.prefix is derived from";
    value "python-worker-override" = "worker-override": "run this script in each worker in place of the request loop";
    value "pyrun" = "pyrun": "run a script with the uwsgi module at hand, and end";
    value "py" = "pyrun": "run a script with the uwsgi module at hand, and end";
    value "python" = "pyrun": "run a script with the uwsgi module at hand, and end";
    value "test" = "test": "import a module and end; the exit code tells whether it worked";
    value "wsgi-env-behaviour" = "wsgi-env-behaviour": "cheat or holy; a new environ is made for each request either way";
    value "wsgi-env-behavior" = "wsgi-env-behaviour": "cheat or holy; a new environ is made for each request either way";
    flag "wsgi-disable-file-wrapper" = "no-file-wrapper": "leave wsgi.file_wrapper out of the environ";
    flag "wsgi-accept-buffer" = "accept-buffer": "body parts may be bytearrays and memoryviews";
    flag "wsgi-accept-buffers" = "accept-buffer": "body parts may be bytearrays and memoryviews";
    flag "wsgi-strict" = "wsgi-strict": "stricter WSGI; always on";
    flag "wsgi-manage-chunked-input" = "chunked-input": "chunked bodies in wsgi.input; always on";
    flag "start_response-nodelay" = "nodelay": "send the head as soon as start_response is called";
    flag "py-call-osafterfork" = "fork-hooks": "tell Python about forks; always on";
    flag "py-call-uwsgi-fork-hooks" = "fork-hooks": "tell Python about forks; always on";
    flag "python-version" = "python-version": "the version of Python stands in the log";
    flag "no-site" = "no-site": "start Python without its site module";
    flag "early-python" = "early": "start Python before applications are loaded; always so";
    value "early-pyimport" = "shared-import": "import a module before all others";
    value "early-python-import" = "shared-import": "import a module before all others";
    value "early-pythonpath" = "pythonpath": "put a directory first on sys.path";
    value "early-python-path" = "pythonpath": "put a directory first on sys.path";
    value "py-autoreload" = "py-autoreload" via seconds: "watch the modules and reload when one changes";
    value "py-auto-reload" = "py-autoreload" via seconds: "watch the modules and reload when one changes";
    value "python-autoreload" = "py-autoreload" via seconds: "watch the modules and reload when one changes";
    value "python-auto-reload" = "py-autoreload" via seconds: "watch the modules and reload when one changes";
    value "py-auto-reload-ignore" = "py-autoreload-ignore": "a module that the watcher leaves alone";
    value "py-tracebacker" = "py-tracebacker": "where each thread of worker N is can be read at the unix socket VALUE followed by N";
    value "gunicorn-conf" = "gunicorn-conf" via conf: "run a gunicorn configuration file: its hooks, and its settings as defaults";
    value "paste" = "paste": "load a PasteDeploy application";
    value "ini-paste" = "paste": "load a PasteDeploy application from an INI file";
    value "ini-paste-logged" = "paste-logged": "the same, with the logging section of the file";
    flag "paste-logger" = "paste-logger": "take the logging section of the paste file";
    value "paste-name" = "paste-name": "section of the paste file";
    value "pecan" = "pecan": "load a Pecan application from its configuration file";
    value "python-raw" = "python-raw": "a Python file whose application(fd) serves the connections of --raw-socket";
    value "pymodule-alias" = "pymodule-alias": "name=module or name=file.py: import it and let it go by that name";
    value "post-pymodule-alias" = "post-pymodule-alias": "the same, after the modules of --import";
    value "py-sharedarea" = "py-sharedarea" via bytes: "a shared area of so many bytes";
    flag "py-master-check-signals" = "py-master-check-signals" via in_vain: "Python's signal handlers in the master; no effect";
    flag "reload-os-env" = "reload-os-env": "bring os.environ up to date before each request";
    optional "pyshell" = "pyshell": "an interactive Python on the terminal in worker 1, or this code";
    optional "pyshell-oneshot" = "pyshell-oneshot": "the same once; when it ends the worker serves";
}

/// The table that the host reads.
pub static TABLE: OptionTable<{ ROWS.len() + 1 }> = OptionTable::new(ROWS);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_keeps_order_and_canonical_names() {
        add("pythonpath", Some(OsStr::new("a"))).unwrap();
        add("pythonpath", Some(OsStr::new("b"))).unwrap();
        assert_eq!(last("pythonpath"), Some("b".into()));
        assert_eq!(count(&["pythonpath"]), 2);
        assert!(any());
        assert!(level("optimize", Some(OsStr::new("3"))).is_err());
        level("optimize", Some(OsStr::new("2"))).unwrap();
        let all = settings();
        // SAFETY: the list's keys are NUL-terminated and live for ever.
        let keys: Vec<_> = all.iter().map(|s| unsafe { std::ffi::CStr::from_ptr(s.key) }).collect();
        assert_eq!(keys, [c"pythonpath", c"pythonpath", c"optimize"]);
    }
}
