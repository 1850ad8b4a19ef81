//! Taking pending signals out of a queue and running their handlers: in a worker between requests, in a mule's or a
//! spooler's loop ([`run_pending`] is what they call), and wherever somebody waits for one ([`wait`]).

use super::receiver::Receiver;
use super::{SignalError, hand, memory, table};
use crate::mule;
use crate::plugin::inside::{Inside, Place};
use crate::process::{Role, role};
use crate::say;
use crate::server::{try_server, view, worker_id};
use crate::shared::{CoreSlot, counter, int};
use crate::unix_signal::{self, Order};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::cell::Cell;
use std::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::Ordering;

/// How often one who waits looks whether the process is to leave, milliseconds.
const ORDER_CHECK: u16 = 500;
/// So many handlers run before the caller's loop looks at its other work.
const BATCH: usize = 16;

/// What an event loop of a plugin is told of each signal: its number, and whether it had a handler.
type Seen = unsafe extern "C" fn(u8, c_int) -> c_int;

thread_local! {
    static RECEIVED: Cell<i32> = const { Cell::new(-1) };
    static SEEN: Cell<Option<Seen>> = const { Cell::new(None) };
}

/// From now on this thread, which has the worker's event loop, tells of each signal that it takes.
pub fn tell(seen: Option<Seen>) {
    SEEN.set(seen);
}

/// The queues that this process takes signals from, its own first.
pub fn own_receivers() -> Vec<Receiver> {
    match role() {
        Role::Worker => vec![Receiver::Worker(worker_id()), Receiver::AnyWorker],
        Role::Mule => match mule::own_id() {
            // spoolers are processes of the same kind, without a number among the mules
            0 => vec![Receiver::Spooler],
            id => {
                let farms = mule::mules().into_iter().flat_map(|m| m.farms()).zip(1..);
                let own = farms.filter(|(farm, _)| farm.mules.contains(&id));
                let own = own.map(|(_, number)| Receiver::Farm(number));
                [Receiver::Mule(id), Receiver::AnyMule].into_iter().chain(own).collect()
            }
        },
        _ => Vec::new(),
    }
}

/// Runs the handlers of all that waits for this process, in the loop of a mule or a spooler: how many.
pub fn run_own() -> usize {
    let mut handled = 0;
    for receiver in own_receivers() {
        loop {
            match run_pending(receiver) {
                0 => break,
                n => handled += n,
            }
        }
    }
    handled
}

/// Whether something waits for this process; asked often, it costs next to nothing.
pub fn own_waits() -> bool {
    let waits = |r: &Receiver| memory().and_then(|m| m.queue(*r)).is_some_and(|q| !q.is_empty());
    own_receivers().iter().any(waits)
}

/// What is readable while something waits for this process.
pub fn own_bells() -> Vec<BorrowedFd<'static>> {
    let queues = own_receivers().into_iter().filter_map(|r| memory()?.queue(r));
    queues.map(|queue| queue.bell()).collect()
}

/// Tells loops of plugins which descriptors to watch (`uwsgi.signal_socket`, `uwsgi.my_signal_socket`); first thing
/// in a worker.
pub fn publish_bells(worker: usize) {
    let bell = |receiver| {
        let queue = memory().and_then(|m| m.queue(receiver));
        queue.map_or(-1, |q| q.bell().as_raw_fd())
    };
    // SAFETY: right after a fork the process has one thread.
    unsafe {
        (*view()).signal_socket = bell(Receiver::AnyWorker);
        (*view()).my_signal_socket = bell(Receiver::Worker(worker));
    }
}

/// The worker leaves: whoever waits for a signal in the event loop learns it.
pub fn tell_leaving() {
    if let Some(seen) = SEEN.get() {
        // SAFETY: the plugin's function, in the thread that it gave it in.
        unsafe { seen(0, -1) };
    }
}

/// The signal that the last [`wait`] of this thread returned with; -1: none.
pub fn received() -> i32 {
    RECEIVED.get()
}

fn take(receiver: Receiver) -> Option<u8> {
    memory()?.take(receiver)
}

/// Runs the handlers of what waits for `receiver`, a batch at most; how many were run.
pub fn run_pending(receiver: Receiver) -> usize {
    (0..BATCH)
        .map_while(|_| take(receiver))
        .map(|signal| handle(signal, receiver))
        .count()
}

/// The same in a worker's core, between requests: harakiri is armed, and the core is busy for the master.
pub fn run_in_core(receiver: Receiver, slot: &CoreSlot) -> usize {
    let mut count = 0;
    while count < BATCH
        && let Some(signal) = take(receiver)
    {
        count += 1;
        let now = crate::exports::now();
        let number = signal.to_string();
        slot.describe([b"signal ", number.as_bytes(), b"", b"", b""]);
        slot.deadline.store(crate::request::deadline(now), Ordering::Relaxed);
        slot.since.store(now, Ordering::Release);
        handle(signal, receiver);
        slot.since.store(0, Ordering::Release);
        slot.deadline.store(0, Ordering::Relaxed);
    }
    count
}

