//! Connected and listening sockets of either family behind one type, with TLS over them or without.
//! Used by client connections and by connections to backends alike.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, RawFd};

use crate::tls::TlsStream;
use mio::event::Source;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use nix::sys::socket::{
    AddressFamily, Backlog, SockaddrLike, SockaddrStorage, getsockname, getsockopt, listen, sockopt,
};

/// A connected socket.
#[derive(Debug)]
pub enum Stream {
    /// IPv4 or IPv6.
    Tcp(TcpStream),
    /// A path or an abstract name.
    Unix(UnixStream),
    /// TLS over one of those.
    Tls(Box<TlsStream>),
    /// None: the session is a stream of an HTTP/2 connection, which moves its bytes.
    Part,
}

impl Stream {
    fn source(&mut self) -> Option<&mut dyn Source> {
        match self {
            Self::Tcp(stream) => Some(stream),
            Self::Unix(stream) => Some(stream),
            Self::Tls(stream) => stream.under.source(),
            Self::Part => None,
        }
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Tcp(stream) => Some(stream.as_fd()),
            Self::Unix(stream) => Some(stream.as_fd()),
            Self::Tls(stream) => stream.under.fd(),
            Self::Part => None,
        }
    }

    /// The TLS session, if there is one.
    pub fn tls(&self) -> Option<&TlsStream> {
        match self {
            Self::Tls(stream) => Some(stream),
            _ => None,
        }
    }

    /// Whether a short read means that nothing more is there now.
    pub fn is_read_whole(&self) -> bool {
        !matches!(self, Self::Tls(_))
    }

    /// Whether bytes that were written still wait here for the socket.
    pub fn holds_bytes(&self) -> bool {
        self.tls().is_some_and(TlsStream::holds_bytes)
    }

    /// Gives the socket what waits here, as far as it takes it.
    pub fn push(&mut self) {
        if let Self::Tls(stream) = self {
            // a socket that is broken is found out by the next read or write
            let _ = stream.push();
        }
    }

    /// Watches it for everything, once and for all; mio reports edges.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self.source() {
            Some(source) => source.register(registry, token, Interest::READABLE | Interest::WRITABLE),
            None => Ok(()),
        }
    }

    /// Says that nothing more will be sent.
    pub fn shutdown_write(&mut self) {
        // It may be gone already, which is as good.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
            Self::Tls(stream) => {
                stream.say_goodbye();
                stream.under.shutdown_write();
                Ok(())
            }
            Self::Part => Ok(()),
        };
    }

    /// Makes the coming close a reset, so that a cut-off answer cannot pass for a whole one.
    pub fn reset_on_close(&self) {
        let linger = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        if let Some(fd) = self.fd() {
            let _ = nix::sys::socket::setsockopt(&fd, nix::sys::socket::sockopt::Linger, &linger);
        }
    }

    /// The outcome of a connect that was under way.
    pub fn connected(&self) -> io::Result<()> {
        let pending = match self {
            Self::Tcp(stream) => stream.take_error()?,
            Self::Unix(stream) => stream.take_error()?,
            Self::Tls(stream) => return stream.under.connected(),
            Self::Part => None,
        };
        pending.map_or(Ok(()), Err)
    }

    /// Asks the kernel to tell, with what comes next, which process sent it (unix sockets only).
    pub fn ask_for_sender(&self, on: bool) {
        if let Some(fd) = self.fd() {
            let _ = nix::sys::socket::setsockopt(&fd, nix::sys::socket::sockopt::PassCred, &on);
        }
    }

    /// Reads, and learns the sender's pid; 0 if the kernel does not tell.
    pub fn read_with_sender(&self, out: &mut [u8]) -> io::Result<(usize, i32)> {
        use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg};
        let mut parts = [io::IoSliceMut::new(out)];
        let mut control = nix::cmsg_space!(UnixCredentials);
        let fd = self.fd().ok_or(io::ErrorKind::WouldBlock)?.as_raw_fd();
        let message = recvmsg::<()>(fd, &mut parts, Some(&mut control), MsgFlags::empty())?;
        let pid = message.cmsgs()?.find_map(|part| match part {
            ControlMessageOwned::ScmCredentials(sender) => Some(sender.pid()),
            _ => None,
        });
        Ok((message.bytes, pid.unwrap_or(0)))
    }

    /// Whether the peer has closed or sent something, without reading it.
    pub fn is_stale(&self) -> bool {
        use nix::sys::socket::{MsgFlags, recv};
        let peek = |fd: BorrowedFd<'_>| {
            let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
            recv(fd.as_raw_fd(), &mut [0], flags)
        };
        self.fd().map(peek) != Some(Err(nix::Error::EAGAIN))
    }
}

