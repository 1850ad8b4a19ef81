//! Where log lines end: standard error, or the loggers that `--logger` and `--req-logger` name.
//!
//! Loggers come from plugins (`uwsgi_register_logger`). With any logger configured, standard output and error of
//! all processes are a pipe into the master, so that also what applications print reaches the loggers.

use rsgi_plugin_api::abi::UwsgiLogger;
use std::ffi::{CString, c_char};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// The function of a logger.
pub type LoggerFn = unsafe extern "C" fn(*mut UwsgiLogger, *mut c_char, usize) -> isize;

/// A logger in use.
struct Sink {
    record: *mut UwsgiLogger,
    func: LoggerFn,
    requests: bool,
}

// SAFETY: the record is used under the lock only.
unsafe impl Send for Sink {}

static KNOWN: Mutex<Vec<(Vec<u8>, LoggerFn)>> = Mutex::new(Vec::new());
static SINKS: Mutex<Vec<Sink>> = Mutex::new(Vec::new());
/// This process hands lines to the sinks itself (the master); all others write to the pipe.
static DELIVERS: AtomicBool = AtomicBool::new(false);

/// A plugin offers a kind of logger.
pub fn register(name: &[u8], func: LoggerFn) {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).push((name.to_vec(), func));
}

/// Configures a logger: `[id ]name[:argument]`.
///
/// # Errors
/// No plugin offers that name.
pub fn add(spec: &str, requests: bool) -> Result<(), String> {
    let (head, argument) = spec.split_once(':').map_or((spec, ""), |(h, a)| (h, a));
    let (id, name) = head.split_once(' ').map_or((None, head), |(i, n)| (Some(i), n.trim()));
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((_, func)) = known.iter().find(|(n, _)| n == name.as_bytes()) else {
        let all: Vec<_> = known.iter().map(|(n, _)| String::from_utf8_lossy(n).into_owned()).collect();
        let all = if all.is_empty() { "none".into() } else { all.join(", ") };
        return Err(format!("unable to find logger {name} (loaded loggers: {all}; load its plugin with --plugin)"));
    };
    let text = |t: &str| CString::new(t).unwrap_or_default().into_raw();
    // SAFETY: all fields are pointers, integers and plain structs: zero is valid.
    let mut record: UwsgiLogger = unsafe { std::mem::zeroed() };
    record.name = text(name);
    record.id = id.map_or(std::ptr::null_mut(), text);
    record.arg = text(argument);
    record.func = Some(*func);
    record.fd = -1;
    let record = Box::into_raw(Box::new(record));
    SINKS.lock().unwrap_or_else(PoisonError::into_inner).push(Sink { record, func: *func, requests });
    Ok(())
}

/// Whether any logger is configured.
pub fn any() -> bool {
    !SINKS.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
}

/// This process delivers lines to the loggers from now on (`true`), or leaves that to the master.
pub fn deliver_here(on: bool) {
    DELIVERS.store(on, Ordering::Release);
}

/// Writes a message to where this process's messages go.
pub fn write(message: &[u8]) {
    if DELIVERS.load(Ordering::Acquire) {
        deliver(message, false);
    } else {
        stderr(message);
    }
}

/// Hands a message to the loggers; request lines to those of `--req-logger` if there are any.
pub fn deliver(message: &[u8], request: bool) {
    let sinks = SINKS.lock().unwrap_or_else(PoisonError::into_inner);
    let own = request && sinks.iter().any(|s| s.requests);
    let mut taken = false;
    for sink in sinks.iter().filter(|s| s.requests == own) {
        // SAFETY: the record is ours and used under the lock; the function only reads the message.
        let written = unsafe { (sink.func)(sink.record, message.as_ptr().cast_mut().cast(), message.len()) };
        taken |= written >= 0;
    }
    if !taken {
        stderr(message);
    }
}

/// The last resort and the usual way: descriptor 2.
pub fn stderr(mut message: &[u8]) {
    while !message.is_empty() {
        // SAFETY: pointer and length describe `message`.
        let n = unsafe { libc::write(2, message.as_ptr().cast(), message.len()) };
        match n {
            n if n > 0 => message = &message[n as usize..],
            _ if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted => {}
            // nowhere to say that the log is gone
            _ => return,
        }
    }
}
