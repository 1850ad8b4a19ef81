//! The C API: thin `extern "C"` functions over the rooms that do the work. `include/uwsgi.h` documents each of them,
//! `core/exports.txt` lists them, a test compares the two with the built binary.
//!
//! Pointer rules are those of the header; each function trusts its caller to keep them, as C does.
#![allow(missing_docs, clippy::missing_safety_doc)]

mod alarm;
mod app;
mod buffer;
mod cache;
mod document;
mod emperor;
mod encode;
mod engine;
pub mod event_queue;
mod events;
mod file;
mod gateway;
mod hook;
mod host_option;
mod listen;
mod lock;
mod log;
mod memory;
mod metric;
mod mule;
mod number;
mod offload;
mod option;
mod outward;
mod protocol;
mod queue;
mod request;
mod resolve;
mod response;
mod routing;
mod rpc;
mod sharedarea;
mod signal;
mod small;
mod socket;
mod spooler;
mod string;
mod thread;
mod transformation;
#[cfg(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "loongarch64",
    target_arch = "riscv64",
    target_arch = "s390x"
))]
mod variadic;
mod websocket;

use std::ffi::{CStr, c_char};

/// The bytes of a C text, empty for NULL.
///
/// # Safety
/// `p` is NULL or NUL-terminated, and unchanged while the result lives.
unsafe fn text<'a>(p: *const c_char) -> &'a [u8] {
    if p.is_null() {
        return &[];
    }
    // SAFETY: by the contract.
    unsafe { CStr::from_ptr(p).to_bytes() }
}

/// The bytes at a pointer with a length, empty for NULL or a length of zero or less.
///
/// # Safety
/// `p` is NULL or points at `len` bytes that stay unchanged while the result lives.
unsafe fn bytes<'a>(p: *const c_char, len: impl TryInto<usize>) -> &'a [u8] {
    let len = len.try_into().unwrap_or(0);
    if p.is_null() || len == 0 {
        return &[];
    }
    // SAFETY: by the contract.
    unsafe { std::slice::from_raw_parts(p.cast(), len) }
}

/// Seconds since the epoch.
pub fn now() -> i64 {
    number::uwsgi_now()
}

/// Microseconds since the epoch.
pub fn micros() -> u64 {
    number::uwsgi_micros()
}

/// The bytes at a pointer with a length, empty for NULL or a length of zero or less: for what plugins return.
///
/// # Safety
/// As for the header's pointers: so many bytes that stay unchanged while the result lives.
pub unsafe fn bytes_of<'a>(p: *const c_char, len: impl TryInto<usize>) -> &'a [u8] {
    // SAFETY: by the contract.
    unsafe { bytes(p, len) }
}

/// A thread of its own with a queue, for what plugins hand over; NULL: there is none (said).
pub fn thread_with_queue(
    run: unsafe extern "C" fn(*mut rsgi_plugin_api::abi::UwsgiThread),
) -> *mut rsgi_plugin_api::abi::UwsgiThread {
    thread::uwsgi_thread_new(Some(run))
}

/// Waits for a descriptor of a queue; `None`: interrupted.
pub fn wait_in_queue(queue: i32) -> Option<i32> {
    let mut fd = -1;
    // SAFETY: a place of ours.
    let count = unsafe { event_queue::event_queue_wait(queue, -1, &mut fd) };
    (count > 0).then_some(fd)
}

/// A buffer of the C API with these bytes.
pub fn buffer_of(bytes: &[u8]) -> *mut rsgi_plugin_api::abi::UwsgiBuffer {
    buffer::of(bytes)
}

/// A buffer of the C API.
pub fn buffer_new(size: usize) -> *mut rsgi_plugin_api::abi::UwsgiBuffer {
    buffer::uwsgi_buffer_new(size)
}

/// Adds bytes to a buffer; whether there was room.
///
/// # Safety
/// It is one of the C API.
pub unsafe fn buffer_append(to: *mut rsgi_plugin_api::abi::UwsgiBuffer, bytes: &[u8]) -> bool {
    // SAFETY: by the contract.
    unsafe { buffer::uwsgi_buffer_append(to, bytes.as_ptr().cast_mut().cast(), bytes.len()) == 0 }
}

/// Gives a buffer of the C API back, unless it is NULL.
///
/// # Safety
/// It is NULL, or one of the C API that nobody uses any more.
pub unsafe fn buffer_destroy(gone: *mut rsgi_plugin_api::abi::UwsgiBuffer) {
    // SAFETY: by the contract.
    unsafe { buffer::uwsgi_buffer_destroy(gone) }
}

pub use lock::OPS as LOCK_OPS;
pub use socket::{
    uwsgi_simple_wait_read_hook as wait_read, uwsgi_simple_wait_write_hook as wait_write,
    uwsgi_socket_nb as socket_nonblocking, wait_milliseconds, wait_read2,
};
