//! Threads of a worker that send files to slow clients (`--offload-threads`), so that its cores go on to other requests.
//! A core hands over a connection whose answer lacks nothing but the rest of a file; the thread gives it back to the
//! worker's poll when the client has all of it. No thread of these touches a request or a plugin.

use super::connection::Connection;
use super::monotonic;
use super::poll::Poll;
use crate::request::outlet::FilePart;
use crate::say;
use crate::server::socket_limit;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::SigSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The token of a thread's bell.
const BELL: u64 = u64::MAX;
/// Events that a thread takes in one go.
const BATCH: usize = 64;

/// A connection whose client is owed the rest of a file.
pub struct Job {
    /// Not watched by the worker's poll.
    pub connection: Box<Connection>,
    /// What is left.
    pub rest: FilePart,
    /// Whether the connection serves more requests after that.
    pub keeps: bool,
}

/// What a thread is given.
struct Inbox {
    bell: EventFd,
    jobs: Mutex<Vec<Job>>,
}

struct Threads {
    inboxes: Vec<Inbox>,
    next: AtomicUsize,
}

static THREADS: OnceLock<Threads> = OnceLock::new();

/// Whether there are such threads in this process.
pub fn is_on() -> bool {
    THREADS.get().is_some()
}

/// Starts the threads; in a worker, once.
///
/// # Errors
/// The system refused.
pub fn start(count: u32, poll: &'static Poll) -> std::io::Result<()> {
    let made = (0..count).map(|_| {
        let bell = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        let jobs = Mutex::default();
        Ok(Inbox { bell, jobs })
    });
    let inboxes = made.collect::<nix::Result<Vec<_>>>()?;
    if inboxes.is_empty() {
        return Ok(());
    }
    let threads = THREADS.get_or_init(|| Threads {
        inboxes,
        next: AtomicUsize::new(0),
    });
    for (number, inbox) in threads.inboxes.iter().enumerate() {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(inbox.bell.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, BELL))?;
        let name = format!("offload {}", number + 1);
        std::thread::Builder::new().name(name).spawn(move || {
            // orders are for the cores
            let _ = SigSet::all().thread_block();
            run(&epoll, inbox, poll);
        })?;
    }
    Ok(())
}

/// Hands a connection over.
pub fn give(job: Job) {
    let Some(threads) = THREADS.get() else { return };
    let at = threads.next.fetch_add(1, Ordering::Relaxed) % threads.inboxes.len();
    let inbox = &threads.inboxes[at];
    inbox.jobs.lock().unwrap_or_else(PoisonError::into_inner).push(job);
    // a bell that cannot ring any more rings already
    let _ = inbox.bell.write(1);
}

/// A job under way, and the second in which the client last took something.
struct Running {
    job: Job,
    moved: u64,
}

fn run(epoll: &Epoll, inbox: &Inbox, poll: &Poll) {
    let mut running: Vec<Option<Running>> = Vec::new();
    let mut events = [EpollEvent::empty(); BATCH];
    loop {
        let is_idle = running.iter().all(Option::is_none);
        let patience = if is_idle {
            EpollTimeout::NONE
        } else {
            EpollTimeout::from(1000u16)
        };
        let count = epoll.wait(&mut events, patience).unwrap_or(0);
        for event in &events[..count] {
            let token = event.data();
            if token == BELL {
                let _ = inbox.bell.read();
                let jobs = std::mem::take(&mut *inbox.jobs.lock().unwrap_or_else(PoisonError::into_inner));
                jobs.into_iter().for_each(|job| begin(epoll, &mut running, job));
                continue;
            }
            let at = token as usize;
            let Some(mut one) = running.get_mut(at).and_then(Option::take) else {
                continue;
            };
            let before = one.job.rest.left();
            match one.job.rest.send(one.job.connection.fd()) {
                Ok(false) => {
                    if one.job.rest.left() < before {
                        one.moved = monotonic();
                    }
                    running[at] = Some(one);
                }
                Ok(true) => end(epoll, poll, one.job),
                // the client has gone, or the file has shrunk: the close tells
                Err(_) => drop(one),
            }
        }
        let (now, limit) = (monotonic(), socket_limit().as_secs());
        for place in &mut running {
            if place.as_ref().is_some_and(|one| now.saturating_sub(one.moved) > limit) {
                *place = None;
            }
        }
    }
}

fn begin(epoll: &Epoll, running: &mut Vec<Option<Running>>, job: Job) {
    let at = running.iter().position(Option::is_none).unwrap_or_else(|| {
        running.push(None);
        running.len() - 1
    });
    // SAFETY: the connection keeps the descriptor open while it is watched.
    let fd = unsafe { BorrowedFd::borrow_raw(job.connection.fd()) };
    match epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLOUT, at as u64)) {
        Ok(()) => {
            let moved = monotonic();
            running[at] = Some(Running { job, moved });
        }
        Err(e) => say!("cannot watch a connection that a file is sent to: {e}"),
    }
}

/// The client has it all.
fn end(epoll: &Epoll, poll: &Poll, job: Job) {
    // SAFETY: the connection keeps the descriptor open.
    let _ = epoll.delete(unsafe { BorrowedFd::borrow_raw(job.connection.fd()) });
    if job.keeps {
        poll.park(job.connection, monotonic());
    }
}
