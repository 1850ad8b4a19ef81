//! Messages to mules and farms, for plugins written in Rust.

use crate::{HookError, sys, text};
use std::ffi::c_int;

/// The longest message; the host takes no longer one.
pub const LARGEST: usize = 65_536;

/// What the host said to a message: `false` when the queue is full.
fn sent(rc: c_int, nobody: &str) -> Result<bool, HookError> {
    match rc {
        0 => Ok(true),
        -1 => Ok(false),
        -3 => Err(HookError::new(
            "a message has at most 65536 bytes (see also mule-msg-size)",
        )),
        _ => Err(HookError::new(nobody)),
    }
}

/// Sends a message to a mule, 0: to whichever is free first. `false`: its queue is full.
///
/// # Errors
/// There is no such mule, or the message is too long.
pub fn send(mule: c_int, message: &[u8]) -> Result<bool, HookError> {
    // SAFETY: the host reads the message during the call.
    let rc = unsafe { sys::rsgi_mule_send(mule, message.as_ptr().cast(), message.len()) };
    match mule {
        0 => sent(rc, "no mule configured"),
        _ => sent(rc, &format!("invalid mule number {mule}")),
    }
}

/// Sends a message to a farm. `false`: its queue is full.
///
/// # Errors
/// There is no such farm, or the message is too long.
pub fn send_to_farm(farm: &[u8], message: &[u8]) -> Result<bool, HookError> {
    let name = text::to_host(farm, "the farm's name")?;
    // SAFETY: the host reads name and message during the call.
    let rc = unsafe { sys::rsgi_farm_send(name.as_ptr(), message.as_ptr().cast(), message.len()) };
    sent(rc, &format!("unknown farm {}", String::from_utf8_lossy(farm)))
}

/// Waits for a message to this mule, so many seconds (-1: for ever); `None`: nothing came.
///
/// # Errors
/// This process is not a mule.
pub fn receive(signals: bool, farms: bool, timeout: c_int) -> Result<Option<Vec<u8>>, HookError> {
    // SAFETY: a plain read of the published view.
    if unsafe { sys::uwsgi.muleid } == 0 {
        return Err(HookError::new("mule messages are received in a mule only"));
    }
    let mut message = vec![0u8; LARGEST];
    let (to, size) = (message.as_mut_ptr().cast(), message.len());
    // SAFETY: the host writes at most so many bytes.
    let len = unsafe { sys::uwsgi_mule_get_msg(signals.into(), farms.into(), to, size, timeout) };
    Ok(usize::try_from(len).ok().map(|len| {
        message.truncate(len);
        message
    }))
}
