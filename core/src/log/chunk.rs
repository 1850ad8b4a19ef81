//! Pieces of request lines that plugins fill in: `%(name)` of `--log-format`. Registered in the start, called by workers.

use super::request::clean;
use crate::plugin::inside::Brought;
use crate::plugin::offered::Offered;
use rsgi_plugin_api::abi::{UwsgiLogchunkFn, WsgiRequest};

/// What a plugin offers under a name.
#[derive(Debug, Clone, Copy)]
pub struct Chunk {
    /// What fills it in.
    pub func: Brought<UwsgiLogchunkFn>,
    /// The text is from malloc() and ours.
    pub need_free: bool,
}

impl PartialEq for Chunk {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::fn_addr_eq(self.func.function(), other.func.function()) && self.need_free == other.need_free
    }
}

impl Eq for Chunk {}

/// Those that plugins bring.
pub static CHUNKS: Offered<Chunk> = Offered::none();

impl Chunk {
    /// Hands the text to `use_it`: empty when there is none.
    pub fn with_text(self, req: &WsgiRequest, use_it: impl FnOnce(&[u8])) {
        let mut text = std::ptr::null_mut();
        // SAFETY: the request is this thread's and finished; the function is called as the header states, and what it
        // returns is a text with its length, which is ours to free if the plugin has said so.
        unsafe {
            let len = self
                .func
                .call(|func| func(std::ptr::from_ref(req).cast_mut(), &mut text));
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
