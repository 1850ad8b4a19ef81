//! `--pyshell`: an interactive Python on the operator's terminal, in worker 1 and in place of its loop; with
//! `--pyshell-oneshot` before it, once.

use crate::py::{self, PyResult};
use crate::{exception, gil, interpreter, module, settings};
use pyo3_ffi::PyObject_IsTrue;
use rsgi_plugin_api::{log, sys};
use std::ffi::c_int;

/// The signals whose handlers the shell replaces.
const ORDERS: [c_int; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGQUIT, libc::SIGHUP];

/// How a shell ended.
#[derive(PartialEq, Eq)]
enum End {
    /// There is no terminal.
    NotShown,
    /// Its user left it.
    Left,
    /// The server's order ended it.
    Told,
}

/// Shows the shell, if this is the worker for it. Whether the worker ends after it; its successor shows the next one.
pub fn has_ended() -> bool {
    let Some((code, once)) = &settings::get().shell else {
        return false;
    };
    // SAFETY: plain reads of the published view and of our own record.
    let (worker, is_first) = unsafe {
        let record = module::own_record();
        (sys::uwsgi.mywid, !record.is_null() && (*record).respawn_count <= 1)
    };
    if worker != 1 || (*once && !is_first) {
        return false;
    }
    // SAFETY: our own record in shared memory; a start that waits for this worker goes on.
    if let Some(me) = unsafe { module::own_record().as_mut() } {
        me.accepting = 1;
    }
    // SAFETY: all fields are integers and pointers; reads and writes of this process's table of handlers.
    let before = ORDERS.map(|order| unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(order, std::ptr::null(), &mut action);
        action
    });
    let end = gil::with(|| show(code)).unwrap_or(End::Left);
    for (order, action) in ORDERS.iter().zip(&before) {
        // SAFETY: what was there before.
        unsafe { libc::sigaction(*order, action, std::ptr::null_mut()) };
    }
    if end == End::NotShown {
        log::line("--pyshell: there is no terminal on standard input; worker 1 serves");
    }
    end == End::Told || (end == End::Left && !*once)
}

fn show(code: &[u8]) -> PyResult<End> {
    let shown = py::path(code).and_then(|code| interpreter::support(c"run_shell", &[&code]));
    let Ok(shown) = shown else {
        exception::print_current();
        return Err(py::Raised);
    };
    // SAFETY: a live object.
    Ok(match unsafe { PyObject_IsTrue(shown.as_ptr()) } {
        _ if shown.is_none() => End::Told,
        1 => End::Left,
        _ => End::NotShown,
    })
}
