//! Pieces of request lines that plugins fill in: `%(name)` of `--log-format`. Registered in the start, called by workers.

use super::request::clean;
use rsgi_plugin_api::abi::{UwsgiLogchunkFn, WsgiRequest};
use std::sync::{Mutex, PoisonError};

/// What a plugin offers under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Its place in the list.
    place: usize,
    need_free: bool,
}

static KNOWN: Mutex<Vec<(Vec<u8>, UwsgiLogchunkFn, bool)>> = Mutex::new(Vec::new());

/// A piece by its name; one of the same name gets another function.
pub fn register(name: &[u8], func: UwsgiLogchunkFn, need_free: bool) {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.retain(|(other, _, _)| other != name);
    known.push((name.to_vec(), func, need_free));
}

/// The piece of this name, for a template that is read when all plugins are there.
pub fn find(name: &str) -> Option<Chunk> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let place = known.iter().position(|(other, _, _)| other == name.as_bytes())?;
    let need_free = known[place].2;
    Some(Chunk { place, need_free })
}

impl Chunk {
    /// Hands the text to `use_it`: empty when there is none.
    pub fn with_text(self, req: &WsgiRequest, use_it: impl FnOnce(&[u8])) {
        let func = KNOWN.lock().unwrap_or_else(PoisonError::into_inner)[self.place].1;
        let mut text = std::ptr::null_mut();
        // SAFETY: the request is this thread's and finished; the function is called as the header states, and what it
        // returns is a text with its length, which is ours to free if the plugin has said so.
        unsafe {
            let len = func(std::ptr::from_ref(req).cast_mut(), &mut text);
            use_it(super::super::exports::bytes_of(text, len));
            if self.need_free {
                libc::free(text.cast());
            }
        }
    }
}

/// Writes a piece as it is, but for control characters; a dash when there is none.
pub fn write(line: &mut Vec<u8>, text: &[u8]) {
    match text.is_empty() {
        true => line.push(b'-'),
        false => clean(line, text),
    }
}
