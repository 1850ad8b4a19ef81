//! Commands on schedule (`--cron` and its kin): started by the master, in sessions of their own, ended when they are
//! over their time.

use super::Master;
use super::daemons::spawn;
use crate::say;
use crate::settings::{Cron, Settings};
use crate::signal::cron::{Minute, matches};
use crate::stats::snapshot::CronStats;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::{Duration, Instant};

/// A command that runs.
#[derive(Debug)]
struct Run {
    pid: i32,
    began: Instant,
    /// When it is killed.
    until: Option<Instant>,
}

/// A command with its schedule.
#[derive(Debug)]
pub(super) struct CommandCron {
    spec: Cron,
    /// Seconds that it may run; 0: as long as it likes.
    limit: u64,
    /// The minute of the calendar in which it was last due.
    fired: Option<i64>,
    /// Seconds since the epoch of its last start; 0: none.
    started_at: i64,
    starts: u64,
    running: Vec<Run>,
}

/// Those of the configuration.
pub(super) fn configured(settings: &Settings) -> Vec<CommandCron> {
    let cron = |spec: &Cron| CommandCron {
        spec: spec.clone(),
        limit: spec.harakiri.unwrap_or(settings.limits.cron_harakiri),
        fired: None,
        started_at: 0,
        starts: 0,
        running: Vec::new(),
    };
    settings.background.crons.iter().map(cron).collect()
}

/// For the statistics.
pub(super) fn stats(crons: &[CommandCron]) -> Vec<CronStats> {
    let describe = |cron: &CommandCron| CronStats {
        when: cron.spec.when,
        command: cron.spec.command.clone(),
        unique: cron.spec.unique,
        harakiri: cron.limit,
        pid: cron.running.last().map_or(-1, |run| run.pid),
        started_at: cron.started_at,
        starts: cron.starts,
    };
    crons.iter().map(describe).collect()
}

impl CommandCron {
    /// Starts the command, unless it is one of those that never run twice and still runs.
    fn start(&mut self) {
        let command = &self.spec.command;
        if self.spec.unique
            && let Some(run) = self.running.first()
        {
            return say!(
                "[uwsgi-cron] \"{command}\" still runs (pid {}); it is not started again",
                run.pid
            );
        }
        match spawn::shell(command).spawn() {
            Ok(child) => {
                let pid = child.id() as i32;
                say!("[uwsgi-cron] running \"{command}\" (pid {pid})");
                let began = Instant::now();
                self.started_at = crate::exports::now();
                self.starts += 1;
                self.running.push(Run {
                    pid,
                    began,
                    until: (self.limit > 0).then(|| began + Duration::from_secs(self.limit)),
                });
            }
            Err(e) => say!(
                "[uwsgi-cron] cannot run \"{command}\": {}",
                crate::config::system_message(&e)
            ),
        }
    }

    fn kill_overdue(&mut self, now: Instant) {
        for run in &mut self.running {
            if run.until.is_some_and(|until| until <= now) {
                let (command, pid, limit) = (&self.spec.command, run.pid, self.limit);
                say!("*** CRON HARAKIRI ON \"{command}\" (pid {pid}): it runs for over {limit} seconds ***");
                // the shell leads a session of its own
                let _ = kill(Pid::from_raw(-pid), Signal::SIGKILL);
                run.until = None;
            }
        }
    }
}

impl Master {
    /// Starts what is due and ends what is over time; every turn of the loop.
    pub(super) fn run_crons(&mut self) {
        let (now, minute) = (Instant::now(), Minute::of(crate::exports::now()));
        for cron in &mut self.crons {
            cron.kill_overdue(now);
            if self.closing.is_none() && cron.fired != Some(minute.number) && matches(cron.spec.when, minute) {
                cron.fired = Some(minute.number);
                cron.start();
            }
        }
    }

    /// When a command is over its time.
    pub(super) fn next_cron(&self) -> Option<Instant> {
        let runs = self.crons.iter().flat_map(|cron| &cron.running);
        runs.filter_map(|run| run.until).min()
    }

    /// A child has ended: whether it was such a command.
    pub(super) fn cron_ended(&mut self, pid: i32, how: &str) -> bool {
        for cron in &mut self.crons {
            if let Some(at) = cron.running.iter().position(|run| run.pid == pid) {
                let run = cron.running.remove(at);
                let (command, seconds) = (&cron.spec.command, run.began.elapsed().as_secs());
                say!(
                    "[uwsgi-cron] command \"{command}\" running with pid {pid} ended after {seconds} second(s) ({how})"
                );
                return true;
            }
        }
        false
    }
}
