//! A worker process: its cores (request threads) around one epoll, from the fork to an orderly end.

mod builtin;
mod cache_packet;
pub mod connection;
mod descriptors;
pub mod engine;
mod engine_door;
pub mod events;
mod exec;
pub mod offload;
pub mod offload_engine;
pub mod plugin_protocol;
pub mod poll;
pub mod serve;

use crate::decimal::Decimal;
use crate::plugin::hooks;
use crate::plugin::inside::Brought;
use crate::request::Core;
use crate::server::{self, Server, server, worker_id};
use crate::shared::int;
use crate::signal::dispatch;
use crate::signal::receiver::Receiver;
use crate::startup::procname::{self, State};
use crate::unix_signal::{self, Order};
use crate::{log, process, say, signal};
use connection::Connection;
use nix::sys::epoll::{EpollEvent, EpollTimeout};
use poll::{Poll, Ready};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

/// The main thread is inside a request; its signal handler asks.
static MAIN_BUSY: AtomicBool = AtomicBool::new(false);
static BELL: AtomicI32 = AtomicI32::new(-1);

/// Events taken from the kernel at once by a worker of one core; several cores take one each.
const BATCH: usize = 64;
/// Nobody has said yet how the worker leaves.
const UNDECIDED: u64 = u64::MAX;
/// How long a server that stops still accepts those whose handshake was under way, milliseconds.
const LAST_CALL: u64 = 100;
/// While leaving, a kept connection that was quiet for so long is closed.
const LEAVE_IDLE: u64 = 1;

/// The main thread is inside code of an application, outside of the request loop: that of a mule.
pub fn set_busy(busy: bool) {
    MAIN_BUSY.store(busy, Ordering::Release);
}

/// Whether the main thread serves a request right now.
pub fn busy_in_main_thread() -> bool {
    MAIN_BUSY.load(Ordering::Acquire)
}

/// Whether the master wants this worker to hold still; `None`: there is no master. A signal handler asks.
pub fn is_told_to_pause() -> Option<bool> {
    let server = server::try_server().filter(|s| s.settings.processes.master)?;
    // SAFETY: the record of this worker in shared memory; the master writes the field.
    let told = unsafe { int(&raw mut (*server.shared.worker(worker_id())).suspended) };
    Some(told.load(Ordering::Acquire) != 0)
}

/// Seconds of a clock that never jumps.
pub fn monotonic() -> u64 {
    clock().tv_sec.unsigned_abs()
}

/// Milliseconds of that clock.
pub fn monotonic_ms() -> u64 {
    let now = clock();
    now.tv_sec.unsigned_abs() * 1000 + now.tv_nsec.unsigned_abs() / 1_000_000
}

/// This worker is alive.
pub fn beat() {
    if let Some(server) = server::try_server() {
        let slot = server.shared.worker_slot(worker_id());
        slot.heartbeat.store(monotonic_ms(), Ordering::Relaxed);
    }
}

fn clock() -> libc::timespec {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the place is ours; the coarse clock is read without a system call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut now) };
    now
}

/// SIGUSR2: says which request each core serves. Runs in a signal handler: no allocation, no lock.
pub fn describe_on_signal() {
    let Some(server) = server::try_server() else {
        return;
    };
    let id = worker_id();
    for core in 0..server.shared.core_count() {
        let slot = server.shared.core_slot(id, core);
        let since = slot.since.load(Ordering::Relaxed);
        if since > 0 {
            let mut line = Line::default();
            line.text(b"SIGUSR2: --- rsgi worker ");
            line.number(id as u64);
            line.text(b" (pid: ");
            line.number(u64::from(std::process::id()));
            line.text(b") is managing request ");
            slot.with_description(|text| line.text(text.splitn(4, |b| *b == b' ').nth(3).unwrap_or(text)));
            line.text(b" since ");
            line.number(since.unsigned_abs());
            line.text(b"\n");
            crate::log::standard::stderr(&line.bytes[..line.len]);
        }
    }
}

/// Says whose stacks follow; this process's pid. Runs in a signal handler.
pub fn describe_for_stacks() -> i32 {
    let pid = std::process::id();
    let mut line = Line::default();
    line.text(b"*** stacks of worker ");
    line.number(worker_id() as u64);
    line.text(b" (pid: ");
    line.number(u64::from(pid));
    line.text(b") ***\n");
    crate::log::standard::stderr(&line.bytes[..line.len]);
    pid as i32
}

