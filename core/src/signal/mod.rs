//! uWSGI signals: numbers from 0 to 255 that any process raises and that a worker, a mule or a spooler handles.
//! Targets and queues lie in shared memory, so raising is a lookup and a push by whoever raises; handlers are each
//! process's own. The master adds what raises by itself: timers, crons, file monitors.

pub mod cron;
pub mod dispatch;
pub mod hand;
pub mod monitor;
pub mod queue;
pub mod receiver;
pub mod route;
pub mod source;
pub mod table;
pub mod timer;

use crate::process::Role;
use crate::server;
use crate::settings::Background;
use std::sync::OnceLock;
use table::SignalMemory;

/// Why a call of the signal framework failed; one line, as the caller sees it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the texts say it
pub enum SignalError {
    #[error("you cannot register signals without a master")]
    NoMaster,
    #[error("only the master and the workers can register signal handlers")]
    NotHere,
    #[error("signal {0} has a handler already; only a worker may replace one, in its own process")]
    Again(u8),
    #[error("signal {0} is not registered")]
    Unregistered(u8),
    #[error(
        "\"{0}\" is no signal target: give worker, worker0, workerN, workers, active-workers, spooler, mule, mule0, \
         muleN, mules, farmN, farm_NAME, or nothing for any worker"
    )]
    Target(String),
    #[error("signal {signal}: {target} does not exist here")]
    NoReceiver { signal: u8, target: String },
    #[error("*** SIGNAL QUEUE IS FULL: signal {signal} for {target} was not accepted ***")]
    Full { signal: u8, target: String },
    #[error("the signal framework is not ready before the server has bound its sockets")]
    NotReady,
    #[error("{0}")]
    Source(String),
}

static MEMORY: OnceLock<SignalMemory> = OnceLock::new();

/// Maps tables and queues; once, before the first fork and before any application is loaded.
///
/// # Errors
/// The system has no memory or no descriptors for them.
pub fn install(shape: receiver::Shape, settings: &Background) -> nix::Result<()> {
    if MEMORY.get().is_none() {
        let memory = SignalMemory::map(shape, settings.signal_bufsize as usize)?;
        settings
            .coalesced
            .iter()
            .for_each(|signal| memory.coalesce(*signal, true));
        let _ = MEMORY.set(memory);
    }
    Ok(())
}

/// Tables and queues, once they are there.
pub fn memory() -> Option<&'static SignalMemory> {
    MEMORY.get()
}

/// Whether this process may register handlers and sources, and if not, why.
///
/// # Errors
/// There is no master, or this is neither it nor a worker.
pub fn may_register() -> Result<&'static SignalMemory, SignalError> {
    if server::try_server().is_some_and(|s| !s.settings.processes.master) {
        return Err(SignalError::NoMaster);
    }
    match crate::process::role() {
        Role::Master | Role::Worker | Role::Trial => memory().ok_or(SignalError::NotReady),
        _ => Err(SignalError::NotHere),
    }
}
