//! Actions of operators' hooks that plugins bring.

use crate::startup::hooks;
use std::ffi::{c_char, c_int};

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_register_hook(
    name: *mut c_char,
    func: Option<unsafe extern "C" fn(*mut c_char) -> c_int>,
) {
    let Some(func) = func else { return };
    // SAFETY: the header asks for a NUL-terminated name.
    hooks::OF_PLUGINS.bring("hook action", unsafe { super::text(name) }, func);
}
