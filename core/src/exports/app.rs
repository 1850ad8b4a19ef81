//! Applications, as request plugins register them, and a plugin's own number.

use super::bytes;
use crate::plugin::registry::registry;
use crate::server::apps;
use rsgi_plugin_api::abi::{UwsgiApp, UwsgiPlugin};
use std::ffi::{c_char, c_int, c_void};

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_add_app(
    id: c_int,
    modifier1: u8,
    mountpoint: *mut c_char,
    len: c_int,
    interpreter: *mut c_void,
    callable: *mut c_void,
) -> *mut UwsgiApp {
    // SAFETY: the header asks for a mountpoint with its length.
    let mountpoint = unsafe { bytes(mountpoint, len) };
    match apps().add(id, modifier1, mountpoint, interpreter, callable) {
        Some(app) => app,
        None => {
            crate::say!(
                "cannot register app {id} under {:?}: at most {} apps, mountpoints of at most 254 bytes",
                String::from_utf8_lossy(mountpoint),
                crate::apps::MAX_APPS
            );
            std::ptr::null_mut()
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_emulate_cow_for_apps(_id: c_int) {
    // the table is in private memory and copied by the fork: every worker sees what was loaded before it
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_apps_of_process() -> *mut UwsgiApp {
    apps().records()
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_apps_cnt_of_process() -> *mut c_int {
    apps().count_place()
}

#[unsafe(no_mangle)]
pub extern "C" fn rsgi_plugin_modifier(plugin: *const UwsgiPlugin) -> c_int {
    registry().modifier_of(plugin).map_or(-1, c_int::from)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_set_processname(name: *mut c_char) {
    // SAFETY: the header asks for a NUL-terminated text.
    crate::startup::procname::set(unsafe { super::text(name) });
}
