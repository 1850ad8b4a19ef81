//! The named pipes that take commands (`--master-fifo`): one letter each, read by the master. Of several pipes one
//! is listened to at a time; a digit chooses it.

use crate::say;
use nix::sys::stat::Mode;
use std::fs::{File, OpenOptions, Permissions};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// What a letter asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FifoCommand {
    /// Listen to another pipe.
    Slot(usize),
    /// Look for vassals now.
    Vassals,
    /// One worker more.
    More,
    /// One worker less.
    Less,
    /// No workers until the next connection.
    Cheap,
    /// Replace the workers one by one.
    ChainReload,
    /// Open the log anew.
    ReopenLog,
    /// Move the log aside.
    RotateLog,
    /// Hold still, or go on.
    Pause,
    /// Write the pidfiles again.
    Pidfiles,
    /// Finish what is in flight, then end.
    Stop,
    /// End at once.
    FastStop,
    /// A new image; nobody is turned away.
    Reload,
    /// A new image of a new binary.
    Upgrade,
    /// Stop, then start.
    FastReload,
    /// Figures into the log.
    Status,
    /// Replace the workers.
    ReloadWorkers,
    /// Kill the workers; new ones come.
    KillWorkers,
}

impl FifoCommand {
    /// By its letter; `None`: it means nothing (here).
    pub fn of(letter: u8) -> Option<Self> {
        Some(match letter {
            b'0'..=b'9' => Self::Slot(usize::from(letter - b'0')),
            b'E' => Self::Vassals,
            b'+' => Self::More,
            b'-' => Self::Less,
            b'C' => Self::Cheap,
            b'c' => Self::ChainReload,
            b'l' => Self::ReopenLog,
            b'L' => Self::RotateLog,
            b'p' => Self::Pause,
            b'P' => Self::Pidfiles,
            b'q' => Self::Stop,
            b'Q' => Self::FastStop,
            b'r' => Self::Reload,
            // uWSGI forks a second master here; an upgrade of ours takes place in this one
            b'u' | b'f' => Self::Upgrade,
            b'R' => Self::FastReload,
            b's' => Self::Status,
            b'w' => Self::ReloadWorkers,
            b'W' => Self::KillWorkers,
            _ => return None,
        })
    }
}

/// The pipe that is listened to.
#[derive(Debug)]
pub struct MasterFifo {
    file: File,
}

impl MasterFifo {
    /// Makes the pipe (only its owner may write) and opens it.
    ///
    /// # Errors
    /// The path cannot be made or is something else.
    pub fn open(path: &str) -> std::io::Result<Self> {
        let known = std::fs::symlink_metadata(path);
        match &known {
            Ok(meta) if meta.file_type().is_fifo() => {}
            Ok(_) => {
                return Err(std::io::Error::new(
                    std::io::ErrorKind::AlreadyExists,
                    "the path is taken by something that is no named pipe",
                ));
            }
            Err(_) => nix::unistd::mkfifo(Path::new(path), Mode::S_IRUSR | Mode::S_IWUSR)?,
        }
        // reading and writing: with a writer of our own the pipe never comes to an end
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOFOLLOW)
            .open(path)?;
        if !file.metadata()?.file_type().is_fifo() {
            return Err(std::io::ErrorKind::AlreadyExists.into());
        }
        file.set_permissions(Permissions::from_mode(0o600))?;
        Ok(Self { file })
    }

    /// The commands that wait. Bounded: whoever writes without end must not keep the master.
    pub fn read(&mut self) -> Vec<FifoCommand> {
        let mut letters = [0u8; 256];
        let n = self.file.read(&mut letters).unwrap_or(0);
        let meant = |letter: &u8| {
            let command = FifoCommand::of(*letter);
            if command.is_none() && letter.is_ascii_graphic() {
                say!("master-fifo: the letter {} means nothing here", char::from(*letter));
            }
            command
        };
        letters[..n].iter().filter_map(meant).collect()
    }
}

impl std::os::fd::AsRawFd for MasterFifo {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.file.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn letters_are_read_as_written_and_noise_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let name = path.to_str().unwrap();
        let mut fifo = MasterFifo::open(name).unwrap();
        assert_eq!(fifo.read(), []);
        let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
        writer.write_all(b"pz\n7sQ").unwrap();
        assert_eq!(
            fifo.read(),
            [
                FifoCommand::Pause,
                FifoCommand::Slot(7),
                FifoCommand::Status,
                FifoCommand::FastStop
            ]
        );
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // a second opening takes the pipe that is there; a file is left alone
        assert!(MasterFifo::open(name).is_ok());
        std::fs::write(dir.path().join("file"), "precious").unwrap();
        assert!(MasterFifo::open(dir.path().join("file").to_str().unwrap()).is_err());
        assert_eq!(std::fs::read_to_string(dir.path().join("file")).unwrap(), "precious");
    }
}
