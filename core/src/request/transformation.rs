//! What plugins make of an answer's body on its way out (`uwsgi_add_transformation()`): each part goes through those that
//! can work piece by piece, the whole through those that cannot, and at the end through those that ask for it.

use super::response::{self, ResponseError};
use super::{Core, bytes_of, place};
use crate::exports::{buffer_append, buffer_destroy, buffer_new};
use crate::plugin::inside::Brought;
use libc::iovec;
use rsgi_plugin_api::abi::{UwsgiTransform, UwsgiTransformation};
use std::ffi::c_void;
use std::ptr::null_mut;

/// The transformations of a request, in their order.
#[derive(Default)]
pub struct Transformations {
    /// Boxed: plugins hold their addresses.
    #[allow(clippy::vec_box)]
    chain: Vec<Box<UwsgiTransformation>>,
    /// The body's end went through them.
    is_done: bool,
}

impl Transformations {
    /// Whether there are none that have anything to do.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.chain.is_empty() || self.is_done
    }

    /// One more.
    pub fn add(&mut self, func: UwsgiTransform, data: *mut c_void) -> *mut UwsgiTransformation {
        let mut new = Box::new(UwsgiTransformation {
            func: Some(func),
            chunk: null_mut(),
            can_stream: 0,
            is_final: 0,
            flushed: 0,
            data,
            round: 0,
            fd: -1,
            ub: null_mut(),
            len: 0,
            custom64: 0,
            next: null_mut(),
        });
        let address: *mut UwsgiTransformation = &mut *new;
        if let Some(last) = self.chain.last_mut() {
            last.next = address;
        }
        self.chain.push(new);
        address
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.is_done = false;
        for gone in self.chain.drain(..) {
            // SAFETY: buffers that were made for this request, by us or a plugin.
            unsafe {
                buffer_destroy(gone.chunk);
                buffer_destroy(gone.ub);
            }
        }
    }
}

impl Drop for Transformations {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A transformation failed: the answer ends here.
fn failed() -> ResponseError {
    ResponseError::Malformed("a transformation failed")
}

/// Calls one with the text in its buffer; what is there then.
///
/// # Safety
/// `step` is a transformation of the request of `core`.
unsafe fn call(core: &mut Core, step: *mut UwsgiTransformation, text: &[u8]) -> Result<Vec<u8>, ResponseError> {
    // SAFETY: by the contract; the core is not touched through another reference while the plugin runs, and the buffer
    // is one of ours.
    unsafe {
        fill(step, text)?;
        let raw = core.expose();
        let Some(func) = (*step).func else { return Err(failed()) };
        (*step).round += 1;
        if Brought::of(c"transformation", func).call(|func| func(raw, step)) != 0 {
            return Err(failed());
        }
        let chunk = (*step).chunk;
        if chunk.is_null() {
            return Ok(Vec::new());
        }
        let made = crate::exports::bytes_of((*chunk).buf, (*chunk).pos).to_vec();
        (*chunk).pos = 0;
        Ok(made)
    }
}

/// Puts text behind what waits in the buffer of a transformation.
///
/// # Safety
/// `step` is a transformation of ours.
unsafe fn fill(step: *mut UwsgiTransformation, text: &[u8]) -> Result<(), ResponseError> {
    // SAFETY: by the contract.
    unsafe {
        if (*step).chunk.is_null() {
            (*step).chunk = buffer_new(text.len().max(1));
        }
        match buffer_append((*step).chunk, text) {
            true => Ok(()),
            false => Err(failed()),
        }
    }
}

fn steps(core: &mut Core) -> Vec<*mut UwsgiTransformation> {
    let chain = core.transformations.chain.iter_mut();
    chain.map(|step| &raw mut **step).collect()
}

/// Sends a part of a body through all of them; `last`: nothing follows.
///
/// # Errors
/// One of them failed, or the client has gone.
pub fn pass(core: &mut Core, body: &[iovec], last: bool) -> Result<(), ResponseError> {
    // SAFETY: the caller's parts describe memory that lives during the call.
    let mut text: Vec<u8> = body
        .iter()
        .flat_map(|part| unsafe { bytes_of(part) })
        .copied()
        .collect();
    if !core.response.is_sent() {
        // they look at the status
        response::ensure_started(core)?;
        response::forget_length(core);
    }
    if !text.is_empty() {
        for step in steps(core) {
            // SAFETY: steps of this request.
            unsafe {
                match ((*step).is_final != 0, (*step).can_stream != 0) {
                    (true, _) => {}
                    (false, true) => text = call(core, step, &text)?,
                    // it wants the whole: what comes behind it has nothing to do yet
                    (false, false) => {
                        fill(step, &text)?;
                        text.clear();
                        break;
                    }
                }
            }
        }
    }
    if last {
        return end(core, text);
    }
    match text.is_empty() {
        true => Ok(()),
        false => response::write_through(core, &[place(&text)], false),
    }
}

/// The end of the body: what waits goes on, with `text` behind it.
///
/// # Errors
/// As for [`pass`].
pub fn end(core: &mut Core, mut text: Vec<u8>) -> Result<(), ResponseError> {
    let steps = steps(core);
    let waits = steps.iter().position(|step| {
        // SAFETY: steps of this request.
        unsafe { (**step).is_final == 0 && (**step).can_stream == 0 }
    });
    for (at, step) in steps.into_iter().enumerate() {
        // SAFETY: as above.
        let (is_final, can_stream) = unsafe { ((*step).is_final != 0, (*step).can_stream != 0) };
        // those in front of the first that wants the whole have had every part
        let is_due = is_final || !can_stream || waits.is_some_and(|first| at > first && !text.is_empty());
        if is_due {
            // SAFETY: as above.
            text = unsafe { call(core, step, &text)? };
        }
    }
    core.transformations.is_done = true;
    response::write_through(core, &[place(&text)], true)
}
