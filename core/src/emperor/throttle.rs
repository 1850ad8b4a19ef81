//! How long a vassal that cannot live waits for its next try.

use std::time::{Duration, Instant};

/// The failures of one vassal.
#[derive(Debug, Default, Clone)]
pub struct Throttle {
    /// In a row.
    pub failures: u32,
    /// The pause that the last failure asked for.
    pub level: Duration,
    /// When the first one was, seconds since the epoch.
    pub first: i64,
    /// When the last one was.
    pub last: i64,
    /// Not before this.
    pub until: Option<Instant>,
}

impl Throttle {
    /// One failure more; the pause grows by `step` up to `most`, and not at all when it is to stay.
    pub fn fail(&mut self, now: i64, step: Duration, most: Duration, grows: bool) {
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 {
            self.first = now;
        }
        self.last = now;
        let times = if grows { self.failures } else { 1 };
        self.level = step.saturating_mul(times).min(most);
        self.until = Some(Instant::now() + self.level);
    }

    /// Whether the last failure brought the pause to its limit.
    pub fn just_reached(&self, step: Duration, most: Duration) -> bool {
        self.level == most && step.saturating_mul(self.failures.saturating_sub(1)) < most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit_which_is_said_once() {
        let (step, most) = (Duration::from_millis(1000), Duration::from_millis(2500));
        let mut throttle = Throttle::default();
        let mut seen = Vec::new();
        for now in 10..15 {
            throttle.fail(now, step, most, true);
            seen.push((throttle.level.as_millis(), throttle.just_reached(step, most)));
        }
        assert_eq!(
            seen,
            [(1000, false), (2000, false), (2500, true), (2500, false), (2500, false)]
        );
        assert_eq!((throttle.first, throttle.last, throttle.failures), (10, 14, 5));
        let mut steady = Throttle::default();
        (0..9).for_each(|now| steady.fail(now, step, most, false));
        assert_eq!(steady.level, step);
    }
}
