//! Which process this is, and orders to the master, for plugins written in Rust.

use crate::abi::UwsgiWorker;
use crate::{HookError, sys, text};

/// The records of the master (0) and of the workers.
pub fn records() -> &'static [UwsgiWorker] {
    // SAFETY: the host's array of numproc + 1 records in shared memory, once it is there.
    unsafe {
        match sys::uwsgi.workers.is_null() {
            true => &[],
            false => std::slice::from_raw_parts(sys::uwsgi.workers, sys::uwsgi.numproc.max(0) as usize + 1),
        }
    }
}

/// The worker's number, 0 in another process.
pub fn worker_id() -> i32 {
    // SAFETY: a plain read of the published view.
    unsafe { sys::uwsgi.mywid }
}

/// The mule's number, 0 in another process.
pub fn mule_id() -> i32 {
    // SAFETY: a plain read of the published view.
    unsafe { sys::uwsgi.muleid }
}

/// Whether this is a spooler.
pub fn is_spooler() -> bool {
    // SAFETY: a plain read of the published view.
    unsafe { sys::uwsgi.i_am_a_spooler != 0 }
}

/// The master's pid, if there is one. While applications are loaded before the fork, the master is this process.
pub fn master_pid() -> Option<i32> {
    // SAFETY: plain reads of the published view.
    let (has_master, worker) = unsafe { (sys::uwsgi.master_process != 0, sys::uwsgi.mywid) };
    match records().first() {
        _ if !has_master => None,
        Some(master) if master.pid > 0 => Some(master.pid),
        _ if worker == 0 => Some(std::process::id() as i32),
        _ => None,
    }
}

/// Sends a signal of the operating system to the master: SIGHUP reloads, SIGQUIT stops. `false`: there is none.
pub fn tell_master(signal: i32) -> bool {
    // SAFETY: a signal to the process that started us.
    master_pid().is_some_and(|pid| unsafe { libc::kill(pid, signal) == 0 })
}

/// This process's memory in bytes: resident and virtual.
pub fn memory() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    // SAFETY: a plain read of the published view.
    let page = unsafe { sys::uwsgi.page_size }.max(1) as u64;
    let mut sizes = text.split_whitespace().map(|n| n.parse().unwrap_or(0) * page);
    let virt = sizes.next().unwrap_or(0);
    (sizes.next().unwrap_or(0), virt)
}

/// Microseconds since the epoch.
pub fn micros() -> u64 {
    // SAFETY: callable anywhere.
    unsafe { sys::uwsgi_micros() }
}

/// What `ps` shows for this process.
///
/// # Errors
/// The name contains a NUL.
pub fn set_name(name: &[u8]) -> Result<(), HookError> {
    let name = text::to_host(name, "the process's name")?;
    // SAFETY: the host copies the name.
    unsafe { sys::uwsgi_set_processname(name.as_ptr().cast_mut()) };
    Ok(())
}

/// Raises an alarm; one that is not there is an error, and so is what the host refuses (its log says why).
///
/// # Errors
/// The host did not take it.
pub fn alarm(name: &[u8], message: &[u8]) -> Result<(), HookError> {
    let name = text::to_host(name, "the alarm's name")?;
    // SAFETY: callable anywhere; the host copies both.
    match unsafe { sys::rsgi_alarm(name.as_ptr(), message.as_ptr().cast(), message.len()) } {
        0 => Ok(()),
        _ => Err(HookError::new(format!(
            "unable to raise the alarm {}: see the log",
            name.to_string_lossy()
        ))),
    }
}
