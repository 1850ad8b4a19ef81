//! The cache itself: finding, putting, removing. Readers take no lock: an item never changes while it can be found, and
//! a bucket counts its changes, so that a reader sees when what it read was given to somebody else meanwhile. Writers
//! hold the lock of their stripe; each change becomes visible by one store, so that a writer may die at any point.

use super::free;
use super::layout::{Geometry, Header, INLINE_KEY, Item, LANES, Places, Stripe};
use super::{repair, words};
use crate::shared::lock::Guard;
use std::os::fd::RawFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use twox_hash::XxHash3_64;

/// How often a reader is overtaken before it takes the lock.
const TRIES: u32 = 64;
/// So many items of one chain are looked at before a reader looks whether it still is one.
const HOPS: u32 = 32;

/// The parts of a cache's memory.
pub struct Parts {
    pub header: &'static Header,
    pub stripes: &'static [Stripe],
    pub buckets: &'static [AtomicU64],
    pub items: &'static [Item],
    /// When each item was used last; empty unless the geometry says so.
    pub stamps: &'static [AtomicU64],
    /// The sum of each value; likewise.
    pub checks: &'static [AtomicU64],
    /// The next block of each; likewise.
    pub links: &'static [AtomicU32],
    pub keys: &'static [AtomicU64],
    pub data: &'static [AtomicU64],
}

impl Parts {
    /// # Safety
    /// `base` points at memory of this geometry's size, aligned to 128, that stays mapped for ever and that only caches
    /// of this layout use.
    pub unsafe fn of(base: *mut u8, g: &Geometry, at: &Places) -> Self {
        /// # Safety
        /// As many of them lie there.
        unsafe fn slice<T>(base: *mut u8, at: usize, count: usize) -> &'static [T] {
            // SAFETY: by the contract; all parts are aligned to 128 and consist of atomics.
            unsafe { std::slice::from_raw_parts(base.add(at).cast(), count) }
        }
        let (slots, blocks) = (g.slots(), g.block_slots());
        let only = |wanted: bool, count: usize| if wanted { count } else { 0 };
        // SAFETY: by the contract, and as `Places::of` has counted.
        unsafe {
            Self {
                header: &*base.cast(),
                stripes: slice(base, at.stripes, g.stripes()),
                buckets: slice(base, at.buckets, g.buckets as usize),
                items: slice(base, at.items, slots),
                stamps: slice(base, at.stamps, only(g.stamped, slots)),
                checks: slice(base, at.checks, only(g.checked, slots)),
                links: slice(base, at.links, only(g.chained, blocks)),
                keys: slice(base, at.keys, slots * g.key_words()),
                data: slice(base, at.data, blocks * g.block_words()),
            }
        }
    }
}

/// What to do when there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// The new item is refused.
    #[default]
    Refuse,
    /// The item that was not used for longest goes.
    PurgeOldest,
    /// All items go.
    Clear,
}

/// A cache as a process sees it.
pub struct Cache {
    /// By it applications ask.
    pub name: String,
    pub(super) geometry: Geometry,
    pub(super) parts: Parts,
    pub(super) options: super::Options,
    seed: u64,
    /// The file that it lies in.
    pub(super) file: Option<RawFd>,
    /// When this process has said that it is full.
    said_full: AtomicU64,
    /// When it has looked for the dead.
    pub(super) looked: AtomicU64,
    /// The next ones to go, oldest last, with their stamps.
    pub(super) oldest: Mutex<Vec<(u64, u32)>>,
}

/// Why an item was not put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// The key has an item.
    #[error("the key is there already")]
    Exists,
    /// No item or block is free.
    #[error("the cache is full")]
    Full,
    /// An empty key or value, or one that is too long.
    #[error("key or value is empty or too long")]
    Size,
}

/// What becomes of an item that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It stays.
    Add,
    /// It is replaced.
    Replace,
}

/// The place of an item in its chain.
pub(super) struct Found {
    /// The one before it (plus 1); 0: the bucket.
    pub before: u32,
    /// Itself (plus 1).
    pub at: u32,
}

/// The lock of a stripe is held.
pub(super) struct Held<'a> {
    _guard: Guard<'a>,
    pub stripe: &'a Stripe,
}

/// Seconds since the epoch.
pub fn now() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid place; the coarse clock is read without a system call.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME_COARSE, &mut now) };
    now.tv_sec as u64
}

/// What uses are ordered by.
fn stamp() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid place.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

