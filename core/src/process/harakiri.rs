//! Requests that are over time: found by the master in the workers' slots, said, and ended with their worker.

use crate::plugin::hooks;
use crate::say;
use crate::server::Server;
use std::sync::atomic::Ordering;

/// A core of worker `id` whose deadline has passed.
pub fn is_over_time(server: &Server, id: usize, now: i64) -> bool {
    let user = server.shared.worker_slot(id).user_deadline.load(Ordering::Relaxed);
    (user > 0 && now > user)
        || (0..server.shared.core_count()).any(|core| {
            let slot = server.shared.core_slot(id, core);
            let deadline = slot.deadline.load(Ordering::Relaxed);
            slot.since.load(Ordering::Acquire) > 0 && deadline > 0 && now > deadline
        })
}

/// Says what the worker was doing, just before it is killed.
pub fn report(server: &Server, id: usize, pid: i32) {
    say!("*** HARAKIRI ON WORKER {id} (pid: {pid}, try: 1, graceful: no) ***");
    say!("HARAKIRI !!! worker {id} status !!!");
    for core in 0..server.shared.core_count() {
        let slot = server.shared.core_slot(id, core);
        let since = slot.since.load(Ordering::Acquire);
        if since > 0 {
            say!("HARAKIRI [core {core}] {} since {since}", slot.description());
        }
    }
    say!("HARAKIRI !!! end of worker {id} status !!!");
    if server.settings.limits.harakiri_verbose {
        for (file, mark) in [("wchan", "wchan>"), ("syscall", "syscall>")] {
            if let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/{file}")) {
                say!("HARAKIRI: -- {mark} {}", text.trim());
            }
        }
    }
    hooks::harakiri(id);
    // SAFETY: the record of this worker; only the master writes this counter.
    unsafe { (*server.shared.worker(id)).harakiri_count += 1 };
}

/// The worker is gone: its slots must not accuse its successor.
pub fn clear(server: &Server, id: usize) {
    server.shared.worker_slot(id).user_deadline.store(0, Ordering::Relaxed);
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
