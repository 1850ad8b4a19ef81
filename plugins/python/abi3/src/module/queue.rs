//! `uwsgi.*`: the queue that all processes share.

use crate::py::{self, Args, Py, PyResult};
use rsgi_plugin_api::sys;
use std::ffi::c_char;

super::functions! {
    queue_push if slots() > 0;
    queue_pull if slots() > 0;
    queue_pop if slots() > 0;
    queue_get if slots() > 0;
    queue_set if slots() > 0;
    queue_last if slots() > 0;
    queue_slot if slots() > 0;
    queue_pull_slot if slots() > 0;
}

/// How many slots the queue has; 0: there is none.
pub fn slots() -> u64 {
    places().0
}

/// Slots, where the next one is pushed, where it is pulled.
fn places() -> (u64, u64, u64) {
    let (mut push, mut pull) = (0, 0);
    // SAFETY: two places.
    let slots = unsafe { sys::rsgi_queue_slots(&mut push, &mut pull) };
    (slots, push, pull)
}

/// A message of the host as bytes, or None.
fn message(read: impl FnOnce(*mut u64) -> *mut c_char) -> PyResult<Py> {
    let mut len = 0;
    let text = read(&mut len);
    if text.is_null() {
        return Ok(py::none());
    }
    // SAFETY: the host's copy of so many bytes, ours to free.
    unsafe {
        let message = py::bytes(std::slice::from_raw_parts(text.cast(), len as usize));
        libc::free(text.cast());
        message
    }
}

fn true_or_none(rc: i32) -> Py {
    if rc == 0 { py::boolean(true) } else { py::none() }
}

/// Argument `i` as a slot's number; a negative one is none.
fn slot(args: &Args, i: usize) -> PyResult<u64> {
    Ok(u64::try_from(args.int(i, 0)?).unwrap_or(u64::MAX))
}

/// `queue_push(message)`
fn queue_push(args: &Args) -> PyResult<Py> {
    let message = py::text_bytes(&args.need(0, "queue_push")?)?;
    // SAFETY: the host copies the message.
    Ok(true_or_none(unsafe {
        sys::uwsgi_queue_push(message.as_ptr().cast_mut().cast(), message.len() as u64)
    }))
}

/// `queue_set(slot, message)`
fn queue_set(args: &Args) -> PyResult<Py> {
    let slot = slot(args, 0)?;
    let message = py::text_bytes(&args.need(1, "queue_set")?)?;
    // SAFETY: as above.
    Ok(true_or_none(unsafe {
        sys::uwsgi_queue_set(slot, message.as_ptr().cast_mut().cast(), message.len() as u64)
    }))
}

/// `queue_pull()`
fn queue_pull(_: &Args) -> PyResult<Py> {
    // SAFETY: the host writes the length.
    message(|len| unsafe { sys::uwsgi_queue_pull(len) })
}

/// `queue_pop()`
fn queue_pop(_: &Args) -> PyResult<Py> {
    // SAFETY: as above.
    message(|len| unsafe { sys::uwsgi_queue_pop(len) })
}

/// `queue_get(slot)`
fn queue_get(args: &Args) -> PyResult<Py> {
    args.need(0, "queue_get")?;
    let slot = slot(args, 0)?;
    // SAFETY: as above.
    message(|len| unsafe { sys::uwsgi_queue_get(slot, len) })
}

/// `queue_last([count])`: the newest message, or a list of the newest ones.
fn queue_last(args: &Args) -> PyResult<Py> {
    let count = args.int(0, 0)?;
    // SAFETY: as above.
    let back = |n: u64| message(|len| unsafe { sys::rsgi_queue_last(n, len) });
    if count <= 0 {
        return back(0);
    }
    let count = (count as u64).min(slots());
    let items: PyResult<Vec<Py>> = (0..count).map(back).collect();
    py::list(&items?)
}

/// `queue_slot()`: where the next message is pushed.
fn queue_slot(_: &Args) -> PyResult<Py> {
    py::uint(places().1)
}

/// `queue_pull_slot()`: where the next one is pulled.
fn queue_pull_slot(_: &Args) -> PyResult<Py> {
    py::uint(places().2)
}
