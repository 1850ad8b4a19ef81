//! Memory and the end of the process.

use std::ffi::{c_int, c_void};

/// Ends the process when memory is gone: nothing can go on, and the line says which size was asked.
fn checked(p: *mut c_void, size: usize) -> *mut c_void {
    if p.is_null() {
        crate::log::line(&format!("out of memory: a plugin asked for {size} bytes"));
        std::process::abort();
    }
    p
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_malloc(size: usize) -> *mut c_void {
    // SAFETY: malloc may be called with any size.
    checked(unsafe { libc::malloc(size.max(1)) }, size)
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_calloc(size: usize) -> *mut c_void {
    // SAFETY: calloc may be called with any size.
    checked(unsafe { libc::calloc(1, size.max(1)) }, size)
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_exit(code: c_int) -> ! {
    crate::process::exit(code)
}
