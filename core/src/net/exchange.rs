//! One question to another instance over the uwsgi protocol, and its answer: remote procedures and caches. The answer
//! is a packet and what follows it; an instance that has nothing to say closes the connection.

use super::connect::connect_to;
use super::wait;
use rsgi_protocol::uwsgi::{HEADER_LEN, PacketHeader};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// The larger is no answer to a question of ours.
const LARGEST: usize = 1 << 30;

/// The packet of an answer; what follows it waits in the connection.
#[derive(Debug)]
pub struct Answer {
    /// Its head.
    pub header: PacketHeader,
    connection: OwnedFd,
    limit: Duration,
}

/// Asks; `None`: the other closed without a word.
///
/// # Errors
/// Nobody is there, or the time is up.
pub fn ask(address: &str, question: &[&[u8]], limit: Duration) -> io::Result<Option<Answer>> {
    let connection = connect_to(address, limit, false)?;
    for part in question {
        wait::write_all(connection.as_raw_fd(), part, limit)?;
    }
    let mut head = [0; HEADER_LEN];
    wait::readable(connection.as_raw_fd(), limit)?;
    match wait::read_exact(connection.as_raw_fd(), &mut head, limit) {
        Ok(()) => Ok(Some(Answer {
            header: PacketHeader::parse(head),
            connection,
            limit,
        })),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(e) => Err(e),
    }
}

impl Answer {
    /// The next bytes of the answer.
    ///
    /// # Errors
    /// There are not so many, or the time is up.
    pub fn take(&mut self, len: usize) -> io::Result<Vec<u8>> {
        if len > LARGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = Vec::new();
        // a length that lies costs no more memory than what really comes
        while bytes.len() < len {
            let at = bytes.len();
            bytes.resize((at + 65_536).min(len), 0);
            wait::readable(self.connection.as_raw_fd(), self.limit)?;
            wait::read_exact(self.connection.as_raw_fd(), &mut bytes[at..], self.limit)?;
        }
        Ok(bytes)
    }
}
