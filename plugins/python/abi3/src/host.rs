//! Functions of the host that not every version of it has: looked up by name when the `uwsgi` module is made, so that
//! the module shows what there is and nothing else.

use rsgi_plugin_api::abi::WsgiRequest;
use std::ffi::{CStr, c_char, c_int, c_void};

fn find(name: &CStr) -> *mut c_void {
    // SAFETY: a lookup by name.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }
}

macro_rules! optional {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $symbol:literal;)*) => {$(
        $(#[$doc])*
        pub fn $name() -> Option<$type> {
            let found = find($symbol);
            // SAFETY: the host's symbol of this name has this type: it is part of the plugin contract.
            (!found.is_null()).then(|| unsafe { std::mem::transmute::<*mut c_void, $type>(found) })
        }
    )*};
}

optional! {
    /// Sets a log variable of the request: key, value.
    logvar_add: unsafe extern "C" fn(*mut WsgiRequest, *mut c_char, u8, *mut c_char, u8) = c"uwsgi_logvar_add";
    /// Reads one: its value into the pointer, the length returned; -1: none.
    logvar_get: unsafe extern "C" fn(*mut WsgiRequest, *mut c_char, u8, *mut *mut c_char) -> c_int = c"rsgi_logvar_get";
    /// What a one-letter placeholder of the configuration stands for: written to the buffer, its length; -1: unknown.
    magic: unsafe extern "C" fn(c_char, *mut c_char, usize) -> c_int = c"rsgi_magic";
    /// The next chunk of a chunked body: request, place of the length (0 at the end), seconds to wait, non-blocking.
    chunked_read: unsafe extern "C" fn(*mut WsgiRequest, *mut usize, c_int, c_int) -> *mut c_char = c"uwsgi_chunked_read";
    /// A worker with a loop of its own says that it is alive.
    notify_alive: unsafe extern "C" fn() = c"rsgi_notify_alive";
    /// Ends the client's connection while the request goes on.
    disconnect: unsafe extern "C" fn(*mut WsgiRequest) = c"uwsgi_disconnect";
}
