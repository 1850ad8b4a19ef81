//! Workers that miss a deadline (of a request, of their loop, of their start): found by the master once a second, and
//! ended in stages. Their stacks come first, then, when asked for, a soft signal and a grace, then the kill.

use super::{Kind, Master, Process, blame};
use crate::process::harakiri::{self, Answer, Missed};
use crate::say;
use crate::settings::Limits;
use crate::shared::SharedMemory;
use crate::stats::snapshot::queue_of;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a worker may take to write its stacks.
const STACKS_PATIENCE: Duration = Duration::from_secs(1);
/// How long a plugin that ends the process itself may take (`worker_abort`).
const ABORT_GRACE: Duration = Duration::from_secs(1);

/// A worker on its way out, because it missed a deadline or grew too large.
#[derive(Debug)]
pub(super) struct Condemned {
    pub(super) pid: i32,
    worker: usize,
    memory: &'static SharedMemory,
    /// For the log.
    pub(super) why: String,
    /// Which deadline; `None`: it grew too large.
    pub(super) missed: Option<Missed>,
    stage: Stage,
    until: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It was asked for its stacks; the soft signal of `--harakiri-graceful-timeout` comes next.
    SoftStacks,
    /// It got the soft signal and may finish.
    Soft,
    /// It was asked for its stacks; the kill comes next.
    Stacks,
    /// A plugin ends it.
    Grace,
    /// It was killed.
    Killed,
}