/// A log line in fixed memory.
struct Line {
    bytes: [u8; 768],
    len: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            bytes: [0; 768],
            len: 0,
        }
    }
}

impl Line {
    fn text(&mut self, text: &[u8]) {
        let n = text.len().min(self.bytes.len() - self.len);
        self.bytes[self.len..self.len + n].copy_from_slice(&text[..n]);
        self.len += n;
    }

    fn number(&mut self, n: u64) {
        self.text(Decimal::new(n).as_bytes());
    }
}

/// The life of worker `id` after its fork: hooks, applications if lazy, the request loop, an orderly end.
pub fn run(id: usize) -> ! {
    let server = server();
    let bell = match unix_signal::install_worker() {
        Ok(bell) => bell,
        Err(e) => {
            say!("worker {id}: cannot make its event descriptor: {e}");
            process::exit(1)
        }
    };
    BELL.store(bell.as_raw_fd(), Ordering::Release);
    unix_signal::unblock();
    crate::startup::worker_identity(id);
    procname::state(State::Starting);
    let commands = &server.settings.processes;
    exec::replace(server, id, "worker-exec", &commands.worker_exec);
    dispatch::publish_bells(id);
    hooks::master_fixup(1);
    hooks::post_fork();
    exec::replace(server, id, "worker-exec2", &commands.worker_exec2);
    crate::log::worker::begin(&server.settings.logging);
    if server.settings.apps.lazy_apps {
        crate::startup::load_apps(server);
    }
    crate::startup::hooks::run(&server.settings.hooks.post_fork);
    crate::apps::publish_all();
    // the override's own script says `accepting` when it listens; it may serve without ever doing so
    let slot = server.shared.worker_slot(id);
    slot.in_override.store(std::process::id() as i32, Ordering::Release);
    // a loop that is not ours hears no order; one that wants to end in its own way has handlers of its own
    unix_signal::leave_at_once(true);
    if hooks::worker() {
        process::exit(0);
    }
    unix_signal::leave_at_once(false);
    slot.in_override.store(0, Ordering::Release);
    hooks::fixup();
    hooks::hijack_worker();
    engine::run(server, id);
    serve(server, id, &bell);
    process::exit(0)
}

/// Tells the master that this worker takes requests.
fn ready(server: &Server, id: usize) {
    crate::startup::accepting(id);
    crate::plugin::inside::ran::begin();
    procname::state(State::Idle);
    // SAFETY: the record of this worker in shared memory.
    unsafe { int(&raw mut (*server.shared.worker(id)).accepting).store(1, Ordering::Release) };
    server
        .shared
        .worker_slot(id)
        .ready
        .store(std::process::id() as i32, Ordering::Release);
    process::notify_master();
}

/// What the cores of a worker share.
struct Cores {
    poll: Poll,
    stopped_accepting: AtomicBool,
    /// Until when a server that stops takes those who are on their way, milliseconds of the monotonic clock; 0: no
    /// longer; [`UNDECIDED`]: not yet, or another core is about to say.
    last_call: std::sync::atomic::AtomicU64,
    /// Seconds when the last sweep of parked connections was.
    swept: std::sync::atomic::AtomicU64,
    /// Cores that may be asleep without a time limit, so that the bell is still needed to wake them.
    dozing: AtomicUsize,
}

impl Cores {
    fn new(server: &'static Server, id: usize, cores: usize, bell: BorrowedFd<'_>) -> nix::Result<Self> {
        let poll = Poll::new(cores, bell, &server.sockets)?;
        poll.accept(|n| is_mapped(server, n, id))?;
        hear_signals(&poll, id)?;
        Ok(Self {
            poll,
            stopped_accepting: AtomicBool::new(false),
            last_call: UNDECIDED.into(),
            swept: 0.into(),
            dozing: AtomicUsize::new(0),
        })
    }
}

