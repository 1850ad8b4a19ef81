//! `uwsgi.mule_*`: messages to mules and farms, and what a mule does with its own.

use super::{function, raised, true_or_nil};
use mlua::{Either, Function, Lua, LuaString, Table};
use rsgi_plugin_api::mule;
use std::ffi::c_int;

/// Where a state keeps what is called for messages.
const HOOK: &str = "rsgi.mule_msg_hook";

/// Runs this state's hook for a message; whether it has one.
///
/// # Errors
/// What the hook raised, with its traceback.
pub fn dispatch(lua: &Lua, message: &[u8]) -> mlua::Result<bool> {
    let hook: Option<Function> = lua.named_registry_value(HOOK)?;
    let Some(hook) = hook else { return Ok(false) };
    hook.call::<()>(lua.create_string(message)?)?;
    Ok(true)
}

/// Puts the functions into the table.
///
/// # Errors
/// Lua has no memory.
pub fn install(lua: &Lua, uwsgi: &Table) -> mlua::Result<()> {
    // a mule's number (nothing or 0: whichever is free first), or a farm's name
    type Target = Option<Either<c_int, LuaString>>;
    function(lua, uwsgi, "mule_msg", |_, (message, target): (LuaString, Target)| {
        let message = message.as_bytes();
        let is_sent = match target {
            Some(Either::Right(farm)) => {
                let sent = mule::send_to_farm(&farm.as_bytes(), &message).map_err(raised)?;
                let unknown = || mlua::Error::runtime(format!("unknown farm {}", farm.display()));
                return sent.map(true_or_nil).ok_or_else(unknown);
            }
            Some(Either::Left(number)) => mule::send(number, &message),
            None => mule::send(0, &message),
        };
        is_sent.map(true_or_nil).map_err(raised)
    })?;
    type How = (Option<bool>, Option<bool>, Option<c_int>);
    function(lua, uwsgi, "mule_msg_get", |lua, (signals, farms, timeout): How| {
        let timeout = timeout.unwrap_or(-1).max(-1);
        let message = mule::receive(signals.unwrap_or(true), farms.unwrap_or(true), mule::LARGEST, timeout);
        message.map_err(raised)?.map(|m| lua.create_string(m)).transpose()
    })?;
    function(lua, uwsgi, "mule_msg_hook", |lua, hook: Option<Function>| {
        lua.set_named_registry_value(HOOK, hook)
    })
}
