//! The cache against a plain map, under threads, and with processes that are killed while they write.

use super::layout::{MAGIC, Places};
use super::store::{Parts, now};
use super::*;
use crate::shared::lock::SharedLock;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};
use proptest::prelude::*;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn small() -> Geometry {
    Geometry {
        items: 8,
        block_size: 16,
        blocks: 8,
        key_size: 200,
        buckets: 64,
        chained: false,
        stamped: false,
        checked: true,
    }
}

fn with(geometry: Geometry, options: Options) -> Cache {
    let places = Places::of(&geometry).unwrap();
    let flags = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let size = NonZeroUsize::new(places.size).unwrap();
    // SAFETY: fresh zero pages that are never unmapped.
    let parts = unsafe {
        let base = mmap_anonymous(None, size, flags, MapFlags::MAP_SHARED).unwrap();
        let parts = Parts::of(base.as_ptr().cast(), &geometry, &places);
        for stripe in parts.stripes {
            SharedLock::make((&raw const stripe.lock).cast_mut()).unwrap();
        }
        parts
    };
    parts.header.seed.store(42, Ordering::Relaxed);
    parts.header.magic.store(MAGIC, Ordering::Relaxed);
    Cache::new("test".into(), geometry, parts, options, None)
}

fn got(cache: &Cache, key: &str) -> Option<String> {
    let (value, _) = cache.value(key.as_bytes())?;
    Some(String::from_utf8(value).unwrap())
}

fn add(cache: &Cache, key: &str, value: &str) -> Result<(), PutError> {
    cache.put(key.as_bytes(), value.as_bytes(), 0, Mode::Add)
}

fn replace(cache: &Cache, key: &str, value: &str) -> Result<(), PutError> {
    cache.put(key.as_bytes(), value.as_bytes(), 0, Mode::Replace)
}

#[test]
fn items_are_added_replaced_and_removed() {
    let cache = with(small(), Options::default());
    assert_eq!(got(&cache, "k"), None);
    assert_eq!(add(&cache, "k", "first"), Ok(()));
    assert_eq!(add(&cache, "k", "second"), Err(PutError::Exists));
    assert_eq!(got(&cache, "k").as_deref(), Some("first"));
    assert_eq!(replace(&cache, "k", "third"), Ok(()));
    assert_eq!(got(&cache, "k").as_deref(), Some("third"));
    assert!(cache.contains(b"k"));
    assert!(cache.remove(b"k"));
    assert!(!cache.remove(b"k"));
    assert!(!cache.contains(b"k"));
    let figures = cache.figures();
    assert_eq!((figures.items, figures.hits, figures.misses), (0, 2, 1));
    assert_eq!(verify(&cache), Ok(0));
}

#[test]
fn sizes_have_limits() {
    let cache = with(small(), Options::default());
    let (key, long) = ("x".repeat(200), "x".repeat(201));
    assert_eq!(add(&cache, &key, &"v".repeat(16)), Ok(()));
    assert_eq!(got(&cache, &key).as_deref(), Some("v".repeat(16).as_str()));
    assert_eq!(add(&cache, &long, "v"), Err(PutError::Size));
    assert_eq!(add(&cache, "k", &"v".repeat(17)), Err(PutError::Size));
    assert_eq!(add(&cache, "k", ""), Err(PutError::Size));
    assert_eq!(add(&cache, "", "v"), Err(PutError::Size));
    assert_eq!(got(&cache, &long), None);
    assert_eq!(cache.keys(), [key.into_bytes()]);
}

#[test]
fn a_full_cache_refuses_what_is_new_and_takes_what_replaces() {
    let cache = with(small(), Options::default());
    for n in 0..8 {
        assert_eq!(add(&cache, &format!("k{n}"), "v"), Ok(()));
    }
    assert_eq!(add(&cache, "more", "v"), Err(PutError::Full));
    for n in 0..8 {
        assert_eq!(replace(&cache, &format!("k{n}"), "w"), Ok(()));
    }
    assert!(cache.remove(b"k3"));
    assert_eq!(add(&cache, "more", "v"), Ok(()));
    assert_eq!((cache.figures().items, cache.figures().full), (8, 1));
    assert_eq!(verify(&cache), Ok(8));
    cache.clear();
    assert_eq!((cache.keys().len(), verify(&cache)), (0, Ok(0)));
}

