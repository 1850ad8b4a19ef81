//! Memory shared by all processes: caches, queue, areas.

use super::values::pairs;
use crate::options::parse;
use crate::options::spec::{Group, OptionSpec, bytes, flag, number, parsed, path};
use crate::settings::CacheSettings;

pub static GROUP: Group = Group {
    title: "Shared memory",
    rows: ROWS,
};

static ROWS: &[OptionSpec] = &[
    parsed("cache2", "a cache: name=NAME,items=1000,blocksize=65536", |s, v| {
        let cache = keyed_cache(v)?;
        if s.storage.caches.iter().any(|c| c.name == cache.name) {
            return Err(format!(
                "there is a cache \"{}\" already: give each its own name",
                cache.name
            ));
        }
        s.storage.caches.push(cache);
        Ok(())
    }),
    number("cache", "a cache named default with this many items", |s, n| {
        s.storage.old_cache.items = n
    }),
    bytes("cache-blocksize", "bytes of a block of the default cache", |s, n| {
        s.storage.old_cache.block_size = n
    })
    .range(1, u32::MAX as u64),
    path("cache-store", "keep the default cache in a file", |s, v| {
        s.storage.old_cache.store = Some(v.into())
    }),
    number(
        "cache-store-sync",
        "seconds between two looks for what the file has not yet",
        |s, n| s.storage.old_cache.store_sync = n,
    ),
    flag(
        "cache-use-last-modified",
        "keep the moment of the default cache's last change",
        |s, on| s.storage.old_cache.last_modified = on,
    ),
    number("cache-expire-freq", "seconds between two sweeps of caches", |s, n| {
        s.storage.cache_expire_freq = n
    })
    .range(1, u32::MAX as u64),
    flag("cache-no-expire", "never sweep caches", |s, on| {
        s.storage.cache_no_expire = on
    }),
    flag(
        "cache-report-freed-items",
        "say how many items a sweep has removed",
        |s, on| s.storage.cache_report_freed_items = on,
    ),
    parsed(
        "add-cache-item",
        "put an item into a cache: [CACHE ]KEY=VALUE",
        |s, v| {
            let (cache, item) = of_cache(v);
            let Some((key, value)) = item.split_once('=') else {
                return Err(format!("\"{item}\" is no KEY=VALUE"));
            };
            s.storage.cache_items.push((cache.into(), key.into(), value.into()));
            Ok(())
        },
    )
    .verbatim(),
    path(
        "load-file-in-cache",
        "put a file into a cache, by its name: [CACHE ]FILE",
        |s, v| {
            let (cache, file) = of_cache(v);
            s.storage.cache_files.push((cache.into(), file.into()));
        },
    ),
    number("queue", "a shared queue with this many slots", |s, n| {
        s.storage.queue = n
    }),
    parsed(
        "queue-blocksize",
        "bytes of a queue's slot, 16 of them for itself",
        |s, v| {
            let size = parse::number(v, 24, u32::MAX.into())?;
            if size % 8 != 0 {
                return Err(format!("invalid number \"{size}\": give a multiple of 8"));
            }
            s.storage.queue_blocksize = size;
            Ok(())
        },
    ),
    parsed(
        "sharedarea",
        "a shared memory area: of so many pages, or size=BYTES",
        |s, v| {
            let size = area_size(v)?;
            s.storage.shared_areas.push(size);
            Ok(())
        },
    )
    .short('A'),
    path("queue-store", "keep the queue in a file", |s, v| {
        s.storage.queue_store = Some(v.into())
    }),
    number(
        "queue-store-sync",
        "seconds between two looks for what the queue's file has not yet",
        |s, n| s.storage.queue_store_sync = n,
    ),
];

/// `PAGES`, `pages=PAGES` or `size=BYTES`: bytes.
fn area_size(value: &str) -> Result<u64, String> {
    const PAGE: u64 = 4096;
    let pages = |text: &str| parse::number(text, 1, 1 << 40).map(|n| n * PAGE);
    if !value.contains('=') {
        return pages(value);
    }
    match pairs(value)?.as_slice() {
        [(key, value)] if key == "pages" => pages(value),
        [(key, value)] if key == "size" => parse::number(value, 1, 1 << 52),
        _ => Err(format!(
            "invalid area \"{value}\": give a number of pages, pages=PAGES or size=BYTES"
        )),
    }
}

/// `[CACHE ]REST`
fn of_cache(value: &str) -> (&str, &str) {
    match value.split_once(' ') {
        Some((cache, rest)) if !cache.contains(['=', '/']) => (cache, rest.trim_start()),
        _ => ("", value),
    }
}

