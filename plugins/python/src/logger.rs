//! `--logger python:ARGUMENT`: hands lines to the core, where they become calls of Python. In the master.

use crate::stage2;
use rsgi_plugin_api::logger::{Logger, LoggerError};
use rsgi_plugin_api::sys;
use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering};

/// Somebody asked for such a logger: Python is needed for it.
static WANTED: AtomicBool = AtomicBool::new(false);

/// Whether a line has come already; the first does long before `init`.
pub fn is_wanted() -> bool {
    WANTED.load(Ordering::Relaxed)
}

/// A name of `logging`, or `MODULE:FUNCTION`.
pub struct Lines {
    argument: CString,
}

impl Logger for Lines {
    fn open(argument: &str) -> Result<Self, String> {
        WANTED.store(true, Ordering::Relaxed);
        let argument = CString::new(argument).map_err(|e| e.to_string())?;
        Ok(Self { argument })
    }

    fn write(&mut self, message: &[u8]) -> Result<(), LoggerError> {
        let refused = |why: &str| Err(LoggerError::Refused(why.to_owned()));
        let Some(hooks) = stage2::hooks() else {
            return refused("Python has not started");
        };
        // SAFETY: the core's own function; NULL, or a new buffer that is ours.
        unsafe {
            let why = (hooks.log_line)(self.argument.as_ptr(), message.as_ptr().cast(), message.len());
            let Some(buffer) = why.as_ref() else {
                return Ok(());
            };
            let text = std::slice::from_raw_parts(buffer.buf.cast::<u8>(), buffer.pos);
            let text = String::from_utf8_lossy(text).into_owned();
            sys::uwsgi_buffer_destroy(why);
            refused(&text)
        }
    }
}
