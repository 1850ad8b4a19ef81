//! Websockets, and chunked bodies piece by piece.

use super::buffer::{uwsgi_buffer_append, uwsgi_buffer_new};
use super::bytes;
use crate::request::Core;
use crate::request::body::BodyError;
use crate::request::websocket::{self, SocketEnd};
use crate::say;
use crate::server::{server, socket_limit};
use rsgi_plugin_api::abi::{UwsgiBuffer, WsgiRequest};
use std::ffi::{c_char, c_int};
use std::time::Duration;

/// 0, or −1; what is not an everyday end is said in the log.
fn result(outcome: Result<(), SocketEnd>) -> c_int {
    match outcome {
        Ok(()) => 0,
        Err(end) => {
            say_unless_everyday(&end);
            -1
        }
    }
}

fn say_unless_everyday(end: &SocketEnd) {
    if let SocketEnd::Handshake(_) | SocketEnd::Response(_) | SocketEnd::Broken(_) | SocketEnd::Silent = end {
        say!("{end}");
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_websocket_handshake(
    req: *mut WsgiRequest,
    key: *mut c_char,
    key_len: u16,
    origin: *mut c_char,
    origin_len: u16,
    proto: *mut c_char,
    proto_len: u16,
) -> c_int {
    // SAFETY: the header asks for a request of ours and texts with their lengths.
    unsafe {
        let (key, origin, proto) = (bytes(key, key_len), bytes(origin, origin_len), bytes(proto, proto_len));
        result(websocket::handshake(Core::of(req), key, origin, proto))
    }
}

/// # Safety
/// `req` is a request of ours.
unsafe fn receive(req: *mut WsgiRequest, waits: bool) -> *mut UwsgiBuffer {
    // SAFETY: by the contract; the buffer is new and the message's bytes are copied.
    unsafe {
        match websocket::receive(Core::of(req), waits) {
            Ok(message) => {
                let bytes = message.as_ref().map_or(&[][..], |message| message.bytes);
                let buffer = uwsgi_buffer_new(bytes.len().max(1));
                uwsgi_buffer_append(buffer, bytes.as_ptr().cast_mut().cast(), bytes.len());
                buffer
            }
            Err(end) => {
                say_unless_everyday(&end);
                std::ptr::null_mut()
            }
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_websocket_recv(req: *mut WsgiRequest) -> *mut UwsgiBuffer {
    // SAFETY: the header asks for a request of ours.
    unsafe { receive(req, true) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_websocket_recv_nb(req: *mut WsgiRequest) -> *mut UwsgiBuffer {
    // SAFETY: as above.
    unsafe { receive(req, false) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_websocket_send(req: *mut WsgiRequest, data: *mut c_char, len: usize) -> c_int {
    // SAFETY: the header asks for a request of ours and bytes with their length.
    unsafe { result(websocket::send(Core::of(req), true, bytes(data, len))) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_websocket_send_binary(req: *mut WsgiRequest, data: *mut c_char, len: usize) -> c_int {
    // SAFETY: as above.
    unsafe { result(websocket::send(Core::of(req), false, bytes(data, len))) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_websocket_accept(req: *mut WsgiRequest) -> c_int {
    // SAFETY: the header asks for a request of ours.
    unsafe {
        let core = Core::of(req);
        let key = crate::request::vars::find(&*req, b"HTTP_SEC_WEBSOCKET_KEY").unwrap_or_default();
        if key.is_empty() || core.websocket.is_some() {
            return result(Err(SocketEnd::Handshake("the request has no Sec-WebSocket-Key")));
        }
        result(websocket::begin(core, key))
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_websocket_read(req: *mut WsgiRequest, data: *mut *mut c_char, len: *mut usize) -> c_int {
    // SAFETY: the header asks for a request of ours and writable places.
    unsafe {
        match websocket::receive(Core::of(req), false) {
            Ok(None) => 0,
            Ok(Some(message)) => {
                *data = message.bytes.as_ptr().cast_mut().cast();
                *len = message.bytes.len();
                if message.is_text { 1 } else { 2 }
            }
            Err(end) => {
                say_unless_everyday(&end);
                -c_int::from(end.code())
            }
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_websocket_close(req: *mut WsgiRequest, code: c_int, reason: *const c_char, len: usize) {
    // SAFETY: the header asks for a request of ours and bytes with their length.
    unsafe {
        let reason = String::from_utf8_lossy(bytes(reason, len)).into_owned();
        let code = u16::try_from(code)
            .ok()
            .filter(|code| rsgi_protocol::websocket::is_sendable(*code));
        let code = code.unwrap_or(rsgi_protocol::websocket::code::NORMAL);
        websocket::close(Core::of(req), code, &reason);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_chunked_read(
    req: *mut WsgiRequest,
    len: *mut usize,
    timeout: c_int,
    nb: c_int,
) -> *mut c_char {
    let configured = server().settings.limits.chunked_input_timeout;
    let patience = match (nb, u64::try_from(timeout).unwrap_or(0)) {
        (0, 0) if configured > 0 => Duration::from_secs(configured),
        (0, 0) => socket_limit(),
        (0, seconds) => Duration::from_secs(seconds),
        _ => Duration::ZERO,
    };
    // SAFETY: the header asks for a request of ours and a writable place.
    unsafe {
        let core = Core::of(req);
        let conn = core.conn;
        match core.body.read_chunk(&mut *conn, patience) {
            Ok([]) => {
                *len = 0;
                c"".as_ptr().cast_mut()
            }
            Ok(chunk) => {
                *len = chunk.len();
                (*req).post_pos += chunk.len();
                chunk.as_ptr().cast_mut().cast()
            }
            Err(error) => {
                *len = 0;
                *libc::__errno_location() = match error {
                    BodyError::Later => libc::EAGAIN,
                    _ => {
                        (*req).read_errors += 1;
                        libc::EIO
                    }
                };
                std::ptr::null_mut()
            }
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_request_body_read_nb(req: *mut WsgiRequest, data: *mut *mut c_char) -> isize {
    // SAFETY: the header asks for a request of ours and a writable place.
    unsafe {
        let core = Core::of(req);
        let conn = core.conn;
        match core.body.read_now(&mut *conn) {
            Ok(piece) => {
                *data = piece.as_ptr().cast_mut().cast();
                (*req).post_pos += piece.len();
                piece.len() as isize
            }
            Err(BodyError::Later) => -2,
            Err(error) => {
                (*req).read_errors += 1;
                if !matches!(error, BodyError::Gone) {
                    say!("unable to read the body: {error}");
                }
                -1
            }
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_request_body_is_read(req: *mut WsgiRequest) -> c_int {
    // SAFETY: the header asks for a request of ours.
    unsafe { c_int::from(Core::of(req).body.is_at_end()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rsgi_websocket_waits(req: *mut WsgiRequest) -> c_int {
    // SAFETY: the header asks for a request of ours.
    unsafe { c_int::from(websocket::has_message(Core::of(req))) }
}
