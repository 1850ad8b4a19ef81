//! One look at the server: read by the master from shared memory, locking nothing; names and order are uWSGI's, which
//! uwsgitop and the exporters read.

use super::json::Json;
use crate::cache::Cache;
use crate::net::queue;
use crate::server::{Server, WorkerSocket};
use crate::signal::receiver::Receiver;
use rsgi_plugin_api::abi::{UwsgiApp, UwsgiWorker};
use std::sync::atomic::Ordering;

/// Locks of uWSGI that are none here, or need no name: readers of the statistics look for them.
const LOCKS: [&str; 7] = ["signal", "filemon", "timer", "rbtimer", "cron", "rpc", "snmp"];

/// A program of `--attach-daemon`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonStats {
    /// Its command.
    pub command: String,
    /// Its pid; 0: it does not run now.
    pub pid: i32,
    /// How often it was started again.
    pub respawns: u32,
}

/// A command of `--cron`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronStats {
    /// Minute, hour, day, month, weekday.
    pub when: [i32; 5],
    /// Its command.
    pub command: String,
    /// Never two at once.
    pub unique: bool,
    /// Seconds that it may run; 0: no limit.
    pub harakiri: u64,
    /// The pid of its last run that goes on; -1: none.
    pub pid: i32,
    /// Its last start, seconds since the epoch; 0: none.
    pub started_at: i64,
    /// How often it was started.
    pub starts: u64,
}

/// What the statistics are made of.
pub struct StatsSnapshot<'s> {
    /// Settings, sockets and shared memory.
    pub server: &'s Server,
    /// The attached programs; only the master knows them.
    pub daemons: Vec<DaemonStats>,
    /// Commands on schedule.
    pub crons: Vec<CronStats>,
    /// Whether requests are taken; if not, why (one word).
    pub ready: Result<(), &'static str>,
    /// Reloads so far.
    pub reloads: u64,
    /// Seconds in which no worker was idle.
    pub overloaded: u64,
}

