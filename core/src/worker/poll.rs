//! What the cores of a worker wait on together: one epoll with the listening sockets, the bell, and the connections
//! that are parked between requests, so that an idle client costs no thread.
//!
//! Listening sockets are watched exclusively: one worker wakes per connection. With several cores a parked
//! connection is armed once and belongs to the core that its event wakes; with one core it simply stays watched.

use super::connection::Connection;
use crate::say;
use crate::server::WorkerSocket;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

const LISTENER: u64 = 1 << 62;
const BELL: u64 = 1 << 63;
const SIGNAL: u64 = 1 << 61;
const CLIENT: u64 = 1 << 60;
const TICK: u64 = 1 << 59;
/// The queue that all workers share; else it is this worker's own.
const POOL: u64 = 1;

/// What woke a core.
pub enum Ready {
    /// A listening socket has connections.
    Listener(&'static WorkerSocket),
    /// An order came.
    Bell,
    /// uWSGI signals wait: in the queue of all workers, or in this worker's own.
    Signals {
        /// Which queue.
        of_all: bool,
    },
    /// A parked connection has bytes, or has closed; it is the caller's now.
    Connection(Box<Connection>),
    /// Something is known of a connection that the caller keeps: its place and generation, and what.
    Client(usize, u32, EpollFlags),
    /// The caller's clock has struck.
    Tick,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    connection: Option<Box<Connection>>,
}

#[derive(Default)]
struct Parking {
    slots: Vec<Slot>,
    free: Vec<usize>,
}

/// The shared epoll of a worker.
pub struct Poll {
    epoll: Epoll,
    sockets: &'static [WorkerSocket],
    parking: Mutex<Parking>,
    parked: AtomicUsize,
    one_shot: bool,
    /// Parked connections are told of new bytes once.
    edge: bool,
    /// When this worker last went to the end of the line, milliseconds of the monotonic clock.
    yielded: AtomicU64,
}

fn token(index: usize, generation: u32) -> u64 {
    (u64::from(generation & GENERATIONS) << 32) | index as u64
}

/// Generations that fit into a token.
pub const GENERATIONS: u32 = 0x07ff_ffff;

impl Poll {
    /// An epoll for a worker of `cores` cores that rings with `bell`.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn new(cores: usize, bell: BorrowedFd<'_>, sockets: &'static [WorkerSocket]) -> nix::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(bell, EpollEvent::new(EpollFlags::EPOLLIN, BELL))?;
        Ok(Self {
            epoll,
            sockets,
            parking: Mutex::default(),
            parked: AtomicUsize::new(0),
            one_shot: cores > 1,
            edge: false,
            yielded: AtomicU64::new(0),
        })
    }

    /// The same for one who leaves bytes where they are: a parked connection is ready again when there are more.
    pub fn told_once(mut self) -> Self {
        (self.one_shot, self.edge) = (false, true);
        self
    }

    /// Watches the listening sockets that `own` picks by their numbers.
    ///
    /// # Errors
    /// The system refused.
    pub fn accept(&self, own: impl Fn(usize) -> bool) -> nix::Result<()> {
        for (index, socket) in self.sockets.iter().enumerate().filter(|(index, _)| own(*index)) {
            let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLEXCLUSIVE;
            self.epoll
                .add(socket.listener.as_fd(), EpollEvent::new(flags, LISTENER | index as u64))?;
        }
        Ok(())
    }

    /// Watches the bells of the two queues of uWSGI signals; of the one that all workers share one worker wakes.
    ///
    /// # Errors
    /// The system refused.
    pub fn hear_signals(&self, own: BorrowedFd<'_>, of_all: BorrowedFd<'_>) -> nix::Result<()> {
        self.epoll.add(own, EpollEvent::new(EpollFlags::EPOLLIN, SIGNAL))?;
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLEXCLUSIVE;
        self.epoll.add(of_all, EpollEvent::new(flags, SIGNAL | POOL))
    }

    /// Watches a connection that the caller keeps, for good: each change is told once.
    ///
    /// # Errors
    /// The system refused.
    pub fn watch_client(&self, fd: BorrowedFd<'_>, index: usize, generation: u32) -> nix::Result<()> {
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        self.epoll
            .add(fd, EpollEvent::new(flags, CLIENT | token(index, generation)))
    }

