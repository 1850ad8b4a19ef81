//! How the processes of a directory learn of new tasks: they share one inotify descriptor, of which each event wakes
//! one of them and is read by one of them, and a bell with which one asks others to look at the whole directory. Made
//! by the master before it forks.

use super::file::PREFIX;
use super::queue;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

/// What belongs to a directory, in all its processes.
#[derive(Debug)]
pub struct Watch {
    events: Option<Inotify>,
    /// Look at the whole directory.
    bell: EventFd,
    /// Ask again how long to wait.
    nudge: EventFd,
    ordered: bool,
}

/// What a process was woken by.
#[derive(Debug, PartialEq, Eq)]
pub enum Woken {
    /// The time is over.
    Clock,
    /// A task has appeared.
    Task(String),
    /// There is something new; what, only the directory knows.
    Look,
    /// An order or a uWSGI signal, or nothing that matters.
    Other,
}

const SIGNAL: u64 = 0;
const EVENT: u64 = 1;
const BELL: u64 = 2;
const NUDGE: u64 = 3;
/// The part of an inotify event before the name; names are filled up to a multiple of it.
const HEAD: usize = size_of::<libc::inotify_event>();
/// The longest event: a name of 255 bytes and its end.
const LONGEST: usize = HEAD + 256;

impl Watch {
    /// For one directory. Without inotify (its limits are per user) only the clock and the bell wake.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn new(ordered: bool) -> nix::Result<Self> {
        let events = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK);
        if let Err(e) = &events {
            crate::say!(
                "[spooler] inotify_init1(): {}; new tasks of other programs wait for spooler-frequency (raise \
                 fs.inotify.max_user_instances)",
                e.desc()
            );
        }
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_SEMAPHORE;
        Ok(Self {
            events: events.ok(),
            bell: EventFd::from_flags(flags)?,
            nudge: EventFd::from_flags(flags)?,
            ordered,
        })
    }

    /// Watches the directory, and those of urgent tasks below it; whoever looks at it calls this, since directories come
    /// and go.
    pub fn arm(&self, path: &Path, folder: BorrowedFd) {
        let Some(events) = &self.events else { return };
        // what a task does with its own file, and its end, are no news
        let wanted = AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::from_bits_retain(libc::IN_EXCL_UNLINK)
            | AddWatchFlags::IN_ONLYDIR;
        if self.ordered {
            for name in queue::urgencies(folder) {
                let _ = events.add_watch(&path.join(name), wanted);
            }
        }
        let _ = events.add_watch(path, wanted);
    }

    /// Whether the kernel tells of new tasks.
    pub fn hears(&self) -> bool {
        self.events.is_some()
    }

    /// Asks so many processes to look.
    pub fn ring(&self, count: usize) {
        if count > 0 {
            let _ = self.bell.write(count as u64);
        }
    }

    /// Rouses so many processes, which need not wait so long any more.
    pub fn nudge(&self, count: usize) {
        if count > 0 {
            let _ = self.nudge.write(count as u64);
        }
    }

    /// The descriptors that one process waits for: those of the directory, of which each wakes only one process, and its
    /// own.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn waiter<'a>(&self, own: impl IntoIterator<Item = BorrowedFd<'a>>) -> nix::Result<Waiter<'_>> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        for fd in own {
            epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, SIGNAL))?;
        }
        let shared = EpollFlags::EPOLLIN | EpollFlags::EPOLLEXCLUSIVE;
        if let Some(events) = &self.events {
            epoll.add(events.as_fd(), EpollEvent::new(shared, EVENT))?;
        }
        epoll.add(self.bell.as_fd(), EpollEvent::new(shared, BELL))?;
        epoll.add(self.nudge.as_fd(), EpollEvent::new(shared, NUDGE))?;
        Ok(Waiter {
            watch: self,
            epoll,
            more: Cell::new(false),
            size: Cell::new(LONGEST),
        })
    }
}

/// One process that waits.
#[derive(Debug)]
pub struct Waiter<'a> {
    watch: &'a Watch,
    epoll: Epoll,
    /// Where one event was, there are often more.
    more: Cell<bool>,
    /// How long the last event was.
    size: Cell<usize>,
}

impl Waiter<'_> {
    /// Waits for one thing that happens. While tasks come, orders and signals are for the caller to ask for.
    pub fn wait(&self, limit: Duration) -> Woken {
        if self.more.get()
            && let task @ (Woken::Task(_) | Woken::Look) = self.next()
        {
            return task;
        }
        self.more.set(false);
        let mut woken = [EpollEvent::empty()];
        // a bit more than asked, never a bit less: who comes too early comes again and again
        let millis = limit.as_nanos().div_ceil(1_000_000).min(u128::from(u16::MAX) * 1000);
        let limit = EpollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX)).unwrap_or(EpollTimeout::MAX);
        match self.epoll.wait(&mut woken, limit) {
            Ok(0) => Woken::Clock,
            Ok(_) if woken[0].data() == EVENT => {
                self.more.set(true);
                self.next()
            }
            Ok(_) if woken[0].data() == BELL => match self.watch.bell.read() {
                Ok(_) => Woken::Look,
                Err(_) => Woken::Other,
            },
            Ok(_) if woken[0].data() == NUDGE => {
                let _ = self.watch.nudge.read();
                Woken::Other
            }
            _ => Woken::Other,
        }
    }

    /// Reads one event, so that others get the next ones while this one is in work.
    fn next(&self) -> Woken {
        let Some(events) = &self.watch.events else {
            return Woken::Other;
        };
        let mut buffer = [0; LONGEST];
        let mut size = self.size.get();
        let length = loop {
            match nix::unistd::read(events, &mut buffer[..size]) {
                Ok(length) => break length,
                // the next one is longer
                Err(Errno::EINVAL) if size < LONGEST => size = (size + HEAD).min(LONGEST),
                Err(_) => return Woken::Other,
            }
        };
        let mut read = parse(&buffer[..length], self.watch.ordered);
        if let Some((first, _)) = read.first() {
            self.size.set(*first);
        }
        if read.is_empty() {
            return Woken::Other;
        }
        let (_, woken) = read.swap_remove(0);
        // when short names follow long ones, several have come: the others are for the others
        self.watch.ring(read.iter().filter(|(_, w)| *w != Woken::Other).count());
        woken
    }
}

