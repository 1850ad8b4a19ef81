//! Children of the master: forked, reaped, forked again with growing pauses when they cannot live.

use super::{Ending, INFANT, Kind, LONGEST_PAUSE, Master, Pause, Process, Then, WayBack, blame};
use crate::log::batch;
use crate::plugin::hooks;
use crate::process::handover::Handover;
use crate::process::reap::{self, Ended};
use crate::process::{harakiri, spawn};
use crate::{say, startup};
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A new binary none of whose workers was ever ready is given up after so many tries of one of them.
const HOPELESS: u32 = 3;

/// How long after its death a gateway that did not live long is tried again.
const GATEWAY_PAUSE: Duration = Duration::from_millis(500);

impl Master {
    pub(super) fn spawn_worker(&mut self, id: usize) {
        if !self.may_fork(id) {
            return;
        }
        let shared = &self.server.shared;
        let record = shared.worker(id);
        shared.worker_slot(id).wants_replacement.store(0, Ordering::Release);
        // SAFETY: the record of this worker; its fields below are the master's to write.
        let again = unsafe {
            (*record).delta_requests = 0;
            (*record).suspended = 0;
            // the one before may have died in a handler
            (*record).sig = 0;
            (*record).last_spawn = crate::exports::now();
            (*record).respawn_count += 1;
            (*record).respawn_count > 1
        };
        match spawn::worker(id) {
            Ok(pid) => {
                let pid = pid.as_raw();
                // SAFETY: as above.
                unsafe { (*record).pid = pid };
                self.add(pid, Kind::Worker(id));
                if again {
                    say!("Respawned rsgi worker {id} (new pid: {pid})");
                } else {
                    say!("spawned rsgi worker {id} (pid: {pid}, cores: {})", shared.core_count());
                }
            }
            Err(e) => {
                say!("cannot fork worker {id}: fork(): {e}");
                self.pause_worker(id);
            }
        }
    }

    pub(super) fn spawn_gateway(&mut self, at: usize) {
        let gateway = self.gateways[at];
        match spawn::gateway(&gateway) {
            Ok(pid) => {
                self.add(pid.as_raw(), Kind::Gateway(at));
                say!("spawned rsgi {} {} (pid: {pid})", gateway.name, gateway.number);
            }
            Err(e) => say!("cannot fork gateway {} {}: fork(): {e}", gateway.name, gateway.number),
        }
    }

    pub(super) fn add(&mut self, pid: i32, kind: Kind) {
        self.processes.push(Process {
            pid,
            kind,
            born: Instant::now(),
            leaving: None,
            leaves_alone: None,
            was_ready: false,
            was_asked: false,
            memory: matches!(kind, Kind::Worker(_)).then_some(&self.server.shared),
        });
    }

    /// Takes over the processes of the image before.
    pub(super) fn adopt(&mut self, handover: &Handover) {
        let memories = handover.map_memories();
        for old in &handover.processes {
            self.add(old.pid, Kind::Old(old.worker));
            if let Some(process) = self.processes.last_mut() {
                process.memory = old.memory.and_then(|at| *memories.get(at)?);
            }
        }
        for memory in &handover.memories {
            // SAFETY: the image before left this descriptor for us; a mapping has a copy of its own.
            drop(unsafe { OwnedFd::from_raw_fd(memory.fd) });
        }
        self.way_back = WayBack::of(handover);
    }

    pub(super) fn reap(&mut self) {
        while let Some(Ended { pid, code, signal }) = reap::next() {
            self.ended(pid, code, signal);
        }
    }

    pub(super) fn ended(&mut self, pid: i32, code: Option<i32>, signal: i32) {
        if self.trial.as_ref().is_some_and(|t| t.pid() == pid) {
            return self.trial_ended(code);
        }
        let how = code.map_or_else(|| format!("killed by signal {signal}"), |c| format!("exit code {c}"));
        let Some(at) = self.processes.iter().position(|p| p.pid == pid) else {
            self.cron_ended(pid, &how);
            // else an orphan that fell to us as the first process of a container
            return;
        };
        let process = self.processes.remove(at);
        self.sources.release(pid);
        blame::functions(
            &process,
            code,
            signal,
            process.leaving.is_some() || self.closing.is_some(),
        );
        super::signals::report_lost(pid, process.kind);
        super::alarms::crashed(&process, signal);
        if let Kind::Worker(id) | Kind::Old(id) = process.kind {
            batch::ended(id, pid);
            if id > 0 {
                hooks::child_exit(id, pid, code.map_or(signal, |c| c << 8));
            }
        }
        match process.kind {
            Kind::Worker(id) => self.worker_ended(&process, id, code, signal),
            Kind::Gateway(at) => {
                if self.closing.is_none() && process.leaving.is_none() {
                    let gateway = self.gateways[at];
                    say!(
                        "gateway {} {} (pid: {pid}) ended ({how}); respawning it",
                        gateway.name,
                        gateway.number
                    );
                    if process.born.elapsed() < INFANT {
                        // one that cannot live must not make us spin
                        self.gateway_retries.plan(at, GATEWAY_PAUSE);
                    } else {
                        self.spawn_gateway(at);
                    }
                }
            }
            Kind::Old(_) => self.old_process_ended(&process, code, signal),
            Kind::Daemon(at) => self.daemon_ended(at, pid, &how),
            Kind::Mule(id) => {
                self.mule_ended(id, pid, process.born.elapsed(), process.leaving.is_some(), &how);
            }
            Kind::Spooler(number) => self.spooler_ended(number, pid, process.born.elapsed(), code),
            Kind::OldMule => {}
            Kind::Emperor => {
                self.emperor_ended(pid, process.born.elapsed(), process.leaving.is_some(), &how);
            }
        }
    }

