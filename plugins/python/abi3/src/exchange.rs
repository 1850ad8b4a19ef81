//! One request on its core, from the request hook's entry to its end: what the Python objects of the request
//! (`wsgi.input`, `start_response`, `write`) refer to, and the calls of the host that may block.

use crate::py::{Py, PyResult};
use crate::waiting::Waits;
use crate::{environ, exception, gil, green};
use libc::iovec;
use pyo3_ffi::PyObject;
use rsgi_plugin_api::abi::WsgiRequest;
use rsgi_plugin_api::sys;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// A yes or no that threads of the application may change too. They do so with the GIL held, which orders them.
#[derive(Default)]
pub struct Flag(AtomicBool);

impl Flag {
    const fn new() -> Self {
        Self(AtomicBool::new(false))
    }
    /// Its value.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
    /// Changes it.
    pub fn set(&self, value: bool) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// The request in work. Lives on the stack of the request hook.
pub struct Exchange {
    req: *mut WsgiRequest,
    /// `start_response` was called.
    pub started: Flag,
    /// The client has gone: nothing more can be sent.
    pub gone: Flag,
    /// `uwsgi.stop()` was called: the master is told after the answer.
    pub stop: Flag,
    /// What the application waits for.
    pub waits: Waits,
    /// In an async mode: the environ, which tells whether the time of a wait is over.
    pub environ: RefCell<Option<Py>>,
    /// The uWSGI signal that its last `uwsgi.signal_wait()` ended with; -1: none.
    pub signal: Cell<i32>,
    /// `start_response`, borrowed while the application runs; for `uwsgi.start_response`.
    pub responder: Cell<*mut PyObject>,
    /// A thread is inside a read or a write of the host. An application may pass `wsgi.input` to a thread of its own:
    /// one thread at a time reads, one writes, and the request does not end while they do.
    reading: Flag,
    writing: Flag,
    /// Nothing of the application runs after its last bytes were sent.
    pub returns_at_once: Flag,
}

/// What a thread does with a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// It reads the body.
    Read,
    /// It sends a part of the answer.
    Write,
}

/// So many bytes are sent with the GIL held: the kernel takes them in less time than giving the GIL away and getting it
/// back costs. It is given away where the client has to be waited for.
const AT_ONCE: usize = 16 * 1024;

/// How long a thread waits for its turn before it looks again.
const PAUSE: std::time::Duration = std::time::Duration::from_micros(200);

thread_local! {
    static CURRENT: Cell<*const Exchange> = const { Cell::new(std::ptr::null()) };
    /// The requests of greenlets, by their greenlet.
    static GREEN: RefCell<HashMap<usize, *const Exchange>> = RefCell::default();
}

/// The request that this thread, or this greenlet, serves.
pub fn current<'a>() -> Option<&'a Exchange> {
    let exchange = match green::is_on() {
        true => {
            let me = green::current();
            GREEN.with_borrow(|all| all.get(&me).copied().unwrap_or(std::ptr::null()))
        }
        false => CURRENT.get(),
    };
    // SAFETY: set by `enter` for the time of the request, on this thread only.
    unsafe { exchange.as_ref() }
}

/// A greenlet's request is over.
pub fn forget(greenlet: usize) {
    GREEN.with_borrow_mut(|all| all.remove(&greenlet));
}

impl Exchange {
    /// For the host's request of this core.
    pub fn new(req: *mut WsgiRequest) -> Self {
        Self {
            req,
            started: Flag::new(),
            gone: Flag::new(),
            stop: Flag::new(),
            waits: Waits::default(),
            environ: RefCell::default(),
            signal: Cell::new(-1),
            responder: Cell::new(std::ptr::null_mut()),
            reading: Flag::new(),
            writing: Flag::new(),
            returns_at_once: Flag::new(),
        }
    }

