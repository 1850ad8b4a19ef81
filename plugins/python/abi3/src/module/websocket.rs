//! `uwsgi.websocket_*`: a conversation inside a WSGI request. Failures are OSErrors with uWSGI's words.

use super::request::exchange_of;
use crate::exchange;
use crate::gil;
use crate::green;
use crate::py::{self, Args, Py, PyResult};
use rsgi_plugin_api::abi::{UwsgiBuffer, WsgiRequest};
use rsgi_plugin_api::sys;

super::functions! {
    websocket_handshake;
    websocket_recv;
    websocket_recv_nb;
    websocket_send;
    websocket_send_binary;
}

fn request(function: &str) -> PyResult<usize> {
    exchange_of(function).map(|exchange| exchange.req() as usize)
}

/// `websocket_handshake([key[, origin[, protocol]]])`: what is left out is taken from the request.
fn websocket_handshake(args: &Args) -> PyResult<Py> {
    let req = request("websocket_handshake")?;
    let text = |i: usize| match args.get(i) {
        Some(value) if !value.is_none() => {
            let mut text = py::text_bytes(&value)?;
            text.truncate(u16::MAX.into());
            Ok(text)
        }
        _ => Ok(Vec::new()),
    };
    let (key, origin, protocol) = (text(0)?, text(1)?, text(2)?);
    let part = |text: &[u8]| {
        (
            text.as_ptr().cast_mut().cast::<std::ffi::c_char>() as usize,
            text.len() as u16,
        )
    };
    let (key, origin, protocol) = (part(&key), part(&origin), part(&protocol));
    // SAFETY: the host's request of this core; the texts outlive the call.
    let rc = gil::released(|| unsafe {
        sys::uwsgi_websocket_handshake(
            req as *mut WsgiRequest,
            key.0 as *mut _,
            key.1,
            origin.0 as *mut _,
            origin.1,
            protocol.0 as *mut _,
            protocol.1,
        )
    });
    if rc != 0 {
        return Err(py::os_error("unable to complete websocket handshake"));
    }
    if let Some(exchange) = exchange::current() {
        exchange.started.set(true);
    }
    Ok(py::none())
}

fn receive(function: &str, from: unsafe extern "C" fn(*mut WsgiRequest) -> *mut UwsgiBuffer) -> PyResult<Py> {
    let req = request(function)?;
    // SAFETY: the host's request of this core.
    let buffer = gil::released(|| unsafe { from(req as *mut WsgiRequest) } as usize) as *mut UwsgiBuffer;
    // SAFETY: NULL, or a new buffer that is ours.
    unsafe {
        let Some(message) = buffer.as_ref() else {
            return Err(py::os_error("unable to receive websocket message"));
        };
        let bytes = match message.pos {
            0 => py::bytes(&[]),
            len => py::bytes(std::slice::from_raw_parts(message.buf.cast(), len)),
        };
        sys::uwsgi_buffer_destroy(buffer);
        bytes
    }
}

/// In a greenlet: others go on until a message is there.
fn receive_in_greenlet(req: usize) -> PyResult<Py> {
    let req = req as *mut WsgiRequest;
    let (mut data, mut len) = (std::ptr::null_mut(), 0);
    loop {
        // SAFETY: the host's request; the message is good until the next call about it.
        unsafe {
            match sys::rsgi_websocket_read(req, &mut data, &mut len) {
                0 => green::wait(req)?,
                code if code < 0 => return Err(py::os_error("unable to receive websocket message")),
                _ if len == 0 => return py::bytes(&[]),
                _ => return py::bytes(std::slice::from_raw_parts(data.cast(), len)),
            }
        }
    }
}

fn websocket_recv(_: &Args) -> PyResult<Py> {
    if green::is_on() {
        return receive_in_greenlet(request("websocket_recv")?);
    }
    receive("websocket_recv", sys::uwsgi_websocket_recv)
}

/// Empty when nothing is there.
fn websocket_recv_nb(_: &Args) -> PyResult<Py> {
    receive("websocket_recv_nb", sys::uwsgi_websocket_recv_nb)
}

type Send = unsafe extern "C" fn(*mut WsgiRequest, *mut std::ffi::c_char, usize) -> i32;

fn send(function: &str, args: &Args, with: Send, failed: &str) -> PyResult<Py> {
    let data = py::text_bytes(&args.need(0, function)?)?;
    let req = request(function)?;
    // SAFETY: the host's request of this core; the bytes outlive the call.
    let rc = gil::released(|| unsafe { with(req as *mut WsgiRequest, data.as_ptr().cast_mut().cast(), data.len()) });
    match rc {
        0 => {
            green::hold_back(req as *mut WsgiRequest)?;
            Ok(py::none())
        }
        _ => Err(py::os_error(failed)),
    }
}

fn websocket_send(args: &Args) -> PyResult<Py> {
    send(
        "websocket_send",
        args,
        sys::uwsgi_websocket_send,
        "unable to send websocket message",
    )
}

fn websocket_send_binary(args: &Args) -> PyResult<Py> {
    send(
        "websocket_send_binary",
        args,
        sys::uwsgi_websocket_send_binary,
        "unable to send websocket binary message",
    )
}
