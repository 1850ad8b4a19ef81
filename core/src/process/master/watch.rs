//! What the master looks at once a second: requests over time, heartbeats, memory, and the plugins' own cycle.

use super::{Kind, Master};
use crate::plugin::hooks;
use crate::process::{harakiri, memory};
use crate::say;
use crate::shared::int;
use crate::stats::snapshot::publish_queues;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::sync::atomic::Ordering;

impl Master {
    pub(super) fn once_a_second(&mut self) {
        let now = crate::exports::now();
        // SAFETY: the master is single-threaded; plugins read the field.
        unsafe { (*crate::server::view()).current_time = now };
        publish_queues(self.server);
        hooks::master_cycle();
        self.end_over_time(now);
        self.check_heartbeats();
        self.report_to_emperor();
        self.check_daemons();
        crate::startup::notify::alive();
        self.check_memory();
        self.check_touches();
        self.scale();
        self.check_idle();
        crate::log::rotate::check(&self.server.settings.logging);
    }

    pub(super) fn end_over_time(&mut self, now: i64) {
        for process in &self.processes {
            if let Kind::Worker(id) = process.kind
                && process.leaving.is_none()
                && harakiri::is_over_time(self.server, id, now)
            {
                harakiri::report(self.server, id, process.pid);
                let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
            }
        }
    }

    pub(super) fn check_heartbeats(&self) {
        let limit = self.server.settings.limits.worker_heartbeat as i64;
        if limit == 0 {
            return;
        }
        let now = crate::worker::monotonic() as i64;
        for process in self.processes.iter().filter(|p| p.was_ready && p.leaving.is_none()) {
            let Kind::Worker(id) = process.kind else {
                continue;
            };
            let beat = self.server.shared.worker_slot(id).heartbeat.load(Ordering::Relaxed);
            // SAFETY: a record in shared memory; the figure is only compared.
            let busy = unsafe { int(&raw mut (*self.server.shared.worker(id)).busy) }.load(Ordering::Relaxed);
            if beat > 0 && now - beat > limit + 1 && busy == 0 {
                say!(
                    "worker {id} (pid: {}) was silent for {} seconds (--worker-heartbeat); killing it",
                    process.pid,
                    now - beat
                );
                let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
            }
        }
    }

    /// The size of each worker, for statistics and for `--evil-reload-on-*`.
    pub(super) fn check_memory(&self) {
        let limits = &self.server.settings.limits;
        let (rss_limit, as_limit) = (
            limits.evil_reload_on_rss * 1024 * 1024,
            limits.evil_reload_on_as * 1024 * 1024,
        );
        if rss_limit == 0 && as_limit == 0 && !self.server.settings.limits.memory_report {
            return;
        }
        for process in self.processes.iter().filter(|p| p.leaving.is_none()) {
            let Kind::Worker(id) = process.kind else {
                continue;
            };
            let Some((rss, vsz)) = memory(process.pid as u32) else {
                continue;
            };
            // SAFETY: the record of this worker; these fields are the master's.
            unsafe {
                (*self.server.shared.worker(id)).rss_size = rss;
                (*self.server.shared.worker(id)).vsz_size = vsz;
            }
            let over = (rss_limit > 0 && rss > rss_limit).then_some(("RSS", rss));
            if let Some((what, size)) = over.or((as_limit > 0 && vsz > as_limit).then_some(("AS", vsz))) {
                say!(
                    "*** EVIL RELOAD ON WORKER {id} {what}: {size} (pid: {}) ***",
                    process.pid
                );
                let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
            }
        }
    }
}
