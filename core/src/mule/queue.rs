//! A queue of messages: a pair of datagram sockets, so that a message is taken whole and by one reader only.

use super::{LARGEST, SendError};
use crate::process::reload;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, setsockopt, socketpair, sockopt};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The queue.
#[derive(Debug)]
pub struct Queue {
    name: String,
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Queue {
    /// The queue of this name that the image before had, or a new one; `size`: bytes of its buffers, 0: the system's.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn open(name: &str, size: u64) -> nix::Result<Self> {
        let inherited = |end: &str| {
            let fd = reload::inherited_socket(&format!("{name} {end}"))?;
            // SAFETY: the image before left this descriptor for us.
            Some(unsafe { OwnedFd::from_raw_fd(fd) })
        };
        let (reader, writer) = match (inherited("reader"), inherited("writer")) {
            (Some(reader), Some(writer)) => (reader, writer),
            _ => socketpair(
                AddressFamily::Unix,
                SockType::Datagram,
                None,
                SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC,
            )?,
        };
        if let Some(size) = usize::try_from(size).ok().filter(|n| *n > 0) {
            // the system may give less; a message that does not fit is refused when it is sent
            let _ = setsockopt(&writer, sockopt::SndBuf, &size);
            let _ = setsockopt(&reader, sockopt::RcvBuf, &size);
        }
        Ok(Self {
            name: name.to_owned(),
            reader,
            writer,
        })
    }

    /// Both ends by name, for the next image.
    pub fn descriptors(&self) -> [(String, RawFd); 2] {
        [
            (format!("{} reader", self.name), self.reader.as_raw_fd()),
            (format!("{} writer", self.name), self.writer.as_raw_fd()),
        ]
    }

    /// The end that takes messages.
    pub fn writer(&self) -> RawFd {
        self.writer.as_raw_fd()
    }

    /// Takes a message; never waits.
    ///
    /// # Errors
    /// It does not fit, or the queue is full.
    pub fn send(&self, message: &[u8]) -> Result<(), SendError> {
        if message.len() > LARGEST {
            return Err(SendError::TooLong);
        }
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match send(self.writer.as_raw_fd(), message, flags) {
            Ok(_) => Ok(()),
            Err(nix::Error::EMSGSIZE) => Err(SendError::TooLong),
            Err(_) => Err(SendError::Full),
        }
    }

    /// The next message, cut to the buffer; `None`: there is none.
    pub fn receive(&self, buffer: &mut [u8]) -> Option<usize> {
        recv(self.reader.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT).ok()
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stay_whole_and_a_full_queue_says_so() {
        let queue = Queue::open("test", 0).unwrap();
        let mut buffer = [0; 70_000];
        assert_eq!(queue.receive(&mut buffer), None);
        queue.send(b"one").unwrap();
        queue.send(b"").unwrap();
        queue.send(&[b'x'; LARGEST]).unwrap();
        assert_eq!(queue.receive(&mut buffer[..2]), Some(2));
        assert_eq!(queue.receive(&mut buffer), Some(0));
        assert_eq!(queue.receive(&mut buffer), Some(LARGEST));
        assert_eq!(queue.send(&[0; LARGEST + 1]), Err(SendError::TooLong));
        let full = (0..100_000).find_map(|_| queue.send(b"x").err());
        assert_eq!(full, Some(SendError::Full));
    }
}
