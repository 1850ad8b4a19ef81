//! What plugins see of the server beside its workers: records of caches, spoolers, daemons and queues, made in the start
//! and brought up to date by the master each second.

use crate::cache::{self, Cache};
use crate::server::{Server, keep, view};
use crate::stats::snapshot::{DaemonStats, queue_of};
use crate::{locks, shared, spooler};
use nix::fcntl::OFlag;
use rsgi_plugin_api::abi::{UwsgiCache, UwsgiDaemon, UwsgiShared, UwsgiSpooler, UwsgiThread};
use std::os::fd::IntoRawFd;
use std::ptr::null_mut;
use std::sync::atomic::Ordering;

/// Zeroed records in memory that all processes share, the first of a list; NULL for none.
fn records<T>(count: usize) -> *mut T {
    match count {
        0 => null_mut(),
        _ => shared::zeroes(count * size_of::<T>()).map_or(null_mut(), |first| first.cast()),
    }
}

/// Links records to a list.
macro_rules! link {
    ($first:expr, $count:expr) => {
        for at in 1..$count {
            (*$first.add(at - 1)).next = $first.add(at);
        }
    };
}

/// Makes the records; in the start, before the first fork, when everything is known.
pub fn install(server: &Server) {
    let caches = cache::caches();
    let spoolers = spooler::spoolers().map_or(0, |all| all.process_count());
    let daemons = &server.settings.background.daemons;
    let view = view();
    // SAFETY: single-threaded start; all fields are pointers and integers: zero is valid. Records live as long as the
    // process.
    unsafe {
        let first = records::<UwsgiCache>(caches.len());
        if !first.is_null() {
            caches
                .iter()
                .enumerate()
                .for_each(|(at, c)| describe(&mut *first.add(at), c));
            link!(first, caches.len());
        }
        (*view).caches = first;
        let first = records::<UwsgiSpooler>(spoolers);
        if let Some(all) = spooler::spoolers().filter(|_| !first.is_null()) {
            for at in 0..spoolers {
                let folder = all.folder_of(at).as_os_str().as_encoded_bytes();
                let len = folder.len().min(4095);
                std::ptr::copy_nonoverlapping(folder.as_ptr(), (*first.add(at)).dir.as_mut_ptr().cast(), len);
            }
            link!(first, spoolers);
        }
        (*view).spoolers = first;
        let first = records::<UwsgiDaemon>(daemons.len());
        if !first.is_null() {
            for (at, daemon) in daemons.iter().enumerate() {
                (*first.add(at)).command = keep(&daemon.command);
            }
            link!(first, daemons.len());
        }
        (*view).daemons = first;
        (*view).shared = records::<UwsgiShared>(1);
        if let Some(shared) = (*view).shared.as_mut() {
            shared.worker_signal_pipe = [-1, -1];
            if crate::stats::push::plugin::is_used() {
                empty_pipe(server, shared);
            }
        }
        if !server.settings.logging.alarms.is_empty() {
            (*view).alarm_thread = records::<UwsgiThread>(1);
        }
    }
}

/// Plugins that push figures ask pipes of signals how much waits in them (FIONREAD). Ours are queues in shared memory; an
/// empty pipe stands for all of them.
fn empty_pipe(server: &Server, shared: &mut UwsgiShared) {
    let Ok((reader, writer)) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK) else {
        return;
    };
    let pipe = [reader.into_raw_fd(), writer.into_raw_fd()];
    shared.worker_signal_pipe = pipe;
    for worker in 0..=server.shared.worker_count() {
        // SAFETY: a worker's record in shared memory; nothing was forked yet.
        unsafe { (*server.shared.worker(worker)).signal_pipe = pipe };
    }
}

fn describe(record: &mut UwsgiCache, cache: &Cache) {
    let geometry = cache.geometry();
    record.name = keep(&cache.name);
    record.keysize = geometry.key_size;
    record.blocks = geometry.blocks;
    record.blocksize = geometry.block_size;
    record.max_items = geometry.items;
    record.max_item_size = geometry.blocks * geometry.block_size;
    record.hashsize = u32::try_from(geometry.buckets).unwrap_or(u32::MAX);
    record.lock = locks::make(&format!("cache {}", cache.name), true).unwrap_or(null_mut());
}

/// Brings the figures up to date; by the master.
pub fn refresh(server: &Server, daemons: impl FnOnce() -> Vec<DaemonStats>) {
    // SAFETY: records of `install`; the master alone writes them, others read figures of about one moment.
    unsafe {
        let mut record = (*view()).caches;
        for cache in cache::caches() {
            let Some(row) = record.as_mut() else { break };
            let figures = cache.figures();
            row.n_items = figures.items;
            row.hits = figures.hits;
            row.miss = figures.misses;
            row.full = figures.full;
            row.last_modified_at = figures.modified as i64;
            record = row.next;
        }
        let mut record = (*view()).spoolers;
        let mut number = 0;
        while let (Some(row), Some(all)) = (record.as_mut(), spooler::spoolers()) {
            let slot = all.slot(number);
            row.pid = slot.pid.load(Ordering::Relaxed);
            row.tasks = slot.tasks.load(Ordering::Relaxed);
            row.respawned = slot.spawned.load(Ordering::Relaxed).saturating_sub(1);
            row.running = slot.running.load(Ordering::Relaxed);
            number += 1;
            record = row.next;
        }
        let mut record = (*view()).daemons;
        if !record.is_null() {
            for daemon in daemons() {
                let Some(row) = record.as_mut() else { break };
                row.pid = daemon.pid;
                row.respawns = daemon.respawns.into();
                row.status = i32::from(daemon.pid > 0);
                record = row.next;
            }
        }
        if let Some(shared) = (*view()).shared.as_mut() {
            shared.load = server.sockets.iter().map(|s| queue_of(s).0).max().unwrap_or(0).into();
            shared.backlog = shared.load;
        }
    }
}
