//! A worker whose plugin has an event loop of its own (ASGI): it serves as many requests at a time as come. The plugin
//! watches one descriptor, our epoll, and calls [`turn`]; bytes, heads, framing, time-outs and orders are ours, the
//! plugin is called for each request and when something happens to one. All in the worker's main thread; nothing waits.

mod client;
mod serving;

use super::connection::Connection;
use super::poll::Ready;
use super::serve;
use super::{Cores, Limits, housekeeping_is_due, monotonic};
use crate::plugin::hooks;
use crate::plugin::inside::Brought;
use crate::request::Core;
use crate::request::outlet::Outlet;
use crate::server::{Server, SocketProtocol, server, worker_id};
use crate::shared::int;
use crate::signal::dispatch;
use crate::signal::receiver::Receiver;
use crate::startup::procname::{self, State};
use crate::unix_signal::{self, Order};
use crate::{log, process, say};
use client::{Client, Clients};
use nix::sys::epoll::{EpollEvent, EpollTimeout};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use rsgi_plugin_api::abi::{RsgiEvents, WsgiRequest};
use std::cell::{Cell, RefCell};
use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::Ordering;

/// Events taken from the kernel at once.
const BATCH: usize = 64;
/// Connections taken from one listening socket at once; other workers want some too.
const ACCEPTS: usize = 4;
/// Cores at rest that are kept.
const MOST_SPARE: usize = 1024;

/// What a turn came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Call again when the descriptor is readable.
    Wait = 0,
    /// The worker ends: leave the loop.
    End = 1,
    /// There is more to do: call again soon.
    Again = 2,
}

thread_local! {
    static EVENTS: RefCell<Option<Box<Events>>> = const { RefCell::new(None) };
    /// Places of connections that can go on, noted while [`EVENTS`] may be in use.
    static AGAIN: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
    static IN_TURN: Cell<bool> = const { Cell::new(false) };
}

/// `rsgi_events.request`
type RequestFn = unsafe extern "C" fn(*mut WsgiRequest);
/// `rsgi_events.ready`
type ReadyFn = unsafe extern "C" fn(*mut WsgiRequest, c_int);

struct Events {
    server: &'static Server,
    id: usize,
    hooks: RsgiEvents,
    /// Of those, the ones that requests are told by.
    request: Option<Brought<RequestFn>>,
    ready: Option<Brought<ReadyFn>>,
    shared: Cores,
    limits: Limits,
    clients: Clients,
    /// Connections with a request for which there was no core.
    queue: std::collections::VecDeque<usize>,
    /// Cores at rest. Boxed: plugins hold their addresses while they are in use.
    #[allow(clippy::vec_box)]
    cores: Vec<Box<Core>>,
    spare: Vec<Vec<u8>>,
    clock: TimerFd,
    /// Milliseconds between two strokes of the clock; 0: it stands still.
    pace: i64,
    in_work: usize,
}

/// Begins to serve; the descriptor to watch.
///
/// # Errors
/// No descriptor is left, or this process has begun already.
pub fn begin(hooks: RsgiEvents) -> nix::Result<RawFd> {
    let (server, id) = (server(), worker_id());
    if EVENTS.with_borrow(Option::is_some) {
        return Err(nix::Error::EALREADY);
    }
    let bell = super::BELL.load(Ordering::Acquire);
    // SAFETY: the worker keeps its bell open to its end.
    let bell = unsafe { BorrowedFd::borrow_raw(bell) };
    let shared = Cores::new(server, id, 1, bell)?;
    let clock = TimerFd::new(
        ClockId::CLOCK_MONOTONIC,
        TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC,
    )?;
    shared.poll.watch_clock(clock.as_fd())?;
    let fd = shared.poll.fd().as_raw_fd();
    let mut events = Box::new(Events {
        server,
        id,
        hooks,
        request: hooks.request.map(|request| Brought::of(c"hook request", request)),
        ready: hooks.ready.map(|ready| Brought::of(c"hook ready", ready)),
        shared,
        limits: Limits::of(server),
        clients: Clients::default(),
        // with `--async` so many requests at a time, each with a core of its own; else any number
        cores: match is_bounded(server) {
            false => Vec::new(),
            true => (0..server.shared.core_count())
                .rev()
                .map(|core| Core::new(id, core))
                .collect(),
        },
        queue: std::collections::VecDeque::new(),
        spare: Vec::new(),
        clock,
        pace: 0,
        in_work: 0,
    });
    events.set_pace();
    EVENTS.set(Some(events));
    unix_signal::leave_at_once(false);
    log::batch::begin(id, 0);
    super::ready(server, id);
    Ok(fd)
}

