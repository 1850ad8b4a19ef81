//! An action of routing: `--route "^/teapot reply:418 short and stout"`.

use rsgi_plugin_api::{HookError, Request, kind};

pub struct Reply {
    status: String,
    text: String,
}

impl kind::RouteAction for Reply {
    fn parse(argument: &str) -> Result<Self, HookError> {
        let (status, text) = argument
            .split_once(' ')
            .ok_or_else(|| HookError::new("give STATUS TEXT"))?;
        let (status, text) = (format!("{status} Reply"), text.to_owned());
        Ok(Self { status, text })
    }

    fn run(&self, req: &mut Request<'_>) -> Result<kind::Verdict, HookError> {
        req.start(&self.status)?;
        req.write_last(&[self.text.as_bytes()])?;
        Ok(kind::Verdict::Break)
    }
}
