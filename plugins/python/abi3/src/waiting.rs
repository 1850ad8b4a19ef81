//! Waiting for descriptors in whatever serves the request: a greenlet lets others run, a thread waits without the GIL.
//! `uwsgi.wait_fd_read()` and its kin only note what to wait for; the wait is in the next `uwsgi.suspend()`, or when
//! the application has yielded its next part.

use crate::py::PyResult;
use crate::{gil, green};
use rsgi_plugin_api::abi::WsgiRequest;
use rsgi_plugin_api::sys;
use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_short};
use std::time::{Duration, Instant};

/// A descriptor, and what it should become: `POLLIN`, `POLLOUT` or both.
pub type Wanted = (c_int, c_short);

/// What a request has asked to be woken for.
#[derive(Default)]
pub struct Waits {
    wanted: RefCell<Vec<Wanted>>,
    /// The shortest of the given times.
    limit: Cell<Option<Duration>>,
    /// The one that ended the last wait, until it is asked for.
    ready: Cell<Option<c_int>>,
}

impl Waits {
    /// Notes one more.
    pub fn add(&self, fd: c_int, events: c_short, limit: Option<Duration>) {
        let mut wanted = self.wanted.borrow_mut();
        match wanted.iter_mut().find(|(known, _)| *known == fd) {
            Some((_, known)) => *known |= events,
            None => wanted.push((fd, events)),
        }
        let shortest = [self.limit.get(), limit].into_iter().flatten().min();
        self.limit.set(shortest);
    }

    /// Whether there is anything to wait for.
    pub fn are_there(&self) -> bool {
        !self.wanted.borrow().is_empty()
    }

    /// Waits for the first of them; all are forgotten then. The client's own descriptor is ready, too, when a message of
    /// its websocket came with the one before. `false`: the time is over.
    pub fn wait(&self, req: *mut WsgiRequest) -> PyResult<bool> {
        let wanted = self.wanted.take();
        let limit = self.limit.take();
        self.ready.set(None);
        // SAFETY: the host's request, which is served here.
        let client = unsafe { (*req).fd };
        let is_wanted = wanted
            .iter()
            .any(|(fd, events)| *fd == client && events & libc::POLLIN != 0);
        // SAFETY: as above.
        if is_wanted && unsafe { sys::rsgi_websocket_waits(req) } == 1 {
            self.ready.set(Some(client));
            return Ok(true);
        }
        let first = first_of(&wanted, limit)?;
        self.ready.set(first);
        Ok(first.is_some())
    }

    /// The descriptor that ended the last wait, once; `None`: its time was over.
    pub fn take_ready(&self) -> Option<c_int> {
        self.ready.take()
    }
}

/// Waits until one of these is ready; `None`: the time is over. An error of a descriptor counts as ready: the call that
/// follows says what it is.
pub fn first_of(wanted: &[Wanted], limit: Option<Duration>) -> PyResult<Option<c_int>> {
    if green::is_on() {
        return green::wait_descriptors(wanted, limit);
    }
    Ok(gil::released(|| poll(wanted, limit)))
}

fn poll(wanted: &[Wanted], limit: Option<Duration>) -> Option<c_int> {
    let begin = Instant::now();
    let mut entries: Vec<libc::pollfd> = wanted
        .iter()
        .map(|(fd, events)| libc::pollfd {
            fd: *fd,
            events: *events,
            revents: 0,
        })
        .collect();
    loop {
        let left = limit.map(|limit| limit.saturating_sub(begin.elapsed()));
        // rounded up: a last wait of 0 ms would be one too many
        let millis = left.map_or(-1, |left| {
            left.as_micros().div_ceil(1000).min(i32::MAX as u128) as c_int
        });
        // SAFETY: so many entries.
        let count = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, millis) };
        if count > 0 {
            return entries.iter().find(|entry| entry.revents != 0).map(|entry| entry.fd);
        }
        if left.is_some_and(|left| left.is_zero()) || (count == 0 && limit.is_some()) {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsRawFd;

    #[test]
    fn the_first_that_is_ready_ends_the_wait() {
        let (a, mut b) = std::os::unix::net::UnixStream::pair().unwrap();
        let quiet = std::os::unix::net::UnixStream::pair().unwrap();
        let wanted = [(quiet.0.as_raw_fd(), libc::POLLIN), (a.as_raw_fd(), libc::POLLIN)];
        assert_eq!(poll(&wanted, Some(Duration::from_millis(20))), None);
        b.write_all(b"x").unwrap();
        assert_eq!(poll(&wanted, None), Some(a.as_raw_fd()));
        let wanted = [(a.as_raw_fd(), libc::POLLIN | libc::POLLOUT)];
        assert_eq!(poll(&wanted, Some(Duration::ZERO)), Some(a.as_raw_fd()));
    }

    #[test]
    fn the_shortest_time_counts_and_one_descriptor_is_noted_once() {
        let waits = Waits::default();
        assert!(!waits.are_there());
        waits.add(3, libc::POLLIN, None);
        waits.add(3, libc::POLLOUT, Some(Duration::from_secs(3)));
        waits.add(4, libc::POLLIN, Some(Duration::from_secs(5)));
        assert_eq!(
            *waits.wanted.borrow(),
            [(3, libc::POLLIN | libc::POLLOUT), (4, libc::POLLIN)]
        );
        assert_eq!(waits.limit.get(), Some(Duration::from_secs(3)));
        assert!(waits.are_there());
    }
}
