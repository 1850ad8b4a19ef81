//! Which process this is, and orders to the master.

use super::{function, raised, true_or_nil};
use crate::request;
use mlua::{Lua, LuaString, Table};
use rsgi_plugin_api::process;

/// Puts the functions into the table.
///
/// # Errors
/// Lua has no memory.
pub fn install(lua: &Lua, uwsgi: &Table) -> mlua::Result<()> {
    function(lua, uwsgi, "mypid", |_, ()| Ok(std::process::id()))?;
    function(lua, uwsgi, "mywid", |_, ()| Ok(process::worker_id()))?;
    function(lua, uwsgi, "mymid", |_, ()| Ok(process::mule_id()))?;
    // of a worker by its number; 0 and nothing: of the master
    function(lua, uwsgi, "pid", |_, worker: Option<usize>| {
        match worker.unwrap_or(0) {
            0 => Ok(process::master_pid()),
            number => Ok(process::records().get(number).map(|w| w.pid)),
        }
    })?;
    function(lua, uwsgi, "i_am_a_spooler", |_, ()| Ok(process::is_spooler()))?;
    // resident and virtual, in bytes
    function(lua, uwsgi, "mem", |_, ()| Ok(process::memory()))?;
    function(lua, uwsgi, "micros", |_, ()| Ok(process::micros()))?;
    function(lua, uwsgi, "setprocname", |_, name: LuaString| {
        process::set_name(&name.as_bytes()).map_err(raised)
    })?;
    function(lua, uwsgi, "alarm", |_, (name, message): (LuaString, LuaString)| {
        process::alarm(&name.as_bytes(), &message.as_bytes()).map_err(raised)
    })?;
    function(lua, uwsgi, "reload", |_, ()| {
        Ok(true_or_nil(process::tell_master(libc::SIGHUP)))
    })?;
    // a request that stops the server is still answered: the order goes out when it is over
    function(lua, uwsgi, "stop", |_, ()| {
        let has_master = process::master_pid().is_some();
        Ok(true_or_nil(
            has_master && (request::stop_after() || process::tell_master(libc::SIGQUIT)),
        ))
    })
}
