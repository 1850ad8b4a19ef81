//! The second stage inside of the file of the first, as a section that `uwsgiconfig --build` adds where the plugin
//! becomes a part of the server: the plugin is one file there, without a folder to look into. Called once, when
//! Python is started.

use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection, ReadCache};
use std::ffi::{CStr, c_char};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{FromRawFd, IntoRawFd};
use std::path::{Path, PathBuf};

/// The name of the section.
const SECTION: &str = ".rsgi.part/python_abi3.so";

/// The second stage that a file carries, as a path that the dynamic linker can open, good for the life of the process.
/// `None`: it carries none.
///
/// # Errors
/// A copy of it cannot be made.
pub fn second_stage(file: &Path) -> io::Result<Option<PathBuf>> {
    let Ok(opened) = File::open(file) else {
        return Ok(None);
    };
    let contents = ReadCache::new(opened);
    let Ok(image) = ElfFile64::<Endianness, _>::parse(&contents) else {
        return Ok(None);
    };
    let Some(section) = image.section_by_name(SECTION) else {
        return Ok(None);
    };
    let bytes = section.data().map_err(io::Error::other)?;
    copy(c"python_abi3.so", bytes).map(Some)
}

fn copy(name: &CStr, bytes: &[u8]) -> io::Result<PathBuf> {
    let name: *const c_char = name.as_ptr();
    // SAFETY: a NUL-terminated name.
    let descriptor = unsafe { libc::memfd_create(name, libc::MFD_CLOEXEC) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: new, and nobody else's.
    let mut file = unsafe { File::from_raw_fd(descriptor) };
    file.write_all(bytes)?;
    // it stays open: another file under its number would be taken for this one by the dynamic linker
    Ok(format!("/proc/self/fd/{}", file.into_raw_fd()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_without_it_carry_none() {
        for file in ["/proc/self/exe", "/proc/self/status", "/nowhere"] {
            assert_eq!(second_stage(Path::new(file)).unwrap(), None, "{file}");
        }
    }

    #[test]
    fn a_copy_has_what_it_was_made_of() {
        let path = copy(c"any", b"bytes").unwrap();
        assert_eq!(std::fs::read(path).unwrap(), b"bytes");
    }
}
