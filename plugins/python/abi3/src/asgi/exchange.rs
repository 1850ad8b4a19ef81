//! One request of an ASGI application, from the host's call to its end: what `receive` and `send` do. An object of
//! Python holds it, since the application may keep both for longer than the host keeps the request.

use super::scope::Kind;
use super::waiter::{self, Waiter};
use super::{messages, task};
use crate::exception;
use crate::py::{self, Function, Py, PyResult};
use libc::iovec;
use pyo3_ffi::*;
use rsgi_plugin_api::abi::{RSGI_DRAINED, RSGI_GONE, RSGI_LATE, WsgiRequest};
use rsgi_plugin_api::{log, sys};
use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_int};
use std::sync::atomic::{AtomicPtr, Ordering};

/// What a client may leave of an answer before the application is held back.
const MOST_KEPT: usize = 64 * 1024;

static CLASS: AtomicPtr<PyTypeObject> = AtomicPtr::new(std::ptr::null_mut());

/// How far the answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// Nothing was said.
    None,
    /// Status and headers are prepared, or have left with a part of the body.
    Begun,
    /// The websocket is open.
    Open,
    /// All was said.
    Done,
}

/// What is known of a request.
struct State {
    /// The host's; NULL once it has been finished.
    req: Cell<*mut WsgiRequest>,
    kind: Kind,
    answer: Cell<Answer>,
    /// The end of the body, or `websocket.connect`, was received.
    received: Cell<bool>,
    /// The client closed its side.
    gone: Cell<bool>,
    /// It was cancelled for its length.
    late: Cell<bool>,
    /// The close code and reason, once a websocket is over.
    code: RefCell<Option<(i64, Py)>>,
    receivers: RefCell<Vec<Waiter>>,
    senders: RefCell<Vec<Waiter>>,
    task: RefCell<Option<Py>>,
}

#[repr(C)]
struct Object {
    base: PyObject,
    state: State,
}

/// A request in the hands of an application.
pub struct Exchange(Py);

/// Makes the class; once, in the worker.
pub fn prepare() -> PyResult<()> {
    let class = py::class(
        c"uwsgi._Request",
        size_of::<Object>(),
        &mut [
            PyType_Slot {
                slot: Py_tp_dealloc,
                pfunc: dealloc as *mut _,
            },
            py::END,
        ],
    )?;
    CLASS.store(class.into_ptr().cast(), Ordering::Release);
    Ok(())
}

unsafe extern "C" fn dealloc(object: *mut PyObject) {
    // SAFETY: called once by Python; the fields are dropped before the memory goes.
    unsafe {
        std::ptr::drop_in_place(&raw mut (*object.cast::<Object>()).state);
        py::dealloc(object);
    }
}

static RECEIVE: Function = Function::new(py::method(c"receive", receive, METH_NOARGS));
static SEND: Function = Function::new(py::method(c"send", send, METH_O));
static ENDED: Function = Function::new(py::method(c"ended", ended, METH_O));

impl Exchange {
    /// For a request that begins; the host's struct leads back to it.
    pub fn begin(req: *mut WsgiRequest, kind: Kind) -> PyResult<Self> {
        // SAFETY: our class; the memory is filled before anybody sees it; the host's struct keeps a reference, which
        // `release` takes back.
        unsafe {
            let object = Py::new(PyType_GenericAlloc(CLASS.load(Ordering::Relaxed), 0))?;
            (&raw mut (*object.as_ptr().cast::<Object>()).state).write(State {
                req: Cell::new(req),
                kind,
                answer: Cell::new(Answer::None),
                received: Cell::new(false),
                gone: Cell::new(false),
                late: Cell::new(false),
                code: RefCell::default(),
                receivers: RefCell::default(),
                senders: RefCell::default(),
                task: RefCell::default(),
            });
            (*req).async_environ = object.share().into_ptr().cast();
            Ok(Self(object))
        }
    }

