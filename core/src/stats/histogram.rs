//! How long requests took, by the class of their status: counters in shared memory, one set per worker, which the worker counts
//! in and the master adds up when somebody asks.

use crate::shared::add;
use crate::shared::region::Region;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The upper ends of the buckets in microseconds, and as Prometheus writes them; what is longer is in the last one.
pub const BOUNDS: [(u64, &str); 12] = [
    (1_000, "0.001"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (10_000_000, "10"),
];
/// 1xx to 5xx.
pub const CLASSES: usize = 5;
const BUCKETS: usize = BOUNDS.len() + 1;
/// By it the next image finds the memory; another layout needs another name.
const REGION: &str = "request durations 1";

/// The counters of a class.
#[repr(C)]
struct Counters {
    buckets: [AtomicU64; BUCKETS],
    micros: AtomicU64,
}

type Set = [Counters; CLASSES];

static SETS: OnceLock<&'static [Set]> = OnceLock::new();

/// A class, added up over all workers.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Durations {
    /// Requests per bucket.
    pub buckets: [u64; BUCKETS],
    /// The time of all together.
    pub micros: u64,
}

/// Makes the counters, before the first fork; those of the image before go on.
///
/// # Errors
/// The system has no memory for them.
pub fn prepare(workers: usize) -> nix::Result<()> {
    let region = Region::open(REGION, (workers + 1) * size_of::<Set>())?;
    // SAFETY: of that size, aligned to a page; zero bytes are counters.
    let _ = SETS.set(unsafe { std::slice::from_raw_parts(region.base.cast(), workers + 1) });
    Ok(())
}

/// A request of a worker has ended; `alone`: no other thread of it counts.
pub fn count(worker: usize, status: i32, micros: u64, alone: bool) {
    let class = usize::try_from(status / 100).unwrap_or(0).wrapping_sub(1);
    let Some(counters) = SETS
        .get()
        .and_then(|sets| sets.get(worker))
        .and_then(|set| set.get(class))
    else {
        return;
    };
    let bucket = BOUNDS
        .iter()
        .position(|(bound, _)| micros <= *bound)
        .unwrap_or(BOUNDS.len());
    add(&counters.buckets[bucket], 1, alone);
    add(&counters.micros, micros, alone);
}

/// All classes.
pub fn durations() -> [Durations; CLASSES] {
    let mut all = [Durations::default(); CLASSES];
    for set in SETS.get().copied().unwrap_or_default() {
        for (sum, counters) in all.iter_mut().zip(set) {
            sum.micros += counters.micros.load(Ordering::Relaxed);
            for (sum, bucket) in sum.buckets.iter_mut().zip(&counters.buckets) {
                *sum += bucket.load(Ordering::Relaxed);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_class_and_duration() {
        prepare(2).unwrap();
        for (worker, status, micros) in [(1, 200, 900), (2, 204, 1000), (1, 200, 1001), (2, 503, 60_000_000)] {
            count(worker, status, micros, worker == 1);
        }
        // no answer, no worker
        count(1, 0, 5, true);
        count(9, 200, 5, false);
        count(1, 700, 5, true);
        let all = durations();
        assert_eq!((all[1].buckets[0], all[1].buckets[1], all[1].micros), (2, 1, 2901));
        assert_eq!((all[4].buckets[BOUNDS.len()], all[4].micros), (1, 60_000_000));
        assert_eq!(all.iter().flat_map(|d| d.buckets).sum::<u64>(), 4);
    }
}
