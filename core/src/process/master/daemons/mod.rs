//! Programs that live and die with the server (`--attach-daemon`), and those that it only looks after because they
//! outlive it (`--smart-attach-daemon`): started by the master, started again when they end.

mod smart;
pub(super) mod spawn;

use super::touch::Watched;
use super::{Ending, Kind, Master, Process, Then};
use crate::say;
use crate::settings::{Daemon, Settings};
use crate::stats::snapshot::DaemonStats;
use nix::sys::signal::kill;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use smart::Pidfile;
use spawn::Owner;
use std::time::{Duration, Instant};

/// A program that ends sooner than this is started again after a pause.
const TOO_SOON: Duration = Duration::from_secs(3);
/// The longest pause, unless `max_throttle` says otherwise.
const LONGEST_PAUSE: u64 = 300;
/// How long programs get to end, unless `reload-mercy` says otherwise.
const MERCY: Duration = Duration::from_secs(3);

/// An attached program.
#[derive(Debug)]
pub(super) struct AttachedDaemon {
    spec: Daemon,
    owner: Owner,
    /// How often it was started by this image.
    starts: u32,
    last_start: Option<Instant>,
    /// It is started (again) at this moment.
    due: Option<Instant>,
    /// Of one that outlives the server.
    pidfile: Option<Pidfile>,
    touches: Vec<Watched>,
}

impl AttachedDaemon {
    /// The pause before the next start.
    fn pause(&self) -> Duration {
        let Some(lived) = self
            .last_start
            .map(|at| at.elapsed())
            .filter(|lived| *lived <= TOO_SOON)
        else {
            return Duration::ZERO;
        };
        let most = match self.spec.max_throttle {
            0 => LONGEST_PAUSE,
            most => most,
        };
        let seconds = u64::from(self.starts).saturating_sub(lived.as_secs()).clamp(1, most);
        Duration::from_secs(seconds)
    }
}

/// The programs of the configuration.
///
/// # Errors
/// A user or group that does not exist.
pub(super) fn configured(settings: &Settings) -> std::io::Result<Vec<AttachedDaemon>> {
    let make = |spec: &Daemon| {
        Ok(AttachedDaemon {
            owner: Owner::of(spec)
                .map_err(|why| std::io::Error::other(format!("attached daemon \"{}\": {why}", spec.command)))?,
            starts: 0,
            last_start: None,
            due: None,
            pidfile: spec.pidfile.as_ref().map(|path| Pidfile::new(path)),
            touches: spec.touch.iter().cloned().map(Watched::new).collect(),
            spec: spec.clone(),
        })
    };
    settings.background.daemons.iter().map(make).collect()
}

/// What the statistics say of them.
fn stats(daemons: &[AttachedDaemon], processes: &[Process]) -> Vec<DaemonStats> {
    let child = |at| processes.iter().find(|p| p.kind == Kind::Daemon(at)).map(|p| p.pid);
    let describe = |(at, daemon): (usize, &AttachedDaemon)| DaemonStats {
        command: daemon.spec.command.clone(),
        pid: daemon
            .pidfile
            .as_ref()
            .map_or_else(|| child(at), |p| p.pid)
            .unwrap_or(0),
        respawns: daemon.starts.saturating_sub(1),
    };
    daemons.iter().enumerate().map(describe).collect()
}

/// To a whole session: a shell stands before most programs.
fn signal_group(pid: i32, signal: i32) {
    let sent = kill(Pid::from_raw(-pid), signal_of(signal));
    if sent.is_err() {
        // it leads no group
        let _ = kill(Pid::from_raw(pid), signal_of(signal));
    }
}

fn signal_of(number: i32) -> nix::sys::signal::Signal {
    nix::sys::signal::Signal::try_from(number).unwrap_or(nix::sys::signal::Signal::SIGTERM)
}

impl Master {
    /// What plugins and the statistics see of them.
    pub(super) fn daemon_figures(&self) -> Vec<DaemonStats> {
        stats(&self.daemons, &self.processes)
    }

