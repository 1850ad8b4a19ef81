//! One vassal: its file, its process while it has one, and what the emperor remembers of it. The emperor's process.

use super::demand::Demand;
use super::output::Output;
use super::scan::Found;
use super::throttle::Throttle;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// After so long a vassal that took requests has proved that it can live.
const PROVEN: Duration = Duration::from_secs(3);

/// Why a process was told to end, and so what follows when it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its file is gone, or the emperor ends: it is forgotten.
    Removed,
    /// The same, but its file may ask for it anew.
    Replaced,
    /// It starts again at once.
    Restart,
    /// It starts again with the next connection.
    Rest,
}

/// A vassal's process.
pub struct Running {
    /// Its master, or its only process.
    pub pid: i32,
    /// The emperor's end.
    pub link: UnixStream,
    /// What it prints.
    pub output: Output,
    /// Its master takes orders.
    pub ready: bool,
    /// That it runs was said.
    pub is_announced: bool,
    /// It takes requests.
    pub accepting: Option<Instant>,
    /// It said that it is.
    pub loyal: bool,
    /// Seconds since the epoch; 0: none came.
    pub last_heartbeat: i64,
    /// It was told to end and is killed at this moment.
    pub kill_at: Option<Instant>,
}

impl Running {
    /// Whether its next death is an accident rather than a way of life.
    pub fn is_proven(&self) -> bool {
        self.loyal || self.accepting.is_some_and(|at| at.elapsed() >= PROVEN)
    }
}

/// Times for the statistics, seconds since the epoch.
#[derive(Debug, Default, Clone, Copy)]
pub struct History {
    /// Of the first process.
    pub first_run: i64,
    /// Of the last one.
    pub last_run: i64,
    /// Last words of this kind.
    pub last_ready: i64,
    /// Last words of this kind.
    pub last_accepting: i64,
    /// Last words of this kind.
    pub last_loyal: i64,
    /// How often it was started again.
    pub respawns: u64,
    /// How often it was told to reload.
    pub reloads: u64,
}

/// A vassal.
pub struct Vassal {
    /// For the tokens of its descriptors.
    pub serial: usize,
    /// Its file.
    pub found: Found,
    /// The socket that starts it.
    pub demand: Option<Demand>,
    /// Its process.
    pub process: Option<Running>,
    /// What follows the end that it was told to come to.
    pub end: Option<End>,
    /// Its failures.
    pub throttle: Throttle,
    /// It asked never to be started again as it is.
    pub is_exiled: bool,
    /// Its past.
    pub history: History,
}

impl Vassal {
    /// Its name.
    pub fn id(&self) -> &str {
        &self.found.id
    }

    /// Whether it is about to be forgotten.
    pub fn is_leaving(&self) -> bool {
        matches!(self.end, Some(End::Removed | End::Replaced))
    }

    /// Whether it may start, or listen, now.
    pub fn is_due(&self, now: Instant) -> bool {
        self.process.is_none()
            && !self.is_exiled
            && !self.is_leaving()
            && self.throttle.until.is_none_or(|until| until <= now)
    }

    /// Whether more of its output waits than was taken.
    pub fn has_more_output(&self) -> bool {
        self.process.as_ref().is_some_and(|r| r.output.has_more)
    }

    /// The next moment at which something is due for it.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.process {
            Some(running) => running.kill_at,
            None => self.throttle.until.filter(|_| !self.is_exiled),
        }
    }
}
