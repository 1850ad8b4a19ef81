//! A protocol: `--protocol path` takes one line, a path, and answers with the body alone.

use rsgi_plugin_api::{HookError, kind};

pub struct Path;

impl kind::Protocol for Path {
    fn read(input: &[u8], request: &mut kind::Variables) -> Result<Option<usize>, HookError> {
        let Some(end) = input.iter().position(|b| *b == b'\n') else {
            return Ok(None);
        };
        request.add("REQUEST_METHOD", b"GET")?;
        request.add("PATH_INFO", &input[..end])?;
        request.set_modifier1(crate::MODIFIER);
        Ok(Some(end + 1))
    }

    fn status(_: &[u8]) -> Vec<u8> {
        Vec::new()
    }

    fn header(_: &[u8], _: &[u8]) -> Vec<u8> {
        Vec::new()
    }

    fn end_of_head() -> &'static [u8] {
        b""
    }
}
