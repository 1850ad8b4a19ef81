//! What a loop engine waits on in place of a listening socket: an epoll of the socket and of the connections that have
//! no request to make: new ones, those in the middle of a head, those kept for a further request. An engine gets
//! connections whose head is there, unread: engines wait for bytes first, and none waits for a slow client while others do.

use super::connection::Connection;
use super::descriptors;
use super::poll::{Poll, Ready};
use crate::server::{Server, SocketProtocol, WorkerSocket};
use crate::unix_signal::{self, Order};
use nix::sys::epoll::{EpollEvent, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use rsgi_protocol::uwsgi::{HEADER_LEN, PacketHeader};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Events that are looked at for one connection.
const LOOKS: usize = 32;
/// How long an engine rests when there is no descriptor for a client.
const REST: Duration = Duration::from_millis(10);

static DOORS: OnceLock<Vec<Door>> = OnceLock::new();

/// The way into a worker through one socket.
pub struct Door {
    socket: &'static WorkerSocket,
    poll: Poll,
    /// Strikes once a second while connections are parked.
    clock: TimerFd,
    strikes: AtomicBool,
    /// One thread looks at a time: of a connection that another one has in hand, news would be lost.
    looking: Mutex<Vec<u8>>,
}

/// Makes the doors of a worker; what engines see as a socket's descriptor is its door from now on.
///
/// # Errors
/// No descriptor is left.
pub fn open(server: &'static Server) -> nix::Result<()> {
    let mut doors = Vec::new();
    for (index, socket) in server.sockets.iter().enumerate() {
        let clock = TimerFd::new(
            ClockId::CLOCK_MONOTONIC,
            TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC,
        )?;
        // nobody rings here: a worker's orders interrupt what its engine waits for
        let poll = Poll::new(1, clock.as_fd(), &server.sockets)?.told_once();
        poll.accept(|other| other == index)?;
        // SAFETY: the record of this socket in this process, which has one thread yet.
        unsafe { (*socket.view).fd = poll.fd().as_raw_fd() };
        doors.push(Door {
            socket,
            poll,
            clock,
            strikes: AtomicBool::new(false),
            looking: Mutex::new(vec![0; server.settings.limits.buffer_size + HEADER_LEN]),
        });
    }
    let _ = DOORS.set(doors);
    Ok(())
}

/// The door behind a descriptor: its own, or the socket's.
pub fn behind(fd: RawFd) -> Option<&'static Door> {
    let mut doors = DOORS.get()?.iter();
    doors.find(|door| door.poll.fd().as_raw_fd() == fd || door.socket.listener.as_raw_fd() == fd)
}

/// The door that a connection came through.
pub fn of(connection: &Connection) -> Option<&'static Door> {
    let mut doors = DOORS.get()?.iter();
    doors.find(|door| std::ptr::eq(door.socket, connection.socket))
}

/// What a client has to say.
enum Word {
    /// A head, or what is to be refused.
    Request,
    /// The beginning of a head.
    Part,
    Nothing,
    Gone,
}

fn listen_to(connection: &Connection, room: &mut [u8]) -> Word {
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    // SAFETY: room of ours, and an open descriptor.
    let count = unsafe { libc::recv(connection.fd(), room.as_mut_ptr().cast(), room.len(), flags) };
    match usize::try_from(count) {
        Ok(0) => Word::Gone,
        // what came before has been read already
        Ok(_) if !connection.is_idle() => Word::Request,
        Ok(count) if count == room.len() || is_whole(connection.socket.protocol, &room[..count]) => Word::Request,
        Ok(_) if has_ended(connection.fd()) => Word::Gone,
        Ok(_) => Word::Part,
        Err(_) => match nix::Error::last() {
            nix::Error::EAGAIN | nix::Error::EINTR => Word::Nothing,
            _ => Word::Gone,
        },
    }
}

/// Whether a head is there from its beginning to its end, or is to be refused.
fn is_whole(protocol: SocketProtocol, bytes: &[u8]) -> bool {
    match protocol {
        SocketProtocol::Http => {
            bytes.windows(2).any(|two| two == b"\n\n") || bytes.windows(3).any(|end| end == b"\n\r\n")
        }
        SocketProtocol::Uwsgi | SocketProtocol::Puwsgi | SocketProtocol::Link => {
            let first = bytes.first_chunk::<HEADER_LEN>();
            first.is_some_and(|first| bytes.len() >= HEADER_LEN + usize::from(PacketHeader::parse(*first).size))
        }
        // their records are read as they come
        _ => true,
    }
}