/// Whether `--async` says how many requests a worker serves at a time.
fn is_bounded(server: &Server) -> bool {
    server.settings.processes.async_cores > 1
}

/// Does all that can be done now.
pub fn turn() -> Turn {
    if IN_TURN.replace(true) {
        // called from a hook of a request: the turn under way does the rest
        return Turn::Wait;
    }
    let outcome = EVENTS.with_borrow_mut(|events| match events {
        Some(events) => events.turn(),
        None => Turn::End,
    });
    IN_TURN.set(false);
    outcome
}

/// The plugin has answered a request: whether a turn is needed for what follows.
pub fn finish(core: &mut Core, complete: bool) -> bool {
    if core.client == usize::MAX || core.finished.is_some() {
        return false;
    }
    core.finished = Some(complete);
    AGAIN.with_borrow_mut(|again| again.push(core.client));
    !IN_TURN.get()
}

impl Events {
    fn turn(&mut self) -> Turn {
        let order = unix_signal::order();
        if order == Order::Stop {
            hooks::worker_int();
            return Turn::End;
        }
        if unix_signal::aborted() {
            hooks::worker_abort();
            process::exit(1)
        }
        let leaving = order == Order::Leave;
        if unix_signal::paused() && !leaving {
            super::pause();
            return Turn::Again;
        }
        if leaving && self.leave() {
            dispatch::drain(self.id, self.server.shared.core_slot(self.id, 0));
            return Turn::End;
        }
        let mut events = [EpollEvent::empty(); BATCH];
        let mut batch = Vec::with_capacity(BATCH);
        self.shared
            .poll
            .wait(&mut events, EpollTimeout::ZERO, |ready| batch.push(ready));
        for ready in batch {
            self.take(ready);
        }
        let again = AGAIN.take();
        for index in again {
            self.drive(index);
        }
        log::batch::flush();
        self.push_deadline();
        self.limits.check(self.server, true);
        self.set_pace();
        if AGAIN.with_borrow(Vec::is_empty) {
            Turn::Wait
        } else {
            Turn::Again
        }
    }

    fn take(&mut self, ready: Ready) {
        match ready {
            Ready::Listener(socket) => {
                for _ in 0..ACCEPTS {
                    let Some(conn) = super::accept(socket, &mut self.spare) else {
                        if socket.is_ours_to_close() && process::is_last_generation() {
                            self.shared.poll.unwatch(socket);
                        }
                        break;
                    };
                    self.adopt(conn);
                    if self.server.shared.worker_count() > 1 {
                        // a connection stays with its worker, so that each one counts
                        self.shared.poll.go_last(socket, 0);
                        break;
                    }
                }
            }
            Ready::Client(index, generation, flags) => {
                if self.clients.get_of(index, generation).is_some() {
                    self.note(index, flags);
                }
            }
            Ready::Tick => {
                let _ = self.clock.wait();
                self.tick();
            }
            Ready::Signals { of_all } => {
                let receiver = match of_all {
                    true => Receiver::AnyWorker,
                    false => Receiver::Worker(self.id),
                };
                dispatch::run_in_core(receiver, self.server.shared.core_slot(self.id, 0));
            }
            Ready::Bell | Ready::Connection(_) => {}
        }
    }