impl Cache {
    pub(super) fn new(
        name: String,
        geometry: Geometry,
        parts: Parts,
        options: super::Options,
        file: Option<RawFd>,
    ) -> Self {
        Self {
            name,
            geometry,
            seed: parts.header.seed.load(Ordering::Relaxed),
            parts,
            options,
            file,
            said_full: AtomicU64::new(0),
            looked: AtomicU64::new(0),
            oldest: Mutex::new(Vec::new()),
        }
    }

    /// The numbers of its layout.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        XxHash3_64::oneshot_with_seed(self.seed, key)
    }

    pub(super) fn bucket(&self, hash: u64) -> usize {
        (hash & (self.geometry.buckets - 1)) as usize
    }

    /// An item by its index plus 1.
    pub(super) fn item(&self, at: u32) -> Option<&'static Item> {
        self.parts.items.get((at as usize).wrapping_sub(1))
    }

    /// Where an item that is there keeps a key of this length.
    fn key_place(&self, at: u32, item: &'static Item, len: usize) -> &'static [AtomicU64] {
        if len <= INLINE_KEY {
            return &item.key;
        }
        let words = self.geometry.key_words();
        let from = (at as usize - 1) * words;
        self.parts.keys.get(from..from + words).unwrap_or_default()
    }

    fn is(&self, at: u32, item: &'static Item, hash: u64, key: &[u8]) -> bool {
        item.hash.load(Ordering::Relaxed) == hash
            && item.sizes.load(Ordering::Relaxed) as u32 as usize == key.len()
            && words::equal(self.key_place(at, item, key.len()), key)
    }

    /// The key of an item, under the lock of its stripe.
    pub(super) fn key_of(&self, at: u32, item: &'static Item) -> Vec<u8> {
        let len = item.sizes.load(Ordering::Relaxed) as u32 as usize;
        let mut key = vec![0; len.min(self.geometry.key_size as usize)];
        words::read(self.key_place(at, item, len), &mut key);
        key
    }

    /// The words of a block by its index plus 1.
    fn block(&self, at: u32) -> &'static [AtomicU64] {
        let words = self.geometry.block_words();
        let from = (at as usize).wrapping_sub(1).wrapping_mul(words);
        let to = from.wrapping_add(words);
        self.parts.data.get(from..to).unwrap_or_default()
    }

    /// Copies the front of a value of `len` bytes that an item has, as much as fits. One who reads without a lock gets
    /// some bytes or other when the item was given away meanwhile, and must find that out.
    pub(super) fn copy_value(&self, at: u32, item: &Item, len: usize, out: &mut [u8]) {
        let wanted = out.len().min(len);
        let out = &mut out[..wanted];
        if !self.geometry.chained {
            return words::read(self.block(at), out);
        }
        let mut block = item.block.load(Ordering::Relaxed);
        for piece in out.chunks_mut(self.geometry.block_size as usize) {
            words::read(self.block(block), piece);
            let link = self.parts.links.get((block as usize).wrapping_sub(1));
            block = link.map_or(0, |l| l.load(Ordering::Relaxed));
        }
    }

    fn count(&self, hit: bool) {
        let lane = match crate::server::worker_id() {
            // mules, the master: counted from the end
            0 => LANES - 1 - crate::mule::own_id() % (LANES / 2),
            worker => worker % LANES,
        };
        let lane = &self.parts.header.lanes[lane];
        let counter = if hit { &lane.hits } else { &lane.misses };
        // nobody else counts here but other threads of this process, which may cost a count now and then: a locked
        // instruction would cost more than the rest of finding a key
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Looks a key up without a lock and hands its item to `read`, which may be called several times; what it gives
    /// the last time counts.
    fn look<T>(&self, key: &[u8], mut read: impl FnMut(u32, &'static Item) -> T) -> Option<T> {
        let hash = self.hash(key);
        let number = self.bucket(hash);
        let bucket = &self.parts.buckets[number];
        for tries in 0..=TRIES {
            // the last try is one that nobody overtakes
            let _held = (tries == TRIES).then(|| self.hold(number));
            let before = bucket.load(Ordering::Acquire);
            let mut found = None;
            let mut at = before as u32;
            let mut hops = 0;
            while let Some(item) = self.item(at) {
                if self.is(at, item, hash, key) {
                    found = Some(read(at, item));
                    break;
                }
                at = item.next.load(Ordering::Acquire);
                hops += 1;
                if hops % HOPS == 0 && bucket.load(Ordering::Relaxed) != before {
                    break;
                }
            }
            fence(Ordering::Acquire);
            if bucket.load(Ordering::Relaxed) == before {
                return found;
            }
            std::hint::spin_loop();
        }
        None
    }

    /// Copies the front of a value, as much as fits; its whole length and the moment it ends (0: never).
    pub fn get(&self, key: &[u8], out: &mut [u8]) -> Option<(usize, u64)> {
        let found = self.look(key, |at, item| {
            let len = (item.sizes.load(Ordering::Relaxed) >> 32) as usize;
            let ends = item.ends.load(Ordering::Relaxed);
            self.copy_value(at, item, len, &mut *out);
            (at, len, ends)
        });
        let live = found.filter(|(_, _, ends)| *ends == 0 || *ends > now());
        // one who has too little room comes again
        if live.is_none_or(|(_, len, _)| len <= out.len()) {
            self.count(live.is_some());
        }
        let (at, len, ends) = live?;
        if let Some(used) = self.parts.stamps.get(at as usize - 1)
            // one that was removed meanwhile has none
            && used.load(Ordering::Relaxed) != 0
        {
            used.store(stamp(), Ordering::Relaxed);
        }
        Some((len, ends))
    }

    /// The whole value.
    pub fn value(&self, key: &[u8]) -> Option<(Vec<u8>, u64)> {
        let mut out = vec![0; 1024.min(self.geometry.largest() as usize)];
        loop {
            let (len, ends) = self.get(key, &mut out)?;
            let fits = len <= out.len();
            out.resize(len, 0);
            if fits {
                return Some((out, ends));
            }
        }
    }

    /// Whether a key has an item.
    pub fn contains(&self, key: &[u8]) -> bool {
        let ends = self.look(key, |_, item| item.ends.load(Ordering::Relaxed));
        ends.is_some_and(|ends| ends == 0 || ends > now())
    }

    /// Takes the lock of a bucket; what somebody who died has left is mended first.
    pub(super) fn hold(&self, bucket: usize) -> Held<'_> {
        let stripe = &self.parts.stripes[bucket & (self.parts.stripes.len() - 1)];
        loop {
            let guard = stripe.lock.guard();
            if guard.was_left() {
                self.parts.header.damaged.store(1, Ordering::SeqCst);
            }
            if self.parts.header.damaged.load(Ordering::Acquire) == 0 {
                return Held { _guard: guard, stripe };
            }
            drop(guard);
            repair::repair(self);
        }
    }

    /// The items of a chain by their indices plus 1, under the lock.
    pub(super) fn chain(&self, bucket: usize) -> impl Iterator<Item = (u32, &'static Item)> {
        let first = self.parts.buckets[bucket].load(Ordering::Relaxed) as u32;
        let with = |at: u32| Some((at, self.item(at)?));
        std::iter::successors(with(first), move |(_, item)| with(item.next.load(Ordering::Relaxed)))
    }

    /// The place of an item in its chain, under the lock.
    pub(super) fn find(&self, bucket: usize, is_it: impl Fn(u32, &'static Item) -> bool) -> Option<Found> {
        let mut before = 0;
        for (at, item) in self.chain(bucket) {
            if is_it(at, item) {
                return Some(Found { before, at });
            }
            before = at;
        }
        None
    }

    fn slot_link(&self, at: u32) -> &'static AtomicU32 {
        &self.parts.items[at as usize - 1].next
    }

    fn block_link(&self, at: u32) -> &'static AtomicU32 {
        &self.parts.links[at as usize - 1]
    }

    fn blocks_for(&self, len: usize) -> u64 {
        (len as u64).div_ceil(self.geometry.block_size)
    }

    /// Takes a chain of blocks for a value; all or nothing.
    fn take_blocks(&self, count: u64) -> Option<u32> {
        let mut first = 0;
        for _ in 0..count {
            let taken = free::take(&self.parts.header.blocks, self.parts.links.len(), |b| {
                self.block_link(b)
            });
            let Some(block) = taken else {
                self.give_blocks(first);
                return None;
            };
            self.block_link(block).store(first, Ordering::Relaxed);
            first = block;
        }
        Some(first)
    }

    fn give_blocks(&self, first: u32) {
        let mut block = first;
        while block != 0 {
            let next = self.block_link(block).load(Ordering::Relaxed);
            free::give(&self.parts.header.blocks, block, |b| self.block_link(b));
            block = next;
        }
    }

    /// A free item: that of the stripe, or any.
    fn take_slot(&self, held: &Held) -> Option<u32> {
        match held.stripe.spare.load(Ordering::Relaxed) {
            0 => {
                let slot = free::take(&self.parts.header.slots, self.parts.items.len(), |s| self.slot_link(s))?;
                held.stripe.spare.store(slot, Ordering::Relaxed);
                Some(slot)
            }
            spare => Some(spare),
        }
    }

    /// An item that nobody can find any more, and that readers who have found it can tell, is free.
    fn give_slot(&self, held: &Held, at: u32) {
        let item = &self.parts.items[at as usize - 1];
        item.sizes.store(0, Ordering::Relaxed);
        if let Some(used) = self.parts.stamps.get(at as usize - 1) {
            used.store(0, Ordering::Relaxed);
        }
        if self.geometry.chained {
            self.give_blocks(item.block.swap(0, Ordering::Relaxed));
        }
        match held.stripe.spare.load(Ordering::Relaxed) {
            0 => held.stripe.spare.store(at, Ordering::Relaxed),
            _ => free::give(&self.parts.header.slots, at, |s| self.slot_link(s)),
        }
    }

    /// Makes a change of a chain visible: `then` follows `before`.
    fn link(&self, bucket: usize, before: u32, then: u32) {
        let bucket = &self.parts.buckets[bucket];
        let word = bucket.load(Ordering::Relaxed);
        let changes = (word >> 32).wrapping_add(1) << 32;
        if before == 0 {
            bucket.store(changes | u64::from(then), Ordering::Release);
            return;
        }
        self.slot_link(before).store(then, Ordering::Release);
        bucket.store(changes | (word & u64::from(u32::MAX)), Ordering::Release);
    }

    /// Takes an item out of its chain, under the lock.
    pub(super) fn unlink(&self, held: &Held, bucket: usize, found: &Found) {
        let next = self.slot_link(found.at).load(Ordering::Relaxed);
        self.link(bucket, found.before, next);
        self.parts.header.live.0.fetch_sub(1, Ordering::Relaxed);
        self.give_slot(held, found.at);
        self.touch();
    }

    fn touch(&self) {
        if self.options.keeps_time {
            self.parts.header.modified.store(now(), Ordering::Relaxed);
        }
    }

    /// Writes an item that nobody can find yet.
    fn fill(&self, at: u32, hash: u64, key: &[u8], value: &[u8], ends: u64, first_block: u32) {
        let item = &self.parts.items[at as usize - 1];
        // one who still reads what this item was before sees, with any of these bytes, that its bucket has changed
        fence(Ordering::Release);
        item.hash.store(hash, Ordering::Relaxed);
        item.ends.store(ends, Ordering::Relaxed);
        words::write(self.key_place(at, item, key.len()), key);
        if self.geometry.chained {
            item.block.store(first_block, Ordering::Relaxed);
            let mut block = first_block;
            for piece in value.chunks(self.geometry.block_size as usize) {
                words::write(self.block(block), piece);
                block = self.block_link(block).load(Ordering::Relaxed);
            }
        } else {
            words::write(self.block(at), value);
        }
        if let Some(check) = self.parts.checks.get(at as usize - 1) {
            check.store(self.hash(value), Ordering::Relaxed);
        }
        if let Some(used) = self.parts.stamps.get(at as usize - 1) {
            used.store(stamp(), Ordering::Relaxed);
        }
        let sizes = ((value.len() as u64) << 32) | key.len() as u64;
        item.sizes.store(sizes, Ordering::Relaxed);
        if ends != 0 && ends < self.parts.header.next_end.0.load(Ordering::Relaxed) {
            self.parts.header.next_end.0.fetch_min(ends, Ordering::Relaxed);
        }
    }

    fn check_sizes(&self, key: &[u8], len: usize) -> Result<(), PutError> {
        let fits = !key.is_empty()
            && key.len() as u64 <= self.geometry.key_size
            && len > 0
            && len as u64 <= self.geometry.largest();
        if fits { Ok(()) } else { Err(PutError::Size) }
    }

    /// Puts an item in; `ends`: seconds since the epoch, 0: never.
    ///
    /// # Errors
    /// See [`PutError`].
    pub fn put(&self, key: &[u8], value: &[u8], ends: u64, mode: Mode) -> Result<(), PutError> {
        self.check_sizes(key, value.len())?;
        self.change(key, mode, |_| (value, ends))
    }

    /// The same, with value and end made of the item that is there, under its lock: its place and itself.
    pub(super) fn change<V: AsRef<[u8]>>(
        &self,
        key: &[u8],
        mode: Mode,
        make: impl Fn(Option<(u32, &'static Item)>) -> (V, u64),
    ) -> Result<(), PutError> {
        let hash = self.hash(key);
        let bucket = self.bucket(hash);
        loop {
            let refused = {
                let held = self.hold(bucket);
                match self.try_change(&held, hash, key, mode, &make) {
                    Err(PutError::Full) => PutError::Full,
                    done => return done,
                }
            };
            if !self.make_room() {
                self.parts.header.full.fetch_add(1, Ordering::Relaxed);
                self.say_full();
                return Err(refused);
            }
        }
    }

    /// Once a minute is enough.
    fn say_full(&self) {
        let now = now();
        let before = self.said_full.load(Ordering::Relaxed);
        if !self.options.ignores_full && now >= before + 60 {
            self.said_full.store(now, Ordering::Relaxed);
            crate::say!(
                "*** DANGER cache \"{}\" is FULL !!! *** give it more items or blocks, or purge_lru=1",
                self.name
            );
        }
    }

    fn try_change<V: AsRef<[u8]>>(
        &self,
        held: &Held,
        hash: u64,
        key: &[u8],
        mode: Mode,
        make: &impl Fn(Option<(u32, &'static Item)>) -> (V, u64),
    ) -> Result<(), PutError> {
        let header = self.parts.header;
        let bucket = self.bucket(hash);
        let mut there = self.find(bucket, |at, item| self.is(at, item, hash, key));
        let live = there.as_ref().and_then(|f| Some((f.at, self.item(f.at)?)));
        let live = live.filter(|(_, item)| {
            let ends = item.ends.load(Ordering::Relaxed);
            ends == 0 || ends > now()
        });
        if live.is_some() && mode == Mode::Add {
            return Err(PutError::Exists);
        }
        let (value, ends) = make(live);
        let value = value.as_ref();
        let slot = self.take_slot(held).ok_or(PutError::Full)?;
        let mut first_block = 0;
        if self.geometry.chained {
            let count = self.blocks_for(value.len());
            first_block = match self.take_blocks(count) {
                Some(first) => first,
                None => {
                    // the blocks of the old value may be what is missing: it has to go first, if that helps
                    let Some(found) = there.take() else {
                        return Err(PutError::Full);
                    };
                    let old = self.parts.items[found.at as usize - 1].sizes.load(Ordering::Relaxed) >> 32;
                    let free = self
                        .geometry
                        .blocks
                        .saturating_sub(header.blocks.taken.load(Ordering::Relaxed));
                    if free + self.blocks_for(old as usize) < count {
                        return Err(PutError::Full);
                    }
                    self.unlink(held, bucket, &found);
                    self.take_blocks(count).ok_or(PutError::Full)?
                }
            };
        }
        if there.is_none() {
            let more = |n: u64| (n < self.geometry.items).then_some(n + 1);
            if header
                .live
                .0
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
                .is_err()
            {
                self.give_blocks(first_block);
                return Err(PutError::Full);
            }
        }
        self.fill(slot, hash, key, value, ends, first_block);
        let (before, next) = match &there {
            Some(found) => (found.before, self.slot_link(found.at).load(Ordering::Relaxed)),
            None => (0, self.parts.buckets[bucket].load(Ordering::Relaxed) as u32),
        };
        self.slot_link(slot).store(next, Ordering::Relaxed);
        self.link(bucket, before, slot);
        held.stripe.spare.store(0, Ordering::Relaxed);
        if let Some(found) = there {
            self.give_slot(held, found.at);
        }
        self.touch();
        Ok(())
    }

    /// Removes an item; whether it was there.
    pub fn remove(&self, key: &[u8]) -> bool {
        let hash = self.hash(key);
        let bucket = self.bucket(hash);
        let held = self.hold(bucket);
        let Some(found) = self.find(bucket, |at, item| self.is(at, item, hash, key)) else {
            return false;
        };
        let ends = self.parts.items[found.at as usize - 1].ends.load(Ordering::Relaxed);
        self.unlink(&held, bucket, &found);
        ends == 0 || ends > now()
    }

    /// Removes all items.
    pub fn clear(&self) {
        for bucket in 0..self.parts.buckets.len() {
            if self.parts.buckets[bucket].load(Ordering::Relaxed) as u32 == 0 {
                continue;
            }
            let held = self.hold(bucket);
            while let Some(found) = self.find(bucket, |_, _| true) {
                self.unlink(&held, bucket, &found);
            }
        }
    }

    /// All keys, in no order.
    pub fn keys(&self) -> Vec<Vec<u8>> {
        let mut keys = Vec::new();
        let now = now();
        for bucket in 0..self.parts.buckets.len() {
            if self.parts.buckets[bucket].load(Ordering::Relaxed) as u32 == 0 {
                continue;
            }
            let _held = self.hold(bucket);
            for (at, item) in self.chain(bucket) {
                let ends = item.ends.load(Ordering::Relaxed);
                if ends == 0 || ends > now {
                    keys.push(self.key_of(at, item));
                }
            }
        }
        keys
    }
}
