//! Loop engines of plugins (`--loop NAME`): a worker whose requests are accepted, parsed and closed by functions that the
//! engine calls. Which thread works on which request is the engine's affair. A connection that is kept goes back to its
//! [`engine_door`], and comes from there with its next request as a new one does.

use super::connection::{Connection, Received};
use super::engine_door;
use super::serve::{self, Parsed};
use crate::plugin::hooks;
use crate::plugin::inside::Brought;
use crate::plugin::offered::Offered;
use crate::request::{Core, response};
use crate::server::{Server, SocketProtocol, server, view};
use crate::unix_signal::Order;
use crate::{process, say, unix_signal};
use rsgi_plugin_api::abi::WsgiRequest;
use rsgi_protocol::http1::HttpError;
use rsgi_protocol::uwsgi::HEADER_LEN;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// What runs in place of the request loop.
pub type Engine = unsafe extern "C" fn();

/// Those that plugins bring.
pub static ENGINES: Offered<Brought<Engine>> = Offered::none();

/// What a core of an engine does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Free,
    /// Handed out, no connection yet.
    Taken,
    /// Accepted, and maybe a part of the head is here.
    Reading,
    /// The request has begun.
    Serving,
}

/// A core, and the connection of its request.
struct Place {
    core: Box<Core>,
    connection: Option<Box<Connection>>,
    phase: Phase,
    /// A thread has it for good.
    is_bound: bool,
}

// SAFETY: a place is used under its lock, or by the one thread that has its request.
unsafe impl Send for Place {}

/// By the addresses of their requests: whoever looks for one waits for no other.
static PLACES: OnceLock<Vec<(usize, Mutex<Place>)>> = OnceLock::new();

/// Runs the engine that `--loop` names, if a plugin brings it: the rest of this worker's life.
pub fn run(server: &'static Server, id: usize) {
    // SAFETY: written in the start, by us or a plugin: NULL or NUL-terminated.
    let name = unsafe {
        let name = (*view()).r#loop;
        if name.is_null() {
            return;
        }
        CStr::from_ptr(name).to_string_lossy()
    };
    let Some(engine) = ENGINES.find(&name) else {
        return;
    };
    let places = (0..server.shared.core_count()).map(|core| {
        let core = Core::new(id, core);
        let address = core.address().addr();
        let place = Place {
            core,
            connection: None,
            phase: Phase::Free,
            is_bound: false,
        };
        (address, Mutex::new(place))
    });
    let _ = PLACES.set(places.collect());
    // SAFETY: the record of this worker in shared memory, which stays.
    unsafe { unix_signal::tell_by(&raw mut (*server.shared.worker(id)).manage_next_request) };
    if let Err(e) = engine_door::open(server) {
        say!("worker {id}: cannot watch its sockets: {}", e.desc());
        process::exit(1)
    }
    super::ready(server, id);
    // SAFETY: in the worker's main thread, as the header states.
    engine.call(|engine| unsafe { engine() });
    process::exit(0)
}

/// The listening socket behind what an engine sees of it; other descriptors are what they are.
pub fn listener_behind(fd: RawFd) -> RawFd {
    engine_door::behind(fd).map_or(fd, |door| door.socket().listener.as_raw_fd())
}