/// `name=pages,items=1000,…`, by uWSGI's names and their variants.
fn keyed_cache(value: &str) -> Result<CacheSettings, String> {
    let mut cache = CacheSettings {
        given: value.to_owned(),
        ..CacheSettings::default()
    };
    let mut blocks_given = false;
    for (key, value) in pairs(value)? {
        let number = |min, max| parse::number(&value, min, max).map_err(|e| format!("{key}: {e}"));
        let on = || parse::boolean(&value).ok_or_else(|| format!("{key}: \"{value}\" is neither true nor false"));
        let most = u64::from(u32::MAX);
        match key.as_str() {
            "name" => cache.name.clone_from(&value),
            "items" | "max_items" | "maxitems" => cache.items = number(1, 1 << 31)?,
            "blocksize" => cache.block_size = number(1, most)?,
            "blocks" => {
                cache.blocks = number(1, 1 << 31)?;
                blocks_given = true;
            }
            "keysize" | "key_size" => cache.key_size = number(1, 65_535)?,
            "hashsize" | "hash_size" => cache.hash_size = number(0, 1 << 31)?,
            "bitmap" => cache.bitmap = on()?,
            "purge_lru" => cache.purge_lru = on()?,
            "clear_on_full" => cache.clear_on_full = on()?,
            "ignore_full" => cache.ignore_full = on()?,
            "lastmod" => cache.last_modified = on()?,
            "no_expire" => cache.no_expire = on()?,
            "store" => cache.store = Some(value.clone()).filter(|v| !v.is_empty()),
            "store_delete" => cache.store_delete = on()?,
            "store_sync" | "storesync" => cache.store_sync = number(0, most)?,
            "math_initial" => {
                cache.math_initial = value
                    .parse()
                    .map_err(|_| format!("{key}: \"{value}\" is no whole number"))?
            }
            // what they ask for always holds here: items end on time, room is swept first, one hash for all
            "lazy" | "lazy_expire" | "sweep_on_full" => drop(on()?),
            "hash" => {}
            "nodes" | "node" | "sync" | "udp" | "udp_server" | "udp_servers" => {
                return Err(format!(
                    "{key}: caches are not copied between servers in this version: ask one server as name@address"
                ));
            }
            other => {
                return Err(format!(
                    "unknown key \"{other}\" of a cache: known are name, items, blocksize, blocks, keysize, hashsize, \
                     bitmap, purge_lru, clear_on_full, ignore_full, lastmod, no_expire, store, store_delete, store_sync, \
                     math_initial"
                ));
            }
        }
    }
    if cache.name.is_empty() {
        return Err("you have to specify a cache name: name=NAME".into());
    }
    if cache.items == 0 {
        return Err(format!(
            "you have to specify the maximum number of cache items of \"{}\": items=NUMBER",
            cache.name
        ));
    }
    if blocks_given && !cache.bitmap && cache.blocks < cache.items {
        return Err(format!(
            "invalid number of cache blocks for \"{}\": without bitmap=1 each of the {} items needs one",
            cache.name, cache.items
        ));
    }
    Ok(cache)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn a_cache_is_read_from_its_keys() {
        let cache = keyed_cache("name=a,max_items=7,bitmap=1,blocks=9,store=/x,math_initial=-1,purge_lru=1").unwrap();
        assert_eq!(
            (cache.name.as_str(), cache.items, cache.blocks, cache.bitmap),
            ("a", 7, 9, true)
        );
        assert_eq!(
            (cache.block_size, cache.key_size, cache.math_initial),
            (65_536, 2048, -1)
        );
        assert_eq!((cache.store.as_deref(), cache.purge_lru), (Some("/x"), true));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, what) in [
            ("name=a", "number of cache items"),
            ("items=5", "cache name"),
            ("name=a,items=0", "items: invalid number"),
            ("name=a,items=many", "items: invalid number"),
            ("name=a,items=5,blocks=2", "blocks for \"a\""),
            ("name=a,items=5,bitmap=maybe", "bitmap: \"maybe\""),
            ("name=a,items=5,colour=red", "\"colour\""),
            ("name=a,items=5,nodes=x:1", "name@address"),
            ("name=a,items", "\"items\""),
        ] {
            let said = keyed_cache(text).unwrap_err();
            assert!(said.contains(what), "{text}: {said}");
        }
    }

    #[test]
    fn an_item_may_name_its_cache() {
        let mut s = Settings::default();
        let row = ROWS.iter().find(|r| r.name == "add-cache-item").unwrap();
        let crate::options::Apply::Parsed(set) = row.apply else {
            panic!("another form")
        };
        for text in ["a=b c", "two a=b", "a b"] {
            let _ = set(&mut s, text);
        }
        let items: Vec<_> = s
            .storage
            .cache_items
            .iter()
            .map(|(c, k, v)| [c, k, v].map(String::as_str))
            .collect();
        assert_eq!(items, [["", "a", "b c"], ["two", "a", "b"]]);
    }
}
