//! Opens libpython for everybody in this process to see, then the abi3 core privately, and keeps the core's table of
//! hooks. Runs in the process that needs Python first: mostly the master, in `init`.

use crate::bridge::{Hooks, SYMBOL, Start, StartFn, VERSION};
use crate::carried;
use crate::discover::{self, Interpreter, User};
use crate::options;
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};
use rsgi_plugin_api::{HookError, log, sys};
use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

static HOOKS: OnceLock<Option<&'static Hooks>> = OnceLock::new();

/// The core's hooks, if Python was started.
#[inline]
pub fn hooks() -> Option<&'static Hooks> {
    *HOOKS.get()?
}

/// The core's hooks; starts Python at the first call. `None`: it cannot be started, said in the log once.
pub fn start() -> Option<&'static Hooks> {
    *HOOKS.get_or_init(|| match open() {
        Ok(hooks) => Some(hooks),
        Err(error) => {
            log::line(&format!("python: {error}"));
            None
        }
    })
}

fn open() -> Result<&'static Hooks, HookError> {
    let python = choose()?;
    open_library(&python.library, RTLD_NOW | RTLD_GLOBAL).map_err(|e| {
        HookError::new(format!(
            "cannot open {} of Python {}: {e}; reinstall that Python, or name another one with --virtualenv",
            python.library.display(),
            python.version
        ))
    })?;
    let core = open_core()?;
    // SAFETY: the symbol, if there, is the function of that type: both files are checked for one VERSION below.
    let start = unsafe { core.get::<StartFn>(SYMBOL.to_bytes_with_nul()) }.map_err(|e| {
        HookError::new(format!(
            "{e}: python_plugin.so and python_abi3.so are of different builds"
        ))
    })?;
    let program = options::last("py-programname").map_or(python.program, PathBuf::from);
    let program = CString::new(program.as_os_str().as_bytes())
        .map_err(|_| HookError::new("the path of Python has a NUL inside"))?;
    let settings = options::settings();
    let table = {
        let arguments = Start {
            version: VERSION,
            program: program.into_raw(),
            settings: settings.as_ptr(),
            settings_len: settings.len(),
        };
        // SAFETY: the core reads the struct during the call; program and settings live for ever.
        unsafe { start(&arguments) }
    };
    std::mem::forget(core); // never unmapped: Python holds pointers into it
    // SAFETY: NULL or a constant of the core.
    match unsafe { table.as_ref() } {
        Some(hooks) if hooks.version == VERSION => Ok(hooks),
        Some(_) => Err(HookError::new(
            "python_plugin.so and python_abi3.so are of different builds: reinstall them together",
        )),
        None => Err(HookError::new(format!(
            "Python {} could not be started",
            python.version
        ))),
    }
}

/// The Python that the options, or else PATH, name.
fn choose() -> Result<Interpreter, HookError> {
    let failed = |e: discover::PythonError| HookError::new(e.to_string());
    if let Some(home) = options::last("virtualenv") {
        return discover::in_home(Path::new(&home), user()).map_err(failed);
    }
    if let Some(home) = own_virtualenv() {
        return discover::in_home(&home, user()).map_err(failed);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let (found, refused) = discover::on_path(&path, user()).map_err(failed)?;
    for error in refused {
        log::line(&format!("python: {error}; using {} instead", found.program.display()));
    }
    Ok(found)
}

/// The virtualenv that the server itself is installed in, as by pip: it need not be activated.
fn own_virtualenv() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let home = program.parent()?.parent()?;
    home.join("pyvenv.cfg").is_file().then(|| home.to_path_buf())
}

/// The user of `--uid` and `--gid`, when root starts the server for somebody else.
fn user() -> Option<User> {
    // SAFETY: cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return None;
    }
    let (uid, group) = match option(c"uid")?.to_str().ok()?.parse::<u32>() {
        Ok(uid) => (uid, None),
        // SAFETY: a NUL-terminated name; the record is read before anybody can ask for another one.
        Err(_) => unsafe { libc::getpwnam(option(c"uid")?.as_ptr()).as_ref() }.map(|p| (p.pw_uid, Some(p.pw_gid)))?,
    };
    let gid = option(c"gid").and_then(|name| match name.to_str().ok()?.parse::<u32>() {
        Ok(gid) => Some(gid),
        // SAFETY: as above.
        Err(_) => unsafe { libc::getgrnam(name.as_ptr()).as_ref() }.map(|g| g.gr_gid),
    });
    Some(User {
        uid,
        gid: gid.or(group).unwrap_or(uid),
    })
}

/// The last value of an option of the host, as `uwsgi.opt` would show it.
fn option(name: &CStr) -> Option<&'static CStr> {
    // SAFETY: the host's array of so many rows, whose texts live as long as the process.
    unsafe {
        let (rows, count) = (sys::uwsgi.exported_opts, sys::uwsgi.exported_opts_cnt.max(0) as usize);
        let row = (0..count)
            .rev()
            .map(|i| &**rows.add(i))
            .find(|row| !row.key.is_null() && !row.value.is_null() && CStr::from_ptr(row.key) == name)?;
        Some(CStr::from_ptr(row.value))
    }
}

fn open_library(file: &Path, flags: std::ffi::c_int) -> Result<(), libloading::Error> {
    // SAFETY: a libpython's constructors have no preconditions; it stays open for ever.
    let library = unsafe { Library::open(Some(file), flags) }?;
    std::mem::forget(library);
    Ok(())
}

/// The abi3 core lies in this very file, or beside it.
fn open_core() -> Result<Library, HookError> {
    let own = own_file().unwrap_or_default();
    let carried = carried::second_stage(&own)
        .map_err(|e| HookError::new(format!("cannot take python_abi3.so out of {}: {e}", own.display())))?;
    let file = carried.map_or_else(|| beside(&own), Ok)?;
    // SAFETY: our own second stage; its constructors do nothing.
    unsafe { Library::open(Some(&file), RTLD_NOW | RTLD_LOCAL) }
        .map_err(|e| HookError::new(format!("cannot open {}: {e}", file.display())))
}

fn beside(own: &Path) -> Result<PathBuf, HookError> {
    let own = own.canonicalize().unwrap_or_else(|_| own.to_path_buf());
    let folder = own.parent().unwrap_or(Path::new(""));
    let names = ["libpython_abi3.so", "python_abi3.so"];
    let found = names.iter().map(|n| folder.join(n)).find(|f| f.is_file());
    found.ok_or_else(|| {
        HookError::new(format!(
            "python_abi3.so is not in {}: install it beside python_plugin.so",
            folder.display()
        ))
    })
}

/// The file this shared object was loaded from.
fn own_file() -> Option<PathBuf> {
    // SAFETY: all-zero is a valid Dl_info.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: any address inside this object will do; `info` is filled when the result is not 0.
    if unsafe { libc::dladdr(own_file as *const libc::c_void, &mut info) } == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: a NUL-terminated name that the dynamic linker owns.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    Some(OsStr::from_bytes(name.to_bytes()).into())
}
