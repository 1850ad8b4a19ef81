//! librsgi: the server inside of another program, under the names of uWSGI built as a shared library. Beside the three
//! functions here it shows the C API (`core/exports.txt`), so that plugins find it as in `rsgi`.

use rsgi_core::process;
use rsgi_core::program::{self, Program};
use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Mutex, PoisonError};

/// What `uwsgi_setup` has left for `uwsgi_run`, then the exit code of that.
static PROGRAM: Mutex<Option<Program>> = Mutex::new(None);

/// Reads the configuration. `argv` begins with a name; `envp` may be NULL: then the program's environment counts.
///
/// # Safety
/// `argc` texts at `argv`, a list with NULL at its end at `envp`. No other thread runs yet: the server forks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_setup(argc: c_int, argv: *mut *mut c_char, envp: *mut *mut c_char) {
    show_symbols();
    let count = usize::try_from(argc).unwrap_or(0);
    // SAFETY: by the contract.
    let arguments: Vec<OsString> = (0..count).map(|n| unsafe { text(*argv.add(n)) }).collect();
    let program = if envp.is_null() {
        program::set_up(arguments, std::env::vars_os())
    } else {
        // SAFETY: by the contract.
        let all = unsafe { variables(envp) };
        program::set_up(arguments, all.into_iter())
    };
    *PROGRAM.lock().unwrap_or_else(PoisonError::into_inner) = Some(program);
}

/// Serves to the end of the server: its exit code. The processes that the server makes end inside. Called again, it says
/// the same once more; a program has one server.
#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_run() -> c_int {
    let caller = std::process::id();
    let taken = PROGRAM.lock().unwrap_or_else(PoisonError::into_inner).take();
    let code = match taken {
        Some(Program::Serve(settings)) => {
            let code = program::run(*settings);
            if std::process::id() != caller || process::role() == process::Role::Trial {
                process::exit(code);
            }
            process::finish(code);
            code
        }
        Some(Program::Over(code)) => code,
        None => 1,
    };
    *PROGRAM.lock().unwrap_or_else(PoisonError::into_inner) = Some(Program::Over(code));
    code
}

/// [`uwsgi_setup`], then [`uwsgi_run`].
///
/// # Safety
/// As [`uwsgi_setup`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_init(argc: c_int, argv: *mut *mut c_char, envp: *mut *mut c_char) -> c_int {
    // SAFETY: the same contract.
    unsafe { uwsgi_setup(argc, argv, envp) };
    uwsgi_run()
}

/// # Safety
/// NULL or a text.
unsafe fn text(p: *const c_char) -> OsString {
    if p.is_null() {
        return OsString::new();
    }
    // SAFETY: by the contract.
    OsStr::from_bytes(unsafe { CStr::from_ptr(p) }.to_bytes()).to_owned()
}

/// # Safety
/// A list of texts with NULL at its end.
unsafe fn variables(envp: *mut *mut c_char) -> Vec<(OsString, OsString)> {
    let mut all = Vec::new();
    let mut next = envp;
    // SAFETY: by the contract.
    while let Some(variable) = unsafe { next.read().as_ref() } {
        // SAFETY: by the contract.
        let variable = unsafe { text(variable) };
        let bytes = variable.as_bytes();
        if let Some(at) = bytes.iter().position(|b| *b == b'=') {
            all.push((
                OsStr::from_bytes(&bytes[..at]).to_owned(),
                OsStr::from_bytes(&bytes[at + 1..]).to_owned(),
            ));
        }
        // SAFETY: this one was not the last.
        next = unsafe { next.add(1) };
    }
    all
}

/// Plugins look for the C API among the symbols that everybody sees; a program that has opened this library with
/// `dlopen` may have kept them to itself.
fn show_symbols() {
    // SAFETY: a question about an address of ours; then this very file, which is open already.
    unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        let here = show_symbols as *const libc::c_void;
        if libc::dladdr(here, &mut info) != 0 && !info.dli_fname.is_null() {
            libc::dlopen(info.dli_fname, libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_GLOBAL);
        }
    }
}
