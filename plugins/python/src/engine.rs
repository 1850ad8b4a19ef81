//! `--gevent` and `--asyncio`, first half: what they mean for the server, before anything is started. The loops
//! themselves are the core's.

use crate::options;
use rsgi_plugin_api::{log, sys};
use std::ffi::{CStr, CString, c_int};
use std::os::unix::ffi::OsStrExt;

const ENGINES: [(&str, &CStr); 2] = [("gevent", c"gevent"), ("asyncio", c"asyncio")];

/// The engine that was asked for.
fn wanted() -> Option<(&'static CStr, CString)> {
    ENGINES.into_iter().find_map(|(option, name)| {
        let cores = options::last(option)?;
        Some((name, CString::new(cores.as_bytes()).ok()?))
    })
}

/// In `configure`: so many cores are so many cores of the async mode; -1: it cannot be (said).
pub fn configure() -> c_int {
    let Some((name, cores)) = wanted() else {
        return 0;
    };
    if ENGINES.iter().all(|(option, _)| options::last(option).is_some()) {
        log::line("--gevent and --asyncio exclude each other: choose one");
        return -1;
    }
    // a core more than none makes the mode, so one greenlet has two
    let cores = match cores.as_bytes() {
        b"1" => c"2".to_owned(),
        _ => cores,
    };
    // SAFETY: in the configure hook; the host copies all texts.
    let taken = unsafe { sys::rsgi_default_option(c"async".as_ptr(), cores.as_ptr(), std::ptr::null(), name.as_ptr()) };
    if taken < 0 { -1 } else { 0 }
}

/// In `init`: the engine is published; or it is the one that `--loop` names.
pub fn publish() {
    if let Some((name, _)) = wanted() {
        // SAFETY: the master, single-threaded; the text lives for ever and the field is a plugin's to write.
        unsafe { sys::uwsgi.r#loop = name.as_ptr().cast_mut() }
        return;
    }
    // SAFETY: the master, single-threaded; NULL or the host's NUL-terminated text.
    let named = unsafe {
        let name = sys::uwsgi.r#loop;
        (!name.is_null()).then(|| CStr::from_ptr(name))
    };
    for (option, name) in ENGINES {
        if named == Some(name) {
            // as if it had been given with the number of --async
            let _ = options::add(option, None);
        }
    }
    if named.is_none() && options::count(&["asgi"]) > 0 {
        // known before applications are loaded, which with lazy-apps is too late for gateways
        // SAFETY: as above.
        unsafe { sys::uwsgi.r#loop = c"asyncio".as_ptr().cast_mut() }
    }
}
