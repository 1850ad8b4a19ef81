//! A client's connection: its descriptor, what was read from it and not used yet, and how long it has been quiet.

use super::plugin_protocol;
use crate::server::{SocketProtocol, WorkerSocket};
use rsgi_protocol::fastcgi::Intake;
use rsgi_protocol::http1::Head;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Room for a first read; requests seldom have more.
const FIRST_READ: usize = 16 * 1024;

/// Connections of this worker that are open: parked, being served, or between the two.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// How many connections this worker has open.
pub fn open_connections() -> usize {
    OPEN.load(Ordering::SeqCst)
}

/// Who connected.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// The address as text; empty for unix sockets.
    pub text: String,
    /// The port as text; empty for unix sockets.
    pub port: String,
}

impl Peer {
    /// From what `accept` says.
    fn new(storage: &libc::sockaddr_storage) -> Self {
        let (address, port) = match i32::from(storage.ss_family) {
            libc::AF_INET => {
                // SAFETY: the family says which struct it is.
                let inet = unsafe { &*std::ptr::from_ref(storage).cast::<libc::sockaddr_in>() };
                (
                    IpAddr::from(inet.sin_addr.s_addr.to_ne_bytes()),
                    u16::from_be(inet.sin_port),
                )
            }
            libc::AF_INET6 => {
                // SAFETY: the family says which struct it is.
                let inet = unsafe { &*std::ptr::from_ref(storage).cast::<libc::sockaddr_in6>() };
                (
                    IpAddr::from(inet.sin6_addr.s6_addr).to_canonical(),
                    u16::from_be(inet.sin6_port),
                )
            }
            _ => return Self::default(),
        };
        Self {
            text: address.to_string(),
            port: port.to_string(),
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self {
            text: address.ip().to_canonical().to_string(),
            port: address.port().to_string(),
        }
    }
}

/// An accepted connection.
pub struct Connection {
    /// On a socket whose protocol a plugin brings: what it has read. Its end comes before the descriptor's.
    pub plugin_intake: Option<Box<plugin_protocol::Intake>>,
    fd: OwnedFd,
    /// Where it came in.
    pub socket: &'static WorkerSocket,
    /// Who it is.
    pub peer: Peer,
    buf: Vec<u8>,
    start: usize,
    /// The head under way, and its memory for the next ones.
    pub head: Head,
    /// On a FastCGI socket: the records of the request under way.
    pub intake: Option<Box<Intake>>,
    /// A balancer may say first who the client is.
    pub awaits_proxy: bool,
    /// Its place among the parked connections, once it has one.
    pub token: Option<usize>,
    /// The last read left room: nothing more was there.
    pub is_drained: bool,
    /// Monotonic seconds when it was parked.
    pub parked_at: u64,
    /// Monotonic seconds when the first byte of an unfinished head came; 0: none.
    pub head_since: u64,
}

/// The link's name is in a space that every local user can reach: only our own user, and root, may speak on it.
fn is_own_gateway(fd: &OwnedFd) -> bool {
    use nix::sys::socket::{getsockopt, sockopt};
    getsockopt(fd, sockopt::PeerCredentials)
        .is_ok_and(|peer| peer.uid() == 0 || peer.uid() == nix::unistd::geteuid().as_raw())
}

/// What a read came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// There is more in the buffer now.
    Some,
    /// Nothing is there yet.
    Nothing,
    /// The client has closed its side, or the connection broke.
    Closed,
}

