//! Messages between processes and mules.

use crate::mule::{self, SendError, Sources, Waited};
use std::ffi::{c_char, c_int};
use std::time::Duration;

fn sent(result: Result<(), SendError>) -> c_int {
    match result {
        Ok(()) => 0,
        Err(SendError::Full) => -1,
        Err(SendError::Nobody) => -2,
        Err(SendError::TooLong) => -3,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_mule_send(mule: c_int, message: *const c_char, len: usize) -> c_int {
    // SAFETY: the header asks for `len` bytes.
    let message = unsafe { super::bytes(message, len) };
    let id = usize::try_from(mule).ok();
    let queue = id.and_then(|id| mule::mules()?.queue_of(id));
    sent(queue.map_or(Err(SendError::Nobody), |q| q.send(message)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_farm_send(farm: *const c_char, message: *const c_char, len: usize) -> c_int {
    // SAFETY: the header asks for a NUL-terminated name and `len` bytes.
    let (name, message) = unsafe { (super::text(farm), super::bytes(message, len)) };
    let queue = mule::mules().and_then(|m| m.queue_of_farm(name));
    sent(queue.map_or(Err(SendError::Nobody), |q| q.send(message)))
}

fn receive(message: *mut c_char, size: usize, which: Sources, signals: bool, timeout: c_int) -> isize {
    if mule::own_id() == 0 {
        return -1;
    }
    // SAFETY: the header asks for `size` bytes to write to.
    let buffer = unsafe { std::slice::from_raw_parts_mut(message.cast(), size) };
    let limit = u64::try_from(timeout).ok().map(Duration::from_secs);
    // it looks at what it is told, from here on
    crate::unix_signal::leave_at_once(false);
    crate::worker::set_busy(false);
    let waited = mule::receive(buffer, which, signals, limit);
    crate::worker::set_busy(true);
    match waited {
        Waited::Message(len) => len as isize,
        Waited::Nothing => -1,
        Waited::Told => crate::process::exit(0),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_mule_get_msg(
    manage_signals: c_int,
    manage_farms: c_int,
    message: *mut c_char,
    size: usize,
    timeout: c_int,
) -> isize {
    let which = if manage_farms != 0 {
        Sources::All
    } else {
        Sources::Mules
    };
    receive(message, size, which, manage_signals != 0, timeout)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_farm_get_msg(message: *mut c_char, size: usize) -> isize {
    receive(message, size, Sources::Farms, false, -1)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_in_farm(farm: *const c_char) -> c_int {
    // SAFETY: the header asks for NULL or a NUL-terminated name.
    let name = unsafe { super::text(farm) };
    let is_it =
        |f: &mule::farm::Farm| f.mules.contains(&mule::own_id()) && (farm.is_null() || f.name.as_bytes() == name);
    c_int::from(mule::mules().is_some_and(|m| m.farms().iter().any(is_it)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn mule_send_msg(fd: c_int, message: *mut c_char, len: usize) -> c_int {
    // SAFETY: the header asks for `len` bytes; a descriptor that is none is the kernel's to refuse.
    let n = unsafe { libc::send(fd, message.cast(), len, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
    if n == len as isize { 0 } else { -1 }
}

#[unsafe(no_mangle)]
pub extern "C" fn rsgi_mule_queue(mule: c_int) -> c_int {
    let id = usize::try_from(mule).ok();
    id.and_then(|id| mule::mules()?.queue_of(id))
        .map_or(-1, mule::queue::Queue::writer)
}
