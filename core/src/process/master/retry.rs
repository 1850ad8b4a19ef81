//! Children that could not live, until they are tried again.

use std::time::{Duration, Instant};

/// Numbers of gateways, mules or spoolers, with the moment of their next try.
#[derive(Default)]
pub(super) struct Retries(Vec<(Instant, usize)>);

impl Retries {
    /// One is to be tried again after a pause.
    pub(super) fn plan(&mut self, number: usize, pause: Duration) {
        self.0.push((Instant::now() + pause, number));
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.iter().map(|(at, _)| *at).min()
    }

    /// Takes out one whose pause is over.
    pub(super) fn take_due(&mut self) -> Option<usize> {
        let now = Instant::now();
        let due = self.0.iter().position(|(at, _)| *at <= now)?;
        Some(self.0.remove(due).1)
    }

    /// Nobody waits any more.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_whose_pause_is_over_come_out() {
        let mut retries = Retries::default();
        retries.plan(1, Duration::from_secs(3600));
        assert!(retries.next().is_some_and(|at| at > Instant::now()));
        assert_eq!(retries.take_due(), None);
        retries.plan(2, Duration::ZERO);
        assert_eq!((retries.take_due(), retries.take_due()), (Some(2), None));
        retries.clear();
        assert_eq!(retries.next(), None);
    }
}
