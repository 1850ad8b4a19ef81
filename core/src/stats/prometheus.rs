//! The figures as Prometheus reads them (text format 0.0.4). Names are those of the exporter that people use with
//! uWSGI, so that dashboards go on working; what it does not have is named in its manner.

use super::snapshot::{queue_of, status};
use super::{StatsSnapshot, histogram};
use crate::cache::CacheFigures;
use rsgi_plugin_api::abi::UwsgiWorker;
use std::fmt::{Display, Write};

/// What goes into the answer's `Content-Type`.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

struct Text(String);

impl Text {
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (n, (label, text)) in labels.iter().enumerate() {
            let _ = write!(
                self.0,
                "{}{label}=\"{}\"",
                if n == 0 { '{' } else { ',' },
                escaped(text)
            );
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.metric(name, kind, help);
        self.value(name, &[], value);
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A figure of a worker: name, kind, help, value.
type Figure = (&'static str, &'static str, &'static str, fn(&UwsgiWorker) -> f64);

/// A figure of a socket's queue: name, help, value by how many wait and how many may.
type QueueFigure = (&'static str, &'static str, fn((u32, u32)) -> u32);

const FIGURES: &[Figure] = &[
    (
        "uwsgi_worker_accepting",
        "gauge",
        "Whether the worker takes requests.",
        |w| f64::from(w.accepting),
    ),
    ("uwsgi_worker_requests_total", "counter", "Requests served.", |w| {
        w.requests as f64
    }),
    (
        "uwsgi_worker_delta_requests",
        "gauge",
        "Requests served by the process that the worker has now.",
        |w| w.delta_requests as f64,
    ),
    (
        "uwsgi_worker_exceptions_total",
        "counter",
        "Exceptions of applications.",
        |w| w.exceptions as f64,
    ),
    (
        "uwsgi_worker_harakiri_count_total",
        "counter",
        "Requests that were over time.",
        |w| w.harakiri_count as f64,
    ),
    ("uwsgi_worker_signals_total", "counter", "uWSGI signals handled.", |w| {
        w.signals as f64
    }),
    ("uwsgi_worker_rss_bytes", "gauge", "Resident memory.", |w| {
        w.rss_size as f64
    }),
    ("uwsgi_worker_vsz_bytes", "gauge", "Address space.", |w| {
        w.vsz_size as f64
    }),
    (
        "uwsgi_worker_running_time_seconds",
        "gauge",
        "Time spent in requests.",
        |w| w.running_time as f64 / 1e6,
    ),
    (
        "uwsgi_worker_last_spawn_time_seconds",
        "gauge",
        "When the worker's process was started, seconds since the epoch.",
        |w| w.last_spawn as f64,
    ),
    (
        "uwsgi_worker_respawn_count_total",
        "counter",
        "Processes that the worker has had.",
        |w| w.respawn_count as f64,
    ),
    ("uwsgi_worker_transmitted_bytes_total", "counter", "Bytes sent.", |w| {
        w.tx as f64
    }),
    (
        "uwsgi_worker_average_response_time_seconds",
        "gauge",
        "Average time of a request.",
        |w| w.avg_response_time as f64 / 1e6,
    ),
    (
        "uwsgi_worker_busy",
        "gauge",
        "Requests that the worker serves right now.",
        |w| f64::from(w.busy.max(0)),
    ),
    ("uwsgi_worker_apps", "gauge", "Applications.", |w| f64::from(w.apps_cnt)),
];

/// A figure of a cache: name, kind, help, value.
type CacheFigure = (&'static str, &'static str, &'static str, fn(&CacheFigures) -> u64);

const CACHE_FIGURES: &[CacheFigure] = &[
    ("uwsgi_cache_items", "gauge", "Items in the cache.", |f| f.items),
    ("uwsgi_cache_hits", "counter", "Keys that were found.", |f| f.hits),
    ("uwsgi_cache_misses", "counter", "Keys that were not found.", |f| {
        f.misses
    }),
    (
        "uwsgi_cache_full",
        "counter",
        "Items for which there was no room.",
        |f| f.full,
    ),
];

impl StatsSnapshot<'_> {
    /// The document.
    pub fn to_prometheus(&self) -> Vec<u8> {
        let mut t = Text(String::with_capacity(8192));
        let server = self.server;
        t.single("uwsgi_up", "gauge", "The master answers.", 1);
        t.single(
            "uwsgi_ready",
            "gauge",
            "The instance takes requests.",
            u8::from(self.ready.is_ok()),
        );
        t.metric("uwsgi_info", "gauge", "Version of the server.");
        t.value("uwsgi_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        t.single(
            "uwsgi_reloads_total",
            "counter",
            "Reloads of the instance.",
            self.reloads,
        );
        let queue = server.sockets.iter().map(|s| queue_of(s).0).max().unwrap_or(0);
        t.single(
            "uwsgi_listen_queue_length",
            "gauge",
            "Connections that wait to be accepted, of the fullest socket.",
            queue,
        );
        let queues: [QueueFigure; 2] = [
            (
                "uwsgi_socket_queue_length",
                "Connections that wait to be accepted.",
                |(waiting, _)| waiting,
            ),
            (
                "uwsgi_socket_max_queue_length",
                "Connections that may wait.",
                |(_, most)| most,
            ),
        ];
        for (name, help, figure) in queues {
            t.metric(name, "gauge", help);
            for s in &server.sockets {
                let labels = [("name", s.listener.name.as_str()), ("proto", s.protocol.name())];
                t.value(name, &labels, figure(queue_of(s)));
            }
        }
        let workers = self.workers();
        t.single("uwsgi_workers", "gauge", "Workers that may run.", workers.len());
        t.metric("uwsgi_workers_status", "gauge", "Workers by what they do.");
        for state in ["idle", "busy", "cheap", "pause"] {
            let count = workers.iter().filter(|w| status(w) == state).count();
            t.value("uwsgi_workers_status", &[("status", state)], count);
        }
        self.saturation(&mut t);
        durations(&mut t);
        t.single(
            "uwsgi_log_lines_lost_total",
            "counter",
            "Log lines dropped because their logger was too slow.",
            crate::log::lost(),
        );
        for (name, kind, help, figure) in FIGURES {
            t.metric(name, kind, help);
            for w in &workers {
                t.value(name, &[("worker_id", &w.id.to_string())], figure(w));
            }
        }
        let metrics = crate::metrics::all();
        if !metrics.is_empty() {
            t.metric("uwsgi_metric", "untyped", "Metrics of the operator and of plugins.");
        }
        for metric in metrics {
            t.value("uwsgi_metric", &[("name", metric.name)], metric.value());
        }
        let caches = crate::cache::caches();
        for (name, kind, help, figure) in CACHE_FIGURES.iter().filter(|_| !caches.is_empty()) {
            t.metric(name, kind, help);
            for cache in caches {
                t.value(name, &[("cache", &cache.name)], figure(&cache.figures()));
            }
        }
        t.0.into_bytes()
    }
}

impl StatsSnapshot<'_> {
    /// How much of what there is is in use: 1 is all of it, and whoever comes then waits.
    fn saturation(&self, t: &mut Text) {
        let server = self.server;
        let running = self.workers().into_iter().filter(|w| w.pid > 0);
        let (workers, busy) = running.fold((0, 0), |(n, busy), w| (n + 1, busy + u64::from(w.busy.unsigned_abs())));
        let slots = workers * server.shared.core_count() as u64;
        t.single(
            "uwsgi_request_slots",
            "gauge",
            "Requests that can be served at once.",
            slots,
        );
        t.single(
            "uwsgi_request_slots_busy_ratio",
            "gauge",
            "Share of them in use.",
            busy as f64 / slots.max(1) as f64,
        );
        let fill = |(waiting, most): (u32, u32)| f64::from(waiting) / f64::from(most.max(1));
        let fullest = server.sockets.iter().map(|s| fill(queue_of(s))).fold(0.0, f64::max);
        t.single(
            "uwsgi_listen_queue_fill_ratio",
            "gauge",
            "How full the queue of the fullest socket is.",
            fullest,
        );
        t.single(
            "uwsgi_overloaded_seconds_total",
            "counter",
            "Seconds in which no worker was idle.",
            self.overloaded,
        );
    }
}

/// How long requests took.
fn durations(t: &mut Text) {
    const NAME: &str = "uwsgi_request_duration_seconds";
    t.metric(
        NAME,
        "histogram",
        "How long requests took, by the class of their status.",
    );
    for (class, durations) in histogram::durations().iter().enumerate() {
        let status = format!("{}xx", class + 1);
        let mut sum = 0;
        let bounds = histogram::BOUNDS.iter().map(|(_, text)| *text).chain(["+Inf"]);
        for (bound, count) in bounds.zip(durations.buckets) {
            sum += count;
            t.value(&format!("{NAME}_bucket"), &[("status", &status), ("le", bound)], sum);
        }
        let seconds = durations.micros as f64 / 1e6;
        t.value(&format!("{NAME}_sum"), &[("status", &status)], seconds);
        t.value(&format!("{NAME}_count"), &[("status", &status)], sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut t = Text(String::new());
        t.metric("m", "gauge", "Help.");
        t.value("m", &[("name", "a\"b\\c\nd"), ("proto", "http")], 2);
        t.value("m", &[], 1.5);
        assert_eq!(
            t.0,
            "# HELP m Help.\n# TYPE m gauge\nm{name=\"a\\\"b\\\\c\\nd\",proto=\"http\"} 2\nm 1.5\n"
        );
    }
}
