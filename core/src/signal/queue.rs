//! An ordered queue of fixed-size records in shared memory, many writers and many readers, with a bell that rings
//! exactly while something waits. A process may be killed at any point: a record counts from one store of a counter,
//! and the lock is a robust one, which the kernel gives on when its holder dies.

use crate::shared::lock::{self, SharedLock};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};

/// The head of a queue, in shared memory.
#[repr(C, align(64))]
pub struct QueueHead {
    lock: SharedLock,
    /// Records taken out since the start.
    taken: AtomicU64,
    /// Records put in since the start.
    put: AtomicU64,
    /// Of those put in by [`Queue::push_once`], by their first byte, which wait.
    waiting: [AtomicU64; 4],
}

/// The queue as a process sees it.
pub struct Queue {
    head: *mut QueueHead,
    records: *mut u8,
    capacity: u64,
    size: usize,
    bell: EventFd,
}

// SAFETY: everything behind the pointers is atomic, or touched under the lock only.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

/// What has come of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It waits.
    Queued,
    /// The same one was waiting.
    Waiting,
}

/// The queue has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// The lock is held; a holder that died left a consistent queue: see the module's words.
struct Guard<'a> {
    head: &'a QueueHead,
    _held: lock::Guard<'a>,
}

impl Queue {
    /// Bytes that `capacity` records of `size` bytes take, the head included.
    pub const fn room(capacity: usize, size: usize) -> usize {
        size_of::<QueueHead>() + (capacity * size).next_multiple_of(64)
    }

    /// Makes a queue in fresh memory.
    ///
    /// # Errors
    /// No descriptor is left, or the system knows no robust locks.
    ///
    /// # Safety
    /// `place` points at [`room`](Self::room) zero bytes of shared memory, aligned to 64, that stay mapped for ever.
    pub unsafe fn make(place: *mut u8, capacity: usize, size: usize) -> nix::Result<Self> {
        let head = place.cast::<QueueHead>();
        // SAFETY: by the contract; nobody uses the lock yet.
        unsafe { SharedLock::make(&raw mut (*head).lock)? };
        Ok(Self {
            head,
            // SAFETY: by the contract.
            records: unsafe { place.add(size_of::<QueueHead>()) },
            capacity: capacity as u64,
            size,
            bell: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
        })
    }

    fn head(&self) -> &QueueHead {
        // SAFETY: by the contract of `make`.
        unsafe { &*self.head }
    }

