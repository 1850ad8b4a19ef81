//! A transformation of answers, and the action that puts it in their way: `--route-run upper:`.

use rsgi_plugin_api::{HookError, Request, kind};

pub struct Upper;

impl kind::RouteAction for Upper {
    fn parse(_: &str) -> Result<Self, HookError> {
        Ok(Self)
    }

    fn run(&self, req: &mut Request<'_>) -> Result<kind::Verdict, HookError> {
        kind::transform(req, Counting(0));
        Ok(kind::Verdict::Next)
    }
}

/// Makes letters large, and says at the end how many bytes there were.
struct Counting(usize);

impl kind::Transformation for Counting {
    fn change(&mut self, _: &mut Request<'_>, part: kind::Part<'_>) -> Result<Vec<u8>, HookError> {
        Ok(match part {
            kind::Part::Bytes(bytes) => {
                self.0 += bytes.len();
                bytes.to_ascii_uppercase()
            }
            kind::Part::End => format!(" ({})", self.0).into_bytes(),
        })
    }
}
