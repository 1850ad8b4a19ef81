//! What becomes of log lines: `--log-encoder "quote >"`.

use rsgi_plugin_api::{HookError, kind};

pub struct Quote;

impl kind::LogEncoder for Quote {
    fn encode(argument: &str, line: &[u8]) -> Result<Option<Vec<u8>>, HookError> {
        Ok(Some([argument.as_bytes(), b" ", line].concat()))
    }
}
