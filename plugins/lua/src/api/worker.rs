//! What a script of `--lua-worker-override` needs: clients, and the master's wishes.

use super::function;
use crate::worker;
use mlua::{Error, Lua, Table};
use rsgi_plugin_api::sys;
use std::time::Duration;

/// Puts the functions into the table.
///
/// # Errors
/// Lua has no memory.
pub fn install(lua: &Lua, uwsgi: &Table) -> mlua::Result<()> {
    function(lua, uwsgi, "accepting", |_, flag: Option<i32>| {
        worker::accepting(flag != Some(0));
        Ok(())
    })?;
    function(lua, uwsgi, "notify_alive", |_, ()| {
        // SAFETY: callable anywhere.
        unsafe { sys::rsgi_notify_alive() };
        Ok(())
    })?;
    function(lua, uwsgi, "is_leaving", |_, ()| Ok(worker::leaves()))?;
    // the connection of the next client; nil: the time is over, or the worker is to end
    function(lua, uwsgi, "accept", |_, seconds: Option<f64>| {
        let limit = seconds.map(Duration::try_from_secs_f64).transpose();
        Ok(worker::accept(
            limit.map_err(|e| Error::runtime(format!("the time {seconds:?}: {e}")))?,
        ))
    })
}
