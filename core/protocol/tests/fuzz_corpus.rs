//! The fuzz targets' checks on a stable compiler: over their corpora, and over arbitrary bytes for a moment.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

#[path = "../fuzz/checks.rs"]
mod checks;

/// A target's name and what it checks.
type Check = (&'static str, fn(&[u8]));

const CHECKS: [Check; 9] = [
    ("http1_head", checks::http1_head),
    ("chunked_body", checks::chunked_body),
    ("uwsgi_vars", checks::uwsgi_vars),
    ("response_head", checks::response_head),
    ("websocket_frames", checks::websocket_frames),
    ("fastcgi_records", checks::fastcgi_records),
    ("scgi_head", checks::scgi_head),
    ("proxy_header", checks::proxy_header),
    ("forwarded_client", checks::forwarded_client),
];

/// The seeds of one target.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let entries = fs::read_dir(folder).expect("a corpus");
    entries
        .map(|entry| fs::read(entry.expect("an entry").path()).expect("a seed"))
        .collect()
}

#[test]
fn every_seed_passes() {
    for (name, check) in CHECKS {
        let seeds = corpus(name);
        assert!(!seeds.is_empty(), "{name} has no seeds");
        seeds.iter().for_each(|seed| check(seed));
    }
}

proptest! {
    /// Seeds with some bytes replaced: close enough to the grammar to get past the first line.
    #[test]
    fn mutated_seeds_pass(target in 0..CHECKS.len(), pick in any::<prop::sample::Index>(),
                          edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6)) {
        let (name, check) = CHECKS[target];
        let seeds = corpus(name);
        let mut data = pick.get(&seeds).clone();
        for (at, byte) in edits {
            *at.get_mut(&mut data) = byte;
        }
        check(&data);
    }
}
