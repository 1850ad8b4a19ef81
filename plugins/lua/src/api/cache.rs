//! `uwsgi.cache_*`: what is done answers true or the value, what is not answers nil.

use super::{all_done, function, raised, true_or_nil};
use mlua::{IntoLua, Lua, LuaString, Table, Value, Variadic};
use rsgi_plugin_api::cache::{Cache, Change};

/// Which cache an argument means.
fn named(name: Option<LuaString>) -> mlua::Result<Cache> {
    Cache::named(name.as_ref().map(|n| n.as_bytes()).as_deref()).map_err(raised)
}

/// How long a number lasts; nothing and less: as long as before.
fn seconds(expires: Option<i64>) -> u64 {
    expires.and_then(|s| u64::try_from(s).ok()).unwrap_or(0)
}

/// Puts the functions into the table.
///
/// # Errors
/// Lua has no memory.
pub fn install(lua: &Lua, uwsgi: &Table) -> mlua::Result<()> {
    type OfKey = (LuaString, Option<LuaString>);
    function(lua, uwsgi, "cache_get", |lua, (key, name): OfKey| {
        let value = named(name)?.get(&key.as_bytes());
        value.map(|value| lua.create_string(value)).transpose()
    })?;
    function(lua, uwsgi, "cache_del", |_, (key, name): OfKey| {
        Ok(true_or_nil(named(name)?.del(&key.as_bytes())))
    })?;
    function(lua, uwsgi, "cache_exists", |_, (key, name): OfKey| {
        Ok(true_or_nil(named(name)?.exists(&key.as_bytes())))
    })?;
    // uWSGI 2.0 looks for the name in the second place
    type Either = (Option<LuaString>, Option<LuaString>);
    function(lua, uwsgi, "cache_clear", |_, (first, second): Either| {
        Ok(true_or_nil(named(first.or(second))?.clear()))
    })?;
    function(lua, uwsgi, "cache_keys", |lua, name: Option<LuaString>| {
        let keys = named(name)?.keys();
        let keys = keys.ok_or_else(|| mlua::Error::runtime("no such cache in this instance"))?;
        let keys: mlua::Result<Vec<LuaString>> = keys.iter().map(|key| lua.create_string(key)).collect();
        lua.create_sequence_from(keys?)
    })?;
    type Value = (LuaString, LuaString, Option<i64>, Option<LuaString>);
    for (name, replace) in [("cache_set", false), ("cache_update", true)] {
        function(lua, uwsgi, name, move |_, (key, value, expires, name): Value| {
            let (cache, expires) = (named(name)?, expires.unwrap_or(0));
            Ok(true_or_nil(cache.set(
                &key.as_bytes(),
                &value.as_bytes(),
                expires,
                replace,
            )))
        })?;
    }
    install_numbers(lua, uwsgi)?;
    install_multi(lua, uwsgi)?;
    install_setters(lua, uwsgi)
}

/// What one key of a call about several answers.
type OfOne = fn(&Lua, &Cache, &[u8]) -> mlua::Result<Value>;

/// Functions about several keys: the cache (nil: the first), then the keys. `_multi` answers one value for each key;
/// `_tmulti` a table by key, and how many keys had nothing, if any.
fn install_multi(lua: &Lua, uwsgi: &Table) -> mlua::Result<()> {
    let get: OfOne = |lua, cache, key| cache.get(key).map(|v| lua.create_string(v)).transpose()?.into_lua(lua);
    let number: OfOne = |lua, cache, key| cache.number(key).into_lua(lua);
    let exists: OfOne = |lua, cache, key| true_or_nil(cache.exists(key)).into_lua(lua);
    let del: OfOne = |lua, cache, key| true_or_nil(cache.del(key)).into_lua(lua);
    type Keys = (Option<LuaString>, Variadic<LuaString>);
    for (name, of_one) in [("get", get), ("getnum", number), ("exists", exists), ("del", del)] {
        function(
            lua,
            uwsgi,
            &format!("cache_{name}_multi"),
            move |lua, (cache, keys): Keys| {
                let cache = named(cache)?;
                let answers = keys.iter().map(|key| of_one(lua, &cache, &key.as_bytes()));
                answers.collect::<mlua::Result<Variadic<Value>>>()
            },
        )?;
        function(
            lua,
            uwsgi,
            &format!("cache_{name}_tmulti"),
            move |lua, (cache, keys): Keys| {
                let (cache, answers) = (named(cache)?, lua.create_table()?);
                let mut missed = 0;
                for key in keys.iter() {
                    match of_one(lua, &cache, &key.as_bytes())? {
                        Value::Nil => missed += 1,
                        answer => answers.raw_set(key, answer)?,
                    }
                }
                Ok((answers, (missed > 0).then_some(missed)))
            },
        )?;
    }
    Ok(())
}

