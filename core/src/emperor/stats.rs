//! The emperor's statistics (`--emperor-stats`): one JSON document to whoever connects, in uWSGI's schema.

use super::Reign;
use super::vassal::Vassal;
use crate::net::address::Address;
use crate::net::listener::{BindOptions, Listener, somaxconn};
use crate::settings::Settings;
use crate::startup::StartupError;
use crate::stats::json::Json;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::socket::{MsgFlags, Shutdown, SockFlag, accept4, send, shutdown};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// More clients than this at once are turned away.
const MOST_CLIENTS: usize = 16;
/// A client that does not read is given up after this.
const PATIENCE: Duration = Duration::from_secs(5);

struct Client {
    fd: OwnedFd,
    left: Vec<u8>,
    until: Instant,
}

impl Client {
    /// Sends as much as is taken without waiting; whether more is to be done.
    fn proceed(&mut self) -> bool {
        while !self.left.is_empty() {
            match send(
                self.fd.as_raw_fd(),
                &self.left,
                MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT,
            ) {
                Ok(n) => drop(self.left.drain(..n)),
                Err(nix::Error::EINTR) => {}
                Err(nix::Error::EAGAIN) => return Instant::now() < self.until,
                Err(_) => return false,
            }
        }
        let _ = shutdown(self.fd.as_raw_fd(), Shutdown::Write);
        false
    }
}

/// The socket and who is being answered.
pub(super) struct StatsEndpoint {
    listener: Listener,
    clients: Vec<Client>,
}

impl StatsEndpoint {
    /// Binds it.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub(super) fn bind(settings: &Settings, address: &str) -> Result<Self, StartupError> {
        let fail = |e: String| StartupError::new(format!("emperor-stats: {e}"));
        let options = BindOptions {
            backlog: somaxconn().min(128),
            mode: settings.sockets.chmod_socket,
            ..BindOptions::default()
        };
        let parsed = Address::parse(address, settings.sockets.abstract_socket).map_err(|e| fail(e.to_string()))?;
        let listener = Listener::bind(&parsed, &options).map_err(|e| fail(e.to_string()))?;
        crate::say!(
            "*** Emperor stats server enabled on {} fd: {} ***",
            listener.name,
            listener.as_raw_fd()
        );
        Ok(Self {
            listener,
            clients: Vec::new(),
        })
    }

    /// Watches it.
    pub(super) fn watch(&self, registry: &Registry, token: Token) -> std::io::Result<()> {
        registry.register(&mut SourceFd(&self.listener.as_raw_fd()), token, Interest::READABLE)
    }

    /// Takes new clients and goes on with those that are there.
    pub(super) fn serve(&mut self, registry: &Registry, token: Token, document: impl Fn() -> Vec<u8>) {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        while let Ok(fd) = accept4(self.listener.as_raw_fd(), flags) {
            // SAFETY: just accepted for us.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            if self.clients.len() >= MOST_CLIENTS {
                continue;
            }
            let _ = registry.register(&mut SourceFd(&fd.as_raw_fd()), token, Interest::WRITABLE);
            self.clients.push(Client {
                fd,
                left: document(),
                until: Instant::now() + PATIENCE,
            });
        }
        self.clients.retain_mut(Client::proceed);
    }

    /// Removes the path of a unix socket.
    pub(super) fn close(&self) {
        if let Some(path) = &self.listener.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The document.
pub(super) fn document(reign: &Reign<'_>) -> Vec<u8> {
    let emperor = &reign.settings.emperor;
    let mut json = Json::new(reign.settings.stats.minified);
    json.object(|j| {
        j.text("version", env!("CARGO_PKG_VERSION"));
        j.number("pid", std::process::id());
        j.number("uid", nix::unistd::getuid());
        j.number("gid", nix::unistd::getgid());
        j.text("cwd", &std::env::current_dir().unwrap_or_default().to_string_lossy());
        j.list("emperor", |j| emperor.sources.iter().for_each(|s| j.item(s)));
        j.number("emperor_tyrant", i32::from(emperor.tyrant));
        let level = reign.vassals.iter().map(|v| v.throttle.level).max().unwrap_or_default();
        j.number("throttle_level", level.as_millis());
        j.list("vassals", |j| {
            reign
                .vassals
                .iter()
                .filter(|v| v.process.is_some() || v.demand.is_some())
                .for_each(|v| vassal(j, v, &emperor.sources));
        });
        j.list("blacklist", |j| {
            reign
                .vassals
                .iter()
                .filter(|v| v.throttle.failures > 0)
                .for_each(|v| blacklisted(j, v));
        });
    });
    json.finish()
}

fn vassal(j: &mut Json, v: &Vassal, sources: &[String]) {
    j.object(|j| {
        let running = v.process.as_ref();
        let flag = |on: Option<bool>| i32::from(on.unwrap_or(false));
        j.text("id", v.id());
        j.number("pid", running.map_or(-1, |r| r.pid));
        j.number("born", v.history.last_run);
        j.number("last_mod", v.found.modified);
        j.number("last_heartbeat", running.map_or(0, |r| r.last_heartbeat));
        j.number("loyal", flag(running.map(|r| r.loyal)));
        j.number("ready", flag(running.map(|r| r.ready || r.accepting.is_some())));
        j.number("accepting", flag(running.map(|r| r.accepting.is_some())));
        j.number("last_loyal", v.history.last_loyal);
        j.number("last_ready", v.history.last_ready);
        j.number("last_accepting", v.history.last_accepting);
        j.number("first_run", v.history.first_run);
        j.number("last_run", v.history.last_run);
        j.number("cursed", flag(running.map(|r| r.kill_at.is_some())));
        j.number("zerg", 0);
        j.text("on_demand", v.demand.as_ref().map_or("", |d| &d.address));
        j.number("uid", v.found.uid);
        j.number("gid", v.found.gid);
        j.text("monitor", sources.get(v.found.source).map_or("", String::as_str));
        j.number("respawns", v.history.respawns);
        j.number("reloads", v.history.reloads);
    });
}

fn blacklisted(j: &mut Json, v: &Vassal) {
    j.object(|j| {
        j.text("id", v.id());
        j.number("throttle_level", v.throttle.level.as_millis());
        j.number("attempt", v.throttle.failures);
        j.number("first_attempt", v.throttle.first);
        j.number("last_attempt", v.throttle.last);
    });
}