/// The place of a request.
fn place_of(req: *mut WsgiRequest) -> Option<MutexGuard<'static, Place>> {
    let mut places = PLACES.get()?.iter();
    let (_, place) = places.find(|(address, _)| *address == req.addr())?;
    Some(place.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A request that is not in use.
pub fn free_request() -> Option<*mut WsgiRequest> {
    let mut places = PLACES.get()?.iter();
    let place = places.find_map(|(_, place)| {
        // one that is locked is in use
        let place = place.try_lock().ok()?;
        (place.phase == Phase::Free && !place.is_bound).then_some(place)
    });
    place.map(|mut place| {
        place.phase = Phase::Taken;
        place.core.expose()
    })
}

/// Says that there is no such request, at most once a minute.
pub fn say_full(now: i64) {
    static SAID: AtomicI64 = AtomicI64::new(0);
    if SAID.fetch_max(now, Ordering::Relaxed) + 60 <= now {
        say!("[DANGER] async queue is full !!!");
    }
}

/// Takes a connection that has something to say for a request; whether there was one.
///
/// # Safety
/// `req` is NULL or a request of ours.
pub unsafe fn accept(req: *mut WsgiRequest, fd: RawFd) -> bool {
    let Some(door) = engine_door::behind(fd) else {
        return false;
    };
    let Some(connection) = door.take() else {
        return false;
    };
    let Some(mut place) = place_of(req) else {
        return false;
    };
    // SAFETY: by the contract.
    unsafe {
        (*req).fd = connection.fd();
        (*req).socket = door.socket().view;
    }
    place.connection = Some(connection);
    place.phase = Phase::Reading;
    true
}

/// `socket->proto()`: 0: it is a request, 1: more is to come, -1: it is over.
///
/// # Safety
/// Any address may be asked about; it is only compared, until it is that of a request of ours.
pub unsafe extern "C" fn parse(req: *mut WsgiRequest) -> i32 {
    let Some(mut place) = place_of(req) else { return -1 };
    let Place {
        core,
        connection: Some(connection),
        phase,
        ..
    } = &mut *place
    else {
        return -1;
    };
    let most = server().settings.limits.buffer_size + HEADER_LEN;
    loop {
        match connection.receive(most) {
            Received::Closed => return -1,
            Received::Nothing if is_late(connection) => return -1,
            Received::Nothing => return 1,
            Received::Some => {}
        }
        match serve::parse(core, connection) {
            Parsed::Partial => {}
            Parsed::Refused(error) => {
                say!("{}: {error}", serve::peer_name(connection));
                serve::refuse(connection, &error);
                return -1;
            }
            Parsed::Broken(why) => {
                say!("{}: {why}", serve::peer_name(connection));
                return -1;
            }
            Parsed::Over => return -1,
            Parsed::Request => break,
        }
    }
    *phase = Phase::Serving;
    connection.head_since = 0;
    // a request that is here already would not wake the engine
    if unix_signal::order() != Order::Serve || (core.body.is_consumed() && !connection.buffered().is_empty()) {
        core.response.close_after();
    }
    serve::begin_counters(core);
    crate::request::set_current(core);
    if hooks::has_pre_request() {
        let raw = core.expose();
        // SAFETY: the request of this core.
        unsafe { hooks::pre_request(raw) };
    }
    0
}

/// Static files and rules; whether one of them has answered.
///
/// # Safety
/// `req` is a request of ours that has begun, on the thread that serves it.
pub unsafe fn apply_routes(req: *mut WsgiRequest) -> bool {
    // SAFETY: by the contract.
    serve::answer_here(unsafe { Core::of(req) })
}

/// Lets the plugin answer; whether the answer is whole.
///
/// # Safety
/// As for [`apply_routes`].
pub unsafe fn hand_over(req: *mut WsgiRequest) -> bool {
    // SAFETY: by the contract.
    serve::hand_over(unsafe { Core::of(req) })
}

/// Ends a request, with its answer or without, and closes its connection.
pub fn close(req: *mut WsgiRequest, with_answer: bool) {
    let Some(mut place) = place_of(req) else { return };
    let connection = place.connection.take();
    let phase = std::mem::replace(&mut place.phase, Phase::Free);
    let Some(mut connection) = connection.filter(|_| phase == Phase::Serving) else {
        return;
    };
    let core = &mut place.core;
    let mut keeps = match with_answer {
        true => response::finish(core, true),
        false => {
            response::cut(core);
            false
        }
    };
    let mut is_read = core.body.is_consumed() && !core.body.has_failed();
    if keeps && !is_read {
        // what is still to come is not waited for
        is_read = core.body.discard_now(&mut connection, serve::SKIP);
    }
    serve::after(core);
    core.body.end(&mut connection);
    is_read &= connection.buffered().is_empty();
    keeps &= is_read && unix_signal::order() == Order::Serve;
    match engine_door::of(&connection).filter(|_| keeps) {
        Some(door) => {
            // the engine takes it for closed
            crate::exports::event_queue::forget_everywhere(connection.fd());
            door.park(connection);
        }
        None if !is_read && !core.response.is_gone() => connection.linger(),
        None => {}
    }
}

/// A head that is not whole: its connection waits for more of it elsewhere, and comes back with it.
pub fn set_aside(req: *mut WsgiRequest) {
    let connection = place_of(req).and_then(|mut place| match place.phase {
        Phase::Reading => place.connection.take(),
        Phase::Free | Phase::Taken | Phase::Serving => None,
    });
    if let Some(connection) = connection
        && let Some(door) = engine_door::of(&connection)
    {
        door.park(connection);
    }
}

/// Whether a head has taken too long, which the client is told.
fn is_late(connection: &mut Connection) -> bool {
    let now = super::monotonic().max(1);
    if connection.head_since == 0 {
        connection.head_since = now;
    }
    let is_late = now - connection.head_since >= serve::head_limit();
    if is_late && connection.socket.protocol == SocketProtocol::Http {
        serve::refuse(connection, &HttpError::new(408, "the request head took too long"));
    }
    is_late
}

/// The request of a thread's core.
pub fn begin_thread(req: *mut WsgiRequest) {
    crate::server::set_current_request(req);
    let bind = |mut place: MutexGuard<'_, Place>| {
        place.is_bound = true;
        place.core.id
    };
    let id = place_of(req).map_or(0, bind);
    if id > 0 {
        hooks::init_thread(id);
    }
}

/// So many cores there are.
pub fn core_count() -> usize {
    PLACES.get().map_or(1, Vec::len)
}
