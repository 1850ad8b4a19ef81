//! The master: forks workers and gateways, reaps and respawns them, ends requests that are over time, and carries
//! out what operators ask by signal. Single-threaded; one mio loop.

use super::gateway::{self, Gateway};
use super::reload::{self, OldProcess, Trial};
use super::{Role, harakiri, hear_bell, spawn};
use crate::plugin::hooks;
use crate::server::Server;
use crate::shared::int;
use crate::{log, say, startup, unix_signal};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::signal::{Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const SIGNALS: Token = Token(0);
const BELL: Token = Token(1);
const LOG: Token = Token(2);
/// A worker that ends sooner than this after its start has failed to live.
const INFANT: Duration = Duration::from_secs(2);
/// The longest pause before a failing worker is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long after its first the second SIGINT of a fast stop is not needed: then the workers are killed.
const FAST_STOP_MERCY: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Worker(usize),
    Gateway(usize),
    /// Of the image before this one: a worker, or a gateway (0).
    Old(usize),
}

/// A child of the master.
#[derive(Debug)]
struct Process {
    pid: i32,
    kind: Kind,
    born: Instant,
    /// It was told to leave; killed at this moment.
    leaving: Option<Instant>,
    /// It was ready once.
    was_ready: bool,
}

/// How the server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Finish what is in flight.
    Graceful,
    /// Now.
    Fast,
}

/// What follows when the last process has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Exit(i32),
    Exec,
}

struct Closing {
    ending: Ending,
    then: Then,
    /// Gateways leave first: the workers still answer for them.
    workers_told: bool,
}

/// A worker id that waits for its next try.
struct Pause {
    until: Instant,
    failures: u32,
}

struct Master {
    server: &'static Server,
    poll: Poll,
    signals: SignalFd,
    log_pipe: Option<std::io::PipeReader>,
    gateways: Vec<Gateway>,
    processes: Vec<Process>,
    pauses: Vec<Option<Pause>>,
    closing: Option<Closing>,
    trial: Option<Trial>,
    reloads: u64,
    cycle: Instant,
    ever_ready: bool,
    paused: bool,
}

/// Runs the master to its end.
///
/// # Errors
/// What the system refused at the start.
pub fn run(server: &'static Server, log_pipe: Option<std::io::PipeReader>) -> std::io::Result<i32> {
    let handover = reload::take();
    unix_signal::block_master();
    let bell = super::make_master_bell()?;
    let signals = SignalFd::with_flags(
        &unix_signal::master_set(),
        SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK,
    )?;
    let poll = Poll::new()?;
    poll.registry()
        .register(&mut SourceFd(&signals.as_raw_fd()), SIGNALS, Interest::READABLE)?;
    poll.registry()
        .register(&mut SourceFd(&bell.as_raw_fd()), BELL, Interest::READABLE)?;
    if let Some(pipe) = &log_pipe {
        poll.registry()
            .register(&mut SourceFd(&pipe.as_raw_fd()), LOG, Interest::READABLE)?;
    }
    let mut master = Master {
        server,
        poll,
        signals,
        log_pipe,
        gateways: gateway::all(),
        processes: Vec::new(),
        pauses: (0..=server.shared.worker_count()).map(|_| None).collect(),
        closing: None,
        trial: None,
        reloads: handover.as_ref().map_or(0, |h| h.reloads),
        cycle: Instant::now(),
        ever_ready: false,
        paused: false,
    };
    if let Some(handover) = handover {
        master.adopt(&handover.processes);
    }
    // SAFETY: the master's own record; `uwsgi.masterpid()` reads it.
    unsafe { (*server.shared.worker(0)).pid = std::process::id() as i32 };
    say!("spawned rsgi master process (pid: {})", std::process::id());
    startup::hooks::run(&server.settings.hooks.master_start);
    hooks::master_fixup(0);
    for id in 1..=server.shared.worker_count() {
        master.spawn_worker(id);
    }
    for at in 0..master.gateways.len() {
        master.spawn_gateway(at);
    }
    startup::notify::started();
    Ok(master.run())
}