/// Whether worker `id` serves socket `number`: all do, unless `--map-socket number:worker,...` says which.
fn is_mapped(server: &Server, number: usize, id: usize) -> bool {
    let maps = server.settings.sockets.map_socket.iter();
    let mut own = maps
        .filter_map(|m| m.split_once(':').filter(|(n, _)| n.trim().parse() == Ok(number)))
        .peekable();
    own.peek().is_none() || own.any(|(_, workers)| workers.split(',').any(|w| w.trim().parse() == Ok(id)))
}

fn serve(server: &'static Server, id: usize, bell: &OwnedFd) {
    let cores = server.shared.core_count();
    let shared: &'static Cores = match Cores::new(server, id, cores, bell.as_fd()) {
        // threads that send files outlive every scope
        Ok(shared) => Box::leak(Box::new(shared)),
        Err(e) => {
            say!("worker {id}: cannot watch its sockets: {e}");
            process::exit(1)
        }
    };
    if let Err(e) = offload::start(server.settings.statics.offload_threads, &shared.poll) {
        say!("worker {id}: cannot start the threads that send files: {e}");
        process::exit(1)
    }
    ready(server, id);
    std::thread::scope(|scope| {
        for core in 1..cores {
            let stack = server.settings.processes.thread_stack_size;
            let mut builder = std::thread::Builder::new().name(format!("core {core}"));
            if stack > 0 {
                builder = builder.stack_size(stack);
            }
            let spawned = builder.spawn_scoped(scope, move || {
                hooks::init_thread(core);
                core_loop(shared, core);
            });
            if let Err(e) = spawned {
                say!("worker {id}: cannot start the thread of core {core}: {e}");
                process::exit(1)
            }
        }
        core_loop(shared, 0);
        if unix_signal::order() == Order::Stop {
            hooks::worker_int();
            // threads inside requests are not waited for: stop means now
            process::exit(0)
        }
        dispatch::drain(id, server.shared.core_slot(id, 0));
    });
}

/// One core: waits, serves, until there is nothing left to do.
fn core_loop(shared: &Cores, id: usize) {
    let server = server();
    let mut core = Core::new(worker_id(), id);
    let mut spare: Vec<Vec<u8>> = Vec::new();
    let mut events = [EpollEvent::empty(); BATCH];
    let room = if server.shared.core_count() == 1 { BATCH } else { 1 };
    let mut batch: Vec<Ready> = Vec::with_capacity(room);
    let limits = Limits::of(server);
    log::batch::begin(worker_id(), id);
    loop {
        // counted before the order is looked at: whoever takes the bell away sees this core, or it sees the order
        shared.dozing.fetch_add(1, Ordering::SeqCst);
        let order = unix_signal::order();
        let leaving = order == Order::Leave;
        if id == 0 && unix_signal::aborted() {
            hooks::worker_abort();
            process::exit(1)
        }
        if order != Order::Serve || unix_signal::paused() {
            shared.dozing.fetch_sub(1, Ordering::SeqCst);
            if order == Order::Stop || (leaving && leave(shared, id, &mut spare)) {
                return;
            }
            if !leaving {
                pause();
                continue;
            }
        }
        shared
            .poll
            .wait(&mut events[..room], timeout(shared, id, leaving, &limits), |ready| {
                batch.push(ready)
            });
        if order == Order::Serve {
            shared.dozing.fetch_sub(1, Ordering::SeqCst);
        }
        if id == 0 {
            housekeeping(shared, &limits);
        }
        let mut rest = batch.drain(..);
        while let Some(ready) = rest.next() {
            if id == 0 {
                MAIN_BUSY.store(true, Ordering::Release);
                if limits.heartbeat {
                    // a batch of slow connections is no silence
                    beat();
                }
            }
            match ready {
                Ready::Bell => {}
                Ready::Signals { of_all } => {
                    let receiver = if of_all {
                        Receiver::AnyWorker
                    } else {
                        Receiver::Worker(worker_id())
                    };
                    dispatch::run_in_core(receiver, core.slot);
                }
                Ready::Listener(socket) => {
                    let mut taken = 0;
                    while let Some(conn) = accept(socket, &mut spare) {
                        taken += 1;
                        let is_over = serve::connection(&mut core, &shared.poll, conn, &mut spare, leaving);
                        if !is_over || taken == IN_A_ROW || leaving || unix_signal::order() != Order::Serve {
                            break;
                        }
                        limits.check(server, rest.len() == 0);
                        if id == 0 && limits.heartbeat {
                            beat();
                        }
                    }
                    if taken > 0 && server.shared.worker_count() > 1 {
                        shared.poll.go_last(socket, TURN);
                    } else if taken == 0 && socket.is_ours_to_close() && process::is_last_generation() {
                        // a unix socket that lets nobody in any more (`net::closing`) is always ready
                        shared.poll.unwatch(socket);
                    }
                }
                // of a worker with an event loop of its own
                Ready::Client(..) | Ready::Tick => {}
                Ready::Connection(conn) => {
                    serve::connection(&mut core, &shared.poll, conn, &mut spare, leaving);
                }
            }
            if id == 0 {
                MAIN_BUSY.store(false, Ordering::Release);
            }
        }
        log::batch::flush();
        limits.check(server, true);
    }
}

