//! Starting an attached program: its session, its user, its folder, its namespace; then the shell.

use crate::say;
use crate::settings::Daemon;
use crate::startup::hooks;
use nix::unistd::{ForkResult, Gid, Pid, Uid, fork, setgid, setgroups, setsid, setuid};
use std::ffi::CString;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// The user and group of a program; none: those of the server.
#[derive(Debug, Default)]
pub(super) struct Owner {
    uid: Option<Uid>,
    gid: Option<Gid>,
}

impl Owner {
    /// Looks names up.
    ///
    /// # Errors
    /// There is no such user or group.
    pub(super) fn of(spec: &Daemon) -> Result<Self, String> {
        let text = |t: &Option<String>| t.clone().unwrap_or_default();
        let (uid, gid) = crate::net::listener::owner(&format!("{}:{}", text(&spec.uid), text(&spec.gid)))?;
        Ok(Self {
            uid: uid.map(Uid::from_raw),
            gid: gid.map(Gid::from_raw),
        })
    }

    pub(super) fn uid(&self) -> Uid {
        self.uid.unwrap_or_else(Uid::current)
    }

    pub(super) fn gid(&self) -> Gid {
        self.gid.unwrap_or_else(Gid::current)
    }

    fn become_owner(&self) -> nix::Result<()> {
        if let Some(gid) = self.gid {
            setgroups(&[])?;
            setgid(gid)?;
        }
        self.uid.map_or(Ok(()), setuid)
    }
}

/// A shell that runs a command with the signals of a new process, in a session of its own.
pub(in crate::process::master) fn shell(command: &str) -> Command {
    let mut shell = hooks::child(hooks::shell_path());
    shell.args(["-c", command]).stdin(Stdio::null());
    // SAFETY: these calls are async-signal-safe and touch nothing of ours.
    unsafe {
        shell.pre_exec(|| {
            libc::setsid();
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        })
    };
    shell
}

/// Forks a program.
///
/// # Errors
/// The system refuses another process.
pub(super) fn daemon(spec: &Daemon, owner: &Owner, honour_stdin: bool) -> nix::Result<i32> {
    let args = [hooks::shell_path(), "-c", &spec.command].map(|a| CString::new(a).unwrap_or_default());
    match fork_daemon(spec.new_pids)? {
        Some(child) => Ok(child.as_raw()),
        None => {
            // only the fork in between is waited for by the master
            let fail = |what: &str, e: nix::Error| -> ! {
                say!(
                    "[uwsgi-daemons] cannot start \"{}\": {what}(): {}",
                    spec.command,
                    e.desc()
                );
                // SAFETY: ends the child; nothing of the master's is to be cleaned up by it.
                unsafe { libc::_exit(1) }
            };
            crate::unix_signal::reset();
            crate::unix_signal::unblock();
            if let Err(e) = into_background(spec) {
                fail("fork", e);
            }
            if let Err(e) = setsid() {
                fail("setsid", e);
            }
            if let Err(e) = owner.become_owner() {
                fail("setuid", e);
            }
            if spec.pidfile.is_none() {
                // after the change of user, which clears it
                let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
            }
            if let Some(folder) = &spec.chdir
                && let Err(e) = nix::unistd::chdir(folder.as_str())
            {
                fail(&format!("chdir to {folder}"), e);
            }
            if !honour_stdin && let Ok(null) = std::fs::File::open("/dev/null") {
                // SAFETY: both are open.
                unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&null), 0) };
            }
            // SAFETY: this process has one thread. The emperor is ours, not the program's.
            unsafe { std::env::remove_var(crate::emperor::message::VARIABLE) };
            let Err(e) = nix::unistd::execv(&args[0], &args);
            fail("exec", e)
        }
    }
}

/// Forks, on demand into a new pid namespace. `None` in the child.
fn fork_daemon(new_pids: bool) -> nix::Result<Option<Pid>> {
    let loggers = crate::log::sink::hold();
    let forked = fork_bare(new_pids);
    match forked {
        // the threads of the loggers are the master's
        Ok(None) => {
            std::mem::forget(loggers);
            crate::log::sink::deliver_here(false);
        }
        _ => drop(loggers),
    }
    forked
}

fn fork_bare(new_pids: bool) -> nix::Result<Option<Pid>> {
    if new_pids {
        let flags = libc::CLONE_NEWPID | libc::SIGCHLD;
        // SAFETY: without a stack of its own the call is a fork; the master is single-threaded, the child execs or ends.
        return match unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } {
            -1 => Err(nix::Error::last()),
            0 => Ok(None),
            pid => Ok(Some(Pid::from_raw(pid as i32))),
        };
    }
    // SAFETY: as above.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => Ok(None),
    }
}

/// `daemonize`: a second fork, whose pid goes into the pidfile.
fn into_background(spec: &Daemon) -> nix::Result<()> {
    let Some(path) = spec.pidfile.as_ref().filter(|_| spec.daemonize) else {
        return Ok(());
    };
    // SAFETY: as above.
    if let ForkResult::Parent { .. } = unsafe { fork() }? {
        // SAFETY: ends the process in between.
        unsafe { libc::_exit(0) }
    }
    if let Err(e) = std::fs::write(path, format!("{}\n", std::process::id())) {
        say!(
            "[uwsgi-daemons] cannot write the pidfile {path} of \"{}\": {e}",
            spec.command
        );
    }
    Ok(())
}
