//! Raising: from the target of a signal to the queues it goes to. Done by whoever raises, in its own process; the
//! master has no part in it.

use super::receiver::{Receiver, Target};
use super::table::SignalMemory;
use super::{SignalError, memory};
use crate::process::{Role, role};
use crate::server::{Server, try_server};

/// Raises a signal. One that nobody has registered goes to any worker, for those who wait for it.
///
/// # Errors
/// A queue is full or the target does not exist: the signal, or the part of it meant for that receiver, is lost.
pub fn raise(signal: u8) -> Result<(), SignalError> {
    let memory = memory().ok_or(SignalError::NotReady)?;
    if role() == Role::Trial {
        // nobody would ever take it
        return Ok(());
    }
    let target = memory.target(signal).unwrap_or(Target::One(Receiver::AnyWorker));
    let refused = |target: String| SignalError::NoReceiver { signal, target };
    match target {
        Target::Subscribed => Ok(()),
        Target::One(receiver) => send(memory, signal, receiver),
        Target::Mules if memory.shape().mule_count == 0 => Err(refused(target.to_string())),
        Target::Mules => each(memory, signal, (1..=memory.shape().mule_count).map(Receiver::Mule)),
        Target::Workers | Target::ActiveWorkers => {
            let server = try_server().ok_or(SignalError::NotReady)?;
            let ids = (1..=memory.shape().workers).filter(|id| takes(server, *id, target));
            each(memory, signal, ids.map(Receiver::Worker))
        }
    }
}

/// Every receiver gets it, whatever the others do; the first refusal is told.
fn each(memory: &SignalMemory, signal: u8, to: impl Iterator<Item = Receiver>) -> Result<(), SignalError> {
    let mut all = Ok(());
    for receiver in to {
        all = all.and(send(memory, signal, receiver));
    }
    all
}

fn send(memory: &SignalMemory, signal: u8, receiver: Receiver) -> Result<(), SignalError> {
    let target = || receiver.to_string();
    let sent = match memory.queue(receiver) {
        None => Err(SignalError::NoReceiver {
            signal,
            target: target(),
        }),
        Some(queue) => memory.push(queue, signal).map_err(|_| SignalError::Full {
            signal,
            target: target(),
        }),
    };
    memory.count(sent.is_ok());
    sent.map(|_| ())
}

/// Whether a worker is among those that a signal for all of them means.
fn takes(server: &Server, id: usize, target: Target) -> bool {
    // SAFETY: fields of a record in shared memory, which the master writes.
    let (pid, cheaped, suspended) = unsafe {
        let record = server.shared.worker(id);
        (
            (&raw const (*record).pid).read_volatile(),
            (&raw const (*record).cheaped).read_volatile(),
            (&raw const (*record).suspended).read_volatile(),
        )
    };
    cheaped == 0 && (target == Target::Workers || (pid > 0 && suspended == 0))
}
