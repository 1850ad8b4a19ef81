//! How a cache lies in memory: header, stripes, buckets, items, keys that are too long for their item, values. All
//! fields are atomics, since processes read while others write; zero bytes are an empty cache, so that pages are
//! touched as the cache fills. An index is stored as itself plus 1, and 0 is none.

use crate::shared::lock::SharedLock;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// Another layout is another number: memory and files of others are not taken over.
pub const VERSION: u64 = 1;
/// What a header begins with.
pub const MAGIC: u64 = u64::from_le_bytes(*b"rsgicach");
/// Keys up to this length lie in their item.
pub const INLINE_KEY: usize = 96;
/// Locks of a large cache; a power of two.
const STRIPES: usize = 256;
/// So many items at least for each.
const ITEMS_OF_STRIPE: u64 = 16;
/// Rows of counters: each process has one to itself, unless there are very many.
pub const LANES: usize = 256;

/// The numbers that say how the bytes lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Items that the cache holds.
    pub items: u64,
    /// Bytes of a value's block.
    pub block_size: u64,
    /// Blocks: as many as items, unless values may have several.
    pub blocks: u64,
    /// The longest key.
    pub key_size: u64,
    /// Chains; a power of two.
    pub buckets: u64,
    /// Values may take several blocks (`bitmap`).
    pub chained: bool,
    /// Uses are stamped, so that the item not used for longest can go (`purge_lru`).
    pub stamped: bool,
    /// Values are summed up, so that a file can be checked (`store`).
    pub checked: bool,
}

impl Geometry {
    /// Locks: few for a small cache, because each keeps one item and block in hand.
    pub fn stripes(&self) -> usize {
        ((self.items / ITEMS_OF_STRIPE).next_power_of_two() as usize).min(STRIPES)
    }

    /// Items and those in hand.
    pub fn slots(&self) -> usize {
        self.items as usize + self.stripes()
    }

    /// Blocks and, when each item has its own, those in hand.
    pub fn block_slots(&self) -> usize {
        match self.chained {
            true => self.blocks as usize,
            false => self.slots(),
        }
    }

    /// The words of a block.
    pub fn block_words(&self) -> usize {
        self.block_size.div_ceil(8) as usize
    }

    /// The words of a key outside of its item.
    pub fn key_words(&self) -> usize {
        match self.key_size as usize > INLINE_KEY {
            true => (self.key_size as usize).div_ceil(8),
            false => 0,
        }
    }

    /// The largest value.
    pub fn largest(&self) -> u64 {
        let most = if self.chained {
            self.blocks * self.block_size
        } else {
            self.block_size
        };
        most.min(u32::MAX.into())
    }

    /// The same as numbers, as headers and names of memory keep them.
    pub fn numbers(&self) -> [u64; 8] {
        [
            self.items,
            self.block_size,
            self.blocks,
            self.key_size,
            self.buckets,
            self.chained.into(),
            self.stamped.into(),
            self.checked.into(),
        ]
    }
}

/// Where the parts lie, bytes from the start.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    pub stripes: usize,
    pub buckets: usize,
    pub items: usize,
    pub stamps: usize,
    pub checks: usize,
    pub links: usize,
    pub keys: usize,
    pub data: usize,
    pub size: usize,
}

impl Places {
    /// `None`: more than an address can say.
    pub fn of(g: &Geometry) -> Option<Self> {
        let mut size = size_of::<Header>();
        let mut room = |count: usize, each: usize| {
            let at = size;
            size = size
                .checked_add(count.checked_mul(each)?)?
                .checked_next_multiple_of(128)?;
            Some(at)
        };
        let (slots, blocks) = (g.slots(), g.block_slots());
        let only = |wanted: bool, count: usize| if wanted { count } else { 0 };
        let stripes = room(g.stripes(), size_of::<Stripe>())?;
        let buckets = room(g.buckets as usize, 8)?;
        let items = room(slots, size_of::<Item>())?;
        let stamps = room(only(g.stamped, slots), 8)?;
        let checks = room(only(g.checked, slots), 8)?;
        let links = room(only(g.chained, blocks), 4)?;
        let keys = room(slots, g.key_words().checked_mul(8)?)?;
        let data = room(blocks, g.block_words().checked_mul(8)?)?;
        (slots < u32::MAX as usize && blocks < u32::MAX as usize && size < isize::MAX as usize).then_some(Self {
            stripes,
            buckets,
            items,
            stamps,
            checks,
            links,
            keys,
            data,
            size,
        })
    }
}

/// A field on a line of the processor's cache of its own.
#[repr(C, align(128))]
#[derive(Default)]
pub struct Alone<T>(pub T);

/// Free indices: a stack of those given back, and behind it those never used.
#[repr(C, align(128))]
#[derive(Default)]
pub struct FreeList {
    /// A count of changes in the upper half, the index on top in the lower.
    pub head: AtomicU64,
    /// From here on nothing was ever used.
    pub fresh: AtomicU64,
    /// How many are taken.
    pub taken: AtomicU64,
}

/// Counters.
#[repr(C, align(128))]
#[derive(Default)]
pub struct Lane {
    pub hits: AtomicU64,
    pub misses: AtomicU64,
}

/// The head of a cache.
#[repr(C)]
pub struct Header {
    /// [`MAGIC`], once the rest is made.
    pub magic: AtomicU64,
    pub version: AtomicU64,
    pub geometry: [AtomicU64; 8],
    /// Of the hash.
    pub seed: AtomicU64,
    /// Somebody died inside: what is free must be found anew before anything is written.
    pub damaged: AtomicU32,
    /// How often that was done.
    pub repairs: AtomicU32,
    /// Items in the cache.
    pub live: Alone<AtomicU64>,
    pub slots: FreeList,
    pub blocks: FreeList,
    /// No item ends before this moment, seconds since the epoch; 0: unknown.
    pub next_end: Alone<AtomicU64>,
    /// How often there was no room.
    pub full: AtomicU64,
    /// Seconds since the epoch.
    pub modified: AtomicU64,
    pub lanes: [Lane; LANES],
}

/// A lock and what its holder works with.
#[repr(C, align(64))]
pub struct Stripe {
    pub lock: SharedLock,
    /// A free item, kept for the next write.
    pub spare: AtomicU32,
}

/// An item. What its holder writes before anybody can find it does not change until it is free again.
#[repr(C, align(128))]
pub struct Item {
    pub hash: AtomicU64,
    /// Seconds since the epoch; 0: never.
    pub ends: AtomicU64,
    /// The value's length in the upper half, the key's in the lower; 0: the item is free.
    pub sizes: AtomicU64,
    /// The next of its chain, or of the free ones.
    pub next: AtomicU32,
    /// Its first block, when values may have several.
    pub block: AtomicU32,
    /// The key, if it is no longer than that.
    pub key: [AtomicU64; INLINE_KEY / 8],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_and_a_stripe_keep_to_their_lines() {
        assert_eq!(size_of::<Item>(), 128);
        assert_eq!(size_of::<Stripe>(), 64);
    }

    #[test]
    fn what_no_address_can_say_is_no_layout() {
        let mut g = Geometry {
            items: 1_000_000,
            block_size: 65_536,
            blocks: 1_000_000,
            key_size: 2048,
            buckets: 1 << 20,
            chained: false,
            stamped: true,
            checked: true,
        };
        assert!(Places::of(&g).is_some());
        g.block_size = u64::MAX / 16;
        assert!(Places::of(&g).is_none());
        (g.block_size, g.items) = (8, 1 << 33);
        assert!(Places::of(&g).is_none());
    }
}
