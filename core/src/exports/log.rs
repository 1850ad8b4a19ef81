//! Log lines of plugins.

use rsgi_plugin_api::abi::{UwsgiLogger, WsgiRequest};
use std::ffi::c_char;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_log_str(text: *const c_char, len: usize) {
    // SAFETY: the header asks for a pointer with its length.
    crate::log::write(unsafe { super::bytes(text, len) });
}

/// Behind `uwsgi_log_verbose`: the same with a time stamp in front.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_log_verbose_str(text: *const c_char, len: usize) {
    // SAFETY: the header asks for a pointer with its length.
    crate::log::write_stamped(unsafe { super::bytes(text, len) });
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn log_request(req: *mut WsgiRequest) {
    // SAFETY: the header asks for the host's request of this core.
    unsafe { crate::log::request::write_line(&mut *req) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_register_logger(
    name: *mut c_char,
    func: Option<unsafe extern "C" fn(*mut UwsgiLogger, *mut c_char, usize) -> isize>,
) {
    let Some(func) = func else { return };
    // SAFETY: the header asks for a NUL-terminated name.
    crate::log::sink::register(unsafe { super::text(name) }, func);
}