    /// Starts all of them; those that outlive servers only if they do not run.
    pub(super) fn start_daemons(&mut self) {
        for at in 0..self.daemons.len() {
            let daemon = &mut self.daemons[at];
            daemon.pidfile.as_mut().map(Pidfile::look);
            match daemon.pidfile.as_ref().and_then(|p| p.pid) {
                Some(pid) => say!(
                    "[uwsgi-daemons] found valid/active pidfile for \"{}\" (pid: {pid})",
                    daemon.spec.command
                ),
                None => self.start_daemon(at),
            }
        }
    }

    fn start_daemon(&mut self, at: usize) {
        let stdin = self.server.settings.background.daemons_honour_stdin;
        let daemon = &mut self.daemons[at];
        daemon.due = None;
        let again = if daemon.starts > 0 { "re" } else { "" };
        say!(
            "[uwsgi-daemons] {again}spawning \"{}\" (uid: {} gid: {})",
            daemon.spec.command,
            daemon.owner.uid(),
            daemon.owner.gid()
        );
        daemon.starts += 1;
        daemon.last_start = Some(Instant::now());
        match spawn::daemon(&daemon.spec, &daemon.owner, stdin || daemon.spec.stdin) {
            Ok(pid) => self.add(pid, Kind::Daemon(at)),
            Err(e) => {
                say!(
                    "[uwsgi-daemons] unable to spawn \"{}\": fork(): {}",
                    daemon.spec.command,
                    e.desc()
                );
                self.plan_daemon(at);
            }
        }
    }

    /// Puts its next start where its past says.
    fn plan_daemon(&mut self, at: usize) {
        let daemon = &mut self.daemons[at];
        let pause = daemon.pause();
        if pause.is_zero() {
            return self.start_daemon(at);
        }
        say!(
            "[uwsgi-daemons] throttling \"{}\" for {} seconds",
            daemon.spec.command,
            pause.as_secs()
        );
        daemon.due = Some(Instant::now() + pause);
    }

    /// One has ended, or the process that put it into the background.
    pub(super) fn daemon_ended(&mut self, at: usize, pid: i32, how: &str) {
        let daemon = &self.daemons[at];
        if daemon.pidfile.is_some() {
            if how != "exit code 0" {
                say!(
                    "[uwsgi-daemons] starting \"{}\" (pid: {pid}) failed: {how}",
                    daemon.spec.command
                );
            }
            return;
        }
        if self.closing.is_some() {
            return say!("daemon \"{}\" (pid: {pid}) annihilated", daemon.spec.command);
        }
        if daemon.spec.controls {
            say!(
                "[uwsgi-daemons] the control daemon \"{}\" (pid: {pid}) ended ({how}): the instance ends with it",
                daemon.spec.command
            );
            return self.stop(Ending::Graceful);
        }
        self.plan_daemon(at);
    }

    /// The next moment at which one is to be started.
    pub(super) fn next_daemon(&self) -> Option<Instant> {
        self.daemons.iter().filter_map(|d| d.due).min()
    }

    /// Starts those whose pause is over.
    pub(super) fn start_due_daemons(&mut self) {
        let now = Instant::now();
        for at in 0..self.daemons.len() {
            if self.closing.is_none() && self.daemons[at].due.is_some_and(|due| due <= now) {
                self.start_daemon(at);
            }
        }
    }

    /// About once a second: pidfiles and touched files.
    pub(super) fn check_daemons(&mut self) {
        if self.closing.is_some() {
            return;
        }
        for at in 0..self.daemons.len() {
            self.check_touched_daemon(at);
            let daemon = &mut self.daemons[at];
            let freq = daemon.spec.freq;
            let rested = daemon
                .last_start
                .is_none_or(|s| s.elapsed() >= Duration::from_secs(freq));
            let is_missing = daemon
                .pidfile
                .as_mut()
                .is_some_and(|pidfile| pidfile.check(&daemon.spec.command, freq));
            if is_missing && rested {
                self.start_daemon(at);
            }
        }
    }

    fn check_touched_daemon(&mut self, at: usize) {
        let mut touched = None;
        for watched in &mut self.daemons[at].touches {
            if watched.has_changed() {
                touched = Some(watched.file.clone());
            }
        }
        let daemon = &self.daemons[at];
        let child = self
            .processes
            .iter()
            .find(|p| p.kind == Kind::Daemon(at))
            .map(|p| p.pid);
        let pid = daemon.pidfile.as_ref().map_or(child, |p| p.pid);
        if let (Some(file), Some(pid)) = (touched, pid) {
            say!(
                "*** {file} has been touched... reloading daemon \"{}\" (pid: {pid}) !!! ***",
                daemon.spec.command
            );
            signal_group(pid, daemon.spec.stop_signal);
        }
    }

