//! A request in the hands of a Rust plugin.

use crate::abi::WsgiRequest;
use crate::{HookError, sys};
use libc::iovec;
use std::marker::PhantomData;

/// What reading the body gave.
#[derive(Debug)]
pub enum BodyRead<'a> {
    /// The next bytes, valid until the next read.
    Data(&'a [u8]),
    /// The whole body was read.
    End,
    /// The client went away before its body was complete.
    Gone,
    /// The client kept still for longer than `socket-timeout`.
    Timeout,
}

/// The request that a core serves; lives inside the request hook.
pub struct Request<'a> {
    raw: *mut WsgiRequest,
    _core: PhantomData<&'a mut WsgiRequest>,
}

impl<'a> Request<'a> {
    /// Wraps the host's request.
    ///
    /// # Safety
    /// `raw` is the pointer that the host passed to a hook, and the value does not outlive the hook.
    pub unsafe fn from_raw(raw: *mut WsgiRequest) -> Self {
        Self {
            raw,
            _core: PhantomData,
        }
    }

    /// The request of this thread's core.
    ///
    /// # Safety
    /// The thread is inside a request hook, and the value does not outlive it.
    pub unsafe fn current() -> Option<Self> {
        // SAFETY: the host's function, callable anywhere; the rest by the contract.
        unsafe {
            let raw = sys::uwsgi.current_wsgi_req.map(|current| current());
            raw.filter(|raw| !raw.is_null()).map(|raw| Self::from_raw(raw))
        }
    }

    /// The C struct, for calls that have no method here.
    pub fn as_ptr(&mut self) -> *mut WsgiRequest {
        self.raw
    }

    fn get(&self) -> &WsgiRequest {
        // SAFETY: valid for the life of `self` by the contract of `from_raw`.
        unsafe { &*self.raw }
    }

    /// The C fields, read only.
    pub fn fields(&self) -> &WsgiRequest {
        self.get()
    }

    /// Fills the digested fields (`path_info`, `method`, ...) from the variables.
    ///
    /// # Errors
    /// The packet is malformed.
    pub fn parse(&mut self) -> Result<(), HookError> {
        // SAFETY: `raw` is the host's request.
        match unsafe { sys::uwsgi_parse_vars(self.raw) } {
            0 => Ok(()),
            _ => Err(HookError::new("malformed request variables")),
        }
    }

    /// The variables in order: names and values as they came.
    pub fn vars(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let req = self.get();
        let count = usize::from(req.var_cnt);
        let parts: &[iovec] = if count == 0 {
            &[]
        } else {
            // SAFETY: the host keeps `var_cnt` entries valid in `hvec`.
            unsafe { std::slice::from_raw_parts(req.hvec, count) }
        };
        parts.chunks_exact(2).map(|pair| (bytes(&pair[0]), bytes(&pair[1])))
    }

    /// The value of one variable.
    pub fn var(&self, key: &str) -> Option<&[u8]> {
        self.vars().find(|(k, _)| *k == key.as_bytes()).map(|(_, v)| v)
    }

    /// `PATH_INFO`, after [`Request::parse`].
    pub fn path_info(&self) -> &[u8] {
        let req = self.get();
        // SAFETY: the host keeps pointer and length in step.
        unsafe { slice(req.path_info, req.path_info_len) }
    }

    /// `REQUEST_METHOD`, after [`Request::parse`].
    pub fn method(&self) -> &[u8] {
        let req = self.get();
        // SAFETY: the host keeps pointer and length in step.
        unsafe { slice(req.method, req.method_len) }
    }

