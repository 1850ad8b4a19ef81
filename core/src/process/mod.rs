//! The processes of a server: who forks whom, how each ends, and what they tell each other.

pub mod caretaker;
pub mod fifo;
pub mod footprint;
pub mod gateway;
pub mod handover;
pub mod harakiri;
pub mod master;
pub mod mule;
pub mod oom;
pub mod reap;
pub mod reload;
pub mod scaling;
pub mod spawn;
pub mod trial;

use crate::plugin::hooks;
use crate::plugin::inside::record;
use crate::server::{self, Server, worker_id};
use crate::unix_signal::{self, Order};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

/// What this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// The first process, before and after it has workers; also the only one without a master.
    Master = 0,
    /// Serves requests.
    Worker = 1,
    /// Stands in front of the workers.
    Gateway = 2,
    /// Loads everything once to see whether a reload would succeed.
    Trial = 3,
    /// Supervises other instances; also what a vassal's process is until its exec.
    Emperor = 4,
    /// Works beside the workers.
    Mule = 5,
}

static ROLE: AtomicU8 = AtomicU8::new(0);

/// What this process is.
pub fn role() -> Role {
    match ROLE.load(Ordering::Relaxed) {
        0 => Role::Master,
        1 => Role::Worker,
        2 => Role::Gateway,
        4 => Role::Emperor,
        5 => Role::Mule,
        _ => Role::Trial,
    }
}

/// Sets it; right after a fork, or at the start of a trial.
pub fn set_role(role: Role) {
    ROLE.store(role as u8, Ordering::Relaxed);
}

/// The end of this process, with the work that belongs to an orderly one.
pub fn exit(code: i32) -> ! {
    finish(code);
    record::leave();
    // SAFETY: destructors of a forked copy of the master must not run.
    unsafe { libc::_exit(code) }
}

/// The work that belongs to an orderly end, before an exit, or in a program that goes on without its server.
pub fn finish(code: i32) {
    if role() == Role::Master && code != 0 && reload::is_reload() {
        // this image failed before its master began; those who serve still need somebody
        caretaker::run(code);
    }
    match role() {
        Role::Worker => {
            crate::log::batch::flush();
            tell_leaving();
            hooks::worker_exit(worker_id());
            crate::exceptions::finish();
            if server::try_server().is_none_or(|s| !s.settings.processes.skip_atexit) {
                hooks::atexit();
            }
            if server::try_server().is_none_or(|s| !s.settings.processes.master) {
                crate::startup::vacuum();
            }
        }
        Role::Mule => hooks::atexit(),
        Role::Master => crate::startup::at_end(),
        Role::Gateway | Role::Trial | Role::Emperor => {}
    }
    crate::log::sink::finish();
    // SAFETY: flushes the C streams of plugins.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

/// What rouses the master when a worker changes its state.
static MASTER_BELL: OnceLock<EventFd> = OnceLock::new();

/// Makes the master's bell, before the first fork.
///
/// # Errors
/// No descriptor is left.
pub fn make_master_bell() -> nix::Result<BorrowedFd<'static>> {
    if MASTER_BELL.get().is_none() {
        let _ = MASTER_BELL.set(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
    }
    MASTER_BELL.get().map(AsFd::as_fd).ok_or(nix::Error::EBADF)
}

/// Rouses the master.
pub fn notify_master() {
    if let Some(bell) = MASTER_BELL.get() {
        let _ = bell.write(1);
    }
}

/// Empties the bell; in the master.
pub fn hear_bell() {
    if let Some(bell) = MASTER_BELL.get() {
        unix_signal::silence(bell.as_fd().as_raw_fd());
    }
}

/// The master learns that this worker leaves, and from when: what does not let it go is not waited for without end.
pub fn tell_leaving() {
    if let Some(server) = server::try_server() {
        let slot = server.shared.worker_slot(worker_id());
        slot.leaving.store(std::process::id() as i32, Ordering::Release);
        notify_master();
    }
}

/// Whether the whole server stops: nobody will take the connections that wait.
pub fn is_last_generation() -> bool {
    server::try_server().is_some_and(|s| s.shared.worker_slot(0).leaving.load(Ordering::Acquire) != 0)
}

/// A worker has done enough: it asks for a replacement and goes on until that is ready; with the old defaults, or
/// without a master, it leaves at once.
pub fn recycle(server: &Server, id: usize) {
    let slot = server.shared.worker_slot(id);
    slot.wants_replacement
        .store(std::process::id() as i32, Ordering::Release);
    if server.settings.classic || !server.settings.processes.master {
        unix_signal::give_order(Order::Leave);
    } else {
        notify_master();
    }
}

/// Resident and virtual memory of a process, bytes.
pub fn memory(pid: u32) -> Option<(u64, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let mut pages = text.split(' ').map(|n| n.parse::<u64>().unwrap_or(0));
    let page = 4096;
    let (virtual_size, resident) = (pages.next()?, pages.next()?);
    Some((resident * page, virtual_size * page))
}

/// Of this process's memory, what no other process shares, and its share of all, bytes.
pub fn unshared_memory() -> Option<(u64, u64)> {
    pages(&std::fs::read_to_string("/proc/self/smaps_rollup").ok()?)
}

/// Reads the kernel's summary: private pages, and proportional ones.
fn pages(text: &str) -> Option<(u64, u64)> {
    let bytes = |name: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|n| n * 1024)
    };
    Some((bytes("Private_Clean")? + bytes("Private_Dirty")?, bytes("Pss")?))
}

/// Whether this process is worker `id`.
pub fn is_worker() -> bool {
    worker_id() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_summary_of_pages_is_read() {
        let text = "Rss:  5088 kB\nPss:  1001 kB\nPss_Anon: 7 kB\nPrivate_Clean:  4 kB\nPrivate_Dirty: 6 kB\n";
        assert_eq!(pages(text), Some((10 * 1024, 1001 * 1024)));
        assert_eq!(pages("Rss: 1 kB\n"), None);
        let (unshared, proportional) = unshared_memory().unwrap();
        assert!(unshared > 0 && proportional > 0);
    }
}
