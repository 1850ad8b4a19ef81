//! Alarms that descriptors raise (`uwsgi_add_alarm_fd()`): a thread of the master waits for them, so that neither the
//! plugin nor the master's loop has to.

use crate::say;
use std::os::fd::RawFd;
use std::sync::{Mutex, PoisonError};

/// A descriptor that raises an alarm.
#[derive(Debug, Clone)]
struct Raiser {
    fd: RawFd,
    /// Bytes that are read each time.
    size: usize,
    alarm: String,
    message: Vec<u8>,
}

static RAISERS: Mutex<Vec<Raiser>> = Mutex::new(Vec::new());

/// One more; in the start.
pub fn add(fd: RawFd, size: usize, alarm: &str, message: &[u8]) {
    RAISERS.lock().unwrap_or_else(PoisonError::into_inner).push(Raiser {
        fd,
        size: if size == 0 { 8 } else { size },
        alarm: alarm.to_owned(),
        message: message.to_vec(),
    });
}

/// Starts the thread, if there is anything to wait for; in the master, after the forks of the start.
pub fn begin() {
    let raisers = RAISERS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if raisers.is_empty() {
        return;
    }
    let thread = std::thread::Builder::new().name("alarm-fd".into());
    if let Err(e) = thread.spawn(move || wait_for(raisers)) {
        say!("no thread for the descriptors of alarms: {e}");
    }
}

fn wait_for(mut raisers: Vec<Raiser>) {
    while !raisers.is_empty() {
        let entry = |raiser: &Raiser| libc::pollfd {
            fd: raiser.fd,
            events: libc::POLLIN,
            revents: 0,
        };
        let mut entries: Vec<libc::pollfd> = raisers.iter().map(entry).collect();
        // SAFETY: so many valid entries.
        if unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, -1) } < 0 {
            continue;
        }
        let mut states = entries.iter();
        raisers.retain(|raiser| states.next().is_none_or(|entry| entry.revents == 0 || raiser.raise()));
    }
}

impl Raiser {
    /// Raises the alarm; `false`: nothing will ever come again.
    fn raise(&self) -> bool {
        let mut room = vec![0u8; self.size];
        // SAFETY: the room is so large; the descriptor is the plugin's.
        let len = unsafe { libc::read(self.fd, room.as_mut_ptr().cast(), room.len()) };
        if len <= 0 {
            return len < 0 && matches!(nix::Error::last(), nix::Error::EAGAIN | nix::Error::EINTR);
        }
        if let Err(why) = super::trigger(&self.alarm, &self.message) {
            say!("{why}");
        }
        true
    }
}
