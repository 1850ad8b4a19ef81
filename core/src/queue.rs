//! The queue of applications (`--queue`): a ring of slots in memory that all processes share, or in a file. What is
//! pushed into a full ring takes the place of the oldest; pulling takes from the one end, popping from the other. A
//! process may be killed at any point: whoever comes next sees to the slot that it was about to write.

use crate::process::{Role, role};
use crate::settings::Settings;
use crate::shared::lock::{Guard, SharedLock};
use crate::shared::region::{FileError, Region, start_writing};
use std::os::fd::RawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// What each slot needs for itself.
const SLOT_HEAD: usize = 16;
/// Another layout is another number.
const MAGIC: u64 = u64::from_le_bytes(*b"rsgique1");

/// The head of the memory.
#[repr(C, align(64))]
struct Head {
    magic: AtomicU64,
    lock: SharedLock,
    /// Where the next one is pushed.
    push: AtomicU64,
    /// Where the next one is pulled.
    pull: AtomicU64,
    /// The slot that is being written, plus 1.
    writing: AtomicU64,
}

/// The queue.
pub struct Queue {
    head: &'static Head,
    base: *mut u8,
    slots: u64,
    block: usize,
    file: Option<RawFd>,
}

// SAFETY: what lies in the slots is touched under the lock only.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

static QUEUE: OnceLock<Queue> = OnceLock::new();

/// The queue, if there is one.
pub fn queue() -> Option<&'static Queue> {
    QUEUE.get()
}

/// Makes the queue; in the start.
///
/// # Errors
/// No memory, or a file that cannot be used: a line for the operator.
pub fn prepare(settings: &Settings) -> Result<(), String> {
    let storage = &settings.storage;
    if storage.queue == 0 {
        return Ok(());
    }
    let (slots, block) = (storage.queue, storage.queue_blocksize as usize);
    let size = (block as u64).checked_mul(slots).and_then(|n| usize::try_from(n).ok());
    let size = size.and_then(|n| n.checked_add(size_of::<Head>()));
    let size = size.ok_or_else(|| format!("queue: {slots} slots of {block} bytes are more than there can be"))?;
    let name = format!("queue 1 {slots}.{block}");
    let stored = storage.queue_store.as_ref().filter(|_| role() != Role::Trial);
    let region = match stored {
        Some(path) => Region::open_file(&name, path, size, false)
            .map_err(|e: FileError| format!("queue-store: cannot use {path}: {e}"))?,
        None => Region::open(&name, size).map_err(|e| format!("queue: no memory for it: {}", e.desc()))?,
    };
    let queue = Queue::at(region, slots, block, stored.is_some()).map_err(|e| format!("queue: {}", e.desc()))?;
    let _ = QUEUE.set(queue);
    Ok(())
}

/// Starts writing to the disk what the file has not yet (`queue-store-sync`).
pub fn sync() {
    if let Some(file) = queue().and_then(|q| q.file) {
        start_writing(file);
    }
}

impl Queue {
    fn at(region: Region, slots: u64, block: usize, is_file: bool) -> nix::Result<Self> {
        // SAFETY: the region begins with a head, at the start of a page.
        let head: &'static Head = unsafe { &*region.base.cast() };
        let queue = Self {
            head,
            // SAFETY: the slots follow.
            base: unsafe { region.base.add(size_of::<Head>()) },
            slots,
            block,
            file: is_file.then_some(region.fd),
        };
        let is_known = head.magic.load(Ordering::Acquire) == MAGIC;
        if region.fresh_file || !is_known {
            // SAFETY: inside the region; nobody else has it.
            unsafe { SharedLock::make((&raw const head.lock).cast_mut())? };
            queue.mend();
            head.magic.store(MAGIC, Ordering::Release);
        }
        Ok(queue)
    }

    /// How many slots there are.
    pub fn slots(&self) -> u64 {
        self.slots
    }

    /// The largest message.
    pub fn largest(&self) -> usize {
        self.block - SLOT_HEAD
    }

