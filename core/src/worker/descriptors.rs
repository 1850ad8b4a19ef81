//! A worker that has no descriptor left for a client: because of many clients, or because something in it leaves files
//! open, which only another process cures.

use crate::process;
use crate::say;
use crate::server::{self, server, worker_id};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::SFlag;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;

/// Nobody can be accepted: asks for another worker if most descriptors are no connections.
pub fn ran_out(socket: &str, error: &io::Error) {
    say!("accept() on {socket}: {error}");
    if error.raw_os_error() != Some(libc::EMFILE) {
        return;
    }
    let Ok((limit, _)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    let (id, slot) = (worker_id(), server().shared.worker_slot(worker_id()));
    if slot.wants_replacement.load(Ordering::Relaxed) == server::pid() {
        return;
    }
    let others = others(limit);
    if others * 2 > limit {
        say!(
            "worker {id} (pid: {}) has {others} descriptors open that are no connections, of {limit} (max-fd): something \
             in it does not close its files; replacing it",
            server::pid()
        );
        process::recycle(server(), id);
    }
}

/// Open descriptors that are no sockets. To list them would take a descriptor.
fn others(limit: u64) -> u64 {
    let is_other = |fd: &i32| {
        // SAFETY: only asked about, whether it is open or not.
        let status = nix::sys::stat::fstat(unsafe { BorrowedFd::borrow_raw(*fd) });
        status.is_ok_and(|s| SFlag::from_bits_truncate(s.st_mode) & SFlag::S_IFMT != SFlag::S_IFSOCK)
    };
    let end = i32::try_from(limit).unwrap_or(i32::MAX);
    (0..end).filter(is_other).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_left_out() {
        // other tests of this process open and close files meanwhile: what is far up is ours alone
        let file = std::fs::File::open("/dev/null").unwrap();
        let socket = std::os::unix::net::UnixDatagram::unbound().unwrap();
        let count = || others(1000) - others(900);
        let before = count();
        // SAFETY: numbers that nobody uses.
        unsafe {
            use std::os::fd::AsRawFd;
            libc::dup2(file.as_raw_fd(), 950);
            libc::dup2(socket.as_raw_fd(), 951);
        }
        assert_eq!(count(), before + 1);
        for fd in [950, 951] {
            // SAFETY: our own.
            unsafe { libc::close(fd) };
        }
    }
}
