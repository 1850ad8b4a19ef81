//! Mules: started, watched and started again by the master; those of an image, or of before a touch, leave when the
//! new ones are there.

use super::{Ending, INFANT, Kind, LONGEST_PAUSE, Master, tell};
use crate::process::handover::Handover;
use crate::process::{harakiri, spawn};
use crate::{mule, say};
use nix::sys::signal::Signal;
use std::sync::atomic::Ordering;
use std::time::Duration;

impl Master {
    /// The mules of the image before: they work until ours are there.
    pub(super) fn adopt_mules(&mut self, handover: &Handover) {
        for pid in &handover.mules {
            self.add(*pid, Kind::OldMule);
        }
    }

    /// The mules for the next image.
    pub(super) fn mules_for_handover(&self) -> Vec<i32> {
        let mules = self.processes.iter().filter(|p| p.kind.is_aside());
        mules.map(|p| p.pid).collect()
    }

    pub(super) fn start_mules(&mut self) {
        for id in 1..=mule::mules().map_or(0, mule::Mules::count) {
            self.spawn_mule(id);
        }
    }

    fn spawn_mule(&mut self, id: usize) {
        let Some(slot) = mule::slot(id).filter(|_| self.closing.is_none()) else {
            return;
        };
        slot.deadline.store(0, Ordering::Release);
        match spawn::mule(id) {
            Ok(pid) => {
                slot.pid.store(pid.as_raw(), Ordering::Release);
                slot.spawned.fetch_add(1, Ordering::Relaxed);
                self.add(pid.as_raw(), Kind::Mule(id));
                say!("spawned uWSGI mule {id} (pid: {pid})");
            }
            Err(e) => {
                say!("cannot fork mule {id}: fork(): {}", e.desc());
                self.pause_mule(id);
            }
        }
    }

    fn pause_mule(&mut self, id: usize) {
        let failures = &mut self.mule_failures[id];
        *failures = failures.saturating_add(1);
        let pause = Duration::from_millis(250).saturating_mul(1 << (*failures).min(10));
        self.mule_retries.plan(id, pause.min(LONGEST_PAUSE));
    }

    pub(super) fn respawn_due_mules(&mut self) {
        while let Some(id) = self.mule_retries.take_due() {
            self.spawn_mule(id);
        }
    }

    /// A mule has ended; `how`: exit code or signal.
    pub(super) fn mule_ended(&mut self, id: usize, pid: i32, lived: Duration, was_told: bool, how: &str) {
        if let Some(slot) = mule::slot(id) {
            let _ = slot.pid.compare_exchange(pid, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
        if self.closing.is_some() {
            return;
        }
        if !was_told {
            say!("DAMN ! mule {id} (pid: {pid}) died ({how}) :( trying respawn ...");
        }
        if lived < INFANT {
            return self.pause_mule(id);
        }
        self.mule_failures[id] = 0;
        self.spawn_mule(id);
    }

    /// Those of before leave when all of this image's are at work.
    pub(super) fn retire_old_mules(&mut self) {
        if !self
            .processes
            .iter()
            .any(|p| p.kind == Kind::OldMule && p.leaving.is_none())
        {
            return;
        }
        let is_ready = |id: usize| {
            let ready = mule::slot(id).map(|slot| slot.ready.load(Ordering::Acquire));
            self.processes
                .iter()
                .any(|p| p.kind == Kind::Mule(id) && Some(p.pid) == ready)
        };
        let count = mule::mules().map_or(0, mule::Mules::count);
        // without new ones they go when the new image serves
        if !(1..=count).all(is_ready) || (count == 0 && !self.ever_ready) {
            return;
        }
        let mercy = self.mule_mercy();
        for process in self.processes.iter_mut().filter(|p| p.kind == Kind::OldMule) {
            tell(process, Signal::SIGHUP, mercy);
        }
    }

    /// `--touch-mules-reload`: new ones start, the others leave.
    pub(super) fn renew_mules(&mut self) {
        for process in self.processes.iter_mut().filter(|p| matches!(p.kind, Kind::Mule(_))) {
            process.kind = Kind::OldMule;
        }
        self.mule_retries.clear();
        self.start_mules();
    }

    fn mule_mercy(&self) -> Duration {
        Duration::from_secs(self.server.settings.reload.mule_reload_mercy)
    }

    /// `--mule-harakiri`, `set_harakiri`: once a second.
    pub(super) fn check_mules(&mut self, now: i64) {
        for process in &self.processes {
            let Kind::Mule(id) = process.kind else { continue };
            let Some(slot) = mule::slot(id) else { continue };
            if let harakiri::Aside::Asked = harakiri::aside(&slot.deadline, now, process.pid) {
                slot.harakiri_count.fetch_add(1, Ordering::Relaxed);
                say!(
                    "*** HARAKIRI ON MULE {id} HANDLING A MESSAGE (pid: {}) ***",
                    process.pid
                );
            }
        }
    }

    /// The server closes: the mules are told when no worker is left that could need them, or at once.
    pub(super) fn tell_mules(&mut self) {
        let Some(closing) = &self.closing else { return };
        let fast = closing.ending == Ending::Fast;
        if !closing.workers_told || (!fast && self.processes.iter().any(|p| p.kind.is_any_worker())) {
            return;
        }
        let (signal, mercy) = match fast {
            true => (Signal::SIGINT, self.ending_mercy()),
            false => (Signal::SIGHUP, self.mule_mercy()),
        };
        for process in self.processes.iter_mut().filter(|p| p.kind.is_aside()) {
            tell(process, signal, mercy);
        }
    }
}
