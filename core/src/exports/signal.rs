//! uWSGI signals for plugins: registering handlers, raising, sources, waiting. What fails is told by the result, and
//! in words by `rsgi_signal_error`.

use crate::signal::source::{self, Kind, Source};
use crate::signal::table::{self, Handler};
use crate::signal::{SignalError, dispatch, memory, route};
use crate::{control, say};
use std::cell::RefCell;
use std::ffi::{CString, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

thread_local! {
    static ERROR: RefCell<CString> = RefCell::new(CString::default());
}

/// Keeps the words for `rsgi_signal_error` and says them in the log.
fn answer(result: Result<(), SignalError>) -> c_int {
    match result {
        Ok(()) => 0,
        Err(e) => {
            let words = e.to_string();
            say!("{words}");
            ERROR.set(CString::new(words).unwrap_or_default());
            -1
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_register_signal(
    signal: u8,
    target: *mut c_char,
    handler: *mut c_void,
    modifier1: u8,
) -> c_int {
    // SAFETY: the header asks for a NUL-terminated text or NULL.
    let target = String::from_utf8_lossy(unsafe { super::text(target) }).into_owned();
    answer(table::register(signal, &target, Handler { modifier1, handler }))
}

#[unsafe(no_mangle)]
pub extern "C" fn rsgi_unregister_signal(signal: u8) -> c_int {
    answer(table::unregister(signal).map(|_| ()))
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_signal_registered(signal: u8) -> c_int {
    c_int::from(table::handler(signal).is_some())
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_signal_send(_fd: c_int, signal: u8) -> c_int {
    answer(route::raise(signal))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_remote_signal_send(address: *mut c_char, signal: u8) -> c_int {
    // SAFETY: the header asks for a NUL-terminated address.
    let address = String::from_utf8_lossy(unsafe { super::text(address) }).into_owned();
    match control::deliver_signal(&address, signal) {
        Ok(taken) => c_int::from(taken),
        Err(why) => answer(Err(SignalError::Source(format!(
            "unable to deliver signal {signal} to node {address}: {why}"
        )))),
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_add_timer(signal: u8, seconds: c_int) -> c_int {
    rsgi_add_timer(signal, i64::from(seconds) * 1_000_000_000, 0)
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_signal_add_rb_timer(signal: u8, seconds: c_int, iterations: c_int) -> c_int {
    rsgi_add_timer(signal, i64::from(seconds) * 1_000_000_000, iterations)
}

#[unsafe(no_mangle)]
pub extern "C" fn rsgi_add_timer(signal: u8, nanoseconds: i64, iterations: c_int) -> c_int {
    let period = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0));
    let iterations = u32::try_from(iterations).unwrap_or(0);
    answer(source::add(signal, Source::Timer { period, iterations }))
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_signal_add_cron(
    signal: u8,
    minute: c_int,
    hour: c_int,
    day: c_int,
    month: c_int,
    weekday: c_int,
) -> c_int {
    answer(source::add(signal, Source::Cron([minute, hour, day, month, weekday])))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_add_file_monitor(signal: u8, path: *mut c_char) -> c_int {
    // SAFETY: by the contract of this very function.
    unsafe { rsgi_add_file_monitor(signal, path, 0, 0) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_add_file_monitor(
    signal: u8,
    path: *const c_char,
    iterations: c_int,
    recursive: c_int,
) -> c_int {
    // SAFETY: the header asks for a NUL-terminated path.
    let path = OsStr::from_bytes(unsafe { super::text(path) });
    // the master may be somewhere else when it begins to watch
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    let source = Source::FileMonitor {
        path,
        iterations: u32::try_from(iterations).unwrap_or(0),
        recursive: recursive != 0,
    };
    answer(source::add(signal, source))
}

#[unsafe(no_mangle)]
pub extern "C" fn rsgi_remove_source(signal: u8, kind: c_int) -> c_int {
    let kind = match kind {
        0 => Kind::Timer,
        1 => Kind::Cron,
        2 => Kind::FileMonitor,
        n => return answer(Err(SignalError::Source(format!("{n} is no kind of source")))),
    };
    answer(source::remove(signal, kind))
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_signal_wait(signal: c_int) -> c_int {
    match dispatch::wait(u8::try_from(signal).ok()) {
        Ok(signal) => c_int::from(signal),
        Err(e) => answer(Err(e)),
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn rsgi_signal_coalesce(signal: u8, once: c_int) -> c_int {
    answer(match memory() {
        Some(memory) => {
            memory.coalesce(signal, once != 0);
            Ok(())
        }
        None => Err(SignalError::NotReady),
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn rsgi_signal_received() -> c_int {
    dispatch::received()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_receive_signal(fd: c_int, _name: *mut c_char, _id: c_int) {
    use std::os::fd::AsRawFd;
    let Some(memory) = memory() else { return };
    let is_asked = |r: &crate::signal::receiver::Receiver| memory.queue(*r).is_some_and(|q| q.bell().as_raw_fd() == fd);
    if let Some(receiver) = dispatch::own_receivers().into_iter().find(is_asked) {
        dispatch::run_pending(receiver);
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn rsgi_signal_error() -> *const c_char {
    ERROR.with_borrow(|words| words.as_ptr())
}