    /// Runs `body` with this as the thread's current request.
    pub fn enter<R>(&self, body: impl FnOnce(&Exchange) -> R) -> R {
        if green::is_on() {
            let me = green::current();
            GREEN.with_borrow_mut(|all| all.insert(me, self));
            let result = body(self);
            forget(me);
            return result;
        }
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

    fn taken(&self, side: Side) -> &Flag {
        match side {
            Side::Read => &self.reading,
            Side::Write => &self.writing,
        }
    }

    /// Waits for what the application wants to wait for, if there is anything.
    pub fn wait(&self) -> PyResult<()> {
        if !self.waits.are_there() {
            return Ok(());
        }
        let is_late = !self.waits.wait(self.req)?;
        let environ = self.environ.borrow().as_ref().map(Py::share);
        environ.map_or(Ok(()), |environ| environ::note_timeout(&environ, is_late))
    }

    /// Waits until no other thread reads or writes; the request may end then.
    pub fn wait_for_others(&self) {
        while self.reading.get() || self.writing.get() {
            gil::released(|| std::thread::sleep(PAUSE));
        }
    }

    /// Takes the turn to write, as the thread that serves the request.
    fn write_turn(&self) -> Turn<'_> {
        while self.writing.get() {
            gil::released(|| std::thread::sleep(PAUSE));
        }
        self.writing.set(true);
        Turn {
            exchange: self,
            side: Side::Write,
        }
    }

    /// Sends parts of the body, the head before them if it has not left yet. `false`: the client has gone.
    pub fn send(&self, parts: &[iovec], last: bool) -> bool {
        let sent = self.write_turn().send(parts, last);
        if sent && !last && green::is_on() && green::hold_back(self.req).is_err() {
            // its greenlet was told to end: what it raises next says so
            exception::print_current();
            return false;
        }
        sent
    }

    /// Sends a file; the descriptor is given away. `false`: the client has gone.
    pub fn send_file(&self, fd: i32, from: usize, len: usize) -> bool {
        let turn = self.write_turn();
        let req = turn.exchange.req as usize;
        // SAFETY: the host's request of this core; the descriptor is ours to give.
        let rc = gil::released(|| unsafe { sys::uwsgi_response_sendfile_do(req as *mut WsgiRequest, fd, from, len) });
        if rc != 0 {
            turn.gone.set(true);
        }
        rc == 0
    }
}

/// The start of each Python object that belongs to a request: its exchange, NULL once the request is over.
#[repr(C)]
pub struct Handle {
    base: PyObject,
    exchange: *const Exchange,
}

impl Handle {
    /// Ties a new instance to the request.
    ///
    /// # Safety
    /// `object` is an instance of a class whose size is that of `Handle`.
    pub unsafe fn tie(object: *mut PyObject, exchange: *const Exchange) {
        // SAFETY: by the contract.
        unsafe { (*object.cast::<Handle>()).exchange = exchange }
    }

    /// This thread's turn at the request behind an instance; `None` once the request is over.
    ///
    /// # Safety
    /// As for [`Handle::tie`]; the GIL is held.
    pub unsafe fn turn<'a>(object: *mut PyObject, side: Side) -> Option<Turn<'a>> {
        loop {
            // SAFETY: by the contract; the pointer is reset before the exchange dies, and `wait_for_others` keeps the
            // exchange alive for as long as a turn is taken.
            let exchange = unsafe { (*object.cast::<Handle>()).exchange.as_ref()? };
            if !exchange.taken(side).get() {
                exchange.taken(side).set(true);
                return Some(Turn { exchange, side });
            }
            gil::released(|| std::thread::sleep(PAUSE));
        }
    }
}

/// The right of one thread to read or to write, until it is dropped.
pub struct Turn<'a> {
    exchange: &'a Exchange,
    side: Side,
}

impl Turn<'_> {
    /// Sends parts of the body; see [`Exchange::send`].
    pub fn send(&self, parts: &[iovec], last: bool) -> bool {
        let (req, last) = (self.exchange.req as usize, i32::from(last));
        let now = match last == 1 && self.returns_at_once.get() {
            true => 2,
            false => last,
        };
        let (first, count) = (parts.as_ptr() as usize, parts.len());
        let size: usize = parts.iter().map(|part| part.iov_len).sum();
        // SAFETY: the caller keeps the objects behind the parts alive; the host has sent or copied them on return.
        let rc = unsafe {
            if size <= AT_ONCE && !green::is_on() {
                match sys::rsgi_response_writev_now(self.exchange.req, parts.as_ptr(), count, now) {
                    1 => gil::released(|| sys::rsgi_response_wait(req as *mut WsgiRequest)),
                    rc => rc,
                }
            } else {
                gil::released(|| sys::rsgi_response_writev(req as *mut WsgiRequest, first as *const iovec, count, last))
            }
        };
        if rc != 0 {
            self.gone.set(true);
        }
        rc == 0
    }
}

impl std::ops::Deref for Turn<'_> {
    type Target = Exchange;
    fn deref(&self) -> &Exchange {
        self.exchange
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.exchange.taken(self.side).set(false);
    }
}
