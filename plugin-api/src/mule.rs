//! Messages to mules and farms, for plugins written in Rust.

use crate::{HookError, sys, text};
use std::ffi::{c_char, c_int};

/// The longest message; the host takes no longer one.
pub const LARGEST: usize = 65_536;

/// What the host said to a message: `false` when the queue is full, `None` when nobody is there to take it.
fn sent(rc: c_int) -> Result<Option<bool>, HookError> {
    match rc {
        0 => Ok(Some(true)),
        -1 => Ok(Some(false)),
        -3 => Err(HookError::new(
            "a message has at most 65536 bytes (see also mule-msg-size)",
        )),
        _ => Ok(None),
    }
}

/// Sends a message to a mule, 0: to whichever is free first. `false`: its queue is full.
///
/// # Errors
/// There is no such mule, or the message is too long.
pub fn send(mule: c_int, message: &[u8]) -> Result<bool, HookError> {
    // SAFETY: the host reads the message during the call.
    let rc = unsafe { sys::rsgi_mule_send(mule, message.as_ptr().cast(), message.len()) };
    sent(rc)?.ok_or_else(|| match mule {
        0 => HookError::new("no mule configured"),
        _ => HookError::new(format!("invalid mule number {mule}")),
    })
}

/// Sends a message to a farm. `false`: its queue is full; `None`: there is no such farm.
///
/// # Errors
/// The message is too long.
pub fn send_to_farm(farm: &[u8], message: &[u8]) -> Result<Option<bool>, HookError> {
    let name = text::to_host(farm, "the farm's name")?;
    // SAFETY: the host reads name and message during the call.
    sent(unsafe { sys::rsgi_farm_send(name.as_ptr(), message.as_ptr().cast(), message.len()) })
}

/// Whether this process is a mule of a farm, `None`: of any.
///
/// # Errors
/// The name contains a NUL.
pub fn is_in_farm(farm: Option<&[u8]>) -> Result<bool, HookError> {
    let name = farm.map(|name| text::to_host(name, "the farm's name")).transpose()?;
    let name = name.as_ref().map_or(std::ptr::null(), |name| name.as_ptr());
    // SAFETY: NULL or a text that outlives the call.
    Ok(unsafe { sys::rsgi_in_farm(name) } != 0)
}

/// Waits for a message to this mule of at most so many bytes, for so many seconds (-1: for ever); `None`: nothing came.
///
/// # Errors
/// This process is not a mule.
pub fn receive(signals: bool, farms: bool, most: usize, timeout: c_int) -> Result<Option<Vec<u8>>, HookError> {
    read(most, |to, size| {
        // SAFETY: the host writes at most so many bytes.
        unsafe { sys::uwsgi_mule_get_msg(signals.into(), farms.into(), to, size, timeout) }
    })
}

/// Waits for a message to the farms of this mule.
///
/// # Errors
/// This process is not a mule.
pub fn receive_of_farms() -> Result<Option<Vec<u8>>, HookError> {
    // SAFETY: the host writes at most so many bytes.
    read(LARGEST, |to, size| unsafe { sys::rsgi_farm_get_msg(to, size) })
}

fn read(most: usize, wait: impl FnOnce(*mut c_char, usize) -> isize) -> Result<Option<Vec<u8>>, HookError> {
    // SAFETY: a plain read of the published view.
    if unsafe { sys::uwsgi.muleid } == 0 {
        return Err(HookError::new("you can receive mule messages only in a mule !!!"));
    }
    let mut message = vec![0u8; most.min(LARGEST)];
    let len = wait(message.as_mut_ptr().cast(), message.len());
    Ok(usize::try_from(len).ok().map(|len| {
        message.truncate(len);
        message
    }))
}
