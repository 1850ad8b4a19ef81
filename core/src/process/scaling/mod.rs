//! How many workers there should be (`--cheaper`): looked at by the master once a second, from figures in shared
//! memory alone.

mod busyness;
pub mod plugin;

use crate::plugin::inside::Brought;
use crate::settings::Processes;
use busyness::Busyness;
use rsgi_plugin_api::abi::UwsgiCheaperFn;

/// The algorithms by name; the first one is used when none, or an unknown one, is asked for.
pub const ALGORITHMS: [&str; 5] = ["spare", "spare2", "backlog", "busyness", "manual"];

/// All algorithms, those of plugins too.
pub fn names() -> Vec<String> {
    let mut names = ALGORITHMS.map(str::to_owned).to_vec();
    names.extend(
        plugin::ALGORITHMS
            .names()
            .into_iter()
            .filter(|name| !ALGORITHMS.contains(&name.as_str())),
    );
    names
}

#[derive(Debug, Clone)]
enum Algorithm {
    /// One idle worker is kept in reserve.
    Spare,
    /// As many idle workers as `cheaper` are kept in reserve.
    Spare2,
    /// The time spent in requests decides.
    Busyness(Box<Busyness>),
    /// The queue of connections decides.
    Backlog,
    /// Only the operator decides (FIFO, signals).
    Manual,
    /// A plugin decides.
    Plugin(Brought<UwsgiCheaperFn>),
}

/// What the server does at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Workers that run and are to stay.
    pub running: usize,
    /// Those of them that serve a request.
    pub busy: usize,
    /// Connections that wait to be accepted.
    pub backlog: u32,
    /// Resident bytes of all workers.
    pub resident: u64,
    /// Cores of each worker.
    pub cores: usize,
    /// What all workers have spent in requests since they exist, µs.
    pub worked: u64,
    /// Time since the last look, µs.
    pub elapsed: u64,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    Keep,
    /// So many more.
    Add(usize),
    /// One less.
    Remove,
}

/// The rules of an instance and what they have seen so far.
#[derive(Debug, Clone)]
pub struct ScalingPolicy {
    algorithm: Algorithm,
    least: usize,
    initial: usize,
    most: usize,
    step: usize,
    overload: u32,
    soft_limit: u64,
    hard_limit: u64,
    /// Looks in a row without an idle worker.
    full: u32,
    /// Looks in a row with more than one.
    slack: u32,
    /// `--cheaper-idle`, looks.
    idle: u32,
}

impl ScalingPolicy {
    /// The rules of the configuration; `None`: all workers always run. An unknown algorithm is reported through
    /// `say`, and the default one taken.
    pub fn new(settings: &Processes, say: impl Fn(&str)) -> Option<Self> {
        if settings.cheaper == 0 {
            return None;
        }
        let algorithm = match settings.cheaper_algo.as_str() {
            // also one that replaces ours
            name if let Some(func) = plugin::ALGORITHMS.find(name) => Algorithm::Plugin(func),
            "spare" => Algorithm::Spare,
            "spare2" => Algorithm::Spare2,
            "busyness" => Algorithm::Busyness(Box::new(Busyness::new(
                settings.busyness.clone(),
                settings.cheaper_overload,
                (settings.cheaper_step as usize).max(1),
            ))),
            "backlog" => Algorithm::Backlog,
            "manual" => Algorithm::Manual,
            other => {
                let known = names().join(", ");
                say(&format!(
                    "unable to find requested cheaper algorithm {other} (there are: {known}), falling back to spare"
                ));
                Algorithm::Spare
            }
        };
        let (least, most) = (settings.cheaper as usize, settings.workers as usize);
        Some(Self {
            algorithm,
            least,
            initial: (settings.cheaper_initial as usize).clamp(least, most.max(least)),
            most,
            step: (settings.cheaper_step as usize).max(1),
            overload: settings.cheaper_overload.max(1),
            soft_limit: settings.cheaper_rss_limit_soft,
            hard_limit: settings.cheaper_rss_limit_hard,
            full: 0,
            slack: 0,
            idle: settings.cheaper_idle,
        })
    }

