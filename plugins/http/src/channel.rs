//! One connection with its readiness and its two byte queues; clients and backends are both built on it.
//! mio reports edges, so what is known of the socket is remembered here, and short reads and writes save system calls.

use std::io::{self, Read, Write};

use mio::event::Event;

use crate::buffer::{Buffer, Pool};
use crate::stream::Stream;

/// What a read came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Some bytes came.
    Got,
    /// None now; an event will tell.
    Nothing,
    /// The peer has closed its sending side.
    Ended,
}

/// A socket and what is known about it.
#[derive(Debug)]
pub struct Socket {
    /// The connection.
    pub stream: Stream,
    readable: bool,
    writable: bool,
    /// The peer's end was announced: a short read does not mean that nothing is left.
    half_closed: bool,
    /// The end was read.
    ended: bool,
    /// Both directions are closed, or the connection broke.
    hung_up: bool,
    /// The process at the other end: asked for, or known.
    sender: Sender,
}

/// What is known about the process at the other end of a unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    /// Nobody asked.
    Ignored,
    /// The next bytes will tell.
    Asked,
    /// Its pid.
    Known(i32),
}

impl Socket {
    /// Reads into `buffer`, up to `limit` bytes in it and `most` at a time.
    pub fn read_into(&mut self, buffer: &mut Buffer, pool: &mut Pool, limit: usize, most: u64) -> io::Result<Fill> {
        if self.ended {
            return Ok(Fill::Ended);
        }
        if !self.readable {
            return Ok(Fill::Nothing);
        }
        let space = buffer.space(pool, limit);
        let wanted = usize::try_from(most).unwrap_or(usize::MAX).min(space.len());
        if wanted == 0 {
            return Ok(Fill::Nothing);
        }
        loop {
            let read = match self.sender {
                Sender::Asked => self.stream.read_with_sender(&mut space[..wanted]).map(|(n, pid)| {
                    self.sender = Sender::Known(pid);
                    self.stream.ask_for_sender(false);
                    n
                }),
                _ => self.stream.read(&mut space[..wanted]),
            };
            match read {
                Ok(0) => {
                    self.ended = true;
                    return Ok(Fill::Ended);
                }
                Ok(n) => {
                    self.readable = n == wanted || self.half_closed || !self.stream.is_read_whole();
                    buffer.filled(n);
                    return Ok(Fill::Got);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Ok(Fill::Nothing);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Writes what the socket takes now; answers how much.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut done = 0;
        while self.writable && done < bytes.len() {
            match self.stream.write(&bytes[done..]) {
                Ok(n) => {
                    done += n;
                    self.writable = done == bytes.len();
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }
}

/// A socket with its queues.
#[derive(Debug)]
pub struct Channel {
    /// The socket.
    pub socket: Socket,
    /// What was read and not used yet.
    pub input: Buffer,
    /// What is to be written.
    pub output: Buffer,
}

impl Channel {
    /// A channel over a socket; one that is still connecting is not writable yet.
    pub fn new(stream: Stream, writable: bool) -> Self {
        let socket = Socket {
            stream,
            readable: false,
            writable,
            half_closed: false,
            ended: false,
            hung_up: false,
            sender: Sender::Ignored,
        };
        Self {
            socket,
            input: Buffer::default(),
            output: Buffer::default(),
        }
    }

    /// Finds out which process answers at the other end.
    pub fn ask_for_sender(&mut self) {
        self.socket.stream.ask_for_sender(true);
        self.socket.sender = Sender::Asked;
    }

    /// The pid of the process at the other end, once it has answered.
    pub fn sender(&self) -> Option<i32> {
        match self.socket.sender {
            Sender::Known(pid) if pid > 0 => Some(pid),
            _ => None,
        }
    }

    /// Takes note of an event.
    pub fn note(&mut self, event: &Event) {
        let socket = &mut self.socket;
        socket.readable |= event.is_readable() || event.is_read_closed();
        socket.writable |= event.is_writable();
        socket.half_closed |= event.is_read_closed();
        socket.hung_up |= event.is_error() || (event.is_read_closed() && event.is_write_closed());
        if event.is_writable() {
            socket.stream.push();
        }
    }

    /// Reads what the queue has room for.
    pub fn fill(&mut self, pool: &mut Pool, limit: usize) -> io::Result<Fill> {
        self.socket.read_into(&mut self.input, pool, limit, u64::MAX)
    }

    /// Writes what is queued, as far as the socket takes it; whether anything left.
    pub fn flush(&mut self) -> io::Result<bool> {
        if self.output.is_empty() {
            return Ok(false);
        }
        let n = self.socket.write(self.output.data())?;
        self.output.consume(n);
        Ok(n > 0)
    }

    /// Whether all that was to be written has left.
    pub fn is_flushed(&self) -> bool {
        self.output.is_empty() && !self.socket.stream.holds_bytes()
    }

    /// Sends bytes behind what is queued, at once if nothing is.
    pub fn send(&mut self, pool: &mut Pool, bytes: &[u8]) -> io::Result<()> {
        let n = if self.output.is_empty() {
            self.socket.write(bytes)?
        } else {
            0
        };
        self.output.append(pool, &bytes[n..]);
        Ok(())
    }

    /// Whether there may be something to read.
    pub fn is_readable(&self) -> bool {
        self.socket.readable && !self.socket.ended
    }

    /// Something tells that there is more to read than the last event said.
    pub fn look_again(&mut self) {
        self.socket.readable = true;
    }

    /// Whether the socket took all it was given so far.
    pub fn is_writable(&self) -> bool {
        self.socket.writable
    }

    /// Whether the peer closed its sending side, read or not.
    pub fn is_half_closed(&self) -> bool {
        self.socket.half_closed || self.socket.ended
    }

    /// Whether the connection is over in both directions.
    pub fn is_hung_up(&self) -> bool {
        self.socket.hung_up
    }

    /// Gives unused memory back.
    pub fn release(&mut self, pool: &mut Pool) {
        self.input.release(pool);
        self.output.release(pool);
    }
}
