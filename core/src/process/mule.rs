//! The life of a mule's process: after its fork a script of its own, or messages for the plugins, until it is told
//! to leave.

use super::{Role, exit};
use crate::mule::{self, LARGEST, Sources, Waited};
use crate::plugin::hooks;
use crate::server::server;
use crate::startup::hooks::call_bare;
use crate::startup::procname::{self, State};
use crate::{say, unix_signal, worker};
use std::ffi::CString;
use std::sync::atomic::Ordering;

/// Runs mule `id`; called in its new process.
pub fn run(id: usize, master: i32) -> ! {
    super::set_role(Role::Mule);
    mule::become_mule(id);
    if unix_signal::install_worker().map(std::mem::forget).is_err() {
        say!("mule {id}: cannot make its event descriptor");
        exit(1)
    }
    die_with(master);
    unix_signal::unblock();
    server().release_sockets();
    super::gateway::release_sockets();
    let settings = &server().settings;
    procname::mule(&settings.processes.names, id);
    procname::state(State::Starting);
    hooks::master_fixup(1);
    crate::startup::hooks::run(&settings.hooks.as_mule);
    if let Some(slot) = mule::slot(id) {
        slot.ready.store(std::process::id() as i32, Ordering::Release);
        super::notify_master();
    }
    procname::state(State::Idle);
    // an application's loop may begin in here and never come back
    without_looking(hooks::post_fork_aside);
    if let Some(script) = settings.background.mules.get(id - 1).and_then(|m| m.script.as_deref()) {
        run_script(id, script);
    }
    serve(id)
}

/// The master's end is the mule's, too.
pub fn die_with(master: i32) {
    let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM);
    if nix::unistd::getppid().as_raw() != master {
        // it has ended before we could ask to be told
        exit(0)
    }
}

/// The mule's own program; it ends the process.
fn run_script(id: usize, script: &str) {
    let text = CString::new(script).unwrap_or_default();
    worker::set_busy(true);
    let ran = without_looking(|| hooks::mule(&text) || script.strip_suffix("()").is_some_and(|f| call_bare(f).is_ok()));
    worker::set_busy(false);
    if ran {
        exit(0)
    }
    say!(
        "mule {id}: no plugin runs \"{script}\"; it waits for messages (option mule: give a .py file, module:function or cfunction())"
    );
}

/// Runs what may never look at what the process is told: it ends there and then, until it waits for messages once.
fn without_looking<T>(run: impl FnOnce() -> T) -> T {
    unix_signal::leave_at_once(true);
    let result = run();
    unix_signal::leave_at_once(false);
    result
}

fn serve(id: usize) -> ! {
    let limit = server().settings.limits.mule_harakiri;
    let mut buffer = vec![0; LARGEST];
    loop {
        match mule::receive(&mut buffer, Sources::All, true, None) {
            Waited::Message(len) => {
                procname::state(State::Busy);
                worker::set_busy(true);
                set_deadline(id, limit);
                if !hooks::mule_msg(&mut buffer[..len]) {
                    say!("*** mule {id} received a {len} bytes message that no plugin takes ***");
                }
                set_deadline(id, 0);
                worker::set_busy(false);
                procname::state(State::Idle);
            }
            Waited::Nothing => {}
            Waited::Told => exit(0),
        }
    }
}

/// The mule is over time after so many seconds; 0: never.
pub fn set_deadline(id: usize, seconds: u64) {
    if let Some(slot) = mule::slot(id) {
        let deadline = match seconds {
            0 => 0,
            n => crate::exports::now() + n as i64,
        };
        slot.deadline.store(deadline, Ordering::Release);
    }
}
