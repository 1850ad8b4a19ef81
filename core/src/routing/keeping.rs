//! Answers that a rule puts into a cache: their bodies are kept while they leave, and stored when they were whole.
//! Filled by the response of the request in work, in its worker.

use crate::cache::Mode;
use crate::cache::anywhere::{self, Lasts, Place, Put};
use crate::request::{Core, bytes_of};
use libc::iovec;

/// Bytes of an answer that are kept for a cache of another instance.
const MOST_ELSEWHERE: usize = 1 << 20;

/// A body on its way into a cache.
#[derive(Debug)]
pub struct Keeping {
    cache: Vec<u8>,
    key: Vec<u8>,
    seconds: u64,
    body: Vec<u8>,
    /// What the cache can hold at most.
    most: usize,
}

impl Keeping {
    /// Nothing yet of an answer that is to be stored; `None`: there is no such cache.
    pub fn new(cache: Vec<u8>, key: Vec<u8>, seconds: u64) -> Option<Self> {
        let most = match anywhere::place(&cache) {
            Place::Own(own) => own.geometry().largest() as usize,
            Place::Other(..) => MOST_ELSEWHERE,
            Place::None => return None,
        };
        Some(Self {
            cache,
            key,
            seconds,
            body: Vec::new(),
            most,
        })
    }

    /// Keeps so many bytes of these; `false`: there is too much for the cache.
    fn take(&mut self, parts: &[iovec], mut size: usize) -> bool {
        if self.body.len() + size > self.most {
            return false;
        }
        for part in parts {
            // SAFETY: the parts of a body that is being sent.
            let bytes = unsafe { bytes_of(part) };
            let bytes = &bytes[..bytes.len().min(size)];
            size -= bytes.len();
            self.body.extend_from_slice(bytes);
        }
        true
    }
}

/// Bytes of the answer's body leave: the first `size` of these.
pub fn pass(core: &mut Core, parts: &[iovec], size: u64) {
    let keeping = &mut core.routing.keeping;
    if keeping.as_mut().is_some_and(|k| !k.take(parts, size as usize)) {
        *keeping = None;
    }
}

/// The answer is whole: a success is stored.
pub fn store(core: &mut Core) {
    if let Some(kept) = core.routing.keeping.take()
        && core.raw().status == 200
        && !kept.body.is_empty()
    {
        let (lasts, put) = (Lasts::Seconds(kept.seconds), Put::Value(Mode::Replace));
        anywhere::put(&kept.cache, &kept.key, &kept.body, lasts, put);
    }
}
