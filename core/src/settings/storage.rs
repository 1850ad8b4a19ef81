//! Memory that all processes share: caches, the queue, areas.

/// A cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheSettings {
    /// The option's value as it was given, to find its place.
    pub given: String,
    /// By it applications ask.
    pub name: String,
    /// Items that it holds.
    pub items: u64,
    /// Bytes of a block.
    pub block_size: u64,
    /// Blocks, when values may have several; 0: as many as items.
    pub blocks: u64,
    /// The longest key.
    pub key_size: u64,
    /// Chains at least; 0: as many as items.
    pub hash_size: u64,
    /// Values may have several blocks.
    pub bitmap: bool,
    /// In a full cache the item that was not used for longest goes.
    pub purge_lru: bool,
    /// In a full cache all items go.
    pub clear_on_full: bool,
    /// Nothing is said about a full cache.
    pub ignore_full: bool,
    /// The moment of the last change is kept.
    pub last_modified: bool,
    /// Items whose time is over stay until they are asked for, or in the way.
    pub no_expire: bool,
    /// The file that it lives in.
    pub store: Option<String>,
    /// A file of other numbers is replaced.
    pub store_delete: bool,
    /// Seconds between two looks for what the disk has not yet; 0: when the system thinks so.
    pub store_sync: u64,
    /// What a number is before its first change.
    pub math_initial: i64,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            given: String::new(),
            name: String::new(),
            items: 0,
            block_size: 65_536,
            blocks: 0,
            key_size: 2048,
            hash_size: 0,
            bitmap: false,
            purge_lru: false,
            clear_on_full: false,
            ignore_full: false,
            last_modified: false,
            no_expire: false,
            store: None,
            store_delete: false,
            store_sync: 0,
            math_initial: 0,
        }
    }
}

/// `cache2`, `cache` …
#[derive(Debug, Clone, Default)]
pub struct Storage {
    /// In order; the first one is the default.
    pub caches: Vec<CacheSettings>,
    /// `cache`: the cache named `default`, with what the other options say of it.
    pub old_cache: CacheSettings,
    /// What is in a cache from the start: cache, key, value.
    pub cache_items: Vec<(String, String, String)>,
    /// Files that are in a cache from the start, by their names: cache, file.
    pub cache_files: Vec<(String, String)>,
    /// Seconds between two sweeps.
    pub cache_expire_freq: u64,
    /// Nothing is swept.
    pub cache_no_expire: bool,
    /// A line for each sweep that found something.
    pub cache_report_freed_items: bool,
    /// Slots of the queue; 0: there is none.
    pub queue: u64,
    /// Bytes of a slot.
    pub queue_blocksize: u64,
    /// The file that the queue lives in.
    pub queue_store: Option<String>,
    /// Seconds between two looks for what that file has not yet; 0: when the system thinks so.
    pub queue_store_sync: u64,
    /// Bytes of each shared area.
    pub shared_areas: Vec<u64>,
}

impl Storage {
    pub(super) fn apply_defaults(&mut self) {
        self.cache_expire_freq = 3;
        self.queue_blocksize = 8192;
        self.old_cache.name = "default".into();
    }
}
