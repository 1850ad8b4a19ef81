//! The timers of the master: one ordered map of deadlines. A timer keeps its beat whatever the master was doing:
//! deadlines follow each other by the period, and those that were missed collapse into one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[derive(Debug, Clone, PartialEq, Eq)]
struct Timer {
    signal: u8,
    period: Duration,
    /// Signals to come; 0: for ever.
    left: u32,
    /// Pids of the workers that asked for it; 0: the master.
    owners: Vec<i32>,
}

/// All timers.
#[derive(Debug, Default)]
pub struct Timers {
    due: BTreeMap<(Instant, u64), Timer>,
    last: u64,
}

impl Timers {
    /// Adds one. An endless one that is there already gets one owner more.
    pub fn add(&mut self, signal: u8, period: Duration, iterations: u32, owner: i32, now: Instant) {
        let same = |t: &&mut Timer| t.signal == signal && t.period == period && t.left == 0 && iterations == 0;
        if let Some(timer) = self.due.values_mut().find(same) {
            if !timer.owners.contains(&owner) {
                timer.owners.push(owner);
            }
            return;
        }
        self.last += 1;
        let timer = Timer {
            signal,
            period,
            left: iterations,
            owners: vec![owner],
        };
        self.due.insert((now + period, self.last), timer);
    }

    /// Takes those for a signal away.
    pub fn remove(&mut self, signal: u8) {
        self.due.retain(|_, timer| timer.signal != signal);
    }

    /// A worker has ended, and with it what only it wanted.
    pub fn release(&mut self, owner: i32) {
        self.due.retain(|_, timer| {
            timer.owners.retain(|o| *o != owner);
            !timer.owners.is_empty()
        });
    }

    /// When the next one is due.
    pub fn next(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// The signals that are due, in the order of their deadlines.
    pub fn expire(&mut self, now: Instant) -> Vec<u8> {
        let mut signals = Vec::new();
        while let Some(entry) = self.due.first_entry()
            && entry.key().0 <= now
        {
            let ((at, id), mut timer) = entry.remove_entry();
            signals.push(timer.signal);
            if timer.left == 1 {
                continue;
            }
            timer.left = timer.left.saturating_sub(1);
            let behind = now.saturating_duration_since(at).as_nanos() / timer.period.as_nanos().max(1);
            let missed = u32::try_from(behind).unwrap_or(u32::MAX);
            let next = (at + timer.period)
                .checked_add(timer.period.saturating_mul(missed))
                .unwrap_or(now + timer.period);
            self.due.insert((next, id), timer);
        }
        signals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_timer_keeps_its_beat_and_missed_ones_collapse() {
        let (mut timers, start) = (Timers::default(), Instant::now());
        timers.add(17, SECOND, 0, 0, start);
        assert_eq!(timers.expire(start + SECOND / 2), Vec::<u8>::new());
        let late = Duration::from_millis(30);
        for n in 1..=100 {
            assert_eq!(timers.expire(start + SECOND * n + late), vec![17]);
            assert_eq!(timers.next(), Some(start + SECOND * (n + 1)));
        }
        // asleep for five and a half seconds: one signal, and the old beat
        assert_eq!(timers.expire(start + SECOND * 105 + SECOND / 2), vec![17]);
        assert_eq!(timers.next(), Some(start + SECOND * 106));
    }

    #[test]
    fn iterations_end_exactly() {
        let (mut timers, start) = (Timers::default(), Instant::now());
        timers.add(1, SECOND, 3, 0, start);
        timers.add(2, SECOND, 1, 0, start);
        let mut all = Vec::new();
        for n in 1..10 {
            all.extend(timers.expire(start + SECOND * n));
        }
        assert_eq!(all, vec![1, 2, 1, 1]);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn one_that_several_workers_ask_for_is_one_and_ends_with_the_last() {
        let (mut timers, start) = (Timers::default(), Instant::now());
        timers.add(17, SECOND, 0, 100, start);
        timers.add(17, SECOND, 0, 200, start);
        timers.add(17, SECOND, 0, 200, start);
        timers.add(18, SECOND, 0, 0, start);
        assert_eq!(timers.expire(start + SECOND), vec![17, 18]);
        timers.release(100);
        assert_eq!(timers.expire(start + SECOND * 2), vec![17, 18]);
        timers.release(200);
        assert_eq!(timers.expire(start + SECOND * 3), vec![18]);
        timers.remove(18);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn one_shots_are_not_merged() {
        let (mut timers, start) = (Timers::default(), Instant::now());
        timers.add(17, SECOND, 1, 0, start);
        timers.add(17, SECOND, 1, 0, start);
        assert_eq!(timers.expire(start + SECOND), vec![17, 17]);
    }
}
