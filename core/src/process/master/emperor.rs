//! The master and emperors: the one that is its child (`--emperor` beside workers), and the one whose vassal it is.

use super::{EMPEROR, Ending, Kind, Master, tell};
use crate::emperor::link::News;
use crate::emperor::message::{Order, Report};
use crate::process::handover::Handover;
use crate::process::spawn;
use crate::say;
use crate::startup::hooks;
use mio::Interest;
use mio::unix::SourceFd;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// An emperor that ends sooner than this is started again after a pause.
const TOO_SOON: Duration = Duration::from_secs(2);

/// A worker whose loop turned less than so many milliseconds ago lives.
const LATELY: u64 = 3000;

impl Master {
    /// What tells the settings of an emperor from those of another.
    fn emperor_stamp(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.server.settings.emperor.hash(&mut hasher);
        hasher.finish()
    }

    /// The emperor for the next image.
    pub(super) fn emperor_for_handover(&self) -> Option<(i32, u64)> {
        let process = self.processes.iter().find(|p| p.kind == Kind::Emperor)?;
        Some((process.pid, self.emperor_stamp()))
    }

    /// Goes on with the emperor of the image before; one with other settings ends, and its successor begins then.
    pub(super) fn adopt_emperor(&mut self, handover: &Handover) {
        let Some((pid, stamp)) = handover.emperor else { return };
        let is_wanted = stamp == self.emperor_stamp();
        let mercy = self.worker_mercy();
        self.add(pid, Kind::Emperor);
        if let Some(process) = self.processes.last_mut().filter(|_| !is_wanted) {
            say!("the settings of the emperor have changed: it ends, and its successor begins");
            tell(process, Signal::SIGTERM, mercy);
        }
    }

    /// Starts the emperor, if there is to be one and there is none.
    pub(super) fn start_emperor(&mut self) {
        self.emperor_pause = None;
        let is_there = self.processes.iter().any(|p| p.kind == Kind::Emperor);
        if self.server.settings.emperor.sources.is_empty() || is_there || self.closing.is_some() {
            return;
        }
        match spawn::emperor() {
            Ok(pid) => self.add(pid.as_raw(), Kind::Emperor),
            Err(e) => {
                say!("cannot fork the emperor: fork(): {}", e.desc());
                self.emperor_pause = Some(Instant::now() + TOO_SOON);
            }
        }
    }

    /// Makes the emperor look for vassals at once.
    pub(super) fn rouse_emperor(&self) {
        match self.processes.iter().find(|p| p.kind == Kind::Emperor) {
            Some(emperor) => drop(kill(Pid::from_raw(emperor.pid), Signal::SIGWINCH)),
            None => say!("master-fifo: there is no emperor that could look for vassals"),
        }
    }

    /// The emperor has ended: it comes again.
    pub(super) fn emperor_ended(&mut self, pid: i32, lived: Duration, was_told: bool, how: &str) {
        if self.closing.is_some() || self.server.settings.emperor.sources.is_empty() {
            return;
        }
        if !was_told {
            say!("!!! Emperor died (pid: {pid}, {how}) !!! respawning it");
        }
        if was_told || lived >= TOO_SOON {
            return self.start_emperor();
        }
        self.emperor_pause = Some(Instant::now() + TOO_SOON);
    }

    /// Listens to the emperor whose vassal this instance is.
    pub(super) fn greet_emperor(&mut self) -> std::io::Result<()> {
        let Some(link) = &mut self.emperor_link else {
            return Ok(());
        };
        self.poll
            .registry()
            .register(&mut SourceFd(&link.as_raw_fd()), EMPEROR, Interest::READABLE)?;
        link.report(Report::Ready);
        hooks::run_all_or_say(&self.server.settings.hooks.emperor_start);
        Ok(())
    }

    /// Carries out what the emperor says.
    pub(super) fn hear_emperor(&mut self) {
        let Some(link) = &mut self.emperor_link else { return };
        for news in link.news() {
            let phases = &self.server.settings.hooks;
            match news {
                News::Order(Order::Stop) => {
                    hooks::run_all_or_say(&phases.emperor_stop);
                    self.stop(Ending::Graceful);
                }
                News::Order(Order::Reload) => {
                    hooks::run_all_or_say(&phases.emperor_reload);
                    self.on_hup();
                }
                News::Lost => {
                    say!("lost connection with my emperor !!!");
                    hooks::run_all_or_say(&phases.emperor_lost);
                    self.stop(Ending::Fast);
                }
            }
        }
    }

    /// Tells the emperor how this instance is; about once a second.
    pub(super) fn report_to_emperor(&mut self) {
        let lives = self.some_worker_lives();
        if let Some(link) = &mut self.emperor_link {
            link.tick(|| lives);
        }
    }

    /// Whether any worker turned its loop lately, or nobody expects it to.
    fn some_worker_lives(&self) -> bool {
        let now = crate::worker::monotonic_ms();
        let mut workers = self
            .processes
            .iter()
            .filter_map(|p| match p.kind {
                Kind::Worker(id) => Some(id),
                _ => None,
            })
            .peekable();
        let beat = |id: usize| self.server.shared.worker_slot(id).heartbeat.load(Ordering::Relaxed);
        let beats = |id: usize| now.saturating_sub(beat(id)) <= LATELY;
        workers.peek().is_none() || workers.any(beats)
    }
}
