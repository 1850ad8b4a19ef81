//! Standard error: where lines go that no logger takes, and where it leads once a pipe has taken its place.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// Bytes of a wide pipe: the most that an unprivileged process may ask for.
const WIDE: i32 = 1 << 20;
const PAGE: usize = 4096;

/// Standard error as it was before the pipe took its place; −1: it was not replaced.
static ORIGINAL: AtomicI32 = AtomicI32::new(-1);

/// Keeps standard error, before a pipe takes its place.
pub fn keep_stderr() {
    // SAFETY: a plain duplicate.
    ORIGINAL.store(unsafe { libc::fcntl(2, libc::F_DUPFD_CLOEXEC, 3) }, Ordering::Release);
}

/// Where a process writes what it has to say at once, in signal handlers too: the standard error that the reader of the
/// pipe had before, descriptor 2 in all others.
pub fn of_this_process() -> i32 {
    match super::sink::delivers() {
        true => last(),
        false => 2,
    }
}

/// Where the log of this process ends when it does not go through a pipe.
pub(super) fn last() -> i32 {
    match ORIGINAL.load(Ordering::Acquire) {
        fd if fd >= 0 => fd,
        _ => 2,
    }
}

/// Bytes of the file that the log goes to; `None`: it is no file.
pub fn size() -> Option<u64> {
    // SAFETY: descriptor 2, or our own duplicate of it, is open.
    let fd = unsafe { BorrowedFd::borrow_raw(last()) };
    let stat = nix::sys::stat::fstat(fd).ok()?;
    let is_file = stat.st_mode & libc::S_IFMT == libc::S_IFREG;
    is_file.then(|| stat.st_size.unsigned_abs())
}

/// The log goes to another file from now on. Processes that run already follow only if their lines come through the
/// pipe (`--log-master`).
///
/// # Errors
/// The system refuses.
pub fn redirect(file: BorrowedFd<'_>) -> std::io::Result<()> {
    let own = ORIGINAL.load(Ordering::Acquire);
    let places = if own >= 0 {
        vec![(own, libc::O_CLOEXEC)]
    } else {
        vec![(1, 0), (2, 0)]
    };
    for (fd, flags) in places {
        // SAFETY: all descriptors are open.
        if unsafe { libc::dup3(file.as_raw_fd(), fd, flags) } < 0 {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Before this image is replaced: standard output and error are what they were before the pipe.
pub fn give_back_stderr() {
    let fd = ORIGINAL.load(Ordering::Acquire);
    if fd >= 0 {
        for standard in [1, 2] {
            // SAFETY: both descriptors are open.
            unsafe { libc::dup2(fd, standard) };
        }
    }
}

/// In the process that reads the pipe: descriptor 2 would lead back to it.
pub(super) fn original(message: &[u8]) {
    write_all(last(), message);
}

/// Descriptor 2.
pub fn stderr(message: &[u8]) {
    write_all(2, message);
}

/// Room in the pipe for as many lines as the system lets anybody have: writers wait when it is full.
pub fn widen(pipe: &std::io::PipeWriter) {
    // SAFETY: an open pipe; one that stays small works, too.
    unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETPIPE_SZ, WIDE) };
}

/// A line that the system would not write in one piece waits until all of it has room: others would write in between.
fn wait_for_room(fd: i32, len: usize) {
    // SAFETY: fails for all that is no pipe.
    let capacity = unsafe { libc::fcntl(fd, libc::F_GETPIPE_SZ) };
    let Ok(capacity) = usize::try_from(capacity) else {
        return;
    };
    // the end of a page is not used when the next text does not fit
    let needed = (len + PAGE).min(capacity);
    for _ in 0..1000 {
        let mut used: libc::c_int = 0;
        // SAFETY: the place is ours.
        let asked = unsafe { libc::ioctl(fd, libc::FIONREAD, &mut used) };
        let used = used.unsigned_abs() as usize;
        if asked != 0 || used == 0 || used * 2 + needed <= capacity {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

pub(super) fn write_all(fd: i32, mut message: &[u8]) {
    if message.len() > libc::PIPE_BUF {
        wait_for_room(fd, message.len());
    }
    while !message.is_empty() {
        // SAFETY: pointer and length describe `message`.
        let n = unsafe { libc::write(fd, message.as_ptr().cast(), message.len()) };
        match n {
            n if n > 0 => message = &message[n as usize..],
            _ if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted => {}
            // nowhere to say that the log is gone
            _ => return,
        }
    }
}
