//! The life of vassals: found, started, heard, reloaded, stopped, ended, tried again.

use super::demand::{self, Demand};
use super::message::{Order, Report};
use super::output::Output;
use super::scan::{self, Found, Source};
use super::spawn::{self, Ends};
use super::vassal::{End, History, Running, Vassal};
use super::{Ending, PER_VASSAL, Reign, VASSALS};
use crate::exports::now;
use crate::say;
use crate::server::set_nonblocking;
use crate::startup::hooks::{self, Subject};
use mio::unix::SourceFd;
use mio::{Interest, Token};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Exit code of an instance that must not be started again (uWSGI's).
const EXILE: i32 = 26;

impl Reign<'_> {
    /// Looks which vassals there are to be, and compares with those that are.
    pub(super) fn scan(&mut self) {
        let settings = &self.settings.emperor;
        // SAFETY: the emperor has one thread; a plugin may have written the field.
        let wanted_by_plugin = unsafe { (*crate::server::view()).emperor_freq };
        let every = u64::try_from(wanted_by_plugin).ok().filter(|n| *n > 0);
        self.next_scan = Instant::now() + Duration::from_secs(every.unwrap_or(settings.scan_every));
        self.sources = settings.sources.iter().map(|text| Source::of(text)).collect();
        self.watch
            .set(self.sources.iter().flat_map(scan::watched_folders).collect());
        let mut found: Vec<Found> = Vec::new();
        for (number, source) in self.sources.iter().enumerate() {
            for one in scan::look(settings, number, source) {
                // two sources may name the same file
                if !found.iter().any(|f| f.file == one.file) {
                    found.push(one);
                }
            }
        }
        for source in &self.sources.clone() {
            if let Source::Missing(path) = source {
                self.say_once(format!("[emperor] {path} does not exist; waiting for it"));
            } else {
                self.said
                    .retain(|line| !line.contains(" does not exist; waiting for it"));
            }
        }
        for at in 0..self.vassals.len() {
            let vassal = &self.vassals[at];
            if !vassal.is_leaving() && !found.iter().any(|f| f.file == vassal.found.file) {
                self.stop(at, End::Removed);
            }
        }
        self.forget_ended();
        for one in found {
            match self.vassals.iter().position(|v| v.found.file == one.file) {
                None => self.add(one),
                Some(at) if self.vassals[at].is_leaving() => {}
                Some(at) => self.update(at, one),
            }
        }
        self.start_due();
    }

    fn say_once(&mut self, line: String) {
        if !self.said.contains(&line) {
            say!("{line}");
            self.said.insert(line);
        }
    }

    /// Whether the owner of the file may be a vassal's user.
    fn may_run_as_owner(&mut self, found: &Found) -> bool {
        if !self.settings.emperor.tyrant || (found.uid != 0 && found.gid != 0) {
            return true;
        }
        self.say_once(format!(
            "[emperor-tyrant] invalid permissions for vassal {}: {} belongs to root; give it to the user and group that it runs as",
            found.id,
            found.file.display()
        ));
        false
    }

    fn add(&mut self, found: Found) {
        if !self.may_run_as_owner(&found) {
            return;
        }
        let bound = demand::address(self.settings, &found)
            .and_then(|address| address.map(|a| Demand::bind(self.settings, a)).transpose());
        let demand = match bound {
            Ok(demand) => demand,
            Err(why) => {
                return self.say_once(format!(
                    "[emperor] vassal {}: no socket to wait at: {why}; trying again",
                    found.id
                ));
            }
        };
        if let Some(demand) = &demand {
            say!(
                "[uwsgi-emperor] {} -> \"on demand\" instance detected, waiting for connections on socket \"{}\" ...",
                found.id,
                demand.address
            );
            hooks::try_for_vassal(&self.settings.hooks.as_on_demand_vassal, &subject(&found, -1));
        }
        self.next_serial += 1;
        self.vassals.push(Vassal {
            serial: self.next_serial,
            found,
            demand,
            process: None,
            end: None,
            throttle: Default::default(),
            is_exiled: false,
            history: History::default(),
        });
    }

    /// A vassal's file is still there; it may have changed.
    fn update(&mut self, at: usize, found: Found) {
        let vassal = &self.vassals[at];
        let tyrant = self.settings.emperor.tyrant;
        if tyrant && (vassal.found.uid, vassal.found.gid) != (found.uid, found.gid) {
            say!(
                "[emperor-tyrant] !!! permissions of vassal {} changed. stopping the instance... !!!",
                found.id
            );
            return self.stop(at, End::Replaced);
        }
        // a program is asked for the address only once: it costs a process
        if self.settings.emperor.on_demand_exec.is_none() {
            let address = demand::address(self.settings, &found).unwrap_or_default();
            if address.as_deref() != vassal.demand.as_ref().map(|d| d.address.as_str()) {
                say!("[emperor] vassal {}: its socket changed; starting it anew", found.id);
                return self.stop(at, End::Replaced);
            }
        }
        if found.stamp == vassal.found.stamp {
            return;
        }
        let vassal = &mut self.vassals[at];
        vassal.found = found;
        vassal.throttle = Default::default();
        vassal.is_exiled = false;
        if vassal.process.is_some() {
            self.reload(at);
        } else if vassal.demand.is_some() {
            say!(
                "[emperor] updated configuration for \"on demand\" instance {}",
                vassal.id()
            );
        }
    }

    /// Starts, or lets listen, those whose time has come.
    pub(super) fn start_due(&mut self) {
        if self.ending.is_some() {
            return;
        }
        let now = Instant::now();
        for at in 0..self.vassals.len() {
            let vassal = &mut self.vassals[at];
            if !vassal.is_due(now) {
                continue;
            }
            vassal.throttle.until = None;
            match &mut vassal.demand {
                None => self.start(at),
                Some(demand) if !demand.is_watched => {
                    let token = Token(VASSALS + vassal.serial * PER_VASSAL);
                    let fd = demand.as_raw_fd();
                    let registry = self.poll.registry();
                    demand.is_watched = registry.register(&mut SourceFd(&fd), token, Interest::READABLE).is_ok();
                }
                Some(_) => {}
            }
        }
    }

    fn start(&mut self, at: usize) {
        if let Err(why) = self.try_start(at) {
            say!("[emperor] cannot start vassal {}: {why}", self.vassals[at].id());
            self.fail(at);
        }
    }

    fn try_start(&mut self, at: usize) -> Result<(), String> {
        let settings = self.settings;
        let registry = self.poll.registry();
        let vassal = &mut self.vassals[at];
        let text = |e: std::io::Error| e.to_string();
        let (mine, theirs) = UnixStream::pair().map_err(text)?;
        mine.set_nonblocking(true).map_err(text)?;
        let (reader, writer) = std::io::pipe().map_err(text)?;
        set_nonblocking(reader.as_raw_fd());
        let before = subject(&vassal.found, -1);
        hooks::try_for_vassal(&settings.hooks.as_emperor_before_vassal, &before);
        let ends = Ends {
            link: theirs.as_raw_fd(),
            output: writer.as_raw_fd(),
            input: vassal.demand.as_ref().map(AsRawFd::as_raw_fd),
        };
        let pid = spawn::vassal(settings, &vassal.found, &ends)?;
        let token = Token(VASSALS + vassal.serial * PER_VASSAL);
        let watch = |fd: RawFd| {
            registry
                .register(&mut SourceFd(&fd), token, Interest::READABLE)
                .map_err(text)
        };
        watch(mine.as_raw_fd())?;
        watch(reader.as_raw_fd())?;
        let history = &mut vassal.history;
        history.last_run = now();
        if history.first_run == 0 {
            history.first_run = history.last_run;
        } else {
            history.respawns += 1;
        }
        vassal.end = None;
        vassal.process = Some(Running {
            pid,
            link: mine,
            output: Output::new(reader),
            ready: false,
            is_announced: false,
            accepting: None,
            loyal: false,
            last_heartbeat: 0,
            kill_at: None,
        });
        hooks::try_for_vassal(&settings.hooks.as_emperor, &subject(&vassal.found, pid));
        Ok(())
    }

    /// One of a vassal's descriptors has news; all are looked at.
    pub(super) fn on_vassal_event(&mut self, serial: usize) {
        let Some(at) = self.vassals.iter().position(|v| v.serial == serial) else {
            return;
        };
        let vassal = &mut self.vassals[at];
        if vassal.process.is_none() {
            if let Some(demand) = vassal.demand.as_mut().filter(|d| d.is_watched) {
                demand.is_watched = false;
                let fd = demand.as_raw_fd();
                let _ = self.poll.registry().deregister(&mut SourceFd(&fd));
                self.start(at);
            }
            return;
        }
        self.hear(at);
    }

    /// Goes on with those who print more than is taken in one turn.
    pub(super) fn hear_the_talkative(&mut self) {
        for at in 0..self.vassals.len() {
            if self.vassals[at].has_more_output() {
                self.hear(at);
            }
        }
    }

    /// Hands on what a vassal printed and takes in what it reported.
    fn hear(&mut self, at: usize) {
        let Some(running) = &mut self.vassals[at].process else {
            return;
        };
        running.output.hand_on();
        let mut bytes = [0u8; 64];
        let mut reports = Vec::new();
        while let Ok(n @ 1..) = running.link.read(&mut bytes) {
            reports.extend(bytes[..n].iter().filter_map(|b| Report::of(*b)));
        }
        for report in reports {
            self.on_report(at, report);
        }
    }

    fn on_report(&mut self, at: usize, report: Report) {
        let vassal = &mut self.vassals[at];
        let id = vassal.found.id.clone();
        let Some(running) = &mut vassal.process else { return };
        // one without a master never says that it is ready
        let runs = matches!(report, Report::Ready | Report::Accepting);
        if runs && !std::mem::replace(&mut running.is_announced, true) {
            say!("[emperor] vassal {id} has been spawned");
        }
        match report {
            Report::Ready => {
                running.ready = true;
                vassal.history.last_ready = now();
            }
            Report::Accepting => {
                say!("[emperor] vassal {id} is ready to accept requests");
                running.accepting = Some(Instant::now());
                vassal.history.last_accepting = now();
            }
            Report::Loyal => {
                if !running.loyal {
                    say!("[emperor] vassal {id} is now loyal");
                }
                running.loyal = true;
                vassal.history.last_loyal = now();
                vassal.throttle = Default::default();
            }
            Report::Heartbeat => running.last_heartbeat = now(),
            Report::Rest if vassal.demand.is_some() => self.stop(at, End::Rest),
            Report::Rest => {}
        }
    }

    /// Reloads a vassal that runs; one whose master does not take orders yet starts again.
    pub(super) fn reload(&mut self, at: usize) {
        let vassal = &mut self.vassals[at];
        let Some(running) = vassal.process.as_mut().filter(|r| r.kill_at.is_none()) else {
            return;
        };
        say!("[emperor] reload the uwsgi instance {}", vassal.found.id);
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
        loop {
            let (pid, code, signal) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, Some(code), 0),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, None, signal as i32),
                Ok(WaitStatus::StillAlive) | Err(_) => return,
                Ok(_) => continue,
            };
            let is_it = |v: &Vassal| v.process.as_ref().is_some_and(|r| r.pid == pid.as_raw());
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
    fn fail(&mut self, at: usize) {
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

fn subject(found: &Found, pid: i32) -> Subject<'_> {
    Subject {
        name: &found.id,
        pid,
        uid: found.uid,
        gid: found.gid,
    }
}

fn tolerance(settings: &crate::settings::Settings) -> Duration {
    Duration::from_secs(settings.emperor.curse_tolerance)
}
