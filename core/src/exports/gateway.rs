//! What a gateway plugin asks of the host.

use crate::process::gateway;
use rsgi_plugin_api::abi::UwsgiGateway;
use std::ffi::{c_char, c_int, c_void};

#[unsafe(no_mangle)]
pub unsafe extern "C" fn register_gateway(
    name: *mut c_char,
    func: Option<unsafe extern "C" fn(c_int, *mut c_void)>,
    data: *mut c_void,
) -> *mut UwsgiGateway {
    let Some(func) = func else {
        return std::ptr::null_mut();
    };
    // SAFETY: the header asks for a NUL-terminated name.
    let name = String::from_utf8_lossy(unsafe { super::text(name) }).into_owned();
    gateway::register(name, func, data);
    // opaque and never dereferenced: only its being not NULL says something
    std::ptr::NonNull::dangling().as_ptr()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_gateway_bind(address: *const c_char) -> c_int {
    // SAFETY: the header asks for a NUL-terminated address.
    let address = String::from_utf8_lossy(unsafe { super::text(address) }).into_owned();
    gateway::bind(&address).unwrap_or(-1)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_gateway_link(buf: *mut c_char, size: usize) -> isize {
    let address = gateway::link_address();
    if address.len() >= size {
        return -1;
    }
    // SAFETY: the header asks for `size` bytes.
    unsafe {
        std::ptr::copy_nonoverlapping(address.as_ptr(), buf.cast(), address.len());
        *buf.add(address.len()) = 0;
    }
    address.len() as isize
}
