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
    crate::plugin::inside::end::tell_exit(code);
    crate::process::exit(code)
}

/// A copy that the caller frees with `free()`; a NUL that is not counted follows.
pub(super) fn copy(bytes: &[u8]) -> *mut std::ffi::c_char {
    let place = uwsgi_malloc(bytes.len() + 1).cast::<u8>();
    // SAFETY: just allocated with one byte more.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len());
        *place.add(bytes.len()) = 0;
    }
    place.cast()
}
