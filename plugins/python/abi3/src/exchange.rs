//! One request on its core, from the request hook's entry to its end: what the Python objects of the request
//! (`wsgi.input`, `start_response`, `write`) refer to, and the calls of the host that may block.

use crate::gil;
use libc::iovec;
use pyo3_ffi::PyObject;
use rsgi_plugin_api::abi::WsgiRequest;
use rsgi_plugin_api::sys;
use std::cell::Cell;

/// The request in work. Lives on the stack of the request hook.
pub struct Exchange {
    req: *mut WsgiRequest,
    /// `start_response` was called.
    pub started: bool,
    /// The client has gone: nothing more can be sent.
    pub gone: bool,
}

thread_local! {
    static CURRENT: Cell<*mut Exchange> = const { Cell::new(std::ptr::null_mut()) };
}

/// The request that this thread serves.
pub fn current<'a>() -> Option<&'a mut Exchange> {
    // SAFETY: set by `serve` for the time of the request hook, on this thread only.
    unsafe { CURRENT.get().as_mut() }
}

impl Exchange {
    /// For the host's request of this core.
    pub fn new(req: *mut WsgiRequest) -> Self {
        Self {
            req,
            started: false,
            gone: false,
        }
    }

    /// Runs `body` with this as the thread's current request.
    pub fn enter<R>(&mut self, body: impl FnOnce(&mut Exchange) -> R) -> R {
        let outer = CURRENT.replace(self);
        let result = body(self);
        CURRENT.set(outer);
        result
    }

    /// The host's struct.
    pub fn req(&self) -> *mut WsgiRequest {
        self.req
    }

    /// Method and URI, for messages.
    pub fn place(&self) -> String {
        // SAFETY: the host's request: pointers and lengths are in step.
        unsafe {
            let r = &*self.req;
            let field = |p: *const std::ffi::c_char, len: u16| match p.is_null() {
                true => &[][..],
                false => std::slice::from_raw_parts(p.cast::<u8>(), len.into()),
            };
            let (method, uri) = (field(r.method, r.method_len), field(r.uri, r.uri_len));
            format!("{} {}", String::from_utf8_lossy(method), String::from_utf8_lossy(uri))
        }
    }

    /// Whether the head has left.
    pub fn head_sent(&self) -> bool {
        // SAFETY: the host's request, valid while the exchange lives.
        unsafe { (*self.req).headers_sent != 0 }
    }

    /// Sends parts of the body, the head before them if it has not left yet. `false`: the client has gone.
    pub fn send(&mut self, parts: &[iovec], last: bool) -> bool {
        let (req, last) = (self.req as usize, i32::from(last));
        let (first, count) = (parts.as_ptr() as usize, parts.len());
        // SAFETY: the caller keeps the objects behind the parts alive; the host has sent or copied them on return.
        let rc = gil::released(|| unsafe {
            sys::rsgi_response_writev(req as *mut WsgiRequest, first as *const iovec, count, last)
        });
        self.gone |= rc != 0;
        rc == 0
    }

    /// Sends a file; the descriptor is given away. `false`: the client has gone.
    pub fn send_file(&mut self, fd: i32, from: usize, len: usize) -> bool {
        let req = self.req as usize;
        // SAFETY: the host's request of this core; the descriptor is ours to give.
        let rc = gil::released(|| unsafe { sys::uwsgi_response_sendfile_do(req as *mut WsgiRequest, fd, from, len) });
        self.gone |= rc != 0;
        rc == 0
    }
}

/// The start of each Python object that belongs to a request: its exchange, NULL once the request is over.
#[repr(C)]
pub struct Handle {
    base: PyObject,
    exchange: *mut Exchange,
}

impl Handle {
    /// Ties a new instance to the request.
    ///
    /// # Safety
    /// `object` is an instance of a class whose size is that of `Handle`.
    pub unsafe fn tie(object: *mut PyObject, exchange: *mut Exchange) {
        // SAFETY: by the contract.
        unsafe { (*object.cast::<Handle>()).exchange = exchange }
    }

    /// The request behind an instance, if it is not over.
    ///
    /// # Safety
    /// As for [`Handle::tie`].
    pub unsafe fn exchange<'a>(object: *mut PyObject) -> Option<&'a mut Exchange> {
        // SAFETY: by the contract; the pointer is reset before the exchange dies.
        unsafe { (*object.cast::<Handle>()).exchange.as_mut() }
    }
}
