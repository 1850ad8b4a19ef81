//! Named pieces of shared memory that outlive a reload: each is a file in memory, or one on disk, that the next image
//! takes over when it asks for the same name and finds it large enough. Made before the first fork.

use crate::process::reload;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use nix::sys::stat::fstat;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A mapping; it stays for the life of the process.
#[derive(Debug, Clone, Copy)]
pub struct Region {
    /// Its first byte, at the start of a page.
    pub base: *mut u8,
    /// Its bytes.
    pub size: usize,
    /// How many of them were there before: 0 for fresh memory, which is zero.
    pub inherited: usize,
    /// They come from a file that this process has opened; nobody else uses it.
    pub fresh_file: bool,
    /// The file behind it.
    pub fd: RawFd,
}

// SAFETY: an address that is valid in all threads; those who use it keep the rules of sharing.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

static KEPT: Mutex<Vec<(String, OwnedFd)>> = Mutex::new(Vec::new());

fn kept() -> MutexGuard<'static, Vec<(String, OwnedFd)>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Region {
    /// The memory of this name that the image before has left, or new memory; it grows when it is too small. The name
    /// says everything about how the bytes lie: another layout, another name.
    ///
    /// # Errors
    /// The system has no memory for it.
    pub fn open(name: &str, size: usize) -> nix::Result<Self> {
        let (file, before) = match Self::inherited_file(name) {
            Some(file) => {
                let before = usize::try_from(fstat(&file)?.st_size).unwrap_or(0);
                (file, before)
            }
            None => {
                let label = CString::new(format!("rsgi-{name}")).map_err(|_| nix::Error::EINVAL)?;
                let label = if label.as_bytes().len() < 200 {
                    label.as_c_str()
                } else {
                    c"rsgi-shared"
                };
                (memfd_create(label, MFdFlags::MFD_CLOEXEC)?, 0)
            }
        };
        if before < size {
            nix::unistd::ftruncate(&file, size as i64)?;
        }
        Self::keep(name, file, size.max(before), before)
    }

    /// The file that the image before has left under this name.
    pub fn inherited_file(name: &str) -> Option<OwnedFd> {
        let fd = reload::inherited_socket(name)?;
        // SAFETY: the image before left this descriptor for us, and each is handed out once.
        Some(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// Maps `size` bytes of a file and keeps it for the next image under a name.
    ///
    /// # Errors
    /// The system has no memory for it.
    pub fn keep(name: &str, file: OwnedFd, size: usize, inherited: usize) -> nix::Result<Self> {
        let length = NonZeroUsize::new(size).ok_or(nix::Error::EINVAL)?;
        let flags = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice; it stays for the life of the process.
        let base = unsafe { mmap(None, length, flags, MapFlags::MAP_SHARED, &file, 0)? };
        let fd = file.as_raw_fd();
        kept().push((name.to_owned(), file));
        Ok(Self {
            base: base.as_ptr().cast(),
            size,
            inherited,
            fresh_file: false,
            fd,
        })
    }
}

/// Why a file cannot be somebody's memory.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is locked.
    #[error("another server uses it; give each its own file")]
    Busy,
    /// It was made with other settings.
    #[error("it has {0} bytes where these settings need {1}: keep the settings it was made with, or move it away")]
    Length(u64, u64),
    /// What the system says.
    #[error("{0}")]
    System(String),
}

impl From<std::io::Error> for FileError {
    fn from(e: std::io::Error) -> Self {
        Self::System(crate::config::system_message(&e))
    }
}

impl From<nix::Error> for FileError {
    fn from(e: nix::Error) -> Self {
        Self::System(e.desc().to_owned())
    }
}

impl Region {
    /// A file of exactly this size as memory, for this server alone; that of the image before, if it has left it. One
    /// that is new or empty is made so long; `replace`: one of another length, too.
    ///
    /// # Errors
    /// See [`FileError`].
    pub fn open_file(name: &str, path: &str, size: usize, replace: bool) -> Result<Self, FileError> {
        let name = format!("{name} {path}");
        if let Some(file) = Self::inherited_file(&name) {
            return Ok(Self::keep(&name, file, size, size)?);
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(0o660);
        let mut file = lock(options.open(path)?)?;
        let mut length = file.metadata()?.len();
        if length != 0 && length != size as u64 {
            if !replace {
                return Err(FileError::Length(length, size as u64));
            }
            std::fs::remove_file(path)?;
            file = lock(options.open(path)?)?;
            length = 0;
        }
        if length == 0 {
            // room for all of it now: a page that cannot be written later would be the end of the process
            // SAFETY: an open descriptor.
            let failed = unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, size as i64) };
            if failed != 0 {
                let _ = file.set_len(0);
                return Err(std::io::Error::from_raw_os_error(failed).into());
            }
        }
        let mut region = Self::keep(&name, OwnedFd::from(file), size, length as usize)?;
        region.fresh_file = true;
        Ok(region)
    }
}

fn lock(file: File) -> Result<File, FileError> {
    // SAFETY: an open descriptor.
    match unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } {
        0 => Ok(file),
        _ => Err(FileError::Busy),
    }
}

/// All of them by name, for the next image.
pub fn descriptors() -> Vec<(String, RawFd)> {
    kept()
        .iter()
        .map(|(name, file)| (name.clone(), file.as_raw_fd()))
        .collect()
}

/// Starts writing what a file has not yet, without waiting for it.
pub fn start_writing(file: RawFd) {
    // SAFETY: a descriptor, or the kernel says that it is none.
    unsafe { libc::sync_file_range(file, 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
}