    /// Watches a clock of the caller's.
    ///
    /// # Errors
    /// The system refused.
    pub fn watch_clock(&self, fd: BorrowedFd<'_>) -> nix::Result<()> {
        self.epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, TICK))
    }

    /// The descriptor that is readable when there is something to take.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }

    /// Lets other workers go first at a socket's next connection, at most once in so many milliseconds: the kernel
    /// wakes those who watch a socket exclusively in the order in which they began to.
    pub fn go_last(&self, socket: &'static WorkerSocket, pause: u64) {
        let (now, before) = (super::monotonic_ms(), self.yielded.load(Ordering::Relaxed));
        let is_ours = now.saturating_sub(before) >= pause
            && (self.yielded)
                .compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        let index = self.sockets.iter().position(|s| std::ptr::eq(s, socket));
        // one that is not watched any more stays so
        if let (true, Some(index)) = (is_ours, index)
            && self.epoll.delete(socket.listener.as_fd()).is_ok()
        {
            let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLEXCLUSIVE;
            let event = EpollEvent::new(flags, LISTENER | index as u64);
            if let Err(e) = self.epoll.add(socket.listener.as_fd(), event) {
                say!("cannot watch {}: {e}", socket.listener.name);
            }
        }
    }

    /// Takes no more connections.
    pub fn stop_accepting(&self) {
        self.sockets.iter().for_each(|socket| self.unwatch(socket));
    }

    /// Takes no more connections of one socket.
    pub fn unwatch(&self, socket: &WorkerSocket) {
        let _ = self.epoll.delete(socket.listener.as_fd());
    }

    /// The bell has been heard by all.
    pub fn unwatch_bell(&self, bell: std::os::fd::RawFd) {
        // SAFETY: the worker keeps its bell open to its end.
        let _ = self.epoll.delete(unsafe { BorrowedFd::borrow_raw(bell) });
    }

    fn parking(&self) -> MutexGuard<'_, Parking> {
        self.parking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many connections are parked.
    pub fn parked(&self) -> usize {
        self.parked.load(Ordering::Relaxed)
    }

    /// Waits and hands what is ready to `each`, at most as many events as there is room for in `events`.
    pub fn wait(&self, events: &mut [EpollEvent], timeout: EpollTimeout, mut each: impl FnMut(Ready)) {
        let count = self.epoll.wait(events, timeout).unwrap_or(0);
        for event in &events[..count] {
            let data = event.data();
            if data & BELL != 0 {
                each(Ready::Bell);
            } else if data & LISTENER != 0 {
                each(Ready::Listener(&self.sockets[(data & 0xffff_ffff) as usize]));
            } else if data & SIGNAL != 0 {
                each(Ready::Signals {
                    of_all: data & POOL != 0,
                });
            } else if data & CLIENT != 0 {
                let generation = (data >> 32) as u32 & GENERATIONS;
                each(Ready::Client((data & 0xffff_ffff) as usize, generation, event.events()));
            } else if data & TICK != 0 {
                each(Ready::Tick);
            } else if let Some(connection) = self.take(data) {
                each(Ready::Connection(connection));
            }
        }
    }

    fn take(&self, data: u64) -> Option<Box<Connection>> {
        let index = (data & 0xffff_ffff) as usize;
        let mut parking = self.parking();
        let slot = parking.slots.get_mut(index)?;
        if token(index, slot.generation) != data {
            return None;
        }
        let connection = slot.connection.take()?;
        self.parked.fetch_sub(1, Ordering::Relaxed);
        Some(connection)
    }

    /// Parks a connection until it has something to say. One that cannot be watched is dropped.
    pub fn park(&self, mut connection: Box<Connection>, now: u64) {
        connection.parked_at = now;
        let mut flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP;
        if self.one_shot {
            flags |= EpollFlags::EPOLLONESHOT;
        }
        if self.edge {
            flags |= EpollFlags::EPOLLET;
        }
        let fd = connection.fd();
        // SAFETY: the connection keeps the descriptor open while it is watched.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let mut parking = self.parking();
        let (index, fresh) = match connection.token {
            Some(index) => (index, false),
            None => {
                let index = parking.free.pop().unwrap_or_else(|| {
                    parking.slots.push(Slot::default());
                    parking.slots.len() - 1
                });
                (index, true)
            }
        };
        connection.token = Some(index);
        let slot = &mut parking.slots[index];
        slot.connection = Some(connection);
        let data = token(index, slot.generation);
        self.parked.fetch_add(1, Ordering::Relaxed);
        let watched = match (fresh, self.one_shot) {
            (true, _) => self.epoll.add(fd, EpollEvent::new(flags, data)),
            (false, true) => self.epoll.modify(fd, &mut EpollEvent::new(flags, data)),
            (false, false) => Ok(()),
        };
        if watched.is_err()
            && let Some(lost) = slot.connection.take()
        {
            self.parked.fetch_sub(1, Ordering::Relaxed);
            drop(parking);
            self.forget(lost);
        }
    }

    /// Watches a connection no more, which lives on elsewhere.
    pub fn let_go(&self, connection: &mut Connection) {
        if connection.token.is_some() {
            // SAFETY: the connection keeps the descriptor open.
            let _ = self.epoll.delete(unsafe { BorrowedFd::borrow_raw(connection.fd()) });
        }
        self.release(connection);
    }

    /// Gives the place of a connection back; it is closed when the result is dropped.
    pub fn release(&self, connection: &mut Connection) {
        if let Some(index) = connection.token.take() {
            let mut parking = self.parking();
            let slot = &mut parking.slots[index];
            slot.generation = slot.generation.wrapping_add(1);
            parking.free.push(index);
        }
    }

    /// Closes a connection.
    pub fn forget(&self, mut connection: Box<Connection>) {
        self.release(&mut connection);
    }

    /// Takes out the parked connections that `expired` picks.
    pub fn sweep(&self, expired: impl Fn(&Connection) -> bool) -> Vec<Box<Connection>> {
        let mut parking = self.parking();
        let gone: Vec<_> = parking
            .slots
            .iter_mut()
            .filter(|s| s.connection.as_ref().is_some_and(|c| expired(c)))
            .filter_map(|s| s.connection.take())
            .collect();
        self.parked.fetch_sub(gone.len(), Ordering::Relaxed);
        gone
    }
}
