//! Texts that cross the C border: to the host with a NUL behind them, and back from memory that the host gave away.

use crate::HookError;
use std::ffi::{CString, c_char};

/// A text for the host; `what` names it in the error.
pub(crate) fn to_host(value: &[u8], what: &str) -> Result<CString, HookError> {
    CString::new(value).map_err(|_| HookError::new(format!("{what} contains a NUL")))
}

/// Copies a text that the host gave away, and frees it; `None` for NULL.
///
/// # Safety
/// `text` is NULL, or `len` bytes from `malloc()` that nobody else frees.
pub(crate) unsafe fn from_host(text: *mut c_char, len: u64) -> Option<Vec<u8>> {
    if text.is_null() {
        return None;
    }
    // SAFETY: by the contract.
    unsafe {
        let copy = std::slice::from_raw_parts(text.cast::<u8>(), len as usize).to_vec();
        libc::free(text.cast());
        Some(copy)
    }
}