    /// That of a request which has begun.
    pub fn of(req: *mut WsgiRequest) -> Option<Self> {
        // SAFETY: the host's struct; what `begin` put there.
        unsafe { Py::borrowed((*req).async_environ.cast()) }.map(Self).ok()
    }

    /// The object that holds it.
    pub fn object(&self) -> &Py {
        &self.0
    }

    /// The request behind such an object, until it is over; `None` for any other object, too.
    pub fn request_of(object: Py) -> Option<*mut WsgiRequest> {
        let class = CLASS.load(Ordering::Relaxed);
        // SAFETY: a live object.
        if class.is_null() || unsafe { Py_TYPE(object.as_ptr()) } != class {
            return None;
        }
        let req = Self(object).state().req.get();
        (!req.is_null()).then_some(req)
    }

    /// The GIL orders all accesses; no borrow is held over a call of Python.
    fn state(&self) -> &State {
        // SAFETY: an instance of our class, which is only reached through this.
        unsafe { &(*self.0.as_ptr().cast::<Object>()).state }
    }

    /// `receive` and `send` for the application.
    pub fn functions(&self) -> PyResult<(Py, Py)> {
        Ok((RECEIVE.bound(&self.0)?, SEND.bound(&self.0)?))
    }

    /// The application runs on in this task.
    pub fn keep(&self, task: Py) -> PyResult<()> {
        task.attr(c"add_done_callback")?.call(&[&ENDED.bound(&self.0)?])?;
        *self.state().task.borrow_mut() = Some(task);
        Ok(())
    }

    /// The application has returned, or raised (the current exception).
    pub fn end(&self, returned: bool) {
        let me = self.state();
        drop(me.task.take());
        let (req, late) = (me.req.get(), me.late.get());
        if !returned && req.is_null() {
            return exception::print_unless_gone(me.gone.get());
        }
        if !returned && late {
            // its own cancellation
            py::clear();
        }
        if req.is_null() {
            return;
        }
        let complete = match (me.kind, me.answer.get()) {
            _ if !returned && late => false,
            _ if !returned => exception::report_of(req, me.gone.get()) == 0 && me.answer.get() != Answer::Open,
            (Kind::Http, Answer::None) => {
                self.say_unanswered("without an answer: 500 is sent; send http.response.start and http.response.body");
                false
            }
            (Kind::Http, Answer::Begun) if !me.gone.get() => {
                self.say_unanswered("before its answer was complete: the connection is cut; the last http.response.body has more_body false");
                false
            }
            (Kind::Websocket, Answer::None) if me.code.borrow().is_none() => {
                // SAFETY: the host's request.
                unsafe { sys::uwsgi_403(req) };
                true
            }
            (Kind::Websocket, Answer::Open) => true,
            _ => false,
        };
        self.finish(complete);
    }

    fn say_unanswered(&self, what: &str) {
        log::line(&format!("the ASGI application returned from {} {what}", self.uri()));
    }

    fn uri(&self) -> String {
        let req = self.state().req.get();
        // SAFETY: the host's request: pointers and lengths are in step.
        let uri = unsafe {
            match (*req).uri.is_null() {
                true => &[][..],
                false => std::slice::from_raw_parts((*req).uri.cast::<u8>(), (*req).uri_len.into()),
            }
        };
        String::from_utf8_lossy(uri).into_owned()
    }

    /// Gives the request back to the host.
    fn finish(&self, complete: bool) {
        let me = self.state();
        let req = me.req.replace(std::ptr::null_mut());
        if req.is_null() {
            return;
        }
        me.answer.set(Answer::Done);
        // SAFETY: the host's request, which is not used any more; the reference of `begin` is taken back.
        unsafe {
            let held = std::mem::replace(&mut (*req).async_environ, std::ptr::null_mut());
            let again = sys::rsgi_events_finish(req, complete.into()) == 1;
            drop(Py::new(held.cast()));
            if again {
                super::turn_soon();
            }
        }
    }

