//! After the death of somebody who was writing: chains are whole at every moment, what is free is not. Whoever gets the
//! lock of the dead finds it anew, under all locks of the cache. [`verify`] looks whether everything fits together.

use super::free;
use super::store::Cache;
use crate::shared::lock::Guard;
use std::collections::HashSet;
use std::sync::atomic::Ordering;

/// All locks, in their order: nobody waits for a second one otherwise.
fn all_locks(cache: &Cache) -> Vec<Guard<'_>> {
    let guards: Vec<Guard> = cache.parts.stripes.iter().map(|s| s.lock.guard()).collect();
    if guards.iter().any(Guard::was_left) {
        cache.parts.header.damaged.store(1, Ordering::SeqCst);
    }
    guards
}

/// Finds what is free anew, if it must be.
pub fn repair(cache: &Cache) {
    let _guards = all_locks(cache);
    if cache.parts.header.damaged.load(Ordering::Acquire) != 0 {
        mend(cache);
        // last: whoever dies before leaves the work to the next
        cache.parts.header.repairs.fetch_add(1, Ordering::Relaxed);
        cache.parts.header.damaged.store(0, Ordering::Release);
        log::warn!("cache {}: put in order after the death of a process inside", cache.name);
    }
}

/// Looks at every lock: one that a dead process holds is recovered. Whether there was one.
pub fn look_for_dead(cache: &Cache) -> bool {
    let guards = all_locks(cache);
    let is_damaged = cache.parts.header.damaged.load(Ordering::Acquire) != 0;
    drop(guards);
    if is_damaged {
        repair(cache);
    }
    is_damaged
}

/// Under all locks, or before anybody else knows the cache.
pub(super) fn mend(cache: &Cache) {
    let parts = &cache.parts;
    let mut used = vec![false; parts.items.len()];
    let mut used_blocks = vec![false; parts.links.len()];
    let mut live = 0;
    for number in 0..parts.buckets.len() {
        // readers of what is given to others below must see that it is not theirs any more
        let bucket = &parts.buckets[number];
        let word = bucket.load(Ordering::Relaxed);
        bucket.store(word.wrapping_add(1 << 32), Ordering::Release);
        for (at, item) in cache.chain(number) {
            used[at as usize - 1] = true;
            live += 1;
            if cache.geometry.chained {
                let mut block = item.block.load(Ordering::Relaxed);
                while let Some(seen) = used_blocks.get_mut((block as usize).wrapping_sub(1)) {
                    if std::mem::replace(seen, true) {
                        break;
                    }
                    block = parts.links[block as usize - 1].load(Ordering::Relaxed);
                }
            }
        }
    }
    std::sync::atomic::fence(Ordering::SeqCst);
    for stripe in parts.stripes {
        stripe.spare.store(0, Ordering::Relaxed);
    }
    for (item, _) in parts.items.iter().zip(&used).filter(|(_, used)| !**used) {
        item.sizes.store(0, Ordering::Relaxed);
    }
    let header = parts.header;
    free::lay(
        &header.slots,
        |at| !used[at as usize - 1],
        |at| &parts.items[at as usize - 1].next,
    );
    free::lay(
        &header.blocks,
        |at| !used_blocks[at as usize - 1],
        |at| &parts.links[at as usize - 1],
    );
    header.live.0.store(live, Ordering::Relaxed);
    header.next_end.0.store(0, Ordering::Relaxed);
}

/// Whether everything fits together: each item in the chain where its key belongs, once, or free, once; each block the
/// same; counts and sums right.
///
/// # Errors
/// The first thing that does not fit.
pub fn verify(cache: &Cache) -> Result<u64, String> {
    if cache.parts.header.damaged.load(Ordering::Acquire) != 0 || look_for_dead(cache) {
        repair(cache);
    }
    let _guards = all_locks(cache);
    let parts = &cache.parts;
    let mut seen = HashSet::new();
    let mut blocks = HashSet::new();
    let mut live = 0;
    for number in 0..parts.buckets.len() {
        for (at, item) in cache.chain(number) {
            if !seen.insert(at) {
                return Err(format!("item {at} is in a chain twice"));
            }
            live += 1;
            let key = cache.key_of(at, item);
            let hash = cache.hash(&key);
            if hash != item.hash.load(Ordering::Relaxed) || cache.bucket(hash) != number {
                return Err(format!(
                    "item {at} is in bucket {number}, its key belongs to {}",
                    cache.bucket(hash)
                ));
            }
            let len = (item.sizes.load(Ordering::Relaxed) >> 32) as usize;
            let mut value = vec![0; len];
            cache.copy_value(at, item, len, &mut value);
            if let Some(check) = parts.checks.get(at as usize - 1)
                && check.load(Ordering::Relaxed) != cache.hash(&value)
            {
                return Err(format!("the value of item {at} is not what was put in"));
            }
            if cache.geometry.chained {
                let mut block = item.block.load(Ordering::Relaxed);
                let mut count = 0;
                while block != 0 {
                    if !blocks.insert(block) {
                        return Err(format!("block {block} is used twice"));
                    }
                    block = parts.links[block as usize - 1].load(Ordering::Relaxed);
                    count += 1;
                }
                if count != (len as u64).div_ceil(cache.geometry.block_size) {
                    return Err(format!("item {at} of {len} bytes has {count} blocks"));
                }
            }
        }
    }
    let header = parts.header;
    let mut spares = 0;
    for spare in parts
        .stripes
        .iter()
        .map(|s| s.spare.load(Ordering::Relaxed))
        .filter(|s| *s != 0)
    {
        spares += 1;
        if !seen.insert(spare) {
            return Err(format!("item {spare} is kept for the next write and used"));
        }
    }
    let mut free = header.slots.head.load(Ordering::Relaxed) as u32;
    while free != 0 {
        if !seen.insert(free) {
            return Err(format!("item {free} is free and used"));
        }
        free = parts.items[free as usize - 1].next.load(Ordering::Relaxed);
    }
    let fresh = header.slots.fresh.load(Ordering::Relaxed);
    if seen.len() as u64 != fresh {
        return Err(format!("{} items of {fresh} are used or free", seen.len()));
    }
    let taken = header.slots.taken.load(Ordering::Relaxed);
    if taken != live + spares {
        return Err(format!("{taken} items are counted as taken, {} are", live + spares));
    }
    let counted = header.live.0.load(Ordering::Relaxed);
    if counted != live {
        return Err(format!("{counted} items are counted, {live} are there"));
    }
    let taken = header.blocks.taken.load(Ordering::Relaxed);
    if taken != blocks.len() as u64 {
        return Err(format!("{taken} blocks are counted as taken, {} are", blocks.len()));
    }
    let mut free = header.blocks.head.load(Ordering::Relaxed) as u32;
    while free != 0 {
        if !blocks.insert(free) {
            return Err(format!("block {free} is free and used"));
        }
        free = parts.links[free as usize - 1].load(Ordering::Relaxed);
    }
    let fresh = header.blocks.fresh.load(Ordering::Relaxed);
    if blocks.len() as u64 != fresh {
        return Err(format!("{} blocks of {fresh} are used or free", blocks.len()));
    }
    Ok(live)
}
