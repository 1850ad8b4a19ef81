//! A second look at Rust plugins, after the stamp: both sides compare, field by field, the structs that they were
//! compiled with. It sees what sizes cannot, such as two fields that changed places. C plugins have no such report;
//! for them the header is the contract.

use crate::abi::{
    UwsgiApp, UwsgiBuffer, UwsgiCore, UwsgiLogger, UwsgiOpt, UwsgiOption, UwsgiPlugin, UwsgiServer, UwsgiSocket,
    UwsgiStringList, UwsgiWorker, WsgiRequest,
};
use abi_stable::StableAbi;
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

/// Compares the layouts of a plugin with ours: each struct must begin as ours does. One that has grown at its end, or
/// into what was reserved, is the same to whoever knows its beginning alone.
///
/// # Errors
/// The first difference, in a line.
///
/// # Safety
/// `theirs` came from [`own`] of a loaded plugin.
pub unsafe fn check(theirs: *const c_void) -> Result<(), String> {
    // SAFETY: by the contract; plugins are never unloaded.
    let theirs = fields(unsafe { &*theirs.cast::<TypeLayout>() });
    let ours = fields(<Agreed as StableAbi>::LAYOUT);
    for (name, their) in theirs {
        if let Some((_, our)) = ours.iter().find(|(n, _)| *n == name) {
            same_beginning(our, their)?;
        }
    }
    Ok(())
}

fn fields(of: &'static TypeLayout) -> Vec<(&'static str, &'static TypeLayout)> {
    let fields = of.get_fields().into_iter().flat_map(|fields| fields.iter());
    fields.map(|field| (field.name(), field.layout())).collect()
}

/// With `repr(C)`, fields of equal sizes in the same order lie at the same places.
fn same_beginning(ours: &'static TypeLayout, theirs: &'static TypeLayout) -> Result<(), String> {
    let shape = |(name, layout): (&'static str, &'static TypeLayout)| (name, layout.size(), layout.alignment());
    let (our_fields, their_fields) = (fields(ours), fields(theirs));
    for (our, their) in our_fields
        .into_iter()
        .map(shape)
        .zip(their_fields.into_iter().map(shape))
    {
        if our.0.starts_with("reserved") || their.0.starts_with("reserved") {
            break;
        }
        if our != their {
            return Err(format!(
                "{}: the plugin has {} ({} bytes) where this server has {} ({} bytes)",
                ours.name(),
                their.0,
                their.1,
                our.0,
                our.1
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_side_agrees_with_itself() {
        // SAFETY: our own layout.
        unsafe { check(own()) }.unwrap();
    }

    macro_rules! other {
        ($($body:tt)*) => {{
            mod other {
                use abi_stable::StableAbi;
                #[repr(C)]
                #[derive(StableAbi)]
                #[allow(dead_code)] // only its layout is compared
                pub struct Agreed {
                    buffer: UwsgiBuffer,
                }
                #[repr(C)]
                #[derive(StableAbi)]
                #[allow(dead_code)] // only its layout is compared
                struct UwsgiBuffer { $($body)* }
            }
            std::ptr::from_ref::<TypeLayout>(<other::Agreed as StableAbi>::LAYOUT).cast()
        }};
    }

    #[test]
    fn structs_may_grow_at_their_end() {
        let theirs = other! { buf: *mut i8, pos: usize, };
        // SAFETY: a layout of the same crate.
        assert_eq!(unsafe { check(theirs) }, Ok(()));
        let theirs = other! { buf: *mut i8, pos: usize, reserved: [u64; 9], };
        // SAFETY: as above.
        assert_eq!(unsafe { check(theirs) }, Ok(()));
    }

    #[test]
    fn a_field_of_another_kind_or_in_another_place_is_reported() {
        for theirs in [
            other! { buf: *mut i8, pos: u32, },
            other! { buf: *mut i8, len: usize, },
            other! { pos: usize, buf: *mut i8, },
        ] {
            // SAFETY: as above.
            let report = unsafe { check(theirs) }.unwrap_err();
            assert!(report.starts_with("UwsgiBuffer: the plugin has "), "{report}");
        }
    }
}
