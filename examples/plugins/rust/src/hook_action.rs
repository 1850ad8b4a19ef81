//! An action of operators' hooks: `--hook-post-app say:WORD`.

use rsgi_plugin_api::{HookError, kind, log};

pub struct Say;

impl kind::HookAction for Say {
    fn run(argument: &str) -> Result<(), HookError> {
        log::line(&format!("hook says {argument}"));
        Ok(())
    }
}
