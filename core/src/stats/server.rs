//! The sockets of `--stats` and `--health`, served from the master's loop. On a stats socket whoever says nothing gets
//! the JSON document, and who speaks HTTP gets what it asks for. The master never waits: small non-blocking reads and
//! writes, a bound on open connections, a time limit on each.

use super::StatsSnapshot;
use super::answer::{Kind, Wish};
use crate::net::address::Address;
use crate::net::listener::{BindOptions, Listener, owner, somaxconn};
use crate::process::reload;
use crate::say;
use crate::settings::Settings;
use crate::startup::StartupError;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::socket::{MsgFlags, Shutdown, SockFlag, accept4, recv, send, shutdown};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// More clients than this at once are turned away.
const MOST_CLIENTS: usize = 64;
/// A client that does not read is given up after this.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a master that is about to be replaced lets clients finish.
const LAST_ANSWERS: Duration = Duration::from_millis(100);
/// A request line longer than this is none of ours.
const MOST_ASKED: usize = 4096;

struct Socket {
    /// Option and address as asked: by it the next image finds the socket.
    name: String,
    listener: Listener,
    kind: Kind,
}

static SOCKETS: OnceLock<Vec<Socket>> = OnceLock::new();
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
    let stats = if settings.stats.http {
        Kind::StatsHttp
    } else {
        Kind::Stats
    };
    let mut bound = Vec::new();
    for asked in &settings.stats.address {
        let socket = bind_one(settings, asked, stats, "stats")?;
        say!(
            "*** Stats server enabled on {} fd: {} ***",
            socket.listener.name,
            socket.listener.as_raw_fd()
        );
        bound.push(socket);
    }
    for asked in &settings.stats.health {
        let socket = bind_one(settings, asked, Kind::Health, "health")?;
        say!(
            "health endpoint on {} (/health, /ready, /metrics)",
            socket.listener.name
        );
        bound.push(socket);
    }
    let _ = SOCKETS.set(bound);
    Ok(())
}

fn bind_one(settings: &Settings, asked: &str, kind: Kind, option: &str) -> Result<Socket, StartupError> {
    let fail = |e: String| StartupError::new(format!("{option}: {e}"));
    // the same address may serve requests elsewhere
    let name = format!("{option} {asked}");
    let listener = match reload::inherited_socket(&name) {
        Some(fd) => Listener::adopt(fd),
        None => {
            let address = Address::parse(asked, settings.sockets.abstract_socket).map_err(|e| fail(e.to_string()))?;
            let address = match kind {
                Kind::Health => address,
                _ => within_reach(settings, asked, address),
            };
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
    open().push(listener.as_raw_fd());
    Ok(Socket { name, listener, kind })
}

/// Statistics show what is being served and by whom: others see them only where the configuration says so.
fn within_reach(settings: &Settings, asked: &str, address: Address) -> Address {
    let Address::Inet(inet) = address else {
        return address;
    };
    if asked.starts_with(':') && !settings.classic {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, inet.port()));
        say!("stats: {asked} is bound to {local}: write 0.0.0.0{asked} to let other machines read the statistics");
        return Address::Inet(local);
    }
    if !inet.ip().is_loopback() {
        say!("stats: whoever reaches {inet} can read the statistics; 127.0.0.1 or a unix socket keeps them here");
    }
    address
}

fn all() -> &'static [Socket] {
    SOCKETS.get().map_or(&[], Vec::as_slice)
}

/// What the next image takes over.
pub fn sockets() -> impl Iterator<Item = (String, RawFd)> {
    all().iter().map(|s| (s.name.clone(), s.listener.as_raw_fd()))
}

/// The paths of unix sockets.
pub fn paths() -> impl Iterator<Item = PathBuf> {
    all().iter().filter_map(|s| s.listener.path.clone())
}

/// Closes everything of the statistics in a child of the master: a socket left open there would outlive it.
pub fn leave_to_parent() {
    for fd in open().drain(..) {
        // SAFETY: descriptors of the master; their owners live in memory that the child never runs code of again.
        unsafe { libc::close(fd) };
    }
}

/// How far a client has come.
enum Phase {
    /// What it asks for is not clear yet; after the moment it has asked for nothing.
    Asking { until: Option<Instant>, asked: Vec<u8> },
    /// What is still to be sent; all sent, the other side must close.
    Answered { left: Vec<u8>, at: usize },
}

struct Client {
    fd: OwnedFd,
    kind: Kind,
    until: Instant,
    phase: Phase,
}

impl Drop for Client {
    fn drop(&mut self) {
        let fd = self.fd.as_raw_fd();
        open().retain(|f| *f != fd);
    }
}

impl Client {
    fn new(fd: OwnedFd, kind: Kind) -> Self {
        open().push(fd.as_raw_fd());
        let now = Instant::now();
        Self {
            fd,
            kind,
            until: now + PATIENCE,
            phase: Phase::Asking {
                until: kind.silent().map(|_| now + kind.patience()),
                asked: Vec::new(),
            },
        }
    }

