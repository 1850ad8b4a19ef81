//! What plugins offer by name: pushers of statistics, pieces of log lines, handlers of exceptions, clocks and so on.

use super::{bytes, text};
use crate::log::chunk::Chunk;
use crate::plugin::inside::Brought;
use crate::{clock, exceptions, log, process, stats};
use rsgi_plugin_api::abi::{
    UwsgiCheaperFn, UwsgiClock, UwsgiEncodeFn, UwsgiExceptionFn, UwsgiExceptionHandler, UwsgiLogchunk, UwsgiLogchunkFn,
    UwsgiLogvar, UwsgiStatsPush, UwsgiStatsPusher, UwsgiStatsPusherInstance, WsgiRequest,
};
use rsgi_protocol::uwsgi::parse_array;
use std::cell::UnsafeCell;
use std::ffi::{c_char, c_int, c_void};
use std::ptr::null_mut;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_register_stats_pusher(
    name: *mut c_char,
    func: Option<UwsgiStatsPush>,
) -> *mut UwsgiStatsPusher {
    // SAFETY: the header asks for a NUL-terminated name.
    let name = unsafe { text(name) };
    func.map_or(null_mut(), |func| stats::push::plugin::register(name, func))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_stats_pusher_add(
    pusher: *mut UwsgiStatsPusher,
    arg: *mut c_char,
) -> *mut UwsgiStatsPusherInstance {
    if pusher.is_null() {
        return null_mut();
    }
    // SAFETY: the header asks for what uwsgi_register_stats_pusher() gave.
    unsafe { stats::push::plugin::add(pusher, arg) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_register_logchunk(
    name: *mut c_char,
    func: Option<UwsgiLogchunkFn>,
    need_free: c_int,
) -> *mut UwsgiLogchunk {
    if let Some(func) = func {
        // SAFETY: the header asks for a NUL-terminated name.
        let name = unsafe { text(name) };
        let chunk = Chunk {
            func: Brought::new("log chunk", name, func),
            need_free: need_free != 0,
        };
        log::chunk::CHUNKS.add(name, chunk);
    }
    // opaque and never dereferenced: only its being not NULL says something
    std::ptr::NonNull::dangling().as_ptr()
}

thread_local! {
    // SAFETY: all fields are integers and a pointer: zero is valid.
    static FOUND: UnsafeCell<UwsgiLogvar> = const { UnsafeCell::new(unsafe { std::mem::zeroed() }) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_logvar_get(req: *mut WsgiRequest, key: *mut c_char, keylen: u8) -> *mut UwsgiLogvar {
    // SAFETY: the header asks for a request of ours and a text with its length; the place is this thread's.
    unsafe {
        let key = bytes(key, keylen);
        let Some(value) = log::format::log_variable(&*req, key) else {
            return null_mut();
        };
        FOUND.with(|place| {
            let found = place.get();
            let len = value.len().min(255);
            std::ptr::copy_nonoverlapping(key.as_ptr(), (*found).key.as_mut_ptr().cast(), key.len());
            std::ptr::copy_nonoverlapping(value.as_ptr(), (*found).val.as_mut_ptr().cast(), len);
            (*found).keylen = keylen;
            (*found).vallen = len as u8;
            (*found).val[len] = 0;
            found
        })
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_register_exception_handler(
    name: *mut c_char,
    func: Option<UwsgiExceptionFn>,
) -> *mut UwsgiExceptionHandler {
    if let Some(func) = func {
        // SAFETY: the header asks for a NUL-terminated name.
        exceptions::KINDS.bring("exception handler", unsafe { text(name) }, func);
    }
    // opaque, as above
    std::ptr::NonNull::dangling().as_ptr()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_hooked_parse_array(
    array: *mut c_char,
    len: usize,
    func: Option<unsafe extern "C" fn(u16, *mut c_char, u16, *mut c_void)>,
    data: *mut c_void,
) -> c_int {
    let Some(func) = func else { return -1 };
    // SAFETY: the header asks for bytes with their length.
    for (index, item) in parse_array(unsafe { bytes(array, len) }).enumerate() {
        let Ok(item) = item else { return -1 };
        // SAFETY: the callback's own contract.
        unsafe { func(index as u16, item.as_ptr().cast_mut().cast(), item.len() as u16, data) };
    }
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_register_cheaper_algo(name: *mut c_char, func: Option<UwsgiCheaperFn>) {
    if let Some(func) = func {
        // SAFETY: the header asks for a NUL-terminated name.
        process::scaling::plugin::ALGORITHMS.bring("cheaper algorithm", unsafe { text(name) }, func);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_register_log_encoder(name: *mut c_char, func: Option<UwsgiEncodeFn>) {
    if let Some(func) = func {
        // SAFETY: the header asks for a NUL-terminated name.
        log::foreign::ENCODERS.bring("log encoder", unsafe { text(name) }, func);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_register_clock(record: *mut UwsgiClock) {
    // SAFETY: the header asks for a record that stays.
    unsafe { clock::register(record) };
}