/// Whether the client has closed its side.
fn has_ended(fd: RawFd) -> bool {
    let mut poll = libc::pollfd {
        fd,
        events: libc::POLLRDHUP,
        revents: 0,
    };
    // SAFETY: one record of ours.
    unsafe { libc::poll(&mut poll, 1, 0) > 0 }
}

impl Door {
    /// The socket.
    pub fn socket(&self) -> &'static WorkerSocket {
        self.socket
    }

    /// A connection with a request, if there is one.
    pub fn take(&self) -> Option<Box<Connection>> {
        let mut room = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let mut events = [EpollEvent::empty()];
        for _ in 0..LOOKS {
            let (mut found, mut was_any) = (None, false);
            self.poll.wait(&mut events, EpollTimeout::ZERO, |ready| {
                was_any = true;
                match ready {
                    Ready::Listener(_) => found = self.let_in(&mut room),
                    Ready::Connection(connection) => found = self.look_at(connection, &mut room),
                    _ => self.strike(),
                }
            });
            if found.is_some() || !was_any {
                return found;
            }
        }
        None
    }

    fn let_in(&self, room: &mut [u8]) -> Option<Box<Connection>> {
        match Connection::accept(self.socket, &mut Vec::new()) {
            // who speaks first there, only the plugin of the protocol knows
            Ok(Some(connection)) if connection.plugin_intake.is_some() => Some(connection),
            Ok(Some(connection)) if self.socket.protocol == SocketProtocol::Raw => Some(connection),
            Ok(Some(connection)) => self.look_at(connection, room),
            Ok(None) => None,
            Err(e) => {
                descriptors::ran_out(&self.socket.listener.name, &e);
                self.close_all();
                std::thread::sleep(REST);
                None
            }
        }
    }

    fn look_at(&self, mut connection: Box<Connection>, room: &mut [u8]) -> Option<Box<Connection>> {
        match listen_to(&connection, room) {
            Word::Request => {
                // the engine watches it now
                self.poll.let_go(&mut connection);
                return Some(connection);
            }
            Word::Gone => self.poll.forget(connection),
            Word::Nothing => self.park(connection),
            Word::Part => {
                if connection.head_since == 0 {
                    connection.head_since = super::monotonic().max(1);
                }
                self.park(connection);
            }
        }
        None
    }

    /// Keeps a connection until it has something to say.
    pub fn park(&self, connection: Box<Connection>) {
        self.poll.park(connection, super::monotonic());
        if !self.strikes.swap(true, Ordering::AcqRel) {
            let second = Expiration::Interval(TimeSpec::from_duration(Duration::from_secs(1)));
            let _ = self.clock.set(second, TimerSetTimeFlags::empty());
        }
    }

    /// A second has passed: those that said nothing for too long are closed.
    fn strike(&self) {
        let _ = self.clock.wait();
        match unix_signal::order() {
            Order::Serve => super::close_quiet(&self.poll),
            _ => self.close_all(),
        }
        if self.poll.parked() == 0 && self.strikes.swap(false, Ordering::AcqRel) {
            let _ = self.clock.unset();
        }
    }

    fn close_all(&self) {
        for connection in self.poll.sweep(|_| true) {
            self.poll.forget(connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_whole_or_not() {
        let http = |text: &str| is_whole(SocketProtocol::Http, text.as_bytes());
        assert!(http("GET / HTTP/1.1\r\n\r\n") && http("GET / HTTP/1.0\n\nbody") && http("a\n\r\n"));
        assert!(!http("GET / HTTP/1.1\r\nHost: x\r\n") && !http(""));
        let uwsgi = |bytes: &[u8]| is_whole(SocketProtocol::Uwsgi, bytes);
        assert!(uwsgi(b"\0\x02\0\0ab") && uwsgi(b"\0\0\0\0"));
        assert!(!uwsgi(b"\0\x02\0\0a") && !uwsgi(b"\0\x02"));
    }
}