#[test]
fn values_of_many_blocks_use_all_of_them() {
    let geometry = Geometry {
        blocks: 10,
        chained: true,
        ..small()
    };
    let cache = with(geometry, Options::default());
    assert_eq!(add(&cache, "a", &"a".repeat(96)), Ok(()));
    assert_eq!(add(&cache, "b", &"b".repeat(65)), Err(PutError::Full));
    assert_eq!(add(&cache, "b", &"b".repeat(64)), Ok(()));
    assert_eq!(got(&cache, "a"), Some("a".repeat(96)));
    assert_eq!(got(&cache, "b"), Some("b".repeat(64)));
    // the old value's own blocks are needed for the new one
    assert_eq!(replace(&cache, "a", &"c".repeat(90)), Ok(()));
    assert_eq!(got(&cache, "a"), Some("c".repeat(90)));
    assert_eq!(replace(&cache, "a", &"c".repeat(97)), Err(PutError::Full));
    assert_eq!(got(&cache, "a"), Some("c".repeat(90)), "what cannot be replaced stays");
    assert_eq!(replace(&cache, "a", &"c".repeat(161)), Err(PutError::Size));
    assert!(cache.remove(b"b"));
    assert_eq!(replace(&cache, "a", &"c".repeat(160)), Ok(()));
    assert_eq!(verify(&cache), Ok(1));
}

#[test]
fn the_item_not_used_for_longest_goes() {
    let geometry = Geometry {
        stamped: true,
        ..small()
    };
    let options = Options {
        when_full: WhenFull::PurgeOldest,
        ..Options::default()
    };
    let cache = with(geometry, options);
    for n in 0..8 {
        assert_eq!(add(&cache, &format!("k{n}"), "v"), Ok(()));
    }
    assert!(got(&cache, "k0").is_some());
    assert_eq!(add(&cache, "k8", "v"), Ok(()));
    assert!(got(&cache, "k2").is_some());
    assert_eq!(add(&cache, "k9", "v"), Ok(()));
    let left: Vec<bool> = (0..10).map(|n| cache.contains(format!("k{n}").as_bytes())).collect();
    assert_eq!(left, [true, false, true, false, true, true, true, true, true, true]);
    assert_eq!(verify(&cache), Ok(8));
}

#[test]
fn items_end_and_make_room() {
    let cache = with(small(), Options::default());
    for n in 0..8 {
        let ends = if n < 6 { now() + 1000 } else { now() };
        let key = format!("k{n}");
        assert_eq!(cache.put(key.as_bytes(), b"v", ends, Mode::Add), Ok(()));
    }
    assert!(!cache.contains(b"k6"));
    assert_eq!(got(&cache, "k7"), None);
    assert_eq!(add(&cache, "k6", "again"), Ok(()), "what has ended is not there");
    assert_eq!(add(&cache, "k8", "room of k7"), Ok(()));
    assert_eq!(add(&cache, "k9", "no room"), Err(PutError::Full));
    assert_eq!((cache.sweep(), verify(&cache)), (0, Ok(8)));
    assert_eq!(cache.value(b"k1").unwrap().1, now() + 1000);
}