/// Whether somebody has stopped the process.
fn is_frozen(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

impl Condemned {
    /// When something is due; nothing after the kill.
    pub(super) fn due(&self) -> Option<Instant> {
        (self.stage != Stage::Killed).then_some(self.until)
    }

    /// One that is killed at once.
    pub(super) fn killed(pid: i32, worker: usize, memory: &'static SharedMemory, why: String) -> Self {
        let mut condemned = Self {
            pid,
            worker,
            memory,
            why,
            missed: None,
            stage: Stage::Killed,
            until: Instant::now(),
        };
        condemned.kill();
        condemned
    }

    fn kill(&mut self) {
        let _ = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
        self.stage = Stage::Killed;
    }

    fn enter(&mut self, stage: Stage, patience: Duration) {
        self.stage = stage;
        self.until = Instant::now() + patience;
    }

    /// Whether the worker has answered, and how; `None`: it may still do so.
    fn heard(&self, due: bool) -> Option<Answer> {
        let answer = harakiri::answer(self.memory, self.worker);
        if answer == Answer::None && due {
            let why = match harakiri::blocks_question(self.pid) {
                true => "it blocks or ignores signals in every thread, or is stopped",
                false => "its threads are inside the kernel, or its log is full",
            };
            let (id, pid) = (self.worker, self.pid);
            say!("worker {id} (pid: {pid}) did not write its stacks: {why}");
        }
        (answer != Answer::None || due).then_some(answer)
    }

    /// The next stage, if it is time; `false`: the worker is spared.
    fn go_on(&mut self, limits: &Limits) -> bool {
        let due = self.until <= Instant::now();
        let (id, pid) = (self.worker, self.pid);
        match self.stage {
            Stage::SoftStacks if self.heard(due).is_some() => {
                let signal = match limits.harakiri_graceful_signal {
                    0 => libc::SIGTERM,
                    n => n,
                };
                // SAFETY: a plain signal to a child of ours.
                unsafe { libc::kill(pid, signal) };
                self.enter(Stage::Soft, Duration::from_secs(limits.harakiri_graceful_timeout));
            }
            Stage::Soft if due && !harakiri::is_over_time(self.memory, id, crate::exports::now()) => {
                say!("worker {id} (pid: {pid}) has ended the request in time");
                harakiri::reprieve(self.memory, id);
                return false;
            }
            Stage::Soft if due => {
                say!("*** HARAKIRI ON WORKER {id} (pid: {pid}, try: 2, graceful: no) ***");
                harakiri::ask(self.memory, id, pid, true);
                self.enter(Stage::Stacks, STACKS_PATIENCE);
            }
            Stage::Stacks => match self.heard(due) {
                None => {}
                Some(Answer::Leaves) => self.enter(Stage::Grace, ABORT_GRACE),
                Some(_) => self.kill(),
            },
            Stage::Grace if due => self.kill(),
            Stage::SoftStacks | Stage::Soft | Stage::Grace | Stage::Killed => {}
        }
        true
    }
}

impl Master {
    /// Finds the workers that have missed a deadline.
    pub(super) fn check_deadlines(&mut self, now: i64) {
        let mut missed = Vec::new();
        for process in self.processes.iter().filter(|p| p.leaving.is_none()) {
            if let (Kind::Worker(id) | Kind::Old(id), Some(memory)) = (process.kind, process.memory)
                && !self.condemned.iter().any(|c| c.pid == process.pid)
                // while a replacement starts, the slots are those of the worker that serves
                && (process.was_ready || !self.processes.iter().any(|p| p.kind == process.kind && p.was_ready))
                && let Some(what) = self.missed(process, memory, id, now)
            {
                missed.push((memory, id, process.pid, what));
            }
        }
        for (memory, id, pid, what) in missed {
            self.condemn(memory, id, pid, what);
        }
    }

    fn missed(&self, process: &Process, memory: &'static SharedMemory, id: usize, now: i64) -> Option<Missed> {
        let limits = &self.server.settings.limits;
        if harakiri::is_over_time(memory, id, now) {
            let threshold = limits.harakiri_queue_threshold;
            let waiting = self.server.sockets.iter().map(|s| queue_of(s).0).max().unwrap_or(0);
            // nobody waits for the worker: it may go on
            return (threshold == 0 || u64::from(waiting) > threshold).then_some(Missed::Request);
        }
        let slot = memory.worker_slot(id);
        let is_old = matches!(process.kind, Kind::Old(_));
        if !process.was_ready && !is_old {
            let limit = limits.worker_boot_timeout;
            let age = process.born.elapsed().as_secs();
            let in_override = slot.in_override.load(Ordering::Acquire) != 0;
            return (limit > 0 && age >= limit && !in_override).then_some(Missed::Boot(age));
        }
        let limit = limits.worker_heartbeat * 1000;
        // a request in the main thread has a deadline of its own; its end beats before it is seen here
        let serves = memory.core_slot(id, 0).since.load(Ordering::Acquire) > 0;
        let beat = slot.heartbeat.load(Ordering::Relaxed);
        let silent = crate::worker::monotonic_ms().saturating_sub(beat);
        if limit == 0 || beat == 0 || self.paused || silent <= limit + 1000 {
            return None;
        }
        // a frozen process serves nobody
        (!serves || is_frozen(process.pid)).then_some(Missed::Heartbeat(silent))
    }

    /// The first stage.
    fn condemn(&mut self, memory: &'static SharedMemory, id: usize, pid: i32, missed: Missed) {
        let soft = missed == Missed::Request && self.server.settings.limits.harakiri_graceful_timeout > 0;
        // at the moment of the kill it may be elsewhere
        let why = format!("{missed}{}", blame::places(pid, Some((memory, id))));
        harakiri::report(memory, id, pid, missed, soft);
        harakiri::ask(memory, id, pid, !soft);
        self.condemned.push(Condemned {
            pid,
            worker: id,
            memory,
            why,
            missed: Some(missed),
            stage: if soft { Stage::SoftStacks } else { Stage::Stacks },
            until: Instant::now() + STACKS_PATIENCE,
        });
    }

    /// The next stage of those that have answered or whose time is up.
    pub(super) fn end_condemned(&mut self) {
        let limits = &self.server.settings.limits;
        self.condemned.retain_mut(|condemned| condemned.go_on(limits));
    }
}
