//! The Lua states of a worker: one per core, each with its own copy of the application.

use crate::api;
use crate::options::{self, Child, Options};
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
    /// The WSAPI function, if there is an application.
    pub run: Option<Function>,
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

/// What is said of a file that cannot be run.
fn failed(path: &Path, e: &mlua::Error) -> HookError {
    let text = format!("unable to load Lua file {}: {e}", path.display());
    log::line(&text);
    HookError::new(text)
}

/// Runs a file in a state.
///
/// # Errors
/// It cannot be read, or what it raised, with its traceback; the log has it.
pub fn run_file(lua: &Lua, path: &Path) -> Result<(), HookError> {
    lua.load(path).exec().map_err(|e| failed(path, &e))
}

/// The WSAPI function of the application's file.
fn application(lua: &Lua, path: &Path) -> mlua::Result<Function> {
    match lua.load(path).eval()? {
        mlua::Value::Function(run) => Ok(run),
        // a table of WSAPI's reference loader has its function under `run`
        mlua::Value::Table(table) => table.get("run"),
        _ => lua.globals().get("run"),
    }
}

fn load(options: &Options) -> Result<State, HookError> {
    // SAFETY: the operator's own files: they may use modules in C, `debug` and LuaJIT's `ffi`, as in lua(1).
    let lua = unsafe { Lua::unsafe_new() };
    let cannot = |e: mlua::Error| HookError::new(format!("unable to make a Lua state: {e}"));
    api::install(&lua).map_err(cannot)?;
    for file in &options.load {
        run_file(&lua, file)?;
    }
    let run = options
        .app
        .as_ref()
        .map(|path| application(&lua, path).map_err(|e| failed(path, &e)));
    let run = run.transpose()?;
    let read = lua.create_function(api::input_read).map_err(cannot)?;
    for file in &options.postload {
        run_file(&lua, file)?;
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

/// Runs what a process of this kind runs after its fork, in the state of its first thread.
///
/// # Errors
/// A file cannot be run.
pub fn postfork(child: Child) -> Result<(), HookError> {
    for file in &options::get().postfork[child as usize] {
        run_file(&state()?.lua, file)?;
    }
    Ok(())
}

/// Loads everything once where the host asks for it, and registers the application.
///
/// # Errors
/// It cannot be loaded.
pub fn init(modifier1: u8) -> Result<(), HookError> {
    if state()?.run.is_none() {
        return Ok(());
    }
    // SAFETY: an empty mountpoint; the pointers only have to be something that is not NULL.
    unsafe {
        let id = *sys::uwsgi_apps_cnt_of_process();
        let mark = std::ptr::NonNull::<std::ffi::c_void>::dangling().as_ptr();
        sys::uwsgi_add_app(id, modifier1, c"".as_ptr().cast_mut(), 0, mark, mark);
    }
    Ok(())
}
