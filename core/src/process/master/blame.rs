//! Which plugin a child was in when it ended without a word, or has to be killed: the master's side of `plugin::inside`.

use super::{Kind, Process};
use crate::plugin::inside::{Place, record};
use crate::plugin::registry;
use crate::shared::SharedMemory;
use crate::{say, unix_signal};
use std::ffi::CStr;
use std::sync::atomic::Ordering;

/// What ends a process on purpose.
const ORDERS: [i32; 5] = [libc::SIGKILL, libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];

/// A process that has ended inside of plugins' functions and could not say so itself.
pub(super) fn functions(process: &Process, code: Option<i32>, signal: i32, told: bool) {
    let places = record::left_by(process.pid);
    let how = match code {
        Some(0) if told => return,
        Some(code) => format!("_exit({code})"),
        // whoever sends these has said why, or need not
        None if ORDERS.contains(&signal) || signal == unix_signal::stacks() => return,
        None => format!("killed by signal {signal}"),
    };
    let (pid, kind) = (process.pid, process.kind);
    for Place { plugin, function } in places {
        let [plugin, function] = [plugin, function].map(CStr::to_string_lossy);
        say!("plugin {plugin}: {how} in its {function} ({kind}, pid: {pid})");
    }
}

/// An end inside the request hook is the plugin's, by a crash or an exit of its own: say which.
pub(super) fn requests(shared: &SharedMemory, id: usize, code: Option<i32>, signal: i32) {
    let how = match (code, signal) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE | libc::SIGABRT) => "crashed".into(),
        _ => return,
    };
    for core in 0..shared.core_count() {
        let slot = shared.core_slot(id, core);
        let hook = slot.in_hook.load(Ordering::Relaxed);
        if hook > 0 {
            let name = registry::name_of_modifier((hook - 1) as u8);
            say!(
                "worker {id} {how} in the request hook of plugin {name}: {}",
                slot.description()
            );
        }
    }
}

/// Where the threads of a process are that plugins do not let go, for the line of its kill.
pub(super) fn whereabouts(process: &Process) -> String {
    match process.kind {
        Kind::Worker(id) | Kind::Old(id) => places(process.pid, process.memory.map(|memory| (memory, id))),
        _ => places(process.pid, None),
    }
}

/// The same of a pid; with the memory in which a worker describes its requests.
pub(super) fn places(pid: i32, worker: Option<(&SharedMemory, usize)>) -> String {
    let mut places: Vec<String> = record::of(pid).iter().map(Place::to_string).collect();
    if let Some((shared, id)) = worker {
        for core in 0..shared.core_count() {
            let slot = shared.core_slot(id, core);
            let hook = slot.in_hook.load(Ordering::Relaxed);
            if hook > 0 {
                let name = registry::name_of_modifier((hook - 1) as u8);
                places.push(format!("plugin {name} in its hook request: {}", slot.description()));
            }
        }
    }
    match places.is_empty() {
        true => String::new(),
        false => format!(" ({})", places.join("; ")),
    }
}
