//! `socket:ADDRESS[,PREFIX]`: each message is a datagram, to a UDP address or a Unix socket.

use crate::net::address::Address;
use rsgi_plugin_api::logger::{Logger, LoggerError};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

enum Peer {
    Inet(SocketAddr),
    Unix(PathBuf),
}

enum Socket {
    Inet(UdpSocket),
    Unix(UnixDatagram),
}

/// The logger; its socket is made when the first message comes.
pub struct Datagrams {
    peer: Peer,
    prefix: Vec<u8>,
    socket: Option<Socket>,
}

impl Logger for Datagrams {
    fn open(argument: &str) -> Result<Self, String> {
        let (address, prefix) = argument.split_once(',').unwrap_or((argument, ""));
        let peer = match Address::parse(address, false).map_err(|e| e.to_string())? {
            Address::Inet(inet) => Peer::Inet(inet),
            Address::Unix(path) => Peer::Unix(path),
            _ => return Err("give host:port or the path of a datagram socket".into()),
        };
        Ok(Self {
            peer,
            prefix: prefix.into(),
            socket: None,
        })
    }

    fn write(&mut self, message: &[u8]) -> Result<(), LoggerError> {
        let joined;
        let message = if self.prefix.is_empty() {
            message
        } else {
            joined = [self.prefix.as_slice(), message].concat();
            &joined
        };
        let sent = match &self.socket {
            Some(socket) => socket.send(message),
            None => Socket::connect(&self.peer).and_then(|socket| self.socket.insert(socket).send(message)),
        };
        use io::ErrorKind::{NotConnected, NotFound, WouldBlock};
        match sent {
            Ok(()) => Ok(()),
            // a Unix socket whose reader is behind, or is not there: its datagrams are not lost as those of UDP are
            Err(e) if matches!(e.kind(), WouldBlock) => Err(LoggerError::Again("its reader is behind".into())),
            Err(e) if matches!(self.peer, Peer::Unix(_)) && e.raw_os_error() != Some(libc::EMSGSIZE) => {
                self.socket = None;
                Err(match e.kind() {
                    NotFound | NotConnected => LoggerError::Again("there is no socket".into()),
                    _ => e.into(),
                })
            }
            // nobody listens: the next datagram may find somebody
            Err(e) if e.raw_os_error() == Some(libc::ECONNREFUSED) => Ok(()),
            Err(e) => Err(LoggerError::Refused(e.to_string())),
        }
    }
}

impl Socket {
    fn connect(peer: &Peer) -> io::Result<Self> {
        match peer {
            Peer::Inet(address) => {
                let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(any)?;
                socket.connect(address)?;
                socket.set_nonblocking(true)?;
                Ok(Self::Inet(socket))
            }
            Peer::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                socket.set_nonblocking(true)?;
                Ok(Self::Unix(socket))
            }
        }
    }

    fn send(&self, message: &[u8]) -> io::Result<()> {
        match self {
            Self::Inet(socket) => socket.send(message),
            Self::Unix(socket) => socket.send(message),
        }
        .map(drop)
    }
}
