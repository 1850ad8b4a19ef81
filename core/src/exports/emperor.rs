//! Sources of vassals that plugins bring.

use crate::emperor::monitor;
use rsgi_plugin_api::abi::{UwsgiEmperorScanner, UwsgiInstance, UwsgiLegion, UwsgiLegionAction, UwsgiMonitorFn};
use std::ffi::{c_char, c_int};

/// A name as text.
///
/// # Safety
/// It is NULL or ends with a NUL.
unsafe fn name(text: *mut c_char) -> String {
    // SAFETY: by the contract.
    String::from_utf8_lossy(unsafe { super::text(text) }).into_owned()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_register_imperial_monitor(
    scheme: *mut c_char,
    init: Option<UwsgiMonitorFn>,
    look: Option<UwsgiMonitorFn>,
) {
    // SAFETY: the header asks for a NUL-terminated name.
    monitor::register(&unsafe { name(scheme) }, init, look);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn emperor_get(id: *mut c_char) -> *mut UwsgiInstance {
    // SAFETY: the header asks for a NUL-terminated name.
    monitor::find(&unsafe { name(id) })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn emperor_add(
    _scanner: *mut UwsgiEmperorScanner,
    id: *mut c_char,
    modified: libc::time_t,
    config: *mut c_char,
    len: u32,
    uid: libc::uid_t,
    gid: libc::gid_t,
    _socket: *mut c_char,
) {
    // SAFETY: the header asks for a NUL-terminated name, and a text with its length or NULL.
    let (id, text) = unsafe { (name(id), super::bytes(config, len)) };
    monitor::add(&id, modified, (!config.is_null()).then_some(text), (uid, gid));
}

#[unsafe(no_mangle)]
pub extern "C" fn emperor_stop(vassal: *mut UwsgiInstance) {
    monitor::stop(vassal);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn emperor_respawn(vassal: *mut UwsgiInstance, modified: libc::time_t) {
    // SAFETY: the header asks for what emperor_get() gave.
    unsafe { monitor::respawn(vassal, modified) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_emperor_simple_do(
    scanner: *mut UwsgiEmperorScanner,
    id: *mut c_char,
    config: *mut c_char,
    modified: libc::time_t,
    uid: libc::uid_t,
    gid: libc::gid_t,
    socket: *mut c_char,
) {
    // SAFETY: the header asks for NUL-terminated texts; the record is ours.
    unsafe {
        let known = emperor_get(id);
        let len = super::text(config).len() as u32;
        match known.as_mut() {
            None => emperor_add(scanner, id, modified, config, len, uid, gid, socket),
            Some(vassal) if modified > vassal.last_mod => {
                (vassal.config, vassal.config_len) = (config, len);
                emperor_respawn(known, modified);
                (vassal.config, vassal.config_len) = (std::ptr::null_mut(), 0);
            }
            Some(_) => {}
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_master_manage_emperor_proxy() {
    crate::say!("a plugin asks for the emperor's proxy of descriptors, which this server does not have");
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_ssl_init() {
    // SAFETY: in the start, or in one thread; OpenSSL makes itself ready when it is first used.
    unsafe { (*crate::server::view()).ssl_initialized = 1 };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_legion_action_register(
    action: *mut c_char,
    func: Option<unsafe extern "C" fn(*mut UwsgiLegion, *mut c_char) -> c_int>,
) -> *mut UwsgiLegionAction {
    // SAFETY: the header asks for a NUL-terminated name.
    let shown = unsafe { name(action) };
    crate::say!("a plugin brings the legion action \"{shown}\": there are no legions here, it is never called");
    Box::into_raw(Box::new(UwsgiLegionAction {
        name: action,
        func,
        log_msg: std::ptr::null_mut(),
        next: std::ptr::null_mut(),
    }))
}
