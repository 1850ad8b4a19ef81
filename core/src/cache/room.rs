//! Making room: items whose time is over, by the master now and then and by whoever finds the cache full; and the item
//! that was not used for longest. Those next to go are looked for many at a time, so that each costs little.

use super::repair;
use super::store::{Cache, WhenFull, now};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// So many are looked for at least.
const LEAST: usize = 64;

impl Cache {
    /// Removes items whose time is over; how many they were.
    pub fn sweep(&self) -> u64 {
        let header = self.parts.header;
        let now = now();
        if header.next_end.0.load(Ordering::Relaxed) > now {
            return 0;
        }
        // whoever puts something in meanwhile says when that ends
        header.next_end.0.store(u64::MAX, Ordering::Relaxed);
        let fresh = header.slots.fresh.load(Ordering::Relaxed) as usize;
        let mut removed = 0;
        let mut next = u64::MAX;
        for (item, index) in self.parts.items[..fresh.min(self.parts.items.len())].iter().zip(1..) {
            let ends = item.ends.load(Ordering::Relaxed);
            if ends == 0 || item.sizes.load(Ordering::Relaxed) == 0 {
                continue;
            }
            if ends > now {
                next = next.min(ends);
            } else if self.remove_slot(index, |c| {
                let ends = c.parts.items[index as usize - 1].ends.load(Ordering::Relaxed);
                ends != 0 && ends <= now
            }) {
                removed += 1;
            }
        }
        header.next_end.0.fetch_min(next, Ordering::Relaxed);
        removed
    }

    /// Removes the item of this index (plus 1) if it is in the cache and `still` the one that was meant.
    fn remove_slot(&self, index: u32, still: impl Fn(&Self) -> bool) -> bool {
        let item = &self.parts.items[index as usize - 1];
        let bucket = self.bucket(item.hash.load(Ordering::Relaxed));
        let held = self.hold(bucket);
        let found = self.find(bucket, |at, _| at == index).filter(|_| still(self));
        if let Some(found) = &found {
            self.unlink(&held, bucket, found);
        }
        found.is_some()
    }

    /// Makes room for an item in a full cache; whether it is worth another try.
    pub(super) fn make_room(&self) -> bool {
        if self.sweep() > 0 || self.recovers() {
            return true;
        }
        match self.options.when_full {
            WhenFull::Refuse => false,
            WhenFull::Clear => {
                self.clear();
                true
            }
            WhenFull::PurgeOldest => self.purge(),
        }
    }

    /// Whether somebody died here with something in hand; looked at once a second at most.
    fn recovers(&self) -> bool {
        let now = now();
        self.looked.swap(now, Ordering::Relaxed) != now && repair::look_for_dead(self)
    }

    /// Removes the item that was not used for longest.
    fn purge(&self) -> bool {
        for _ in 0..2 {
            while let Some((stamp, index)) = self.next_oldest() {
                let used = &self.parts.stamps[index as usize - 1];
                // it was used since, or is gone: those that were not looked at are still younger than the rest here
                if used.load(Ordering::Relaxed) != stamp {
                    continue;
                }
                if self.remove_slot(index, |_| used.load(Ordering::Relaxed) == stamp) {
                    return true;
                }
                // a reader's stamp on an item that was removed meanwhile
                let is_free = self.parts.items[index as usize - 1].sizes.load(Ordering::Relaxed) == 0;
                if is_free {
                    let _ = used.compare_exchange(stamp, 0, Ordering::Relaxed, Ordering::Relaxed);
                }
            }
            self.look_for_oldest();
        }
        false
    }

    fn next_oldest(&self) -> Option<(u64, u32)> {
        self.oldest.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Notes the items that were not used for longest, with their stamps, a part of all.
    fn look_for_oldest(&self) {
        let fresh = self.parts.header.slots.fresh.load(Ordering::Relaxed) as usize;
        let stamps = &self.parts.stamps[..fresh.min(self.parts.stamps.len())];
        let mut all: Vec<(u64, u32)> = stamps
            .iter()
            .zip(1..)
            .map(|(stamp, index)| (stamp.load(Ordering::Relaxed), index))
            .filter(|(stamp, _)| *stamp != 0)
            .collect();
        let wanted = LEAST.max(all.len() / 64);
        if wanted < all.len() {
            all.select_nth_unstable(wanted);
            all.truncate(wanted);
        }
        all.sort_unstable_by(|a, b| b.cmp(a));
        *self.oldest.lock().unwrap_or_else(PoisonError::into_inner) = all;
    }
}