fn hear_signals(poll: &Poll, id: usize) -> nix::Result<()> {
    let queues = signal::memory().and_then(|m| Some((m.queue(Receiver::Worker(id))?, m.queue(Receiver::AnyWorker)?)));
    match queues {
        Some((own, of_all)) => poll.hear_signals(own.bell(), of_all.bell()),
        None => Ok(()),
    }
}

/// So many connections of one socket are served one after the other while each ends with its request, without asking
/// the kernel in between whether there is one more. Those that stay are left to whoever has fewer.
const IN_A_ROW: u32 = 16;

/// Milliseconds after which another worker may go first: rare connections are spread, and many cost nothing more.
const TURN: u64 = 5;

fn accept(socket: &'static server::WorkerSocket, spare: &mut Vec<Vec<u8>>) -> Option<Box<Connection>> {
    match Connection::accept(socket, spare) {
        Ok(conn) => conn,
        Err(e) => {
            // out of descriptors or memory: waiting a little lets others finish
            descriptors::ran_out(&socket.listener.name, &e);
            std::thread::sleep(Duration::from_millis(50));
            None
        }
    }
}

/// How long a core may sleep: for good, unless something is due.
fn timeout(shared: &Cores, id: usize, leaving: bool, limits: &Limits) -> EpollTimeout {
    if leaving {
        return EpollTimeout::from(50u8);
    }
    if id == 0 && (shared.poll.parked() > 0 || limits.ticks) {
        return EpollTimeout::from(1000u16);
    }
    EpollTimeout::NONE
}

/// Whether a second has passed.
fn housekeeping_is_due(shared: &Cores) -> bool {
    let now = monotonic();
    shared.swept.swap(now, Ordering::Relaxed) != now
}

/// What only the first core does, about once a second: time-outs of parked connections, the heartbeat, memory.
fn housekeeping(shared: &Cores, limits: &Limits) {
    if !housekeeping_is_due(shared) {
        return;
    }
    if limits.ticks {
        beat();
    }
    close_quiet(&shared.poll);
}

/// Closes parked connections that have said nothing for too long.
fn close_quiet(poll: &Poll) {
    if poll.parked() == 0 {
        return;
    }
    let now = monotonic();
    let settings = &server().settings;
    let quiet = settings.sockets.socket_timeout;
    let (idle, head) = (settings.http.keep_alive_timeout, serve::head_limit());
    for conn in poll.sweep(|c| {
        let (parked, began) = (now.saturating_sub(c.parked_at), now.saturating_sub(c.head_since));
        match c.head_since {
            0 => parked > idle,
            _ => parked > quiet || began > head,
        }
    }) {
        if conn.head_since > 0 && conn.socket.protocol == server::SocketProtocol::Http {
            let _ = crate::net::wait::write_all(
                conn.fd(),
                b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                Duration::from_millis(1),
            );
            // what was left unread would make the close a reset, and that takes the answer away
            conn.drain();
        }
        poll.forget(conn);
    }
}

/// The first thing on the way out: no new connections.
fn begin_leaving(shared: &Cores) {
    let server = server();
    if !shared.stopped_accepting.swap(true, Ordering::AcqRel) {
        shared.poll.stop_accepting();
        procname::state(State::Leaving);
        let id = worker_id();
        // SAFETY: the record of this worker in shared memory.
        unsafe { int(&raw mut (*server.shared.worker(id)).accepting).store(0, Ordering::Release) };
        process::tell_leaving();
        if process::is_last_generation() {
            shared.last_call.store(monotonic_ms() + LAST_CALL, Ordering::Release);
        } else {
            shared.last_call.store(0, Ordering::Release);
            server.release_sockets();
        }
    }
}

