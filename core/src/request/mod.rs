//! One request on one core: the variables, the body, the answer, and the C view of them.
//!
//! A [`Core`] is made once per request thread and reused for every request it serves; its memory stays warm. Plugins
//! hold a pointer to [`Core::raw`]; what they may not see hangs on `host_private`.

pub mod body;
pub mod outlet;
pub mod response;
pub mod tracing;
pub mod transformation;
pub mod vars;
pub mod websocket;

use crate::routing::RequestRouting;
use crate::server::{self, server};
use crate::shared::{CoreSlot, VarsSlot};
use crate::worker::connection::Connection;
use body::Body;
use libc::iovec;
use outlet::Outlet;
use response::Response;
use rsgi_plugin_api::abi::{UwsgiCore, UwsgiHeader, UwsgiWorker, WsgiRequest};
use rsgi_protocol::Name;
use rsgi_protocol::cgi::{Scratch, VarSink};
use transformation::Transformations;
use websocket::Websocket;

/// The request slot of one thread of a worker.
pub struct Core {
    /// Its number in the worker, from 0.
    pub id: usize,
    raw: *mut WsgiRequest,
    header: *mut UwsgiHeader,
    /// Names and values, as C and we read them.
    pub hvec: Vec<iovec>,
    /// The body of its uwsgi packet, for those who read it otherwise than as variables; empty for other protocols.
    pub packet: iovec,
    /// Memory for composed values.
    pub scratch: Scratch,
    /// Values that plugins added (`uwsgi_req_append`).
    pub appended: Vec<Box<[u8]>>,
    /// What the application set for the log (`uwsgi.set_logvar`): name and value.
    pub log_variables: Vec<[Box<[u8]>; 2]>,
    /// The request's body.
    pub body: Body,
    /// What the rules of internal routing know of it.
    pub routing: RequestRouting,
    /// What plugins make of the answer on its way.
    pub transformations: Transformations,
    /// The answer under way.
    pub response: Response,
    /// In a worker that serves many at once: the place of its connection.
    pub client: usize,
    /// There: when the application's own time for the request is over, in monotonic seconds.
    pub late_at: Option<u64>,
    /// There: it was answered; whether completely.
    pub finished: Option<bool>,
    /// What it became, when it was upgraded.
    pub websocket: Option<Box<Websocket>>,
    /// Where its bytes go.
    pub outlet: Outlet,
    /// The connection of the current request; valid from `begin` to the end of the request.
    pub conn: *mut Connection,
    /// What the master reads when this core is stuck.
    pub slot: &'static CoreSlot,
    /// Where the statistics find the variables of the request, if anybody may look.
    pub vars_slot: Option<&'static VarsSlot>,
    /// The counters of this core.
    pub counters: *mut UwsgiCore,
    /// The counters of its worker.
    pub worker: *mut UwsgiWorker,
    /// No other core adds to those.
    pub alone: bool,
}

impl Core {
    /// The core `id` of worker `worker`; boxed, because plugins keep its address during a request.
    pub fn new(worker: usize, id: usize) -> Box<Self> {
        let shared = &server().shared;
        // SAFETY: all fields are pointers and integers: zero is valid.
        let raw = Box::into_raw(Box::new(unsafe { std::mem::zeroed::<WsgiRequest>() }));
        let header = Box::into_raw(Box::new(UwsgiHeader {
            modifier1: 0,
            pktsize: 0,
            modifier2: 0,
        }));
        let mut core = Box::new(Self {
            id,
            raw,
            header,
            hvec: Vec::with_capacity(128),
            packet: place(&[]),
            scratch: Scratch::new(),
            appended: Vec::new(),
            log_variables: Vec::new(),
            body: Body::default(),
            routing: RequestRouting::default(),
            transformations: Transformations::default(),
            response: Response::default(),
            client: usize::MAX,
            late_at: None,
            finished: None,
            websocket: None,
            outlet: Outlet::default(),
            conn: std::ptr::null_mut(),
            slot: shared.core_slot(worker, id),
            vars_slot: shared.vars_slot(worker, id),
            counters: shared.core(worker, id),
            worker: shared.worker(worker),
            alone: shared.core_count() == 1,
        });
        // SAFETY: just allocated; `core` is boxed and outlives the request that points back at it.
        unsafe {
            (*raw).async_id = id as i32;
            (*raw).host_private = std::ptr::from_mut(&mut *core).cast();
            let view = server::view();
            if id == 0 && (*view).wsgi_req.is_null() {
                (*view).wsgi_req = raw;
            }
        }
        core
    }

    /// The core behind a request that a plugin hands to us.
    ///
    /// # Safety
    /// `req` is a request of ours, on the thread that serves it, and no other reference to its core is used while
    /// the result lives.
    pub unsafe fn of<'a>(req: *mut WsgiRequest) -> &'a mut Self {
        // SAFETY: by the contract; `host_private` is set once in `new`.
        unsafe { &mut *(*req).host_private.cast() }
    }

    /// Where the C view lies.
    pub fn address(&self) -> *const WsgiRequest {
        self.raw
    }

    /// The C view.
    pub fn raw(&mut self) -> &mut WsgiRequest {
        // SAFETY: allocated in `new`, never freed before the core.
        unsafe { &mut *self.raw }
    }