impl Master {
    fn run(&mut self) -> i32 {
        let mut events = Events::with_capacity(16);
        loop {
            let wait = self.next_deadline().saturating_duration_since(Instant::now());
            // interrupted or not: whatever there is to do is looked at below
            let _ = self.poll.poll(&mut events, Some(wait));
            self.read_signals();
            hear_bell();
            self.drain_log();
            self.reap();
            self.settle_generations();
            self.kill_overdue();
            self.respawn_due();
            if self.cycle <= Instant::now() {
                self.cycle = Instant::now() + Duration::from_secs(1);
                self.once_a_second();
            }
            if let Some(then) = self.closed() {
                self.drain_log();
                hooks::master_cleanup();
                match then {
                    Then::Exit(code) => return code,
                    Then::Exec => self.exec(),
                }
            }
        }
    }

    /// The next moment at which something is due.
    fn next_deadline(&self) -> Instant {
        let pauses = self.pauses.iter().flatten().map(|p| p.until);
        let kills = self.processes.iter().filter_map(|p| p.leaving);
        pauses.chain(kills).chain([self.cycle]).min().unwrap_or(self.cycle)
    }

    // ---- children

    fn spawn_worker(&mut self, id: usize) {
        let shared = &self.server.shared;
        let record = shared.worker(id);
        shared.worker_slot(id).wants_replacement.store(0, Ordering::Release);
        // SAFETY: the record of this worker; its fields below are the master's to write.
        let again = unsafe {
            (*record).delta_requests = 0;
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

    fn spawn_gateway(&mut self, at: usize) {
        let gateway = self.gateways[at];
        match spawn::gateway(&gateway) {
            Ok(pid) => {
                self.add(pid.as_raw(), Kind::Gateway(at));
                say!("spawned rsgi {} {} (pid: {pid})", gateway.name, gateway.number);
            }
            Err(e) => say!("cannot fork gateway {} {}: fork(): {e}", gateway.name, gateway.number),
        }
    }

    fn add(&mut self, pid: i32, kind: Kind) {
        self.processes.push(Process {
            pid,
            kind,
            born: Instant::now(),
            leaving: None,
            was_ready: false,
        });
    }

    /// Takes over the processes of the image before.
    fn adopt(&mut self, old: &[OldProcess]) {
        for process in old {
            self.add(process.pid, Kind::Old(process.worker));
        }
    }

    fn reap(&mut self) {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => self.ended(pid.as_raw(), Some(code), 0),
                Ok(WaitStatus::Signaled(pid, signal, _)) => self.ended(pid.as_raw(), None, signal as i32),
                Ok(WaitStatus::StillAlive) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    fn ended(&mut self, pid: i32, code: Option<i32>, signal: i32) {
        if self.trial.as_ref().is_some_and(|t| t.pid() == pid) {
            return self.trial_ended(code);
        }
        let Some(at) = self.processes.iter().position(|p| p.pid == pid) else {
            // an orphan that fell to us as the first process of a container
            return;
        };
        let process = self.processes.remove(at);
        match process.kind {
            Kind::Worker(id) => self.worker_ended(&process, id, code, signal),
            Kind::Gateway(at) => {
                if self.closing.is_none() && process.leaving.is_none() {
                    let gateway = self.gateways[at];
                    let how = code.map_or(format!("killed by signal {signal}"), |c| format!("exit code {c}"));
                    say!(
                        "gateway {} {} (pid: {pid}) ended ({how}); respawning it",
                        gateway.name,
                        gateway.number
                    );
                    if process.born.elapsed() < INFANT {
                        // a gateway that cannot live must not make us spin
                        std::thread::sleep(Duration::from_millis(200));
                    }
                    self.spawn_gateway(at);
                }
            }
            Kind::Old(worker) if worker > 0 => {
                say!("worker {worker} killed successfully (pid: {pid})")
            }
            Kind::Old(_) => {}
        }
    }

    fn worker_ended(&mut self, process: &Process, id: usize, code: Option<i32>, signal: i32) {
        let pid = process.pid;
        let replaced = self.processes.iter().any(|p| p.kind == Kind::Worker(id));
        if !replaced {
            self.blame_plugin(id, signal);
            harakiri::clear(self.server, id);
        }
        let asked = self
            .server
            .shared
            .worker_slot(id)
            .wants_replacement
            .load(Ordering::Acquire)
            == pid;
        if process.leaving.is_some() || self.closing.is_some() || asked {
            say!("worker {id} killed successfully (pid: {pid})");
        }
        if self.closing.is_some() || replaced {
            return;
        }
        match code {
            Some(crate::startup::NEED_APP) => {
                say!("need-app requested, destroying the instance...");
                return self.close(Ending::Fast, Then::Exit(crate::startup::NEED_APP));
            }
            Some(code) if !self.ever_ready && self.server.settings.limits.worker_boot_error_halt && code != 0 => {
                let code = if code == crate::startup::APP_LOAD { code } else { 3 };
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
        if !process.was_ready && process.born.elapsed() < INFANT {
            self.pause_worker(id);
        } else {
            self.pauses[id] = None;
            self.spawn_worker(id);
        }
    }

    /// A crash inside a hook is the plugin's: say which.
    fn blame_plugin(&self, id: usize, signal: i32) {
        if !matches!(
            signal,
            libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE | libc::SIGABRT
        ) {
            return;
        }
        for core in 0..self.server.shared.core_count() {
            let slot = self.server.shared.core_slot(id, core);
            let hook = slot.in_hook.load(Ordering::Relaxed);
            if hook > 0 {
                let name = crate::plugin::registry::name_of_modifier((hook - 1) as u8);
                say!(
                    "worker {id} crashed in the request hook of plugin {name}: {}",
                    slot.description()
                );
            }
        }
    }

    fn pause_worker(&mut self, id: usize) {
        let failures = self.pauses[id].as_ref().map_or(0, |p| p.failures) + 1;
        let pause = Duration::from_millis(100)
            .saturating_mul(1 << failures.min(10))
            .min(LONGEST_PAUSE);
        say!("worker {id} ended before it was ready, {failures} time(s) in a row; next try in {pause:?}");
        self.pauses[id] = Some(Pause {
            until: Instant::now() + pause,
            failures,
        });
    }

    fn respawn_due(&mut self) {
        let now = Instant::now();
        for id in 1..self.pauses.len() {
            let due = self.pauses[id].as_ref().is_some_and(|p| p.until <= now);
            if due && self.closing.is_none() && !self.processes.iter().any(|p| p.kind == Kind::Worker(id)) {
                if let Some(pause) = &mut self.pauses[id] {
                    pause.until = now + LONGEST_PAUSE;
                }
                self.spawn_worker(id);
            }
        }
    }

    // ---- generations: who is ready, who may leave

    fn settle_generations(&mut self) {
        let mut newly_ready = 0;
        for process in &mut self.processes {
            if let Kind::Worker(id) = process.kind
                && !process.was_ready
                && self.server.shared.worker_slot(id).ready.load(Ordering::Acquire) == process.pid
            {
                process.was_ready = true;
                newly_ready += 1;
                self.pauses[id] = None;
            }
        }
        if newly_ready > 0 && !self.ever_ready {
            self.ever_ready = true;
        }
        if self.all_ready() {
            startup::notify::ready();
        }
        self.retire_old_workers();
        self.retire_old_gateways();
        self.replace_recycled();
    }

    fn all_ready(&self) -> bool {
        (1..=self.server.shared.worker_count())
            .all(|id| self.processes.iter().any(|p| p.kind == Kind::Worker(id) && p.was_ready))
    }

    /// One old worker leaves for each new one that is ready; with all new ones ready, all old ones.
    fn retire_old_workers(&mut self) {
        let ready = self
            .processes
            .iter()
            .filter(|p| matches!(p.kind, Kind::Worker(_)) && p.was_ready)
            .count();
        let is_old_worker = |p: &&mut Process| matches!(p.kind, Kind::Old(w) if w > 0);
        let gone = self
            .processes
            .iter_mut()
            .filter(is_old_worker)
            .filter(|p| p.leaving.is_some())
            .count();
        let all = self.all_ready();
        let mercy = self.worker_mercy();
        let mut may_go = if all { usize::MAX } else { ready.saturating_sub(gone) };
        for process in self.processes.iter_mut().filter(is_old_worker) {
            if process.leaving.is_none() && may_go > 0 {
                may_go -= 1;
                tell(process, Signal::SIGHUP, mercy);
            }
        }
    }

    /// Old gateways leave when a new worker can answer for the new ones.
    fn retire_old_gateways(&mut self) {
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
    fn replace_recycled(&mut self) {
        if self.closing.is_some() {
            return;
        }
        let mercy = self.worker_mercy();
        let mut starting = false;
        for id in 1..=self.server.shared.worker_count() {
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
        let wants = (1..=self.server.shared.worker_count()).find(|id| {
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

    fn worker_mercy(&self) -> Duration {
        Duration::from_secs(self.server.settings.reload.worker_reload_mercy)
    }

    fn kill_overdue(&mut self) {
        let now = Instant::now();
        for process in &mut self.processes {
            if process.leaving.is_some_and(|at| at <= now) {
                say!("process {} did not leave in time; killing it", process.pid);
                let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
                process.leaving = Some(now + Duration::from_secs(5));
            }
        }
    }

    // ---- once a second

    fn once_a_second(&mut self) {
        let now = crate::exports::now();
        // SAFETY: the master is single-threaded; plugins read the field.
        unsafe { (*crate::server::view()).current_time = now };
        hooks::master_cycle();
        self.end_over_time(now);
        self.check_heartbeats();
        self.check_memory();
    }

    fn end_over_time(&mut self, now: i64) {
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

    fn check_heartbeats(&self) {
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
    fn check_memory(&self) {
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
            let Some((rss, vsz)) = super::memory(process.pid as u32) else {
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

    // ---- signals

    fn read_signals(&mut self) {
        while let Ok(Some(info)) = self.signals.read_signal() {
            match Signal::try_from(info.ssi_signo as i32) {
                Ok(Signal::SIGTERM) => self.on_term(),
                Ok(Signal::SIGINT) => self.stop(Ending::Fast),
                Ok(Signal::SIGQUIT) => self.on_quit(),
                Ok(Signal::SIGHUP) => self.on_hup(),
                Ok(Signal::SIGTSTP) => self.on_pause(),
                Ok(Signal::SIGUSR1) => self.print_status(),
                Ok(Signal::SIGUSR2) => self.reload(),
                _ => {}
            }
        }
    }

    fn on_term(&mut self) {
        let settings = &self.server.settings;
        if settings.classic && !settings.reload.die_on_term {
            return self.classic_reload(Ending::Fast);
        }
        if settings.classic {
            return self.stop(Ending::Fast);
        }
        self.stop(Ending::Graceful);
    }

    fn on_quit(&mut self) {
        let settings = &self.server.settings;
        if settings.classic && settings.reload.die_on_term {
            return self.classic_reload(Ending::Fast);
        }
        self.stop(Ending::Fast);
    }

    fn on_hup(&mut self) {
        if self.server.settings.reload.exit_on_reload {
            say!("rsgi: GAME OVER (insert coin)");
            return self.stop(Ending::Graceful);
        }
        self.reload();
    }

    fn on_pause(&mut self) {
        self.paused = !self.paused;
        if self.paused {
            say!("*** PAUSE (press start to resume, if you do not have a joypad send SIGTSTP) ***");
        } else {
            say!("*** resuming workers ***");
        }
        for process in &self.processes {
            if matches!(process.kind, Kind::Worker(_)) {
                let _ = kill(Pid::from_raw(process.pid), Signal::SIGTSTP);
            }
        }
    }

    fn print_status(&self) {
        startup::print_configuration(&self.server.settings);
        let shared = &self.server.shared;
        // SAFETY: records in shared memory; the figures are informative.
        let total: u64 = (1..=shared.worker_count())
            .map(|id| unsafe { (*shared.worker(id)).requests })
            .sum();
        say!("workers total requests: {total}");
        let apps = crate::server::apps();
        for id in 1..=shared.worker_count() {
            for app in 0..apps.len() as i32 {
                let Some(record) = apps.app(app) else {
                    continue;
                };
                // SAFETY: as above; the mountpoint was written before the fork.
                let (mount, requests, exceptions) = unsafe {
                    let mount = std::slice::from_raw_parts(
                        (&raw const (*record).mountpoint).cast::<u8>(),
                        usize::from((*record).mountpoint_len),
                    );
                    (mount, (*shared.worker(id)).requests, (*shared.worker(id)).exceptions)
                };
                let mount = String::from_utf8_lossy(mount);
                say!("worker {id} app {app} [{mount}] requests: {requests} exceptions: {exceptions}");
            }
        }
    }

    // ---- reload

    /// Tries the new configuration and code in a child; if that works, becomes the new image.
    fn reload(&mut self) {
        if self.closing.is_some() || self.trial.is_some() {
            return;
        }
        if self.processes.iter().any(|p| matches!(p.kind, Kind::Old(_))) {
            say!("a reload is under way: old workers have not left yet; asking again");
        }
        match Trial::start() {
            Ok(trial) => {
                say!(
                    "reload: trying the new configuration and applications (pid: {})",
                    trial.pid()
                );
                self.trial = Some(trial);
            }
            Err(e) => say!("reload: cannot start the trial: {e}; nothing changes"),
        }
    }

    fn trial_ended(&mut self, code: Option<i32>) {
        let Some(trial) = self.trial.take() else {
            return;
        };
        if code == Some(0) {
            match self.closing {
                None if self.server.settings.classic => self.classic_reload(Ending::Graceful),
                None => self.exec(),
                Some(_) => {}
            }
            return;
        }
        let output = trial.output();
        for line in output.lines() {
            say!("reload: {line}");
        }
        let why = code.map_or("it was killed".to_owned(), |c| format!("exit code {c}"));
        say!("reload refused: the trial failed ({why}); the workers that run go on");
    }

    /// uWSGI's order: stop, exec, start.
    fn classic_reload(&mut self, ending: Ending) {
        if self.closing.is_some() {
            return;
        }
        match ending {
            Ending::Graceful => say!("...gracefully killing workers..."),
            Ending::Fast => say!("...brutally killing workers..."),
        }
        self.close(ending, Then::Exec);
    }

    /// Becomes the new image; the processes stay and go on serving.
    fn exec(&mut self) {
        say!("binary reloading rsgi...");
        let mut sockets = gateway::sockets();
        sockets.extend(
            self.server
                .sockets
                .iter()
                .map(|s| (s.asked.clone(), s.listener.as_raw_fd())),
        );
        let old: Vec<OldProcess> = self
            .processes
            .iter()
            .map(|p| OldProcess {
                pid: p.pid,
                worker: match p.kind {
                    Kind::Worker(id) | Kind::Old(id) => id,
                    Kind::Gateway(_) => 0,
                },
            })
            .collect();
        startup::before_exec();
        let failed = reload::exec(&sockets, &old, self.reloads + 1);
        say!("reload: cannot run the binary again: {failed}; the workers that run go on");
    }

    // ---- the end

    fn stop(&mut self, ending: Ending) {
        if let Some(closing) = &mut self.closing {
            // the second word is final
            if ending == Ending::Fast {
                if closing.ending == Ending::Fast && closing.then != Then::Exec {
                    for process in &self.processes {
                        let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
                    }
                }
                closing.ending = Ending::Fast;
                closing.then = Then::Exit(0);
                closing.workers_told = false;
                self.tell_workers();
            }
            return;
        }
        if ending == Ending::Graceful {
            say!("graceful shutdown triggered...");
        }
        self.close(ending, Then::Exit(0));
    }

    fn close(&mut self, ending: Ending, then: Then) {
        if matches!(then, Then::Exit(_)) {
            self.server.shared.worker_slot(0).leaving.store(1, Ordering::Release);
            startup::notify::stopping();
        }
        self.closing = Some(Closing {
            ending,
            then,
            workers_told: false,
        });
        let mercy = self.ending_mercy();
        let keep_gateways = then == Then::Exec && ending == Ending::Graceful;
        for process in &mut self.processes {
            if matches!(process.kind, Kind::Gateway(_) | Kind::Old(0)) && !keep_gateways {
                tell(
                    process,
                    if ending == Ending::Fast {
                        Signal::SIGINT
                    } else {
                        Signal::SIGTERM
                    },
                    mercy,
                );
            }
        }
        self.tell_workers();
    }

    fn ending_mercy(&self) -> Duration {
        match self.closing.as_ref().map(|c| c.ending) {
            Some(Ending::Fast) => FAST_STOP_MERCY,
            _ => Duration::from_secs(self.server.settings.reload.reload_mercy),
        }
    }

    /// Tells the workers, once no gateway needs them any more (or at once, if it is to be fast).
    fn tell_workers(&mut self) {
        let Some(closing) = &self.closing else { return };
        let gateways = self
            .processes
            .iter()
            .any(|p| matches!(p.kind, Kind::Gateway(_) | Kind::Old(0)) && p.leaving.is_some());
        if closing.workers_told || (gateways && closing.ending == Ending::Graceful) {
            return;
        }
        let signal = if closing.ending == Ending::Fast {
            Signal::SIGINT
        } else {
            Signal::SIGHUP
        };
        let mercy = self.ending_mercy();
        for process in &mut self.processes {
            if matches!(process.kind, Kind::Worker(_)) || matches!(process.kind, Kind::Old(w) if w > 0) {
                process.leaving = None;
                tell(process, signal, mercy);
            }
        }
        if let Some(closing) = &mut self.closing {
            closing.workers_told = true;
        }
    }

    /// What follows, when the server is closing and nobody is left.
    fn closed(&mut self) -> Option<Then> {
        self.tell_workers();
        let closing = self.closing.as_ref()?;
        let left = self.processes.iter().any(|p| match p.kind {
            Kind::Gateway(_) => closing.then != Then::Exec || p.leaving.is_some(),
            _ => true,
        });
        (!left).then_some(closing.then)
    }

    // ---- the log pipe

    fn drain_log(&mut self) {
        let Some(pipe) = &mut self.log_pipe else {
            return;
        };
        let mut buffer = [0u8; 64 * 1024];
        while let Ok(n) = pipe.read(&mut buffer) {
            if n == 0 {
                return;
            }
            log::sink::deliver(&buffer[..n], false);
        }
    }
}

/// Tells a process to leave, once; it is killed when its time is up.
fn tell(process: &mut Process, signal: Signal, mercy: Duration) {
    if process.leaving.is_none() {
        process.leaving = Some(Instant::now() + mercy);
        let _ = kill(Pid::from_raw(process.pid), signal);
    }
}

/// The life of a server without a master: this process is worker 1, the others are its children.
pub fn run_without(server: &'static Server) -> ! {
    for id in 2..=server.shared.worker_count() {
        match spawn::worker(id) {
            Ok(pid) => say!(
                "spawned rsgi worker {id} (pid: {pid}, cores: {})",
                server.shared.core_count()
            ),
            Err(e) => say!("cannot fork worker {id}: fork(): {e}"),
        }
    }
    for gateway in gateway::all() {
        match spawn::gateway(&gateway) {
            Ok(pid) => say!("spawned rsgi {} {} (pid: {pid})", gateway.name, gateway.number),
            Err(e) => say!("cannot fork gateway {}: fork(): {e}", gateway.name),
        }
    }
    super::set_role(Role::Worker);
    crate::server::publish_process(1);
    // SAFETY: the record of worker 1, which is this process.
    unsafe {
        let record = server.shared.worker(1);
        (*record).pid = std::process::id() as i32;
        (*record).last_spawn = crate::exports::now();
        (*record).respawn_count = 1;
    }
    let cores = server.shared.core_count();
    let only = if server.shared.worker_count() == 1 {
        "(and the only) "
    } else {
        ""
    };
    say!(
        "spawned rsgi worker 1 {only}(pid: {}, cores: {cores})",
        std::process::id()
    );
    crate::worker::run(1)
}
