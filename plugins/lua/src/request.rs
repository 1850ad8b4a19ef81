//! One WSAPI request: the environment as a table, `status, headers, iterator` back.

use crate::app::State;
use mlua::{Function, MultiValue, Table, Value};
use rsgi_plugin_api::{BodyRead, HookError, Request};

fn text(e: mlua::Error) -> HookError {
    HookError::new(e.to_string())
}

/// Serves a request with this thread's state.
///
/// # Errors
/// What Lua raised, with its traceback, or the client has gone.
pub fn serve(state: &State, req: &mut Request<'_>) -> Result<(), HookError> {
    let env = environment(state, req).map_err(text)?;
    // the request is only reachable from Lua while this call lasts
    let raw = req.as_ptr() as usize;
    let read = state
        .lua
        .create_function(move |lua, hint: MultiValue| {
            let hint = hint.iter().find_map(Value::as_usize).unwrap_or(0);
            // SAFETY: the function is dropped from the environment before the request ends.
            let mut req = unsafe { Request::from_raw(raw as *mut _) };
            match req.read_body(hint) {
                BodyRead::Data(data) => lua.create_string(data).map(Some),
                BodyRead::End => Ok(None),
                BodyRead::Gone => Err(mlua::Error::runtime("the client has gone before its body was complete")),
                BodyRead::Timeout => Err(mlua::Error::runtime("the client did not send its body in time")),
            }
        })
        .map_err(text)?;
    let input = state.lua.create_table().map_err(text)?;
    input.set("read", read).map_err(text)?;
    env.set("input", &input).map_err(text)?;
    let outcome = answer(state, req, env);
    let _ = input.set("read", Value::Nil);
    outcome
}

fn environment(state: &State, req: &Request<'_>) -> mlua::Result<Table> {
    let env = state.lua.create_table()?;
    for (key, value) in req.vars() {
        env.raw_set(state.lua.create_string(key)?, state.lua.create_string(value)?)?;
    }
    Ok(env)
}

fn answer(state: &State, req: &mut Request<'_>, env: Table) -> Result<(), HookError> {
    let (status, headers, body): (Value, Option<Table>, Value) = state.run.call(env).map_err(text)?;
    let status = match status {
        Value::Integer(code) => code.to_string() + " " + reason(code),
        Value::String(line) => line.to_string_lossy(),
        other => {
            return Err(HookError::new(format!(
                "the status is a {}, not a number or string",
                other.type_name()
            )));
        }
    };
    req.start(status.trim_end())?;
    for pair in headers.iter().flat_map(|h| h.pairs::<mlua::LuaString, Value>()) {
        let (name, value) = pair.map_err(text)?;
        match value {
            Value::Table(values) => {
                for value in values.sequence_values::<mlua::LuaString>() {
                    req.header(name.as_bytes(), value.map_err(text)?.as_bytes())?;
                }
            }
            value => {
                let value = state.lua.coerce_string(value).map_err(text)?;
                let value = value.ok_or_else(|| HookError::new("a header's value is no string"))?;
                req.header(name.as_bytes(), value.as_bytes())?;
            }
        }
    }
    match body {
        Value::Nil => req.write_last(&[]),
        Value::String(whole) => req.write_last(&[&whole.as_bytes()]),
        Value::Function(iterator) => stream(req, &iterator),
        other => Err(HookError::new(format!(
            "the body is a {}, not an iterator",
            other.type_name()
        ))),
    }
}

/// Sends what the iterator gives until it gives nil, or its coroutine is dead.
fn stream(req: &mut Request<'_>, iterator: &Function) -> Result<(), HookError> {
    loop {
        let piece: Option<mlua::LuaString> = match iterator.call(()) {
            Ok(piece) => piece,
            // coroutine.wrap raises when it is called past its end, which is how WSAPI's examples end
            Err(e) if e.to_string().contains("cannot resume dead coroutine") => None,
            Err(e) => return Err(text(e)),
        };
        match piece {
            Some(piece) => req.write(&piece.as_bytes())?,
            None => return req.write_last(&[]),
        }
    }
}

fn reason(code: i64) -> &'static str {
    match code {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
