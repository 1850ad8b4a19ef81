//! Sockets of the application, and waiting: of the thread, which serves nobody else meanwhile.

use super::{function, raised, true_or_nil};
use mlua::{Lua, LuaString, Table, Value};
use rsgi_plugin_api::net::{self, Wait};
use std::cell::Cell;
use std::ffi::c_int;
use std::rc::Rc;
use std::time::Duration;

/// Longest piece that `recv` asks for.
const MOST: usize = 1 << 20;

/// Puts the functions into the table.
///
/// # Errors
/// Lua has no memory.
pub fn install(lua: &Lua, uwsgi: &Table) -> mlua::Result<()> {
    // where the connection does not stand yet, is_connected() and wait_fd_write() tell
    for (name, nonblocking) in [("connect", false), ("async_connect", true)] {
        function(
            lua,
            uwsgi,
            name,
            move |_, (address, timeout): (LuaString, Option<c_int>)| {
                let fd = net::connect(&address.as_bytes(), timeout.unwrap_or(0), nonblocking);
                Ok(fd.unwrap_or(-1))
            },
        )?;
    }
    function(lua, uwsgi, "is_connected", |_, fd: c_int| Ok(net::is_connected(fd)))?;
    function(lua, uwsgi, "send", |_, (fd, data): (Value, Option<LuaString>)| {
        let (fd, data) = match (fd, data) {
            (Value::String(data), None) => (client()?, data),
            (fd, Some(data)) => {
                let fd = fd.as_integer().and_then(|fd| c_int::try_from(fd).ok());
                (
                    fd.ok_or_else(|| mlua::Error::runtime("send([descriptor,] text)"))?,
                    data,
                )
            }
            _ => return Err(mlua::Error::runtime("send([descriptor,] text)")),
        };
        net::send(fd, &data.as_bytes()).map(|()| true).map_err(raised)
    })?;
    function(lua, uwsgi, "recv", |lua, (fd, most): (c_int, Option<usize>)| {
        let data = net::receive(fd, most.unwrap_or(4096).min(MOST));
        data.map(|data| lua.create_string(data)).transpose()
    })?;
    function(lua, uwsgi, "close", |_, fd: c_int| {
        net::close(fd);
        Ok(())
    })?;
    function(lua, uwsgi, "async_sleep", |_, seconds: f64| {
        let pause = Duration::try_from_secs_f64(seconds);
        std::thread::sleep(pause.map_err(|e| mlua::Error::runtime(format!("the pause {seconds}: {e}")))?);
        Ok(())
    })?;
    let ready = Rc::new(Cell::new(-1));
    for (name, what) in [("wait_fd_read", Wait::Read), ("wait_fd_write", Wait::Write)] {
        let ready = Rc::clone(&ready);
        function(lua, uwsgi, name, move |_, (fd, seconds): (c_int, Option<c_int>)| {
            let is_ready = net::wait(fd, what, seconds.filter(|s| *s > 0).unwrap_or_else(net::limit));
            ready.set(if is_ready { fd } else { -1 });
            Ok(true_or_nil(is_ready))
        })?;
    }
    // what the last wait was about, -1: its time was over
    function(lua, uwsgi, "ready_fd", move |_, ()| Ok(ready.get()))
}

/// The client of the request that this thread serves.
fn client() -> mlua::Result<c_int> {
    super::with_request("send", |req| Ok(req.fields().fd))
}