    /// Workers at the start.
    pub fn initial(&self) -> usize {
        self.initial
    }

    /// Whether memory is to be measured.
    pub fn needs_memory(&self) -> bool {
        self.soft_limit > 0 || self.hard_limit > 0
    }

    /// One look, once a second.
    pub fn decide(&mut self, load: &Load) -> Change {
        let wish = self.wish(load);
        if self.hard_limit > 0 && load.resident >= self.hard_limit {
            return self.bounded(Change::Remove, load);
        }
        match wish {
            Change::Add(_) if self.soft_limit > 0 && load.resident >= self.soft_limit => Change::Keep,
            wish => self.bounded(wish, load),
        }
    }

    /// A change, within the least and the most workers.
    pub fn bounded(&self, change: Change, load: &Load) -> Change {
        match change {
            Change::Add(n) => match n.min(self.most.saturating_sub(load.running)) {
                0 => Change::Keep,
                n => Change::Add(n),
            },
            Change::Remove if load.running <= self.least => Change::Keep,
            other => other,
        }
    }

    /// What the algorithm has to say, if `--cheaper-busyness-verbose` wants it.
    pub fn remark(&mut self) -> Option<String> {
        match &mut self.algorithm {
            Algorithm::Busyness(busyness) => busyness.remark.take(),
            _ => None,
        }
    }

    fn wish(&mut self, load: &Load) -> Change {
        let idle = load.running.saturating_sub(load.busy);
        if let Algorithm::Plugin(func) = self.algorithm {
            let can_spawn = self.soft_limit == 0 || load.resident < self.soft_limit;
            // SAFETY: in the master, once a second, as the header states.
            return match func.call(|func| unsafe { func(i32::from(can_spawn)) }) {
                0 => Change::Keep,
                n if n > 0 => Change::Add(n.unsigned_abs() as usize),
                _ => Change::Remove,
            };
        }
        let (full, slack) = match &mut self.algorithm {
            Algorithm::Busyness(busyness) => return busyness.look(load),
            Algorithm::Spare2 => return self.keep_in_reserve(idle),
            Algorithm::Manual | Algorithm::Plugin(_) => (false, false),
            Algorithm::Spare => (load.busy >= load.running, load.running > load.busy + 1),
            Algorithm::Backlog => (load.backlog > self.overload, load.backlog == 0),
        };
        self.full = if full { self.full + 1 } else { 0 };
        self.slack = if slack { self.slack + 1 } else { 0 };
        // a queue that long has waited already
        let patience = match self.algorithm {
            Algorithm::Backlog => 1,
            _ => self.overload,
        };
        if self.full >= patience {
            self.full = 0;
            return Change::Add(self.step);
        }
        // slower down than up: a worker too many costs less than one too few
        if self.slack > self.overload {
            self.slack = 0;
            return Change::Remove;
        }
        Change::Keep
    }

