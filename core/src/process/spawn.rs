//! Forking: the hooks around it, and what a child must shed of its parent.

use super::gateway::Gateway;
use super::{Role, set_role};
use crate::plugin::{hooks, inside};
use crate::server::{publish_process, server};
use crate::{unix_signal, worker};
use nix::unistd::{ForkResult, Pid, fork};

/// Forks; the hooks of request plugins run on both sides. `None` in the child.
fn fork_with_hooks(role: Role, worker: usize) -> nix::Result<Option<Pid>> {
    hooks::pre_uwsgi_fork();
    let parent = nix::unistd::getpid();
    let pusher = crate::stats::push::hold();
    let loggers = crate::log::sink::hold();
    // SAFETY: the master is single-threaded; the child goes on as a full process of ours, as the hooks expect.
    match unsafe { fork() } {
        Ok(ForkResult::Parent { child }) => {
            drop((loggers, pusher));
            hooks::post_uwsgi_fork(0);
            Ok(Some(child))
        }
        Ok(ForkResult::Child) => {
            // the threads of loggers and pushers are the master's
            std::mem::forget((loggers, pusher));
            crate::log::sink::deliver_here(false);
            set_role(role);
            inside::end::serves();
            publish_process(worker);
            crate::stats::server::leave_to_parent();
            crate::net::of_plugins::leave_to_parent();
            crate::emperor::link::leave_to_parent();
            if let Err(e) = crate::startup::privileges::drop_in_child(&server().settings) {
                crate::say!("{e}");
                super::exit(1);
            }
            if server().settings.processes.no_orphans {
                // after the change of user, which clears it
                let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
                // one that ended before we could ask to be told has left us to another; 0: one outside of our pid namespace
                let now = nix::unistd::getppid();
                if now != parent && now.as_raw() != 0 {
                    std::process::exit(1)
                }
            }
            hooks::post_uwsgi_fork(1);
            Ok(None)
        }
        Err(e) => {
            drop((loggers, pusher));
            hooks::post_uwsgi_fork(0);
            Err(e)
        }
    }
}

/// A new process for worker `id`; only the parent returns.
///
/// # Errors
/// The system refuses another process.
pub fn worker(id: usize) -> nix::Result<Pid> {
    match fork_with_hooks(Role::Worker, id)? {
        Some(pid) => Ok(pid),
        None => {
            super::gateway::release_sockets();
            worker::run(id)
        }
    }
}

/// A new process for mule `id`; only the parent returns.
///
/// # Errors
/// The system refuses another process.
pub fn mule(id: usize) -> nix::Result<Pid> {
    let master = std::process::id() as i32;
    match fork_with_hooks(Role::Mule, 0)? {
        Some(pid) => Ok(pid),
        None => super::mule::run(id, master),
    }
}

/// A new process of the spoolers; only the parent returns.
///
/// # Errors
/// The system refuses another process.
pub fn spooler(all: &'static crate::spooler::Spoolers, number: usize) -> nix::Result<Pid> {
    let master = std::process::id() as i32;
    match fork_with_hooks(Role::Mule, 0)? {
        Some(pid) => Ok(pid),
        None => crate::spooler::run::run(all, number, master),
    }
}

/// A new process for the emperor; only the parent returns.
///
/// # Errors
/// The system refuses another process.
pub fn emperor() -> nix::Result<Pid> {
    match fork_with_hooks(Role::Emperor, 0)? {
        Some(pid) => Ok(pid),
        None => {
            unix_signal::reset();
            super::gateway::release_sockets();
            server().release_sockets();
            // its vassals die with it, so it must not outlive its master
            let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
            match crate::emperor::run(&server().settings, false) {
                Ok(code) => super::exit(code),
                Err(error) => {
                    crate::say!("{error}");
                    super::exit(error.code)
                }
            }
        }
    }
}

/// A new gateway process; only the parent returns.
///
/// # Errors
/// The system refuses another process.
pub fn gateway(gateway: &Gateway) -> nix::Result<Pid> {
    match fork_with_hooks(Role::Gateway, 0)? {
        Some(pid) => Ok(pid),
        None => {
            unix_signal::reset();
            unix_signal::unblock();
            server().release_sockets();
            let settings = &server().settings;
            crate::startup::procname::gateway(&settings.processes.names, gateway.name, gateway.number);
            crate::startup::hooks::run(&settings.hooks.as_gateway);
            gateway.run();
            super::exit(0)
        }
    }
}
