//! uWSGI signals for plugins written in Rust: handlers, raising, and what raises them by itself. A handler is a number
//! of the plugin's own, which the host hands back to [`crate::Plugin::signal_handler`].

use crate::{HookError, sys, text};
use std::ffi::{CStr, c_int, c_void};
use std::time::Duration;

/// What raises signals by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the words of the field
pub enum Source {
    Timer = 0,
    Cron = 1,
    FileMonitor = 2,
}

/// The host's words for what failed.
fn answer(rc: c_int) -> Result<(), HookError> {
    if rc >= 0 {
        return Ok(());
    }
    // SAFETY: a text of this thread that is valid until its next call.
    let why = unsafe { CStr::from_ptr(sys::rsgi_signal_error()) };
    Err(HookError::new(why.to_string_lossy()))
}

/// Registers a handler of this process with the plugin in slot `modifier1`; the target counts everywhere.
///
/// # Errors
/// This process may not register, or the target is wrong.
pub fn register(signal: u8, target: &[u8], handler: usize, modifier1: u8) -> Result<(), HookError> {
    let target = text::to_host(target, "the target")?;
    // SAFETY: the host copies the target and never looks behind the handler.
    answer(unsafe { sys::uwsgi_register_signal(signal, target.as_ptr().cast_mut(), handler as *mut c_void, modifier1) })
}

/// Takes the registration back.
///
/// # Errors
/// There is none in this process.
pub fn unregister(signal: u8) -> Result<(), HookError> {
    // SAFETY: callable anywhere; the host refuses where it must.
    answer(unsafe { sys::rsgi_unregister_signal(signal) })
}

/// Whether this process has a handler.
pub fn is_registered(signal: u8) -> bool {
    // SAFETY: callable anywhere.
    unsafe { sys::uwsgi_signal_registered(signal) != 0 }
}

/// Raises a signal here.
///
/// # Errors
/// It was not accepted: a queue is full, or the target does not exist.
pub fn raise(signal: u8) -> Result<(), HookError> {
    // SAFETY: callable anywhere.
    answer(unsafe { sys::uwsgi_signal_send(-1, signal) })
}

/// Raises a signal in another instance; `false`: it refused.
///
/// # Errors
/// Nobody answers there.
pub fn raise_at(address: &[u8], signal: u8) -> Result<bool, HookError> {
    let address = text::to_host(address, "the address")?;
    // SAFETY: the host copies the address.
    let rc = unsafe { sys::uwsgi_remote_signal_send(address.as_ptr().cast_mut(), signal) };
    answer(rc).map(|()| rc > 0)
}

/// Waits for a signal (`None`: any) and runs the handlers of all that come; the one it ended with.
///
/// # Errors
/// This process takes no signals, or is leaving.
pub fn wait(signal: Option<u8>) -> Result<u8, HookError> {
    // SAFETY: callable in any thread of a worker or a mule.
    let rc = unsafe { sys::uwsgi_signal_wait(signal.map_or(-1, c_int::from)) };
    answer(rc).map(|()| rc as u8)
}

/// The signal that this thread's last [`wait`] ended with.
pub fn received() -> Option<u8> {
    // SAFETY: callable anywhere.
    u8::try_from(unsafe { sys::rsgi_signal_received() }).ok()
}

/// Whether the signal is raised once for each receiver while it waits there.
///
/// # Errors
/// There are no signals yet.
pub fn coalesce(signal: u8, once: bool) -> Result<(), HookError> {
    // SAFETY: callable anywhere.
    answer(unsafe { sys::rsgi_signal_coalesce(signal, c_int::from(once)) })
}

/// Raises the signal each `period`, `iterations` times (0: for ever).
///
/// # Errors
/// This process may not, or the period is zero.
pub fn add_timer(signal: u8, period: Duration, iterations: u32) -> Result<(), HookError> {
    let period = i64::try_from(period.as_nanos()).unwrap_or(i64::MAX);
    let iterations = c_int::try_from(iterations).unwrap_or(c_int::MAX);
    // SAFETY: callable anywhere; the host refuses where it must.
    answer(unsafe { sys::rsgi_add_timer(signal, period, iterations) })
}

/// Raises the signal when minute, hour, day, month and weekday match: -1 is any, -N every N.
///
/// # Errors
/// This process may not, or a field is out of range.
pub fn add_cron(signal: u8, [minute, hour, day, month, weekday]: [c_int; 5]) -> Result<(), HookError> {
    // SAFETY: as above.
    answer(unsafe { sys::uwsgi_signal_add_cron(signal, minute, hour, day, month, weekday) })
}

/// Raises the signal at changes of a file or in a folder, `iterations` times (0: for ever).
///
/// # Errors
/// This process may not, or nothing is at `path`.
pub fn add_file_monitor(signal: u8, path: &[u8], iterations: u32, recursive: bool) -> Result<(), HookError> {
    let path = text::to_host(path, "the path")?;
    let iterations = c_int::try_from(iterations).unwrap_or(c_int::MAX);
    // SAFETY: the host copies the path.
    answer(unsafe { sys::rsgi_add_file_monitor(signal, path.as_ptr(), iterations, c_int::from(recursive)) })
}

/// Takes away all sources of a kind for a signal.
///
/// # Errors
/// This process may not.
pub fn remove(signal: u8, source: Source) -> Result<(), HookError> {
    // SAFETY: as above.
    answer(unsafe { sys::rsgi_remove_source(signal, source as c_int) })
}