/// Numbers, as all languages share them: 64 bits with a sign.
fn install_numbers(lua: &Lua, uwsgi: &Table) -> mlua::Result<()> {
    for name in ["cache_getnum", "cache_num"] {
        function(lua, uwsgi, name, |_, (key, name): (LuaString, Option<LuaString>)| {
            Ok(named(name)?.number(&key.as_bytes()).unwrap_or(0))
        })?;
    }
    for (name, replace) in [("cache_setnum", false), ("cache_updatenum", true)] {
        type Number = (LuaString, i64, Option<i64>, Option<LuaString>);
        function(lua, uwsgi, name, move |_, (key, number, expires, name): Number| {
            let (cache, value) = (named(name)?, number.to_le_bytes());
            Ok(true_or_nil(cache.set(
                &key.as_bytes(),
                &value,
                expires.unwrap_or(0),
                replace,
            )))
        })?;
    }
    for (name, change, by_itself) in [
        ("cache_inc", Change::Inc, 1),
        ("cache_dec", Change::Dec, 1),
        ("cache_mul", Change::Mul, 2),
        ("cache_div", Change::Div, 2),
    ] {
        type By = (LuaString, Option<i64>, Option<i64>, Option<LuaString>);
        function(lua, uwsgi, name, move |_, (key, by, expires, name): By| {
            let (cache, by) = (named(name)?, by.unwrap_or(by_itself));
            Ok(true_or_nil(cache.change(&key.as_bytes(), change, by, seconds(expires))))
        })?;
    }
    Ok(())
}

/// What a setter of several keys does with each.
#[derive(Clone, Copy)]
enum Put {
    Text { replace: bool },
    Number { replace: bool },
    Change(Change, i64),
}

impl Put {
    /// Does it; whether it is done. A value that is none of this kind is not, but stands for its default in a change.
    fn apply(self, lua: &Lua, cache: &Cache, key: &[u8], value: Value, expires: i64) -> mlua::Result<bool> {
        Ok(match self {
            Self::Text { replace } => lua
                .coerce_string(value)?
                .is_some_and(|value| cache.set(key, &value.as_bytes(), expires, replace)),
            Self::Number { replace } => lua
                .coerce_integer(value)?
                .is_some_and(|value| cache.set(key, &value.to_le_bytes(), expires, replace)),
            Self::Change(change, by_itself) => {
                let by = lua.coerce_integer(value)?.unwrap_or(by_itself);
                cache.change(key, change, by, seconds(Some(expires)))
            }
        })
    }
}

/// `_multi` of what writes: seconds, the cache (nil: the first), then keys and values in turn. True, or nil and how many
/// were not done.
fn install_setters(lua: &Lua, uwsgi: &Table) -> mlua::Result<()> {
    type Pairs = (Option<i64>, Option<LuaString>, Variadic<Value>);
    for (name, put) in [
        ("set", Put::Text { replace: false }),
        ("update", Put::Text { replace: true }),
        ("setnum", Put::Number { replace: false }),
        ("updatenum", Put::Number { replace: true }),
        ("inc", Put::Change(Change::Inc, 1)),
        ("dec", Put::Change(Change::Dec, 1)),
        ("mul", Put::Change(Change::Mul, 2)),
        ("div", Put::Change(Change::Div, 2)),
    ] {
        let body = move |lua: &Lua, (expires, cache, pairs): Pairs| {
            let (cache, expires) = (named(cache)?, expires.unwrap_or(0));
            let mut failed = 0;
            for pair in pairs.chunks(2) {
                let key = lua.coerce_string(pair[0].clone())?;
                let key = key.ok_or_else(|| mlua::Error::runtime("a key is no text"))?;
                let value = pair.get(1).cloned().unwrap_or(Value::Nil);
                if !put.apply(lua, &cache, &key.as_bytes(), value, expires)? {
                    failed += 1;
                }
            }
            Ok(all_done(failed))
        };
        function(lua, uwsgi, &format!("cache_{name}_multi"), body)?;
    }
    Ok(())
}