/// The events of a buffer: the length of each, and what it means.
fn parse(mut bytes: &[u8], ordered: bool) -> Vec<(usize, Woken)> {
    let mut all = Vec::new();
    while let Some((head, rest)) = bytes.split_at_checked(HEAD) {
        // SAFETY: so many bytes of plain integers.
        let event = unsafe { head.as_ptr().cast::<libc::inotify_event>().read_unaligned() };
        let Some((name, rest)) = rest.split_at_checked(event.len as usize) else {
            break;
        };
        bytes = rest;
        let name = name.split(|b| *b == 0).next().unwrap_or_default();
        let name = std::str::from_utf8(name).unwrap_or_default();
        let is_folder = event.mask & libc::IN_ISDIR != 0;
        let woken = match () {
            () if event.mask & (libc::IN_Q_OVERFLOW | libc::IN_IGNORED) != 0 => Woken::Look,
            () if is_folder => match ordered && queue::is_urgency(name) {
                true => Woken::Look,
                false => Woken::Other,
            },
            () if !name.starts_with(PREFIX) => Woken::Other,
            // its place among the others matters
            () if ordered => Woken::Look,
            () => Woken::Task(name.to_owned()),
        };
        all.push((HEAD + event.len as usize, woken));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    fn name(n: usize, more: &str) -> String {
        format!("{PREFIX}{n}{more}")
    }

    #[test]
    fn each_event_is_read_by_one_process_and_none_is_kept_back() {
        let folder = tempfile::tempdir().unwrap();
        let handle = File::open(folder.path()).unwrap();
        let watch = Watch::new(false).unwrap();
        watch.arm(folder.path(), handle.as_fd());
        let (one, two) = (watch.waiter([]).unwrap(), watch.waiter([]).unwrap());
        let soon = Duration::from_millis(200);
        // a long name, then short ones: the buffer that fits the first takes several of the others
        let names = [name(0, &"x".repeat(200)), name(1, ""), name(2, ""), name(3, "")];
        for name in &names {
            std::fs::write(folder.path().join(".new"), "").unwrap();
            std::fs::rename(folder.path().join(".new"), folder.path().join(name)).unwrap();
        }
        let (mut seen, mut looks) = (Vec::new(), 0);
        for turn in 0..30 {
            match [&one, &two][turn % 2].wait(soon) {
                Woken::Task(name) => seen.push(name),
                Woken::Look => looks += 1,
                Woken::Clock => break,
                Woken::Other => {}
            }
        }
        assert!(seen.iter().all(|s| names.contains(s)) && seen.len() >= 2, "{seen:?}");
        assert_eq!(seen.len() + looks, names.len(), "{seen:?}");
        assert_eq!(one.wait(Duration::ZERO), Woken::Clock);
        watch.ring(2);
        assert_eq!((one.wait(soon), two.wait(soon)), (Woken::Look, Woken::Look));
        assert_eq!(one.wait(Duration::ZERO), Woken::Clock);
    }

    #[test]
    fn what_is_no_task_wakes_for_nothing_and_urgent_folders_are_watched() {
        let folder = tempfile::tempdir().unwrap();
        let handle = File::open(folder.path()).unwrap();
        let watch = Watch::new(true).unwrap();
        watch.arm(folder.path(), handle.as_fd());
        let waiter = watch.waiter([]).unwrap();
        let soon = Duration::from_millis(200);
        std::fs::create_dir(folder.path().join("other")).unwrap();
        assert_eq!(waiter.wait(soon), Woken::Other);
        std::fs::create_dir(folder.path().join("7")).unwrap();
        assert_eq!(waiter.wait(soon), Woken::Look);
        watch.arm(folder.path(), handle.as_fd());
        let hidden = folder.path().join("7/.new");
        std::fs::write(&hidden, "x").unwrap();
        // that it is made, and that it is whole
        assert_eq!(waiter.wait(soon), Woken::Other);
        while waiter.wait(Duration::ZERO) != Woken::Clock {}
        std::fs::rename(&hidden, folder.path().join("7").join(name(1, ""))).unwrap();
        assert_eq!(waiter.wait(soon), Woken::Look);
        assert_eq!(waiter.wait(Duration::ZERO), Woken::Clock);
    }
}
