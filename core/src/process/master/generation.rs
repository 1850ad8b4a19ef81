//! Generations of workers: who is ready, who may leave, whose replacement is due. New ones serve before old ones go.

use super::{Kind, Master, Process, blame, tell};
use crate::server::Server;
use crate::shared::int;
use crate::{say, startup, unix_signal};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a process of the image before may take to say where it is.
const LAST_WORD: Duration = Duration::from_millis(500);
/// How long an override that never says `uwsgi.accepting()` is waited for.
const OVERRIDE_PATIENCE: Duration = Duration::from_secs(10);

/// Whether a worker takes requests: its loop says so; an override says so with `uwsgi.accepting()`, or is believed
/// after a while.
fn is_ready(server: &Server, id: usize, process: &Process) -> bool {
    let slot = server.shared.worker_slot(id);
    if slot.ready.load(Ordering::Acquire) == process.pid {
        return true;
    }
    if slot.in_override.load(Ordering::Acquire) != process.pid {
        return false;
    }
    // SAFETY: a field in shared memory.
    let accepting = unsafe { int(&raw mut (*server.shared.worker(id)).accepting) }.load(Ordering::Acquire);
    if accepting == 0 && process.born.elapsed() > OVERRIDE_PATIENCE {
        say!("worker {id} runs an override that never called uwsgi.accepting(); it is taken as ready");
        return true;
    }
    accepting != 0
}

impl Master {
    pub(super) fn settle_generations(&mut self) {
        for process in &mut self.processes {
            if let Kind::Worker(id) = process.kind
                && !process.was_ready
                && is_ready(self.server, id, process)
            {
                process.was_ready = true;
                self.ever_ready = true;
                self.pauses[id] = None;
            }
        }
        self.notice_leaving();
        if self.all_ready() {
            startup::notify::ready();
            if let Some(link) = &mut self.emperor_link {
                link.accepting();
            }
            self.say_ready();
            if let Some(back) = self.way_back.take() {
                let own = env!("CARGO_PKG_VERSION");
                say!("upgrade: rsgi {own} serves; it took over from rsgi {}", back.version);
            }
        }
        self.retire_old_workers();
        self.retire_old_gateways();
        self.replace_recycled();
    }

    /// Workers that leave without having been told to have as long for it as others.
    fn notice_leaving(&mut self) {
        let until = Instant::now() + self.worker_mercy();
        for process in self.processes.iter_mut().filter(|p| p.leaves_alone.is_none()) {
            if let (Kind::Worker(id) | Kind::Old(id), Some(memory)) = (process.kind, process.memory)
                && memory.worker_slot(id).leaving.load(Ordering::Acquire) == process.pid
            {
                process.leaves_alone = Some(until);
            }
        }
    }

    pub(super) fn all_ready(&self) -> bool {
        self.wanted_workers()
            .all(|id| self.processes.iter().any(|p| p.kind == Kind::Worker(id) && p.was_ready))
    }

    /// One old worker leaves for each new one that is ready; with all new ones ready, all old ones.
    pub(super) fn retire_old_workers(&mut self) {
        let ready = self
            .processes
            .iter()
            .filter(|p| matches!(p.kind, Kind::Worker(_)) && p.was_ready)
            .count();
        let gone = self
            .processes
            .iter()
            .filter(|p| p.kind.is_old_worker() && p.leaving.is_some())
            .count();
        let all = self.all_ready();
        let mercy = self.worker_mercy();
        let mut may_go = if all { usize::MAX } else { ready.saturating_sub(gone) };
        for process in self.processes.iter_mut().filter(|p| p.kind.is_old_worker()) {
            if process.leaving.is_none() && may_go > 0 {
                may_go -= 1;
                tell(process, Signal::SIGHUP, mercy);
            }
        }
    }

    /// Old gateways leave when a new worker can answer for the new ones.
    pub(super) fn retire_old_gateways(&mut self) {
        if !self.ever_ready {
            return;
        }
        let mercy = self.worker_mercy();
        for process in self
            .processes
            .iter_mut()
            .filter(|p| p.kind == Kind::Old(0) && p.leaving.is_none())
        {
            tell(process, Signal::SIGHUP, mercy);
        }
    }

    /// Workers that have done enough: one replacement at a time; the old one goes when the new one is ready.
    pub(super) fn replace_recycled(&mut self) {
        if self.closing.is_some() {
            return;
        }
        let mercy = self.worker_mercy();
        let mut starting = false;
        for id in self.wanted_workers().collect::<Vec<_>>() {
            let ready = self.processes.iter().any(|p| p.kind == Kind::Worker(id) && p.was_ready);
            let all = self.processes.iter().filter(|p| p.kind == Kind::Worker(id)).count();
            starting |= !ready
                || self
                    .processes
                    .iter()
                    .any(|p| p.kind == Kind::Worker(id) && !p.was_ready);
            if all < 2 {
                continue;
            }
            let newest = self
                .processes
                .iter()
                .filter(|p| p.kind == Kind::Worker(id))
                .max_by_key(|p| p.born);
            let Some(newest) = newest.filter(|p| p.was_ready).map(|p| p.pid) else {
                continue;
            };
            for process in &mut self.processes {
                if process.kind == Kind::Worker(id) && process.pid != newest && process.leaving.is_none() {
                    tell(process, Signal::SIGHUP, mercy);
                }
            }
        }
        if starting {
            return;
        }
        let wants = self.wanted_workers().find(|id| {
            let pid = self
                .server
                .shared
                .worker_slot(*id)
                .wants_replacement
                .load(Ordering::Acquire);
            pid != 0
                && self
                    .processes
                    .iter()
                    .filter(|p| p.kind == Kind::Worker(*id))
                    .any(|p| p.pid == pid)
        });
        if let Some(id) = wants {
            self.spawn_worker(id);
        }
    }

    pub(super) fn worker_mercy(&self) -> Duration {
        Duration::from_secs(self.server.settings.reload.worker_reload_mercy)
    }

    pub(super) fn kill_overdue(&mut self) {
        let now = Instant::now();
        for at in 0..self.processes.len() {
            let process = &self.processes[at];
            if process.kill_at().is_none_or(|at| at > now) {
                continue;
            }
            if let Kind::Daemon(_) = process.kind {
                self.kill_daemon(process.pid);
            } else {
                let pid = process.pid;
                if process.kind.is_of_before() && !std::mem::replace(&mut self.processes[at].was_asked, true) {
                    // what the image before has written down about it went with that image
                    say!("process {pid} did not leave in time; it says where it is, and is killed");
                    // SAFETY: a plain signal to a child of ours.
                    unsafe { libc::kill(pid, unix_signal::stacks()) };
                    self.processes[at].leaving = Some(now + LAST_WORD);
                    continue;
                }
                let places = blame::whereabouts(&self.processes[at]);
                say!("process {pid} did not leave in time; killing it{places}");
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            self.processes[at].leaving = Some(now + Duration::from_secs(5));
        }
    }
}
