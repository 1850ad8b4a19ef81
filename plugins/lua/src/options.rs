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
    /// `--lua-postfork-worker`, `-mule`, `-spooler`: files that such a process runs after its fork.
    pub postfork: [Vec<PathBuf>; 3],
    /// `--lua-worker-override`: the script in place of a worker's loop.
    pub worker_override: Option<PathBuf>,
    /// `--lua-shell`: worker 1 shows a shell; `true`: once.
    pub shell: Option<bool>,
    /// `--lua-gc-freq`: so many requests of a core between two collections; `None`: Lua collects as it likes.
    pub collect_after: Option<u32>,
    /// `--lua-gc-full`: these collections are whole cycles, else steps.
    pub collect_fully: bool,
}

static OPTIONS: Mutex<Options> = Mutex::new(Options {
    app: None,
    load: Vec::new(),
    postload: Vec::new(),
    postfork: [const { Vec::new() }; 3],
    worker_override: None,
    shell: None,
    collect_after: None,
    collect_fully: false,
});

/// The kinds of processes that have files of their own, as they lie in [`Options::postfork`].
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)] // the words of the field
pub enum Child {
    Worker,
    Mule,
    Spooler,
}

impl Options {
    /// Whether applications are loaded, or files that may register procedures and signals.
    pub fn loads(&self) -> bool {
        self.app.is_some() || !self.load.is_empty() || !self.postload.is_empty()
    }
}

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

fn add_postfork_worker(value: Option<&OsStr>) -> Result<(), HookError> {
    change(|options| options.postfork[Child::Worker as usize].push(path(value)))
}

fn add_postfork_mule(value: Option<&OsStr>) -> Result<(), HookError> {
    change(|options| options.postfork[Child::Mule as usize].push(path(value)))
}

fn add_postfork_spooler(value: Option<&OsStr>) -> Result<(), HookError> {
    change(|options| options.postfork[Child::Spooler as usize].push(path(value)))
}

fn set_override(value: Option<&OsStr>) -> Result<(), HookError> {
    change(|options| options.worker_override = Some(path(value)))
}

fn show_shell(_: Option<&OsStr>) -> Result<(), HookError> {
    change(|options| options.shell = Some(options.shell.unwrap_or(false)))
}

fn show_shell_once(_: Option<&OsStr>) -> Result<(), HookError> {
    change(|options| options.shell = Some(true))
}

/// A bare argument of the command line, `app.lua`: whether it is an application of ours.
pub fn take(file: &OsStr) -> bool {
    let path = PathBuf::from(file);
    let is_lua = path.extension().is_some_and(|end| end == "lua" || end == "ws");
    is_lua && path.is_file() && change(|options| options.app = Some(path)).is_ok()
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
pub static TABLE: OptionTable<14> = OptionTable::new(&[
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
        add_postfork_worker,
    ),
    OptionRow::value(
        c"lua-postfork-mule",
        c"run this file in each mule after its fork",
        add_postfork_mule,
    ),
    OptionRow::value(
        c"lua-postfork-spooler",
        c"run this file in each spooler after its fork",
        add_postfork_spooler,
    ),
    OptionRow::value(
        c"lua-worker-override",
        c"run this script in each worker in place of the request loop",
        set_override,
    ),
    OptionRow::flag(
        c"lua-shell",
        c"show an interactive Lua on the terminal, in worker 1",
        show_shell,
    ),
    OptionRow::flag(c"luashell", c"the same as lua-shell", show_shell),
    OptionRow::flag(
        c"lua-shell-oneshot",
        c"show the interactive Lua once; then worker 1 serves",
        show_shell_once,
    ),
    OptionRow::flag(c"luashell-oneshot", c"the same as lua-shell-oneshot", show_shell_once),
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
