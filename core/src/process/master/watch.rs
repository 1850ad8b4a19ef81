//! What the master looks at once a second: deadlines of requests, loops and starts, memory, and the plugins' own
//! cycle. A worker that misses a deadline is ended in two stages: its stacks first, then, after a grace, the kill.

use super::{Ending, Kind, Master, Process, Then};
use crate::plugin::hooks;
use crate::process::harakiri::{self, Answer, Missed};
use crate::process::memory;
use crate::say;
use crate::shared::SharedMemory;
use crate::stats::snapshot::{is_busy, publish_queues, queue_of};
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
    pid: i32,
    worker: usize,
    memory: &'static SharedMemory,
    why: String,
    missed: Option<Missed>,
    stage: Stage,
    until: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It was asked for its stacks.
    Stacks,
    /// It may end by itself.
    Grace,
    /// It got the soft signal of `--harakiri-graceful-timeout` and may finish.
    Soft,
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

    fn kill(&mut self) {
        let _ = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
        self.stage = Stage::Killed;
    }
}

impl Master {
    pub(super) fn once_a_second(&mut self) {
        let now = crate::exports::now();
        // SAFETY: the master is single-threaded; plugins read the field.
        unsafe { (*crate::server::view()).current_time = now };
        publish_queues(self.server);
        hooks::master_cycle();
        self.check_deadlines(now);
        self.report_to_emperor();
        self.check_daemons();
        crate::startup::notify::alive();
        self.count_overload();
        self.check_memory();
        self.check_touches();
        self.scale();
        self.check_idle();
        crate::log::rotate::check(&self.server.settings.logging);
    }

    fn count_overload(&mut self) {
        let busy = self.wanted_workers().filter(|id| is_busy(self.server, *id)).count();
        let all = self.wanted_workers().count();
        self.overloaded += u64::from(all > 0 && busy == all);
    }

    /// Finds the workers that have missed a deadline.
    fn check_deadlines(&mut self, now: i64) {
        if self.paused {
            return;
        }
        let clock = crate::worker::monotonic_ms();
        let mut missed = Vec::new();
        for process in self.processes.iter().filter(|p| p.leaving.is_none()) {
            if let (Kind::Worker(id) | Kind::Old(id), Some(memory)) = (process.kind, process.memory)
                && !self.condemned.iter().any(|c| c.pid == process.pid)
                // while a replacement starts, the slots are those of the worker that serves
                && (process.was_ready || !self.processes.iter().any(|p| p.kind == process.kind && p.was_ready))
                && let Some(what) = self.missed(process, memory, id, now, clock)
            {
                missed.push((memory, id, process.pid, what));
            }
        }
        for (memory, id, pid, what) in missed {
            self.condemn(memory, id, pid, what);
        }
    }

    fn missed(
        &self,
        process: &Process,
        memory: &'static SharedMemory,
        id: usize,
        now: i64,
        clock: u64,
    ) -> Option<Missed> {
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
        let beat = slot.heartbeat.load(Ordering::Relaxed);
        let silent = clock.saturating_sub(beat);
        if limit == 0 || beat == 0 || silent <= limit + 1000 {
            return None;
        }
        // a request in the main thread has a deadline of its own, but a frozen process serves nobody
        let serves = memory.core_slot(id, 0).since.load(Ordering::Acquire) > 0;
        (!serves || is_frozen(process.pid)).then_some(Missed::Heartbeat(silent))
    }

    /// The first stage.
    fn condemn(&mut self, memory: &'static SharedMemory, id: usize, pid: i32, missed: Missed) {
        let soft = missed == Missed::Request && self.server.settings.limits.harakiri_graceful_timeout > 0;
        harakiri::report(memory, id, pid, missed, soft);
        harakiri::ask(memory, id, pid);
        self.condemned.push(Condemned {
            pid,
            worker: id,
            memory,
            why: missed.to_string(),
            missed: Some(missed),
            stage: Stage::Stacks,
            until: Instant::now() + STACKS_PATIENCE,
        });
    }

