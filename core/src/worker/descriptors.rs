//! A worker that has no descriptor left for a client: because of many clients, or because something in it leaves files
//! open, which only another process cures.

use crate::plugin::inside::ran;
use crate::process;
use crate::say;
use crate::server::{self, server, worker_id};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::SFlag;
use std::collections::HashMap;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
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
    let count = others.len() as u64;
    if count * 2 > limit {
        let who = match ran::names().as_slice() {
            [] => "something in it".to_owned(),
            [name] => format!("plugin {name}, or what it runs,"),
            names => format!("one of the plugins {}", names.join(", ")),
        };
        let what = most(&others).map_or_else(String::new, |(path, times)| format!(", {times} of them {path}"));
        say!(
            "worker {id} (pid: {}) has {count} descriptors open that are no connections, of {limit} (max-fd){what}: {who} \
             does not close its files; replacing it",
            server::pid()
        );
        process::recycle(server(), id);
    }
}

/// Open descriptors that are no sockets. To list them would take a descriptor.
fn others(limit: u64) -> Vec<RawFd> {
    let is_other = |fd: &i32| {
        // SAFETY: only asked about, whether it is open or not.
        let status = nix::sys::stat::fstat(unsafe { BorrowedFd::borrow_raw(*fd) });
        status.is_ok_and(|s| SFlag::from_bits_truncate(s.st_mode) & SFlag::S_IFMT != SFlag::S_IFSOCK)
    };
    let end = i32::try_from(limit).unwrap_or(i32::MAX);
    (0..end).filter(is_other).collect()
}

/// What most of them are, and how many: a link is read without a descriptor.
fn most(fds: &[RawFd]) -> Option<(String, usize)> {
    let mut times = HashMap::new();
    for fd in fds {
        if let Ok(path) = std::fs::read_link(format!("/proc/self/fd/{fd}")) {
            *times.entry(path).or_insert(0) += 1;
        }
    }
    let (path, times) = times.into_iter().max_by_key(|(_, times)| *times)?;
    Some((path.display().to_string(), times))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_left_out() {
        // other tests of this process open and close files meanwhile: what is far up is ours alone
        let file = std::fs::File::open("/dev/null").unwrap();
        let socket = std::os::unix::net::UnixDatagram::unbound().unwrap();
        let count = || others(1000).iter().filter(|fd| **fd >= 900).count();
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
