//! The Lua request plugin (modifier1 6): WSAPI applications, one Lua state per core.

mod api;
mod app;
mod options;
mod request;

use rsgi_plugin_api::{HookError, Outcome, Plugin, Request, export_plugin, log, process, sys};

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
        if options::get().app.is_none() {
            return Ok(());
        }
        app::init(modifier1())
    }

    fn post_fork() -> Result<(), HookError> {
        match process::worker_id() {
            0 => Ok(()),
            _ => app::postfork(),
        }
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
        if options::get().app.is_none() {
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
    hooks: [init, init_apps, post_fork, request, post_request, signal_handler, rpc, mule_msg],
}
