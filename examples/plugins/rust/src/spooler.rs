//! Tasks of the spooler (`--spooler FOLDER`): one is a packet of pairs and a body.

use rsgi_plugin_api::{HookError, log, sys};
use std::ffi::CStr;

pub fn write() -> Result<String, HookError> {
    let mut packet = Vec::new();
    for text in ["errand", "milk"] {
        packet.extend_from_slice(&(text.len() as u16).to_le_bytes());
        packet.extend_from_slice(text.as_bytes());
    }
    let body = b"two bottles";
    // SAFETY: a packet and a body with their lengths; the path is ours to free.
    unsafe {
        let (packet, body) = (
            (packet.as_mut_ptr().cast(), packet.len()),
            (body.as_ptr().cast_mut().cast(), body.len()),
        );
        let path = sys::uwsgi_spool_request(std::ptr::null_mut(), packet.0, packet.1, body.0, body.1);
        if path.is_null() {
            return Err(HookError::new("the task was not written: see the log"));
        }
        libc::free(path.cast());
    }
    Ok("spooled".into())
}

pub fn run(_file: &CStr, packet: &[u8], body: &[u8]) -> Result<i32, HookError> {
    if !packet.windows(6).any(|part| part == b"errand") {
        return Ok(0);
    }
    log::line(&format!("errand with {}", String::from_utf8_lossy(body)));
    Ok(-2)
}