    /// The next bytes of the body, at most `hint` of them; 0: all that is left.
    pub fn read_body(&mut self, hint: usize) -> BodyRead<'_> {
        let mut len: isize = 0;
        // SAFETY: `raw` is the host's request; the result stays valid until the next read, which needs `&mut self`.
        let data = unsafe { sys::uwsgi_request_body_read(self.raw, hint as isize, &mut len) };
        self.body(data, len)
    }

    /// The next line of the body with its newline.
    pub fn read_body_line(&mut self, hint: usize) -> BodyRead<'_> {
        let mut len: isize = 0;
        // SAFETY: as in `read_body`.
        let data = unsafe { sys::uwsgi_request_body_readline(self.raw, hint as isize, &mut len) };
        self.body(data, len)
    }

    fn body(&self, data: *mut std::ffi::c_char, len: isize) -> BodyRead<'_> {
        match (data.is_null(), len) {
            (true, 0) => BodyRead::Timeout,
            (true, _) => BodyRead::Gone,
            (false, n) if n <= 0 => BodyRead::End,
            (false, n) => {
                // SAFETY: the host returned `n` valid bytes.
                BodyRead::Data(unsafe { std::slice::from_raw_parts(data.cast(), n as usize) })
            }
        }
    }

    /// The next chunk of a chunked body, whole, waiting so many seconds (0: as configured) or not at all.
    pub fn read_chunk(&mut self, timeout: i32, waits: bool) -> BodyRead<'_> {
        let mut len = 0;
        // SAFETY: `raw` is the host's request; the bytes are good until the next read.
        let data = unsafe { sys::uwsgi_chunked_read(self.raw, &mut len, timeout, (!waits).into()) };
        if data.is_null() && std::io::Error::last_os_error().raw_os_error() == Some(libc::EAGAIN) {
            return BodyRead::Timeout;
        }
        self.body(data, if data.is_null() { -1 } else { len as isize })
    }

    /// Begins the answer: `"200 OK"`.
    ///
    /// # Errors
    /// Headers were sent already, or the status has control characters.
    pub fn start(&mut self, status: &str) -> Result<(), HookError> {
        let Ok(len) = u16::try_from(status.len()) else {
            return Err(HookError::new("status line too long"));
        };
        // SAFETY: pointer and length describe `status`, which the host copies.
        let rc = unsafe { sys::uwsgi_response_prepare_headers(self.raw, status.as_ptr().cast_mut().cast(), len) };
        self.check(rc, "cannot begin the answer")
    }

    /// Begins the answer with a status by its number alone.
    ///
    /// # Errors
    /// Headers were sent already, or the number has not three digits.
    pub fn start_with(&mut self, code: u16) -> Result<(), HookError> {
        // SAFETY: the request is the host's, alive while this is.
        let rc = unsafe { sys::uwsgi_response_prepare_headers_int(self.raw, code.into()) };
        self.check(rc, "cannot begin the answer")
    }

    /// Adds a header.
    ///
    /// # Errors
    /// Headers were sent already, or name or value are not allowed in a header.
    pub fn header(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<(), HookError> {
        let (name, value) = (name.as_ref(), value.as_ref());
        let (Ok(nlen), Ok(vlen)) = (u16::try_from(name.len()), u16::try_from(value.len())) else {
            return Err(HookError::new("header too long"));
        };
        // SAFETY: pointers and lengths describe the arguments, which the host copies.
        let rc = unsafe {
            sys::uwsgi_response_add_header(
                self.raw,
                name.as_ptr().cast_mut().cast(),
                nlen,
                value.as_ptr().cast_mut().cast(),
                vlen,
            )
        };
        self.check(rc, "header refused")
    }

    /// Sends a part of the body; more may follow.
    ///
    /// # Errors
    /// The client has gone.
    pub fn write(&mut self, part: &[u8]) -> Result<(), HookError> {
        // SAFETY: pointer and length describe `part`; the host has sent or copied it when it returns.
        let rc = unsafe { sys::uwsgi_response_write_body_do(self.raw, part.as_ptr().cast_mut().cast(), part.len()) };
        self.check(rc, "the client has gone")
    }

    /// Sends the rest of the body in one go; nothing may follow.
    ///
    /// # Errors
    /// The client has gone.
    pub fn write_last(&mut self, parts: &[&[u8]]) -> Result<(), HookError> {
        let parts: Vec<iovec> = parts
            .iter()
            .map(|p| iovec {
                iov_base: p.as_ptr().cast_mut().cast(),
                iov_len: p.len(),
            })
            .collect();
        // SAFETY: each entry describes one of the slices; the host has sent or copied them when it returns.
        let rc = unsafe { sys::rsgi_response_writev(self.raw, parts.as_ptr(), parts.len(), 1) };
        self.check(rc, "the client has gone")
    }

    /// Prints the host's request log line.
    pub fn log(&mut self) {
        // SAFETY: `raw` is the host's request.
        unsafe { sys::log_request(self.raw) }
    }

    fn check(&self, rc: i32, text: &str) -> Result<(), HookError> {
        if rc == 0 { Ok(()) } else { Err(HookError::new(text)) }
    }
}

fn bytes(part: &iovec) -> &[u8] {
    if part.iov_len == 0 {
        return &[];
    }
    // SAFETY: the host keeps the variables' pointers and lengths in step while the request lives.
    unsafe { std::slice::from_raw_parts(part.iov_base.cast(), part.iov_len) }
}

/// # Safety
/// `p` points at `len` bytes that outlive the result, or `len` is 0.
unsafe fn slice<'a>(p: *const std::ffi::c_char, len: u16) -> &'a [u8] {
    if len == 0 || p.is_null() {
        return &[];
    }
    // SAFETY: by the contract.
    unsafe { std::slice::from_raw_parts(p.cast(), usize::from(len)) }
}
