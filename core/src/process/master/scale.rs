//! Fewer or more workers: the policy of `--cheaper` carried out, and the sleep of a server that nobody asks anything
//! (`--cheap`, `--idle`), ended by the next connection.

use super::{Ending, Kind, Master, WAKE, tell};
use crate::process::scaling::{Change, Load};
use crate::say;
use crate::server::Server;
use crate::signal::receiver::Receiver;
use crate::stats::snapshot::queue_of;
use mio::Interest;
use mio::unix::SourceFd;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Since when nothing happens.
pub(super) struct Quiet {
    since: Instant,
    requests: u64,
}

impl Quiet {
    pub(super) fn new() -> Self {
        Self {
            since: Instant::now(),
            requests: 0,
        }
    }
}

/// What a worker has spent in requests, those that it serves now included, µs.
fn worked(server: &Server, id: usize) -> u64 {
    // SAFETY: a record in shared memory; the figure is only compared.
    let done = unsafe { (&raw const (*server.shared.worker(id)).running_time).read_volatile() };
    let now = crate::exports::now();
    let under_way = (0..server.shared.core_count()).map(|core| {
        match server.shared.core_slot(id, core).since.load(Ordering::Relaxed) {
            0 => 0,
            since => now.saturating_sub(since).max(0).unsigned_abs() * 1_000_000,
        }
    });
    done + under_way.sum::<u64>()
}

impl Master {
    /// Whether a worker is not to run now.
    pub(super) fn is_cheaped(&self, id: usize) -> bool {
        // SAFETY: a record in shared memory; the field is the master's.
        unsafe { (*self.server.shared.worker(id)).cheaped != 0 }
    }

    fn set_cheaped(&self, id: usize, on: bool) {
        // SAFETY: as above.
        unsafe { (*self.server.shared.worker(id)).cheaped = i32::from(on) };
    }

    /// The workers that are to run.
    pub(super) fn wanted_workers(&self) -> impl Iterator<Item = usize> {
        (1..=self.server.shared.worker_count()).filter(|id| !self.is_cheaped(*id))
    }

    /// The first workers of this image.
    pub(super) fn start_workers(&mut self) {
        let count = self.server.shared.worker_count();
        if self.server.sockets.is_empty()
            && self.gateways.is_empty()
            && !self.server.settings.emperor.sources.is_empty()
        {
            say!("*** Operational MODE: no-workers ***");
            (1..=count).for_each(|id| self.set_cheaped(id, true));
            self.ever_ready = true;
            return;
        }
        let first = self.scaling.as_ref().map_or(count, |p| p.initial());
        for id in 1..=count {
            self.set_cheaped(id, id > first || self.server.settings.processes.cheap);
        }
        self.publish_worker_count();
        if self.server.settings.processes.cheap {
            return self.sleep();
        }
        for id in 1..=first {
            self.spawn_worker(id);
        }
    }

    /// One look of the policy, once a second.
    pub(super) fn scale(&mut self) {
        // while a generation settles, figures say nothing
        let settled = self.scaling.is_some() && self.all_ready() && self.trial.is_none();
        if !settled || self.closing.is_some() || self.asleep || self.paused {
            return;
        }
        let load = self.load();
        self.looked = Instant::now();
        if let Some(policy) = &mut self.scaling {
            let change = policy.decide(&load);
            if let Some(remark) = policy.remark() {
                say!("{remark}");
            }
            self.change(change);
        }
    }

    /// One worker more or less, because the operator says so.
    pub(super) fn scale_by_hand(&mut self, change: Change) {
        let load = self.load();
        match &self.scaling {
            None => say!("the number of workers is fixed: --cheaper names the fewest"),
            Some(policy) => {
                let change = policy.bounded(change, &load);
                self.change(change);
            }
        }
    }

    fn load(&self) -> Load {
        let server = self.server;
        let running: Vec<usize> = self.wanted_workers().collect();
        let resident = self.scaling.as_ref().is_some_and(|p| p.needs_memory()).then(|| {
            let workers = self.processes.iter().filter(|p| matches!(p.kind, Kind::Worker(_)));
            workers
                .filter_map(|p| crate::process::memory(p.pid as u32))
                .map(|(rss, _)| rss)
                .sum()
        });
        Load {
            running: running.len(),
            busy: running.iter().filter(|id| server.shared.is_busy(**id)).count(),
            backlog: server.sockets.iter().map(|s| queue_of(s).0).max().unwrap_or(0),
            resident: resident.unwrap_or(0),
            cores: server.shared.core_count(),
            worked: (1..=server.shared.worker_count()).map(|id| worked(server, id)).sum(),
            elapsed: self.looked.elapsed().as_micros() as u64,
        }
    }

