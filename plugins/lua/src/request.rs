//! One WSAPI request: the environment as a table, `status, headers, iterator` back.

use crate::app::State;
use mlua::{Function, Lua, LuaString, Table, Value, ffi};
use rsgi_plugin_api::{HookError, Request, process};
use std::cell::Cell;
use std::ffi::c_int;

thread_local! {
    /// This thread is inside a request.
    static SERVES: Cell<bool> = const { Cell::new(false) };
    /// Requests that this thread has begun.
    static NUMBER: Cell<u64> = const { Cell::new(0) };
    /// The server is to stop when the request is over.
    static STOPS: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a request.
pub fn serves() -> bool {
    SERVES.get()
}

/// Which request this thread is inside, told apart from all before.
pub fn number() -> Option<u64> {
    SERVES.get().then(|| NUMBER.get())
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
    let Some(run) = &state.run else {
        return Err(HookError::new("no Lua application: name one with --lua FILE"));
    };
    let env = environment(state, req).map_err(text)?;
    SERVES.set(true);
    NUMBER.set(NUMBER.get() + 1);
    let outcome = answer(&state.lua, run, req, env);
    SERVES.set(false);
    outcome
}

/// The variables as a table, and `input` in it. Written on Lua's stack: each value of its own would cost as much again.
fn environment(state: &State, req: &Request<'_>) -> mlua::Result<Table> {
    let count = c_int::from(req.fields().var_cnt / 2) + 1;
    // SAFETY: the stack holds `read` and has room for more; the closure owns nothing that an error of Lua would leak,
    // and it leaves the table on top.
    unsafe {
        state.lua.exec_raw(&state.read, |lua| {
            ffi::lua_createtable(lua, 0, 1);
            ffi::lua_insert(lua, -2);
            ffi::lua_setfield(lua, -2, c"read".as_ptr());
            ffi::lua_createtable(lua, 0, count);
            ffi::lua_insert(lua, -2);
            ffi::lua_setfield(lua, -2, c"input".as_ptr());
            for (key, value) in req.vars() {
                ffi::lua_pushlstring(lua, key.as_ptr().cast(), key.len());
                ffi::lua_pushlstring(lua, value.as_ptr().cast(), value.len());
                ffi::lua_rawset(lua, -3);
            }
        })
    }
}

/// Begins the answer, with a number or a line as its status.
///
/// # Errors
/// Lua's values are none of a head, or it was sent already.
pub fn head(lua: &Lua, req: &mut Request<'_>, status: Value, headers: Option<Table>) -> Result<(), HookError> {
    match status {
        Value::Integer(code) => {
            let code = u16::try_from(code).map_err(|_| HookError::new(format!("{code} is no status")))?;
            req.start_with(code)?;
        }
        Value::String(line) => req.start(line.to_string_lossy().trim_end())?,
        other => {
            return Err(HookError::new(format!(
                "the status is a {}, not a number or string",
                other.type_name()
            )));
        }
    }
    headers.map_or(Ok(()), |headers| add_headers(lua, req, &headers))
}

/// Adds headers; a table as a value is sent as several of them.
///
/// # Errors
/// Lua's values are none of headers, or the head was sent already.
pub fn add_headers(lua: &Lua, req: &mut Request<'_>, headers: &Table) -> Result<(), HookError> {
    for pair in headers.pairs::<LuaString, Value>() {
        let (name, value) = pair.map_err(text)?;
        add_header(lua, req, &name, &value)?;
    }
    Ok(())
}

/// Adds a header, as [`add_headers`] does.
///
/// # Errors
/// As there.
pub fn add_header(lua: &Lua, req: &mut Request<'_>, name: &LuaString, value: &Value) -> Result<(), HookError> {
    match value {
        Value::String(value) => req.header(name.as_bytes(), value.as_bytes()),
        Value::Table(values) => {
            for value in values.sequence_values::<Value>() {
                add_header(lua, req, name, &value.map_err(text)?)?;
            }
            Ok(())
        }
        value => {
            let value = lua.coerce_string(value.clone()).map_err(text)?;
            let value = value.ok_or_else(|| HookError::new("a header's value is no string"))?;
            req.header(name.as_bytes(), value.as_bytes())
        }
    }
}

fn answer(lua: &Lua, run: &Function, req: &mut Request<'_>, env: Table) -> Result<(), HookError> {
    let (status, headers, body): (Value, Option<Table>, Value) = run.call(env).map_err(text)?;
    match (status, req.fields().status) {
        // uwsgi.start_response() has said it
        (Value::Nil, begun) if begun != 0 => {
            headers.map_or(Ok(()), |headers| add_headers(lua, req, &headers))?;
        }
        (status, _) => head(lua, req, status, headers)?,
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
