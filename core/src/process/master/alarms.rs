//! The master's part in alarms: it carries out what any process raises, and raises those of its own.

use super::{ALARMS, Kind, Master, Process};
use crate::{alarm, say};
use mio::unix::SourceFd;
use mio::{Interest, Registry};
use std::os::fd::AsRawFd;

/// Watches for alarms, if there are any.
pub(super) fn watch(registry: &Registry) -> std::io::Result<()> {
    match alarm::receiver() {
        Some(fd) => registry.register(&mut SourceFd(&fd), ALARMS, Interest::READABLE),
        None => Ok(()),
    }
}

/// A process ended by a signal: one that means a crash raises the alarms for it.
pub(super) fn crashed(process: &Process, signal: i32) {
    if matches!(
        signal,
        libc::SIGSEGV | libc::SIGBUS | libc::SIGFPE | libc::SIGILL | libc::SIGABRT
    ) && !matches!(process.kind, Kind::Daemon(_))
    {
        alarm::crashed(&format!(
            "{} (pid: {}) died, killed by signal {signal}",
            process.kind, process.pid
        ));
    }
}

impl Master {
    /// Says which queues of connections are full; once a second.
    pub(super) fn check_backlogs(&mut self) {
        for (socket, said) in self.server.sockets.iter().zip(&mut self.full_backlogs) {
            // SAFETY: the master's own record, which it has just written.
            let (waiting, most) = unsafe { ((*socket.view).queue, (*socket.view).max_queue) };
            let is_full = most > 0 && waiting >= most;
            if is_full && !*said {
                let text = format!(
                    "*** uWSGI listen queue of socket \"{}\" (fd: {}) full !!! ({waiting}/{most}) ***",
                    socket.listener.name,
                    socket.listener.as_raw_fd()
                );
                say!("{text}");
                alarm::backlog_full(&text);
            }
            *said = is_full;
        }
    }
}
