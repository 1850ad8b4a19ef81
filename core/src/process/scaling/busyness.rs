//! `--cheaper-algo busyness`: the share of time that workers spend in requests decides, looked at over windows of
//! `cheaper-overload` seconds; a queue that grows meanwhile brings emergency workers at once.

use super::{Change, Load};
use crate::settings::Busyness as Settings;

/// What the algorithm has seen.
#[derive(Debug, Clone)]
pub(super) struct Busyness {
    settings: Settings,
    /// Looks of a window.
    window: u32,
    /// Workers added at once.
    step: usize,
    looks: u32,
    /// Time spent in requests and time that was there, µs, in this window.
    worked: u64,
    available: u64,
    /// What all workers had worked at the last look.
    seen: Option<u64>,
    /// Windows in a row below the minimum.
    low: u32,
    /// Windows below the minimum that it takes to stop a worker; grows when one was stopped too early.
    patience: u32,
    /// Windows since a worker was stopped.
    since_stop: Option<u32>,
    /// Workers that a queue has called.
    emergency: u32,
    /// Looks in a row with a queue.
    queued: u32,
    /// For the log, if it was asked for.
    pub(super) remark: Option<String>,
}

impl Busyness {
    pub(super) fn new(settings: Settings, window: u32, step: usize) -> Self {
        Self {
            patience: settings.multiplier,
            settings,
            window: window.max(1),
            step,
            looks: 0,
            worked: 0,
            available: 0,
            seen: None,
            low: 0,
            since_stop: None,
            emergency: 0,
            queued: 0,
            remark: None,
        }
    }

    /// One look, once a second.
    pub(super) fn look(&mut self, load: &Load) -> Change {
        let seen = self.seen.replace(load.worked).unwrap_or(load.worked);
        self.worked += load.worked.saturating_sub(seen);
        self.available += load.elapsed * (load.running * load.cores.max(1)) as u64;
        self.looks += 1;
        if let Some(change) = self.emergency(load) {
            return change;
        }
        if self.looks < self.window {
            return Change::Keep;
        }
        let percent = (self.worked * 100).checked_div(self.available).unwrap_or(0).min(100) as u32;
        (self.looks, self.worked, self.available) = (0, 0, 0);
        let change = self.judge(percent, load);
        if self.settings.verbose {
            self.remark = Some(format!(
                "[busyness] {}s average busyness of {} worker(s) is at {percent}%, {} connection(s) wait: {}",
                self.window,
                load.running,
                load.backlog,
                match change {
                    Change::Keep => "no change".to_owned(),
                    Change::Add(n) => format!("{n} more"),
                    Change::Remove => "one less".to_owned(),
                }
            ));
        }
        change
    }

    /// Connections that wait call workers at once, whatever the average says.
    fn emergency(&mut self, load: &Load) -> Option<Change> {
        self.queued = if load.backlog > 0 { self.queued + 1 } else { 0 };
        let (many, long) = (self.settings.backlog_alert, self.settings.backlog_nonzero);
        let count = if many > 0 && load.backlog > many {
            self.settings.backlog_step.max(1)
        } else if long > 0 && self.queued >= long {
            1
        } else {
            return None;
        };
        self.queued = 0;
        self.emergency += count;
        self.low = 0;
        Some(Change::Add(count as usize))
    }

    fn judge(&mut self, percent: u32, load: &Load) -> Change {
        self.since_stop = self.since_stop.map(|n| n + 1);
        if percent > self.settings.max {
            self.low = 0;
            if self.since_stop.take().is_some_and(|n| n <= self.patience) {
                // it was needed after all: slower next time
                self.patience += self.settings.penalty;
            }
            return Change::Add(self.step);
        }
        if percent >= self.settings.min || load.backlog > 0 {
            self.low = 0;
            return Change::Keep;
        }
        self.low += 1;
        let needed = if self.emergency > 0 {
            self.settings.backlog_multiplier
        } else {
            self.patience
        };
        if self.low < needed {
            return Change::Keep;
        }
        self.low = 0;
        if self.since_stop.replace(0).is_some_and(|n| n > self.patience) {
            self.patience = self.settings.multiplier;
        }
        self.emergency = self.emergency.saturating_sub(1);
        Change::Remove
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn settings() -> Settings {
        Settings {
            min: 25,
            max: 50,
            multiplier: 3,
            penalty: 2,
            verbose: true,
            backlog_alert: 33,
            backlog_multiplier: 1,
            backlog_step: 2,
            backlog_nonzero: 4,
        }
    }

    /// Looks at a server of two workers that work so many percent of each second.
    struct Scene {
        policy: Busyness,
        worked: u64,
    }

    impl Scene {
        fn new() -> Self {
            let mut scene = Self {
                policy: Busyness::new(settings(), 2, 1),
                worked: 0,
            };
            // the first look only learns where the counters stand
            scene.window(0, 0);
            scene.policy.low = 0;
            scene
        }

        fn look(&mut self, percent: u64, backlog: u32) -> Change {
            self.worked += 2 * SECOND * percent / 100;
            self.policy.look(&Load {
                running: 2,
                cores: 1,
                worked: self.worked,
                elapsed: SECOND,
                backlog,
                ..Load::default()
            })
        }

        fn window(&mut self, percent: u64, backlog: u32) -> Change {
            match self.look(percent, backlog) {
                Change::Keep => self.look(percent, backlog),
                change => change,
            }
        }
    }

    #[test]
    fn a_busy_window_adds_and_some_quiet_ones_remove() {
        let mut scene = Scene::new();
        assert_eq!(scene.window(60, 0), Change::Add(1));
        assert_eq!(scene.window(40, 0), Change::Keep);
        for _ in 0..2 {
            assert_eq!(scene.window(10, 0), Change::Keep);
        }
        assert_eq!(scene.window(10, 0), Change::Remove);
        assert!(scene.policy.remark.is_some());
    }

    #[test]
    fn a_worker_stopped_too_early_costs_patience() {
        let mut scene = Scene::new();
        for _ in 0..3 {
            scene.window(0, 0);
        }
        assert_eq!(scene.window(90, 0), Change::Add(1));
        assert_eq!(scene.policy.patience, 5);
        for _ in 0..4 {
            assert_eq!(scene.window(0, 0), Change::Keep);
        }
        assert_eq!(scene.window(0, 0), Change::Remove);
    }

    #[test]
    fn a_queue_calls_emergency_workers_and_they_leave_sooner() {
        let mut scene = Scene::new();
        assert_eq!(scene.look(0, 34), Change::Add(2));
        assert_eq!(scene.look(0, 34), Change::Add(2));
        assert_eq!(scene.policy.emergency, 4);
        scene.policy.looks = 0;
        assert_eq!(scene.window(0, 0), Change::Remove);
        // a short queue must last
        let mut scene = Scene::new();
        for _ in 0..3 {
            assert_eq!(scene.look(30, 1), Change::Keep);
        }
        assert_eq!(scene.look(30, 1), Change::Add(1));
    }
}
