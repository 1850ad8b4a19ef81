//! Caches that all processes share (`--cache2`, `--cache`): made in the start, used by every process, swept by the
//! master, handed to the next image when their numbers stay as they are. [`Cache`] is one.

pub mod anywhere;
mod free;
mod layout;
mod number;
mod persist;
mod repair;
mod room;
mod store;
#[cfg(test)]
mod tests;
mod words;

use crate::process::{Role, role};
use crate::say;
use crate::settings::{CacheSettings, Settings, Storage};
use crate::shared::lock::SharedLock;
use crate::shared::region::Region;
use crate::startup::preflight;
use layout::{MAGIC, Places, VERSION};
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::Instant;
use store::Parts;

pub use layout::Geometry;
pub use number::Change;
pub use repair::verify;
pub use store::{Cache, Mode, PutError, WhenFull, now};

/// What a cache does, beside how it lies in memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// `purge_lru`, `clear_on_full`
    pub when_full: WhenFull,
    /// `lastmod`
    pub keeps_time: bool,
    /// `math_initial`
    pub math_start: i64,
    /// `ignore_full`
    pub ignores_full: bool,
    /// `no_expire`
    pub never_swept: bool,
}

/// Why a cache could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// More than the machine can say.
    #[error("cache \"{0}\" is too large: give fewer items or smaller blocks")]
    TooLarge(String),
    /// The system refuses memory, or what belongs to it.
    #[error("cannot make cache \"{0}\": {1}; give it fewer items or smaller blocks")]
    System(String, String),
    /// The file is of a cache of other numbers, or of something else.
    #[error("cache \"{name}\" cannot use its store {file}: {why}")]
    Store {
        /// The cache.
        name: String,
        /// The file.
        file: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// Where that was asked for.
    #[error("{0} ({1})")]
    At(Box<CacheError>, String),
    /// Something to be put in at the start.
    #[error("{0}")]
    Item(String),
}

static CACHES: OnceLock<Vec<Cache>> = OnceLock::new();

/// The caches, in the order of the configuration; the first one is the default.
pub fn caches() -> &'static [Cache] {
    CACHES.get().map_or(&[], Vec::as_slice)
}

/// The cache of this name; the first one for an empty name.
pub fn find(name: &[u8]) -> Option<&'static Cache> {
    let all = caches();
    match name.is_empty() {
        true => all.first(),
        false => all.iter().find(|c| c.name.as_bytes() == name),
    }
}

/// All that were asked for, that of the old options first.
fn wanted(storage: &Storage) -> impl Iterator<Item = &CacheSettings> {
    let old = Some(&storage.old_cache).filter(|old| old.items > 0);
    old.into_iter().chain(&storage.caches)
}

fn geometry(settings: &CacheSettings) -> Geometry {
    let blocks = settings.blocks.max(if settings.bitmap { 1 } else { settings.items });
    Geometry {
        items: settings.items,
        block_size: settings.block_size,
        blocks: if settings.bitmap { blocks } else { settings.items },
        key_size: settings.key_size,
        buckets: settings.items.max(settings.hash_size).next_power_of_two().max(64),
        chained: settings.bitmap,
        stamped: settings.purge_lru,
        checked: settings.store.is_some(),
    }
}

/// Makes the caches and puts in what the configuration names; in the start, before plugins see it.
///
/// # Errors
/// See [`CacheError`].
pub fn prepare(settings: &Settings) -> Result<(), CacheError> {
    let mut all = Vec::new();
    for asked in wanted(&settings.storage) {
        let place = || preflight::place_of_value(settings, &asked.given);
        all.push(open(asked).map_err(|e| CacheError::At(Box::new(e), place()))?);
    }
    let _ = CACHES.set(all);
    for (cache, key, value) in &settings.storage.cache_items {
        put_first(cache, key.as_bytes(), value.as_bytes(), "add-cache-item")?;
    }
    for (cache, file) in &settings.storage.cache_files {
        let text = std::fs::read(file).map_err(|e| {
            CacheError::Item(format!(
                "load-file-in-cache: cannot read {file}: {}",
                crate::config::system_message(&e)
            ))
        })?;
        put_first(cache, file.as_bytes(), &text, "load-file-in-cache")?;
    }
    Ok(())
}

fn put_first(cache: &str, key: &[u8], value: &[u8], option: &str) -> Result<(), CacheError> {
    let shown = String::from_utf8_lossy(key);
    let found = find(cache.as_bytes())
        .ok_or_else(|| CacheError::Item(format!("{option}: there is no cache \"{cache}\" for {shown}")))?;
    found.put(key, value, 0, Mode::Replace).map_err(|e| {
        CacheError::Item(format!(
            "{option}: {shown} does not go into cache \"{}\": {e}",
            found.name
        ))
    })
}

