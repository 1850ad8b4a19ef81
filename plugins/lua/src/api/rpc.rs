//! `uwsgi.register_rpc` and calls. Each state keeps its own functions; the process registers a name with a number, and
//! the thread that is called runs the function of its own state.

use super::{function, raised};
use crate::app;
use mlua::{Function, Lua, LuaString, Table, Value, Variadic};
use rsgi_plugin_api::rpc;
use std::sync::{Mutex, PoisonError};

/// Where a state keeps its functions, by name.
const FUNCTIONS: &str = "rsgi.rpc_functions";

/// The names that this process registered for Lua; a function's number is its place, from 1.
static NAMES: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// The number of a name, and whether it is new.
fn number(name: &[u8]) -> (usize, bool) {
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    match names.iter().position(|n| n == name) {
        Some(at) => (at + 1, false),
        None => {
            names.push(name.to_vec());
            (names.len(), true)
        }
    }
}

/// Runs this state's function of a number.
///
/// # Errors
/// It has none, or what the function raised, with its traceback.
pub fn answer(lua: &Lua, number: usize, arguments: &[&[u8]]) -> mlua::Result<Option<Vec<u8>>> {
    let name = {
        let names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        number.checked_sub(1).and_then(|at| names.get(at).cloned())
    };
    let name = name.ok_or_else(|| mlua::Error::runtime("no rpc function has this number"))?;
    let functions: Table = lua.named_registry_value(FUNCTIONS)?;
    let function: Option<Function> = functions.raw_get(lua.create_string(&name)?)?;
    let function = function.ok_or_else(|| {
        let name = String::from_utf8_lossy(&name);
        mlua::Error::runtime(format!("this Lua state has no rpc function {name}"))
    })?;
    let arguments: mlua::Result<Variadic<LuaString>> = arguments.iter().map(|a| lua.create_string(a)).collect();
    let answer: Value = function.call(arguments?)?;
    Ok(lua.coerce_string(answer)?.map(|text| text.as_bytes().to_vec()))
}

/// Makes a call: the answer, nil when nothing came back.
fn call(lua: &Lua, node: Option<&[u8]>, texts: &[LuaString]) -> mlua::Result<Option<LuaString>> {
    let texts: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    let (name, arguments) = texts
        .split_first()
        .ok_or_else(|| mlua::Error::runtime("a call needs the name of an rpc function"))?;
    let answer = rpc::call(node, name, arguments).map_err(raised)?;
    answer.map(|answer| lua.create_string(answer)).transpose()
}

/// Puts the functions into the table.
///
/// # Errors
/// Lua has no memory.
pub fn install(lua: &Lua, uwsgi: &Table) -> mlua::Result<()> {
    lua.set_named_registry_value(FUNCTIONS, lua.create_table()?)?;
    function(
        lua,
        uwsgi,
        "register_rpc",
        |lua, (name, function, argc): (LuaString, Function, Option<u8>)| {
            let functions: Table = lua.named_registry_value(FUNCTIONS)?;
            let (number, is_new) = number(&name.as_bytes());
            // what another plugin has replaced meanwhile stays replaced when one more state is made
            if is_new || !app::repeats() {
                rpc::register(&name.as_bytes(), argc.unwrap_or(0), number, crate::modifier1()).map_err(raised)?;
            }
            functions.raw_set(name, function)?;
            Ok(true)
        },
    )?;
    function(
        lua,
        uwsgi,
        "rpc",
        |lua, (node, texts): (Option<LuaString>, Variadic<LuaString>)| {
            call(lua, node.as_ref().map(|n| n.as_bytes()).as_deref(), &texts)
        },
    )?;
    function(lua, uwsgi, "call", |lua, texts: Variadic<LuaString>| {
        call(lua, None, &texts)
    })?;
    function(lua, uwsgi, "rpc_list", |lua, ()| {
        let names: mlua::Result<Vec<LuaString>> = rpc::names().iter().map(|name| lua.create_string(name)).collect();
        lua.create_sequence_from(names?)
    })
}
