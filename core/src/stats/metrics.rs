//! The metrics that every instance has, by the names and object identifiers of uWSGI: a part of the statistics
//! (`--enable-metrics`), and what `crate::metrics` finds by name. All of them are figures of shared memory, looked at when somebody asks.

use super::StatsSnapshot;
use super::json::Json;
use super::snapshot::{queue_of, status};
use crate::server::Server;
use crate::settings::MetricKind as Kind;
use rsgi_plugin_api::abi::UwsgiWorker;
use std::fmt::Display;

/// A metric of the server.
pub struct Row<'r> {
    /// Its name.
    pub name: &'r str,
    /// What kind of number it is.
    pub kind: Kind,
    /// Its object identifier.
    pub oid: &'r str,
    /// Its value.
    pub value: u64,
}

struct Metrics<'a>(&'a mut dyn FnMut(Row));

impl Metrics<'_> {
    fn put(&mut self, name: &str, kind: Kind, oid: &str, value: u64) {
        (self.0)(Row { name, kind, oid, value });
    }

    fn worker(&mut self, id: usize, w: &UwsgiWorker) {
        let mut put = |name: &str, kind, number: u32, value| {
            self.put(&format!("worker.{id}.{name}"), kind, &format!("3.{id}.{number}"), value);
        };
        put("requests", Kind::Counter, 1, w.requests);
        put("delta_requests", Kind::Absolute, 2, w.delta_requests);
        put("failed_requests", Kind::Counter, 13, w.failed_requests);
        put("respawns", Kind::Counter, 14, w.respawn_count);
        put("avg_response_time", Kind::Gauge, 8, w.avg_response_time);
        put("total_tx", Kind::Counter, 9, w.tx);
        put("rss_size", Kind::Gauge, 11, w.rss_size);
        put("vsz_size", Kind::Gauge, 12, w.vsz_size);
        // uWSGI gives it the 13 of the failed requests
        put("running_time", Kind::Counter, 15, w.running_time);
    }
}

/// The figures of all workers together; number 0 among them.
fn sum(workers: &[UwsgiWorker]) -> UwsgiWorker {
    // SAFETY: all fields are pointers and integers: zero is valid.
    let mut all: UwsgiWorker = unsafe { std::mem::zeroed() };
    for w in workers {
        all.requests += w.requests;
        all.delta_requests += w.delta_requests;
        all.failed_requests += w.failed_requests;
        all.respawn_count += w.respawn_count;
        all.tx += w.tx;
        all.rss_size += w.rss_size;
        all.vsz_size += w.vsz_size;
        all.running_time += w.running_time;
        all.avg_response_time += w.avg_response_time;
    }
    all.avg_response_time /= workers.iter().filter(|w| w.pid > 0).count().max(1) as u64;
    all
}

impl StatsSnapshot<'_> {
    /// Writes the members of the object `metrics`.
    pub(super) fn metrics(&self, json: &mut Json) {
        let mut put = |name: &str, kind: Kind, oid: &str, value: &dyn Display| {
            json.object_member(name, |j| {
                j.number("type", kind as i32);
                j.text("oid", oid);
                j.number("value", value);
            });
        };
        each(self.server, self.overloaded, &mut |row| {
            put(row.name, row.kind, row.oid, &row.value)
        });
        for metric in crate::metrics::all() {
            put(metric.name, metric.kind, metric.oid, &metric.value());
        }
    }
}

/// Calls `take` for each metric of the server, in uWSGI's order; `overloaded`: seconds without an idle worker, which the
/// master counts.
pub fn each(server: &Server, overloaded: u64, take: &mut dyn FnMut(Row)) {
    let workers = super::snapshot::workers(server);
    let shared = &server.shared;
    let with = |state: &str| workers.iter().filter(|w| status(w) == state).count() as u64;
    let all = sum(&workers);
    let (routed, unrouted) = crate::signal::memory().map_or((0, 0), |m| m.counts());
    let mut m = Metrics(take);
    m.put("core.routed_signals", Kind::Counter, "5.1", routed);
    m.put("core.unrouted_signals", Kind::Counter, "5.2", unrouted);
    m.put("core.busy_workers", Kind::Gauge, "5.3", with("busy"));
    m.put("core.idle_workers", Kind::Gauge, "5.4", with("idle"));
    m.put("core.overloaded", Kind::Counter, "5.5", overloaded);
    let lost = crate::signal::memory().map_or(0, |m| m.lost());
    m.put("core.lost_signals", Kind::Counter, "5.6", lost);
    m.worker(0, &all);
    for (w, id) in workers.iter().zip(1..) {
        m.worker(id, w);
        let cores = if server.settings.stats.metrics_no_cores {
            0
        } else {
            shared.core_count()
        };
        for core in 0..cores {
            // SAFETY: a copy of a record in shared memory.
            let c = unsafe { shared.core(id, core).read_volatile() };
            for (number, name, value) in [
                (1, "requests", c.requests),
                (3, "write_errors", c.write_errors),
                (4, "routed_requests", c.routed_requests),
                (5, "static_requests", c.static_requests),
                (6, "offloaded_requests", c.offloaded_requests),
                (7, "exceptions", c.exceptions),
                (8, "read_errors", c.read_errors),
            ] {
                let oid = format!("3.{id}.2.{core}.{number}");
                m.put(&format!("worker.{id}.core.{core}.{name}"), Kind::Counter, &oid, value);
            }
        }
    }
    m.put("core.total_tx", Kind::Counter, "5.100", all.tx);
    m.put("core.total_rss", Kind::Gauge, "5.101", all.rss_size);
    m.put("core.total_vsz", Kind::Gauge, "5.102", all.vsz_size);
    m.put("core.avg_response_time", Kind::Gauge, "5.103", all.avg_response_time);
    m.put("core.total_running_time", Kind::Counter, "5.104", all.running_time);
    for (number, socket) in server.sockets.iter().enumerate() {
        let (queue, _) = queue_of(socket);
        let name = format!("socket.{number}.listen_queue");
        m.put(&name, Kind::Gauge, &format!("7.{number}.1"), queue.into());
    }
    m.put("rss_size", Kind::Alias, "5.101", all.rss_size);
    m.put("vsz_size", Kind::Alias, "5.102", all.vsz_size);
}
