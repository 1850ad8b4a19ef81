//! Mules as all processes see them: their slots in shared memory, the queues of their messages, the farms. Made once
//! before the first fork; `process::mule` is the life of one, the master and `exports` are the other callers.

pub mod farm;
pub mod queue;

use crate::process;
use crate::settings::Settings;
use crate::signal::dispatch;
use crate::unix_signal::{self, Order};
use farm::Farm;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use queue::Queue;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The largest message.
pub const LARGEST: usize = 65_536;

/// What the master knows of a mule.
#[repr(C)]
#[derive(Debug, Default)]
pub struct MuleSlot {
    /// Pid of the process that has begun its work.
    pub ready: AtomicI32,
    /// Its pid; 0: it does not run now.
    pub pid: AtomicI32,
    /// How often it was started.
    pub spawned: AtomicU64,
    /// Messages that it got.
    pub messages: AtomicU64,
    /// Seconds since the epoch when its work is over time; 0: never.
    pub deadline: AtomicI64,
    /// How often it was over time.
    pub harakiri_count: AtomicU64,
}

/// All mules of the server.
#[derive(Debug)]
pub struct Mules {
    slots: &'static [MuleSlot],
    /// For whoever is free first.
    common: Queue,
    own: Vec<Queue>,
    farms: Vec<Farm>,
}

static MULES: OnceLock<Mules> = OnceLock::new();
/// The number of this mule; 0: this process is none.
static OWN: AtomicUsize = AtomicUsize::new(0);

/// Why a message did not get away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Nobody takes messages out.
    #[error("the queue is full")]
    Full,
    /// More than [`LARGEST`].
    #[error("a message has at most 65536 bytes")]
    TooLong,
    /// There is no such queue.
    #[error("no such mule or farm")]
    Nobody,
}

/// Makes queues, slots and farms, before the first fork; says the farms, unless it is for a trial.
///
/// # Errors
/// The system has no memory or descriptors left.
pub fn prepare(settings: &Settings, quiet: bool) -> nix::Result<()> {
    let background = &settings.background;
    let count = background.mules.len();
    if count == 0 {
        return Ok(());
    }
    let size = background.mule_msg_size;
    let own = (1..=count).map(|id| Queue::open(&format!("mule {id}"), size));
    let farms: Vec<Farm> = background
        .farms
        .iter()
        .filter_map(|text| farm::parse(text, count).ok())
        .map(|(name, mules)| {
            let queue = Queue::open(&format!("farm {name}"), size)?;
            Ok(Farm { name, mules, queue })
        })
        .collect::<nix::Result<_>>()?;
    for (number, farm) in farms.iter().enumerate().filter(|_| !quiet) {
        let mules: Vec<String> = farm.mules.iter().map(usize::to_string).collect();
        crate::say!(
            "created farm {} name: {} mules:{}",
            number + 1,
            farm.name,
            mules.join(",")
        );
    }
    let _ = MULES.set(Mules {
        slots: crate::shared::rows(count)?,
        common: Queue::open("mules", size)?,
        own: own.collect::<nix::Result<_>>()?,
        farms,
    });
    Ok(())
}

/// The mules, if there are any.
pub fn mules() -> Option<&'static Mules> {
    MULES.get()
}

/// The slot of mule `id`.
pub fn slot(id: usize) -> Option<&'static MuleSlot> {
    mules()?.slots.get(id.checked_sub(1)?)
}

/// The number of this mule; 0: this process is none.
pub fn own_id() -> usize {
    OWN.load(Ordering::Relaxed)
}

/// This process is mule `id`; first thing after its fork.
pub fn become_mule(id: usize) {
    OWN.store(id, Ordering::Relaxed);
    // SAFETY: right after a fork the process has one thread.
    unsafe { (*crate::server::view()).muleid = id as i32 };
}

/// The queues by name, for the next image: what waits in them is not lost by a reload.
pub fn sockets() -> Vec<(String, RawFd)> {
    let Some(mules) = mules() else { return Vec::new() };
    let farms = mules.farms.iter().map(|f| &f.queue);
    let all = [&mules.common].into_iter().chain(&mules.own).chain(farms);
    all.flat_map(Queue::descriptors).collect()
}

impl Mules {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.slots.len()
    }

    /// The farms, in the order of the configuration.
    pub fn farms(&self) -> &[Farm] {
        &self.farms
    }

    /// The queue of a mule; 0: the one that all of them read.
    pub fn queue_of(&self, id: usize) -> Option<&Queue> {
        match id {
            0 => Some(&self.common),
            id => self.own.get(id - 1),
        }
    }

    /// The queue of a farm.
    pub fn queue_of_farm(&self, name: &[u8]) -> Option<&Queue> {
        self.farms.iter().find(|f| f.name.as_bytes() == name).map(|f| &f.queue)
    }

    /// The queues that this mule reads.
    fn queues(&self, which: Sources) -> Vec<&Queue> {
        let id = own_id();
        let farms = self.farms.iter().filter(|f| f.mules.contains(&id)).map(|f| &f.queue);
        match which {
            Sources::Farms => farms.collect(),
            Sources::Mules => self.own.get(id - 1).into_iter().chain([&self.common]).collect(),
            Sources::All => self
                .own
                .get(id - 1)
                .into_iter()
                .chain([&self.common])
                .chain(farms)
                .collect(),
        }
    }
}

/// Which queues a mule waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sources {
    /// Its own, the common one, those of its farms.
    All,
    /// Its own and the common one.
    Mules,
    /// Those of its farms.
    Farms,
}

/// What a mule's waiting ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// So many bytes of a message.
    Message(usize),
    /// Nothing came in time.
    Nothing,
    /// This mule was told to leave.
    Told,
}

/// Waits for a message, in a mule; with `signals`, pending uWSGI signals are handled meanwhile. A limit of `None`:
/// for ever.
pub fn receive(buffer: &mut [u8], which: Sources, signals: bool, limit: Option<Duration>) -> Waited {
    let Some(mules) = mules().filter(|_| own_id() > 0) else {
        return Waited::Nothing;
    };
    let queues = mules.queues(which);
    let until = limit.map(|limit| Instant::now() + limit);
    let bell = unix_signal::bell();
    loop {
        if unix_signal::order() != Order::Serve && !process::is_last_generation() {
            return Waited::Told;
        }
        if signals {
            dispatch::run_own();
        }
        for queue in &queues {
            if let Some(n) = queue.receive(buffer) {
                if let Some(slot) = slot(own_id()) {
                    slot.messages.fetch_add(1, Ordering::Relaxed);
                }
                return Waited::Message(n);
            }
        }
        // a server that stops handles what was sent before: nobody will come after it
        if unix_signal::order() != Order::Serve {
            return Waited::Told;
        }
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Waited::Nothing;
        }
        // SAFETY: the bell is open for the life of the process.
        let bell = (bell >= 0).then(|| unsafe { BorrowedFd::borrow_raw(bell) });
        let signal_bells = if signals { dispatch::own_bells() } else { Vec::new() };
        let mut fds: Vec<PollFd> = queues
            .iter()
            .map(|q| q.as_fd())
            .chain(bell)
            .chain(signal_bells)
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        let wait = left.map_or(PollTimeout::NONE, |left| {
            let millis = left.as_millis().saturating_add(1);
            PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
        });
        // interrupted or not: whatever came is looked at above
        let _ = poll(&mut fds, wait);
    }
}
