//! What operators ask of the master by signal: stop, reload, pause, status; and how each is carried out.

use super::{Closing, Ending, FAST_STOP_MERCY, Kind, Master, Then, tell};
use crate::log::{self, pipe};
use crate::net::closing;
use crate::plugin::hooks;
use crate::process::fifo::{FifoCommand, MasterFifo};
use crate::process::gateway;
use crate::process::handover::{Handover, OldMemory, OldProcess};
use crate::process::reload;
use crate::process::scaling::Change;
use crate::process::trial::Trial;
use crate::settings::ReloadStrategy;
use crate::shared::{SharedMemory, int};
use crate::startup::hooks::Reaction;
use crate::startup::procname::{self, State};
use crate::{say, startup};
use mio::Interest;
use mio::unix::SourceFd;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

impl Master {
    pub(super) fn read_signals(&mut self) {
        while let Ok(Some(info)) = self.signals.read_signal() {
            if let Some(reaction) = startup::hooks::reaction(info.ssi_signo as i32) {
                self.react(reaction, info.ssi_signo as i32);
                continue;
            }
            match Signal::try_from(info.ssi_signo as i32) {
                Ok(Signal::SIGTERM) => self.on_term(),
                Ok(Signal::SIGINT) => self.stop(Ending::Fast),
                Ok(Signal::SIGQUIT) => self.on_quit(),
                Ok(Signal::SIGHUP) => self.on_hup(),
                Ok(Signal::SIGTSTP) => self.on_pause(),
                Ok(Signal::SIGUSR1) => self.print_status(),
                Ok(Signal::SIGUSR2) => self.upgrade(),
                Ok(Signal::SIGTTIN) => self.scale_by_hand(Change::Add(1)),
                Ok(Signal::SIGTTOU) => self.scale_by_hand(Change::Remove),
                _ => {}
            }
        }
    }

    /// Carries out what `unix_signal:` gave a signal as its meaning.
    fn react(&mut self, reaction: Reaction, signal: i32) {
        match reaction {
            Reaction::Stop => self.stop(Ending::Graceful),
            Reaction::FastStop => self.stop(Ending::Fast),
            Reaction::Reload => self.on_hup(),
            Reaction::FastReload => self.classic_reload(Ending::Fast),
            Reaction::Status => self.print_status(),
            Reaction::Call(address) => Reaction::call(address, signal),
        }
    }

    /// Listens to one of the `--master-fifo`s.
    pub(super) fn open_fifo(&mut self, slot: usize) {
        let Some(path) = self.server.settings.paths.master_fifo.get(slot) else {
            if slot > 0 {
                say!("master-fifo: there is no pipe number {slot}; they count from 0");
            }
            return;
        };
        let opened = MasterFifo::open(path).and_then(|fifo| {
            let fd = fifo.as_raw_fd();
            self.poll
                .registry()
                .register(&mut SourceFd(&fd), super::FIFO, Interest::READABLE)?;
            Ok(fifo)
        });
        match opened {
            Ok(fifo) => {
                if let Some(old) = self.fifo.take() {
                    let _ = self.poll.registry().deregister(&mut SourceFd(&old.as_raw_fd()));
                }
                self.fifo = Some(fifo);
            }
            Err(e) => say!("master-fifo {path}: {e}"),
        }
    }

    pub(super) fn read_fifo(&mut self) {
        let Some(fifo) = &mut self.fifo else { return };
        for command in fifo.read() {
            self.obey(command);
        }
    }

