//! A handler of uWSGI signals: number 31.

use crate::MODIFIER;
use rsgi_plugin_api::{HookError, log, signal};

pub fn register() -> Result<(), HookError> {
    signal::register(31, b"worker", 7, MODIFIER)
}

pub fn handle(number: u8, handler: usize) {
    log::line(&format!("signal {number} for {handler}"));
}

pub fn send() -> Result<String, HookError> {
    signal::raise(31)?;
    Ok("raised".into())
}
