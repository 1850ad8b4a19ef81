//! Alarms: kinds that plugins offer, and raising one.

use crate::{alarm, say};
use rsgi_plugin_api::abi::{UwsgiAlarmFd, UwsgiAlarmInit, UwsgiAlarmRun};
use std::ffi::{c_char, c_int};

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_register_alarm(
    name: *mut c_char,
    init: Option<UwsgiAlarmInit>,
    run: Option<UwsgiAlarmRun>,
) {
    let (Some(init), Some(run)) = (init, run) else { return };
    // SAFETY: the header asks for a NUL-terminated name.
    alarm::register(unsafe { super::text(name) }, init, run);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_alarm_trigger(name: *mut c_char, message: *mut c_char, len: usize) {
    // SAFETY: by the contract of this very function.
    unsafe { rsgi_alarm(name, message, len) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_add_alarm_fd(
    fd: c_int,
    name: *mut c_char,
    size: usize,
    message: *mut c_char,
    len: usize,
) -> *mut UwsgiAlarmFd {
    // SAFETY: the header asks for a NUL-terminated name and a message with its length.
    let (name, message) = unsafe { (String::from_utf8_lossy(super::text(name)), super::bytes(message, len)) };
    alarm::descriptor::add(fd, size, &name, message);
    // opaque and never dereferenced: only its being not NULL says something
    std::ptr::NonNull::dangling().as_ptr()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_alarm(name: *const c_char, message: *const c_char, len: usize) -> c_int {
    // SAFETY: the header asks for a NUL-terminated name and a message with its length.
    let (name, message) = unsafe { (String::from_utf8_lossy(super::text(name)), super::bytes(message, len)) };
    match alarm::trigger(&name, message) {
        Ok(()) => 0,
        Err(why) => {
            say!("{why}");
            -1
        }
    }
}