    /// The host knows something new about the request. In the loop itself, outside of any task.
    pub fn notice(&self, what: c_int) {
        let me = self.state();
        if what & RSGI_GONE != 0 {
            me.gone.set(true);
        }
        if what & RSGI_DRAINED != 0 {
            for waiter in me.senders.take() {
                waiter.resolve(py::none());
            }
        }
        if what & RSGI_LATE != 0 {
            self.cancel();
        }
        self.feed();
    }

    /// Gives what is there to those who wait for it.
    fn feed(&self) {
        loop {
            let me = self.state();
            me.receivers.borrow_mut().retain(Waiter::is_waiting);
            if me.receivers.borrow().is_empty() {
                return;
            }
            match self.next_message() {
                Ok(Some(message)) => {
                    let first = me.receivers.borrow_mut().remove(0);
                    first.resolve(message);
                }
                Ok(None) => return,
                Err(py::Raised) => return exception::print_current(),
            }
        }
    }

    /// The request has lasted too long.
    fn cancel(&self) {
        let me = self.state();
        if !me.late.get() {
            me.late.set(true);
            self.say_late();
        }
        let Some(task) = me.task.borrow().as_ref().map(Py::share) else {
            return;
        };
        if task.attr(c"cancel").and_then(|cancel| cancel.call(&[])).is_err() {
            exception::print_current();
        }
    }

    fn say_late(&self) {
        let req = self.state().req.get();
        if !req.is_null() {
            log::line(&format!(
                "the request {} is over its time (--harakiri): it is cancelled",
                self.uri()
            ));
        }
    }

    /// What `receive()` has to give now.
    fn next_message(&self) -> PyResult<Option<Py>> {
        let me = self.state();
        match me.kind {
            Kind::Http => self.next_of_body(),
            Kind::Websocket if !me.received.get() => {
                me.received.set(true);
                messages::connect().map(Some)
            }
            Kind::Websocket => self.next_of_websocket(),
        }
    }

    fn next_of_body(&self) -> PyResult<Option<Py>> {
        let me = self.state();
        if me.req.get().is_null() {
            return messages::disconnect().map(Some);
        }
        if me.received.get() {
            return if me.gone.get() {
                messages::disconnect().map(Some)
            } else {
                Ok(None)
            };
        }
        let mut data: *mut c_char = std::ptr::null_mut();
        // SAFETY: the host's request; the bytes are good until the next read.
        unsafe {
            match sys::rsgi_request_body_read_nb(me.req.get(), &mut data) {
                -2 => Ok(None),
                n if n < 0 => {
                    me.gone.set(true);
                    me.received.set(true);
                    messages::disconnect().map(Some)
                }
                n => {
                    let ended = n == 0 || sys::rsgi_request_body_is_read(me.req.get()) == 1;
                    let bytes = match n {
                        0 => &[][..],
                        n => std::slice::from_raw_parts(data.cast::<u8>(), n as usize),
                    };
                    me.received.set(ended);
                    messages::body(bytes, !ended).map(Some)
                }
            }
        }
    }

    fn next_of_websocket(&self) -> PyResult<Option<Py>> {
        let me = self.state();
        if let Some((code, reason)) = &*me.code.borrow() {
            return messages::closed(*code, reason).map(Some);
        }
        if me.req.get().is_null() {
            return messages::closed(1006, &py::string("")?).map(Some);
        }
        if me.answer.get() != Answer::Open {
            if !me.gone.get() {
                return Ok(None);
            }
            *me.code.borrow_mut() = Some((1006, py::string("")?));
            return self.next_of_websocket();
        }
        let (mut data, mut len): (*mut c_char, usize) = (std::ptr::null_mut(), 0);
        // SAFETY: the host's request; the bytes are good until the next call about it.
        unsafe {
            let found = sys::rsgi_websocket_read(me.req.get(), &mut data, &mut len);
            let bytes = match len {
                0 => &[][..],
                len => std::slice::from_raw_parts(data.cast::<u8>(), len),
            };
            match found {
                0 => Ok(None),
                1 => messages::text(bytes).map(Some),
                2 => messages::binary(bytes).map(Some),
                code => {
                    *me.code.borrow_mut() = Some((i64::from(-code), py::string("")?));
                    self.finish(true);
                    self.next_of_websocket()
                }
            }
        }
    }
}