    fn change(&mut self, change: Change) {
        let count = self.server.shared.worker_count();
        match change {
            Change::Keep => {}
            Change::Add(n) => {
                // a number whose last process still finishes comes later
                let free = |id: &usize| self.is_cheaped(*id) && !self.has_process(*id);
                let ids: Vec<usize> = (1..=count).filter(free).take(n).collect();
                for id in ids {
                    self.set_cheaped(id, false);
                    self.spawn_worker(id);
                }
            }
            Change::Remove => {
                let running: Vec<usize> = self.wanted_workers().collect();
                let idle = running.iter().rev().find(|id| !self.server.shared.is_busy(**id));
                if let Some(id) = idle.or(running.last()).copied() {
                    self.retire_worker(id);
                }
            }
        }
    }

    pub(super) fn has_process(&self, id: usize) -> bool {
        self.processes.iter().any(|p| p.kind == Kind::Worker(id))
    }

    fn retire_worker(&mut self, id: usize) {
        self.set_cheaped(id, true);
        self.pauses[id] = None;
        let mercy = self.worker_mercy();
        for process in self.processes.iter_mut().filter(|p| p.kind == Kind::Worker(id)) {
            tell(process, Signal::SIGHUP, mercy);
        }
        if !self.has_process(id) {
            self.cheaped_worker_ended(id);
        }
    }

    /// A worker that is not to come back has gone.
    pub(super) fn cheaped_worker_ended(&mut self, id: usize) {
        say!("rsgi worker {id} cheaped.");
        let shared = &self.server.shared;
        shared.worker_slot(id).wants_replacement.store(0, Ordering::Release);
        // SAFETY: the record of a worker without a process.
        unsafe { (*shared.worker(id)).pid = 0 };
    }

    /// `C` on the FIFO: all workers leave until the next connection.
    pub(super) fn go_cheap(&mut self) {
        if self.closing.is_none() && !self.asleep {
            say!("going cheap...");
            self.sleep();
        }
    }

    fn sleep(&mut self) {
        for id in self.wanted_workers().collect::<Vec<_>>() {
            self.retire_worker(id);
        }
        self.asleep = true;
        // nobody is waited for: gateways and old processes may go by the same rules as with workers
        self.ever_ready = true;
        for socket in &self.server.sockets {
            let fd = socket.listener.as_raw_fd();
            // an error would only mean that the master notices within a second
            let _ = self
                .poll
                .registry()
                .register(&mut SourceFd(&fd), WAKE, Interest::READABLE);
        }
        say!("cheap mode enabled: waiting for socket connection...");
    }

    /// Wakes the workers when a connection waits.
    pub(super) fn wake_when_asked(&mut self) {
        if !self.asleep || self.closing.is_some() {
            return;
        }
        // workers that finish no longer accept, so what is readable here is nobody else's
        let sockets = self.server.sockets.iter();
        let mut entries: Vec<PollFd<'_>> = sockets
            .map(|s| PollFd::new(s.listener.as_fd(), PollFlags::POLLIN))
            .collect();
        let signals = crate::signal::memory().and_then(|m| m.queue(Receiver::AnyWorker));
        let waits = signals.is_some_and(|queue| !queue.is_empty());
        if !waits && !poll(&mut entries, PollTimeout::ZERO).is_ok_and(|ready| ready > 0) {
            return;
        }
        for socket in &self.server.sockets {
            let _ = self
                .poll
                .registry()
                .deregister(&mut SourceFd(&socket.listener.as_raw_fd()));
        }
        let what = if waits { "signal" } else { "connection" };
        say!("a {what} waits: leaving cheap mode");
        self.asleep = false;
        self.quiet = Quiet::new();
        let count = self.server.shared.worker_count();
        for id in 1..=self.scaling.as_ref().map_or(count, |p| p.initial()) {
            self.set_cheaped(id, false);
            self.spawn_worker(id);
        }
    }

    /// `--idle`: sleep, or the end, when nothing was asked for so long.
    pub(super) fn check_idle(&mut self) {
        let settings = &self.server.settings.processes;
        if settings.idle == 0 || self.asleep || self.closing.is_some() {
            return;
        }
        let shared = &self.server.shared;
        // SAFETY: records in shared memory; the figures are only compared.
        let requests = self
            .wanted_workers()
            .map(|id| unsafe { (*shared.worker(id)).requests })
            .sum();
        let busy = self.wanted_workers().any(|id| self.server.shared.is_busy(id));
        if busy || requests != self.quiet.requests || !self.all_ready() {
            self.quiet = Quiet {
                since: Instant::now(),
                requests,
            };
        }
        if self.quiet.since.elapsed() < Duration::from_secs(settings.idle.into()) {
            return;
        }
        say!("workers have been inactive for more than {} seconds", settings.idle);
        if settings.die_on_idle {
            self.stop(Ending::Graceful);
        } else {
            self.sleep();
        }
    }
}
