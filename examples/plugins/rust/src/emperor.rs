//! A source of vassals: `--emperor one://PORT` is one vassal at that port.

use rsgi_plugin_api::{HookError, kind};

pub struct One;

impl kind::EmperorMonitor for One {
    fn look(source: &str, vassals: &mut kind::Vassals) -> Result<(), HookError> {
        let port = source.trim_start_matches("one://");
        let config = format!("[uwsgi]\nhttp-socket = 127.0.0.1:{port}\nprint = %n is the one\n");
        vassals.want("only", &config, 1);
        Ok(())
    }
}
