//! A variable of routing: `--route-run "addheader:X-Length: ${length[HTTP_HOST]}"`.

use rsgi_plugin_api::{HookError, Request, kind};

pub struct Length;

impl kind::RouteVariable for Length {
    fn value(req: &mut Request<'_>, key: &[u8]) -> Result<Option<Vec<u8>>, HookError> {
        let value = std::str::from_utf8(key).ok().and_then(|key| req.var(key));
        Ok(value.map(|value| value.len().to_string().into_bytes()))
    }
}
