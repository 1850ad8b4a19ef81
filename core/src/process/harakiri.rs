//! Workers that are over a deadline: how the master finds them and what it says about them, and the worker's side,
//! which writes its stacks from a signal handler. Between the two stages, stacks and kill, lies `master::watch`.

use crate::plugin::{hooks, registry};
use crate::server::{self, Server, server, worker_id};
use crate::shared::SharedMemory;
use crate::{say, unix_signal};
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

/// Which deadline a worker has missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// `--harakiri`, or `uwsgi.set_user_harakiri()`: a request takes too long.
    Request,
    /// `--worker-heartbeat`: the loop does not turn; milliseconds since it last did.
    Heartbeat(u64),
    /// `--worker-boot-timeout`: it does not become ready; seconds since its fork.
    Boot(u64),
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request => f.write_str("a request was over time (--harakiri or a user harakiri)"),
            Self::Heartbeat(ms) => write!(
                f,
                "it was silent for {}.{} s (--worker-heartbeat)",
                ms / 1000,
                ms % 1000 / 100
            ),
            Self::Boot(seconds) => write!(f, "it was not ready after {seconds} s (--worker-boot-timeout)"),
        }
    }
}

/// How far a worker has come with the first stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nothing was heard.
    None,
    /// Its stacks are in the log.
    Stacks,
    /// They are, and a plugin ends the process itself (`worker_abort`).
    Leaves,
}

/// A core of worker `id` whose deadline has passed.
pub fn is_over_time(shared: &SharedMemory, id: usize, now: i64) -> bool {
    let user = shared.worker_slot(id).user_deadline.load(Ordering::Relaxed);
    (user > 0 && now > user)
        || (0..shared.core_count()).any(|core| {
            let slot = shared.core_slot(id, core);
            let deadline = slot.deadline.load(Ordering::Relaxed);
            slot.since.load(Ordering::Acquire) > 0 && deadline > 0 && now > deadline
        })
}

/// Says what the worker is doing: every busy core with its request, since when, for how long, in which plugin.
pub fn report(shared: &SharedMemory, id: usize, pid: i32, missed: Missed, graceful: bool) {
    let graceful = if graceful { "yes" } else { "no" };
    match missed {
        Missed::Request => say!("*** HARAKIRI ON WORKER {id} (pid: {pid}, try: 1, graceful: {graceful}) ***"),
        _ => say!("worker {id} (pid: {pid}) is to be killed: {missed}"),
    }
    say!("HARAKIRI !!! worker {id} status !!!");
    let now = crate::exports::now();
    for core in 0..shared.core_count() {
        let slot = shared.core_slot(id, core);
        let since = slot.since.load(Ordering::Acquire);
        if since > 0 {
            let plugin = match slot.in_hook.load(Ordering::Relaxed) {
                0 => String::new(),
                hook => format!(", in plugin {}", registry::name_of_modifier((hook - 1) as u8)),
            };
            let elapsed = (now - since).max(0);
            say!(
                "HARAKIRI [core {core}] {} since {since} (for {elapsed} seconds{plugin})",
                slot.description()
            );
        }
    }
    say!("HARAKIRI !!! end of worker {id} status !!!");
    if server().settings.limits.harakiri_verbose {
        for (file, mark) in [("wchan", "wchan>"), ("syscall", "syscall>")] {
            if let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/{file}")) {
                say!("HARAKIRI: -- {mark} {}", text.trim());
            }
        }
    }
    if missed == Missed::Request {
        hooks::harakiri(id);
        // SAFETY: the record of this worker; only the master writes this counter.
        unsafe { (*shared.worker(id)).harakiri_count += 1 };
    }
}

/// Asks a worker for its stacks; it answers in [`answer`]. `last`: it is killed next, so a plugin may end it before.
pub fn ask(shared: &SharedMemory, id: usize, pid: i32, last: bool) {
    let slot = shared.worker_slot(id);
    slot.stacks_written.store(0, Ordering::Relaxed);
    slot.over_time.store(if last { pid } else { -pid }, Ordering::Release);
    // SAFETY: a plain signal to a child of ours.
    unsafe { libc::kill(pid, unix_signal::stacks()) };
}

/// What the worker has answered so far.
pub fn answer(shared: &SharedMemory, id: usize) -> Answer {
    match shared.worker_slot(id).stacks_written.load(Ordering::Acquire) {
        0 => Answer::None,
        1 => Answer::Stacks,
        _ => Answer::Leaves,
    }
}

/// Whether the kernel still keeps the question back: the worker blocks the signal in every thread.
pub fn blocks_question(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let pending = status.lines().find_map(|l| l.strip_prefix("ShdPnd:")).unwrap_or("0");
    u64::from_str_radix(pending.trim(), 16).is_ok_and(|bits| bits & (1 << (unix_signal::stacks() - 1)) != 0)
}

