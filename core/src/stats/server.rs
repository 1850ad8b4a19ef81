//! The sockets of `--stats`, served from the master's loop: whoever connects gets the document, whatever was sent.
//! The master never waits: small non-blocking writes, a bound on open connections, a time limit on each.

use super::StatsSnapshot;
use crate::net::address::Address;
use crate::net::listener::{BindOptions, Listener, owner, somaxconn};
use crate::process::reload;
use crate::say;
use crate::settings::Settings;
use crate::startup::StartupError;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::socket::{MsgFlags, Shutdown, SockFlag, accept4, recv, send, shutdown};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// More clients than this at once are turned away.
const MOST_CLIENTS: usize = 64;
/// A client that does not read is given up after this.
const PATIENCE: Duration = Duration::from_secs(5);
const HTTP_HEAD: &[u8] =
    b"HTTP/1.0 200 OK\r\nConnection: close\r\nAccess-Control-Allow-Origin: *\r\nContent-Type: application/json\r\n\r\n";

/// The sockets, by the address they were asked for.
static LISTENERS: OnceLock<Vec<(String, Listener)>> = OnceLock::new();
/// Descriptors that a child of the master must close.
static OPEN: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

fn open() -> std::sync::MutexGuard<'static, Vec<RawFd>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Binds the sockets, or takes them over from the image before.
///
/// # Errors
/// An address cannot be bound.
pub fn bind(settings: &Settings) -> Result<(), StartupError> {
    let fail = |e: String| StartupError::new(format!("stats: {e}"));
    let mut bound = Vec::new();
    for asked in &settings.stats.address {
        let listener = match reload::inherited_socket(&key(asked)) {
            Some(fd) => Listener::adopt(fd),
            None => {
                let address =
                    Address::parse(asked, settings.sockets.abstract_socket).map_err(|e| fail(e.to_string()))?;
                let chown = settings.sockets.chown_socket.as_deref().map(owner).transpose();
                let options = BindOptions {
                    backlog: somaxconn().min(128),
                    reuse_port: false,
                    mode: settings.sockets.chmod_socket,
                    owner: chown.map_err(&fail)?.unwrap_or_default(),
                    ..BindOptions::default()
                };
                Listener::bind(&address, &options).map_err(|e| fail(e.to_string()))?
            }
        };
        say!(
            "*** Stats server enabled on {} fd: {} ***",
            listener.name,
            listener.as_raw_fd()
        );
        open().push(listener.as_raw_fd());
        bound.push((key(asked), listener));
    }
    let _ = LISTENERS.set(bound);
    Ok(())
}

/// The name under which a socket is handed to the next image: the same address may serve requests elsewhere.
fn key(asked: &str) -> String {
    format!("stats {asked}")
}

fn listeners() -> &'static [(String, Listener)] {
    LISTENERS.get().map_or(&[], Vec::as_slice)
}

/// What the next image takes over.
pub fn sockets() -> impl Iterator<Item = (String, RawFd)> {
    listeners().iter().map(|(name, l)| (name.clone(), l.as_raw_fd()))
}

/// The paths of unix sockets.
pub fn paths() -> impl Iterator<Item = PathBuf> {
    listeners().iter().filter_map(|(_, l)| l.path.clone())
}

/// Closes everything of the statistics in a child of the master: a socket left open there would outlive it.
pub fn leave_to_parent() {
    for fd in open().drain(..) {
        // SAFETY: descriptors of the master; their owners live in memory that the child never runs code of again.
        unsafe { libc::close(fd) };
    }
}

struct Client {
    fd: OwnedFd,
    until: Instant,
    /// What is still to be sent; emptied, the other side must close.
    left: Vec<u8>,
    at: usize,
}

impl Drop for Client {
    fn drop(&mut self) {
        let fd = self.fd.as_raw_fd();
        open().retain(|f| *f != fd);
    }
}

impl Client {
    /// Goes on as far as possible without waiting; whether more is to be done.
    fn proceed(&mut self) -> bool {
        while self.at < self.left.len() {
            match send(
                self.fd.as_raw_fd(),
                &self.left[self.at..],
                MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT,
            ) {
                Ok(n) => self.at += n,
                Err(nix::Error::EINTR) => {}
                Err(nix::Error::EAGAIN) => return true,
                Err(_) => return false,
            }
            if self.at == self.left.len() {
                let _ = shutdown(self.fd.as_raw_fd(), Shutdown::Write);
            }
        }
        // closing over unread bytes would reset the connection and take the document from the client
        let mut waste = [0u8; 4096];
        for _ in 0..16 {
            match recv(self.fd.as_raw_fd(), &mut waste, MsgFlags::MSG_DONTWAIT) {
                Ok(1..) | Err(nix::Error::EINTR) => {}
                Err(nix::Error::EAGAIN) => return true,
                Ok(0) | Err(_) => return false,
            }
        }
        // it sends without end
        false
    }
}

/// The server, inside the master.
#[derive(Default)]
pub struct StatsServer {
    clients: Vec<Client>,
    http: bool,
}

impl StatsServer {
    /// Watches the sockets.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn new(settings: &Settings, registry: &Registry, token: Token) -> std::io::Result<Self> {
        for (_, listener) in listeners() {
            registry.register(&mut SourceFd(&listener.as_raw_fd()), token, Interest::READABLE)?;
        }
        Ok(Self {
            clients: Vec::new(),
            http: settings.stats.http,
        })
    }

    /// Takes new clients and goes on with those that are there; `snapshot` is made only when somebody came.
    pub fn serve<'s>(&mut self, registry: &Registry, token: Token, snapshot: impl Fn() -> StatsSnapshot<'s>) {
        let mut document: Option<Vec<u8>> = None;
        for (_, listener) in listeners() {
            // bounded: whoever connects without end must not keep the master
            for _ in 0..MOST_CLIENTS {
                let Ok(fd) = accept4(
                    listener.as_fd().as_raw_fd(),
                    SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
                ) else {
                    break;
                };
                // SAFETY: just accepted for us.
                let fd = unsafe { OwnedFd::from_raw_fd(fd) };
                if self.clients.len() >= MOST_CLIENTS {
                    continue;
                }
                let document = document.get_or_insert_with(|| {
                    let head = if self.http { HTTP_HEAD } else { b"" };
                    [head, &snapshot().to_json()].concat()
                });
                open().push(fd.as_raw_fd());
                let client = Client {
                    fd,
                    until: Instant::now() + PATIENCE,
                    left: document.clone(),
                    at: 0,
                };
                let both = Interest::READABLE | Interest::WRITABLE;
                if registry
                    .register(&mut SourceFd(&client.fd.as_raw_fd()), token, both)
                    .is_ok()
                {
                    self.clients.push(client);
                }
            }
        }
        let now = Instant::now();
        // a closed descriptor leaves the poll by itself, unless a child holds a copy: so it is taken out
        self.clients.retain_mut(|client| {
            let stays = now < client.until && client.proceed();
            if !stays {
                let _ = registry.deregister(&mut SourceFd(&client.fd.as_raw_fd()));
            }
            stays
        });
    }

    /// When the next client is given up.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.clients.iter().map(|c| c.until).min()
    }
}
