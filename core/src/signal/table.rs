//! The shared memory of the framework (targets, queues, counters) and the private table of handlers. A target is one
//! word that every process reads; a handler is an address that means something in one process and its children only.

use super::hand::{self, Hand, Held};
use super::queue::{Full, Pushed, Queue};
use super::receiver::{Receiver, Shape, Target};
use super::source::RECORD;
use super::{SignalError, may_register};
use crate::process::{Role, role};
use crate::say;
use crate::server::worker_id;
use crate::shared;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Signals that a queue holds at least.
pub const CAPACITY: usize = 128 * 1024;
/// Orders of workers that may wait for the master.
const ORDERS: usize = 256;
/// Threads that may take signals at the same time beside the cores of the workers, the mules and the spoolers.
const SPARE_HANDS: usize = 256;

/// What lies before the queues.
#[repr(C, align(64))]
struct Head {
    targets: [AtomicU64; 256],
    routed: AtomicU64,
    unrouted: AtomicU64,
    lost: AtomicU64,
    /// Which signals are raised once while they wait.
    coalesced: [AtomicU64; 4],
}

/// Targets and queues, in memory that all processes share.
pub struct SignalMemory {
    head: *mut Head,
    shape: Shape,
    queues: Vec<Queue>,
    orders: Queue,
    hands: &'static [Hand],
}

// SAFETY: the head holds atomics only; it is mapped for the life of the process.
unsafe impl Send for SignalMemory {}
// SAFETY: as above.
unsafe impl Sync for SignalMemory {}

impl SignalMemory {
    /// Maps room for the receivers of `shape`, each with a queue of at least [`CAPACITY`]; the kernel gives pages as
    /// they are touched.
    ///
    /// # Errors
    /// The system has no memory or no descriptors.
    pub fn map(shape: Shape, capacity: usize) -> nix::Result<Self> {
        let capacity = capacity.max(CAPACITY);
        let each = Queue::room(capacity, 1);
        let hands = shape.takers + SPARE_HANDS;
        let orders = Queue::room(ORDERS, RECORD);
        let size = size_of::<Head>() + shape.queues() * each + orders + hands * size_of::<Hand>();
        let base = shared::zeroes(size)?;
        // SAFETY: the parts follow each other inside the mapping, each a multiple of 64 bytes.
        unsafe {
            let mut place = base.add(size_of::<Head>());
            let mut queues = Vec::with_capacity(shape.queues());
            for _ in 0..shape.queues() {
                queues.push(Queue::make(place, capacity, 1)?);
                place = place.add(each);
            }
            Ok(Self {
                head: base.cast(),
                shape,
                queues,
                orders: Queue::make(place, ORDERS, RECORD)?,
                hands: std::slice::from_raw_parts(place.add(orders).cast(), hands),
            })
        }
    }

    fn head(&self) -> &Head {
        // SAFETY: mapped for the life of the process; zero bytes are valid atomics.
        unsafe { &*self.head }
    }

    /// The processes that there are.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Where a signal goes; `None`: nobody has registered it.
    pub fn target(&self, signal: u8) -> Option<Target> {
        Target::decode(self.head().targets[usize::from(signal)].load(Ordering::Acquire))
    }

    fn set_target(&self, signal: u8, target: Option<Target>) {
        let word = target.map_or(0, Target::encode);
        self.head().targets[usize::from(signal)].store(word, Ordering::Release);
    }

    /// Puts a signal into the queue of a receiver.
    ///
    /// # Errors
    /// There is no room.
    pub fn push(&self, queue: &Queue, signal: u8) -> Result<Pushed, Full> {
        if self.is_coalesced(signal) {
            return queue.push_once(&[signal]);
        }
        queue.push(&[signal]).map(|()| Pushed::Queued)
    }

    /// Takes the oldest signal of a receiver into the hand of this thread.
    pub fn take(&'static self, receiver: Receiver) -> Option<u8> {
        let number = self.shape.queue_of(receiver)?;
        let queue = self.queues.get(number)?;
        let mut one = [0];
        let taken = queue.pop_into(&mut one, |record, sequence| {
            if let Some(hand) = hand::mine(self.hands) {
                hand.take(Held {
                    signal: record[0],
                    queue: number as u16,
                    sequence,
                });
            }
        });
        taken.then_some(one[0])
    }