    /// As many idle workers as `cheaper`; one too many is stopped when it was so for `--cheaper-idle` looks.
    fn keep_in_reserve(&mut self, idle: usize) -> Change {
        let missing = self.least.saturating_sub(idle);
        self.slack = if idle > self.least { self.slack + 1 } else { 0 };
        if missing > 0 {
            return Change::Add(missing.min(self.step));
        }
        if self.slack >= self.idle.max(1) {
            self.slack = 0;
            return Change::Remove;
        }
        Change::Keep
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use proptest::prelude::*;

    fn policy(set: impl FnOnce(&mut Processes)) -> ScalingPolicy {
        let mut processes = Settings::with_defaults(false).processes;
        (processes.workers, processes.cheaper) = (5, 1);
        set(&mut processes);
        ScalingPolicy::new(&processes, |_| {}).unwrap()
    }

    fn load(running: usize, busy: usize) -> Load {
        Load {
            running,
            busy,
            ..Load::default()
        }
    }

    #[test]
    fn spare_adds_after_some_full_looks_in_a_row_and_removes_after_idle_ones() {
        let mut p = policy(|p| (p.cheaper_overload, p.cheaper_step) = (2, 3));
        assert_eq!(p.decide(&load(1, 1)), Change::Keep);
        assert_eq!(p.decide(&load(1, 0)), Change::Keep);
        assert_eq!(p.decide(&load(1, 1)), Change::Keep);
        assert_eq!(p.decide(&load(1, 1)), Change::Add(3));
        assert_eq!(p.decide(&load(4, 4)), Change::Keep);
        assert_eq!(p.decide(&load(4, 4)), Change::Add(1));
        for _ in 0..5 {
            assert_eq!(p.decide(&load(5, 4)), Change::Keep);
        }
        assert_eq!(p.decide(&load(5, 1)), Change::Keep);
        assert_eq!(p.decide(&load(5, 1)), Change::Keep);
        assert_eq!(p.decide(&load(5, 1)), Change::Remove);
    }

    #[test]
    fn spare2_keeps_idle_workers_and_lets_go_of_the_surplus_after_a_while() {
        let mut p = policy(|p| {
            p.cheaper_algo = "spare2".into();
            (p.cheaper, p.cheaper_step, p.cheaper_idle) = (2, 2, 3);
        });
        assert_eq!(p.decide(&load(2, 1)), Change::Add(1));
        assert_eq!(p.decide(&load(2, 2)), Change::Add(2));
        assert_eq!(p.decide(&load(4, 2)), Change::Keep);
        for _ in 0..2 {
            assert_eq!(p.decide(&load(4, 1)), Change::Keep);
        }
        assert_eq!(p.decide(&load(4, 1)), Change::Remove);
    }

    #[test]
    fn memory_bounds_the_number_of_workers() {
        let mut p = policy(|p| {
            p.cheaper_overload = 1;
            (p.cheaper_rss_limit_soft, p.cheaper_rss_limit_hard) = (100, 200);
        });
        let with = |resident| Load { resident, ..load(3, 3) };
        assert_eq!(p.decide(&with(99)), Change::Add(1));
        assert_eq!(p.decide(&with(100)), Change::Keep);
        assert_eq!(p.decide(&with(200)), Change::Remove);
    }

    #[test]
    fn an_unknown_algorithm_is_said() {
        let mut processes = Settings::with_defaults(false).processes;
        (processes.workers, processes.cheaper) = (5, 1);
        processes.cheaper_algo = "nope".into();
        let said = std::cell::Cell::new(false);
        let p = ScalingPolicy::new(&processes, |text| said.set(text.contains("nope"))).unwrap();
        assert!(said.get() && matches!(p.algorithm, Algorithm::Spare));
    }

    proptest! {
        #[test]
        fn never_beyond_the_bounds(
            loads in proptest::collection::vec((0usize..9, 0u32..50, 0u64..300), 1..200),
            algorithm in 0usize..ALGORITHMS.len(),
            step in 1u32..4,
        ) {
            let mut p = policy(|p| {
                p.cheaper_algo = ALGORITHMS[algorithm].into();
                (p.cheaper, p.cheaper_step, p.cheaper_overload) = (2, step, 1);
                (p.cheaper_rss_limit_soft, p.cheaper_rss_limit_hard) = (100, 200);
            });
            let mut running = p.initial();
            for (busy, backlog, resident) in loads {
                match p.decide(&Load { running, busy: busy.min(running), backlog, resident, ..Load::default() }) {
                    Change::Keep => {}
                    Change::Add(n) => running += n,
                    Change::Remove => running -= 1,
                }
                prop_assert!((2..=5).contains(&running));
            }
        }
    }
}
