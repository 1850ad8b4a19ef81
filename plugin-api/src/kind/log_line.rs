//! Pieces of request lines, and what becomes of lines on their way.

use super::{bytes, given, text};
use crate::abi::{UwsgiLogEncoder, WsgiRequest};
use crate::{HookError, Request, guard, sys};
use std::ffi::{CStr, c_char};

/// A piece of request lines: `%(NAME)` of `--log-format`.
pub trait LogChunk {
    /// Its text; `None`: a dash is written. In the worker, after the answer.
    ///
    /// # Errors
    /// Said in the log; a dash is written.
    fn text(req: &mut Request<'_>) -> Result<Option<Vec<u8>>, HookError>;
}

/// Offers a piece of request lines.
pub fn log_chunk<T: LogChunk>(name: &'static CStr) {
    unsafe extern "C" fn call<T: LogChunk>(req: *mut WsgiRequest, place: *mut *mut c_char) -> isize {
        // SAFETY: the host hands its request and a place.
        guard::hook("log chunk", std::any::type_name::<T>(), 0, || unsafe {
            let Some(text) = T::text(&mut Request::from_raw(req))? else {
                return Ok(0);
            };
            *place = given(&text);
            Ok(text.len() as isize)
        })
    }
    // SAFETY: a constant name, and a function that stays.
    unsafe { sys::uwsgi_register_logchunk(name.as_ptr().cast_mut(), Some(call::<T>), 1) };
}

/// What becomes of log lines: `--log-encoder NAME[:LOGGER] ARGUMENT`.
pub trait LogEncoder {
    /// The line in another form; `None`: it stays as it is. In the process that delivers lines.
    ///
    /// # Errors
    /// Said in the log; the line stays as it is.
    fn encode(argument: &str, line: &[u8]) -> Result<Option<Vec<u8>>, HookError>;
}

/// Offers an encoder.
pub fn log_encoder<T: LogEncoder>(name: &'static CStr) {
    unsafe extern "C" fn call<T: LogEncoder>(
        encoder: *mut UwsgiLogEncoder,
        line: *mut c_char,
        len: usize,
        size: *mut usize,
    ) -> *mut c_char {
        let none = std::ptr::null_mut();
        // SAFETY: the host hands its record, a line with its length, and a place.
        guard::hook("log encoder", std::any::type_name::<T>(), none, || unsafe {
            let Some(made) = T::encode(&text((*encoder).args), bytes(line, len))? else {
                return Ok(none);
            };
            *size = made.len();
            Ok(given(&made))
        })
    }
    // SAFETY: a constant name, and a function that stays.
    unsafe { sys::uwsgi_register_log_encoder(name.as_ptr().cast_mut(), Some(call::<T>)) };
}