/// The worker's side: writes the stacks of its threads to the log; if the master has given it up, or `aborted`, also
/// asks the plugins whether one of them ends the process. Runs in a signal handler: no allocation, no lock.
pub fn write_stacks(aborted: bool) -> bool {
    let Some(server) = server::try_server() else {
        return false;
    };
    if !aborted {
        crate::plugin::inside::end::tell_over_time();
    }
    let own = crate::worker::describe_for_stacks();
    hooks::dump_stacks(2);
    let slot = server.shared.worker_slot(worker_id());
    let asked = slot.over_time.load(Ordering::Acquire);
    let given_up = asked == own;
    let leaves = (given_up || aborted) && hooks::worker_abort_in_signal();
    if leaves {
        unix_signal::abort_when_calm();
    }
    if asked.abs() == own {
        slot.stacks_written.store(1 + i32::from(leaves), Ordering::Release);
        super::notify_master();
    }
    if given_up && !leaves {
        hold();
    }
    leaves
}

/// How a mule or a spooler stands to its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aside {
    /// It has none, or time left.
    InTime,
    /// It was asked where it is; a second later it is killed.
    Asked,
    /// It was killed.
    Killed,
}

/// Sees to the deadline of a mule or a spooler, once a second: over time it first says where it is, if it can. What it
/// does with its deadline meanwhile counts: one that has finished lives.
pub fn aside(deadline: &AtomicI64, now: i64, pid: i32) -> Aside {
    let send = |signal| {
        // SAFETY: a plain signal to a child of ours.
        unsafe { libc::kill(pid, signal) };
    };
    match deadline.load(Ordering::Acquire) {
        asked if asked < 0 => {
            if deadline
                .compare_exchange(asked, 0, Ordering::AcqRel, Ordering::Relaxed)
                .is_err()
            {
                return Aside::InTime;
            }
            send(libc::SIGKILL);
            Aside::Killed
        }
        set if set > 0 && set <= now => {
            if deadline
                .compare_exchange(set, -1, Ordering::AcqRel, Ordering::Relaxed)
                .is_err()
            {
                return Aside::InTime;
            }
            send(unix_signal::stacks());
            Aside::Asked
        }
        _ => Aside::InTime,
    }
}

/// A mule's and a spooler's side of [`aside`], in a signal handler.
pub fn write_stacks_aside() {
    crate::plugin::inside::end::tell_over_time();
    hooks::dump_stacks(2);
    hold();
}

/// The worker goes on after all.
pub fn reprieve(shared: &SharedMemory, id: usize) {
    shared.worker_slot(id).over_time.store(0, Ordering::Release);
}

/// Waits for the kill: the signal has interrupted whatever the thread was waiting for, and it must not go on as if
/// that had come.
fn hold() {
    let rest = libc::timespec { tv_sec: 5, tv_nsec: 0 };
    // SAFETY: async-signal-safe; the place is ours.
    unsafe { libc::nanosleep(&rest, std::ptr::null_mut()) };
}

/// The worker is gone: its slots must not accuse its successor.
pub fn clear(server: &Server, id: usize) {
    let slot = server.shared.worker_slot(id);
    slot.user_deadline.store(0, Ordering::Relaxed);
    slot.over_time.store(0, Ordering::Relaxed);
    slot.heartbeat.store(0, Ordering::Relaxed);
    for core in 0..server.shared.core_count() {
        let slot = server.shared.core_slot(id, core);
        slot.since.store(0, Ordering::Release);
        slot.deadline.store(0, Ordering::Relaxed);
        slot.in_hook.store(0, Ordering::Relaxed);
    }
    // SAFETY: the records of a worker without a process.
    unsafe {
        (*server.shared.worker(id)).busy = 0;
        (*server.shared.worker(id)).harakiri = 0;
        (*server.shared.worker(id)).accepting = 0;
        for core in 0..server.shared.core_count() {
            (*server.shared.core(id, core)).in_request = 0;
        }
    }
}
/// The process is over time after so many seconds, whatever the configuration says; 0 or less: it is not.
pub fn set_user_deadline(seconds: i32) {
    let deadline = match seconds {
        1.. => crate::exports::now() + i64::from(seconds),
        _ => 0,
    };
    if let Some(slot) = crate::mule::slot(crate::mule::own_id()) {
        slot.deadline.store(deadline, Ordering::Release);
    } else if let Some(slot) = crate::spooler::own_slot() {
        crate::spooler::set_deadline(slot, seconds.into());
    } else {
        let slot = server().shared.worker_slot(worker_id());
        slot.user_deadline.store(deadline, Ordering::Relaxed);
    }
}
