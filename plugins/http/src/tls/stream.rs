//! One client's connection over TLS: plain bytes on our side, records on the socket's. Never waits.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};

use super::subject;
use crate::stream::Stream;

/// What a client's certificate says, as variables want it.
#[derive(Debug)]
pub struct Certificate {
    /// Its subject as OpenSSL writes it on one line.
    pub subject: String,
    /// All of it, PEM.
    pub pem: String,
}

/// A socket with the TLS session over it.
#[derive(Debug)]
pub struct TlsStream {
    /// The socket.
    pub under: Stream,
    /// Bytes of it that were read before the session was made.
    early: Vec<u8>,
    session: ServerConnection,
}

impl TlsStream {
    /// A session that has not begun, over a socket of which these bytes were read.
    pub fn new(under: Stream, config: Arc<ServerConfig>, early: Vec<u8>) -> io::Result<Self> {
        let session = ServerConnection::new(config).map_err(io::Error::other)?;
        Ok(Self { under, early, session })
    }

    /// Whether both sides have agreed on HTTP/2.
    pub fn is_http2(&self) -> bool {
        self.session.alpn_protocol() == Some(b"h2")
    }

    /// The client's certificate, if it has shown one; it was verified.
    pub fn certificate(&self) -> Option<Certificate> {
        let der = self.session.peer_certificates()?.first()?;
        Some(Certificate {
            subject: subject::of(der).unwrap_or_default(),
            pem: subject::pem(der),
        })
    }

    /// Whether records wait for the socket.
    pub fn holds_bytes(&self) -> bool {
        self.session.wants_write()
    }

    /// Writes records as far as the socket takes them.
    pub fn push(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.under) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Tells the client that nothing more comes.
    pub fn say_goodbye(&mut self) {
        self.session.send_close_notify();
        // a socket that takes no more now is closed behind it anyway
        let _ = self.push();
    }
}

impl Read for TlsStream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(out) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                // an end without a goodbye: what was cut off is seen by the length of the message
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                outcome => return outcome,
            }
            if self.early.is_empty() {
                self.session.read_tls(&mut self.under)?;
            } else {
                let n = self.session.read_tls(&mut &self.early[..])?;
                self.early.drain(..n);
            }
            let processed = self.session.process_new_packets();
            // the next flight of the handshake, or the alert that says what was wrong
            let pushed = self.push();
            processed.map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
            match pushed {
                Err(e) if e.kind() != io::ErrorKind::WouldBlock => return Err(e),
                _ => {}
            }
        }
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // what was encrypted earlier goes first, so that never more than one write waits here
        self.push()?;
        let n = self.session.writer().write(bytes)?;
        match self.push() {
            Err(e) if e.kind() != io::ErrorKind::WouldBlock => Err(e),
            _ => Ok(n),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.push()
    }
}