    fn obey(&mut self, command: FifoCommand) {
        let server = self.server;
        match command {
            FifoCommand::Slot(slot) => {
                say!("master-fifo: listening to pipe {slot}");
                self.open_fifo(slot);
            }
            FifoCommand::Vassals => self.rouse_emperor(),
            FifoCommand::More => self.scale_by_hand(Change::Add(1)),
            FifoCommand::Less => self.scale_by_hand(Change::Remove),
            FifoCommand::Cheap => self.go_cheap(),
            FifoCommand::ChainReload => self.chain_reload(),
            FifoCommand::ReopenLog => log::rotate::reopen(&server.settings.logging),
            FifoCommand::RotateLog => log::rotate::rotate(&server.settings.logging),
            FifoCommand::Pause => self.on_pause(),
            FifoCommand::Pidfiles => {
                if let Err(e) = startup::daemonize::pidfiles(&server.settings) {
                    say!("{e}");
                }
            }
            FifoCommand::Stop => self.stop(Ending::Graceful),
            FifoCommand::FastStop => self.stop(Ending::Fast),
            FifoCommand::Reload => self.on_hup(),
            FifoCommand::Upgrade => self.upgrade(),
            FifoCommand::FastReload => self.classic_reload(Ending::Fast),
            FifoCommand::Status => self.print_status(),
            FifoCommand::ReloadWorkers => self.renew_workers(),
            FifoCommand::KillWorkers => {
                for process in &mut self.processes {
                    if matches!(process.kind, Kind::Worker(_)) {
                        tell(process, Signal::SIGINT, FAST_STOP_MERCY);
                    }
                }
            }
        }
    }

    pub(super) fn on_term(&mut self) {
        let settings = &self.server.settings;
        if settings.classic && !settings.reload.die_on_term {
            return self.classic_reload(Ending::Fast);
        }
        if settings.classic {
            return self.stop(Ending::Fast);
        }
        self.stop(Ending::Graceful);
    }

    pub(super) fn on_quit(&mut self) {
        let settings = &self.server.settings;
        if settings.classic && settings.reload.die_on_term {
            return self.classic_reload(Ending::Fast);
        }
        self.stop(Ending::Fast);
    }

    pub(super) fn on_hup(&mut self) {
        if self.server.settings.reload.exit_on_reload {
            say!("rsgi: GAME OVER (insert coin)");
            return self.stop(Ending::Graceful);
        }
        self.reload();
    }

    pub(super) fn on_pause(&mut self) {
        self.paused = !self.paused;
        for process in &self.processes {
            if let Kind::Worker(id) = process.kind {
                // SAFETY: a record in shared memory; the field is the master's.
                unsafe { int(&raw mut (*self.server.shared.worker(id)).suspended) }
                    .store(i32::from(self.paused), Ordering::Release);
                let _ = kill(Pid::from_raw(process.pid), Signal::SIGTSTP);
            }
        }
        // said when it is done: whoever waits for the line may count on it
        if self.paused {
            say!("*** PAUSE (press start to resume, if you do not have a joypad send SIGTSTP) ***");
        } else {
            say!("*** resuming workers ***");
        }
    }

