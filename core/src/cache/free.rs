//! What of a cache is free: a stack that processes share without a lock. A process that dies with an index in hand
//! loses it, until `repair` finds what is free anew.

use super::layout::FreeList;
use std::sync::atomic::{AtomicU32, Ordering};

/// Takes a free index (plus 1) out of `count`; `next` is where an index keeps the one below it.
pub fn take<'a>(list: &FreeList, count: usize, next: impl Fn(u32) -> &'a AtomicU32) -> Option<u32> {
    let mut head = list.head.load(Ordering::Acquire);
    while head as u32 != 0 {
        let top = head as u32;
        let below = next(top).load(Ordering::Relaxed);
        // the count of changes keeps one who was interrupted here from putting back what is taken by now
        let then = ((head >> 32).wrapping_add(1) << 32) | u64::from(below);
        match list
            .head
            .compare_exchange_weak(head, then, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => {
                list.taken.fetch_add(1, Ordering::Relaxed);
                return Some(top);
            }
            Err(now) => head = now,
        }
    }
    let more = |n: u64| (n < count as u64).then_some(n + 1);
    let fresh = list
        .fresh
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
        .ok()?;
    list.taken.fetch_add(1, Ordering::Relaxed);
    Some(fresh as u32 + 1)
}

/// Gives an index (plus 1) back.
pub fn give<'a>(list: &FreeList, index: u32, next: impl Fn(u32) -> &'a AtomicU32) {
    let mut head = list.head.load(Ordering::Relaxed);
    loop {
        next(index).store(head as u32, Ordering::Relaxed);
        let then = ((head >> 32).wrapping_add(1) << 32) | u64::from(index);
        match list
            .head
            .compare_exchange_weak(head, then, Ordering::AcqRel, Ordering::Relaxed)
        {
            Ok(_) => break,
            Err(now) => head = now,
        }
    }
    list.taken.fetch_sub(1, Ordering::Relaxed);
}

/// Lays the stack anew from those that are free; nobody else uses it meanwhile.
pub fn lay<'a>(list: &FreeList, is_free: impl Fn(u32) -> bool, next: impl Fn(u32) -> &'a AtomicU32) {
    let fresh = list.fresh.load(Ordering::Relaxed) as u32;
    let mut top = 0;
    let mut free = 0;
    for index in (1..=fresh).rev().filter(|n| is_free(*n)) {
        next(index).store(top, Ordering::Relaxed);
        top = index;
        free += 1;
    }
    let changes = (list.head.load(Ordering::Relaxed) >> 32).wrapping_add(1);
    list.head.store((changes << 32) | u64::from(top), Ordering::Release);
    list.taken.store(u64::from(fresh) - free, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_index_is_held_once_by_all_threads() {
        let list = FreeList::default();
        let links: Vec<AtomicU32> = (0..8).map(|_| AtomicU32::new(0)).collect();
        let next = |n: u32| &links[n as usize - 1];
        let held: Vec<AtomicU32> = (0..8).map(|_| AtomicU32::new(0)).collect();
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| {
                    for _ in 0..20_000 {
                        let Some(index) = take(&list, 8, next) else { continue };
                        assert_eq!(held[index as usize - 1].swap(1, Ordering::AcqRel), 0);
                        held[index as usize - 1].store(0, Ordering::Release);
                        give(&list, index, next);
                    }
                });
            }
        });
        assert_eq!(list.taken.load(Ordering::Relaxed), 0);
        let all: Vec<u32> = std::iter::from_fn(|| take(&list, 8, next)).collect();
        assert_eq!(all.len(), 8);
        lay(&list, |n| n % 2 == 0, next);
        let again: Vec<u32> = std::iter::from_fn(|| take(&list, 8, next)).collect();
        assert_eq!(again, [2, 4, 6, 8]);
        assert_eq!(list.taken.load(Ordering::Relaxed), 8);
    }
}
