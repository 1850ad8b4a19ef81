//! Caches, here and in other instances.

use crate::cache::anywhere::{self, Lasts, Put};
use crate::cache::{self, Change, Mode};
use rsgi_plugin_api::abi::UwsgiCache;
use std::ffi::{c_char, c_int, c_void};

const UPDATE: u64 = 1 << 1;
const ABSOLUTE: u64 = 1 << 3;
const INC: u64 = 1 << 5;
const DEC: u64 = 1 << 6;
const MUL: u64 = 1 << 7;
const DIV: u64 = 1 << 8;

fn answer(is_so: bool) -> c_int {
    if is_so { 0 } else { -1 }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_cache_magic_get(
    key: *mut c_char,
    key_len: u16,
    len: *mut u64,
    ends: *mut u64,
    cache: *mut c_char,
) -> *mut c_char {
    // SAFETY: the header asks for a key with its length, a name or NULL, and places or NULL.
    unsafe {
        let Some((value, end)) = anywhere::get(super::text(cache), super::bytes(key, key_len)) else {
            return std::ptr::null_mut();
        };
        if let Some(len) = len.as_mut() {
            *len = value.len() as u64;
        }
        if let Some(ends) = ends.as_mut() {
            *ends = end;
        }
        super::memory::copy(&value)
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_cache_magic_set(
    key: *mut c_char,
    key_len: u16,
    value: *mut c_char,
    len: u64,
    expires: u64,
    flags: u64,
    cache: *mut c_char,
) -> c_int {
    let put = match flags {
        f if f & INC != 0 => Put::Number(Change::Add),
        f if f & DEC != 0 => Put::Number(Change::Subtract),
        f if f & MUL != 0 => Put::Number(Change::Multiply),
        f if f & DIV != 0 => Put::Number(Change::Divide),
        f if f & UPDATE != 0 => Put::Value(Mode::Replace),
        _ => Put::Value(Mode::Add),
    };
    let lasts = match flags & ABSOLUTE {
        0 => Lasts::Seconds(expires),
        _ => Lasts::Until(expires),
    };
    // SAFETY: the header asks for key and value with their lengths, and a name or NULL.
    let (name, key, value) = unsafe { (super::text(cache), super::bytes(key, key_len), super::bytes(value, len)) };
    answer(anywhere::put(name, key, value, lasts, put))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_cache_magic_del(key: *mut c_char, key_len: u16, cache: *mut c_char) -> c_int {
    // SAFETY: the header asks for a key with its length, and a name or NULL.
    let (name, key) = unsafe { (super::text(cache), super::bytes(key, key_len)) };
    answer(anywhere::remove(name, key))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_cache_magic_exists(key: *mut c_char, key_len: u16, cache: *mut c_char) -> c_int {
    // SAFETY: as above.
    let (name, key) = unsafe { (super::text(cache), super::bytes(key, key_len)) };
    c_int::from(anywhere::contains(name, key))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_cache_magic_clear(cache: *mut c_char) -> c_int {
    // SAFETY: the header asks for a name or NULL.
    answer(anywhere::clear(unsafe { super::text(cache) }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_cache_get(
    key: *const c_char,
    key_len: usize,
    buf: *mut c_char,
    size: usize,
    cache: *const c_char,
) -> isize {
    // SAFETY: the header asks for a key with its length, a name or NULL, and `size` bytes to write to.
    unsafe {
        let Some(cache) = cache::find(super::text(cache)) else {
            return -1;
        };
        let out: &mut [u8] = match size {
            0 => &mut [],
            _ => std::slice::from_raw_parts_mut(buf.cast(), size),
        };
        let found = cache.get(super::bytes(key, key_len), out);
        found.map_or(-1, |(len, _)| len as isize)
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_cache_keys(
    cache: *const c_char,
    take: Option<unsafe extern "C" fn(*const c_char, usize, *mut c_void)>,
    data: *mut c_void,
) -> c_int {
    // SAFETY: the header asks for a name or NULL.
    let found = cache::find(unsafe { super::text(cache) });
    let (Some(cache), Some(take)) = (found, take) else {
        return -1;
    };
    for key in cache.keys() {
        // SAFETY: the caller's function, with a key that lives during the call.
        unsafe { take(key.as_ptr().cast(), key.len(), data) };
    }
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_cache_by_namelen(name: *mut c_char, len: u16) -> *mut UwsgiCache {
    // SAFETY: the header asks for a text with its length; the records are of the start and stay.
    unsafe {
        let name = super::bytes(name, len);
        let mut record = (*crate::server::view()).caches;
        while !record.is_null() && !name.is_empty() && super::text((*record).name) != name {
            record = (*record).next;
        }
        record
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_cache_by_name(name: *mut c_char) -> *mut UwsgiCache {
    // SAFETY: the header asks for a NUL-terminated name or NULL.
    unsafe { uwsgi_cache_by_namelen(name, super::text(name).len() as u16) }
}

/// The name of a cache, for the functions that go by names.
///
/// # Safety
/// `cache` is NULL or a record of ours.
unsafe fn name_of(cache: *mut UwsgiCache) -> *mut c_char {
    // SAFETY: by the contract.
    unsafe { cache.as_ref() }.map_or(std::ptr::null_mut(), |cache| cache.name)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_cache_set2(
    cache: *mut UwsgiCache,
    key: *mut c_char,
    key_len: u16,
    value: *mut c_char,
    len: u64,
    expires: u64,
    flags: u64,
) -> c_int {
    // SAFETY: by the contract of this very function.
    unsafe { uwsgi_cache_magic_set(key, key_len, value, len, expires, flags, name_of(cache)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_cache_del2(
    cache: *mut UwsgiCache,
    key: *mut c_char,
    key_len: u16,
    _index: u64,
    _flags: u16,
) -> c_int {
    // SAFETY: by the contract of this very function.
    unsafe { uwsgi_cache_magic_del(key, key_len, name_of(cache)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_cache_exists2(cache: *mut UwsgiCache, key: *mut c_char, key_len: u16) -> u32 {
    // SAFETY: by the contract of this very function.
    unsafe { uwsgi_cache_magic_exists(key, key_len, name_of(cache)) as u32 }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_cache_get3(
    cache: *mut UwsgiCache,
    key: *mut c_char,
    key_len: u16,
    len: *mut u64,
    ends: *mut u64,
) -> *mut c_char {
    // SAFETY: by the contract of this very function.
    unsafe { uwsgi_cache_magic_get(key, key_len, len, ends, name_of(cache)) }
}
