//! What plugins with protocols call: registration, variables of a request, and what is done where they do nothing.

use super::{buffer, bytes, text};
use crate::request::Core;
use crate::worker::plugin_protocol::{PROTOCOLS, Setup};
use rsgi_plugin_api::abi::{UWSGI_AGAIN, UWSGI_OK, UwsgiBuffer, UwsgiProtocol, WsgiRequest};
use rsgi_protocol::uwsgi::put_string;
use std::ffi::{c_char, c_int};
use std::ptr::null_mut;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_register_protocol(name: *mut c_char, setup: Option<Setup>) -> *mut UwsgiProtocol {
    // SAFETY: the header asks for a NUL-terminated name.
    match (unsafe { text(name) }, setup) {
        ([], _) | (_, None) => null_mut(),
        (name, Some(setup)) => {
            PROTOCOLS.bring("protocol", name, setup);
            // opaque and never dereferenced: only its being not NULL says something
            std::ptr::NonNull::dangling().as_ptr()
        }
    }
}

/// Appends a variable to the packet of a request that a plugin reads; the bytes it takes.
///
/// # Safety
/// `req` is a request of ours.
unsafe fn append(req: *mut WsgiRequest, key: &[u8], value: &[u8]) -> u16 {
    // SAFETY: by the contract.
    let core = unsafe { Core::of(req) };
    // SAFETY: the header of the request in work.
    let taken = unsafe { (*core.raw().uh).pktsize };
    let Some(intake) = core.conn().plugin_intake.as_mut() else {
        return 0;
    };
    let mut variable = Vec::with_capacity(4 + key.len() + value.len());
    put_string(&mut variable, key);
    put_string(&mut variable, value);
    match intake.room(taken).get_mut(..variable.len()) {
        Some(room) => {
            room.copy_from_slice(&variable);
            variable.len() as u16
        }
        None => {
            crate::say!(
                "there is no room for the variable {} of a request; raise buffer-size",
                String::from_utf8_lossy(key)
            );
            0
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn proto_base_add_uwsgi_var(
    req: *mut WsgiRequest,
    key: *mut c_char,
    keylen: u16,
    val: *mut c_char,
    vallen: u16,
) -> u16 {
    // SAFETY: the header asks for a request of ours and texts with their lengths.
    unsafe { append(req, bytes(key, keylen), bytes(val, vallen)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn proto_base_add_uwsgi_header(
    req: *mut WsgiRequest,
    key: *mut c_char,
    keylen: u16,
    val: *mut c_char,
    vallen: u16,
) -> u16 {
    // SAFETY: as above.
    let (name, value) = unsafe { (bytes(key, keylen), bytes(val, vallen)) };
    let upper = name.iter().map(|b| match b {
        b'-' => b'_',
        other => other.to_ascii_uppercase(),
    });
    // RFC 3875 4.1: these two have names of their own
    let before: &[u8] = match name {
        n if n.eq_ignore_ascii_case(b"content-type") || n.eq_ignore_ascii_case(b"content-length") => b"",
        _ => b"HTTP_",
    };
    let key: Vec<u8> = before.iter().copied().chain(upper).collect();
    // SAFETY: as above.
    unsafe { append(req, &key, value) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_proto_base_prepare_headers(
    req: *mut WsgiRequest,
    s: *mut c_char,
    len: u16,
) -> *mut UwsgiBuffer {
    // SAFETY: the header asks for a request of ours and a text with its length.
    let (protocol, status) = unsafe { (bytes((*req).protocol, (*req).protocol_len), bytes(s, len)) };
    let protocol: &[u8] = match protocol {
        b"HTTP/1.1" => protocol,
        _ => b"HTTP/1.0",
    };
    buffer::of(&[protocol, b" ", status, b"\r\n"].concat())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_proto_base_cgi_prepare_headers(
    _req: *mut WsgiRequest,
    s: *mut c_char,
    len: u16,
) -> *mut UwsgiBuffer {
    // SAFETY: the header asks for a text with its length.
    buffer::of(&[&b"Status: "[..], unsafe { bytes(s, len) }, b"\r\n"].concat())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_proto_base_add_header(
    _req: *mut WsgiRequest,
    key: *mut c_char,
    keylen: u16,
    val: *mut c_char,
    vallen: u16,
) -> *mut UwsgiBuffer {
    // SAFETY: the header asks for texts with their lengths.
    buffer::of(&unsafe { [bytes(key, keylen), b": ", bytes(val, vallen), b"\r\n"] }.concat())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_proto_base_fix_headers(req: *mut WsgiRequest) -> c_int {
    // SAFETY: the header asks for a request of ours whose head ends.
    unsafe {
        match (*req).headers {
            headers if headers.is_null() => -1,
            headers => buffer::uwsgi_buffer_append(headers, c"\r\n".as_ptr().cast_mut(), 2),
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_proto_base_write(req: *mut WsgiRequest, buf: *mut c_char, len: usize) -> c_int {
    // SAFETY: the header asks for a request of ours and bytes with their length.
    unsafe {
        let left = bytes(buf, len).get((*req).write_pos..).unwrap_or_default();
        let sent = libc::send((*req).fd, left.as_ptr().cast(), left.len(), libc::MSG_NOSIGNAL);
        match usize::try_from(sent) {
            Ok(sent) => {
                (*req).write_pos += sent;
                if sent == left.len() { UWSGI_OK } else { UWSGI_AGAIN }
            }
            Err(_) => match nix::Error::last() {
                nix::Error::EAGAIN | nix::Error::EINTR => UWSGI_AGAIN,
                _ => -1,
            },
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_proto_base_write_header(req: *mut WsgiRequest, buf: *mut c_char, len: usize) -> c_int {
    // SAFETY: as above.
    unsafe { uwsgi_proto_base_write(req, buf, len) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_proto_base_read_body(req: *mut WsgiRequest, buf: *mut c_char, len: usize) -> isize {
    // SAFETY: the header asks for a request of ours and room of that length.
    unsafe { libc::read((*req).fd, buf.cast(), len) }
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_proto_noop_read_body(_req: *mut WsgiRequest, _buf: *mut c_char, _len: usize) -> isize {
    0
}
