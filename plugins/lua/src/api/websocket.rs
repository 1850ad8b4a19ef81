//! `uwsgi.websocket_*`: a conversation inside a request, on the core that serves it, and `websocket_handler()`, the same
//! as an object. Failures are errors of Lua.

use super::function;
use crate::request;
use mlua::{Error, Lua, LuaString, Table, UserData, UserDataMethods};
use rsgi_plugin_api::abi::{UwsgiBuffer, WsgiRequest};
use rsgi_plugin_api::sys;
use std::cell::Cell;
use std::ffi::{c_char, c_int};

/// How messages leave.
type Send = unsafe extern "C" fn(*mut WsgiRequest, *mut c_char, usize) -> c_int;
/// How messages come.
type Receive = unsafe extern "C" fn(*mut WsgiRequest) -> *mut UwsgiBuffer;

/// What sends, by its name behind `websocket_` and in the object.
const SENDERS: [(&str, Send); 2] = [
    ("send", sys::uwsgi_websocket_send),
    ("send_binary", sys::uwsgi_websocket_send_binary),
];
/// What receives, likewise.
const RECEIVERS: [(&str, Receive); 2] = [
    ("recv", sys::uwsgi_websocket_recv),
    ("recv_nb", sys::uwsgi_websocket_recv_nb),
];

/// Puts the functions into the table.
///
/// # Errors
/// Lua has no memory.
pub fn install(lua: &Lua, uwsgi: &Table) -> mlua::Result<()> {
    type Texts = (Option<LuaString>, Option<LuaString>, Option<LuaString>);
    function(lua, uwsgi, "websocket_handshake", |_, texts: Texts| {
        let part = |text: &Option<LuaString>| text.as_ref().map(|t| t.as_bytes().to_vec()).unwrap_or_default();
        let (key, origin, protocol) = (part(&texts.0), part(&texts.1), part(&texts.2));
        let place = |text: &Vec<u8>| (text.as_ptr().cast_mut().cast::<c_char>(), text.len().min(0xffff) as u16);
        let ((k, kl), (o, ol), (p, pl)) = (place(&key), place(&origin), place(&protocol));
        // SAFETY: the request of this core; the texts outlive the call.
        let rc = unsafe { sys::uwsgi_websocket_handshake(current()?, k, kl, o, ol, p, pl) };
        done(rc, "unable to complete websocket handshake")
    })?;
    for (name, receiver) in RECEIVERS {
        let name = format!("websocket_{name}");
        function(lua, uwsgi, &name, move |lua, ()| receive(lua, current()?, receiver))?;
    }
    for (name, sender) in SENDERS {
        let full = format!("websocket_{name}");
        function(lua, uwsgi, &full, move |_, data: LuaString| {
            send(current()?, &data.as_bytes(), sender)
        })?;
        let full = format!("websocket_{name}_from_sharedarea");
        function(lua, uwsgi, &full, move |_, (area, from, len): Part| {
            send(current()?, &shared(area, from, len)?, sender)
        })?;
    }
    // nil where no browser asks for a conversation
    function(lua, uwsgi, "websocket_handler", |_, ()| {
        super::with_request("websocket_handler", |req| {
            let asks = req.var("HTTP_SEC_WEBSOCKET_KEY").is_some();
            Ok(request::number()
                .filter(|_| asks)
                .map(|number| Handler(Cell::new(Some(number)))))
        })
    })
}

/// Part of a shared area: its number, from where, and how many bytes (nothing and 0: to its end).
type Part = (c_int, u64, Option<u64>);

fn shared(area: c_int, from: u64, len: Option<u64>) -> mlua::Result<Vec<u8>> {
    let wrong = || Error::runtime(format!("unable to read from byte {from} of the shared area {area}"));
    let mut size = 0;
    // SAFETY: only the size is taken.
    let has_area = unsafe { !sys::rsgi_sharedarea(area, &mut size).is_null() };
    let rest = size.checked_sub(from).filter(|_| has_area).ok_or_else(wrong)?;
    let len = match len.unwrap_or(0) {
        0 => rest,
        len if len <= rest => len,
        _ => return Err(wrong()),
    };
    let mut bytes = vec![0u8; usize::try_from(len).map_err(|_| wrong())?];
    if len > 0 {
        // SAFETY: so many bytes of ours.
        let read = unsafe { sys::uwsgi_sharedarea_read(area, from, bytes.as_mut_ptr().cast(), len) };
        u64::try_from(read).ok().filter(|read| *read == len).ok_or_else(wrong)?;
    }
    Ok(bytes)
}

/// The request that this core serves.
fn current() -> mlua::Result<*mut WsgiRequest> {
    super::with_request("websockets", |req| Ok(req.as_ptr()))
}

fn done(rc: c_int, failed: &str) -> mlua::Result<()> {
    if rc == 0 { Ok(()) } else { Err(Error::runtime(failed)) }
}

fn receive(lua: &Lua, req: *mut WsgiRequest, from: Receive) -> mlua::Result<LuaString> {
    // SAFETY: the request of this core; NULL, or a new buffer that is ours.
    unsafe {
        let buffer = from(req);
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

fn send(req: *mut WsgiRequest, data: &[u8], with: Send) -> mlua::Result<()> {
    // SAFETY: the request of this core; the bytes outlive the call.
    let rc = unsafe { with(req, data.as_ptr().cast_mut().cast(), data.len()) };
    done(rc, "unable to send websocket message")
}

/// A conversation as an object: of the request with this number, until that is over or [`clear`](Self) is called.
struct Handler(Cell<Option<u64>>);

impl Handler {
    fn is_alive(&self) -> bool {
        self.0.get().is_some_and(|mine| request::number() == Some(mine))
    }

    fn request(&self) -> mlua::Result<*mut WsgiRequest> {
        match self.is_alive() {
            true => current(),
            false => Err(Error::runtime("the conversation of this websocket_handler is over")),
        }
    }
}

impl UserData for Handler {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        for (name, receiver) in RECEIVERS {
            methods.add_method(name, move |lua, handler, ()| receive(lua, handler.request()?, receiver));
        }
        for (name, sender) in SENDERS {
            methods.add_method(name, move |_, handler, data: LuaString| {
                send(handler.request()?, &data.as_bytes(), sender).map(|()| true)
            });
            let full = format!("{name}_from_sharedarea");
            methods.add_method(full, move |_, handler, (area, from, len): Part| {
                send(handler.request()?, &shared(area, from, len)?, sender).map(|()| true)
            });
        }
        methods.add_method("fd", |_, handler, ()| {
            handler.request()?;
            super::with_request("websockets", |req| Ok(req.fields().fd))
        });
        methods.add_method("async_id", |_, handler, ()| {
            handler.request()?;
            super::with_request("websockets", |req| Ok(req.fields().async_id))
        });
        methods.add_method("is_alive", |_, handler, ()| Ok(handler.is_alive().then_some(true)));
        methods.add_method("clear", |_, handler, ()| {
            handler.0.set(None);
            Ok(())
        });
    }
}