    /// The address of the C view, for a call into a plugin. What the plugin calls back reaches this core through it,
    /// so the way back is renewed from the reference in use: accesses on both sides derive from one pointer.
    pub fn expose(&mut self) -> *mut WsgiRequest {
        let own: *mut Self = self;
        // SAFETY: allocated in `new`.
        unsafe { (*self.raw).host_private = own.cast() };
        self.raw
    }

    /// The connection of the current request.
    pub fn conn(&mut self) -> &mut Connection {
        // SAFETY: set in `begin`, used only while the request lives.
        unsafe { &mut *self.conn }
    }

    /// A clean slate for the next request of `conn`.
    pub fn begin(&mut self, conn: &mut Connection) {
        self.conn = conn;
        self.hvec.clear();
        self.packet = place(&[]);
        self.appended.clear();
        self.log_variables.clear();
        self.routing.clear();
        self.transformations.clear();
        self.websocket = None;
        self.late_at = None;
        let (id, header, private) = (self.id, self.header, std::ptr::from_mut(self).cast());
        let now = crate::exports::micros();
        // SAFETY: all fields are pointers and integers: zero is valid; the struct is a few hundred bytes.
        *self.raw() = unsafe { std::mem::zeroed() };
        let (modifier1, modifier2) = (conn.socket.modifier1, conn.socket.modifier2);
        let raw = self.raw();
        raw.async_id = id as i32;
        raw.host_private = private;
        raw.uh = header;
        raw.fd = conn.fd();
        raw.app_id = -1;
        raw.sendfile_fd = -1;
        raw.log_this = 0;
        raw.start_of_request = now;
        raw.start_of_request_in_sec = now / 1_000_000;
        raw.socket = conn.socket.view;
        self.set_header(modifier1, 0, modifier2);
    }

    /// Modifiers and size as the packet, or the socket, states them.
    pub fn set_header(&mut self, modifier1: u8, pktsize: u16, modifier2: u8) {
        // SAFETY: allocated in `new`.
        unsafe {
            *self.header = UwsgiHeader {
                modifier1,
                pktsize,
                modifier2,
            }
        };
    }

    /// The size of what it came in, where the modifiers stand already.
    pub fn set_size(&mut self, pktsize: u16) {
        // SAFETY: allocated in `new`.
        unsafe { (*self.header).pktsize = pktsize };
    }

    /// The plugin number that the request asks for.
    pub fn modifier1(&self) -> u8 {
        // SAFETY: allocated in `new`.
        unsafe { (*self.header).modifier1 }
    }

    /// The request may last so many seconds from now, whatever the configuration says; 0 or less: no such limit.
    pub fn set_own_time(&mut self, seconds: i32) {
        if self.client == usize::MAX {
            return crate::process::harakiri::set_user_deadline(seconds);
        }
        let seconds = u64::try_from(seconds).unwrap_or(0);
        self.late_at = (seconds > 0).then(|| crate::worker::monotonic() + seconds);
    }

    /// Sets a variable of the request's log line.
    pub fn set_log_variable(&mut self, name: &[u8], value: &[u8]) {
        self.log_variables.retain(|[known, _]| **known != *name);
        self.log_variables.push([name.into(), value.into()]);
    }

    /// Publishes the variables to the C view; after they are complete or were added to.
    pub fn publish_vars(&mut self) {
        let (place, count) = (self.hvec.as_mut_ptr(), self.hvec.len() as u16);
        let raw = self.raw();
        raw.hvec = place;
        raw.var_cnt = count;
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        // SAFETY: both were allocated in `new` and nothing outlives the core.
        unsafe {
            drop(Box::from_raw(self.raw));
            drop(Box::from_raw(self.header));
        }
    }
}

/// Keeps the addresses of variables, and of some in the fields of the C view: they lie in the connection's buffer, in
/// static memory or in the scratch, none of which changes while the request lives.
pub struct Places<'v> {
    /// Where names and values are kept.
    pub hvec: &'v mut Vec<iovec>,
    /// The C view.
    pub raw: &'v mut WsgiRequest,
}

impl<'a> VarSink<'a> for Places<'_> {
    #[inline(always)] // the key is a constant wherever this is called: the field is known to the compiler
    fn var(&mut self, key: &'a [u8], value: &'a [u8]) {
        self.hvec.extend([place(key), place(value)]);
        vars::digest_one(self.raw, key, value);
    }

    #[inline]
    fn field(&mut self, name: Name, key: &'a [u8], value: &'a [u8]) {
        self.hvec.extend([place(key), place(value)]);
        vars::digest_field(self.raw, name, value);
    }
}

/// A slice as C states it.
pub fn place(bytes: &[u8]) -> iovec {
    iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    }
}

/// The bytes of an entry of `hvec`.
///
/// # Safety
/// The entry belongs to the current request.
pub unsafe fn bytes_of<'a>(entry: &iovec) -> &'a [u8] {
    if entry.iov_len == 0 {
        return &[];
    }
    // SAFETY: by the contract.
    unsafe { std::slice::from_raw_parts(entry.iov_base.cast(), entry.iov_len) }
}

/// The deadline of a request that begins now, seconds since the epoch; 0: none.
pub fn deadline(now: i64) -> i64 {
    match server().settings.limits.harakiri {
        0 => 0,
        seconds => now + seconds as i64,
    }
}

/// Remembers the request that this thread serves, for C code that asks without having it.
pub fn set_current(core: &Core) {
    server::set_current_request(core.raw);
}