    pub(super) fn worker_ended(&mut self, process: &Process, id: usize, code: Option<i32>, signal: i32) {
        let pid = process.pid;
        let told = process.leaving.is_some() || self.closing.is_some();
        let cannot_boot = self.explain_end(id, pid, told, signal);
        let replaced = self.has_process(id);
        if !replaced {
            blame::requests(&self.server.shared, id, if told { None } else { code }, signal);
            harakiri::clear(self.server, id);
        }
        let asked = self
            .server
            .shared
            .worker_slot(id)
            .wants_replacement
            .load(Ordering::Acquire)
            == pid;
        // with the old defaults a recycled worker leaves by itself, before or after its successor is there
        let recycled = asked || (replaced && code == Some(0));
        if process.leaving.is_some() || self.closing.is_some() || recycled {
            say!("worker {id} killed successfully (pid: {pid})");
        }
        if self.closing.is_some() || replaced {
            return;
        }
        if self.is_cheaped(id) {
            return self.cheaped_worker_ended(id);
        }
        let has_elders = self
            .processes
            .iter()
            .any(|p| p.kind.is_old_worker() && p.leaving.is_none());
        match code {
            // those of the image before serve on: the instance lives, and the next reload may bring better code
            Some(code) if has_elders && !self.ever_ready && code != 0 => {}
            Some(startup::NEED_APP) => {
                say!("need-app requested, destroying the instance...");
                return self.close(Ending::Fast, Then::Exit(startup::NEED_APP));
            }
            // one that was too slow may be quicker next time
            Some(_) if cannot_boot => {}
            Some(code) if !self.ever_ready && self.server.settings.limits.worker_boot_error_halt && code != 0 => {
                let code = if code == startup::APP_LOAD { code } else { 3 };
                say!("worker {id} failed to boot (exit code {code}); stopping (--worker-boot-error-halt)");
                return self.close(Ending::Fast, Then::Exit(code));
            }
            _ => {}
        }
        if process.leaving.is_none() {
            match code {
                Some(0) => {}
                Some(code) => say!("DAMN ! worker {id} (pid: {pid}) died with exit code {code} :( trying respawn ..."),
                None => say!("DAMN ! worker {id} (pid: {pid}) died, killed by signal {signal} :( trying respawn ..."),
            }
        }
        if cannot_boot || (!process.was_ready && process.born.elapsed() < INFANT) {
            self.pause_worker(id);
        } else {
            self.pauses[id] = None;
            self.spawn_worker(id);
        }
    }

    /// A process of the image before: the new ones take its place anyway.
    fn old_process_ended(&mut self, process: &Process, code: Option<i32>, signal: i32) {
        let Kind::Old(worker @ 1..) = process.kind else { return };
        let pid = process.pid;
        self.explain_end(worker, pid, process.leaving.is_some(), signal);
        match code {
            _ if process.leaving.is_some() => say!("worker {worker} killed successfully (pid: {pid})"),
            Some(code) => say!("worker {worker} of the image before (pid: {pid}) ended with exit code {code}"),
            None => say!("worker {worker} of the image before (pid: {pid}) died, killed by signal {signal}"),
        }
    }

    pub(super) fn pause_worker(&mut self, id: usize) {
        let failures = self.pauses[id].as_ref().map_or(0, |p| p.failures) + 1;
        let pause = Duration::from_millis(100)
            .saturating_mul(1 << failures.min(10))
            .max(Duration::from_secs(
                self.server.settings.processes.forkbomb_delay.into(),
            ))
            .min(LONGEST_PAUSE);
        say!("worker {id} ended before it was ready, {failures} time(s) in a row; next try in {pause:?}");
        self.pauses[id] = Some(Pause {
            until: Instant::now() + pause,
            failures,
        });
        if failures >= HOPELESS && !self.ever_ready {
            self.roll_back();
        }
    }

    pub(super) fn respawn_due(&mut self) {
        let now = Instant::now();
        if self.emperor_pause.is_some_and(|until| until <= now) {
            self.start_emperor();
        }
        while let Some(at) = self.gateway_retries.take_due() {
            if self.closing.is_none() {
                self.spawn_gateway(at);
            }
        }
        for id in 1..self.pauses.len() {
            let due = self.pauses[id].as_ref().is_some_and(|p| p.until <= now);
            if due && self.closing.is_none() && !self.is_cheaped(id) && !self.has_process(id) {
                if let Some(pause) = &mut self.pauses[id] {
                    pause.until = now + LONGEST_PAUSE;
                }
                self.spawn_worker(id);
            }
        }
    }
}
