//! Told of uncaught exceptions: `--exception-handler note:WORD`.

use rsgi_plugin_api::{HookError, kind, log};

pub struct Note;

impl kind::ExceptionHandler for Note {
    fn handle(argument: &str, exception: &kind::Exception) -> Result<(), HookError> {
        let path = exception.vars.iter().find(|(name, _)| name == "PATH_INFO");
        let path = path.map_or("", |(_, path)| path);
        log::line(&format!(
            "{argument} {}: {} at {path}",
            exception.class, exception.message
        ));
        Ok(())
    }
}
