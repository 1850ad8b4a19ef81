//! A connection to a log server that comes back after the server has gone.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// How long one step with the server may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// A TCP connection, made when it is needed and made anew when it was lost.
#[derive(Debug)]
pub struct Connection {
    address: String,
    stream: Option<TcpStream>,
}

impl Connection {
    /// To `HOST:PORT`; nothing is connected yet.
    ///
    /// # Errors
    /// It has no port; one line.
    pub fn new(address: &str) -> Result<Self, String> {
        match address.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>())) {
            Some((host, Ok(1..))) if !host.is_empty() => Ok(Self {
                address: address.to_owned(),
                stream: None,
            }),
            _ => Err(format!("\"{address}\" is no HOST:PORT")),
        }
    }

    /// The host's name.
    pub fn host(&self) -> &str {
        let (host, _) = self.address.rsplit_once(':').unwrap_or((&self.address, ""));
        host.trim_matches(['[', ']'])
    }

    /// Does something with the connection, which is new (`true`) or was used before; when that fails it is closed.
    ///
    /// # Errors
    /// What failed: connecting, or `act`.
    pub fn with<T>(&mut self, act: impl FnOnce(&mut TcpStream, bool) -> io::Result<T>) -> io::Result<T> {
        // what is written to a server that has closed is lost without a word
        let kept = self.stream.take().filter(|stream| !is_closed(stream));
        let is_new = kept.is_none();
        let mut stream = match kept {
            Some(stream) => stream,
            None => self.connect()?,
        };
        let done = act(&mut stream, is_new)?;
        self.stream = Some(stream);
        Ok(done)
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let mut failed = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in self.address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(PATIENCE))?;
                    stream.set_write_timeout(Some(PATIENCE))?;
                    return Ok(stream);
                }
                Err(e) => failed = e,
            }
        }
        Err(failed)
    }
}

/// Whether the other side has closed.
fn is_closed(stream: &TcpStream) -> bool {
    let mut byte = 0u8;
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    // SAFETY: a place of one byte, and an open descriptor.
    let got = unsafe { libc::recv(stream.as_raw_fd(), (&raw mut byte).cast(), 1, flags) };
    got == 0 || (got < 0 && io::Error::last_os_error().kind() != io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    #[test]
    fn it_comes_back() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut connection = Connection::new(&listener.local_addr().unwrap().to_string()).unwrap();
        let write = |stream: &mut TcpStream, is_new| stream.write_all(b"x").map(|()| is_new);
        assert!(connection.with(write).unwrap());
        assert!(!connection.with(write).unwrap());
        let (mut peer, _) = listener.accept().unwrap();
        peer.read_exact(&mut [0; 2]).unwrap();
        drop(peer);
        while !is_closed(connection.stream.as_ref().unwrap()) {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(connection.with(write).unwrap());
        drop(listener);
        connection.stream = None;
        assert!(connection.with(write).is_err());
    }

    #[test]
    fn addresses_have_ports() {
        assert_eq!(Connection::new("[::1]:5").unwrap().host(), "::1");
        for wrong in ["", "host", ":5", "host:x", "host:0"] {
            assert!(Connection::new(wrong).is_err(), "{wrong}");
        }
    }
}