    pub(super) fn print_status(&self) {
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
                let (mount, figures) = unsafe {
                    let mount = std::slice::from_raw_parts(
                        (&raw const (*record).mountpoint).cast::<u8>(),
                        usize::from((*record).mountpoint_len),
                    );
                    (mount, shared.app(id, app as usize).read_volatile())
                };
                let mount = String::from_utf8_lossy(mount);
                let (requests, exceptions) = (figures.requests, figures.exceptions);
                say!("worker {id} app {app} [{mount}] requests: {requests} exceptions: {exceptions}");
            }
        }
    }

    /// The same as a reload, whatever `--exit-on-reload` says: the file under our name may be a new version.
    pub(super) fn upgrade(&mut self) {
        say!(
            "upgrade: rsgi {} hands over to the file under its name",
            env!("CARGO_PKG_VERSION")
        );
        self.reload();
    }

    /// Tries the new configuration and code in a child; if that works, becomes the new image.
    pub(super) fn reload(&mut self) {
        if self.trial.is_some() {
            // if it fails, what it has read may be older than what this request is about; if not, all is read anew
            self.reload_again = true;
        }
        if self.closing.is_some() || self.trial.is_some() {
            return;
        }
        if self.processes.iter().any(|p| matches!(p.kind, Kind::Old(_))) {
            say!("a reload is under way: old workers have not left yet; asking again");
        }
        match Trial::start(self.reloads + 1) {
            Ok(trial) => {
                startup::notify::reloading();
                say!(
                    "reload: trying the new configuration and applications (pid: {})",
                    trial.pid()
                );
                self.trial = Some(trial);
                procname::state(State::Reloading);
            }
            Err(e) => say!("reload: cannot start the trial: {e}; nothing changes"),
        }
    }

    pub(super) fn trial_ended(&mut self, code: Option<i32>) {
        let Some(trial) = self.trial.take() else {
            return;
        };
        procname::state(State::Idle);
        let again = std::mem::take(&mut self.reload_again) && self.closing.is_none();
        if code == Some(0) {
            match self.server.settings.reload.strategy {
                _ if self.closing.is_some() => {}
                ReloadStrategy::StopStart => self.classic_reload(Ending::Graceful),
                ReloadStrategy::Chain => self.chain_reload(),
                ReloadStrategy::Rolling => self.exec(),
            }
            return;
        }
        let output = trial.output();
        for line in output.lines() {
            say!("reload: {line}");
        }
        let why = code.map_or("it was killed".to_owned(), |c| format!("exit code {c}"));
        say!("reload refused: the trial failed ({why}); the workers that run go on");
        startup::notify::reload_failed();
        if again {
            say!("reload: asked for again meanwhile; trying once more");
            self.reload();
        }
    }

    /// uWSGI's order: stop, exec, start.
    pub(super) fn classic_reload(&mut self, ending: Ending) {
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
    pub(super) fn exec(&mut self) {
        say!("binary reloading rsgi...");
        publish_end(Ending::Graceful, Then::Exec);
        // attached daemons end here and start again with the new image: it may want others
        self.end_daemons();
        let own_binary = reload::own_binary();
        let handover = Handover {
            binary: own_binary.as_ref().map(AsRawFd::as_raw_fd),
            ..self.handover()
        };
        self.finish_answers();
        startup::before_exec();
        hooks::pre_exec();
        let failed = reload::exec(&handover, None);
        say!("reload: cannot run the binary again: {failed}; the workers that run go on");
        startup::notify::reload_failed();
        self.start_daemons();
    }

    /// The new binary does not bring up a single worker: back to the one before, whose workers serve all the while.
    pub(super) fn roll_back(&mut self) {
        let Some(back) = self.way_back.take() else { return };
        say!(
            "upgrade: the workers of rsgi {} cannot start; rolling back to rsgi {}",
            env!("CARGO_PKG_VERSION"),
            back.version
        );
        self.end_daemons();
        for process in &self.processes {
            if matches!(process.kind, Kind::Worker(_)) {
                let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
            }
        }
        self.finish_answers();
        startup::before_exec();
        hooks::pre_exec();
        let failed = reload::exec(&self.handover(), Some(back.binary.as_raw_fd()));
        say!("upgrade: cannot run the binary before: {failed}; the workers that run go on");
    }

    /// Those who ask for statistics right now are not turned away.
    fn finish_answers(&mut self) {
        let mut stats = std::mem::take(&mut self.stats);
        stats.finish(|| self.snapshot());
    }

    /// What the next image gets.
    fn handover(&self) -> Handover {
        let mut sockets = gateway::sockets();
        sockets.extend(crate::stats::server::sockets());
        sockets.extend(crate::net::of_plugins::sockets());
        sockets.extend(startup::conditions::locks());
        sockets.extend(crate::mule::sockets());
        sockets.extend(crate::shared::region::descriptors());
        sockets.extend(
            self.server
                .sockets
                .iter()
                .map(|s| (s.asked.clone(), s.listener.as_raw_fd())),
        );
        // processes of these images go on writing into their pipes
        sockets.extend(pipe::descriptors());
        let mut shared: Vec<&SharedMemory> = Vec::new();
        let mut place = |memory: &'static SharedMemory| {
            let known = shared.iter().position(|m| std::ptr::eq(*m, memory));
            known.unwrap_or_else(|| {
                shared.push(memory);
                shared.len() - 1
            })
        };
        let processes = self
            .processes
            .iter()
            .filter_map(|p| {
                let worker = match p.kind {
                    Kind::Worker(id) | Kind::Old(id) => id,
                    Kind::Gateway(_) => 0,
                    Kind::Daemon(_) | Kind::Emperor | Kind::Mule(_) | Kind::Spooler(_) | Kind::OldMule => return None,
                };
                Some(OldProcess {
                    pid: p.pid,
                    worker,
                    memory: p.memory.map(&mut place),
                })
            })
            .collect();
        let stamp = SharedMemory::layout_stamp();
        let memories = shared.iter().map(|m| OldMemory {
            fd: m.fd(),
            workers: m.worker_count(),
            cores: m.core_count(),
            stamp: stamp.clone(),
        });
        Handover {
            version: env!("CARGO_PKG_VERSION").into(),
            reloads: self.reloads + 1,
            memories: memories.collect(),
            sockets,
            processes,
            emperor: self.emperor_for_handover(),
            mules: self.mules_for_handover(),
            binary: None,
        }
    }

    pub(super) fn stop(&mut self, ending: Ending) {
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
                for process in &mut self.processes {
                    if process.kind.is_aside() {
                        process.leaving = None;
                    }
                }
                self.tell_workers();
            }
            return;
        }
        if ending == Ending::Graceful {
            say!("graceful shutdown triggered...");
        }
        self.close(ending, Then::Exit(0));
    }

    pub(super) fn close(&mut self, ending: Ending, then: Then) {
        publish_end(ending, then);
        if then != Then::Exec || self.server.settings.subscriptions.leave_on_reload {
            self.announcer.leave(self.server);
        }
        if ending == Ending::Fast && then != Then::Exec {
            self.stop_daemons(then);
        }
        if matches!(then, Then::Exit(_)) {
            gateway::refuse_new();
            // the link is left open: gateways still ask; and what came from outside is not ours to close
            for socket in self.server.sockets.iter().filter(|s| s.is_ours_to_close()) {
                closing::refuse_new(&socket.listener);
            }
            gateway::release_sockets();
            self.server.release_sockets();
            self.server.shared.worker_slot(0).leaving.store(1, Ordering::Release);
            startup::notify::stopping();
        }
        procname::state(State::Leaving);
        self.closing = Some(Closing {
            ending,
            then,
            workers_told: false,
        });
        let mercy = self.ending_mercy();
        let keep_gateways = then == Then::Exec && ending == Ending::Graceful;
        for process in &mut self.processes {
            let with_gateways = process.kind.is_any_gateway() && !keep_gateways;
            let is_emperor = process.kind == Kind::Emperor && matches!(then, Then::Exit(_));
            if with_gateways || is_emperor {
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

    pub(super) fn ending_mercy(&self) -> Duration {
        match self.closing.as_ref().map(|c| c.ending) {
            Some(Ending::Fast) => FAST_STOP_MERCY,
            _ => Duration::from_secs(self.server.settings.reload.reload_mercy),
        }
    }

    /// Tells the workers, once no gateway needs them any more (or at once, if it is to be fast).
    pub(super) fn tell_workers(&mut self) {
        let Some(closing) = &self.closing else { return };
        let gateways = self
            .processes
            .iter()
            .any(|p| p.kind.is_any_gateway() && p.leaving.is_some());
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
            if process.kind.is_any_worker() {
                process.leaving = None;
                tell(process, signal, mercy);
            }
        }
        if let Some(closing) = &mut self.closing {
            closing.workers_told = true;
        }
    }

    /// What follows, when the server is closing and nobody is left.
    pub(super) fn closed(&mut self) -> Option<Then> {
        self.tell_workers();
        self.tell_mules();
        let closing = self.closing.as_ref()?;
        let left = self.processes.iter().any(|p| match p.kind {
            Kind::Gateway(_) => closing.then != Then::Exec || p.leaving.is_some(),
            Kind::Daemon(_) => false,
            Kind::Emperor => closing.then != Then::Exec,
            _ => true,
        });
        let then = closing.then;
        if left {
            return None;
        }
        // requests in flight may have needed them: attached programs end last
        if then != Then::Exec {
            self.stop_daemons(then);
            if self.processes.iter().any(|p| self.is_child_daemon(p)) {
                return None;
            }
        }
        Some(then)
    }
}

/// What `uwsgi.status` says of the end that has begun, to plugins in the master.
fn publish_end(ending: Ending, then: Then) {
    // SAFETY: the master writes it; plugins read one number.
    let status = unsafe { &mut (*crate::server::view()).status };
    let field = match (ending, then) {
        (Ending::Graceful, Then::Exec) => &mut status.gracefully_reloading,
        (Ending::Fast, Then::Exec) => &mut status.brutally_reloading,
        (Ending::Graceful, Then::Exit(_)) => &mut status.gracefully_destroying,
        (Ending::Fast, Then::Exit(_)) => &mut status.brutally_destroying,
    };
    *field = 1;
}
