//! When a new image cannot serve: the workers of the image before go on, and this process stays for them. First it
//! goes back to the binary before, if that is another; else it keeps the children and the sockets, and waits for the
//! next reload or the end. It is what the master turns into before it was one, so it uses nothing that the start
//! makes.

use super::handover::Handover;
use super::reap::{self, Ended};
use super::reload::{self, Spares};
use super::trial::Trial;
use crate::log::lines::Lines;
use crate::{say, unix_signal};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};

/// How long workers get to finish when they are told to leave.
const MERCY: Duration = Duration::from_secs(60);

struct Caretaker {
    handover: Handover,
    spares: Spares,
    trial: Option<Trial>,
    /// The end has begun; who is left then is killed.
    ending: Option<Instant>,
}

/// Takes care until the end of the server; `code`: with what the start of this image failed.
pub fn run(code: i32) -> ! {
    unix_signal::block_master();
    crate::log::standard::give_back_stderr();
    let Some((handover, spares)) = reload::take_back() else {
        std::process::exit(code)
    };
    let mut caretaker = Caretaker {
        handover,
        spares,
        trial: None,
        ending: None,
    };
    if let Some(binary) = caretaker
        .handover
        .binary
        .take()
        .filter(|fd| !reload::is_own_binary(*fd))
    {
        say!("the new binary failed (exit code {code}): rolling back to the one before");
        caretaker.become_image(Some(binary));
    }
    say!("the new image cannot serve (exit code {code}, the reason stands above); the workers that run go on");
    say!("mend it and reload again (SIGHUP, or touch what is touched), or stop with SIGTERM");
    caretaker.watch(code)
}

impl Caretaker {
    fn watch(&mut self, code: i32) -> ! {
        unix_signal::relay_to_master();
        loop {
            // a new one each time: an exec that fails may have put something else under the number of the last
            let Ok(signals) = SignalFd::with_flags(
                &unix_signal::master_set(),
                SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK,
            ) else {
                say!("no descriptor is left to wait for signals; ending");
                std::process::exit(code)
            };
            while let Ok(Some(info)) = signals.read_signal() {
                match Signal::try_from(info.ssi_signo as i32) {
                    Ok(Signal::SIGTERM) => self.end(Signal::SIGTERM, Signal::SIGHUP),
                    Ok(Signal::SIGINT | Signal::SIGQUIT) => self.end(Signal::SIGINT, Signal::SIGINT),
                    Ok(Signal::SIGHUP | Signal::SIGUSR2) => self.try_again(),
                    _ => {}
                }
            }
            self.reap();
            self.drain_logs();
            if self.handover.processes.is_empty() {
                let code = if self.ending.is_some() { 0 } else { code };
                say!("the last worker of the image before has gone; ending with {code}");
                std::process::exit(code)
            }
            if self.ending.is_some_and(|at| at <= Instant::now()) {
                self.tell(Signal::SIGKILL, Signal::SIGKILL);
            }
            let pipes = self.log_pipes();
            let mut entries: Vec<PollFd<'_>> = pipes
                .iter()
                // SAFETY: spares are open as long as this process.
                .map(|fd| PollFd::new(unsafe { BorrowedFd::borrow_raw(*fd) }, PollFlags::POLLIN))
                .collect();
            entries.push(PollFd::new(signals.as_fd(), PollFlags::POLLIN));
            let _ = poll(&mut entries, PollTimeout::from(1000u16));
        }
    }

    /// The pipes into which the workers write their log: unread, they would fill and the workers would wait.
    fn log_pipes(&self) -> Vec<RawFd> {
        let pipes = self
            .handover
            .sockets
            .iter()
            .filter(|(name, _)| name.ends_with("log pipe"));
        pipes.filter_map(|(_, fd)| self.spares.get(*fd)).collect()
    }

    fn drain_logs(&self) {
        let mut buffer = [0u8; 64 * 1024];
        for fd in self.log_pipes() {
            let mut lines = Lines::new(0);
            let mut give = |whole: &[u8]| crate::log::sink::deliver(whole, false);
            // SAFETY: as above; the pipes never block.
            while let Ok(n @ 1..) = nix::unistd::read(unsafe { BorrowedFd::borrow_raw(fd) }, &mut buffer) {
                lines.take(&buffer[..n], &mut give);
            }
            lines.finish(&mut give);
        }
    }

    fn reap(&mut self) {
        while let Some(Ended { pid, code, .. }) = reap::next() {
            if self.trial.as_ref().is_some_and(|t| t.pid() == pid) {
                self.trial_ended(code);
            }
            self.handover.processes.retain(|p| p.pid != pid);
        }
    }

    fn try_again(&mut self) {
        if self.trial.is_some() || self.ending.is_some() {
            return;
        }
        match Trial::start(self.handover.reloads + 1) {
            Ok(trial) => self.trial = Some(trial),
            Err(e) => say!("reload: cannot start the trial: {e}; nothing changes"),
        }
    }

    fn trial_ended(&mut self, code: Option<i32>) {
        let Some(trial) = self.trial.take() else { return };
        if code == Some(0) && self.ending.is_none() {
            self.handover.reloads += 1;
            return self.become_image(None);
        }
        for line in trial.output().lines() {
            say!("reload: {line}");
        }
        say!("reload refused: the trial failed; the workers that run go on");
    }

    /// Returns only if that fails.
    fn become_image(&self, binary: Option<RawFd>) {
        let spare = binary.and_then(|fd| self.spares.get(fd));
        self.spares.restore();
        let failed = reload::exec(&self.handover, spare);
        say!("cannot run the binary: {failed}; the workers that run go on");
    }

    fn end(&mut self, to_gateways: Signal, to_workers: Signal) {
        self.ending.get_or_insert(Instant::now() + MERCY);
        self.tell(to_gateways, to_workers);
    }

    fn tell(&self, to_gateways: Signal, to_workers: Signal) {
        for process in &self.handover.processes {
            let signal = if process.worker == 0 { to_gateways } else { to_workers };
            let _ = kill(Pid::from_raw(process.pid), signal);
        }
    }
}
