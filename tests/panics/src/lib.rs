//! A request plugin (modifier1 202) that panics at `/panic` and fails at `/error`; the tests look at what the host
//! makes of it.

use rsgi_plugin_api::{HookError, Outcome, Plugin, Request, export_plugin};

struct Panics;

impl Plugin for Panics {
    fn request(req: &mut Request<'_>) -> Result<Outcome, HookError> {
        req.parse()?;
        match req.path_info() {
            b"/panic" => panic!("asked for it"),
            b"/error" => Err(HookError::new("asked to fail")),
            _ => {
                req.start("200 OK")?;
                req.write_last(&[b"calm"])?;
                Ok(Outcome::Done)
            }
        }
    }
}

export_plugin! { rsgi_panics: Panics, name: c"panics", modifier1: 202, hooks: [request] }
