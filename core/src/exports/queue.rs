//! The queue of applications.

use crate::queue::queue;
use std::ffi::{c_char, c_int};

/// A message for the caller: its copy and length, or NULL.
///
/// # Safety
/// `len` is NULL or a place.
unsafe fn give(message: Option<Vec<u8>>, len: *mut u64) -> *mut c_char {
    // SAFETY: by the contract.
    if let Some(len) = unsafe { len.as_mut() } {
        *len = message.as_ref().map_or(0, |m| m.len() as u64);
    }
    message.map_or(std::ptr::null_mut(), |m| super::memory::copy(&m))
}

fn answer(is_so: bool) -> c_int {
    if is_so { 0 } else { -1 }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_queue_push(message: *mut c_char, len: u64) -> c_int {
    // SAFETY: the header asks for `len` bytes.
    let message = unsafe { super::bytes(message, len) };
    answer(queue().is_some_and(|q| q.push(message)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_queue_pull(len: *mut u64) -> *mut c_char {
    // SAFETY: the header asks for NULL or a place.
    unsafe { give(queue().and_then(|q| q.pull()), len) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_queue_pop(len: *mut u64) -> *mut c_char {
    // SAFETY: as above.
    unsafe { give(queue().and_then(|q| q.pop()), len) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_queue_get(slot: u64, len: *mut u64) -> *mut c_char {
    // SAFETY: as above.
    unsafe { give(queue().and_then(|q| q.get(slot)), len) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_queue_set(slot: u64, message: *mut c_char, len: u64) -> c_int {
    // SAFETY: the header asks for `len` bytes.
    let message = unsafe { super::bytes(message, len) };
    answer(queue().is_some_and(|q| q.set(slot, message)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_queue_last(back: u64, len: *mut u64) -> *mut c_char {
    let found = queue().and_then(|q| q.last(back.saturating_add(1)).into_iter().nth(back as usize));
    // SAFETY: the header asks for NULL or a place.
    unsafe { give(found.flatten(), len) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_queue_slots(push: *mut u64, pull: *mut u64) -> u64 {
    let Some(queue) = queue() else { return 0 };
    let places = queue.places();
    for (place, value) in [(push, places.0), (pull, places.1)] {
        // SAFETY: the header asks for NULL or a place.
        if let Some(place) = unsafe { place.as_mut() } {
            *place = value;
        }
    }
    queue.slots()
}
