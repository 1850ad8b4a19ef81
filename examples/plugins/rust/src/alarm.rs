//! A kind of alarm: `--alarm "fire bell:LOUD"`.

use rsgi_plugin_api::{HookError, kind, log};

pub struct Bell;

impl kind::Alarm for Bell {
    fn raise(argument: &str, message: &[u8]) -> Result<(), HookError> {
        log::line(&format!("bell {argument}: {}", String::from_utf8_lossy(message)));
        Ok(())
    }
}

/// Any process raises it by its name.
pub fn ring() -> Result<String, HookError> {
    let (name, message) = (c"fire", b"smoke");
    // SAFETY: a text and a message with its length.
    let rung = unsafe { rsgi_plugin_api::sys::rsgi_alarm(name.as_ptr(), message.as_ptr().cast(), message.len()) };
    Ok(format!("rung {rung}"))
}