#[test]
fn numbers_change_and_keep_their_end() {
    let options = Options {
        math_start: 10,
        ..Options::default()
    };
    let cache = with(small(), options);
    let change = |change, by, lasts| cache.change_number(b"n", change, by, lasts).unwrap();
    change(Change::Subtract, 15, 1000);
    assert_eq!(cache.number(b"n"), -5);
    let ends = cache.value(b"n").unwrap().1;
    change(Change::Multiply, 3, 0);
    assert_eq!((cache.number(b"n"), cache.value(b"n").unwrap().1), (-15, ends));
    change(Change::Divide, 4, 0);
    assert_eq!(cache.number(b"n"), -3);
    change(Change::Divide, 0, 0);
    change(Change::Add, i64::MAX, 0);
    change(Change::Add, 1, 0);
    assert_eq!(cache.number(b"n"), i64::MIN);
    change(Change::Divide, -1, 0);
    assert_eq!(cache.number(b"n"), i64::MIN);
    replace(&cache, "n", "abc").unwrap();
    assert_eq!(cache.number(b"n"), 0);
    change(Change::Add, 1, 0);
    assert_eq!(cache.value(b"n").unwrap().0, b"bbc\0\0\0\0\0");
}

#[test]
fn readers_and_writers_of_many_threads_see_whole_values() {
    let geometry = Geometry {
        items: 40,
        block_size: 64,
        blocks: 90,
        chained: true,
        ..small()
    };
    let cache = with(geometry, Options::default());
    std::thread::scope(|s| {
        for thread in 0..4u32 {
            let cache = &cache;
            s.spawn(move || (0..20_000).for_each(|n| one_step(cache, thread * 1_000_003 + n)));
        }
    });
    verify(&cache).unwrap();
    for key in 0..KEYS {
        check(&cache, key);
    }
}

const KEYS: u32 = 50;

/// A value that tells for which key it was made, and whether it is whole.
fn value(key: u32, number: u32) -> Vec<u8> {
    let len = 8 + number % 150;
    let mut value = [key.to_le_bytes(), number.to_le_bytes()].concat();
    value.extend((8..len).map(|n| (key.wrapping_mul(31) ^ number ^ n) as u8));
    value
}

fn check(cache: &Cache, key: u32) {
    if let Some((got, _)) = cache.value(format!("key {key}").as_bytes()) {
        let number = u32::from_le_bytes(got[4..8].try_into().unwrap());
        assert_eq!(got, value(key, number), "key {key}");
    }
}

/// One of the things that are done to a cache, by a number.
fn one_step(cache: &Cache, n: u32) {
    let n = n.wrapping_mul(2_654_435_761).rotate_left(13);
    let key = n % KEYS;
    let name = format!("key {key}");
    match (n / KEYS) % 8 {
        0..=2 => drop(cache.put(name.as_bytes(), &value(key, n >> 8), 0, Mode::Replace)),
        3 => drop(cache.put(name.as_bytes(), &value(key, n >> 8), 0, Mode::Add)),
        4 => drop(cache.remove(name.as_bytes())),
        5 => drop(cache.change_number(b"count", Change::Add, 1, 0)),
        _ => check(cache, key),
    }
}

/// A process that works on the cache until it is killed.
fn worker(cache: &Cache, start: u32) -> Pid {
    // SAFETY: the child touches the cache and its own memory only.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
            let mut n = start;
            loop {
                one_step(cache, n);
                n = n.wrapping_add(1);
            }
        }
        ForkResult::Parent { child } => child,
    }
}

/// They are killed however the test ends.
struct Workers(Vec<Pid>);

impl Workers {
    fn kill_first(&mut self) {
        let victim = self.0.remove(0);
        kill(victim, Signal::SIGKILL).unwrap();
        waitpid(victim, None).unwrap();
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        while !self.0.is_empty() {
            self.kill_first();
        }
    }
}

