//! The pipes through which other processes, and applications that print, reach the loggers: their ends in the process
//! that delivers lines, the master. Its loop reads them; before it runs a thread does while applications are loaded, and
//! whoever writes a line of the server's own takes what waits there first, so that lines keep their order.

use super::lines::Lines;
use super::{queue, sink};
use crate::process::reload;
use crate::settings::Logging;
use crate::{alarm, server};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::cell::Cell;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;
/// Reads of one pipe before the others get their turn.
const READS: usize = 32;
/// How often pipes that another thread reads are asked for, a millisecond apart.
const TRIES: u32 = 500;

/// A pipe into which processes write their log.
struct LogPipe {
    /// Never blocks.
    reader: std::io::PipeReader,
    /// Request lines, which take a way of their own.
    requests: bool,
    lines: Lines,
    /// More waits than was taken in one turn; the system does not tell again of what it has told.
    has_more: bool,
}

struct Pipes {
    all: Vec<LogPipe>,
    buffer: Vec<u8>,
}

static PIPES: Mutex<Pipes> = Mutex::new(Pipes {
    all: Vec::new(),
    buffer: Vec::new(),
});

fn pipes() -> MutexGuard<'static, Pipes> {
    PIPES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lines of other processes.
fn hand_on(lines: &[u8], requests: bool) {
    sink::deliver(lines, requests);
    alarm::see_lines(lines);
}

impl LogPipe {
    /// The name under which it is handed to the next image.
    fn name(requests: bool) -> &'static str {
        if requests { "request log pipe" } else { "log pipe" }
    }

    /// Hands on what waits: whether there was anything, and whether there are writers left.
    fn drain(&mut self, buffer: &mut [u8]) -> (bool, bool) {
        let mut give = |lines: &[u8]| hand_on(lines, self.requests);
        self.has_more = false;
        for turn in 0..READS {
            match self.reader.read(buffer) {
                Ok(0) => {
                    self.lines.finish(&mut give);
                    return (turn > 0, false);
                }
                Ok(n) => self.lines.take(&buffer[..n], &mut give),
                Err(_) => return (turn > 0, true),
            }
        }
        self.has_more = true;
        (true, true)
    }
}

impl Pipes {
    fn drain(&mut self) -> bool {
        self.buffer.resize(CHUNK, 0);
        let mut was_any = false;
        // those of this image never end: the master itself could write into them
        self.all.retain_mut(|pipe| {
            let (brought, goes_on) = pipe.drain(&mut self.buffer);
            was_any |= brought;
            goes_on
        });
        was_any
    }
}

/// Reads this pipe from now on.
pub fn add(reader: std::io::PipeReader, requests: bool, settings: &Logging) {
    server::set_nonblocking(reader.as_raw_fd());
    pipes().all.push(LogPipe {
        reader,
        requests,
        lines: Lines::new(settings.log_master_bufsize),
        has_more: false,
    });
}

/// Reads those of the images before, too: their processes go on writing.
pub fn inherit(settings: &Logging) {
    for requests in [false, true] {
        while let Some(fd) = reload::inherited_socket(LogPipe::name(requests)) {
            // SAFETY: the image before left this descriptor for us.
            add(unsafe { OwnedFd::from_raw_fd(fd) }.into(), requests, settings);
        }
    }
}

/// The pipes by the names under which the next image gets them.
pub fn descriptors() -> Vec<(String, RawFd)> {
    let named = |pipe: &LogPipe| (LogPipe::name(pipe.requests).to_owned(), pipe.reader.as_raw_fd());
    pipes().all.iter().map(named).collect()
}

/// In a child that reads pipes of its own, or none.
pub fn leave_to_parent() {
    pipes().all.clear();
}

/// A thread reads the pipes from now on, as long as the process lives.
///
/// # Errors
/// The system has none.
pub fn read_always() -> std::io::Result<()> {
    let ends: Vec<RawFd> = descriptors().into_iter().map(|(_, fd)| fd).collect();
    let thread = std::thread::Builder::new()
        .name("log".to_owned())
        .stack_size(256 * 1024);
    thread.spawn(move || {
        // SAFETY: the pipes stay open: they end when the process does.
        let watched = |fd: &RawFd| PollFd::new(unsafe { BorrowedFd::borrow_raw(*fd) }, PollFlags::POLLIN);
        let mut entries: Vec<PollFd<'_>> = ends.iter().map(watched).collect();
        loop {
            match poll(&mut entries, PollTimeout::from(1000u16)) {
                Ok(0) => tick(),
                _ => _ = drain(),
            }
        }
    })?;
    Ok(())
}

/// Hands on what waits, whether there was anything. What another thread is handing on has left when this returns: lines
/// that the caller writes come behind it.
pub fn drain() -> bool {
    thread_local! {
        static IS_DRAINING: Cell<bool> = const { Cell::new(false) };
    }
    if queue::is_inside() || IS_DRAINING.get() {
        return false;
    }
    let Some(mut pipes) = reach() else { return false };
    IS_DRAINING.set(true);
    let was_any = pipes.drain();
    IS_DRAINING.set(false);
    was_any
}

/// The pipes, when whoever reads them is done; not in a process that an application has forked meanwhile, where nobody
/// ever will be.
fn reach() -> Option<MutexGuard<'static, Pipes>> {
    for _ in 0..TRIES {
        match PIPES.try_lock() {
            Ok(pipes) => return Some(pipes),
            Err(TryLockError::Poisoned(pipes)) => return Some(pipes.into_inner()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    None
}

/// Whether there was more than one turn takes.
pub fn has_more() -> bool {
    pipes().all.iter().any(|pipe| pipe.has_more)
}

/// Text that has waited long for its newline goes on without.
pub fn tick() {
    for pipe in &mut pipes().all {
        pipe.lines.tick(&mut |lines| hand_on(lines, pipe.requests));
    }
}

/// Runs `body` while a thread reads the pipes: whatever it prints, and however long it takes, nobody waits for the log.
pub fn read_during<T>(body: impl FnOnce() -> T) -> T {
    let ends = descriptors();
    let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
    let Some(bell) = bell.ok().filter(|_| !ends.is_empty()) else {
        return body();
    };
    /// Ends the thread, also when the body panics.
    struct Over<'a>(&'a EventFd);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            let _ = self.0.write(1);
        }
    }
    std::thread::scope(|scope| {
        let reader = std::thread::Builder::new().name("log".to_owned());
        let spawned = reader.spawn_scoped(scope, || {
            // SAFETY: the pipes stay open: they end when the image does.
            let watched = |fd: RawFd| PollFd::new(unsafe { BorrowedFd::borrow_raw(fd) }, PollFlags::POLLIN);
            let mut entries: Vec<PollFd<'_>> = ends.iter().map(|(_, fd)| watched(*fd)).collect();
            entries.push(PollFd::new(bell.as_fd(), PollFlags::POLLIN));
            let is_over = |entries: &[PollFd<'_>]| entries.last().and_then(PollFd::any) == Some(true);
            while !is_over(&entries) {
                let _ = poll(&mut entries, PollTimeout::NONE);
                drain();
            }
        });
        let _over = Over(&bell);
        if let Err(e) = spawned {
            log::debug!("no thread reads the log pipes meanwhile: {e}");
        }
        body()
    })
}
