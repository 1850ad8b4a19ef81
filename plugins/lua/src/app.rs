//! The Lua states of a worker: one per core, each with its own copy of the application.

use crate::options::{self, Options};
use mlua::{Function, Lua};
use rsgi_plugin_api::{HookError, log, sys};
use std::cell::RefCell;
use std::path::Path;

/// A state with its application.
pub struct State {
    /// The interpreter.
    pub lua: Lua,
    /// The WSAPI function.
    pub run: Function,
}

thread_local! {
    /// The state of this request thread; made by the thread itself, so that no state ever crosses threads.
    static STATE: RefCell<Option<State>> = const { RefCell::new(None) };
}

/// Runs `use_it` with this thread's state, made at first use.
///
/// # Errors
/// The application cannot be loaded.
pub fn with<T>(use_it: impl FnOnce(&State) -> T) -> Result<T, HookError> {
    STATE.with_borrow_mut(|slot| {
        let state = match slot {
            Some(state) => state,
            None => slot.insert(load(&options::get())?),
        };
        Ok(use_it(state))
    })
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
    let table = lua.create_table().and_then(|uwsgi| {
        let say = lua.create_function(|_, text: mlua::LuaString| {
            log::line(&text.to_string_lossy());
            Ok(())
        })?;
        uwsgi.set("log", say)?;
        uwsgi.set("version", env!("CARGO_PKG_VERSION"))?;
        lua.globals().set("uwsgi", uwsgi)
    });
    table.map_err(|e| failed(path, &e))?;
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
    Ok(State { lua, run })
}

/// Loads the application once where the host asks for it, and registers it.
///
/// # Errors
/// It cannot be loaded.
pub fn init(modifier1: u8) -> Result<(), HookError> {
    with(|_| ())?;
    // SAFETY: an empty mountpoint; the pointers only have to be something that is not NULL.
    unsafe {
        let id = *sys::uwsgi_apps_cnt_of_process();
        let mark = std::ptr::NonNull::<std::ffi::c_void>::dangling().as_ptr();
        sys::uwsgi_add_app(id, modifier1, c"".as_ptr().cast_mut(), 0, mark, mark);
    }
    Ok(())
}
