//! Programs that live and die with the server (`--attach-daemon`): started by the master, started again when they
//! end, ended with it even when it is killed.

use super::{Kind, Master, Process};
use crate::say;
use crate::settings::Settings;
use crate::stats::snapshot::DaemonStats;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A program that ends sooner than this is started again after a pause.
const TOO_SOON: Duration = Duration::from_secs(2);

/// An attached program.
#[derive(Debug)]
pub(super) struct AttachedDaemon {
    command: String,
    respawns: u32,
}

/// The programs of the configuration; those with a pidfile or keys come with a later version.
pub(super) fn configured(settings: &Settings) -> Vec<AttachedDaemon> {
    let plain = settings
        .background
        .daemons
        .iter()
        .filter(|d| d.pidfile.is_none() && !d.keyed);
    plain
        .map(|d| AttachedDaemon {
            command: d.command.clone(),
            respawns: 0,
        })
        .collect()
}

/// What the statistics say of them.
pub(super) fn stats(daemons: &[AttachedDaemon], processes: &[Process]) -> Vec<DaemonStats> {
    let pid_of = |at| {
        processes
            .iter()
            .find(|p| p.kind == Kind::Daemon(at))
            .map_or(0, |p| p.pid)
    };
    let describe = |(at, daemon): (usize, &AttachedDaemon)| DaemonStats {
        command: daemon.command.clone(),
        pid: pid_of(at),
        respawns: daemon.respawns,
    };
    daemons.iter().enumerate().map(describe).collect()
}

/// A shell that runs a command with the signals of a new process, in a session of its own.
fn shell(command: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]).stdin(Stdio::null());
    // SAFETY: these calls are async-signal-safe and touch nothing of ours.
    unsafe {
        shell.pre_exec(|| {
            crate::unix_signal::reset();
            crate::unix_signal::unblock();
            libc::setsid();
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        })
    };
    shell
}

impl Master {
    /// Starts all of them.
    pub(super) fn start_daemons(&mut self) {
        for at in 0..self.daemons.len() {
            self.start_daemon(at);
        }
    }

    fn start_daemon(&mut self, at: usize) {
        let command = &self.daemons[at].command;
        match shell(command).spawn() {
            // reaped with all other children
            Ok(child) => self.add(child.id() as i32, Kind::Daemon(at)),
            Err(e) => say!("[uwsgi-daemons] cannot start \"{command}\": {e}"),
        }
    }

    /// One has ended.
    pub(super) fn daemon_ended(&mut self, at: usize, lived: Duration) {
        if self.closing.is_some() {
            return;
        }
        let daemon = &mut self.daemons[at];
        daemon.respawns += 1;
        say!(
            "[uwsgi-daemons] respawning \"{}\" (respawns: {})",
            daemon.command,
            daemon.respawns
        );
        if lived < TOO_SOON {
            // bounded: a program that cannot live must not keep the master from its work
            std::thread::sleep(Duration::from_millis(100));
        }
        self.start_daemon(at);
    }

    /// Ends all of them; their whole session, since a shell stands before the program.
    pub(super) fn stop_daemons(&self) {
        for process in self.processes.iter().filter(|p| matches!(p.kind, Kind::Daemon(_))) {
            let _ = kill(Pid::from_raw(-process.pid), Signal::SIGTERM);
        }
    }

    /// Runs a command beside the server, not waiting for it.
    pub(super) fn run_aside(&self, command: &str) {
        if let Err(e) = shell(command).spawn() {
            say!("cannot run \"{command}\": {e}");
        }
    }
}