unsafe extern "C" fn receive(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: our class, alive during the call.
    py::give(unsafe { Py::borrowed(object) }.and_then(|object| {
        let exchange = Exchange(object);
        if exchange.state().receivers.borrow().is_empty()
            && let Some(message) = exchange.next_message()?
        {
            return waiter::ready(message);
        }
        let (awaitable, waiter) = waiter::waiting()?;
        exchange.state().receivers.borrow_mut().push(waiter);
        Ok(awaitable)
    }))
}

unsafe extern "C" fn send(object: *mut PyObject, event: *mut PyObject) -> *mut PyObject {
    // SAFETY: our class, and what the application passes; both alive during the call.
    py::give(unsafe { Py::borrowed(object) }.and_then(|object| {
        let exchange = Exchange(object);
        // SAFETY: as above.
        let kind = unsafe { messages::kind_of(event) }?;
        // SAFETY: as above.
        match unsafe { py::utf8(kind) }.unwrap_or_default() {
            b"http.response.start" | b"websocket.http.response.start" => exchange.start(event),
            b"http.response.body" | b"websocket.http.response.body" => exchange.body(event),
            b"http.response.pathsend" => exchange.file(event),
            b"websocket.send" => exchange.message(event),
            b"websocket.accept" => exchange.accept(event),
            b"websocket.close" => exchange.close(event),
            other => Err(py::value_error(&format!(
                "send(): unexpected message type {:?}",
                String::from_utf8_lossy(other)
            ))),
        }
    }))
}

/// The task's done callback.
unsafe extern "C" fn ended(object: *mut PyObject, done: *mut PyObject) -> *mut PyObject {
    // SAFETY: our class and the task that has ended.
    unsafe {
        if let (Ok(object), Ok(done)) = (Py::borrowed(object), Py::borrowed(done)) {
            Exchange(object).end(task::has_returned(&done));
        }
    }
    py::none().into_ptr()
}

fn runtime_error(text: &str) -> py::Raised {
    // SAFETY: the class lives for ever.
    unsafe { py::raise(PyExc_RuntimeError, text) }
}

/// What the application sends.
impl Exchange {
    fn start(&self, event: *mut PyObject) -> PyResult<Py> {
        let me = self.state();
        if me.answer.get() != Answer::None {
            return match me.req.get().is_null() {
                true if me.gone.get() => Ok(waiter::done()),
                _ => Err(runtime_error("http.response.start was sent already")),
            };
        }
        if me.req.get().is_null() {
            return Ok(waiter::done());
        }
        // SAFETY: the host's request and the application's message.
        unsafe {
            let status = messages::integer(event, messages::Key::Status)?;
            if sys::uwsgi_response_prepare_headers_int(me.req.get(), status.unwrap_or(200) as c_int) != 0 {
                return Err(py::value_error("the status of an answer is a number of three digits"));
            }
            self.add_headers(event)?;
        }
        self.state().answer.set(Answer::Begun);
        Ok(waiter::done())
    }

    /// # Safety
    /// A live object.
    unsafe fn add_headers(&self, event: *mut PyObject) -> PyResult<()> {
        let req = self.state().req.get();
        // SAFETY: by the contract; the host copies both texts.
        unsafe {
            messages::each_header(event, |name, value| {
                let (Ok(name_len), Ok(value_len)) = (u16::try_from(name.len()), u16::try_from(value.len())) else {
                    return Err(py::value_error("a header of an answer is over 64 KiB"));
                };
                let rc = sys::uwsgi_response_add_header(
                    req,
                    name.as_ptr().cast_mut().cast(),
                    name_len,
                    value.as_ptr().cast_mut().cast(),
                    value_len,
                );
                match rc {
                    0 => Ok(()),
                    _ => Err(py::value_error(&format!(
                        "the header {:?} of the answer is refused",
                        String::from_utf8_lossy(name)
                    ))),
                }
            })
        }
    }

