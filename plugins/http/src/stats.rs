//! What a gateway counts, and the document of `--http-stats`. The counters lie where the plugin put them: in metrics,
//! which all gateway processes share and the server shows, or in the process itself.

use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::json;

use crate::backend::Links;

/// What is counted. Each process adds to the same numbers.
#[derive(Clone, Copy, Debug)]
pub struct Counters {
    /// Connections of clients.
    pub connections: &'static AtomicI64,
    /// Requests of clients, answered by whomever.
    pub requests: &'static AtomicI64,
    /// Requests that the gateway refused.
    pub refused: &'static AtomicI64,
    /// Requests whose backend failed.
    pub failures: &'static AtomicI64,
}

impl Counters {
    /// Counters at these places, in the order of the fields.
    pub fn at([connections, requests, refused, failures]: [&'static AtomicI64; 4]) -> Self {
        Self {
            connections,
            requests,
            refused,
            failures,
        }
    }

    /// Counters of this process alone.
    pub fn own() -> Self {
        static OWN: [AtomicI64; 4] = [const { AtomicI64::new(0) }; 4];
        Self::at([&OWN[0], &OWN[1], &OWN[2], &OWN[3]])
    }
}

/// One more.
pub fn count(counter: &AtomicI64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// The document, for a process with so many sessions.
pub fn document(counters: &Counters, sessions: usize, addresses: &[String], links: &Links) -> String {
    let number = |counter: &AtomicI64| counter.load(Ordering::Relaxed);
    let now = std::time::Instant::now();
    let nodes: Vec<_> = links
        .nodes()
        .map(|(node, health)| {
            json!({
                "name": node.name,
                "hits": health.hits,
                "failures": health.failures,
                "alive": health.down_until.is_none_or(|until| until <= now),
            })
        })
        .collect();
    let folder = std::env::current_dir().unwrap_or_default();
    let document = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "uid": nix::unistd::getuid().as_raw(),
        "gid": nix::unistd::getgid().as_raw(),
        "cwd": folder.to_string_lossy(),
        "active_sessions": sessions,
        "http": addresses,
        "connections": number(counters.connections),
        "requests": number(counters.requests),
        "refused": number(counters.refused),
        "failures": number(counters.failures),
        "backend_connections": links.open_count(),
        "static_nodes": nodes,
        "subscriptions": [],
        "cheap": 0,
    });
    format!("{document:#}\n")
}
