//! The master's part in uWSGI signals: it keeps what raises them by itself (timers, crons, file monitors), adds what
//! workers ask for, and lets go of what ended workers had asked for.

use super::{Kind, MONITORS, Master};
use crate::say;
use crate::settings::Settings;
use crate::signal::cron::{Crons, Minute};
use crate::signal::monitor::Monitors;
use crate::signal::source::{self, Kind as Sort, Order, Source};
use crate::signal::timer::Timers;
use crate::signal::{memory, route};
use mio::unix::SourceFd;
use mio::{Interest, Registry};
use std::collections::BTreeSet;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What raises signals by itself.
#[derive(Default)]
pub(super) struct SignalSources {
    timers: Timers,
    schedule: Crons,
    monitors: Monitors,
    watched: Option<RawFd>,
    /// Signals whose loss has been said.
    lost: BTreeSet<u8>,
}

impl SignalSources {
    /// Those of the configuration.
    pub(super) fn new(settings: &Settings, registry: &Registry) -> Self {
        let mut sources = Self::default();
        let background = &settings.background;
        for (signal, seconds) in background.timers.iter().chain(&background.rb_timers) {
            let period = Duration::from_secs(*seconds);
            sources.timers.add(*signal, period, 0, 0, Instant::now());
        }
        for (path, signal) in &background.file_monitors {
            sources.watch(*signal, path.into(), 0, false, 0, registry);
        }
        sources
    }

    fn watch(&mut self, signal: u8, path: PathBuf, iterations: u32, recursive: bool, owner: i32, registry: &Registry) {
        let shown = path.display().to_string();
        match self.monitors.add(signal, path, iterations, recursive, owner) {
            Ok(true) => say!("[uwsgi-fs] registered monitor for {shown} (signal {signal})"),
            Ok(false) => say!("[uwsgi-fs] {shown} is not there; signal {signal} is raised when it comes"),
            Err(e) => say!("[uwsgi-fs] cannot watch {shown} for signal {signal}: {}", e.desc()),
        }
        let fd = self.monitors.fd();
        if self.watched != fd
            && let Some(fd) = fd
        {
            let _ = registry.register(&mut SourceFd(&fd), MONITORS, Interest::READABLE);
            self.watched = Some(fd);
        }
    }

    fn obey(&mut self, order: Order, registry: &Registry) {
        match order {
            Order::Add { signal, source, owner } => match source {
                Source::Timer { period, iterations } => {
                    self.timers.add(signal, period, iterations, owner, Instant::now());
                }
                Source::Cron(fields) => self.schedule.add(signal, fields, owner),
                Source::FileMonitor {
                    path,
                    iterations,
                    recursive,
                } => self.watch(signal, path, iterations, recursive, owner, registry),
            },
            Order::Remove { signal, kind } => match kind {
                Sort::Timer => self.timers.remove(signal),
                Sort::Cron => self.schedule.remove(signal),
                Sort::FileMonitor => self.monitors.remove(signal),
            },
        }
    }

    /// When a timer is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// A process has ended.
    pub(super) fn release(&mut self, pid: i32) {
        self.timers.release(pid);
        self.schedule.release(pid);
        self.monitors.release(pid);
    }

    /// Raises a signal for a source; a loss is said once, until the next success.
    fn raise(&mut self, signal: u8) {
        match route::raise(signal) {
            Ok(()) => {
                self.lost.remove(&signal);
            }
            Err(e) if self.lost.insert(signal) => say!("{e}"),
            Err(_) => {}
        }
    }
}

/// Says which signals a process that has ended had in hand.
pub(super) fn report_lost(pid: i32, kind: Kind) {
    for signal in memory().map(|m| m.lost_with(pid)).unwrap_or_default() {
        say!(
            "[uwsgi-signal] signal {signal} is lost: {kind} (pid: {pid}) ended with it in hand, \
             before its handler was through"
        );
    }
}

impl Master {
    /// Takes orders and raises what is due; every turn of the loop.
    pub(super) fn run_signals(&mut self) {
        let registry = self.poll.registry();
        for order in source::take() {
            self.sources.obey(order, registry);
        }
        let mut due = self.sources.timers.expire(Instant::now());
        due.extend(self.sources.monitors.expire());
        if self.closing.is_some() {
            return;
        }
        for signal in self.sources.schedule.expire(Minute::of(crate::exports::now())) {
            say!("[uwsgi-cron] routing signal {signal}");
            due.push(signal);
        }
        for signal in due {
            self.sources.raise(signal);
        }
    }

    /// A touched file, or whoever else in the master raises one.
    pub(super) fn raise_signal(&mut self, signal: u8) {
        self.sources.raise(signal);
    }

    /// What a killed process may have left undone; once a second.
    pub(super) fn check_signals(&self) {
        if let Some(memory) = memory() {
            memory.ring_again();
        }
    }
}