    fn body(&self, event: *mut PyObject) -> PyResult<Py> {
        let me = self.state();
        match me.answer.get() {
            Answer::None => return Err(runtime_error("http.response.body was sent before http.response.start")),
            Answer::Begun => {}
            _ if me.gone.get() => return Ok(waiter::done()),
            _ => return Err(runtime_error("http.response.body was sent after the last one")),
        }
        // SAFETY: the application's message; what is borrowed from it lives during the call.
        unsafe {
            let more = messages::truth(event, messages::Key::MoreBody)?;
            let body = messages::bytes(event, messages::Key::Body)?;
            let bytes = body.as_ref().and_then(|body| py::bytes_of(body.as_ptr()));
            self.write(bytes.unwrap_or_default(), !more)
        }
    }

    /// Sends a part of the body; what the client does not take holds the application back.
    fn write(&self, bytes: &[u8], last: bool) -> PyResult<Py> {
        let me = self.state();
        if me.req.get().is_null() {
            return Ok(waiter::done());
        }
        let part = iovec {
            iov_base: bytes.as_ptr().cast_mut().cast(),
            iov_len: bytes.len(),
        };
        // SAFETY: the host's request; it has sent or copied the bytes on return.
        let sent =
            unsafe { sys::rsgi_response_writev(me.req.get(), &part, usize::from(!bytes.is_empty()), last.into()) };
        if sent != 0 {
            me.gone.set(true);
            self.finish(false);
            return Err(py::os_error("the client has gone"));
        }
        if last {
            self.finish(true);
            self.feed_soon();
            return Ok(waiter::done());
        }
        self.hold_back()
    }

    /// The whole body is that of a file.
    fn file(&self, event: *mut PyObject) -> PyResult<Py> {
        use std::os::fd::IntoRawFd;
        use std::os::unix::ffi::OsStrExt;
        let me = self.state();
        if me.answer.get() != Answer::Begun {
            return Err(runtime_error("http.response.pathsend follows http.response.start"));
        }
        // SAFETY: the application's message.
        let path = unsafe { messages::get(event, messages::Key::Path) };
        let path = py::text_bytes(&path.ok_or_else(|| py::type_error("http.response.pathsend needs \"path\""))?)?;
        let file = std::fs::File::open(std::ffi::OsStr::from_bytes(&path))
            .map_err(|e| py::os_error(&format!("cannot open {}: {e}", String::from_utf8_lossy(&path))))?;
        // SAFETY: the host's request; it closes the descriptor.
        if unsafe { sys::uwsgi_response_sendfile_do(me.req.get(), file.into_raw_fd(), 0, 0) } != 0 {
            me.gone.set(true);
            self.finish(false);
            return Err(py::os_error("the client has gone"));
        }
        self.finish(true);
        self.feed_soon();
        Ok(waiter::done())
    }

    /// Ready, unless the client has too much to take.
    fn hold_back(&self) -> PyResult<Py> {
        let me = self.state();
        // SAFETY: the host's request.
        if me.req.get().is_null() || unsafe { sys::rsgi_events_kept(me.req.get()) } <= MOST_KEPT {
            return Ok(waiter::done());
        }
        let (awaitable, waiter) = waiter::waiting()?;
        me.senders.borrow_mut().push(waiter);
        Ok(awaitable)
    }

    /// Those who wait for a message learn that there will be none; not from inside the task that sends.
    fn feed_soon(&self) {
        let me = self.state();
        if !me.receivers.borrow().is_empty() {
            super::feed_soon(self.0.share());
        }
    }

