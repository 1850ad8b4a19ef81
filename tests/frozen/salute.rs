//! The source of salute_1_1.x86_64.so, which is never built again: every later rsgi loads that file as it is.

use rsgi_plugin_api::{HookError, OptionRow, OptionTable, Outcome, Plugin, Request, export_plugin, log};
use std::ffi::OsStr;
use std::sync::Mutex;

static WORD: Mutex<String> = Mutex::new(String::new());

fn set_word(value: Option<&OsStr>) -> Result<(), HookError> {
    let mut word = WORD.lock().map_err(|_| HookError::new("locked"))?;
    *word = value.unwrap_or_default().to_string_lossy().into_owned();
    Ok(())
}

static OPTIONS: OptionTable<2> = OptionTable::new(&[OptionRow::value(c"salute-word", c"what to say", set_word)]);

struct Salute;

impl Plugin for Salute {
    fn init() -> Result<(), HookError> {
        log::line("SALUTE init");
        Ok(())
    }

    fn request(req: &mut Request<'_>) -> Result<Outcome, HookError> {
        req.parse()?;
        let path = String::from_utf8_lossy(req.path_info()).into_owned();
        if path == "/panic" {
            panic!("asked for it");
        }
        let word = WORD.lock().map_err(|_| HookError::new("locked"))?.clone();
        req.start("200 OK")?;
        req.header("X-Salute", "1.1")?;
        req.write_last(&[word.as_bytes(), b" ", path.as_bytes()])?;
        Ok(Outcome::Done)
    }
}

export_plugin! { salute_plugin: Salute, name: c"salute", modifier1: 205, options: OPTIONS, hooks: [init, request] }