/// What waits when a worker leaves is handled by it: its successor may be of another image, with queues of its own.
pub fn drain(worker: usize, slot: &CoreSlot) {
    for receiver in [Receiver::Worker(worker), Receiver::AnyWorker] {
        let mut waiting = memory().and_then(|m| m.queue(receiver)).map_or(0, |q| q.len() as usize);
        while waiting > 0 {
            match run_in_core(receiver, slot) {
                0 => break,
                count => waiting = waiting.saturating_sub(count),
            }
        }
    }
}

/// Runs the handler of a signal in hand, if this process has one; counters and status tell of it.
fn handle(signal: u8, receiver: Receiver) {
    let id = worker_id();
    let record = try_server().filter(|_| id > 0).map(|s| s.shared.worker(id));
    if let Some(record) = record {
        // SAFETY: the record of this worker in shared memory; status readers see one of its handlers.
        unsafe {
            (&raw mut (*record).signum).write_volatile(signal);
            int(&raw mut (*record).sig).fetch_add(1, Ordering::Release);
        }
    }
    let fine = call(signal);
    if let Some(record) = record {
        // SAFETY: as above.
        unsafe {
            int(&raw mut (*record).sig).fetch_sub(1, Ordering::Release);
            counter(&raw mut (*record).signals).fetch_add(1, Ordering::Relaxed);
        }
    }
    hand::put_down();
    // SAFETY: the plugin's function, in the thread that it gave it in.
    let is_awaited = SEEN.get().is_some_and(|seen| unsafe { seen(signal, fine.into()) } == 1);
    if !fine && !is_awaited {
        match receiver {
            Receiver::Spooler => say!("error managing signal {signal} on the spooler"),
            Receiver::Mule(_) | Receiver::AnyMule | Receiver::Farm(_) => {
                // SAFETY: a plain read of this process's view.
                let mule = unsafe { (*view()).muleid };
                say!("error managing signal {signal} on mule {mule}");
            }
            Receiver::Worker(_) | Receiver::AnyWorker => say!("error managing signal {signal} on worker {id}"),
        }
    }
}

/// Whether there is a handler and it says that all is well.
fn call(signal: u8) -> bool {
    let Some(handler) = table::handler(signal) else {
        return false;
    };
    // SAFETY: slots are never NULL and never change after the start; the address is what the plugin registered in
    // this process or in the one it was forked from.
    unsafe {
        let plugin = &*(*view()).p[usize::from(handler.modifier1)];
        let _inside = Inside::enter(Place::new(plugin, c"hook signal_handler"));
        plugin
            .signal_handler
            .is_some_and(|hook| hook(signal, handler.handler) == 0)
    }
}

/// Waits for a signal (`None`: any) and runs the handlers of all that come; the one it ends with is kept for
/// [`received`].
///
/// # Errors
/// This process takes no signals, or the system cannot wait.
pub fn wait(wanted: Option<u8>) -> Result<u8, SignalError> {
    let own = own_receivers();
    let memory = memory().ok_or(SignalError::NotReady)?;
    let queues: Vec<_> = own.iter().filter_map(|r| Some((*r, memory.queue(*r)?))).collect();
    if queues.is_empty() {
        return Err(SignalError::Source("this process takes no signals".into()));
    }
    RECEIVED.set(-1);
    loop {
        while let Some((receiver, signal)) = own.iter().find_map(|r| Some((*r, take(*r)?))) {
            match table::handler(signal) {
                Some(_) => handle(signal, receiver),
                None => hand::put_down(),
            }
            // a handler may have waited for another one
            RECEIVED.set(i32::from(signal));
            if wanted.is_none_or(|w| w == signal) {
                return Ok(signal);
            }
        }
        let mut bells: Vec<PollFd> = queues
            .iter()
            .map(|(_, queue)| PollFd::new(queue.bell(), PollFlags::POLLIN))
            .collect();
        // an order to this worker may come to another thread: whoever waits must not keep the process from leaving
        match poll(&mut bells, PollTimeout::from(ORDER_CHECK)) {
            Ok(_) | Err(nix::Error::EINTR) if unix_signal::order() == Order::Serve => {}
            Ok(_) | Err(nix::Error::EINTR) => {
                return Err(SignalError::Source(
                    "waiting for a signal ended: the process is leaving".into(),
                ));
            }
            Err(e) => return Err(SignalError::Source(format!("cannot wait for a signal: {}", e.desc()))),
        }
    }
}
