//! Memory shared by all processes: caches, queue, areas.

use crate::options::spec::ArgKind::{No, Required};
use crate::options::spec::{Group, OptionSpec, later};

pub static GROUP: Group = Group {
    title: "Shared memory",
    rows: ROWS,
};

static ROWS: &[OptionSpec] = &[
    later("cache2", Required, "a cache: name=NAME,items=1000,blocksize=65536"),
    later("cache", Required, "a cache named default with this many items"),
    later("cache-blocksize", Required, "bytes of a cache's block"),
    later("cache-expire-freq", Required, "seconds between two sweeps of caches"),
    later("cache-no-expire", No, "never sweep caches"),
    later("queue", Required, "a shared queue with this many slots"),
    later("queue-blocksize", Required, "bytes of a queue's slot"),
    later("sharedarea", Required, "a shared memory area of this many pages").short('A'),
    later("queue-store", Required, "keep the queue in a file"),
    later(
        "queue-store-sync",
        Required,
        "seconds between two writes of the queue's file",
    ),
];
