//! Static files (`--static-map`, `--static-map2`, `--check-static`), answered before any plugin is asked: which file a
//! path means is decided here, what is said of it in [`answer`].
//!
//! The kernel resolves the rest of the path beneath the mapped folder and nowhere else (`openat2` with
//! `RESOLVE_BENEATH`): no `..`, no symlink and no race leads out of it.

mod answer;
pub mod mime;
mod rules;

use crate::log::request::text;
use crate::request::{Core, vars};
use crate::server::server;
use crate::settings::StaticFiles;
use std::ffi::{CString, OsStr};
use std::fs::{File, Metadata, OpenOptions};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

pub use answer::send;
pub use mime::type_of as mime_type;
pub use rules::install;

/// A file that a path means.
pub struct Found {
    file: File,
    metadata: Metadata,
    /// The mapped folder, or the file itself.
    folder: PathBuf,
    /// Where the file lies beneath it.
    rest: Vec<u8>,
}

impl Found {
    /// A file by its own path.
    pub fn alone(file: File, metadata: Metadata, path: &[u8]) -> Self {
        Self {
            file,
            metadata,
            folder: PathBuf::from(OsStr::from_bytes(path)),
            rest: Vec::new(),
        }
    }

    /// Where it is.
    fn path(&self) -> PathBuf {
        match self.rest.is_empty() {
            true => self.folder.clone(),
            false => self.folder.join(OsStr::from_bytes(&self.rest)),
        }
    }

    /// The file beside it whose name is longer by an ending.
    fn neighbour(&self, ending: &str) -> Option<File> {
        match self.rest.is_empty() {
            true => {
                let mut path = self.folder.clone().into_os_string();
                path.push(ending);
                File::open(path).ok()
            }
            false => open_beneath(&self.folder, &[&self.rest, ending.as_bytes()].concat()),
        }
    }
}

/// Answers a request for a static file; `false`: it is not one.
pub fn serve(core: &mut Core) -> bool {
    let statics = &server().settings.statics;
    if statics.maps.is_empty() && statics.check_static.is_empty() && !statics.check_static_docroot {
        return false;
    }
    let raw = core.raw();
    let (path, method) = (text(raw.path_info, raw.path_info_len), text(raw.method, raw.method_len));
    if path.is_empty() || (method != b"GET" && method != b"HEAD") {
        return false;
    }
    let docroot = (statics.check_static_docroot)
        .then(|| vars::find(core.raw(), b"DOCUMENT_ROOT").map(|root| PathBuf::from(OsStr::from_bytes(root))))
        .flatten();
    match find(statics, path, docroot) {
        Some(found) => {
            answer::count(core);
            send(core, found);
            true
        }
        None => false,
    }
}

fn find(statics: &StaticFiles, path: &[u8], docroot: Option<PathBuf>) -> Option<Found> {
    let mapped = statics.maps.iter().find_map(|map| {
        let rest = path.strip_prefix(map.prefix.as_bytes())?;
        if !map.prefix.ends_with('/') && !rest.is_empty() && rest[0] != b'/' {
            return None;
        }
        let rest = if map.append_prefix { path } else { rest };
        open(statics, Path::new(&map.target), rest)
    });
    let checked = || {
        let folders = statics.check_static.iter().map(Path::new);
        folders
            .chain(docroot.as_deref())
            .find_map(|folder| open(statics, folder, path))
    };
    mapped.or_else(checked)
}

/// A regular file beneath a folder, or the folder itself when it is a file.
fn open(statics: &StaticFiles, folder: &Path, rest: &[u8]) -> Option<Found> {
    let start = rest.iter().position(|b| *b != b'/').unwrap_or(rest.len());
    let rest = &rest[start..];
    if statics.skip_ext.iter().any(|ext| rest.ends_with(ext.as_bytes())) {
        return None;
    }
    let found = |file, metadata, rest: &[u8]| {
        Some(Found {
            file,
            metadata,
            folder: folder.to_path_buf(),
            rest: rest.to_vec(),
        })
    };
    let file = if rest.is_empty() {
        File::open(folder).ok()?
    } else {
        open_beneath(folder, rest).or_else(|| open_safe(statics, folder, rest))?
    };
    let metadata = file.metadata().ok()?;
    if metadata.is_file() {
        return found(file, metadata, rest);
    }
    // --static-index
    let mut names = statics.index.iter().filter(|_| metadata.is_dir());
    names.find_map(|name| {
        let mut inside = rest.to_vec();
        if !rest.is_empty() && !rest.ends_with(b"/") {
            inside.push(b'/');
        }
        inside.extend_from_slice(name.as_bytes());
        let file = open_beneath(folder, &inside)?;
        let metadata = file.metadata().ok()?;
        let is_file = metadata.is_file();
        is_file.then(|| found(file, metadata, &inside)).flatten()
    })
}

/// Opens a path that leads nowhere out of its folder.
fn open_beneath(folder: &Path, rest: &[u8]) -> Option<File> {
    // only a place to start from: it is neither read nor listed
    let root = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(folder);
    let root = root.ok()?;
    let name = CString::new(rest).ok()?;
    // SAFETY: all fields are integers: zero is valid.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK) as u64;
    how.resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_MAGICLINKS;
    // SAFETY: descriptor, name and struct are valid, the size is the struct's.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            root.as_raw_fd(),
            name.as_ptr(),
            &raw const how,
            size_of::<libc::open_how>(),
        )
    };
    // SAFETY: the kernel just gave us this descriptor.
    (fd >= 0).then(|| File::from(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
}

/// A link that leads out of its folder, into one that the operator has named (`--static-safe`).
fn open_safe(statics: &StaticFiles, folder: &Path, rest: &[u8]) -> Option<File> {
    if statics.safe.is_empty() {
        return None;
    }
    let real = folder.join(OsStr::from_bytes(rest)).canonicalize().ok()?;
    statics.safe.iter().find_map(|safe| {
        let safe = Path::new(safe).canonicalize().ok()?;
        let inside = real.strip_prefix(&safe).ok()?;
        open_beneath(&safe, inside.as_os_str().as_bytes())
    })
}
