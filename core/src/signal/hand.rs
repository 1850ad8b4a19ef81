//! What each thread that takes signals has in its hand: a signal out of its queue whose handler has not ended. It lies
//! in shared memory, so that the master can tell what a killed process had in hand, and nothing is lost unsaid.

use std::cell::RefCell;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// The hand of one thread, in shared memory.
#[repr(C)]
pub struct Hand {
    /// Pid of the process; 0: free.
    owner: AtomicI32,
    /// A [`Held`] as one word; 0: empty.
    held: AtomicU64,
}

/// A signal in a hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Its number.
    pub signal: u8,
    /// The number of its queue.
    pub queue: u16,
    /// Which one of that queue it was, counted from the queue's start, as far as the bits reach.
    pub sequence: u64,
}

const SEQUENCE_BITS: u32 = 39;
const SEQUENCE: u64 = (1 << SEQUENCE_BITS) - 1;

impl Held {
    fn encode(self) -> u64 {
        1 << 63
            | u64::from(self.queue) << (SEQUENCE_BITS + 8)
            | u64::from(self.signal) << SEQUENCE_BITS
            | self.sequence & SEQUENCE
    }

    fn decode(word: u64) -> Option<Self> {
        (word != 0).then_some(Self {
            signal: (word >> SEQUENCE_BITS) as u8,
            queue: (word >> (SEQUENCE_BITS + 8)) as u16,
            sequence: word & SEQUENCE,
        })
    }

    /// Whether a queue that has given out `taken` records has given out this one: else it is there still.
    pub fn is_taken(self, taken: u64) -> bool {
        // the distance is small either way, and the bits left out wrap round
        let ahead = taken.wrapping_sub(self.sequence) & SEQUENCE;
        ahead != 0 && ahead <= SEQUENCE / 2
    }
}

/// The hand of the calling thread, given back when the thread ends.
struct Mine {
    hand: &'static Hand,
    pid: i32,
}

impl Drop for Mine {
    fn drop(&mut self) {
        if self.pid == nix::unistd::getpid().as_raw() {
            self.hand.held.store(0, Ordering::Relaxed);
            self.hand.owner.store(0, Ordering::Release);
        }
    }
}

thread_local! {
    static MINE: RefCell<Option<Mine>> = const { RefCell::new(None) };
}

/// The hand of this thread among `hands`; `None`: more threads take signals than there are hands.
pub fn mine(hands: &'static [Hand]) -> Option<&'static Hand> {
    // a thread that is ending has none any more
    MINE.try_with(|mine| {
        let mut mine = mine.borrow_mut();
        // a child of the application's own inherits the copy of a hand that is not its own
        let pid = nix::unistd::getpid().as_raw();
        if mine.as_ref().is_none_or(|m| m.pid != pid) {
            let is_free = |hand: &&Hand| {
                let owner = &hand.owner;
                owner.load(Ordering::Relaxed) == 0
                    && owner
                        .compare_exchange(0, pid, Ordering::AcqRel, Ordering::Relaxed)
                        .is_ok()
            };
            *mine = hands.iter().find(is_free).map(|hand| Mine { hand, pid });
        }
        mine.as_ref().map(|m| m.hand)
    })
    .ok()
    .flatten()
}

impl Hand {
    /// Takes a signal; before its queue forgets it.
    pub fn take(&self, held: Held) {
        self.held.store(held.encode(), Ordering::Release);
    }
}

/// The handler of what this thread took has ended.
pub fn put_down() {
    let _ = MINE.try_with(|mine| {
        if let Some(mine) = &*mine.borrow() {
            mine.hand.held.store(0, Ordering::Release);
        }
    });
}

/// What the threads of a process that has ended had in hand; frees their hands. By the master.
pub fn left_by(hands: &[Hand], pid: i32) -> Vec<Held> {
    let theirs = hands.iter().filter(|hand| hand.owner.load(Ordering::Acquire) == pid);
    theirs
        .filter_map(|hand| {
            let held = hand.held.swap(0, Ordering::AcqRel);
            hand.owner.store(0, Ordering::Release);
            Held::decode(held)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hands(count: usize) -> &'static [Hand] {
        let hand = || Hand {
            owner: AtomicI32::new(0),
            held: AtomicU64::new(0),
        };
        Vec::leak((0..count).map(|_| hand()).collect())
    }

    #[test]
    fn each_thread_has_its_own_and_gives_it_back() {
        let hands = hands(2);
        let pid = nix::unistd::getpid().as_raw();
        let held = Held {
            signal: 7,
            queue: 3,
            sequence: 99,
        };
        for _ in 0..5 {
            let first = mine(hands).unwrap();
            first.take(held);
            put_down();
            assert_eq!(first.held.load(Ordering::Relaxed), 0);
            first.take(held);
            std::thread::spawn(move || {
                let second = mine(hands).unwrap();
                assert!(!std::ptr::eq(first, second));
                assert!(std::thread::spawn(move || mine(hands).is_none()).join().unwrap());
            })
            .join()
            .unwrap();
            assert_eq!(left_by(hands, pid + 1), []);
        }
        assert_eq!(left_by(hands, pid), [held]);
        assert_eq!(left_by(hands, pid), []);
    }

    proptest! {
        #[test]
        fn a_word_holds_it_all(signal: u8, queue: u16, sequence in 0..=SEQUENCE, ahead in 1..1000u64) {
            let held = Held { signal, queue, sequence };
            prop_assert_eq!(Held::decode(held.encode()), Some(held));
            prop_assert!(!held.is_taken(sequence));
            prop_assert!(held.is_taken(sequence + ahead));
            prop_assert!(!held.is_taken(sequence.wrapping_sub(ahead)));
        }
    }
}