    fn lock(&self) -> Guard<'_> {
        let head = self.head();
        Guard {
            head,
            _held: head.lock.guard(),
        }
    }

    fn place(&self, number: u64) -> *mut u8 {
        // SAFETY: inside the records.
        unsafe { self.records.add((number % self.capacity) as usize * self.size) }
    }

    /// Puts a record in; `record` has the queue's size.
    ///
    /// # Errors
    /// There is no room.
    pub fn push(&self, record: &[u8]) -> Result<(), Full> {
        self.push_locked(record, &self.lock())
    }

    /// Puts a record in, unless one that began with the same byte and was put in by this function waits already.
    ///
    /// # Errors
    /// There is no room.
    pub fn push_once(&self, record: &[u8]) -> Result<Pushed, Full> {
        let guard = self.lock();
        let (word, bit) = Self::mark(guard.head, record);
        if word.load(Ordering::Relaxed) & bit != 0 {
            return Ok(Pushed::Waiting);
        }
        self.push_locked(record, &guard)?;
        // killed before this store: the record comes twice, which is the lesser evil
        word.fetch_or(bit, Ordering::Relaxed);
        Ok(Pushed::Queued)
    }

    /// Where it is kept whether a record like this one waits.
    fn mark<'a>(head: &'a QueueHead, record: &[u8]) -> (&'a AtomicU64, u64) {
        (&head.waiting[usize::from(record[0] >> 6)], 1 << (record[0] & 63))
    }

    fn push_locked(&self, record: &[u8], guard: &Guard<'_>) -> Result<(), Full> {
        assert_eq!(record.len(), self.size);
        let (taken, put) = (
            guard.head.taken.load(Ordering::Relaxed),
            guard.head.put.load(Ordering::Relaxed),
        );
        if put - taken >= self.capacity {
            return Err(Full);
        }
        // SAFETY: a place of `size` bytes that no reader looks at before the counter says so.
        unsafe { std::ptr::copy_nonoverlapping(record.as_ptr(), self.place(put), self.size) };
        guard.head.put.store(put + 1, Ordering::Release);
        if put == taken {
            self.ring();
        }
        Ok(())
    }

    /// Takes the oldest record; `false`: there is none.
    pub fn pop(&self, record: &mut [u8]) -> bool {
        self.pop_into(record, |_, _| ())
    }

    /// The same, and `in_hand` hears of the record and its number before the queue forgets it.
    pub fn pop_into(&self, record: &mut [u8], in_hand: impl FnOnce(&[u8], u64)) -> bool {
        assert_eq!(record.len(), self.size);
        let guard = self.lock();
        let (taken, put) = (
            guard.head.taken.load(Ordering::Relaxed),
            guard.head.put.load(Ordering::Relaxed),
        );
        if taken == put {
            // a bell that rings for nothing would keep its listeners spinning
            self.silence();
            return false;
        }
        // SAFETY: a place of `size` bytes that was written before the counter moved.
        unsafe { std::ptr::copy_nonoverlapping(self.place(taken), record.as_mut_ptr(), self.size) };
        in_hand(record, taken);
        let (word, bit) = Self::mark(guard.head, record);
        if word.load(Ordering::Relaxed) & bit != 0 {
            word.fetch_and(!bit, Ordering::Relaxed);
        }
        guard.head.taken.store(taken + 1, Ordering::Release);
        match taken + 1 == put {
            true => self.silence(),
            // whoever else is idle takes the next one
            false => self.ring(),
        }
        true
    }

    fn ring(&self) {
        let _ = self.bell.write(1);
    }

    fn silence(&self) {
        crate::unix_signal::silence(self.bell.as_fd().as_raw_fd());
    }

    /// Rings if something waits: a process may have been killed between its record and the bell. By the master.
    pub fn ring_again(&self) {
        if !self.is_empty() {
            self.ring();
        }
    }

    /// How many records were taken out since the start.
    pub fn taken(&self) -> u64 {
        self.head().taken.load(Ordering::Acquire)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many records wait.
    pub fn len(&self) -> u64 {
        let head = self.head();
        let taken = head.taken.load(Ordering::Acquire);
        head.put.load(Ordering::Acquire).saturating_sub(taken)
    }

    /// Readable while something waits.
    pub fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};

    fn queue(capacity: usize, size: usize) -> Queue {
        let length = std::num::NonZeroUsize::new(Queue::room(capacity, size)).unwrap();
        let flags = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: fresh zero pages that are never unmapped.
        unsafe {
            let place = mmap_anonymous(None, length, flags, MapFlags::MAP_SHARED).unwrap();
            Queue::make(place.as_ptr().cast(), capacity, size).unwrap()
        }
    }

    fn rings(queue: &Queue) -> bool {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        poll(&mut [PollFd::new(queue.bell(), PollFlags::POLLIN)], PollTimeout::ZERO).unwrap() == 1
    }

    #[test]
    fn it_keeps_the_order_rings_while_it_holds_something_and_says_when_it_is_full() {
        let queue = queue(3, 1);
        let mut one = [0];
        assert!(!queue.pop(&mut one) && !rings(&queue));
        for round in 0..4u8 {
            for n in 0..3 {
                queue.push(&[round * 3 + n]).unwrap();
            }
            assert_eq!(queue.push(&[99]), Err(Full));
            assert_eq!(queue.len(), 3);
            for n in 0..3 {
                assert!(rings(&queue));
                assert!(queue.pop(&mut one));
                assert_eq!(one[0], round * 3 + n);
            }
            assert!(!rings(&queue));
        }
    }

    #[test]
    fn what_waits_is_not_put_in_again_where_that_is_wished() {
        let queue = queue(3, 1);
        for round in 0..3 {
            assert_eq!(queue.push_once(&[200]), Ok(Pushed::Queued), "{round}");
            assert_eq!(queue.push_once(&[200]), Ok(Pushed::Waiting));
            assert_eq!(queue.push_once(&[7]), Ok(Pushed::Queued));
            queue.push(&[7]).unwrap();
            assert_eq!(queue.push_once(&[8]), Err(Full));
            let mut seen = Vec::new();
            let mut one = [0];
            while queue.pop_into(&mut one, |record, number| seen.push((record[0], number))) {}
            let from = round * 3;
            assert_eq!(seen, [(200, from), (7, from + 1), (7, from + 2)]);
            assert_eq!(queue.taken(), from + 3);
        }
    }

    #[test]
    fn a_holder_of_the_lock_that_dies_does_not_block_the_others() {
        let queue = queue(8, 1);
        queue.push(&[1]).unwrap();
        // SAFETY: the child only touches the mapping and leaves at once.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                std::mem::forget(queue.lock());
                // SAFETY: ends this process without running the test harness's exit work.
                unsafe { libc::_exit(0) }
            }
            ForkResult::Parent { child } => {
                assert!(matches!(waitpid(child, None), Ok(WaitStatus::Exited(_, 0))));
            }
        }
        let mut one = [0];
        assert!(queue.pop(&mut one));
        assert_eq!(one[0], 1);
        queue.push(&[2]).unwrap();
        assert!(queue.pop(&mut one) && one[0] == 2);
    }

    #[test]
    fn many_writers_and_readers_lose_nothing() {
        let queue = queue(64, 2);
        let taken = std::sync::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for writer in 0..3u8 {
                let queue = &queue;
                scope.spawn(move || {
                    for n in 0..200u8 {
                        while queue.push(&[writer, n]).is_err() {
                            std::thread::yield_now();
                        }
                    }
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut own = Vec::new();
                    let mut record = [0; 2];
                    while own.len() < 300 {
                        match queue.pop(&mut record) {
                            true => own.push(record),
                            false => std::thread::yield_now(),
                        }
                    }
                    for writer in 0..3 {
                        assert!(
                            own.iter().filter(|r| r[0] == writer).is_sorted(),
                            "one writer's records out of order"
                        );
                    }
                    taken.lock().unwrap().extend(own);
                });
            }
        });
        let mut taken = taken.into_inner().unwrap();
        taken.sort_unstable();
        let all: Vec<[u8; 2]> = (0..3).flat_map(|w| (0..200).map(move |n| [w, n])).collect();
        assert_eq!(taken, all);
    }
}