    /// Goes on as far as possible without waiting; whether more is to be done.
    fn proceed(&mut self, answer: &mut dyn FnMut(Wish) -> Vec<u8>) -> bool {
        if let Phase::Asking { until, asked } = &mut self.phase {
            let ended = receive(&self.fd, |bytes| asked.extend_from_slice(bytes));
            if !asked.is_empty() {
                *until = None;
            }
            let silent = until.is_some_and(|at| at <= Instant::now()) || ended;
            let mut wish = if asked.is_empty() { None } else { self.kind.wish(asked) };
            if asked.len() > MOST_ASKED {
                wish = wish.or(Some(Wish::Bad));
            }
            let Some(wish) = wish.or(self.kind.silent().filter(|_| silent)) else {
                return !ended;
            };
            self.phase = Phase::Answered {
                left: answer(wish),
                at: 0,
            };
        }
        let Phase::Answered { left, at } = &mut self.phase else {
            return true;
        };
        while *at < left.len() {
            match send(
                self.fd.as_raw_fd(),
                &left[*at..],
                MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT,
            ) {
                Ok(n) => *at += n,
                Err(nix::Error::EINTR) => {}
                Err(nix::Error::EAGAIN) => return true,
                Err(_) => return false,
            }
            if *at == left.len() {
                let _ = shutdown(self.fd.as_raw_fd(), Shutdown::Write);
            }
        }
        // closing over unread bytes would reset the connection and take the document from the client
        !receive(&self.fd, |_| {})
    }

    /// Whether all is sent.
    fn is_answered(&self) -> bool {
        matches!(&self.phase, Phase::Answered { left, at } if *at == left.len())
    }

    /// When something is due for it.
    fn deadline(&self) -> Instant {
        match &self.phase {
            Phase::Asking { until: Some(at), .. } => (*at).min(self.until),
            _ => self.until,
        }
    }
}

/// Takes what has arrived, a bounded part of it; whether no more will come, or it comes without end.
fn receive(fd: &OwnedFd, mut take: impl FnMut(&[u8])) -> bool {
    let mut bytes = [0u8; 4096];
    for _ in 0..16 {
        match recv(fd.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => return true,
            Ok(n) => take(&bytes[..n]),
            Err(nix::Error::EINTR) => {}
            Err(nix::Error::EAGAIN) => return false,
            Err(_) => return true,
        }
    }
    true
}

/// The server, inside the master.
#[derive(Default)]
pub struct StatsServer {
    clients: Vec<Client>,
}

impl StatsServer {
    /// Watches the sockets.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn new(registry: &Registry, token: Token) -> std::io::Result<Self> {
        for socket in all() {
            let fd = socket.listener.as_raw_fd();
            registry.register(&mut SourceFd(&fd), token, Interest::READABLE)?;
        }
        Ok(Self::default())
    }

    /// Takes new clients and goes on with those that are there; `snapshot` is made only when somebody asks.
    pub fn serve<'s>(&mut self, registry: &Registry, token: Token, snapshot: impl Fn() -> StatsSnapshot<'s>) {
        for socket in all() {
            self.accept(socket, registry, token);
        }
        let now = Instant::now();
        let mut answer = |wish: Wish| wish.answer(&snapshot());
        // a closed descriptor leaves the poll by itself, unless a child holds a copy: so it is taken out
        self.clients.retain_mut(|client| {
            let stays = now < client.until && client.proceed(&mut answer);
            if !stays {
                let _ = registry.deregister(&mut SourceFd(&client.fd.as_raw_fd()));
            }
            stays
        });
    }

    /// Answers those that have come, before this image is replaced; whoever comes now waits for the next one.
    pub fn finish<'s>(&mut self, snapshot: impl Fn() -> StatsSnapshot<'s>) {
        let end = Instant::now() + LAST_ANSWERS;
        let mut answer = |wish: Wish| wish.answer(&snapshot());
        while Instant::now() < end {
            self.clients
                .retain_mut(|client| client.proceed(&mut answer) && !client.is_answered());
            if self.clients.is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn accept(&mut self, socket: &Socket, registry: &Registry, token: Token) {
        // bounded: whoever connects without end must not keep the master
        for _ in 0..MOST_CLIENTS {
            let Ok(fd) = accept4(
                socket.listener.as_fd().as_raw_fd(),
                SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            ) else {
                break;
            };
            // SAFETY: just accepted for us.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            if self.clients.len() >= MOST_CLIENTS {
                continue;
            }
            let client = Client::new(fd, socket.kind);
            let both = Interest::READABLE | Interest::WRITABLE;
            if registry
                .register(&mut SourceFd(&client.fd.as_raw_fd()), token, both)
                .is_ok()
            {
                self.clients.push(client);
            }
        }
    }

    /// When something is due for a client.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.clients.iter().map(Client::deadline).min()
    }
}