impl StatsSnapshot<'_> {
    /// The document.
    pub fn to_json(&self) -> Vec<u8> {
        let settings = &self.server.settings.stats;
        let mut json = Json::new(settings.minified);
        json.object(|j| {
            let queue = self.server.sockets.iter().map(|s| queue_of(s).0).max().unwrap_or(0);
            j.text("version", env!("CARGO_PKG_VERSION"));
            j.number("listen_queue", queue);
            j.number("listen_queue_errors", 0);
            j.number("signal_queue", crate::signal::memory().map_or(0, |m| m.waiting()));
            j.number("load", queue);
            j.number("pid", std::process::id());
            j.number("uid", nix::unistd::getuid());
            j.number("gid", nix::unistd::getgid());
            let cwd = std::env::current_dir().unwrap_or_default();
            j.text("cwd", &cwd.to_string_lossy());
            if !self.daemons.is_empty() {
                j.list("daemons", |j| self.daemons.iter().for_each(|d| daemon(j, d)));
            }
            if !self.crons.is_empty() {
                j.list("crons", |j| self.crons.iter().for_each(|c| cron(j, c)));
            }
            j.list("locks", |j| {
                for (number, lock) in crate::locks::of_applications().enumerate() {
                    j.object(|j| j.number(&format!("user {number}"), lock.owner()));
                }
                LOCKS.iter().for_each(|name| j.object(|j| j.number(name, 0)))
            });
            let caches = crate::cache::caches();
            if !caches.is_empty() {
                j.list("caches", |j| caches.iter().for_each(|c| cache(j, c)));
            }
            if settings.metrics && !settings.no_metrics {
                j.object_member("metrics", |j| self.metrics(j));
            }
            j.list("sockets", |j| self.server.sockets.iter().for_each(|s| socket(j, s)));
            if let Some(mules) = crate::mule::mules() {
                j.list("mules", |j| (1..=mules.count()).for_each(|id| mule(j, id)));
            }
            if let Some(all) = crate::spooler::spoolers() {
                j.list("spoolers", |j| {
                    (0..all.process_count()).for_each(|n| spooler(j, all, n))
                });
            }
            j.list("workers", |j| {
                (1..=self.server.shared.worker_count()).for_each(|id| self.worker(j, id));
            });
        });
        json.finish()
    }

    /// The records of all workers as they are now, with their memory as the system knows it.
    pub(super) fn workers(&self) -> Vec<UwsgiWorker> {
        workers(self.server)
    }

    fn worker(&self, j: &mut Json, id: usize) {
        let shared = &self.server.shared;
        let w = record(self.server, id);
        j.object(|j| {
            j.number("id", w.id);
            j.number("pid", w.pid);
            j.number("accepting", w.accepting);
            j.number("requests", w.requests);
            j.number("delta_requests", w.delta_requests);
            j.number("exceptions", w.exceptions);
            j.number("harakiri_count", w.harakiri_count);
            j.number("signals", w.signals);
            let queue = crate::signal::memory().and_then(|m| m.queue(Receiver::Worker(id)));
            j.number("signal_queue", queue.map_or(0, |q| q.len()));
            j.text("status", &status(&w));
            j.number("rss", w.rss_size);
            j.number("vsz", w.vsz_size);
            j.number("running_time", w.running_time);
            j.number("last_spawn", w.last_spawn);
            j.number("respawn_count", w.respawn_count);
            j.number("tx", w.tx);
            j.number("avg_rt", w.avg_response_time);
            j.list("apps", |j| {
                for number in 0..(w.apps_cnt.max(0) as usize).min(crate::apps::MAX_APPS) {
                    // SAFETY: as above.
                    app(j, number, &unsafe { shared.app(id, number).read_volatile() });
                }
            });
            if !self.server.settings.stats.no_cores {
                j.list("cores", |j| (0..shared.core_count()).for_each(|c| self.core(j, id, c)));
            }
        });
    }

    fn core(&self, j: &mut Json, worker: usize, id: usize) {
        let shared = &self.server.shared;
        // SAFETY: as for workers.
        let c = unsafe { shared.core(worker, id).read_volatile() };
        let busy = c.in_request != 0;
        j.object(|j| {
            j.number("id", id);
            j.number("requests", c.requests);
            j.number("static_requests", c.static_requests);
            j.number("routed_requests", c.routed_requests);
            j.number("offloaded_requests", c.offloaded_requests);
            j.number("write_errors", c.write_errors);
            j.number("read_errors", c.read_errors);
            j.number("in_request", c.in_request);
            j.list("vars", |j| {
                let slot = shared.vars_slot(worker, id).filter(|_| busy);
                slot.map(|s| s.read())
                    .unwrap_or_default()
                    .iter()
                    .for_each(|pair| j.item(pair));
            });
            j.object_member("req_info", |j| {
                if busy {
                    j.number(
                        "request_start",
                        shared.core_slot(worker, id).since.load(Ordering::Relaxed),
                    );
                }
            });
        });
    }
}

/// The records of all workers as they are now, with their memory as the system knows it.
pub(super) fn workers(server: &Server) -> Vec<UwsgiWorker> {
    (1..=server.shared.worker_count())
        .map(|id| record(server, id))
        .collect()
}

fn record(server: &Server, id: usize) -> UwsgiWorker {
    // SAFETY: a copy of a record in shared memory; each figure is whole, together they are of about one moment.
    let mut w = unsafe { server.shared.worker(id).read_volatile() };
    if let Some((rss, vsz)) = u32::try_from(w.pid)
        .ok()
        .filter(|pid| *pid > 0)
        .and_then(crate::process::memory)
    {
        (w.rss_size, w.vsz_size) = (rss, vsz);
    }
    w
}

/// What a worker is doing, in uWSGI's words.
pub(super) fn status(w: &UwsgiWorker) -> String {
    match w {
        w if w.cheaped != 0 => "cheap".into(),
        w if w.suspended != 0 && w.busy <= 0 => "pause".into(),
        w if w.sig != 0 => format!("sig{}", w.signum),
        w if w.busy > 0 => "busy".into(),
        _ => "idle".into(),
    }
}

fn cache(j: &mut Json, cache: &Cache) {
    let (geometry, figures) = (cache.geometry(), cache.figures());
    j.object(|j| {
        j.text("name", &cache.name);
        j.text("hash", "xxh3");
        j.number("hashsize", geometry.buckets);
        j.number("keysize", geometry.key_size);
        j.number("max_items", geometry.items);
        j.number("blocks", geometry.blocks);
        j.number("blocksize", geometry.block_size);
        j.number("items", figures.items);
        j.number("hits", figures.hits);
        j.number("miss", figures.misses);
        j.number("full", figures.full);
        j.number("last_modified_at", figures.modified);
    });
}