    /// The signals that a process which has ended had in hand: taken, and not handled to the end.
    pub fn lost_with(&self, pid: i32) -> Vec<u8> {
        let is_gone = |held: &Held| {
            let queue = self.queues.get(usize::from(held.queue));
            queue.is_some_and(|q| held.is_taken(q.taken()))
        };
        let lost: Vec<u8> = hand::left_by(self.hands, pid)
            .into_iter()
            .filter(is_gone)
            .map(|held| held.signal)
            .collect();
        self.head().lost.fetch_add(lost.len() as u64, Ordering::Relaxed);
        lost
    }

    /// Whether a signal is raised once for each receiver while it waits there.
    pub fn is_coalesced(&self, signal: u8) -> bool {
        let word = &self.head().coalesced[usize::from(signal >> 6)];
        word.load(Ordering::Relaxed) >> (signal & 63) & 1 == 1
    }

    /// Says whether it is.
    pub fn coalesce(&self, signal: u8, is_wished: bool) {
        let word = &self.head().coalesced[usize::from(signal >> 6)];
        let bit = 1 << (signal & 63);
        match is_wished {
            true => word.fetch_or(bit, Ordering::Relaxed),
            false => word.fetch_and(!bit, Ordering::Relaxed),
        };
    }

    /// The queue of a receiver; `None`: it does not exist.
    pub fn queue(&self, receiver: Receiver) -> Option<&Queue> {
        self.queues.get(self.shape.queue_of(receiver)?)
    }

    /// What workers want the master to do.
    pub fn orders(&self) -> &Queue {
        &self.orders
    }

    /// Rings every bell whose queue holds something; by the master, now and then.
    pub fn ring_again(&self) {
        self.queues.iter().chain([&self.orders]).for_each(Queue::ring_again);
    }

    /// Counts a signal that was accepted, or was not.
    pub(super) fn count(&self, accepted: bool) {
        let head = self.head();
        let counter = if accepted { &head.routed } else { &head.unrouted };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Signals accepted and refused since the start.
    pub fn counts(&self) -> (u64, u64) {
        let head = self.head();
        (
            head.routed.load(Ordering::Relaxed),
            head.unrouted.load(Ordering::Relaxed),
        )
    }

    /// Signals that were in the hands of processes that died.
    pub fn lost(&self) -> u64 {
        self.head().lost.load(Ordering::Relaxed)
    }

    /// Signals that wait, in all queues.
    pub fn waiting(&self) -> u64 {
        self.queues.iter().map(Queue::len).sum()
    }
}

/// What a plugin registered, for its `signal_handler` hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handler {
    /// The plugin's slot.
    pub modifier1: u8,
    /// Whatever the plugin gave: an address of this process.
    pub handler: *mut c_void,
}

// SAFETY: the address is the plugin's affair; we only hand it back.
unsafe impl Send for Handler {}

static HANDLERS: Mutex<[Option<Handler>; 256]> = Mutex::new([None; 256]);

fn handlers() -> MutexGuard<'static, [Option<Handler>; 256]> {
    HANDLERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The handler of this process.
pub fn handler(signal: u8) -> Option<Handler> {
    handlers()[usize::from(signal)]
}

/// Registers a handler in this process and publishes its target to all.
///
/// # Errors
/// This process may not register, the target is wrong, or the signal has a handler and this is not a worker.
pub fn register(signal: u8, target: &str, handler: Handler) -> Result<(), SignalError> {
    let memory = may_register()?;
    let parsed = Target::parse(target, memory.shape())?;
    let mut all = handlers();
    let slot = &mut all[usize::from(signal)];
    if slot.is_some() && role() != Role::Worker {
        return Err(SignalError::Again(signal));
    }
    *slot = Some(handler);
    memory.set_target(signal, Some(parsed));
    drop(all);
    let shown = if target.is_empty() {
        "default, any worker"
    } else {
        target
    };
    say!(
        "[uwsgi-signal] signum {signal} registered (wid: {} modifier1: {} target: {shown})",
        worker_id(),
        handler.modifier1
    );
    Ok(())
}

/// Takes a registration back: in this process, and its target everywhere.
///
/// # Errors
/// This process has no handler for it, or may not register.
pub fn unregister(signal: u8) -> Result<Handler, SignalError> {
    let memory = may_register()?;
    let before = handlers()[usize::from(signal)].take();
    let before = before.ok_or(SignalError::Unregistered(signal))?;
    memory.set_target(signal, None);
    Ok(before)
}
