//! Transformations of answers.

use crate::request::Core;
use rsgi_plugin_api::abi::{UwsgiTransform, UwsgiTransformation, WsgiRequest};
use std::ffi::c_void;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_add_transformation(
    req: *mut WsgiRequest,
    func: Option<UwsgiTransform>,
    data: *mut c_void,
) -> *mut UwsgiTransformation {
    let Some(func) = func else { return std::ptr::null_mut() };
    // SAFETY: the header asks for a request of ours.
    unsafe { Core::of(req) }.transformations.add(func, data)
}