fn spooler(j: &mut Json, all: &crate::spooler::Spoolers, number: usize) {
    let slot = all.slot(number);
    j.object(|j| {
        j.text("dir", &all.folder_of(number).to_string_lossy());
        j.number("pid", slot.pid.load(Ordering::Relaxed));
        j.number("tasks", slot.tasks.load(Ordering::Relaxed));
        j.number("respawns", slot.spawned.load(Ordering::Relaxed).saturating_sub(1));
        j.number("running", slot.running.load(Ordering::Relaxed));
    });
}

fn mule(j: &mut Json, id: usize) {
    let Some(slot) = crate::mule::slot(id) else { return };
    j.object(|j| {
        j.number("id", id);
        j.number("pid", slot.pid.load(Ordering::Relaxed));
        j.number("messages", slot.messages.load(Ordering::Relaxed));
        j.number("harakiri_count", slot.harakiri_count.load(Ordering::Relaxed));
        j.number("respawn_count", slot.spawned.load(Ordering::Relaxed));
    });
}

fn daemon(j: &mut Json, daemon: &DaemonStats) {
    j.object(|j| {
        j.text("cmd", &daemon.command);
        j.number("pid", daemon.pid);
        j.number("respawns", daemon.respawns);
    });
}

fn cron(j: &mut Json, cron: &CronStats) {
    j.object(|j| {
        for (name, value) in ["minute", "hour", "day", "month", "week"].into_iter().zip(cron.when) {
            j.number(name, value);
        }
        j.text("command", &cron.command);
        j.number("unique", u8::from(cron.unique));
        j.number("harakiri", cron.harakiri);
        j.number("pid", cron.pid);
        j.number("started_at", cron.started_at);
        j.number("starts", cron.starts);
    });
}

fn app(j: &mut Json, id: usize, app: &UwsgiApp) {
    let text = |field: &[std::ffi::c_char]| {
        let bytes: Vec<u8> = field.iter().take_while(|c| **c != 0).map(|c| *c as u8).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    j.object(|j| {
        j.number("id", id);
        j.number("modifier1", app.modifier1);
        j.text(
            "mountpoint",
            &text(&app.mountpoint[..usize::from(app.mountpoint_len).min(255)]),
        );
        j.number("startup_time", app.startup_time);
        j.number("requests", app.requests);
        j.number("exceptions", app.exceptions);
        j.text("chdir", &text(&app.chdir));
    });
}

fn socket(j: &mut Json, socket: &WorkerSocket) {
    let (queue, most) = queue_of(socket);
    j.object(|j| {
        j.text("name", &socket.listener.name);
        j.text("proto", socket.protocol.name());
        j.number("queue", queue);
        j.number("max_queue", most);
        j.number("shared", u8::from(socket.asked.starts_with('=')));
        j.number("can_offload", 0);
    });
}

/// Connections that wait to be accepted, and how many may.
pub fn queue_of(socket: &WorkerSocket) -> (u32, u32) {
    queue::queue_of(&socket.listener)
}

/// Publishes the queues to the records that C plugins see; by the master, about once a second.
pub fn publish_queues(server: &Server) {
    for socket in &server.sockets {
        let (queue, most) = queue_of(socket);
        // SAFETY: the master's own copy of the record, made before the first fork.
        unsafe {
            (*socket.view).queue = u64::from(queue);
            (*socket.view).max_queue = u64::from(most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_says_the_strongest_thing() {
        // SAFETY: zero is valid for integers and pointers.
        let mut w: UwsgiWorker = unsafe { std::mem::zeroed() };
        assert_eq!(status(&w), "idle");
        w.sig = 1;
        w.signum = 17;
        assert_eq!(status(&w), "sig17");
        w.sig = 0;
        w.suspended = 1;
        assert_eq!(status(&w), "pause");
        w.busy = 2;
        assert_eq!(status(&w), "busy");
        w.cheaped = 1;
        assert_eq!(status(&w), "cheap");
    }
}
