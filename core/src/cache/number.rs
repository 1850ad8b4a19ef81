//! Numbers in a cache: values of eight bytes, little endian, changed under the lock of their item.

use super::store::{Cache, Mode, PutError, now};

/// What is done to a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`; by zero: zero.
    Divide,
}

impl Change {
    fn of(self, number: i64, by: i64) -> i64 {
        match self {
            Self::Add => number.wrapping_add(by),
            Self::Subtract => number.wrapping_sub(by),
            Self::Multiply => number.wrapping_mul(by),
            Self::Divide if by == 0 => 0,
            Self::Divide => number.wrapping_div(by),
        }
    }
}

impl Cache {
    /// Changes the number of a key; one that is not there is 0, or what `math_initial` says. `lasts`: seconds from now,
    /// 0: it ends when it would have.
    ///
    /// # Errors
    /// See [`PutError`].
    pub fn change_number(&self, key: &[u8], change: Change, by: i64, lasts: u64) -> Result<(), PutError> {
        if key.is_empty() || key.len() as u64 > self.geometry.key_size || self.geometry.largest() < 8 {
            return Err(PutError::Size);
        }
        self.change(key, Mode::Replace, |there| {
            let mut bytes = [0; 8];
            let mut before = self.options.math_start;
            let mut ends = 0;
            if let Some((at, item)) = there {
                // a text that is shorter counts as if zeros followed
                let len = (item.sizes.load(std::sync::atomic::Ordering::Relaxed) >> 32) as usize;
                self.copy_value(at, item, len, &mut bytes);
                before = i64::from_le_bytes(bytes);
                ends = item.ends.load(std::sync::atomic::Ordering::Relaxed);
            }
            if lasts > 0 {
                ends = now().saturating_add(lasts);
            }
            (change.of(before, by).to_le_bytes(), ends)
        })
    }

    /// The number of a key; 0 when there is none.
    pub fn number(&self, key: &[u8]) -> i64 {
        let mut bytes = [0; 8];
        match self.get(key, &mut bytes) {
            Some((8, _)) => i64::from_le_bytes(bytes),
            _ => 0,
        }
    }
}
