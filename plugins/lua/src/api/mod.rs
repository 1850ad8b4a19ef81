//! The table `uwsgi` of each Lua state, one file for each subject.

mod cache;
mod lock;
mod metric;
mod mule;
mod net;
mod process;
mod queue;
mod request;
mod rpc;
mod signal;
mod websocket;
mod worker;

use crate::request as request_hook;
use mlua::{Lua, LuaString, Table, Value, Variadic};
use rsgi_plugin_api::{HookError, Request, log};

pub use mule::dispatch;
pub use request::input_read;
pub use rpc::answer;
pub use signal::handle;

/// Puts the table into a state.
///
/// # Errors
/// Lua has no memory.
pub fn install(lua: &Lua) -> mlua::Result<()> {
    let uwsgi = lua.create_table()?;
    uwsgi.set("version", env!("CARGO_PKG_VERSION"))?;
    uwsgi.set(
        "log",
        lua.create_function(|_, text: LuaString| {
            log::line(&text.to_string_lossy());
            Ok(())
        })?,
    )?;
    cache::install(lua, &uwsgi)?;
    lock::install(lua, &uwsgi)?;
    metric::install(lua, &uwsgi)?;
    mule::install(lua, &uwsgi)?;
    net::install(lua, &uwsgi)?;
    process::install(lua, &uwsgi)?;
    queue::install(lua, &uwsgi)?;
    request::install(lua, &uwsgi)?;
    rpc::install(lua, &uwsgi)?;
    signal::install(lua, &uwsgi)?;
    websocket::install(lua, &uwsgi)?;
    worker::install(lua, &uwsgi)?;
    lua.globals().set("uwsgi", uwsgi)
}

/// An error of the host as one of Lua.
fn raised(e: HookError) -> mlua::Error {
    mlua::Error::runtime(e.to_string())
}

/// Calls `body` with the request that this thread serves.
fn with_request<T>(what: &str, body: impl FnOnce(&mut Request<'_>) -> mlua::Result<T>) -> mlua::Result<T> {
    // SAFETY: asked for inside the hook only, and gone when `body` returns.
    let req = request_hook::serves().then(|| unsafe { Request::current() }).flatten();
    let mut req = req.ok_or_else(|| mlua::Error::runtime(format!("{what}: this thread serves no request")))?;
    body(&mut req)
}

/// How the functions of the table say whether something was done.
fn true_or_nil(is_done: bool) -> Option<bool> {
    is_done.then_some(true)
}

/// How those say it that do several things at once: true, or nil and how many were not done.
fn all_done(failed: usize) -> Variadic<Value> {
    match failed {
        0 => [Value::Boolean(true)].into_iter().collect(),
        // no memory holds so many
        failed => [Value::Nil, Value::Integer(failed as mlua::Integer)]
            .into_iter()
            .collect(),
    }
}

/// Sets a function of the table.
fn function<A, R>(
    lua: &Lua,
    uwsgi: &Table,
    name: &str,
    body: impl Fn(&Lua, A) -> mlua::Result<R> + mlua::MaybeSend + 'static,
) -> mlua::Result<()>
where
    A: mlua::FromLuaMulti,
    R: mlua::IntoLuaMulti,
{
    uwsgi.set(name, lua.create_function(body)?)
}
