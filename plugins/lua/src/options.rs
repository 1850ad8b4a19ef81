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
}

static OPTIONS: Mutex<Options> = Mutex::new(Options {
    app: None,
    load: Vec::new(),
});

/// A copy of the options.
pub fn get() -> Options {
    OPTIONS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn path(value: Option<&OsStr>) -> PathBuf {
    value.map(PathBuf::from).unwrap_or_default()
}

fn set_app(value: Option<&OsStr>) -> Result<(), HookError> {
    OPTIONS.lock().unwrap_or_else(PoisonError::into_inner).app = Some(path(value));
    Ok(())
}

fn add_load(value: Option<&OsStr>) -> Result<(), HookError> {
    OPTIONS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .load
        .push(path(value));
    Ok(())
}

/// The table that `export_plugin!` points at.
pub static TABLE: OptionTable<3> = OptionTable::new(&[
    OptionRow::value(c"lua", c"serve the WSAPI application that this file returns", set_app),
    OptionRow::value(
        c"lua-load",
        c"run this file in each Lua state before the application",
        add_load,
    ),
]);
