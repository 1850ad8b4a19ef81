//! Internal routing: actions, conditions and variables that plugins offer, and texts of rules filled in.

use crate::request::Core;
use crate::routing::plugin::{self, ConditionFn, RouterFn, VariableFn};
use crate::say;
use rsgi_plugin_api::abi::{UwsgiBuffer, UwsgiRoute, UwsgiRouteCondition, UwsgiRouteVar, UwsgiRouter, WsgiRequest};
use std::ffi::{c_char, c_int};

/// A name as text.
///
/// # Safety
/// It is NULL or ends with a NUL.
unsafe fn name(text: *mut c_char) -> String {
    // SAFETY: by the contract of this very function.
    String::from_utf8_lossy(unsafe { super::text(text) }).into_owned()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_register_router(text: *mut c_char, func: Option<RouterFn>) -> *mut UwsgiRouter {
    // SAFETY: the header asks for a NUL-terminated name.
    let name = unsafe { name(text) };
    func.map_or(std::ptr::null_mut(), |func| plugin::register_action(&name, func))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_register_route_condition(
    text: *mut c_char,
    func: Option<ConditionFn>,
) -> *mut UwsgiRouteCondition {
    // SAFETY: the header asks for a NUL-terminated name.
    let name = unsafe { name(text) };
    func.map_or(std::ptr::null_mut(), |func| plugin::register_condition(&name, func))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_register_route_var(text: *mut c_char, func: Option<VariableFn>) -> *mut UwsgiRouteVar {
    // SAFETY: the header asks for a NUL-terminated name.
    let name = unsafe { name(text) };
    func.map_or(std::ptr::null_mut(), |func| plugin::register_variable(&name, func))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_routing_translate(
    req: *mut WsgiRequest,
    _route: *mut UwsgiRoute,
    _subject: *mut c_char,
    _subject_len: u16,
    data: *mut c_char,
    len: usize,
) -> *mut UwsgiBuffer {
    // SAFETY: the header asks for a request of ours and a text with its length.
    let (core, text) = unsafe { (Core::of(req), super::bytes(data, len)) };
    let filled = crate::routing::fill(core, text);
    filled.map_or(std::ptr::null_mut(), |text| {
        rsgi_plugin_api::export::new_buffer(Some(text))
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_route_api_func(req: *mut WsgiRequest, action: *mut c_char, args: *mut c_char) -> c_int {
    // SAFETY: the header asks for a request of ours and two NUL-terminated texts.
    let (core, action, args) = unsafe { (Core::of(req), name(action), name(args)) };
    match crate::routing::act(core, &format!("{action}:{args}")) {
        Ok(verdict) => verdict.code(),
        Err(why) => {
            say!("route: {why}");
            -1
        }
    }
}
