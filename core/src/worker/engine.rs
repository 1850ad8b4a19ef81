//! Loop engines of plugins (`--loop NAME`): a worker whose requests are accepted, parsed and closed by functions that the
//! engine calls. One request for each connection; which thread works on which request is the engine's affair.

use super::connection::{Connection, Received};
use super::serve::{self, Parsed};
use crate::plugin::hooks;
use crate::plugin::inside::Brought;
use crate::plugin::offered::Offered;
use crate::request::{Core, response};
use crate::server::{Server, WorkerSocket, server, view};
use crate::{process, say, unix_signal};
use rsgi_plugin_api::abi::WsgiRequest;
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

static PLACES: OnceLock<Vec<Mutex<Place>>> = OnceLock::new();

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
        Mutex::new(Place {
            core: Core::new(id, core),
            connection: None,
            phase: Phase::Free,
            is_bound: false,
        })
    });
    let _ = PLACES.set(places.collect());
    // SAFETY: the record of this worker in shared memory, which stays.
    unsafe { unix_signal::tell_by(&raw mut (*server.shared.worker(id)).manage_next_request) };
    super::ready(server, id);
    // SAFETY: in the worker's main thread, as the header states.
    engine.call(|engine| unsafe { engine() });
    process::exit(0)
}

/// The place of a request.
fn place_of(req: *mut WsgiRequest) -> Option<MutexGuard<'static, Place>> {
    let places = PLACES.get()?;
    let found = places
        .iter()
        .map(|place| place.lock().unwrap_or_else(PoisonError::into_inner));
    found.into_iter().find(|place| std::ptr::eq(place.core.address(), req))
}

/// A request that is not in use.
pub fn free_request() -> Option<*mut WsgiRequest> {
    let mut places = PLACES.get()?.iter();
    let place = places.find_map(|place| {
        let place = place.lock().unwrap_or_else(PoisonError::into_inner);
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

/// The listening socket behind a descriptor.
fn socket_of(fd: RawFd) -> Option<&'static WorkerSocket> {
    server().sockets.iter().find(|s| s.listener.as_raw_fd() == fd)
}

/// Accepts a connection for a request; whether there was one.
///
/// # Safety
/// `req` is NULL or a request of ours.
pub unsafe fn accept(req: *mut WsgiRequest, fd: RawFd) -> bool {
    let (Some(mut place), Some(socket)) = (place_of(req), socket_of(fd)) else {
        return false;
    };
    let connection = match Connection::accept(socket, &mut Vec::new()) {
        Ok(Some(connection)) => connection,
        Ok(None) => return false,
        Err(e) => {
            say!("accept() on {}: {e}", socket.listener.name);
            return false;
        }
    };
    // SAFETY: by the contract.
    unsafe {
        (*req).fd = connection.fd();
        (*req).socket = socket.view;
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
    core.response.close_after();
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
    match with_answer {
        true => drop(response::finish(core, true)),
        false => response::cut(core),
    }
    let is_read = core.body.is_consumed();
    serve::after(core);
    core.body.end(&mut connection);
    if !is_read && !core.response.is_gone() {
        connection.linger();
    }
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
