//! `uwsgi.queue_*`: messages, or nil when there is none.

use super::{function, true_or_nil};
use mlua::{Lua, LuaString, Table};
use rsgi_plugin_api::queue;

/// A slot's number; a negative one is none.
fn slot(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn text(lua: &Lua, message: Option<Vec<u8>>) -> mlua::Result<Option<LuaString>> {
    message.map(|m| lua.create_string(m)).transpose()
}

/// Puts the functions into the table.
///
/// # Errors
/// Lua has no memory.
pub fn install(lua: &Lua, uwsgi: &Table) -> mlua::Result<()> {
    function(lua, uwsgi, "queue_push", |_, message: LuaString| {
        Ok(true_or_nil(queue::push(&message.as_bytes())))
    })?;
    function(lua, uwsgi, "queue_set", |_, (number, message): (i64, LuaString)| {
        Ok(true_or_nil(queue::set(slot(number), &message.as_bytes())))
    })?;
    function(lua, uwsgi, "queue_pull", |lua, ()| text(lua, queue::pull()))?;
    function(lua, uwsgi, "queue_pop", |lua, ()| text(lua, queue::pop()))?;
    function(lua, uwsgi, "queue_get", |lua, number: i64| {
        text(lua, queue::get(slot(number)))
    })?;
    // the newest message, or a table of the newest ones
    function(lua, uwsgi, "queue_last", |lua, count: Option<u64>| match count {
        None | Some(0) => Ok(mlua::Either::Left(text(lua, queue::last(0))?)),
        Some(count) => {
            let messages = (0..count.min(queue::places().0)).map_while(|back| text(lua, queue::last(back)).transpose());
            let messages: Vec<LuaString> = messages.collect::<mlua::Result<_>>()?;
            lua.create_sequence_from(messages).map(mlua::Either::Right)
        }
    })?;
    function(lua, uwsgi, "queue_slot", |_, ()| Ok(queue::places().1))?;
    function(lua, uwsgi, "queue_pull_slot", |_, ()| Ok(queue::places().2))
}
