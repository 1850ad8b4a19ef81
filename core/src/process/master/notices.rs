//! The datagram socket of `--notify-socket`: what other programs send there becomes a line of the log.

use super::{Master, NOTICES};
use crate::say;
use crate::settings::Settings;
use mio::unix::SourceFd;
use mio::{Interest, Registry};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

/// More at once is left for the next turn: whoever sends without end must not keep the master.
const MOST: usize = 64;

/// The socket; its path goes with the process that made it.
pub(super) struct Notices {
    socket: UnixDatagram,
    path: PathBuf,
    master: u32,
}

impl Notices {
    /// Binds and watches it, if it is asked for; what an image before left under the path is replaced.
    ///
    /// # Errors
    /// The path cannot be bound.
    pub(super) fn bind(settings: &Settings, registry: &Registry) -> std::io::Result<Option<Self>> {
        let Some(path) = &settings.paths.notify_socket else {
            return Ok(None);
        };
        let fail = |e: std::io::Error| std::io::Error::other(format!("notify-socket: cannot bind {path}: {e}"));
        if std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket()) {
            let _ = std::fs::remove_file(path);
        }
        let socket = UnixDatagram::bind(path).map_err(fail)?;
        socket.set_nonblocking(true)?;
        registry.register(&mut SourceFd(&socket.as_raw_fd()), NOTICES, Interest::READABLE)?;
        say!("notification socket enabled on {path} (fd: {})", socket.as_raw_fd());
        Ok(Some(Self {
            socket,
            path: std::path::absolute(path)?,
            master: std::process::id(),
        }))
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        if std::process::id() == self.master {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Master {
    /// Logs what has come.
    pub(super) fn log_notices(&self) {
        let Some(notices) = &self.notices else { return };
        let mut bytes = [0u8; 8192];
        for _ in 0..MOST {
            let Ok(n) = notices.socket.recv(&mut bytes) else { return };
            let text = String::from_utf8_lossy(&bytes[..n]);
            say!("[notify-socket] {}", text.trim_end().escape_debug());
        }
    }
}