    fn message(&self, event: *mut PyObject) -> PyResult<Py> {
        let me = self.state();
        if me.answer.get() != Answer::Open {
            return match me.code.borrow().is_some() || me.req.get().is_null() {
                true => Err(py::os_error("the websocket is closed")),
                false => Err(runtime_error("websocket.send was sent before websocket.accept")),
            };
        }
        // SAFETY: the host's request and the application's message; what is borrowed from it lives during the call.
        let sent = unsafe {
            let text = messages::get(event, messages::Key::Text);
            match text.as_ref().and_then(|text| py::utf8(text.as_ptr())) {
                Some(text) => sys::uwsgi_websocket_send(me.req.get(), text.as_ptr().cast_mut().cast(), text.len()),
                None => {
                    let body = messages::bytes(event, messages::Key::Bytes)?;
                    let Some(bytes) = body.as_ref().and_then(|body| py::bytes_of(body.as_ptr())) else {
                        return Err(py::type_error("websocket.send needs \"text\" (a str) or \"bytes\""));
                    };
                    sys::uwsgi_websocket_send_binary(me.req.get(), bytes.as_ptr().cast_mut().cast(), bytes.len())
                }
            }
        };
        if sent != 0 {
            me.gone.set(true);
            return Err(py::os_error("the websocket is closed"));
        }
        self.hold_back()
    }

    fn accept(&self, event: *mut PyObject) -> PyResult<Py> {
        let me = self.state();
        if me.kind != Kind::Websocket || me.answer.get() != Answer::None || me.req.get().is_null() {
            return Err(runtime_error("websocket.accept is for a websocket, once"));
        }
        // SAFETY: the host's request and the application's message; the host copies all texts.
        unsafe {
            let name = c"101 Switching Protocols";
            let mut rc = sys::uwsgi_response_prepare_headers(me.req.get(), name.as_ptr().cast_mut(), 23);
            let chosen = messages::get(event, messages::Key::Subprotocol);
            if let Some(protocol) = chosen.as_ref().and_then(|chosen| py::utf8(chosen.as_ptr())) {
                rc |= sys::uwsgi_response_add_header(
                    me.req.get(),
                    c"Sec-WebSocket-Protocol".as_ptr().cast_mut(),
                    22,
                    protocol.as_ptr().cast_mut().cast(),
                    protocol.len().min(0xffff) as u16,
                );
            }
            self.add_headers(event)?;
            if rc != 0 || sys::rsgi_websocket_accept(me.req.get()) != 0 {
                me.gone.set(true);
                return Err(py::os_error("the websocket could not be accepted"));
            }
        }
        self.state().answer.set(Answer::Open);
        Ok(waiter::done())
    }

    fn close(&self, event: *mut PyObject) -> PyResult<Py> {
        let me = self.state();
        if me.req.get().is_null() || me.code.borrow().is_some() {
            return Ok(waiter::done());
        }
        // SAFETY: the host's request and the application's message.
        unsafe {
            let code = messages::integer(event, messages::Key::Code)?.unwrap_or(1000);
            let reason = messages::get(event, messages::Key::Reason);
            let text = reason.as_ref().and_then(|r| py::utf8(r.as_ptr())).unwrap_or_default();
            match me.answer.get() {
                Answer::Open => {
                    sys::rsgi_websocket_close(me.req.get(), code as c_int, text.as_ptr().cast(), text.len());
                }
                _ => sys::uwsgi_403(me.req.get()),
            }
            let code = if me.answer.get() == Answer::Open { code } else { 1006 };
            *me.code.borrow_mut() = Some((code, py::string(&String::from_utf8_lossy(text))?));
        }
        self.finish(true);
        self.feed_soon();
        Ok(waiter::done())
    }
}

/// Gives those who wait for a message of this request what there is; the object is one of ours.
pub fn feed(object: Py) {
    Exchange(object).feed();
}
