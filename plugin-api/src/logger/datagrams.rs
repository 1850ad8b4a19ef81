//! Messages to a log server as datagrams.

use super::Connection;
use std::io;
use std::net::UdpSocket;

/// A UDP socket to a log server, made when the first message comes.
#[derive(Debug)]
pub struct Datagrams {
    address: String,
    socket: Option<UdpSocket>,
}

impl Datagrams {
    /// To `HOST:PORT`; nothing is looked up yet.
    ///
    /// # Errors
    /// It has no port; one line.
    pub fn new(address: &str) -> Result<Self, String> {
        // the same form of an address
        Connection::new(address)?;
        Ok(Self {
            address: address.to_owned(),
            socket: None,
        })
    }

    /// Where they go, as it was given.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends a message. One that nobody takes is lost, as datagrams are.
    ///
    /// # Errors
    /// There is no socket: the host has no address, for one.
    pub fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let socket = match &self.socket {
            Some(socket) => socket,
            None => {
                let socket = self.connect()?;
                self.socket.insert(socket)
            }
        };
        let _ = socket.send(message);
        Ok(())
    }

    fn connect(&self) -> io::Result<UdpSocket> {
        let any = if self.address.starts_with('[') {
            "[::]:0"
        } else {
            "0.0.0.0:0"
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(self.address.as_str())?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut datagrams = Datagrams::new(&receiver.local_addr().unwrap().to_string()).unwrap();
        for message in [b"one", b"two"] {
            datagrams.send(message).unwrap();
            let mut bytes = [0; 8];
            let n = receiver.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..n], message);
        }
        assert!(Datagrams::new("nowhere").is_err());
    }
}