/// `RSGI_KILLS=1000` for the long form (`make cache-kills`).
#[test]
fn processes_killed_while_they_write_corrupt_nothing() {
    let kills: u32 = std::env::var("RSGI_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(100);
    for (chained, stamped) in [(false, true), (true, false)] {
        let geometry = Geometry {
            items: 40,
            block_size: if chained { 64 } else { 160 },
            blocks: 90,
            chained,
            stamped,
            ..small()
        };
        let options = Options {
            when_full: if stamped {
                WhenFull::PurgeOldest
            } else {
                WhenFull::Refuse
            },
            ignores_full: true,
            ..Options::default()
        };
        let cache = with(geometry, options);
        let mut workers = Workers((0..3).map(|n| worker(&cache, n * 77_777)).collect());
        for round in 0..kills {
            std::thread::sleep(Duration::from_micros(u64::from(round * 7919 % 900)));
            workers.kill_first();
            repair::look_for_dead(&cache);
            for key in 0..KEYS {
                check(&cache, key);
            }
            if let Err(why) = verify(&cache) {
                panic!("after {round} kills: {why}");
            }
            workers.0.push(worker(&cache, round * 1_000_003));
        }
        drop(workers);
        verify(&cache).unwrap();
        let repaired = cache.parts.header.repairs.load(Ordering::Relaxed);
        println!("{kills} kills, {repaired} with a lock held (several blocks: {chained})");
        // otherwise nothing was tried
        assert!(repaired > kills / 50, "{repaired} of {kills} were hit while writing");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Add(u8, Vec<u8>),
    Replace(u8, Vec<u8>),
    Remove(u8),
    Get(u8),
    Clear,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let text = || prop::collection::vec(any::<u8>(), 1..40);
    let step = prop_oneof![
        4 => (0u8..12, text()).prop_map(|(k, v)| Step::Add(k, v)),
        4 => (0u8..12, text()).prop_map(|(k, v)| Step::Replace(k, v)),
        3 => (0u8..12).prop_map(Step::Remove),
        4 => (0u8..12).prop_map(Step::Get),
        1 => Just(Step::Clear),
    ];
    prop::collection::vec(step, 0..80)
}

proptest! {
    #[test]
    fn a_cache_is_a_map_with_limits(steps in steps(), chained in any::<bool>()) {
        let geometry = Geometry { items: 6, block_size: if chained { 8 } else { 40 }, blocks: 20, chained, buckets: 4, ..small() };
        let cache = with(geometry, Options { ignores_full: true, ..Options::default() });
        let mut map: HashMap<u8, Vec<u8>> = HashMap::new();
        let blocks = |map: &HashMap<u8, Vec<u8>>| map.values().map(|v| v.len().div_ceil(8)).sum::<usize>();
        for step in steps {
            let name = |k: u8| vec![k; 1 + usize::from(k) * 16];
            match step {
                Step::Add(k, v) | Step::Replace(k, v) if map.contains_key(&k) && v.is_empty() => drop((k, v)),
                Step::Add(k, v) => {
                    let expected = if map.contains_key(&k) {
                        Err(PutError::Exists)
                    } else if map.len() == 6 || (chained && blocks(&map) + v.len().div_ceil(8) > 20) {
                        Err(PutError::Full)
                    } else {
                        map.insert(k, v.clone());
                        Ok(())
                    };
                    prop_assert_eq!(cache.put(&name(k), &v, 0, Mode::Add), expected);
                }
                Step::Replace(k, v) => {
                    let mut then = map.clone();
                    then.insert(k, v.clone());
                    let expected = if then.len() > 6 || (chained && blocks(&then) > 20) {
                        Err(PutError::Full)
                    } else {
                        map = then;
                        Ok(())
                    };
                    prop_assert_eq!(cache.put(&name(k), &v, 0, Mode::Replace), expected);
                }
                Step::Remove(k) => prop_assert_eq!(cache.remove(&name(k)), map.remove(&k).is_some()),
                Step::Get(k) => prop_assert_eq!(cache.value(&name(k)).map(|(v, _)| v), map.get(&k).cloned()),
                Step::Clear => {
                    cache.clear();
                    map.clear();
                }
            }
        }
        prop_assert_eq!(verify(&cache), Ok(map.len() as u64));
        let mut keys = cache.keys();
        keys.sort();
        let mut expected: Vec<Vec<u8>> = map.keys().map(|k| vec![*k; 1 + usize::from(*k) * 16]).collect();
        expected.sort();
        prop_assert_eq!(keys, expected);
    }
}
