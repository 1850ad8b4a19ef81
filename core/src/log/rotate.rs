//! The log file that the server itself writes (`--logto`, `--daemonize`): moved aside when it has grown
//! (`--log-maxsize`), or opened anew after somebody else has moved it. The master does both.

use super::{sink, standard};
use crate::say;
use crate::settings::Logging;
use std::fs::{File, OpenOptions, Permissions};
use std::os::fd::AsFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The file, absolute: the server may change its folder.
static PATH: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Whose log files are (`--logfile-chown`), if not those of the user who opens them.
static OWNER: Mutex<Option<(Option<u32>, Option<u32>)>> = Mutex::new(None);

/// Log files belong to the user that the server becomes.
pub fn give_to(uid: Option<u32>, gid: Option<u32>) {
    *OWNER.lock().unwrap_or_else(PoisonError::into_inner) = Some((uid, gid));
}

fn path() -> Option<PathBuf> {
    PATH.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Remembers the file that the log goes to.
pub fn remember(target: &str) {
    *PATH.lock().unwrap_or_else(PoisonError::into_inner) = std::path::absolute(target).ok();
}

/// Whether a descriptor is the file that has this name now.
pub fn is_in_place(fd: i32, name: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    // SAFETY: the caller's descriptor is open.
    let open = nix::sys::stat::fstat(unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) });
    match (open, std::fs::metadata(name)) {
        (Ok(open), Ok(named)) => (open.st_dev, open.st_ino) == (named.dev(), named.ino()),
        _ => false,
    }
}

/// Opens a log file with the bits that the configuration wants.
///
/// # Errors
/// The system refuses.
pub fn open(target: &Path, settings: &Logging) -> std::io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).mode(0o640).open(target)?;
    if let Some(mode) = settings.logfile_chmod {
        file.set_permissions(Permissions::from_mode(mode))?;
    }
    if let Some((uid, gid)) = *OWNER.lock().unwrap_or_else(PoisonError::into_inner) {
        std::os::unix::fs::fchown(&file, uid, gid)?;
    }
    Ok(file)
}

/// Opens the file anew under its name.
pub fn reopen(settings: &Logging) {
    let Some(path) = path() else {
        return say!("there is no log file to open anew: --logto names one");
    };
    match open(&path, settings).and_then(|file| standard::redirect(file.as_fd())) {
        Ok(()) => say!("the log goes on in {}", path.display()),
        // the old descriptor stays: better a log in the wrong file than none
        Err(e) => say!("cannot open the log anew: {}: {e}", path.display()),
    }
}

/// Moves the file aside and begins a new one.
pub fn rotate(settings: &Logging) {
    let Some(path) = path() else {
        return say!("there is no log file to rotate: --logto names one");
    };
    let backup = match &settings.log_backupname {
        Some(name) => PathBuf::from(name),
        None => PathBuf::from(format!("{}.{}", path.display(), crate::exports::now())),
    };
    let size = standard::size().unwrap_or(0);
    say!("logsize: {size}, triggering rotation to {}...", backup.display());
    // what was written before it stands in the file that is moved away
    sink::settle();
    match std::fs::rename(&path, &backup) {
        Ok(()) => reopen(settings),
        Err(e) => say!("cannot rotate the log: {} to {}: {e}", path.display(), backup.display()),
    }
}

/// Rotates when the file has grown beyond `--log-maxsize`; about once a second.
pub fn check(settings: &Logging) {
    if let Some(most) = settings.log_maxsize
        && path().is_some()
        && standard::size().is_some_and(|size| size > most)
    {
        rotate(settings);
    }
}
