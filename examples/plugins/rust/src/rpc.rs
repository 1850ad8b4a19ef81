//! A remote procedure: `joined(a, b ...)`.

use crate::MODIFIER;
use rsgi_plugin_api::{HookError, rpc};

pub fn register() -> Result<(), HookError> {
    rpc::register(b"joined", 2, 0, MODIFIER)
}

pub fn answer(_function: usize, arguments: &[&[u8]]) -> Result<Option<Vec<u8>>, HookError> {
    Ok(Some(arguments.join(&b'+')))
}

pub fn call() -> Result<String, HookError> {
    let answer = rpc::call(None, b"joined", &["one", "two"])?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
