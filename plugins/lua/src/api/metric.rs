//! `uwsgi.metric_*`: a change answers true, or nil when there is no such metric.

use super::{function, raised, true_or_nil};
use mlua::{Lua, LuaString, Table};
use rsgi_plugin_api::metric::{self, Change};

/// Puts the functions into the table.
///
/// # Errors
/// Lua has no memory.
pub fn install(lua: &Lua, uwsgi: &Table) -> mlua::Result<()> {
    function(lua, uwsgi, "metric_get", |_, name: LuaString| {
        metric::get(&name.as_bytes()).map_err(raised)
    })?;
    for (name, change) in [
        ("metric_set", Change::Set),
        ("metric_inc", Change::Inc),
        ("metric_dec", Change::Dec),
        ("metric_mul", Change::Mul),
        ("metric_div", Change::Div),
        ("metric_set_max", Change::SetMax),
        ("metric_set_min", Change::SetMin),
    ] {
        function(lua, uwsgi, name, move |_, (name, by): (LuaString, Option<i64>)| {
            let is_done = metric::change(&name.as_bytes(), change, by.unwrap_or(1)).map_err(raised)?;
            Ok(true_or_nil(is_done))
        })?;
    }
    Ok(())
}