/// On the way out: no new connections for a reload; for a stop also what waits in the queue is served. Whether all
/// is done.
fn leave(shared: &Cores, id: usize, spare: &mut Vec<Vec<u8>>) -> bool {
    begin_leaving(shared);
    if id == 0 {
        let now = monotonic();
        last_call(shared, spare, |conn| shared.poll.park(conn, now));
    }
    if shared.dozing.load(Ordering::SeqCst) == 0 {
        // every core knows by now; a bell that goes on ringing would keep them spinning
        shared.poll.unwatch_bell(BELL.load(Ordering::Acquire));
    }
    let is_over = shared.last_call.load(Ordering::Acquire) == 0;
    if id != 0 {
        return is_over && connection::open_connections() == 0;
    }
    let now = monotonic();
    for conn in shared.poll.sweep(|c| now.saturating_sub(c.parked_at) > LEAVE_IDLE) {
        shared.poll.forget(conn);
    }
    is_over && connection::open_connections() == 0
}

/// While a server that stops still takes those who are on their way.
fn last_call(shared: &Cores, spare: &mut Vec<Vec<u8>>, take: impl FnMut(Box<Connection>)) {
    let last_call = shared.last_call.load(Ordering::Acquire);
    if last_call > 0 && last_call != UNDECIDED {
        take_queued(spare, take);
        if monotonic_ms() >= last_call {
            shared.last_call.store(0, Ordering::Release);
            server().release_sockets();
        }
    }
}

/// Nobody will be there to take what the kernel has accepted for us: all of it is taken now, to be served as it
/// speaks. The master has seen to it that nobody new is let in, so this ends under any load; those whose handshake
/// was under way are waited for until the last call is over.
fn take_queued(spare: &mut Vec<Vec<u8>>, mut take: impl FnMut(Box<Connection>)) {
    for socket in &server().sockets {
        while let Ok(Some(conn)) = Connection::accept(socket, spare) {
            take(conn);
        }
    }
}

/// SIGTSTP: holds still until the next one, or an order.
fn pause() {
    procname::state(State::Paused);
    // the bell rings on meanwhile, so that every core comes here
    while unix_signal::paused() && unix_signal::order() == Order::Serve {
        beat();
        std::thread::sleep(Duration::from_millis(50));
    }
    if unix_signal::order() == Order::Serve {
        procname::state(State::Idle);
        unix_signal::silence(BELL.load(Ordering::Acquire));
    }
}

/// A plugin may have put its own way to end a worker that has done enough into `uwsgi.gbcw_hook`. It is called once for
/// each request from then on, when no accepted connection waits to be looked at; where it returns, the worker goes on.
fn own_goodbye(requests: u64, is_at_rest: bool) -> bool {
    static CALLED_AT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    // SAFETY: the field holds NULL or a function of a loaded plugin, from the start on.
    let Some(hook) = (unsafe { (*crate::server::view()).gbcw_hook }) else {
        return false;
    };
    if is_at_rest && CALLED_AT.swap(requests, Ordering::Relaxed) != requests {
        // SAFETY: as its contract says: a thread that serves requests, none under way in it.
        Brought::of(c"function gbcw_hook", hook).call(|hook| unsafe { hook() });
    }
    true
}

/// When a worker has done enough (`--max-requests` and its kin).
struct Limits {
    max_requests: u64,
    ticks: bool,
    heartbeat: bool,
    began: u64,
    min_lifetime: u64,
    max_lifetime: u64,
    rss: u64,
    address_space: u64,
    unshared: u64,
    proportional: u64,
    /// The second of the last look at all pages.
    measured: std::cell::Cell<u64>,
}

