//! Where log lines end: standard error, or the loggers that `--logger` and `--req-logger` name.
//!
//! Loggers come from plugins (`uwsgi_register_logger`). With any logger configured, standard output and error of
//! all processes are a pipe into the master, so that also what applications print reaches the loggers.

use crate::settings::LogSink;
use rsgi_plugin_api::abi::UwsgiLogger;
use std::cell::Cell;
use std::ffi::{CString, c_char};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
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
    KNOWN
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push((name.to_vec(), func));
}

/// The kinds of loggers that plugins offer.
pub fn kinds() -> Vec<String> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known
        .iter()
        .map(|(name, _)| String::from_utf8_lossy(name).into_owned())
        .collect()
}

/// Puts a configured logger to work.
///
/// # Errors
/// No plugin offers that kind.
pub fn add(sink: &LogSink, requests: bool) -> Result<(), String> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((_, func)) = known.iter().find(|(n, _)| n == sink.kind.as_bytes()) else {
        let all: Vec<_> = known
            .iter()
            .map(|(n, _)| String::from_utf8_lossy(n).into_owned())
            .collect();
        let all = if all.is_empty() { "none".into() } else { all.join(", ") };
        return Err(format!(
            "unable to find logger {} (loaded loggers: {all}; load its plugin with --plugin)",
            sink.kind
        ));
    };
    let text = |t: &str| CString::new(t).unwrap_or_default().into_raw();
    // SAFETY: all fields are pointers, integers and plain structs: zero is valid.
    let mut record: UwsgiLogger = unsafe { std::mem::zeroed() };
    record.name = text(&sink.kind);
    record.id = sink.name.as_deref().map_or(std::ptr::null_mut(), text);
    record.arg = text(&sink.argument);
    record.func = Some(*func);
    record.fd = -1;
    let record = Box::into_raw(Box::new(record));
    SINKS.lock().unwrap_or_else(PoisonError::into_inner).push(Sink {
        record,
        func: *func,
        requests,
    });
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

thread_local! {
    /// This thread is inside a logger, under the lock.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Hands a message to the loggers; request lines to those of `--req-logger` if there are any. What a logger itself
/// has to say, mostly that it cannot log, goes to the original standard error.
pub fn deliver(message: &[u8], request: bool) {
    if INSIDE.get() {
        return original(message);
    }
    let sinks = SINKS.lock().unwrap_or_else(PoisonError::into_inner);
    let own = request && sinks.iter().any(|s| s.requests);
    let mut taken = false;
    for sink in sinks.iter().filter(|s| s.requests == own) {
        INSIDE.set(true);
        // SAFETY: the record is ours and used under the lock; the function only reads the message.
        let written = unsafe { (sink.func)(sink.record, message.as_ptr().cast_mut().cast(), message.len()) };
        INSIDE.set(false);
        taken |= written >= 0;
    }
    if !taken {
        original(message);
    }
}

/// Standard error as it was before the pipe took its place; −1: it was not replaced.
static ORIGINAL: AtomicI32 = AtomicI32::new(-1);

/// Keeps standard error, before a pipe takes its place.
pub fn keep_stderr() {
    // SAFETY: a plain duplicate.
    ORIGINAL.store(unsafe { libc::fcntl(2, libc::F_DUPFD_CLOEXEC, 3) }, Ordering::Release);
}

/// Where the log of this process ends when it does not go through a pipe.
fn last() -> i32 {
    match ORIGINAL.load(Ordering::Acquire) {
        fd if fd >= 0 => fd,
        _ => 2,
    }
}

/// Bytes of the file that the log goes to; `None`: it is no file.
pub fn size() -> Option<u64> {
    // SAFETY: descriptor 2, or our own duplicate of it, is open.
    let fd = unsafe { BorrowedFd::borrow_raw(last()) };
    let stat = nix::sys::stat::fstat(fd).ok()?;
    let is_file = stat.st_mode & libc::S_IFMT == libc::S_IFREG;
    is_file.then(|| stat.st_size.unsigned_abs())
}

/// The log goes to another file from now on. Processes that run already follow only if their lines come through the
/// pipe (`--log-master`).
///
/// # Errors
/// The system refuses.
pub fn redirect(file: BorrowedFd<'_>) -> std::io::Result<()> {
    let own = ORIGINAL.load(Ordering::Acquire);
    let places = if own >= 0 {
        vec![(own, libc::O_CLOEXEC)]
    } else {
        vec![(1, 0), (2, 0)]
    };
    for (fd, flags) in places {
        // SAFETY: all descriptors are open.
        if unsafe { libc::dup3(file.as_raw_fd(), fd, flags) } < 0 {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Before this image is replaced: standard output and error are what they were before the pipe.
pub fn give_back_stderr() {
    let fd = ORIGINAL.load(Ordering::Acquire);
    if fd >= 0 {
        for standard in [1, 2] {
            // SAFETY: both descriptors are open.
            unsafe { libc::dup2(fd, standard) };
        }
    }
}

/// In the process that reads the pipe: descriptor 2 would lead back to it.
fn original(message: &[u8]) {
    write_all(last(), message);
}

/// Descriptor 2.
pub fn stderr(message: &[u8]) {
    write_all(2, message);
}

fn write_all(fd: i32, mut message: &[u8]) {
    while !message.is_empty() {
        // SAFETY: pointer and length describe `message`.
        let n = unsafe { libc::write(fd, message.as_ptr().cast(), message.len()) };
        match n {
            n if n > 0 => message = &message[n as usize..],
            _ if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted => {}
            // nowhere to say that the log is gone
            _ => return,
        }
    }
}
