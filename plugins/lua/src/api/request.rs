//! What Lua asks about the request that its thread serves, and the parts of an answer one by one.

use super::{function, raised, with_request};
use crate::request;
use mlua::{Error, Lua, LuaString, MultiValue, Table, Value};
use rsgi_plugin_api::{BodyRead, process};

/// Part of a body as Lua has it; nil at its end.
fn part(lua: &Lua, read: BodyRead<'_>) -> mlua::Result<Option<LuaString>> {
    match read {
        BodyRead::Data(data) => lua.create_string(data).map(Some),
        BodyRead::End => Ok(None),
        BodyRead::Gone => Err(Error::runtime("the client has gone before its body was complete")),
        BodyRead::Timeout => Err(Error::runtime("the client did not send its body in time")),
    }
}

/// `input.read([n])`, also called with a colon: the next bytes of the body, nil at its end.
///
/// # Errors
/// There is no request, or its body does not come.
pub fn input_read(lua: &Lua, hint: MultiValue) -> mlua::Result<Option<LuaString>> {
    let hint = hint.iter().find_map(Value::as_usize).unwrap_or(0);
    with_request("reading the body", |req| part(lua, req.read_body(hint)))
}

/// Puts the functions into the table.
///
/// # Errors
/// Lua has no memory.
pub fn install(lua: &Lua, uwsgi: &Table) -> mlua::Result<()> {
    function(lua, uwsgi, "connection_fd", |_, ()| {
        with_request("connection_fd", |req| Ok(req.fields().fd))
    })?;
    for name in ["async_id", "async_id_get"] {
        function(lua, uwsgi, name, |_, ()| {
            with_request("async_id", |req| Ok(req.fields().async_id))
        })?;
    }
    // requests that this worker has served
    function(lua, uwsgi, "request_id", |_, ()| {
        let me = usize::try_from(process::worker_id()).ok();
        Ok(me.and_then(|me| process::records().get(me)).map_or(0, |w| w.requests))
    })?;
    function(lua, uwsgi, "req_input_read", input_read)?;
    function(lua, uwsgi, "chunked_read", |lua, seconds: Option<i32>| {
        let seconds = seconds.unwrap_or(0).max(0);
        with_request("chunked_read", |req| part(lua, req.read_chunk(seconds, true)))
    })?;
    // an empty text when the next chunk is not there yet
    function(lua, uwsgi, "chunked_read_nb", |lua, ()| {
        with_request("chunked_read_nb", |req| match req.read_chunk(0, false) {
            BodyRead::Timeout => lua.create_string("").map(Some),
            read => part(lua, read),
        })
    })?;
    function(
        lua,
        uwsgi,
        "start_response",
        |lua, (status, headers): (Value, Option<Table>)| {
            with_request("start_response", |req| {
                request::head(lua, req, status, headers).map_err(raised)
            })
        },
    )?;
    // a table, or names and values in turn
    function(lua, uwsgi, "add_headers", |lua, headers: MultiValue| {
        with_request("add_headers", |req| match headers.front() {
            Some(Value::Table(headers)) => request::add_headers(lua, req, headers).map_err(raised),
            _ => {
                let headers: Vec<Value> = headers.into_vec();
                for pair in headers.chunks(2) {
                    let name = lua.coerce_string(pair[0].clone())?;
                    let name = name.ok_or_else(|| Error::runtime("add_headers(name, value, ...)"))?;
                    request::add_header(lua, req, &name, pair.get(1).unwrap_or(&Value::Nil)).map_err(raised)?;
                }
                Ok(())
            }
        })
    })
}
