//! `uwsgi.websocket_*`: a conversation inside a request, on the core that serves it. Failures are errors of Lua.

use super::function;
use mlua::{Error, Lua, LuaString, Table};
use rsgi_plugin_api::abi::{UwsgiBuffer, WsgiRequest};
use rsgi_plugin_api::sys;
use std::ffi::{c_char, c_int};

/// Puts the functions into the table.
///
/// # Errors
/// Lua has no memory.
pub fn install(lua: &Lua, uwsgi: &Table) -> mlua::Result<()> {
    function(
        lua,
        uwsgi,
        "websocket_handshake",
        |_, texts: (Option<LuaString>, Option<LuaString>, Option<LuaString>)| {
            let part = |text: &Option<LuaString>| text.as_ref().map(|t| t.as_bytes().to_vec()).unwrap_or_default();
            let (key, origin, protocol) = (part(&texts.0), part(&texts.1), part(&texts.2));
            let place = |text: &Vec<u8>| (text.as_ptr().cast_mut().cast::<c_char>(), text.len().min(0xffff) as u16);
            let ((k, kl), (o, ol), (p, pl)) = (place(&key), place(&origin), place(&protocol));
            // SAFETY: the request of this core; the texts outlive the call.
            let rc = unsafe { sys::uwsgi_websocket_handshake(request()?, k, kl, o, ol, p, pl) };
            done(rc, "unable to complete websocket handshake")
        },
    )?;
    function(lua, uwsgi, "websocket_recv", |lua, ()| {
        receive(lua, sys::uwsgi_websocket_recv)
    })?;
    function(lua, uwsgi, "websocket_recv_nb", |lua, ()| {
        receive(lua, sys::uwsgi_websocket_recv_nb)
    })?;
    function(lua, uwsgi, "websocket_send", |_, data: LuaString| {
        send(&data, sys::uwsgi_websocket_send)
    })?;
    function(lua, uwsgi, "websocket_send_binary", |_, data: LuaString| {
        send(&data, sys::uwsgi_websocket_send_binary)
    })
}

/// The request that this core serves.
fn request() -> mlua::Result<*mut WsgiRequest> {
    super::with_request("websockets", |req| Ok(req.as_ptr()))
}

fn done(rc: c_int, failed: &str) -> mlua::Result<()> {
    if rc == 0 { Ok(()) } else { Err(Error::runtime(failed)) }
}

fn receive(lua: &Lua, from: unsafe extern "C" fn(*mut WsgiRequest) -> *mut UwsgiBuffer) -> mlua::Result<LuaString> {
    // SAFETY: the request of this core; NULL, or a new buffer that is ours.
    unsafe {
        let buffer = from(request()?);
        let Some(message) = buffer.as_ref() else {
            return Err(Error::runtime("unable to receive websocket message"));
        };
        let text = match message.pos {
            0 => lua.create_string(b""),
            len => lua.create_string(std::slice::from_raw_parts(message.buf.cast::<u8>(), len)),
        };
        sys::uwsgi_buffer_destroy(buffer);
        text
    }
}

fn send(
    data: &LuaString,
    with: unsafe extern "C" fn(*mut WsgiRequest, *mut c_char, usize) -> c_int,
) -> mlua::Result<()> {
    let data = data.as_bytes();
    // SAFETY: the request of this core; the bytes outlive the call.
    let rc = unsafe { with(request()?, data.as_ptr().cast_mut().cast(), data.len()) };
    done(rc, "unable to send websocket message")
}
