//! A sink of log lines: `--logger lines:PATH`.

use rsgi_plugin_api::logger::{Logger, LoggerError};
use std::fs::File;
use std::io::Write;

pub struct Lines(File);

impl Logger for Lines {
    fn open(argument: &str) -> Result<Self, String> {
        let file = File::options().create(true).append(true).open(argument);
        file.map(Self).map_err(|e| format!("{argument}: {e}"))
    }

    fn write(&mut self, message: &[u8]) -> Result<(), LoggerError> {
        Ok(self.0.write_all(message)?)
    }
}