    /// The next stage of those that have answered or whose time is up.
    pub(super) fn end_condemned(&mut self) {
        let server = self.server;
        let limits = &server.settings.limits;
        let now = Instant::now();
        let mut reprieved = Vec::new();
        for condemned in &mut self.condemned {
            let due = condemned.until <= now;
            match condemned.stage {
                Stage::Stacks => {
                    let answer = harakiri::answer(condemned.memory, condemned.worker);
                    if answer == Answer::None && !due {
                        continue;
                    }
                    if answer == Answer::None {
                        let why = match harakiri::blocks_question(condemned.pid) {
                            true => "it blocks or ignores signals in every thread, or is stopped",
                            false => "its threads are inside the kernel, or its log is full",
                        };
                        say!(
                            "worker {} (pid: {}) did not write its stacks: {why}",
                            condemned.worker,
                            condemned.pid
                        );
                    }
                    if condemned.missed == Some(Missed::Request) && limits.harakiri_graceful_timeout > 0 {
                        let signal = match limits.harakiri_graceful_signal {
                            0 => libc::SIGTERM,
                            n => n,
                        };
                        // SAFETY: a plain signal to a child of ours.
                        unsafe { libc::kill(condemned.pid, signal) };
                        condemned.stage = Stage::Soft;
                        condemned.until = now + Duration::from_secs(limits.harakiri_graceful_timeout);
                    } else if answer == Answer::Leaves {
                        condemned.stage = Stage::Grace;
                        condemned.until = now + ABORT_GRACE;
                    } else {
                        condemned.kill();
                    }
                }
                Stage::Soft
                    if due && !harakiri::is_over_time(condemned.memory, condemned.worker, crate::exports::now()) =>
                {
                    say!(
                        "worker {} (pid: {}) has ended the request in time",
                        condemned.worker,
                        condemned.pid
                    );
                    reprieved.push(condemned.pid);
                }
                Stage::Soft if due => {
                    say!(
                        "*** HARAKIRI ON WORKER {} (pid: {}, try: 2, graceful: no) ***",
                        condemned.worker,
                        condemned.pid
                    );
                    condemned.kill();
                }
                Stage::Grace if due => condemned.kill(),
                Stage::Soft | Stage::Grace | Stage::Killed => {}
            }
        }
        self.condemned.retain(|c| !reprieved.contains(&c.pid));
    }

    /// Why a worker that has ended was killed: by us, or by whom; it is said once, here. Whether it could not boot.
    pub(super) fn explain_end(&mut self, id: usize, pid: i32, told: bool, signal: i32) -> bool {
        if let Some(at) = self.condemned.iter().position(|c| c.pid == pid) {
            let condemned = self.condemned.swap_remove(at);
            say!("worker {id} (pid: {pid}) was ended by the master: {}", condemned.why);
            return matches!(condemned.missed, Some(Missed::Boot(_)));
        }
        if signal == libc::SIGKILL && !told {
            say!("worker {id} (pid: {pid}) was killed {}", self.oom_kills.killer());
        }
        false
    }

    /// Every worker takes requests: the plugins hear it once per image.
    pub(super) fn say_ready(&mut self) {
        if !std::mem::replace(&mut self.said_ready, true)
            && self.closing.is_none()
            && let Err(refused) = hooks::when_ready()
        {
            self.end_by_hook(refused);
        }
    }

    /// The hook before the fork of a worker; one that fails ends the server.
    pub(super) fn may_fork(&mut self, id: usize) -> bool {
        if self.closing.is_some() {
            return false;
        }
        match hooks::pre_fork(id) {
            Ok(()) => true,
            Err(refused) => {
                self.end_by_hook(refused);
                false
            }
        }
    }

    /// A plugin's hook does not let the server go on.
    pub(super) fn end_by_hook(&mut self, refused: hooks::Refused) {
        say!("{refused}");
        if self.closing.is_none() {
            self.close(Ending::Fast, Then::Exit(1));
        }
    }

    /// Tells the plugins how many workers are to run, if that has changed.
    pub(super) fn publish_worker_count(&mut self) {
        let now = self.wanted_workers().count();
        if self.told_workers != Some(now) {
            let before = self.told_workers.replace(now);
            hooks::nworkers_changed(now, before);
        }
    }

    /// The size of each worker, for statistics and for `--evil-reload-on-*`.
    fn check_memory(&mut self) {
        let limits = &self.server.settings.limits;
        let (rss_limit, as_limit) = (
            limits.evil_reload_on_rss * 1024 * 1024,
            limits.evil_reload_on_as * 1024 * 1024,
        );
        if rss_limit == 0 && as_limit == 0 && !limits.memory_report {
            return;
        }
        for process in self.processes.iter().filter(|p| p.leaving.is_none()) {
            let Kind::Worker(id) = process.kind else {
                continue;
            };
            let Some((rss, vsz)) = memory(process.pid as u32) else {
                continue;
            };
            // SAFETY: the record of this worker; these fields are the master's.
            unsafe {
                (*self.server.shared.worker(id)).rss_size = rss;
                (*self.server.shared.worker(id)).vsz_size = vsz;
            }
            let over = (rss_limit > 0 && rss > rss_limit).then_some(("RSS", rss));
            if let Some((what, size)) = over.or((as_limit > 0 && vsz > as_limit).then_some(("AS", vsz)))
                && !self.condemned.iter().any(|c| c.pid == process.pid)
            {
                say!(
                    "*** EVIL RELOAD ON WORKER {id} {what}: {size} (pid: {}) ***",
                    process.pid
                );
                let mut condemned = Condemned {
                    pid: process.pid,
                    worker: id,
                    memory: &self.server.shared,
                    why: format!(
                        "{what} of {size} bytes is over its limit (--evil-reload-on-{})",
                        what.to_lowercase()
                    ),
                    missed: None,
                    stage: Stage::Killed,
                    until: Instant::now(),
                };
                condemned.kill();
                self.condemned.push(condemned);
            }
        }
    }
}
