//! One WSAPI request: the environment as a table, `status, headers, iterator` back.

use crate::app::State;
use mlua::{Function, Lua, LuaString, Table, Value};
use rsgi_plugin_api::{HookError, Request, process};
use std::cell::Cell;

thread_local! {
    /// This thread is inside a request.
    static SERVES: Cell<bool> = const { Cell::new(false) };
    /// The server is to stop when the request is over.
    static STOPS: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a request.
pub fn serves() -> bool {
    SERVES.get()
}

/// Stops the server when the request of this thread is over; `false`: there is no request.
pub fn stop_after() -> bool {
    if SERVES.get() {
        STOPS.set(true);
    }
    SERVES.get()
}

fn text(e: mlua::Error) -> HookError {
    HookError::new(e.to_string())
}

/// The answer is on its way, with its last chunk: gives the order that [`stop_after`] kept back.
pub fn over() {
    if STOPS.take() {
        process::tell_master(libc::SIGQUIT);
    }
}

/// Serves a request with this thread's state.
///
/// # Errors
/// What Lua raised, with its traceback, or the client has gone.
pub fn serve(state: &State, req: &mut Request<'_>) -> Result<(), HookError> {
    let env = environment(state, req).map_err(text)?;
    let input = state.lua.create_table().map_err(text)?;
    input.set("read", &state.read).map_err(text)?;
    env.set("input", input).map_err(text)?;
    SERVES.set(true);
    let outcome = answer(state, req, env);
    SERVES.set(false);
    outcome
}

fn environment(state: &State, req: &Request<'_>) -> mlua::Result<Table> {
    let env = state.lua.create_table()?;
    for (key, value) in req.vars() {
        env.raw_set(state.lua.create_string(key)?, state.lua.create_string(value)?)?;
    }
    Ok(env)
}

/// Begins the answer, with a number or a line as its status.
///
/// # Errors
/// Lua's values are none of a head, or it was sent already.
pub fn head(lua: &Lua, req: &mut Request<'_>, status: Value, headers: Option<Table>) -> Result<(), HookError> {
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
    headers.map_or(Ok(()), |headers| add_headers(lua, req, &headers))
}

/// Adds headers; a table as a value is sent as several of them.
///
/// # Errors
/// Lua's values are none of headers, or the head was sent already.
pub fn add_headers(lua: &Lua, req: &mut Request<'_>, headers: &Table) -> Result<(), HookError> {
    for pair in headers.pairs::<LuaString, Value>() {
        let (name, value) = pair.map_err(text)?;
        match value {
            Value::Table(values) => {
                for value in values.sequence_values::<LuaString>() {
                    req.header(name.as_bytes(), value.map_err(text)?.as_bytes())?;
                }
            }
            value => {
                let value = lua.coerce_string(value).map_err(text)?;
                let value = value.ok_or_else(|| HookError::new("a header's value is no string"))?;
                req.header(name.as_bytes(), value.as_bytes())?;
            }
        }
    }
    Ok(())
}

fn answer(state: &State, req: &mut Request<'_>, env: Table) -> Result<(), HookError> {
    let (status, headers, body): (Value, Option<Table>, Value) = state.run.call(env).map_err(text)?;
    match (status, req.fields().status) {
        // uwsgi.start_response() has said it
        (Value::Nil, begun) if begun != 0 => {
            headers.map_or(Ok(()), |headers| add_headers(&state.lua, req, &headers))?;
        }
        (status, _) => head(&state.lua, req, status, headers)?,
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
        let piece: Option<LuaString> = match iterator.call(()) {
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
