//! Named pieces of shared memory that outlive a reload: each is a file in memory, or one on disk, that the next image
//! takes over when it asks for the same name and finds it large enough. Made before the first fork.

use crate::process::reload;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use nix::sys::stat::fstat;
use std::ffi::CString;
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
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

/// All of them by name, for the next image.
pub fn descriptors() -> Vec<(String, RawFd)> {
    kept()
        .iter()
        .map(|(name, file)| (name.clone(), file.as_raw_fd()))
        .collect()
}
