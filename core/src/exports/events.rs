//! The worker's event loop in the hands of a plugin.

use crate::request::Core;
use crate::say;
use crate::worker::events;
use rsgi_plugin_api::abi::{RsgiEvents, WsgiRequest};
use std::ffi::c_int;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_events_begin(hooks: *const RsgiEvents) -> c_int {
    // SAFETY: the header asks for a struct of ours.
    let hooks = unsafe { *hooks };
    if hooks.size != size_of::<RsgiEvents>() {
        say!("rsgi_events_begin: the plugin was built with another struct rsgi_events; rebuild it");
        return -1;
    }
    match events::begin(hooks) {
        Ok(fd) => fd,
        Err(e) => {
            say!("cannot begin an event loop: {e}");
            -1
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn rsgi_events_on_signal(seen: Option<unsafe extern "C" fn(u8, c_int) -> c_int>) {
    crate::signal::dispatch::tell(seen);
}

#[unsafe(no_mangle)]
pub extern "C" fn rsgi_events_turn() -> c_int {
    events::turn() as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_events_finish(req: *mut WsgiRequest, complete: c_int) -> c_int {
    // SAFETY: the header asks for a request of ours.
    c_int::from(events::finish(unsafe { Core::of(req) }, complete != 0))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_events_kept(req: *mut WsgiRequest) -> usize {
    // SAFETY: the header asks for a request of ours.
    unsafe { Core::of(req).outlet.kept() as usize }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_events_wait(req: *mut WsgiRequest) {
    // SAFETY: the header asks for a request of ours.
    let core = unsafe { Core::of(req) };
    if core.outlet.kept() == 0 {
        core.outlet = crate::request::outlet::Outlet::default();
    }
}
