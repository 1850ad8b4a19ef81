//! The vassal's side: the socket to its emperor, over which it reports and gets orders. Used by a vassal's master, by
//! the only process of a vassal without one, and by an emperor that is itself a vassal.

use super::message::{Order, Report, VARIABLE};
use crate::process::{self, Role};
use crate::say;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

/// After so long a vassal that takes requests calls itself loyal.
const PROBATION: Duration = Duration::from_secs(3);

/// The descriptor of this process's end; −1: no emperor.
static DESCRIPTOR: AtomicI32 = AtomicI32::new(-1);

/// There is an emperor above this process or its parent.
static IS_VASSAL: AtomicBool = AtomicBool::new(false);

/// Whether this process is a vassal's.
pub fn is_vassal() -> bool {
    IS_VASSAL.load(Ordering::Acquire)
}

/// Finds the descriptor and keeps it from our own children; first thing in a start, before the log is redirected.
pub fn recognise() {
    let Some(text) = std::env::var_os(VARIABLE).filter(|_| process::role() != Role::Trial) else {
        return;
    };
    let fd = text.to_str().and_then(|t| t.parse::<RawFd>().ok()).filter(|fd| *fd > 2);
    // a program that a vassal starts inherits the variable, but not the socket
    let Some(fd) = fd.filter(|fd| is_unix_socket(*fd)) else {
        say!("{VARIABLE} is {text:?}, which is no socket of an emperor: this process goes on without one");
        return;
    };
    close_on_exec(fd, true);
    DESCRIPTOR.store(fd, Ordering::Release);
    IS_VASSAL.store(true, Ordering::Release);
    say!("*** has_emperor mode detected (fd: {fd}) ***");
}

fn is_unix_socket(fd: RawFd) -> bool {
    use nix::sys::socket::{AddressFamily, SockaddrLike, SockaddrStorage, getsockname};
    let family = getsockname::<SockaddrStorage>(fd).ok().and_then(|a| a.family());
    family == Some(AddressFamily::Unix)
}

/// Lets the descriptor through an exec of this process itself.
pub fn keep_over_exec() {
    let fd = DESCRIPTOR.load(Ordering::Acquire);
    if fd >= 0 {
        close_on_exec(fd, false);
    }
}

/// Closes it in a child that has nothing to report.
pub fn leave_to_parent() {
    let fd = DESCRIPTOR.swap(-1, Ordering::AcqRel);
    if fd >= 0 {
        // SAFETY: open since `recognise`; its owner lives in memory that this child never runs code of again.
        unsafe { libc::close(fd) };
    }
}

fn close_on_exec(fd: RawFd, on: bool) {
    let flag = if on { FdFlag::FD_CLOEXEC } else { FdFlag::empty() };
    // SAFETY: open, as was looked at.
    let _ = fcntl(unsafe { BorrowedFd::borrow_raw(fd) }, FcntlArg::F_SETFD(flag));
}

/// What came from the emperor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// An order.
    Order(Order),
    /// It is gone.
    Lost,
}

/// This process's end.
pub struct EmperorLink {
    socket: UnixStream,
    accepting_since: Option<Instant>,
    is_loyal: bool,
    /// Between two signs of life; zero: none are asked for.
    heartbeat: Duration,
    last_beat: Instant,
    is_lost: bool,
}

impl EmperorLink {
    /// The link of this process, if it has an emperor; `heartbeat` in seconds.
    pub fn open(heartbeat: u64) -> Option<Self> {
        let fd = DESCRIPTOR.load(Ordering::Acquire);
        if fd < 0 {
            return None;
        }
        // SAFETY: looked at in `recognise`; asked for once in the life of an image.
        let owned = unsafe { OwnedFd::from_raw_fd(fd) };
        if let Ok(flags) = fcntl(&owned, FcntlArg::F_GETFL) {
            let flags = OFlag::from_bits_truncate(flags) | OFlag::O_NONBLOCK;
            let _ = fcntl(&owned, FcntlArg::F_SETFL(flags));
        }
        Some(Self {
            socket: owned.into(),
            accepting_since: None,
            is_loyal: false,
            heartbeat: Duration::from_secs(heartbeat),
            last_beat: Instant::now(),
            is_lost: false,
        })
    }

    /// Says something; an emperor that does not listen loses it.
    pub fn report(&mut self, report: Report) {
        let _ = self.socket.write(&[report as u8]);
    }

    /// The workers take requests.
    pub fn accepting(&mut self) {
        if self.accepting_since.is_none() {
            self.accepting_since = Some(Instant::now());
            self.report(Report::Accepting);
        }
    }

    /// About once a second: loyalty when it is time for it, and a sign of life if somebody can vouch for it.
    pub fn tick(&mut self, lives: impl FnOnce() -> bool) {
        if !self.is_loyal && self.accepting_since.is_some_and(|at| at.elapsed() >= PROBATION) {
            self.is_loyal = true;
            say!("announcing my loyalty to the Emperor...");
            self.report(Report::Loyal);
        }
        let is_due = !self.heartbeat.is_zero() && self.last_beat.elapsed() >= self.heartbeat;
        if is_due && lives() {
            self.last_beat = Instant::now();
            self.report(Report::Heartbeat);
        }
    }

    /// What came since the last time; [`News::Lost`] once.
    pub fn news(&mut self) -> Vec<News> {
        let mut news = Vec::new();
        let mut bytes = [0u8; 64];
        while !self.is_lost {
            match self.socket.read(&mut bytes) {
                Ok(0) => {
                    self.is_lost = true;
                    news.push(News::Lost);
                }
                Ok(n) => news.extend(bytes[..n].iter().filter_map(|b| Order::of(*b)).map(News::Order)),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        news
    }
}

impl AsRawFd for EmperorLink {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
