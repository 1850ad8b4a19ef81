//! `uwsgi.queue_*`: messages, or nil when there is none.

use super::{all_done, function};
use mlua::{Error, Lua, LuaString, Table, Value, Variadic};
use rsgi_plugin_api::queue;

/// A slot's number; a negative one is none.
fn slot(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn text(lua: &Lua, message: Option<Vec<u8>>) -> mlua::Result<Option<LuaString>> {
    message.map(|m| lua.create_string(m)).transpose()
}

/// What is put into a slot; nothing is no message.
fn message_of(lua: &Lua, value: &Value) -> mlua::Result<LuaString> {
    let message = lua.coerce_string(value.clone())?;
    message.ok_or_else(|| Error::runtime(format!("a message is a text, not a {}", value.type_name())))
}

/// So many answers, at most as many as there are slots.
fn texts(lua: &Lua, count: u64, next: impl Fn(u64) -> Option<Vec<u8>>) -> mlua::Result<Variadic<Option<LuaString>>> {
    (0..count.min(queue::places().0.max(1)))
        .map(|n| text(lua, next(n)))
        .collect()
}

/// Puts the functions into the table.
///
/// # Errors
/// Lua has no memory.
pub fn install(lua: &Lua, uwsgi: &Table) -> mlua::Result<()> {
    // messages one by one, or tables of them; nil and how many found no room
    function(lua, uwsgi, "queue_push", |lua, messages: Variadic<Value>| {
        let mut failed = 0;
        for message in messages.iter() {
            failed += match message {
                Value::Table(list) => list
                    .sequence_values::<LuaString>()
                    .map(|message| message.map(|m| usize::from(!queue::push(&m.as_bytes()))))
                    .sum::<mlua::Result<usize>>()?,
                one => usize::from(!queue::push(&message_of(lua, one)?.as_bytes())),
            };
        }
        Ok(all_done(failed))
    })?;
    // slots and messages in turn, or a table of messages by slot
    function(lua, uwsgi, "queue_set", |lua, pairs: Variadic<Value>| {
        let mut failed = 0;
        let mut set = |number: i64, message: &LuaString| {
            failed += usize::from(!queue::set(slot(number), &message.as_bytes()));
        };
        match pairs.first() {
            Some(Value::Table(table)) => {
                for pair in table.pairs::<i64, LuaString>() {
                    let (number, message) = pair?;
                    set(number, &message);
                }
            }
            _ => {
                for pair in pairs.chunks(2) {
                    let number = lua.coerce_integer(pair[0].clone())?;
                    let number = number.ok_or_else(|| Error::runtime("queue_set(slot, text, ...)"))?;
                    set(number, &message_of(lua, pair.get(1).unwrap_or(&Value::Nil))?);
                }
            }
        }
        Ok(all_done(failed))
    })?;
    for (name, next) in [
        ("queue_pull", queue::pull as fn() -> Option<Vec<u8>>),
        ("queue_pop", queue::pop),
    ] {
        function(lua, uwsgi, name, move |lua, count: Option<u64>| {
            texts(lua, count.unwrap_or(1), |_| next())
        })?;
    }
    function(lua, uwsgi, "queue_get", |lua, numbers: Variadic<i64>| {
        let messages = numbers.iter().map(|number| text(lua, queue::get(slot(*number))));
        messages.collect::<mlua::Result<Variadic<_>>>()
    })?;
    // the newest message, or so many of the newest ones
    function(lua, uwsgi, "queue_last", |lua, count: Option<u64>| {
        texts(lua, count.unwrap_or(0).max(1), queue::last)
    })?;
    function(lua, uwsgi, "queue_slot", |_, ()| Ok(queue::places().1))?;
    function(lua, uwsgi, "queue_pull_slot", |_, ()| Ok(queue::places().2))
}
