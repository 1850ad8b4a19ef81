//! The Lua request plugin (modifier1 6): WSAPI applications, one Lua state per core.

mod api;
mod app;
mod options;
mod request;
mod shell;
mod worker;

use options::Child;
use rsgi_plugin_api::{HookError, Outcome, Plugin, Request, export_plugin, log, process, sys};
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

struct LuaPlugin;

impl Plugin for LuaPlugin {
    fn init() -> Result<(), HookError> {
        if options::get().app.is_some() {
            // SAFETY: the master is single-threaded in `init`; the field is a plugin's to write.
            unsafe { sys::uwsgi.apps_wanted += 1 };
        }
        Ok(())
    }

    fn init_apps() -> Result<(), HookError> {
        match options::get().loads() {
            true => app::init(modifier1()),
            false => Ok(()),
        }
    }

    fn magic(_: Option<&CStr>, file: &CStr) -> Result<bool, HookError> {
        Ok(options::take(OsStr::from_bytes(file.to_bytes())))
    }

    fn post_fork() -> Result<(), HookError> {
        match (process::worker_id(), process::mule_id()) {
            (1.., _) => app::postfork(Child::Worker),
            (_, 1..) => app::postfork(Child::Mule),
            _ if process::is_spooler() => app::postfork(Child::Spooler),
            _ => Ok(()),
        }
    }

    fn worker() -> Result<bool, HookError> {
        if shell::has_ended()? {
            return Ok(true);
        }
        match options::get().worker_override {
            Some(script) => worker::run(&script),
            None => Ok(false),
        }
    }

    fn mule(script: &CStr) -> Result<bool, HookError> {
        let path = Path::new(OsStr::from_bytes(script.to_bytes()));
        if path.extension().is_none_or(|end| end != "lua") {
            return Ok(false);
        }
        // the log has said what was wrong; the mule ends and is started again, as after an error of its own
        let _ = app::run_file(&app::state()?.lua, path);
        Ok(true)
    }

    fn request(req: &mut Request<'_>) -> Result<Outcome, HookError> {
        req.parse()?;
        let state = app::state()?;
        let outcome = request::serve(&state, req);
        if let Err(e) = state.collect() {
            log::line(&format!("lua: garbage collection: {e}"));
        }
        match outcome {
            Ok(()) => Ok(Outcome::Done),
            Err(e) => {
                let path = String::from_utf8_lossy(req.path_info()).into_owned();
                log::line(&format!("lua: {path}: {e}"));
                Ok(Outcome::Refused)
            }
        }
    }

    fn post_request(_: &mut Request<'_>) -> Result<(), HookError> {
        request::over();
        Ok(())
    }

    fn signal_handler(signal: u8, _: usize) -> Result<(), HookError> {
        api::handle(&app::state()?.lua, signal).map_err(|e| HookError::new(format!("signal {signal}: {e}")))
    }

    fn rpc(function: usize, arguments: &[&[u8]]) -> Result<Option<Vec<u8>>, HookError> {
        api::answer(&app::state()?.lua, function, arguments).map_err(|e| HookError::new(e.to_string()))
    }

    fn mule_msg(message: &[u8]) -> Result<bool, HookError> {
        if !options::get().loads() {
            return Ok(false);
        }
        api::dispatch(&app::state()?.lua, message).map_err(|e| HookError::new(format!("mule_msg_hook: {e}")))
    }
}

/// The slot that the host gave us.
fn modifier1() -> u8 {
    // SAFETY: the address of our own exported struct is only compared.
    let modifier1 = unsafe { sys::rsgi_plugin_modifier((&raw const lua_plugin).cast()) };
    u8::try_from(modifier1).unwrap_or(6)
}

export_plugin! {
    lua_plugin: LuaPlugin,
    name: c"lua",
    modifier1: 6,
    options: options::TABLE,
    hooks: [
        init, init_apps, magic, post_fork, worker, request, post_request, signal_handler, rpc, mule, mule_msg
    ],
}