fn open(settings: &CacheSettings) -> Result<Cache, CacheError> {
    let geometry = geometry(settings);
    let name = &settings.name;
    let too_large = || CacheError::TooLarge(name.clone());
    let places = Places::of(&geometry).ok_or_else(too_large)?;
    let numbers: Vec<String> = geometry.numbers().iter().map(u64::to_string).collect();
    let label = format!("cache {VERSION} {} {name}", numbers.join("."));
    let options = Options {
        when_full: match (settings.purge_lru, settings.clear_on_full) {
            (true, _) => WhenFull::PurgeOldest,
            (_, true) => WhenFull::Clear,
            _ => WhenFull::Refuse,
        },
        keeps_time: settings.last_modified,
        math_start: settings.math_initial,
        ignores_full: settings.ignore_full,
        never_swept: settings.no_expire,
    };
    // a trial finds out whether everything loads; the caches are those of others
    let stored = settings.store.as_ref().filter(|_| role() != Role::Trial);
    let failed = |e: nix::Error| CacheError::System(name.clone(), e.desc().to_owned());
    let (region, is_file) = match stored {
        Some(path) => (persist::open(settings, path, &label, places.size)?, true),
        None => (Region::open(&label, places.size).map_err(failed)?, false),
    };
    // SAFETY: of that size, aligned to a page; the label, or the header of a file, says that it is of this layout.
    let parts = unsafe { Parts::of(region.base, &geometry, &places) };
    let taken_over = region.inherited >= places.size && parts.header.magic.load(Ordering::Acquire) == MAGIC;
    if taken_over && !persist::fits(&parts, &geometry) {
        let file = stored.cloned().unwrap_or_default();
        return Err(persist::foreign(settings, &file, &parts));
    }
    let is_inherited = taken_over && !region.fresh_file;
    if !is_inherited {
        // nobody else has it: locks of whoever had it before mean nothing now
        for stripe in parts.stripes {
            // SAFETY: inside the region; nobody uses it yet.
            unsafe { SharedLock::make((&raw const stripe.lock).cast_mut()) }.map_err(failed)?;
        }
    }
    if !taken_over {
        let header = parts.header;
        header.seed.store(seed(), Ordering::Relaxed);
        header.version.store(VERSION, Ordering::Relaxed);
        for (field, number) in header.geometry.iter().zip(geometry.numbers()) {
            field.store(number, Ordering::Relaxed);
        }
        header.magic.store(MAGIC, Ordering::Release);
    }
    let cache = Cache::new(name.clone(), geometry, parts, options, is_file.then_some(region.fd));
    if taken_over && is_file && !is_inherited {
        let begun = Instant::now();
        let (kept, dropped) = persist::restore(&cache);
        say!(
            "cache \"{name}\": {kept} items of {} in {} ms{}",
            stored.map_or("", |p| p.as_str()),
            begun.elapsed().as_millis(),
            if dropped > 0 {
                format!(", {dropped} broken ones dropped")
            } else {
                String::new()
            }
        );
    } else if role() != Role::Trial {
        let how = if is_inherited { "taken over" } else { "initialized" };
        say!(
            "*** Cache \"{name}\" {how}: up to {} MB for {} items, {} blocks of {} bytes ***",
            places.size >> 20,
            geometry.items,
            geometry.block_slots(),
            geometry.block_size
        );
    }
    Ok(cache)
}

/// What nobody outside can guess.
fn seed() -> u64 {
    let mut bytes = [0; 8];
    // SAFETY: a place of eight bytes.
    unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    u64::from_ne_bytes(bytes)
}

/// Figures of a cache, for the statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheFigures {
    /// Items in it.
    pub items: u64,
    /// Keys found.
    pub hits: u64,
    /// Keys not found.
    pub misses: u64,
    /// How often there was no room.
    pub full: u64,
    /// Seconds since the epoch.
    pub modified: u64,
}

impl Cache {
    /// The figures now.
    pub fn figures(&self) -> CacheFigures {
        let header = self.parts.header;
        let sum = |of: fn(&layout::Lane) -> &std::sync::atomic::AtomicU64| {
            header.lanes.iter().map(|lane| of(lane).load(Ordering::Relaxed)).sum()
        };
        CacheFigures {
            items: header.live.0.load(Ordering::Relaxed),
            hits: sum(|lane| &lane.hits),
            misses: sum(|lane| &lane.misses),
            full: header.full.load(Ordering::Relaxed),
            modified: header.modified.load(Ordering::Relaxed),
        }
    }
}

/// What the master does for caches, each second.
#[derive(Debug)]
pub struct Keeper {
    seconds: u64,
}

impl Keeper {
    /// From the start on.
    pub fn new() -> Self {
        Self { seconds: 0 }
    }

    /// A second has passed.
    pub fn tick(&mut self, settings: &Settings) {
        self.seconds += 1;
        let storage = &settings.storage;
        let sweeps = !storage.cache_no_expire && self.seconds.is_multiple_of(storage.cache_expire_freq.max(1));
        for (cache, settings) in caches().iter().zip(wanted(storage)) {
            if sweeps && !cache.options.never_swept {
                let removed = cache.sweep();
                if removed > 0 && storage.cache_report_freed_items {
                    say!("freed {removed} items of cache \"{}\"", cache.name);
                }
            }
            if settings.store_sync > 0 && self.seconds.is_multiple_of(settings.store_sync) {
                persist::sync(cache);
            }
        }
    }
}

impl Default for Keeper {
    fn default() -> Self {
        Self::new()
    }
}
