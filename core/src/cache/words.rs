//! Bytes kept in words that others may read meanwhile: written before anybody can find them, read by whoever checks
//! afterwards that they were still meant. Both sides use relaxed atomics, so a late reader sees some mix, never harm.

use std::sync::atomic::{AtomicU64, Ordering};

/// Writes bytes; the rest of the last word becomes zero.
pub fn write(to: &[AtomicU64], bytes: &[u8]) {
    let (whole, rest) = bytes.as_chunks::<8>();
    for (word, chunk) in to.iter().zip(whole) {
        word.store(u64::from_le_bytes(*chunk), Ordering::Relaxed);
    }
    if let Some(word) = to.get(whole.len()).filter(|_| !rest.is_empty()) {
        word.store(last(bytes, rest), Ordering::Relaxed);
    }
}

/// Reads as many bytes as fit.
pub fn read(from: &[AtomicU64], bytes: &mut [u8]) {
    let (whole, rest) = bytes.as_chunks_mut::<8>();
    let count = whole.len();
    for (chunk, word) in whole.iter_mut().zip(from) {
        *chunk = word.load(Ordering::Relaxed).to_le_bytes();
    }
    if let Some(word) = from.get(count) {
        let mut word = word.load(Ordering::Relaxed);
        for byte in rest {
            *byte = word as u8;
            word >>= 8;
        }
    }
}

/// Whether these bytes lie there.
pub fn equal(there: &[AtomicU64], bytes: &[u8]) -> bool {
    let (whole, rest) = bytes.as_chunks::<8>();
    if there.len() < whole.len() + usize::from(!rest.is_empty()) {
        return false;
    }
    let same = |(word, chunk): (&AtomicU64, &[u8; 8])| word.load(Ordering::Relaxed) == u64::from_le_bytes(*chunk);
    there.iter().zip(whole).all(same)
        && (rest.is_empty() || there[whole.len()].load(Ordering::Relaxed) == last(bytes, rest))
}

/// The last word of `bytes`, of which `rest` is left: from one load where there are eight bytes, else byte by byte. A
/// copy to the stack and back would wait for itself.
fn last(bytes: &[u8], rest: &[u8]) -> u64 {
    match bytes.last_chunk::<8>() {
        Some(tail) => u64::from_le_bytes(*tail) >> (64 - 8 * rest.len()),
        None => rest.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_and_nothing_else_is_equal(text in prop::collection::vec(any::<u8>(), 0..70), at in 0usize..70) {
            let words: [AtomicU64; 9] = std::array::from_fn(|_| AtomicU64::new(u64::MAX));
            write(&words, &text);
            let mut back = vec![0; text.len()];
            read(&words, &mut back);
            prop_assert_eq!(&back, &text);
            prop_assert!(equal(&words, &text));
            if let Some(byte) = back.get_mut(at) {
                *byte ^= 1;
                prop_assert!(!equal(&words, &back));
            }
            prop_assert!(!equal(&words[..text.len() / 8], &[7; 73]));
        }
    }
}
