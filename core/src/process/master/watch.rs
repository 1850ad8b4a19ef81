//! What the master looks at once a second, and what it says about the life of the workers: memory, why one has ended,
//! and the plugins' hooks of the master.

use super::deadlines::Condemned;
use super::{Ending, Kind, Master, Then};
use crate::log::{batch, pipe};
use crate::net::of_plugins;
use crate::plugin::{hooks, inside};
use crate::process::harakiri::Missed;
use crate::process::{footprint, memory};
use crate::say;
use crate::stats::snapshot::publish_queues;

impl Master {
    /// `queue-store-sync`
    fn sync_queue(&mut self) {
        let every = self.server.settings.storage.queue_store_sync;
        if every > 0 && self.queue_synced.elapsed().as_secs() >= every {
            self.queue_synced = std::time::Instant::now();
            crate::queue::sync();
        }
    }

    pub(super) fn once_a_second(&mut self) {
        let now = crate::exports::now();
        // SAFETY: the master is single-threaded; plugins read the field.
        unsafe { (*crate::server::view()).current_time = now };
        publish_queues(self.server);
        self.caches.tick(&self.server.settings);
        self.sync_queue();
        batch::sweep();
        pipe::tick();
        of_plugins::let_go();
        self.collectors.tick();
        crate::figures::refresh(self.server, || self.daemon_figures());
        crate::metrics::view::refresh();
        self.push_stats();
        self.metric_files.tick(self.server, self.overloaded);
        self.check_backlogs();
        if self.ever_ready && self.closing.is_none() {
            self.announcer.tick(self.server);
        }
        hooks::master_cycle();
        self.check_deadlines(now);
        self.check_mules(now);
        self.check_spoolers(now);
        self.report_to_emperor();
        self.check_daemons();
        crate::startup::notify::alive();
        self.count_overload();
        self.check_memory();
        self.check_touches();
        self.check_signals();
        self.scale();
        self.check_idle();
        crate::log::rotate::check(&self.server.settings.logging);
    }

    fn count_overload(&mut self) {
        let busy = self
            .wanted_workers()
            .filter(|id| self.server.shared.is_busy(*id))
            .count();
        let all = self.wanted_workers().count();
        self.overloaded += u64::from(all > 0 && busy == all);
    }

    /// Why a worker that has ended was killed: by us, or by whom; it is said once, here. Whether it could not boot.
    pub(super) fn explain_end(&mut self, id: usize, pid: i32, told: bool, signal: i32) -> bool {
        if let Some(at) = self.condemned.iter().position(|c| c.pid == pid) {
            let condemned = self.condemned.swap_remove(at);
            say!("worker {id} (pid: {pid}) was ended by the master: {}", condemned.why);
            return matches!(condemned.missed, Some(Missed::Boot(_)));
        }
        if signal == libc::SIGKILL && !told {
            say!("worker {id} (pid: {pid}) was killed {}", self.oom_kills.killer());
        }
        false
    }

    /// Every worker takes requests: the plugins hear it once per image.
    pub(super) fn say_ready(&mut self) {
        if std::mem::replace(&mut self.said_ready, true) || self.closing.is_some() {
            return;
        }
        let outcome = hooks::when_ready();
        inside::end::serves();
        if let Err(refused) = outcome {
            self.end_by_hook(refused);
        }
        footprint::unmap_startup_code();
    }

    /// The hook before the fork of a worker; one that fails ends the server.
    pub(super) fn may_fork(&mut self, id: usize) -> bool {
        if self.closing.is_some() {
            return false;
        }
        match hooks::pre_fork(id) {
            Ok(()) => true,
            Err(refused) => {
                self.end_by_hook(refused);
                false
            }
        }
    }

    /// A plugin's hook does not let the server go on.
    pub(super) fn end_by_hook(&mut self, refused: hooks::Refused) {
        say!("{refused}");
        if self.closing.is_none() {
            self.close(Ending::Fast, Then::Exit(1));
        }
    }

    /// Tells the plugins how many workers are to run, if that has changed.
    pub(super) fn publish_worker_count(&mut self) {
        let now = self.wanted_workers().count();
        if self.told_workers != Some(now) {
            let before = self.told_workers.replace(now);
            hooks::nworkers_changed(now, before);
        }
    }

    /// The size of each worker, for statistics and for `--evil-reload-on-*`.
    fn check_memory(&mut self) {
        let limits = &self.server.settings.limits;
        let (rss_limit, as_limit) = (
            limits.evil_reload_on_rss * 1024 * 1024,
            limits.evil_reload_on_as * 1024 * 1024,
        );
        if rss_limit == 0 && as_limit == 0 && !limits.memory_report {
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
            if let Some((what, size)) = over.or((as_limit > 0 && vsz > as_limit).then_some(("AS", vsz)))
                && !self.condemned.iter().any(|c| c.pid == process.pid)
            {
                say!(
                    "*** EVIL RELOAD ON WORKER {id} {what}: {size} (pid: {}) ***",
                    process.pid
                );
                let why = format!(
                    "{what} of {size} bytes is over its limit (--evil-reload-on-{})",
                    what.to_lowercase()
                );
                let condemned = Condemned::killed(process.pid, id, &self.server.shared, why);
                self.condemned.push(condemned);
            }
        }
    }
}
