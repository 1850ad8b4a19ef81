//! How vassals are reloaded, stopped and killed, and what follows the end of one: forgotten, started again at once, or
//! after a pause that grows.

use super::message::Order;
use super::vassal::{End, Vassal};
use super::{Ending, Reign};
use crate::exports::now;
use crate::process::reap::{self, Ended};
use crate::say;
use crate::startup::hooks;
use mio::unix::SourceFd;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// Exit code of an instance that must not be started again (uWSGI's).
const EXILE: i32 = 26;

impl Reign<'_> {
    /// Reloads a vassal that runs; one whose master does not take orders yet starts again.
    pub(super) fn reload(&mut self, at: usize) {
        let vassal = &mut self.vassals[at];
        let Some(running) = vassal.process.as_mut().filter(|r| r.kill_at.is_none()) else {
            return;
        };
        say!("[emperor] reload the uwsgi instance {}", vassal.found.id);
        vassal.history.reloads += 1;
        // while it loads its applications anew it cannot give signs of life
        running.last_heartbeat = 0;
        if running.ready && running.link.write_all(&[Order::Reload as u8]).is_ok() {
            return;
        }
        let _ = kill(Pid::from_raw(running.pid), Signal::SIGTERM);
        running.kill_at = Some(Instant::now() + tolerance(self.settings));
        vassal.end = Some(End::Restart);
    }

    pub(super) fn reload_all(&mut self) {
        if self.ending.is_some() {
            return;
        }
        say!("[emperor] reloading all vassals");
        for at in 0..self.vassals.len() {
            self.reload(at);
        }
        self.scan();
    }

    /// Tells a vassal to end; what has no process has ended already.
    pub(super) fn stop(&mut self, at: usize, end: End) {
        let fast = self.ending == Some(Ending::Fast);
        let tolerance = tolerance(self.settings);
        let vassal = &mut self.vassals[at];
        let id = &vassal.found.id;
        vassal.end = Some(end);
        let Some(running) = &mut vassal.process else { return };
        if running.kill_at.is_none() {
            say!("[emperor] stop the uwsgi instance {id}");
            running.kill_at = Some(Instant::now() + tolerance);
        } else if !fast {
            return;
        }
        if fast {
            let _ = kill(Pid::from_raw(running.pid), Signal::SIGINT);
        } else if !(running.ready && running.link.write_all(&[Order::Stop as u8]).is_ok()) {
            let _ = kill(Pid::from_raw(running.pid), Signal::SIGTERM);
        }
    }

    pub(super) fn end_overdue(&mut self) {
        let now = Instant::now();
        for vassal in &mut self.vassals {
            let id = &vassal.found.id;
            if let Some(running) = vassal
                .process
                .as_mut()
                .filter(|r| r.kill_at.is_some_and(|at| at <= now))
            {
                say!("[emperor] NO MERCY for vassal {id} !!!");
                let _ = kill(Pid::from_raw(running.pid), Signal::SIGKILL);
                running.kill_at = Some(now + Duration::from_secs(5));
            }
        }
    }

    pub(super) fn check_heartbeats(&mut self) {
        let limit = self.settings.emperor.required_heartbeat as i64;
        let now = now();
        for vassal in &mut self.vassals {
            let Some(running) = &mut vassal.process else { continue };
            if running.last_heartbeat > 0 && now - running.last_heartbeat > limit && running.kill_at.is_none() {
                say!(
                    "[emperor] vassal {} sent no heartbeat in last {} seconds, brutally respawning it...",
                    vassal.found.id,
                    now - running.last_heartbeat
                );
                let _ = kill(Pid::from_raw(running.pid), Signal::SIGKILL);
                running.kill_at = Some(Instant::now() + Duration::from_secs(5));
                vassal.end = Some(End::Restart);
            }
        }
    }

    pub(super) fn reap(&mut self) {
        while let Some(Ended { pid, code, signal }) = reap::next() {
            let is_it = |v: &Vassal| v.process.as_ref().is_some_and(|r| r.pid == pid);
            // anything else is a stop-hook, or an orphan that fell to the first process of a container
            if let Some(at) = self.vassals.iter().position(is_it) {
                self.ended(at, code, signal);
            }
        }
    }

    fn ended(&mut self, at: usize, code: Option<i32>, signal: i32) {
        self.hear(at);
        let vassal = &mut self.vassals[at];
        let id = vassal.found.id.clone();
        let Some(mut running) = vassal.process.take() else {
            return;
        };
        let (pid, is_proven) = (running.pid, running.is_proven());
        for fd in [running.link.as_raw_fd(), running.output.as_raw_fd()] {
            let _ = self.poll.registry().deregister(&mut SourceFd(&fd));
        }
        let is_over = running.output.hand_on();
        let last_line = running.output.last_line();
        if !is_over {
            self.leftovers.push(running.output);
        }
        let end = self.vassals[at].end.take();
        if matches!(end, Some(End::Removed | End::Replaced)) {
            self.vassals[at].end = end;
            return self.forget_ended();
        }
        if end == Some(End::Restart) {
            return;
        }
        let how = match code {
            Some(code) => format!("exit code {code}"),
            None => format!("signal {signal}"),
        };
        let vassal = &mut self.vassals[at];
        let rests = end == Some(End::Rest) || code == Some(0);
        if let Some(demand) = vassal.demand.as_ref().filter(|_| rests) {
            return say!(
                "[uwsgi-emperor] {id} -> back to \"on demand\" mode, waiting for connections on socket \"{}\" ...",
                demand.address
            );
        }
        say!("[emperor] vassal {id} (pid: {pid}) ended with {how}; its last line: {last_line}");
        if code == Some(EXILE) {
            vassal.is_exiled = true;
            return say!("[emperor] vassal {id} asked not to be started again: it waits until its file changes");
        }
        if !is_proven {
            say!("[emperor] curse the uwsgi instance {id} (pid: {pid})");
            self.fail(at);
        }
    }

    /// A vassal could not live: its next try comes after a pause that grows.
    pub(super) fn fail(&mut self, at: usize) {
        let settings = &self.settings.emperor;
        let step = Duration::from_millis(settings.throttle);
        let most = Duration::from_millis(settings.max_throttle.max(settings.throttle));
        let vassal = &mut self.vassals[at];
        vassal.throttle.fail(now(), step, most, !settings.no_blacklist);
        let id = &vassal.found.id;
        if vassal.throttle.failures > 1 && !settings.no_blacklist {
            say!(
                "[emperor] unloyal bad behaving vassal found: {id} throttling it... (failures: {}, next try in {:?})",
                vassal.throttle.failures,
                vassal.throttle.level
            );
        }
        if vassal.throttle.just_reached(step, most) && vassal.throttle.failures > 1 {
            say!("[emperor] maximum throttle level for vassal {id} reached !!!");
        }
    }

    /// Forgets vassals that were to be and have ended.
    pub(super) fn forget_ended(&mut self) {
        let (gone, left): (Vec<Vassal>, Vec<Vassal>) = std::mem::take(&mut self.vassals)
            .into_iter()
            .partition(|v| v.is_leaving() && v.process.is_none());
        self.vassals = left;
        for vassal in gone {
            if let Some(demand) = vassal.demand.as_ref().filter(|d| d.is_watched) {
                let _ = self.poll.registry().deregister(&mut SourceFd(&demand.as_raw_fd()));
            }
            say!("[emperor] removed uwsgi instance {}", vassal.id());
            self.run_stop_hook(vassal.id());
            if vassal.end == Some(End::Replaced) || self.ending.is_none() {
                // its file may be there (again)
                self.next_scan = Instant::now();
            }
        }
    }

    fn run_stop_hook(&self, id: &str) {
        let Some(program) = &self.settings.emperor.stop_hook else {
            return;
        };
        say!("[emperor] running vassal stop-hook: {program} {id}");
        // reaped with the vassals: the emperor does not wait for it, except when it ends itself
        let started = hooks::child(program).arg(id).spawn();
        match started {
            Ok(mut child) if self.ending.is_some() => drop(child.wait()),
            Ok(_) => {}
            Err(e) => say!("[emperor] vassal {id}: cannot run the stop-hook {program}: {e}"),
        }
    }
}

fn tolerance(settings: &crate::settings::Settings) -> Duration {
    Duration::from_secs(settings.emperor.curse_tolerance)
}
