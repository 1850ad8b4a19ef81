//! Protocols of sockets: bytes of a client become a request, and an answer's head takes a form of its own.

use crate::abi::{UWSGI_AGAIN, UWSGI_OK, UwsgiBuffer, UwsgiSocket, WsgiRequest};
use crate::{HookError, guard, sys};
use std::ffi::{CStr, c_char, c_int};

/// The variables of a request that is read.
pub struct Variables {
    raw: *mut WsgiRequest,
}

impl Variables {
    /// Adds one: `PATH_INFO`, `REQUEST_METHOD`, `CONTENT_LENGTH` for a body, and so on.
    ///
    /// # Errors
    /// There is no room for it (`buffer-size`).
    pub fn add(&mut self, name: &str, value: &[u8]) -> Result<(), HookError> {
        let len = |size: usize| u16::try_from(size).map_err(|_| HookError::new(format!("{name} is too long")));
        let (name_len, value_len) = (len(name.len())?, len(value.len())?);
        let (name_at, value_at) = (name.as_ptr().cast_mut().cast(), value.as_ptr().cast_mut().cast());
        // SAFETY: the host's request, and texts that live during the call.
        unsafe {
            match sys::proto_base_add_uwsgi_var(self.raw, name_at, name_len, value_at, value_len) {
                0 => return Err(HookError::new(format!("no room for {name}"))),
                taken => (*(*self.raw).uh).pktsize += taken,
            }
        }
        Ok(())
    }

    /// The plugin that answers; 0 if nothing is said.
    pub fn set_modifier1(&mut self, modifier1: u8) {
        // SAFETY: the host's request.
        unsafe { (*(*self.raw).uh).modifier1 = modifier1 };
    }
}

/// What sockets speak: `--protocol NAME`. What is not said of the head of an answer is as HTTP has it.
pub trait Protocol {
    /// Reads a request out of all that has come so far: how many bytes it takes (a body follows them), or `None`: more has
    /// to come. At most `buffer-size` bytes come.
    ///
    /// # Errors
    /// Said in the log; the connection is closed.
    fn read(input: &[u8], request: &mut Variables) -> Result<Option<usize>, HookError>;

    /// The form of a status like `200 OK`.
    fn status(status: &[u8]) -> Vec<u8> {
        [b"HTTP/1.0 ", status, b"\r\n"].concat()
    }

    /// The form of a header.
    fn header(name: &[u8], value: &[u8]) -> Vec<u8> {
        [name, b": ", value, b"\r\n"].concat()
    }

    /// What ends the head.
    fn end_of_head() -> &'static [u8] {
        b"\r\n"
    }
}

/// Offers a protocol.
pub fn protocol<T: Protocol>(name: &'static CStr) {
    // SAFETY: a constant name, and a function that stays.
    unsafe { sys::uwsgi_register_protocol(name.as_ptr().cast_mut(), Some(set_up::<T>)) };
}

unsafe extern "C" fn set_up<T: Protocol>(socket: *mut UwsgiSocket) {
    // SAFETY: the host hands its record.
    let socket = unsafe { &mut *socket };
    socket.proto = Some(parse::<T>);
    socket.proto_prepare_headers = Some(status::<T>);
    socket.proto_add_header = Some(header::<T>);
    socket.proto_fix_headers = Some(end_of_head::<T>);
}

unsafe extern "C" fn parse<T: Protocol>(raw: *mut WsgiRequest) -> c_int {
    guard::hook("protocol", std::any::type_name::<T>(), -1, || {
        // SAFETY: the host's request, whose parser fields are ours; its buffer is as large as it says.
        unsafe {
            let req = &mut *raw;
            if req.proto_parser_buf.is_null() {
                req.proto_parser_buf_size = (&raw const sys::uwsgi.buffer_size).read() as u64;
                req.proto_parser_buf = sys::uwsgi_malloc(req.proto_parser_buf_size as usize);
            }
            let room = req.proto_parser_buf_size as usize;
            loop {
                let (start, have) = (req.proto_parser_buf.cast::<u8>(), req.proto_parser_pos as usize);
                if have == room {
                    return Err(HookError::new("the request is over buffer-size"));
                }
                let got = match libc::read(req.fd, start.add(have).cast(), room - have) {
                    got if got > 0 => got as usize,
                    -1 if *libc::__errno_location() == libc::EAGAIN => return Ok(UWSGI_AGAIN),
                    _ => return Ok(-1),
                };
                req.proto_parser_pos += got as u64;
                let input = std::slice::from_raw_parts(start, have + got);
                if let Some(used) = T::read(input, &mut Variables { raw })? {
                    let used = used.min(input.len());
                    req.proto_parser_remains = input.len() - used;
                    req.proto_parser_remains_buf = start.add(used).cast();
                    return Ok(UWSGI_OK);
                }
            }
        }
    })
}

/// A new buffer with these bytes.
fn buffer(bytes: &[u8]) -> *mut UwsgiBuffer {
    // SAFETY: a new buffer, and bytes that live during the call.
    unsafe {
        let made = sys::uwsgi_buffer_new(bytes.len());
        sys::uwsgi_buffer_append(made, bytes.as_ptr().cast_mut().cast(), bytes.len());
        made
    }
}

unsafe extern "C" fn status<T: Protocol>(_: *mut WsgiRequest, text: *mut c_char, len: u16) -> *mut UwsgiBuffer {
    let null = std::ptr::null_mut();
    // SAFETY: the host hands a text with its length.
    guard::hook("protocol", std::any::type_name::<T>(), null, || unsafe {
        Ok(buffer(&T::status(super::bytes(text, len.into()))))
    })
}

unsafe extern "C" fn header<T: Protocol>(
    _: *mut WsgiRequest,
    name: *mut c_char,
    name_len: u16,
    value: *mut c_char,
    value_len: u16,
) -> *mut UwsgiBuffer {
    let null = std::ptr::null_mut();
    // SAFETY: the host hands texts with their lengths.
    guard::hook("protocol", std::any::type_name::<T>(), null, || unsafe {
        let (name, value) = (
            super::bytes(name, name_len.into()),
            super::bytes(value, value_len.into()),
        );
        Ok(buffer(&T::header(name, value)))
    })
}

unsafe extern "C" fn end_of_head<T: Protocol>(raw: *mut WsgiRequest) -> c_int {
    guard::hook("protocol", std::any::type_name::<T>(), -1, || {
        let end = T::end_of_head();
        // SAFETY: the host's request with its head, and bytes that stay.
        Ok(unsafe { sys::uwsgi_buffer_append((*raw).headers, end.as_ptr().cast_mut().cast(), end.len()) })
    })
}
