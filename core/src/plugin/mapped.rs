//! A file's bytes without reading them: plugins are megabytes of code, of which the host looks at a few tables.

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::path::Path;
use std::ptr::NonNull;

/// The bytes of a file while this lives. Whoever cuts the file short meanwhile ends the process, as with the dynamic
/// linker, which maps it the same way; one who replaces it by another does no harm.
#[derive(Debug)]
pub struct Mapped {
    base: NonNull<c_void>,
    len: usize,
}

impl Mapped {
    /// Maps a file.
    ///
    /// # Errors
    /// It cannot be opened, or is no file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = usize::try_from(file.metadata()?.len()).map_err(|_| Errno::EFBIG)?;
        let base = match NonZeroUsize::new(len) {
            // SAFETY: a new private mapping, which nothing else uses.
            Some(len) => unsafe { mmap(None, len, ProtFlags::PROT_READ, MapFlags::MAP_PRIVATE, &file, 0)? },
            None => NonNull::dangling(),
        };
        Ok(Self { base, len })
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: so many bytes were mapped, and stay until the drop; of none, any place will do.
        unsafe { std::slice::from_raw_parts(self.base.cast().as_ptr(), self.len) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: mapped by `open`, borrowed by nobody any more. There is nothing to do about a failure.
            let _ = unsafe { munmap(self.base, self.len) };
        }
    }
}
