//! Remote procedures.

use crate::rpc::{self, CallError, Response};
use crate::server;
use rsgi_plugin_api::abi::UwsgiPlugin;
use std::ffi::{c_char, c_int, c_void};

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_register_rpc(
    name: *mut c_char,
    plugin: *mut UwsgiPlugin,
    _argc: u8,
    function: *mut c_void,
) -> c_int {
    // SAFETY: the header asks for a NUL-terminated name and a plugin.
    let (name, plugin) = unsafe { (super::text(name), plugin.as_ref()) };
    let Some(plugin) = plugin else { return -1 };
    // SAFETY: written in the single-threaded start, before any plugin's init.
    let most = unsafe { (*server::view()).rpc_max } as usize;
    match rpc::register(name, plugin, function, most) {
        Ok(()) => 0,
        Err(e) => {
            crate::say!(
                "unable to register rpc function \"{}\": {e}",
                String::from_utf8_lossy(name)
            );
            -1
        }
    }
}

/// The arguments of a call.
///
/// # Safety
/// `argv` and `argvs` have `argc` entries, each text has its length.
unsafe fn arguments<'a>(argc: u8, argv: *mut *mut c_char, argvs: *mut u16) -> Vec<&'a [u8]> {
    (0..usize::from(argc))
        // SAFETY: by the contract.
        .map(|n| unsafe { super::bytes(*argv.add(n), *argvs.add(n)) })
        .collect()
}

fn said(name: &[u8], result: Result<Option<Response>, CallError>) -> Option<Response> {
    result.unwrap_or_else(|e| {
        crate::say!("unable to call rpc function \"{}\": {e}", String::from_utf8_lossy(name));
        None
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_rpc(
    name: *mut c_char,
    argc: u8,
    argv: *mut *mut c_char,
    argvs: *mut u16,
    response: *mut *mut c_char,
) -> u64 {
    // SAFETY: the header asks for a name and that many arguments.
    let (name, arguments) = unsafe { (super::text(name), arguments(argc, argv, argvs)) };
    let Some(answer) = said(name, rpc::call(name, &arguments)) else {
        return 0;
    };
    let (text, len) = answer.into_raw();
    // SAFETY: the header asks for a place; the memory goes to the caller.
    unsafe { *response = text };
    len as u64
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_do_rpc(
    node: *mut c_char,
    name: *mut c_char,
    argc: u8,
    argv: *mut *mut c_char,
    argvs: *mut u16,
    len: *mut u64,
) -> *mut c_char {
    // SAFETY: the header asks for NULL or a node, a name and that many arguments.
    let (node, called) = unsafe { (String::from_utf8_lossy(super::text(node)), super::text(name)) };
    if node.is_empty() {
        let mut text = std::ptr::null_mut();
        // SAFETY: by the contract of this very function.
        unsafe { *len = uwsgi_rpc(name, argc, argv, argvs, &mut text) };
        return text;
    }
    // SAFETY: as above.
    let arguments = unsafe { arguments(argc, argv, argvs) };
    let answer = rpc::remote::call(&node, called, &arguments, server::socket_limit());
    let text = answer.unwrap_or_else(|e| {
        crate::say!(
            "unable to call rpc function \"{}\": {e}",
            String::from_utf8_lossy(called)
        );
        None
    });
    let text = text.unwrap_or_default();
    // SAFETY: the header asks for a place.
    unsafe { *len = text.len() as u64 };
    if text.is_empty() {
        return std::ptr::null_mut();
    }
    super::memory::copy(&text)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_rpc_name(number: c_int, buf: *mut c_char, size: usize) -> c_int {
    let names = rpc::names();
    let Some(name) = usize::try_from(number).ok().and_then(|n| names.get(n)) else {
        return -1;
    };
    let len = name.len().min(size);
    // SAFETY: the header asks for `size` bytes to write to.
    unsafe { std::ptr::copy_nonoverlapping(name.as_ptr(), buf.cast(), len) };
    len as c_int
}
