//! Tasks for the spooler, and what is to be known about it.

use crate::spooler::{self, SpoolError};
use rsgi_plugin_api::abi::WsgiRequest;
use std::ffi::{CString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::Ordering;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_spool_request(
    _req: *mut WsgiRequest,
    packet: *mut c_char,
    len: usize,
    body: *mut c_char,
    body_len: usize,
) -> *mut c_char {
    // SAFETY: the header asks for two texts with their lengths.
    let (packet, body) = unsafe { (super::bytes(packet, len), super::bytes(body, body_len)) };
    let spooled = spooler::spoolers()
        .ok_or(SpoolError::NoSpooler)
        .and_then(|s| s.spool(packet, body));
    let path = spooled.map(|path| CString::new(path.as_os_str().as_bytes()).unwrap_or_default());
    match path {
        // SAFETY: a NUL-terminated text; the caller frees the copy.
        Ok(path) => unsafe { libc::strdup(path.as_ptr()) },
        Err(e) => {
            crate::say!("[spooler] unable to spool the request: {e}");
            std::ptr::null_mut()
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_spooler_dir(number: c_int, buf: *mut c_char, size: usize) -> c_int {
    let all = spooler::spoolers().map_or(&[][..], spooler::Spoolers::folders);
    let Some(folder) = usize::try_from(number).ok().and_then(|n| all.get(n)) else {
        return -1;
    };
    let text = folder.as_os_str().as_bytes();
    let len = text.len().min(size);
    // SAFETY: the header asks for `size` bytes to write to.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), buf.cast(), len) };
    len as c_int
}

#[unsafe(no_mangle)]
pub extern "C" fn rsgi_spooler_pid(number: c_int) -> c_int {
    let number = usize::try_from(number).ok();
    spooler::spoolers()
        .zip(number)
        .filter(|(all, n)| *n < all.process_count())
        .map_or(-1, |(all, n)| all.slot(n).pid.load(Ordering::Acquire))
}

#[unsafe(no_mangle)]
pub extern "C" fn rsgi_spooler_frequency(seconds: c_int) {
    if let (Some(all), Ok(seconds)) = (spooler::spoolers(), u32::try_from(seconds)) {
        all.set_frequency(seconds);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_spooler_job(number: c_int, buf: *mut c_char, size: usize) -> c_int {
    let all = spooler::spoolers().map(spooler::Spoolers::jobs).unwrap_or_default();
    let Some(path) = usize::try_from(number).ok().and_then(|n| all.get(n)) else {
        return -1;
    };
    let text = path.as_os_str().as_bytes();
    let len = text.len().min(size);
    // SAFETY: the header asks for `size` bytes to write to.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), buf.cast(), len) };
    len as c_int
}