    fn lock(&self) -> Guard<'static> {
        let guard = self.head.lock.guard();
        if guard.was_left() {
            self.mend();
        }
        guard
    }

    /// After somebody died here: the slot that was being written is empty, and pulling goes on where something is.
    fn mend(&self) {
        let head = self.head;
        for place in [&head.push, &head.pull] {
            place.store(place.load(Ordering::Relaxed) % self.slots, Ordering::Relaxed);
        }
        if let Some(slot) = head
            .writing
            .swap(0, Ordering::Relaxed)
            .checked_sub(1)
            .filter(|s| *s < self.slots)
        {
            self.len(slot).store(0, Ordering::Relaxed);
        }
        for slot in 0..self.slots {
            if self.len(slot).load(Ordering::Relaxed) > self.largest() as u64 {
                self.len(slot).store(0, Ordering::Relaxed);
            }
        }
        let mut pull = head.pull.load(Ordering::Relaxed);
        while pull != head.push.load(Ordering::Relaxed) && self.len(pull).load(Ordering::Relaxed) == 0 {
            pull = (pull + 1) % self.slots;
        }
        head.pull.store(pull, Ordering::Relaxed);
    }

    fn len(&self, slot: u64) -> &AtomicU64 {
        // SAFETY: inside the slots, which begin aligned and whose size is a multiple of 8.
        unsafe { &*self.base.add(slot as usize * self.block).cast() }
    }

    fn text(&self, slot: u64) -> *mut u8 {
        // SAFETY: as above.
        unsafe { self.base.add(slot as usize * self.block + SLOT_HEAD) }
    }

    /// The message of a slot, under the lock.
    fn message(&self, slot: u64) -> Option<Vec<u8>> {
        let len = self.len(slot).load(Ordering::Relaxed) as usize;
        let is_there = len > 0 && len <= self.largest();
        // SAFETY: so many bytes lie there; nobody writes them without the lock.
        is_there.then(|| unsafe { std::slice::from_raw_parts(self.text(slot), len) }.to_vec())
    }

    /// Writes a message into a slot, under the lock.
    fn write(&self, slot: u64, message: &[u8]) {
        self.head.writing.store(slot + 1, Ordering::Relaxed);
        self.len(slot).store(0, Ordering::Release);
        // SAFETY: checked to fit by the callers; readers need the lock.
        unsafe { std::ptr::copy_nonoverlapping(message.as_ptr(), self.text(slot), message.len()) };
        self.len(slot).store(message.len() as u64, Ordering::Release);
    }

    fn fits(&self, message: &[u8]) -> bool {
        !message.is_empty() && message.len() <= self.largest()
    }

    /// Puts a message at the end; `false`: it is empty or too long.
    pub fn push(&self, message: &[u8]) -> bool {
        if !self.fits(message) {
            return false;
        }
        let _guard = self.lock();
        let slot = self.head.push.load(Ordering::Relaxed);
        self.write(slot, message);
        self.head.push.store((slot + 1) % self.slots, Ordering::Relaxed);
        self.head.writing.store(0, Ordering::Release);
        true
    }

    /// Takes the next one from the front.
    pub fn pull(&self) -> Option<Vec<u8>> {
        let _guard = self.lock();
        let slot = self.head.pull.load(Ordering::Relaxed);
        let message = self.message(slot)?;
        self.len(slot).store(0, Ordering::Relaxed);
        self.head.pull.store((slot + 1) % self.slots, Ordering::Relaxed);
        Some(message)
    }

    /// Takes the last one from the end.
    pub fn pop(&self) -> Option<Vec<u8>> {
        let _guard = self.lock();
        let slot = (self.head.push.load(Ordering::Relaxed) + self.slots - 1) % self.slots;
        let message = self.message(slot)?;
        // in this order: a slot that is empty and counted would hide what lies before it
        self.head.push.store(slot, Ordering::Relaxed);
        self.len(slot).store(0, Ordering::Relaxed);
        Some(message)
    }

    /// Looks into a slot.
    pub fn get(&self, slot: u64) -> Option<Vec<u8>> {
        let _guard = self.lock();
        (slot < self.slots).then(|| self.message(slot)).flatten()
    }

    /// Writes into a slot; `false`: there is none, or the message does not fit.
    pub fn set(&self, slot: u64, message: &[u8]) -> bool {
        if slot >= self.slots || !self.fits(message) {
            return false;
        }
        let _guard = self.lock();
        self.write(slot, message);
        self.head.writing.store(0, Ordering::Release);
        true
    }

    /// The last ones that were pushed, the newest first; `None` for empty slots.
    pub fn last(&self, count: u64) -> Vec<Option<Vec<u8>>> {
        let _guard = self.lock();
        let push = self.head.push.load(Ordering::Relaxed);
        (1..=count.min(self.slots))
            .map(|back| self.message((push + self.slots - back) % self.slots))
            .collect()
    }

    /// Where the next one is pushed, and where it is pulled.
    pub fn places(&self) -> (u64, u64) {
        let head = self.head;
        (head.push.load(Ordering::Relaxed), head.pull.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn queue(slots: u64) -> Queue {
        let size = size_of::<Head>() + slots as usize * 64;
        let region = Region::open(&format!("test queue {slots}"), size).unwrap();
        Queue::at(region, slots, 64, false).unwrap()
    }

    #[test]
    fn a_ring_wraps_and_forgets_the_oldest() {
        let q = queue(4);
        for n in 0..6u8 {
            assert!(q.push(&[n]));
        }
        assert_eq!(q.last(9), [Some(vec![5]), Some(vec![4]), Some(vec![3]), Some(vec![2])]);
        assert_eq!(q.places(), (2, 0));
        assert_eq!((q.pop(), q.pop()), (Some(vec![5]), Some(vec![4])));
        assert_eq!((q.get(2), q.get(0), q.get(4)), (Some(vec![2]), None, None));
        assert!(q.set(0, b"set") && !q.set(4, b"x") && !q.set(0, &[0; 49]) && !q.push(b""));
        assert_eq!(q.pull(), Some(b"set".to_vec()));
        assert!(q.push(&[1; 48]) && !q.push(&[1; 49]));
    }

    #[test]
    fn popping_nothing_moves_nothing() {
        let q = queue(3);
        assert_eq!((q.pop(), q.pull(), q.places()), (None, None, (0, 0)));
        q.push(b"a");
        q.push(b"b");
        assert_eq!((q.pull(), q.pull()), (Some(b"a".to_vec()), Some(b"b".to_vec())));
    }

    #[test]
    fn what_a_dead_process_was_doing_is_mended() {
        let q = queue(4);
        for text in ["a", "b", "c"] {
            q.push(text.as_bytes());
        }
        // died in the middle of pulling "a" and, another one, of pushing "d"
        q.len(0).store(0, Ordering::Relaxed);
        q.len(3).store(7, Ordering::Relaxed);
        q.head.writing.store(4, Ordering::Relaxed);
        q.mend();
        assert_eq!(
            (q.pull(), q.pull(), q.pull()),
            (Some(b"b".to_vec()), Some(b"c".to_vec()), None)
        );
        assert!(q.push(b"d"));
        assert_eq!(q.pull(), Some(b"d".to_vec()));
    }

    proptest! {
        #[test]
        fn while_it_is_not_full_it_is_a_deque(steps in prop::collection::vec(0u8..4, 0..60)) {
            let q = queue(9);
            let mut model = std::collections::VecDeque::new();
            for (n, step) in steps.into_iter().enumerate() {
                match step {
                    0 | 1 if model.len() < 8 => {
                        prop_assert!(q.push(&[n as u8 + 1]));
                        model.push_back(vec![n as u8 + 1]);
                    }
                    2 => prop_assert_eq!(q.pull(), model.pop_front()),
                    _ => prop_assert_eq!(q.pop(), model.pop_back()),
                }
            }
        }
    }
}
