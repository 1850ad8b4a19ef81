//! Lines of requests that a core has served and not written yet: those of quick requests that come together leave in one
//! write, before the core sleeps or a slow request is over. They lie in shared memory, so that the master can write what
//! a process that was killed has left, or a core that hangs holds back.

use super::sink;
use crate::server;
use crate::shared::region::Region;
use crate::worker::monotonic_ms;
use std::cell::{Cell, UnsafeCell};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

/// Bytes of a slot; its lines fit into one write that no other process's can tear.
const SLOT: usize = libc::PIPE_BUF;
const ROOM: usize = SLOT - 16;
/// A request that took longer is written at once: next to it the write is nothing.
const QUICK: u64 = 250;
/// Milliseconds that lines may wait for a core that does not come back to them.
const PATIENCE: u64 = 500;
/// Tries to get a slot that another process holds; it does so for the time of a copy.
const TRIES: usize = 10_000;

/// The lines of one core.
#[repr(C, align(64))]
struct Slot {
    /// The pid of who reads or writes the rest; 0: nobody.
    holder: AtomicI32,
    len: AtomicU32,
    /// When the first line came, milliseconds of the monotonic clock.
    since: AtomicU64,
    bytes: UnsafeCell<[u8; ROOM]>,
}

const _: () = assert!(size_of::<Slot>() == SLOT);

// SAFETY: the bytes are touched by the holder alone.
unsafe impl Sync for Slot {}

struct Slots {
    all: &'static [Slot],
    cores: usize,
}

static SLOTS: OnceLock<Slots> = OnceLock::new();

thread_local! {
    /// The slot of the core that this thread is.
    static OWN: Cell<Option<&'static Slot>> = const { Cell::new(None) };
}

/// Makes the slots, before the first fork; those of the image before go on.
///
/// # Errors
/// The system has no memory for them.
pub fn prepare(workers: usize, cores: usize) -> nix::Result<()> {
    let count = (workers + 1) * cores;
    let region = Region::open(&format!("request lines 1, {cores} cores"), count * SLOT)?;
    // SAFETY: of that size, aligned to a page; zero bytes are a free, empty slot.
    let all = unsafe { std::slice::from_raw_parts(region.base.cast(), count) };
    let _ = SLOTS.set(Slots { all, cores });
    Ok(())
}

fn of_worker(id: usize) -> &'static [Slot] {
    let found = |slots: &'static Slots| slots.all.get(id * slots.cores..(id + 1) * slots.cores);
    SLOTS.get().and_then(found).unwrap_or_default()
}

/// This thread is a core of a worker: its lines are gathered from now on, if there is a master to look after them.
pub fn begin(worker: usize, core: usize) {
    if server::server().settings.processes.master {
        OWN.set(of_worker(worker).get(core));
    }
}

impl Slot {
    /// Runs `body` as the one who holds the slot; `None`: another one does not let go.
    fn hold<R>(&self, body: impl FnOnce(&mut [u8; ROOM]) -> R) -> Option<R> {
        let own = server::pid();
        let mut left = TRIES;
        while self
            .holder
            .compare_exchange_weak(0, own, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            left = left.checked_sub(1)?;
            std::hint::spin_loop();
        }
        // SAFETY: we hold it.
        let result = body(unsafe { &mut *self.bytes.get() });
        self.holder.store(0, Ordering::Release);
        Some(result)
    }

    fn len(&self) -> usize {
        (self.len.load(Ordering::Relaxed) as usize).min(ROOM)
    }

    /// Adds a line; `false`: there is no room for it now.
    fn add(&self, line: &[u8]) -> bool {
        let added = self.hold(|bytes| {
            let at = self.len();
            let Some(place) = bytes.get_mut(at..at + line.len()) else {
                return false;
            };
            place.copy_from_slice(line);
            if at == 0 {
                self.since.store(monotonic_ms(), Ordering::Relaxed);
            }
            self.len.store((at + line.len()) as u32, Ordering::Relaxed);
            true
        });
        added == Some(true)
    }

    /// Writes what is there, as its own core.
    fn write(&self) {
        if self.len() == 0 {
            return;
        }
        let written = self.hold(|bytes| {
            sink::write_request_now(&bytes[..self.len()]);
            // a kill just before this leaves lines that are written twice; the other way round they would be lost
            self.len.store(0, Ordering::Relaxed);
        });
        if written.is_none() {
            log::debug!("another process holds the lines of this core");
        }
    }

    /// Writes what is there, as the master, which must not wait for a log that is full while it holds the slot.
    fn take_over(&self) {
        let lines = self.hold(|bytes| {
            let lines = bytes[..self.len()].to_vec();
            self.len.store(0, Ordering::Relaxed);
            lines
        });
        if let Some(lines) = lines.filter(|lines| !lines.is_empty()) {
            sink::write_request_now(&lines);
        }
    }
}

/// The line of a request that took so long.
pub fn push(line: &[u8], micros: u64) {
    let Some(slot) = OWN.get() else {
        return sink::write_request_now(line);
    };
    if !slot.add(line) {
        slot.write();
        if !slot.add(line) {
            return sink::write_request_now(line);
        }
    }
    if micros > QUICK {
        slot.write();
    }
}

/// Writes the lines of this core: it is about to sleep, to say something, or to end.
pub fn flush() {
    if let Some(slot) = OWN.get() {
        slot.write();
    }
}

/// A process of this worker has ended: the master writes what it has left.
pub fn ended(worker: usize, pid: i32) {
    for slot in of_worker(worker) {
        // it was killed while it held the slot
        let _ = slot
            .holder
            .compare_exchange(pid, 0, Ordering::AcqRel, Ordering::Relaxed);
        if slot.len() > 0 {
            slot.take_over();
        }
    }
}

/// In the master, once a second: lines that have waited long.
pub fn sweep() {
    let now = monotonic_ms();
    for slot in SLOTS.get().map_or(&[][..], |slots| slots.all) {
        if slot.len() > 0 && now.saturating_sub(slot.since.load(Ordering::Relaxed)) > PATIENCE {
            slot.take_over();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot() -> Box<Slot> {
        Box::new(Slot {
            holder: 0.into(),
            len: 0.into(),
            since: 0.into(),
            bytes: [0; ROOM].into(),
        })
    }

    #[test]
    fn lines_are_gathered_until_there_is_no_room() {
        let slot = slot();
        let line = [b'x'; 1000];
        assert!((0..4).all(|_| slot.add(&line)));
        assert!(!slot.add(&line) && slot.add(&[b'y'; 80]) && !slot.add(b"z"));
        assert_eq!(slot.len(), ROOM);
        assert_eq!(slot.hold(|bytes| (bytes[0], bytes[ROOM - 1])), Some((b'x', b'y')));
    }

    #[test]
    fn who_does_not_get_the_slot_does_without() {
        let slot = slot();
        assert!(slot.add(b"a line\n"));
        slot.holder.store(-1, Ordering::Relaxed);
        assert!(!slot.add(b"another\n"));
        assert_eq!(slot.hold(|_| ()), None);
        assert_eq!(slot.len(), 7);
    }
}
