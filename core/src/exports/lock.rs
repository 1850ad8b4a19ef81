//! Locks that all processes share.

use crate::locks;
use crate::shared::lock::{NotTaken, SharedLock};
use rsgi_plugin_api::abi::{UwsgiLockItem, UwsgiLockOps};
use std::ffi::{c_char, c_int};

/// The functions below, for `uwsgi.lock_ops`.
pub const OPS: UwsgiLockOps = UwsgiLockOps {
    lock_init: Some(uwsgi_lock_init),
    lock_check: Some(uwsgi_lock_check),
    lock: Some(uwsgi_lock),
    unlock: Some(uwsgi_unlock),
    rwlock_init: Some(uwsgi_rwlock_init),
    rwlock_check: Some(uwsgi_lock_check),
    rlock: Some(uwsgi_rlock),
    wlock: Some(uwsgi_wlock),
    rwunlock: Some(uwsgi_rwunlock),
};

unsafe fn make(name: *const c_char, is_rw: bool) -> *mut UwsgiLockItem {
    // SAFETY: the header asks for a NUL-terminated name.
    let name = String::from_utf8_lossy(unsafe { super::text(name) }).into_owned();
    locks::make(&name, is_rw).unwrap_or_else(|e| {
        crate::say!("cannot make the lock {name}: {}", e.desc());
        std::ptr::null_mut()
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_lock_init(name: *mut c_char) -> *mut UwsgiLockItem {
    // SAFETY: by the contract of this very function.
    unsafe { make(name, false) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_rwlock_init(name: *mut c_char) -> *mut UwsgiLockItem {
    // SAFETY: by the contract of this very function.
    unsafe { make(name, true) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_lock(item: *mut UwsgiLockItem, wait: c_int) -> c_int {
    // SAFETY: the header asks for a record of ours.
    let Some(lock) = (unsafe { locks::of(item) }) else {
        return -1;
    };
    let taken = if wait != 0 { lock.lock() } else { lock.try_lock() };
    match taken {
        Ok(_) => 0,
        Err(NotTaken::Busy) => -1,
        Err(NotTaken::HeldByThisThread) => -2,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_lock(item: *mut UwsgiLockItem) {
    // SAFETY: by the contract of this very function.
    unsafe { rsgi_lock(item, 1) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_unlock(item: *mut UwsgiLockItem) {
    // SAFETY: the header asks for a record of ours.
    unsafe { locks::of(item) }.map(SharedLock::unlock);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_rlock(item: *mut UwsgiLockItem) {
    // SAFETY: by the contract of this very function.
    unsafe { rsgi_lock(item, 1) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_wlock(item: *mut UwsgiLockItem) {
    // SAFETY: by the contract of this very function.
    unsafe { rsgi_lock(item, 1) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_rwunlock(item: *mut UwsgiLockItem) {
    // SAFETY: by the contract of this very function.
    unsafe { uwsgi_unlock(item) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_lock_check(item: *mut UwsgiLockItem) -> libc::pid_t {
    // SAFETY: the header asks for a record of ours.
    let lock = unsafe { locks::of(item) };
    // asking recovers the lock of a holder that died
    lock.filter(|lock| lock.owner() != 0 && lock.is_locked())
        .map_or(0, SharedLock::owner)
}