    /// How long they get to end.
    fn daemon_mercy(&self) -> Duration {
        let settings = &self.server.settings;
        match settings.is_given("reload-mercy") {
            true => Duration::from_secs(settings.reload.reload_mercy),
            false => MERCY,
        }
    }

    /// Tells those that are children to end, once; the others are only told what happens, if they want to know.
    pub(super) fn stop_daemons(&mut self, then: Then) {
        let is_reload = then == Then::Exec;
        let until = Instant::now() + self.daemon_mercy();
        for daemon in self.daemons.iter_mut().filter(|d| d.spec.notify) {
            daemon.pidfile.as_mut().map(Pidfile::look);
            if let Some(pid) = daemon.pidfile.as_ref().and_then(|p| p.pid) {
                let reload = daemon.spec.reload_signal.unwrap_or(libc::SIGHUP);
                signal_group(pid, if is_reload { reload } else { daemon.spec.stop_signal });
            }
        }
        for process in &mut self.processes {
            let Kind::Daemon(at) = process.kind else { continue };
            let spec = &self.daemons[at].spec;
            if process.leaving.is_some() || spec.pidfile.is_some() {
                continue;
            }
            say!(
                "[uwsgi-daemons] stopping daemon (pid: {}): {}",
                process.pid,
                spec.command
            );
            process.leaving = Some(until);
            let reload = spec.reload_signal.filter(|_| is_reload);
            signal_group(process.pid, reload.unwrap_or(spec.stop_signal));
        }
    }

    /// The same, and waits for their end: the next image starts its own, and two must not be there at once.
    pub(super) fn end_daemons(&mut self) {
        self.stop_daemons(Then::Exec);
        let until = Instant::now() + self.daemon_mercy();
        while self.processes.iter().any(|p| self.is_child_daemon(p)) {
            let late = Instant::now() >= until;
            for at in (0..self.processes.len()).rev() {
                let process = &self.processes[at];
                if !self.is_child_daemon(process) {
                    continue;
                }
                if late {
                    self.kill_daemon(process.pid);
                }
                let ended = waitpid(Pid::from_raw(process.pid), Some(WaitPidFlag::WNOHANG));
                if ended.map_or(true, |status| status.pid().is_some()) {
                    self.processes.remove(at);
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(super) fn is_child_daemon(&self, process: &Process) -> bool {
        matches!(process.kind, Kind::Daemon(at) if self.daemons[at].spec.pidfile.is_none())
    }

    /// Kills one that did not end in time, with its session.
    pub(super) fn kill_daemon(&self, pid: i32) {
        let found = self.processes.iter().find(|p| p.pid == pid);
        if let Some(Kind::Daemon(at)) = found.map(|p| p.kind) {
            let command = &self.daemons[at].spec.command;
            say!("[uwsgi-daemons] daemon did not die in time, killing (pid: {pid}): {command}");
            signal_group(pid, libc::SIGKILL);
        }
    }

    /// Runs a command beside the server, not waiting for it.
    pub(super) fn run_aside(&self, command: &str) {
        if let Err(e) = spawn::shell(command).spawn() {
            say!("cannot run \"{command}\": {e}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_the_starts_and_a_long_life_ends_them() {
        let mut daemon = AttachedDaemon {
            spec: Daemon::default(),
            owner: Owner::default(),
            starts: 1,
            last_start: None,
            due: None,
            pidfile: None,
            touches: Vec::new(),
        };
        let pause = |d: &AttachedDaemon| d.pause().as_secs();
        assert_eq!(pause(&daemon), 0);
        daemon.last_start = Some(Instant::now());
        assert_eq!(pause(&daemon), 1);
        daemon.starts = 7;
        assert_eq!(pause(&daemon), 7);
        daemon.spec.max_throttle = 2;
        assert_eq!(pause(&daemon), 2);
        daemon.last_start = Instant::now().checked_sub(Duration::from_secs(4));
        assert_eq!(pause(&daemon), 0);
    }
}
