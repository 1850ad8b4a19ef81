//! Plugins inside of the server's own file, one section each, as `uwsgiconfig --build` puts them there. All of them are
//! loaded at the start, before the configuration is read: no option asks for them.

use super::mapped::Mapped;
use nix::sys::memfd::{MFdFlags, memfd_create};
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What the names of their sections begin with; the name of a file follows.
pub const SECTION: &str = ".rsgi.plugin/";

/// A plugin in memory, as a file that the dynamic linker can open.
pub struct Embedded {
    /// The name of its file, as it was on disk.
    pub name: String,
    /// Where it is now; good for the life of the process.
    pub path: PathBuf,
}

/// The plugins in the file of this program.
///
/// # Errors
/// A copy of one of them cannot be made; of a program without any, never.
pub fn all() -> io::Result<Vec<Embedded>> {
    of_file(Path::new("/proc/self/exe"))
}

fn of_file(program: &Path) -> io::Result<Vec<Embedded>> {
    let Ok(data) = Mapped::open(program) else {
        return Ok(Vec::new());
    };
    let Ok(image) = ElfFile64::<Endianness>::parse(&*data) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for section in image.sections() {
        let Some(name) = section.name().ok().and_then(|name| name.strip_prefix(SECTION)) else {
            continue;
        };
        let contents = section.data().map_err(io::Error::other)?;
        let descriptor = copy(name, contents)?;
        found.push(Embedded {
            name: name.to_owned(),
            path: format!("/proc/self/fd/{}", descriptor.as_raw_fd()).into(),
        });
        // the path is good as long as the descriptor; an exec closes it
        let _ = descriptor.into_raw_fd();
    }
    Ok(found)
}

fn copy(name: &str, contents: &[u8]) -> io::Result<OwnedFd> {
    let descriptor = memfd_create(name, MFdFlags::MFD_CLOEXEC)?;
    let mut file = File::from(descriptor);
    file.write_all(contents)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_without_plugins_has_none() {
        assert!(all().unwrap().is_empty());
        assert!(of_file(Path::new("/nowhere")).unwrap().is_empty());
        assert!(of_file(Path::new("/proc/self/status")).unwrap().is_empty());
    }
}
