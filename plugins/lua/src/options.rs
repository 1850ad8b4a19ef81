//! The options of the Lua plugin; set in the master before `init`, read-only afterwards.

use rsgi_plugin_api::{HookError, OptionRow, OptionTable};
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// What the options say.
#[derive(Debug, Default, Clone)]
pub struct Options {
    /// `--lua`: the application.
    pub app: Option<PathBuf>,
    /// `--lua-load`: files that each state runs first.
    pub load: Vec<PathBuf>,
    /// `--lua-postload`: files that each state runs after the application.
    pub postload: Vec<PathBuf>,
    /// `--lua-postfork-worker`: files that a worker runs after its fork.
    pub postfork: Vec<PathBuf>,
    /// `--lua-gc-freq`: so many requests of a core between two collections; `None`: Lua collects as it likes.
    pub collect_after: Option<u32>,
    /// `--lua-gc-full`: these collections are whole cycles, else steps.
    pub collect_fully: bool,
}

static OPTIONS: Mutex<Options> = Mutex::new(Options {
    app: None,
    load: Vec::new(),
    postload: Vec::new(),
    postfork: Vec::new(),
    collect_after: None,
    collect_fully: false,
});

/// A copy of the options.
pub fn get() -> Options {
    OPTIONS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn path(value: Option<&OsStr>) -> PathBuf {
    value.map(PathBuf::from).unwrap_or_default()
}

fn change(what: impl FnOnce(&mut Options)) -> Result<(), HookError> {
    what(&mut OPTIONS.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(())
}

fn set_app(value: Option<&OsStr>) -> Result<(), HookError> {
    change(|options| options.app = Some(path(value)))
}

fn add_load(value: Option<&OsStr>) -> Result<(), HookError> {
    change(|options| options.load.push(path(value)))
}

fn add_postload(value: Option<&OsStr>) -> Result<(), HookError> {
    change(|options| options.postload.push(path(value)))
}

fn add_postfork(value: Option<&OsStr>) -> Result<(), HookError> {
    change(|options| options.postfork.push(path(value)))
}

fn set_collect_after(value: Option<&OsStr>) -> Result<(), HookError> {
    let text = value.unwrap_or_default().to_string_lossy();
    let requests = match text.as_ref() {
        "" | "true" => 1,
        text => text
            .parse()
            .map_err(|_| HookError::new(format!("lua-gc-freq is a number of requests, not \"{text}\"")))?,
    };
    change(|options| options.collect_after = (requests > 0).then_some(requests))
}

fn set_collect_fully(_: Option<&OsStr>) -> Result<(), HookError> {
    change(|options| options.collect_fully = true)
}

/// The table that `export_plugin!` points at.
pub static TABLE: OptionTable<7> = OptionTable::new(&[
    OptionRow::value(c"lua", c"serve the WSAPI application that this file returns", set_app),
    OptionRow::value(
        c"lua-load",
        c"run this file in each Lua state before the application",
        add_load,
    ),
    OptionRow::value(
        c"lua-postload",
        c"run this file in each Lua state after the application",
        add_postload,
    ),
    OptionRow::value(
        c"lua-postfork-worker",
        c"run this file in each worker after its fork",
        add_postfork,
    ),
    OptionRow::optional(
        c"lua-gc-freq",
        c"collect garbage after each N requests of a core",
        set_collect_after,
    ),
    OptionRow::flag(
        c"lua-gc-full",
        c"make the collections of lua-gc-freq whole cycles",
        set_collect_fully,
    ),
]);