impl Read for Stream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(out),
            Self::Unix(stream) => stream.read(out),
            Self::Tls(stream) => stream.read(out),
            Self::Part => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
            Self::Part => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Who connected, as CGI variables want it; empty for unix sockets.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// The address.
    pub address: String,
    /// The port.
    pub port: String,
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self {
            address: address.ip().to_canonical().to_string(),
            port: address.port().to_string(),
        }
    }
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
    Closed,
}

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    /// SERVER_PORT of what comes in here.
    pub port: String,
}

impl Listener {
    /// Takes over a bound, listening, non-blocking socket.
    ///
    /// # Safety
    /// The descriptor is open and nobody else closes it.
    pub unsafe fn adopt(fd: RawFd) -> io::Result<Self> {
        let address: SockaddrStorage = getsockname(fd)?;
        // SAFETY: the caller vouches for the descriptor.
        let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
        if !getsockopt(&borrowed, sockopt::AcceptConn)? {
            // A gateway before this one was stopped, and took the socket out of service.
            listen(&borrowed, Backlog::MAXALLOWABLE)?;
        }
        if address.family() == Some(AddressFamily::Unix) {
            // SAFETY: the caller hands the descriptor over.
            let socket = Socket::Unix(unsafe { UnixListener::from_raw_fd(fd) });
            return Ok(Self {
                socket,
                port: "80".into(),
            });
        }
        // SAFETY: the caller hands the descriptor over.
        let socket = unsafe { TcpListener::from_raw_fd(fd) };
        let port = socket.local_addr()?.port().to_string();
        Ok(Self {
            socket: Socket::Tcp(socket),
            port,
        })
    }

    /// Watches it.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.socket {
            Socket::Tcp(socket) => registry.register(socket, token, Interest::READABLE),
            Socket::Unix(socket) => registry.register(socket, token, Interest::READABLE),
            Socket::Closed => Ok(()),
        }
    }

    /// Closes our descriptor of the socket; the port stays known. `for_all`: nobody else will accept there either, so
    /// that clients are refused at once instead of waiting in vain.
    pub fn close(&mut self, for_all: bool) {
        if for_all {
            let fd = match &self.socket {
                Socket::Tcp(socket) => socket.as_raw_fd(),
                Socket::Unix(socket) => socket.as_raw_fd(),
                Socket::Closed => return,
            };
            let _ = nix::sys::socket::shutdown(fd, nix::sys::socket::Shutdown::Both);
        }
        self.socket = Socket::Closed;
    }

    /// Accepts one connection; `None` when nobody waits.
    pub fn accept(&self) -> io::Result<Option<(Stream, Peer)>> {
        loop {
            let accepted = match &self.socket {
                Socket::Tcp(socket) => socket.accept().map(|(stream, from)| {
                    // Answers leave in few writes already; a delayed tail of one would only cost time.
                    let _ = stream.set_nodelay(true);
                    (Stream::Tcp(stream), from.into())
                }),
                Socket::Unix(socket) => socket
                    .accept()
                    .map(|(stream, _)| (Stream::Unix(stream), Peer::default())),
                Socket::Closed => return Ok(None),
            };
            return match accepted {
                Ok(connection) => Ok(Some(connection)),
                Err(e) => match e.kind() {
                    io::ErrorKind::WouldBlock => Ok(None),
                    // The client gave up before its turn.
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => continue,
                    _ => Err(e),
                },
            };
        }
    }
}