    /// A new connection: what it has sent already is served at once.
    fn adopt(&mut self, mut conn: Box<Connection>) {
        if let SocketProtocol::Plugin(name) = conn.socket.protocol {
            // its functions wait for the client, and all others with them
            say!("no connection of protocol {name} is served: this worker's applications run on an event loop");
            return;
        }
        if conn.socket.protocol == SocketProtocol::Raw {
            // a raw connection is a plugin's, whole: it has a core of its own where all others are in use
            let mut core = self.core().unwrap_or_else(|| Core::new(self.id, 0));
            core.outlet = Outlet::default();
            serve::raw(&mut core, &mut conn);
            self.rest(core);
            return;
        }
        let fd = conn.fd();
        let (index, generation) = self.clients.insert(Client::new(conn));
        // SAFETY: the connection keeps the descriptor open while it is watched.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        if let Err(e) = self.shared.poll.watch_client(fd, index, generation) {
            say!("cannot watch a connection: {e}");
            self.clients.remove(index);
            return;
        }
        self.drive(index);
    }

    /// A core for a request; `None`: all are in use.
    fn core(&mut self) -> Option<Box<Core>> {
        let bounded = is_bounded(self.server);
        self.cores.pop().or_else(|| (!bounded).then(|| Core::new(self.id, 0)))
    }

    /// A core is free: whoever waits for one gets it.
    fn rest(&mut self, core: Box<Core>) {
        if self.cores.len() < MOST_SPARE {
            self.cores.push(core);
        }
        if let Some(next) = self.queue.pop_front() {
            AGAIN.with_borrow_mut(|again| again.push(next));
        }
    }

    /// How fast the clock must go: not at all when nothing is due.
    fn set_pace(&mut self) {
        let leaving = unix_signal::order() == Order::Leave;
        let pace = match () {
            () if leaving => 50,
            () if self.clients.len() > 0 || self.limits.ticks || self.harakiri() > 0 => 1000,
            () => 0,
        };
        if pace == self.pace {
            return;
        }
        self.pace = pace;
        let set = match pace {
            0 => self.clock.unset(),
            ms => self.clock.set(
                Expiration::Interval(TimeSpec::milliseconds(ms)),
                TimerSetTimeFlags::empty(),
            ),
        };
        if let Err(e) = set {
            say!("cannot set the clock of the event loop: {e}");
        }
    }

    fn harakiri(&self) -> u64 {
        self.server.settings.limits.harakiri
    }

    /// What is due with time.
    fn tick(&mut self) {
        if !housekeeping_is_due(&self.shared) {
            return;
        }
        if self.limits.ticks {
            super::beat();
        }
        self.push_deadline();
        let now = monotonic();
        for index in self.clients.indexes() {
            self.look_after(index, now);
        }
    }

    /// The master watches whether the loop turns: an application that blocks it for longer than a request may last is
    /// over time, whichever request it is.
    fn push_deadline(&self) {
        let limit = self.harakiri();
        if limit > 0 && self.in_work > 0 {
            let now = crate::exports::now();
            let slot = self.server.shared.core_slot(self.id, 0);
            slot.deadline.store(now + limit as i64 + 1, Ordering::Relaxed);
            slot.since.store(now, Ordering::Release);
        }
    }

    /// On the way out; whether all is done.
    fn leave(&mut self) -> bool {
        let begins = !self.shared.stopped_accepting.load(Ordering::Acquire);
        super::begin_leaving(&self.shared);
        if begins {
            dispatch::tell_leaving();
        }
        let mut late = Vec::new();
        super::last_call(&self.shared, &mut self.spare, |conn| late.push(conn));
        for conn in late {
            self.adopt(conn);
        }
        self.shared.poll.unwatch_bell(super::BELL.load(Ordering::Acquire));
        for index in self.clients.indexes() {
            if begins {
                self.say_goodbye(index);
            }
            let now = monotonic();
            let idle = |c: &mut Client| c.is_idle() && now.saturating_sub(c.since) > super::LEAVE_IDLE;
            if self.clients.get(index).is_some_and(idle) {
                self.clients.remove(index);
            }
        }
        self.shared.last_call.load(Ordering::Acquire) == 0 && self.clients.len() == 0
    }

    /// The state that the statistics and the title show.
    fn show_busy(&self) {
        if is_bounded(self.server) {
            return;
        }
        let (busy, core) = (self.in_work > 0, self.server.shared.core(self.id, 0));
        // SAFETY: the record of this worker's core in shared memory.
        unsafe { int(&raw mut (*core).in_request).store(i32::from(busy), Ordering::Relaxed) };
        if busy {
            // one of several has ended
            procname::state(State::Busy);
        }
    }
}