impl Limits {
    fn of(server: &Server) -> Self {
        let limits = &server.settings.limits;
        let id = worker_id() as u64;
        let jitter = |most: u64| match most {
            0 => 0,
            most => crate::exports::micros() % (most + 1),
        };
        let max_requests = match limits.max_requests {
            0 => 0,
            n => n + limits.max_requests_delta * id + jitter(limits.max_requests_jitter),
        };
        let max_lifetime = match limits.max_worker_lifetime {
            0 => 0,
            n => n + limits.max_worker_lifetime_delta * id + jitter(limits.max_worker_lifetime_jitter),
        };
        // the master vouches for us to its emperor
        let beats = server.settings.emperor.heartbeat > 0 && crate::emperor::link::is_vassal();
        Self {
            max_requests,
            heartbeat: limits.worker_heartbeat > 0,
            ticks: max_lifetime > 0 || limits.worker_heartbeat > 0 || max_requests > 0 || beats,
            began: monotonic(),
            min_lifetime: limits.min_worker_lifetime,
            max_lifetime,
            rss: limits.reload_on_rss * 1024 * 1024,
            address_space: limits.reload_on_as * 1024 * 1024,
            unshared: limits.reload_on_uss * 1024 * 1024,
            proportional: limits.reload_on_pss * 1024 * 1024,
            measured: 0.into(),
        }
    }

    /// Asks for a replacement when a limit is reached; the master lets this worker go when it is there.
    fn check(&self, server: &Server, is_at_rest: bool) {
        let id = worker_id();
        // SAFETY: a field of this worker's record in shared memory; plugins may clear it.
        let go_on = unsafe { int(&raw mut (*server.shared.worker(id)).manage_next_request) };
        let asked = go_on.load(Ordering::Relaxed) == 0;
        if !asked && !self.is_any() {
            return;
        }
        let slot = server.shared.worker_slot(id);
        if slot.wants_replacement.load(Ordering::Relaxed) == server::pid() {
            return;
        }
        if asked {
            go_on.store(1, Ordering::Relaxed);
            say!(
                "worker {id} (pid: {}) ends after its request; replacing it",
                server::pid()
            );
            return process::recycle(server, id);
        }
        let age = monotonic().saturating_sub(self.began);
        if age < self.min_lifetime {
            return;
        }
        // SAFETY: the record of this worker in shared memory.
        let requests = unsafe { (*server.shared.worker(id)).delta_requests };
        let why = if self.max_requests > 0 && requests >= self.max_requests {
            format!("...The work of process {} is done. Seeya!", std::process::id())
        } else if self.max_lifetime > 0 && age >= self.max_lifetime {
            format!("worker {id} lifetime reached, it was running for {age} second(s)")
        } else if let Some(text) = self.memory().or_else(|| self.pages()) {
            text
        } else {
            return;
        };
        if own_goodbye(requests, is_at_rest) {
            return;
        }
        say!("{why}");
        process::recycle(server, id);
    }

    fn is_any(&self) -> bool {
        [self.max_requests, self.max_lifetime, self.rss, self.address_space]
            .into_iter()
            .chain([self.unshared, self.proportional])
            .any(|limit| limit > 0)
    }

    fn memory(&self) -> Option<String> {
        if self.rss == 0 && self.address_space == 0 {
            return None;
        }
        let (rss, vsz) = process::memory(std::process::id())?;
        (self.rss > 0 && rss >= self.rss)
            .then(|| format!("worker memory: {rss} bytes resident reach --reload-on-rss; replacing it"))
            .or_else(|| {
                (self.address_space > 0 && vsz >= self.address_space)
                    .then(|| format!("worker memory: {vsz} bytes of address space reach --reload-on-as; replacing it"))
            })
    }

    /// What is this worker's alone, or its share of what it has in common: the kernel walks all pages to tell, so it
    /// is asked once a second.
    fn pages(&self) -> Option<String> {
        let now = monotonic();
        if (self.unshared == 0 && self.proportional == 0) || self.measured.replace(now) == now {
            return None;
        }
        let (unshared, proportional) = process::unshared_memory()?;
        let text = |bytes, what, option| format!("worker memory: {bytes} bytes {what} reach --{option}; replacing it");
        (self.unshared > 0 && unshared >= self.unshared)
            .then(|| text(unshared, "of its own", "reload-on-uss"))
            .or_else(|| {
                (self.proportional > 0 && proportional >= self.proportional)
                    .then(|| text(proportional, "in proportion", "reload-on-pss"))
            })
    }
}
