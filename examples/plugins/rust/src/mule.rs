//! A mule's script: `--mule=kinds:WORD`.

use rsgi_plugin_api::{HookError, log, mule};
use std::ffi::CStr;

pub fn run(script: &CStr) -> bool {
    let Some(word) = script.to_bytes().strip_prefix(b"kinds:") else {
        return false;
    };
    log::line(&format!("mule of {}", String::from_utf8_lossy(word)));
    while let Ok(Some(message)) = mule::receive(true, true, 65_536, -1) {
        log::line(&format!("mule got {}", String::from_utf8_lossy(&message)));
    }
    true
}

pub fn send() -> Result<String, HookError> {
    let is_sent = mule::send(0, b"a parcel")?;
    Ok(format!("sent {is_sent}"))
}
