//! The queue that all processes share (`--queue`), for plugins written in Rust. Without one nothing is taken or found.

use crate::{sys, text};
use std::ffi::c_char;

fn message(read: impl FnOnce(*mut u64) -> *mut c_char) -> Option<Vec<u8>> {
    let mut len = 0;
    let message = read(&mut len);
    // SAFETY: a copy of the host's, ours to free.
    unsafe { text::from_host(message, len) }
}

/// Slots, where the next message is pushed, where it is pulled; no slots: there is no queue.
pub fn places() -> (u64, u64, u64) {
    let (mut push, mut pull) = (0, 0);
    // SAFETY: two places.
    let slots = unsafe { sys::rsgi_queue_slots(&mut push, &mut pull) };
    (slots, push, pull)
}

/// Adds a message; `false`: it is empty or longer than a slot.
pub fn push(message: &[u8]) -> bool {
    // SAFETY: the host copies the message.
    unsafe { sys::uwsgi_queue_push(message.as_ptr().cast_mut().cast(), message.len() as u64) == 0 }
}

/// Writes a slot; `false`: there is no such one, or the message does not fit.
pub fn set(slot: u64, message: &[u8]) -> bool {
    // SAFETY: as above.
    unsafe { sys::uwsgi_queue_set(slot, message.as_ptr().cast_mut().cast(), message.len() as u64) == 0 }
}

/// Takes the oldest message.
pub fn pull() -> Option<Vec<u8>> {
    // SAFETY: the host writes the length.
    message(|len| unsafe { sys::uwsgi_queue_pull(len) })
}

/// Takes the newest message.
pub fn pop() -> Option<Vec<u8>> {
    // SAFETY: as above.
    message(|len| unsafe { sys::uwsgi_queue_pop(len) })
}

/// What is in a slot.
pub fn get(slot: u64) -> Option<Vec<u8>> {
    // SAFETY: as above.
    message(|len| unsafe { sys::uwsgi_queue_get(slot, len) })
}

/// The message that was pushed last (0), or so many before it.
pub fn last(back: u64) -> Option<Vec<u8>> {
    // SAFETY: as above.
    message(|len| unsafe { sys::rsgi_queue_last(back, len) })
}
