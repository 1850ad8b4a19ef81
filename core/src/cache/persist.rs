//! A cache in a file (`store`): the file is its memory, so that what was put in survives the death of every process.
//! After the machine itself went down, each item is checked: what is not whole is dropped. One server at a time.

use super::layout::{Geometry, VERSION};
use super::store::{Cache, Parts};
use super::{CacheError, repair};
use crate::settings::CacheSettings;
use crate::shared::region::{self, FileError, Region};
use std::sync::atomic::Ordering;

/// Opens the file and maps it.
pub(super) fn open(settings: &CacheSettings, path: &str, label: &str, size: usize) -> Result<Region, CacheError> {
    let refuse = |e: FileError| CacheError::Store {
        name: settings.name.clone(),
        file: path.to_owned(),
        why: match e {
            FileError::Length(..) => format!("{e} (store_delete=1 replaces it)"),
            e => e.to_string(),
        },
    };
    Region::open_file(label, path, size, settings.store_delete).map_err(refuse)
}

/// Whether what lies there is a cache of these numbers.
pub(super) fn fits(parts: &Parts, geometry: &Geometry) -> bool {
    let header = parts.header;
    let numbers = header.geometry.iter().map(|n| n.load(Ordering::Relaxed));
    header.version.load(Ordering::Relaxed) == VERSION && numbers.eq(geometry.numbers())
}

/// What to say when it is not.
pub(super) fn foreign(settings: &CacheSettings, path: &str, parts: &Parts) -> CacheError {
    let number = |n: usize| parts.header.geometry[n].load(Ordering::Relaxed);
    CacheError::Store {
        name: settings.name.clone(),
        file: path.to_owned(),
        why: format!(
            "it was made with items={},blocksize={},blocks={},keysize={},bitmap={},purge_lru={}: keep these, or move it away",
            number(0),
            number(1),
            number(2),
            number(3),
            number(5),
            number(6)
        ),
    }
}

/// Builds the chains of a file's cache anew, from the items that are whole; how many those are, and how many are not.
pub(super) fn restore(cache: &Cache) -> (u64, u64) {
    let parts = &cache.parts;
    let header = parts.header;
    let slots = parts.items.len() as u64;
    let fresh = header.slots.fresh.load(Ordering::Relaxed).min(slots);
    header.slots.fresh.store(fresh, Ordering::Relaxed);
    let blocks = header
        .blocks
        .fresh
        .load(Ordering::Relaxed)
        .min(parts.links.len() as u64);
    header.blocks.fresh.store(blocks, Ordering::Relaxed);
    for bucket in parts.buckets {
        bucket.store(0, Ordering::Relaxed);
    }
    let (mut kept, mut dropped) = (0, 0);
    let mut used_blocks = vec![false; parts.links.len()];
    for (item, at) in parts.items[..fresh as usize].iter().zip(1..) {
        let sizes = item.sizes.load(Ordering::Relaxed);
        if sizes == 0 {
            continue;
        }
        match whole(cache, at, &used_blocks) {
            Some((number, blocks)) if kept < cache.geometry.items => {
                for block in blocks {
                    used_blocks[block as usize - 1] = true;
                }
                let first = parts.buckets[number].load(Ordering::Relaxed);
                item.next.store(first as u32, Ordering::Relaxed);
                parts.buckets[number].store(u64::from(at), Ordering::Relaxed);
                kept += 1;
            }
            _ => {
                item.sizes.store(0, Ordering::Relaxed);
                dropped += 1;
            }
        }
    }
    repair::mend(cache);
    header.damaged.store(0, Ordering::Release);
    (kept, dropped)
}

/// The bucket of an item that is what was put in, and its blocks.
fn whole(cache: &Cache, at: u32, used_blocks: &[bool]) -> Option<(usize, Vec<u32>)> {
    let parts = &cache.parts;
    let item = cache.item(at)?;
    let sizes = item.sizes.load(Ordering::Relaxed);
    let (len, key_len) = ((sizes >> 32) as usize, u64::from(sizes as u32));
    if key_len == 0 || key_len > cache.geometry.key_size || len == 0 || len as u64 > cache.geometry.largest() {
        return None;
    }
    let key = cache.key_of(at, item);
    let hash = cache.hash(&key);
    if item.hash.load(Ordering::Relaxed) != hash {
        return None;
    }
    let mut blocks = Vec::new();
    if cache.geometry.chained {
        let mut block = item.block.load(Ordering::Relaxed);
        while block != 0 {
            let is_free = !*used_blocks.get(block as usize - 1)?;
            if !is_free || blocks.contains(&block) || blocks.len() as u64 >= cache.geometry.blocks {
                return None;
            }
            blocks.push(block);
            block = parts.links[block as usize - 1].load(Ordering::Relaxed);
        }
        if blocks.len() as u64 != (len as u64).div_ceil(cache.geometry.block_size) {
            return None;
        }
    }
    let mut value = vec![0; len];
    cache.copy_value(at, item, len, &mut value);
    if parts.checks.get(at as usize - 1)?.load(Ordering::Relaxed) != cache.hash(&value) {
        return None;
    }
    let bucket = cache.bucket(hash);
    // one that was about to replace the other
    let twice = cache
        .chain(bucket)
        .any(|(other, it)| it.hash.load(Ordering::Relaxed) == hash && cache.key_of(other, it) == key);
    (!twice).then_some((bucket, blocks))
}

/// Starts writing what has changed to the disk (`store_sync`), without waiting for it.
pub(super) fn sync(cache: &Cache) {
    if let Some(file) = cache.file {
        region::start_writing(file);
    }
}
