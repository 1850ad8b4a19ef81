//! `uwsgi.lock` and its like: the locks that all processes share; without a number it is the first.

use super::{function, raised};
use mlua::{Lua, Table};
use rsgi_plugin_api::lock::{self, Taken};

/// Puts the functions into the table.
///
/// # Errors
/// Lua has no memory.
pub fn install(lua: &Lua, uwsgi: &Table) -> mlua::Result<()> {
    function(lua, uwsgi, "lock", |_, number: Option<i64>| {
        match lock::lock(number.unwrap_or(0), true).map_err(raised)? {
            Taken::Yes => Ok(()),
            _ => Err(mlua::Error::runtime(
                "this thread holds the lock already: unlock it before it is asked for again",
            )),
        }
    })?;
    function(lua, uwsgi, "unlock", |_, number: Option<i64>| {
        lock::unlock(number.unwrap_or(0)).map_err(raised)
    })?;
    function(lua, uwsgi, "is_locked", |_, number: Option<i64>| {
        lock::is_locked(number.unwrap_or(0)).map_err(raised)
    })
}