impl Connection {
    /// Accepts one connection; `None` when none is waiting.
    pub fn accept(socket: &'static WorkerSocket, spare: &mut Vec<Vec<u8>>) -> io::Result<Option<Box<Self>>> {
        use std::os::fd::FromRawFd;
        // SAFETY: zero is a valid address storage; its size is stated.
        let (fd, storage) = unsafe {
            let mut storage: libc::sockaddr_storage = std::mem::zeroed();
            let mut len = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            let fd = libc::accept4(
                socket.listener.as_raw_fd(),
                (&raw mut storage).cast(),
                &mut len,
                libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC,
            );
            (fd, storage)
        };
        if fd < 0 {
            let e = io::Error::last_os_error();
            return match e.raw_os_error() {
                // the client gave up meanwhile, or another worker was faster
                Some(libc::EAGAIN | libc::ECONNABORTED | libc::EINTR | libc::EPROTO) => Ok(None),
                _ => Err(e),
            };
        }
        // SAFETY: the kernel just gave us this descriptor.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        if socket.protocol == SocketProtocol::Link && !is_own_gateway(&fd) {
            crate::say!("a process of another user tried the link of the gateways; refused");
            return Ok(None);
        }
        OPEN.fetch_add(1, Ordering::SeqCst);
        let peer = Peer::new(&storage);
        let sockets = &crate::server::server().settings.sockets;
        let awaits_proxy = sockets.enable_proxy_protocol
            && socket.protocol == SocketProtocol::Http
            && sockets.trusted_proxies.lets_speak(&peer.text);
        let plugin_intake = socket.functions.map(|functions| {
            let modifiers = (socket.modifier1, socket.modifier2);
            let intake = plugin_protocol::Intake::new(functions, fd.as_raw_fd(), socket.view, modifiers);
            Box::new(intake)
        });
        Ok(Some(Box::new(Self {
            plugin_intake,
            fd,
            socket,
            peer,
            awaits_proxy,
            buf: spare.pop().unwrap_or_default(),
            start: 0,
            head: Head::new(),
            intake: socket.protocol.is_fastcgi().then(Box::default),
            token: None,
            is_drained: false,
            parked_at: 0,
            head_since: 0,
        })))
    }

    /// The descriptor.
    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Whether nothing of a request is here.
    pub fn is_idle(&self) -> bool {
        self.plugin_intake.is_none()
            && self.buffered().is_empty()
            && !self.intake.as_ref().is_some_and(|intake| intake.is_within_head())
    }

    /// What was read and not used.
    pub fn buffered(&self) -> &[u8] {
        &self.buf[self.start..]
    }

    /// Uses `n` of the buffered bytes; they stay where they are until the next read between requests.
    pub fn take_buffered(&mut self, n: usize) -> &[u8] {
        let from = self.start;
        self.start += n;
        &self.buf[from..self.start]
    }

    /// Puts bytes back in front of nothing: the request that held the buffer has ended.
    pub fn unread(&mut self, bytes: &[u8]) {
        if self.start == self.buf.len() {
            self.buf.clear();
            self.start = 0;
        }
        self.buf.extend_from_slice(bytes);
    }

    /// Reads what is there. Only between requests: it may move the buffer.
    pub fn receive(&mut self, most: usize) -> Received {
        if let Some(intake) = &mut self.plugin_intake {
            return intake.receive();
        }
        if self.start > 0 {
            if self.start == self.buf.len() {
                self.buf.clear();
            } else {
                self.buf.drain(..self.start);
            }
            self.start = 0;
        }
        let wanted = if self.buf.is_empty() {
            FIRST_READ
        } else {
            self.buf.len()
        };
        let room = wanted.min(most.saturating_sub(self.buf.len()).max(1024));
        self.buf.reserve(room);
        let room = self.buf.capacity() - self.buf.len();
        loop {
            // SAFETY: `room` bytes of spare room are there.
            let n = unsafe { libc::recv(self.fd(), self.buf.as_mut_ptr().add(self.buf.len()).cast(), room, 0) };
            if n > 0 {
                // SAFETY: the kernel wrote `n` bytes there.
                unsafe { self.buf.set_len(self.buf.len() + n as usize) };
                self.is_drained = (n as usize) < room;
                return Received::Some;
            }
            if n == 0 {
                return Received::Closed;
            }
            match io::Error::last_os_error().kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => return Received::Nothing,
                _ => return Received::Closed,
            }
        }
    }

    /// Throws away what is there, unread; some of it, if the client sends for ever.
    pub fn drain(&self) {
        let mut sink = [0u8; 16 * 1024];
        for _ in 0..16 {
            // SAFETY: the buffer is ours and as large as stated.
            let count = unsafe { libc::recv(self.fd(), sink.as_mut_ptr().cast(), sink.len(), libc::MSG_DONTWAIT) };
            if count <= 0 {
                return;
            }
        }
    }

    /// Gives the buffer's memory away when nothing is in it: an idle connection holds none.
    pub fn release_buffer(&mut self, spare: &mut Vec<Vec<u8>>) {
        if self.buffered().is_empty() && self.buf.capacity() > 0 {
            let mut buffer = std::mem::take(&mut self.buf);
            self.start = 0;
            if spare.len() < 4 && buffer.capacity() <= 4 * FIRST_READ {
                buffer.clear();
                spare.push(buffer);
            }
        }
    }

    /// Takes a warm buffer before a read, if it has none.
    pub fn borrow_buffer(&mut self, spare: &mut Vec<Vec<u8>>) {
        if self.buf.capacity() == 0
            && let Some(buffer) = spare.pop()
        {
            self.buf = buffer;
            self.start = 0;
        }
    }

    /// Ends the connection so that the client can still read the answer although we did not read all it sent:
    /// closes our side, then takes what comes for a moment (RFC 9112 9.6).
    pub fn linger(self: Box<Self>) {
        // SAFETY: the descriptor is open.
        unsafe { libc::shutdown(self.fd(), libc::SHUT_WR) };
        let mut sink = [0u8; 16 * 1024];
        // bounded twice: a client that goes on sending, or sends nothing, holds a core for half a second at most
        let end = Instant::now() + Duration::from_millis(500);
        while Instant::now() < end {
            if crate::net::wait::readable(self.fd(), Duration::from_millis(100)).is_err() {
                return;
            }
            // SAFETY: the buffer is ours and as large as stated.
            if unsafe { libc::read(self.fd(), sink.as_mut_ptr().cast(), sink.len()) } <= 0 {
                return;
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::SeqCst);
    }
}
