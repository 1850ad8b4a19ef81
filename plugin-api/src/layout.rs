//! A second look at Rust plugins, after the stamp: both sides compare, field by field, the structs that they were
//! compiled with. It sees what sizes cannot, such as two fields that changed places. C plugins have no such report;
//! for them the header is the contract.

use crate::abi::{
    UwsgiApp, UwsgiBuffer, UwsgiCore, UwsgiLogger, UwsgiOpt, UwsgiOption, UwsgiPlugin, UwsgiServer, UwsgiSocket,
    UwsgiStringList, UwsgiWorker, WsgiRequest,
};
use abi_stable::StableAbi;
use abi_stable::abi_stability::check_layout_compatibility;
use abi_stable::type_layout::TypeLayout;
use std::ffi::c_void;

/// The name of the function that `export_plugin!` adds.
pub const SYMBOL: &str = "rsgi_plugin_layout";

/// Everything that both sides must agree on.
#[repr(C)]
#[derive(StableAbi)]
#[allow(dead_code)] // never made: only its layout is compared
struct Agreed {
    plugin: UwsgiPlugin,
    option: UwsgiOption,
    opt: UwsgiOpt,
    string_list: UwsgiStringList,
    buffer: UwsgiBuffer,
    request: WsgiRequest,
    logger: UwsgiLogger,
    app: UwsgiApp,
    core: UwsgiCore,
    worker: UwsgiWorker,
    socket: UwsgiSocket,
    server: UwsgiServer,
}

/// The layouts of this side.
pub fn own() -> *const c_void {
    std::ptr::from_ref::<TypeLayout>(<Agreed as StableAbi>::LAYOUT).cast()
}

/// Compares the layouts of a plugin with ours.
///
/// # Errors
/// The report of the differences.
///
/// # Safety
/// `theirs` came from [`own`] of a loaded plugin.
pub unsafe fn check(theirs: *const c_void) -> Result<(), String> {
    // SAFETY: by the contract; plugins are never unloaded.
    let theirs = unsafe { &*theirs.cast::<TypeLayout>() };
    let report = check_layout_compatibility(<Agreed as StableAbi>::LAYOUT, theirs);
    report.into_result().map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_side_agrees_with_itself() {
        // SAFETY: our own layout.
        unsafe { check(own()) }.unwrap();
    }

    #[test]
    fn a_field_of_another_kind_is_reported() {
        #[repr(C)]
        #[derive(StableAbi)]
        #[allow(dead_code)] // only its layout is compared
        struct Agreed {
            plugin: u64,
        }
        let other = std::ptr::from_ref::<TypeLayout>(<Agreed as StableAbi>::LAYOUT).cast();
        // SAFETY: a layout of the same crate.
        assert!(unsafe { check(other) }.is_err());
    }
}
