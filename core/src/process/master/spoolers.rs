//! Spoolers: started, watched and started again by the master. Two of a directory never have the same task, so old
//! and new ones may work side by side while they change hands.

use super::{INFANT, Kind, Master};
use crate::process::{harakiri, spawn};
use crate::say;
use crate::spooler::spoolers;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long after its death a spooler that did not live long is tried again.
const PAUSE: Duration = Duration::from_secs(1);

impl Master {
    /// All of them; with `--spooler-cheap` those for whom there is something to do, which is asked once a second.
    pub(super) fn start_spoolers(&mut self) {
        if spoolers().is_some_and(crate::spooler::Spoolers::is_cheap) {
            return self.start_needed_spoolers();
        }
        for number in 0..spoolers().map_or(0, crate::spooler::Spoolers::process_count) {
            self.spawn_spooler(number);
        }
    }

    fn spawn_spooler(&mut self, number: usize) {
        let Some(all) = spoolers().filter(|_| self.closing.is_none()) else {
            return;
        };
        let slot = all.slot(number);
        slot.deadline.store(0, Ordering::Release);
        slot.running.store(0, Ordering::Relaxed);
        match spawn::spooler(all, number) {
            Ok(pid) => {
                slot.pid.store(pid.as_raw(), Ordering::Release);
                slot.spawned.fetch_add(1, Ordering::Relaxed);
                self.add(pid.as_raw(), Kind::Spooler(number));
                say!(
                    "spawned the rsgi spooler on dir {} with pid {pid}",
                    all.folder_of(number).display()
                );
            }
            Err(e) => {
                say!("cannot fork a spooler: fork(): {}", e.desc());
                self.spooler_retries.plan(number, PAUSE);
            }
        }
    }

    fn start_needed_spoolers(&mut self) {
        let Some(all) = spoolers() else { return };
        let waiting = |number: &usize| !self.processes.iter().any(|p| p.kind == Kind::Spooler(*number));
        let missing: Vec<usize> = (0..all.process_count()).filter(waiting).collect();
        // of one directory all or none: they leave by themselves
        for numbers in missing.chunk_by(|a, b| all.folder_of(*a) == all.folder_of(*b)) {
            if all.has_work(numbers[0]) {
                numbers.iter().for_each(|number| self.spawn_spooler(*number));
            }
        }
    }

    pub(super) fn respawn_due_spoolers(&mut self) {
        while let Some(number) = self.spooler_retries.take_due() {
            self.spawn_spooler(number);
        }
    }

    /// A spooler has ended, by itself with code 0 when it has done enough.
    pub(super) fn spooler_ended(&mut self, number: usize, pid: i32, lived: Duration, code: Option<i32>) {
        let Some(all) = spoolers().filter(|_| self.closing.is_none()) else {
            return;
        };
        all.slot(number).pid.store(0, Ordering::Release);
        if code == Some(0) && all.is_cheap() {
            return;
        }
        if code != Some(0) {
            say!("OOOPS the spooler (pid: {pid}) is no more...trying respawn...");
            if lived < INFANT {
                self.spooler_retries.plan(number, PAUSE);
                return;
            }
        }
        self.spawn_spooler(number);
    }

    /// `--touch-spoolers-reload`: new ones start, the others leave.
    pub(super) fn renew_spoolers(&mut self) {
        for process in &mut self.processes {
            if matches!(process.kind, Kind::Spooler(_)) {
                process.kind = Kind::OldMule;
            }
        }
        self.spooler_retries.clear();
        self.start_spoolers();
    }

    /// `--spooler-harakiri`: once a second. The task stays and is run again.
    pub(super) fn check_spoolers(&mut self, now: i64) {
        let Some(all) = spoolers() else { return };
        if all.is_cheap() && self.spooler_retries.next().is_none() {
            self.start_needed_spoolers();
        }
        for process in &self.processes {
            let Kind::Spooler(number) = process.kind else { continue };
            let slot = all.slot(number);
            if let harakiri::Aside::Asked = harakiri::aside(&slot.deadline, now, process.pid) {
                say!("*** HARAKIRI ON THE SPOOLER (pid: {}) ***", process.pid);
            }
        }
    }
}
