//! The Lua states of a worker: one per core, each with its own copy of the application.

use crate::api;
use crate::options::{self, Options};
use mlua::{Function, Lua};
use rsgi_plugin_api::{HookError, log, sys};
use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A state with its application.
pub struct State {
    /// The interpreter.
    pub lua: Lua,
    /// The WSAPI function.
    pub run: Function,
    /// What `env.input.read` is in each request.
    pub read: Function,
    /// Requests until garbage is collected; `None`: Lua collects as it likes.
    collect_after: Option<u32>,
    collect_fully: bool,
    until_collected: Cell<u32>,
}

impl State {
    /// A request is over: collects garbage if it is time for that.
    ///
    /// # Errors
    /// A finalizer has raised one.
    pub fn collect(&self) -> mlua::Result<()> {
        let Some(after) = self.collect_after else {
            return Ok(());
        };
        match self.until_collected.get() {
            left if left > 1 => self.until_collected.set(left - 1),
            _ => {
                self.until_collected.set(after);
                match self.collect_fully {
                    true => self.lua.gc_collect()?,
                    false => {
                        self.lua.gc_step()?;
                    }
                }
            }
        }
        Ok(())
    }
}

thread_local! {
    /// The state of this request thread; made by the thread itself, so that no state ever crosses threads.
    static STATE: RefCell<Option<Rc<State>>> = const { RefCell::new(None) };
    /// This thread is loading what another state of the process, or of the one it was forked from, has loaded.
    static REPEATS: Cell<bool> = const { Cell::new(false) };
}

/// This thread's state, made at first use. Code in it may come back here: a request that waits for a signal does.
///
/// # Errors
/// The application cannot be loaded.
pub fn state() -> Result<Rc<State>, HookError> {
    if let Some(state) = STATE.with_borrow(Clone::clone) {
        return Ok(state);
    }
    static LOADED: AtomicBool = AtomicBool::new(false);
    REPEATS.set(LOADED.swap(true, Ordering::Relaxed));
    let loaded = load(&options::get());
    REPEATS.set(false);
    let state = Rc::new(loaded?);
    STATE.set(Some(Rc::clone(&state)));
    Ok(state)
}

/// Whether what the application asks for now was asked for when its first state was made.
pub fn repeats() -> bool {
    REPEATS.get()
}

fn failed(path: &Path, e: &mlua::Error) -> HookError {
    let text = format!("unable to load Lua file {}: {e}", path.display());
    log::line(&text);
    HookError::new(text)
}

fn load(options: &Options) -> Result<State, HookError> {
    let Some(path) = &options.app else {
        return Err(HookError::new("no Lua application: name one with --lua FILE"));
    };
    let lua = Lua::new();
    api::install(&lua).map_err(|e| failed(path, &e))?;
    for file in &options.load {
        lua.load(file.as_path()).exec().map_err(|e| failed(file, &e))?;
    }
    let value: mlua::Value = lua.load(path.as_path()).eval().map_err(|e| failed(path, &e))?;
    let run = match value {
        mlua::Value::Function(run) => run,
        // a table of WSAPI's reference loader has its function under `run`
        mlua::Value::Table(table) => table.get("run").map_err(|e| failed(path, &e))?,
        _ => lua.globals().get("run").map_err(|e| failed(path, &e))?,
    };
    let read = lua.create_function(api::input_read).map_err(|e| failed(path, &e))?;
    for file in &options.postload {
        lua.load(file.as_path()).exec().map_err(|e| failed(file, &e))?;
    }
    Ok(State {
        lua,
        run,
        read,
        collect_after: options.collect_after,
        collect_fully: options.collect_fully,
        until_collected: Cell::new(options.collect_after.unwrap_or(0)),
    })
}

/// Runs what a worker runs after its fork, in the state of its first thread.
///
/// # Errors
/// A file cannot be run.
pub fn postfork() -> Result<(), HookError> {
    for file in &options::get().postfork {
        let lua = &state()?.lua;
        lua.load(file.as_path()).exec().map_err(|e| failed(file, &e))?;
    }
    Ok(())
}

/// Loads the application once where the host asks for it, and registers it.
///
/// # Errors
/// It cannot be loaded.
pub fn init(modifier1: u8) -> Result<(), HookError> {
    state()?;
    // SAFETY: an empty mountpoint; the pointers only have to be something that is not NULL.
    unsafe {
        let id = *sys::uwsgi_apps_cnt_of_process();
        let mark = std::ptr::NonNull::<std::ffi::c_void>::dangling().as_ptr();
        sys::uwsgi_add_app(id, modifier1, c"".as_ptr().cast_mut(), 0, mark, mark);
    }
    Ok(())
}
