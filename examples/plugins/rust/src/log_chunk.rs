//! A piece of request lines: `--log-format "%(path_length)"`.

use rsgi_plugin_api::{HookError, Request, kind};

pub struct Length;

impl kind::LogChunk for Length {
    fn text(req: &mut Request<'_>) -> Result<Option<Vec<u8>>, HookError> {
        Ok(Some(req.path_info().len().to_string().into_bytes()))
    }
}
