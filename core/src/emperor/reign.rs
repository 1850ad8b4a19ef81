//! The beginning of vassals: found, compared with those that are there, started, heard.

use super::demand::{self, Demand};
use super::message::Report;
use super::output::Output;
use super::scan::{self, Found, Source};
use super::spawn::{self, Ends};
use super::vassal::{End, History, Running, Vassal};
use super::{MONITORS, PER_VASSAL, Reign, VASSALS, monitor};
use crate::exports::now;
use crate::say;
use crate::server::set_nonblocking;
use crate::startup::hooks::{self, Subject};
use mio::unix::SourceFd;
use mio::{Interest, Token};
use std::io::Read;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

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
        for (number, source) in self.sources.iter().enumerate() {
            let Source::Plugin(text) = source else { continue };
            if let Some((fd, at)) = monitor::look(text) {
                let token = MONITORS + at;
                let watched = (token < VASSALS).then(|| {
                    self.poll
                        .registry()
                        .register(&mut SourceFd(&fd), Token(token), Interest::READABLE)
                });
                if !matches!(watched, Some(Ok(()))) {
                    say!("[emperor] source {number}: its descriptor cannot be watched, it is looked at now and then");
                }
            }
        }
        self.compare();
    }

    /// Compares the vassals that there are to be with those that are.
    pub(super) fn compare(&mut self) {
        let settings = &self.settings.emperor;
        let mut found: Vec<Found> = Vec::new();
        for (number, source) in self.sources.iter().enumerate() {
            for one in scan::look(settings, number, source) {
                // two sources may name the same file
                if !found.iter().any(|f| f.file == one.file) {
                    found.push(one);
                }
            }
        }
        for one in monitor::found() {
            if !found.iter().any(|f| f.file == one.file) {
                found.push(one);
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
    pub(super) fn hear(&mut self, at: usize) {
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
}

fn subject(found: &Found, pid: i32) -> Subject<'_> {
    Subject {
        name: &found.id,
        pid,
        uid: found.uid,
        gid: found.gid,
    }
}
