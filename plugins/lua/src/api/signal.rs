//! Signals and what raises them by itself. Each state keeps its own handlers; the process registers a signal once, and
//! the thread that takes it runs the handler of its own state.

use super::{function, raised};
use crate::app;
use mlua::{Function, Lua, LuaString, MultiValue, Table, Value};
use rsgi_plugin_api::HookError;
use rsgi_plugin_api::signal::{self, Source};
use std::collections::HashMap;
use std::ffi::c_int;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Where a state keeps its handlers.
const HANDLERS: &str = "rsgi.signal_handlers";

/// The signals that this process registered for Lua, with their targets: other states of it need not do it again.
static REGISTERED: Mutex<Option<HashMap<u8, Vec<u8>>>> = Mutex::new(None);

/// Whether the target is new to this process; it is kept.
fn is_new(signal: u8, target: &[u8]) -> bool {
    let mut all = REGISTERED.lock().unwrap_or_else(PoisonError::into_inner);
    let before = all.get_or_insert_default().insert(signal, target.to_vec());
    before.as_deref() != Some(target)
}

fn forget(signal: u8) {
    let mut all = REGISTERED.lock().unwrap_or_else(PoisonError::into_inner);
    all.get_or_insert_default().remove(&signal);
}

/// Runs this state's handler of a signal.
///
/// # Errors
/// It has none, or what the handler raised, with its traceback.
pub fn handle(lua: &Lua, signal: u8) -> mlua::Result<()> {
    let handlers: Table = lua.named_registry_value(HANDLERS)?;
    let handler: Option<Function> = handlers.raw_get(signal)?;
    let handler = handler.ok_or_else(|| mlua::Error::runtime("this Lua state has no handler for it"))?;
    handler.call(signal)
}

fn period(seconds: f64) -> mlua::Result<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|e| mlua::Error::runtime(format!("the period {seconds}: {e}")))
}

/// The signal's functions of the table.
pub fn install(lua: &Lua, uwsgi: &Table) -> mlua::Result<()> {
    lua.set_named_registry_value(HANDLERS, lua.create_table()?)?;
    function(
        lua,
        uwsgi,
        "register_signal",
        |lua, (number, target, handler): (u8, LuaString, Function)| {
            let handlers: Table = lua.named_registry_value(HANDLERS)?;
            let target = target.as_bytes().to_vec();
            if is_new(number, &target)
                && let Err(e) = signal::register(number, &target, 0, crate::modifier1())
            {
                forget(number);
                return Err(raised(e));
            }
            handlers.raw_set(number, handler)
        },
    )?;
    function(lua, uwsgi, "unregister_signal", |lua, number: u8| {
        signal::unregister(number).map_err(raised)?;
        forget(number);
        let handlers: Table = lua.named_registry_value(HANDLERS)?;
        handlers.raw_set(number, Value::Nil)
    })?;
    function(lua, uwsgi, "signal", |_, (number, address): (u8, Option<LuaString>)| {
        let Some(address) = address else {
            return signal::raise(number).map_err(raised);
        };
        match signal::raise_at(&address.as_bytes(), number).map_err(raised)? {
            true => Ok(()),
            false => Err(mlua::Error::runtime(format!(
                "node {} rejected signal {number}",
                address.display()
            ))),
        }
    })?;
    function(lua, uwsgi, "signal_registered", |_, number: u8| {
        Ok(signal::is_registered(number))
    })?;
    function(lua, uwsgi, "signal_wait", |_, number: Option<u8>| {
        signal::wait(number).map_err(raised)
    })?;
    function(lua, uwsgi, "signal_received", |_, ()| {
        Ok(signal::received().map_or(-1, i64::from))
    })?;
    function(
        lua,
        uwsgi,
        "signal_coalesce",
        |_, (number, once): (u8, Option<bool>)| signal::coalesce(number, once.unwrap_or(true)).map_err(raised),
    )?;
    install_sources(lua, uwsgi)
}

/// Asks for a source, unless it is one of the application's start, which its first state asked for.
fn ask(wish: impl FnOnce() -> Result<(), HookError>) -> mlua::Result<()> {
    match app::repeats() {
        true => Ok(()),
        false => wish().map_err(raised),
    }
}

fn install_sources(lua: &Lua, uwsgi: &Table) -> mlua::Result<()> {
    for name in ["add_timer", "add_rb_timer"] {
        function(
            lua,
            uwsgi,
            name,
            |_, (number, seconds, iterations): (u8, f64, Option<u32>)| {
                let period = period(seconds)?;
                ask(|| signal::add_timer(number, period, iterations.unwrap_or(0)))
            },
        )?;
    }
    function(lua, uwsgi, "add_cron", |lua, arguments: MultiValue| {
        let wrong = || mlua::Error::runtime("add_cron(signal, minute, hour, day, month, weekday)");
        let (number, rest): (u8, MultiValue) = lua.unpack_multi(arguments)?;
        let fields = rest
            .iter()
            .map(|v| v.as_integer().and_then(|n| c_int::try_from(n).ok()));
        let fields: Vec<c_int> = fields.collect::<Option<_>>().ok_or_else(wrong)?;
        let fields = <[c_int; 5]>::try_from(fields).map_err(|_| wrong())?;
        ask(|| signal::add_cron(number, fields))
    })?;
    function(
        lua,
        uwsgi,
        "add_file_monitor",
        |_, (number, path, iterations, recursive): (u8, LuaString, Option<u32>, Option<bool>)| {
            let (iterations, recursive) = (iterations.unwrap_or(0), recursive.unwrap_or(false));
            ask(|| signal::add_file_monitor(number, &path.as_bytes(), iterations, recursive))
        },
    )?;
    for (name, source) in [
        ("del_timer", Source::Timer),
        ("del_cron", Source::Cron),
        ("del_file_monitor", Source::FileMonitor),
    ] {
        function(lua, uwsgi, name, move |_, number: u8| {
            signal::remove(number, source).map_err(raised)
        })?;
    }
    Ok(())
}
