//! A plugin in Rust: answers requests of modifier1 181 with a greeting. There is no unsafe code in it: a panic or an
//! error becomes a line in the log and a 500, and the worker lives.
//!
//! ```text
//! cargo build -p rsgi-example-greeter
//! rsgi --plugin target/debug/libgreeter_plugin.so --http-socket :9090 --http-socket-modifier1 181 --greeting Hi
//! ```

use rsgi_plugin_api::{HookError, OptionRow, OptionTable, Outcome, Plugin, Request, export_plugin, log};
use std::ffi::OsStr;
use std::sync::OnceLock;

/// Written in the master while the options are read; workers have it from the fork.
static GREETING: OnceLock<String> = OnceLock::new();

fn set_greeting(value: Option<&OsStr>) -> Result<(), HookError> {
    let text = value.and_then(OsStr::to_str).unwrap_or_default();
    GREETING
        .set(text.to_owned())
        .map_err(|_| HookError::new("--greeting may be given once"))
}

static OPTIONS: OptionTable<2> =
    OptionTable::new(&[OptionRow::value(c"greeting", c"greet with this word", set_greeting)]);

fn greeting() -> &'static str {
    GREETING.get().map_or("Hello", String::as_str)
}

struct Greeter;

impl Plugin for Greeter {
    fn init() -> Result<(), HookError> {
        log::line(&format!("the greeter says {}", greeting()));
        Ok(())
    }

    fn request(req: &mut Request<'_>) -> Result<Outcome, HookError> {
        req.parse()?;
        let body = format!("{} from {}\n", greeting(), String::from_utf8_lossy(req.path_info()));
        req.start("200 OK")?;
        req.header("Content-Type", "text/plain; charset=utf-8")?;
        req.write_last(&[body.as_bytes()])?;
        Ok(Outcome::Done)
    }
}

export_plugin! { greeter_plugin: Greeter, name: c"greeter", modifier1: 181, options: OPTIONS, hooks: [init, request] }
