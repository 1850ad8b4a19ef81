//! Leaving the terminal, log files, pidfiles: the traces that a server leaves in the system.

use super::StartupError;
use crate::settings::Settings;
use crate::{log, say};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Mutex, PoisonError};

/// Before anything is loaded: `--daemonize` and `--logto`. After a reload both hold already.
///
/// # Errors
/// The log file cannot be opened, or the system refuses to fork.
pub fn early(settings: &Settings, is_reload: bool) -> Result<(), StartupError> {
    let logging = &settings.logging;
    if logging.logfile_chown && nix::unistd::geteuid().is_root() {
        let (uid, gid) = super::privileges::future_owner(settings)?;
        log::rotate::give_to(uid, gid);
    }
    if is_reload {
        if logging.log_reopen
            && let Some(target) = logging.logto.as_ref().or(logging.daemonize.as_ref())
        {
            open_log(settings, target)?;
        }
        let targets = [&logging.daemonize, &logging.logto, &logging.daemonize2, &logging.logto2];
        if let Some(target) = targets.into_iter().flatten().last().filter(|t| !is_udp(t)) {
            log::rotate::remember(target);
        }
        return Ok(());
    }
    if let Some(target) = &logging.daemonize {
        // what is wrong with the file must reach the terminal, and the exit code whoever started us
        if !is_udp(target) {
            log::rotate::open(std::path::Path::new(target), logging).map_err(|e| cannot_open(target, &e))?;
        }
        detach()?;
        open_log(settings, target)?;
    } else if let Some(target) = &logging.logto {
        open_log(settings, target)?;
    }
    Ok(())
}

/// After the applications are loaded: `--daemonize2` and `--logto2`.
///
/// # Errors
/// As for [`early`].
pub fn late(settings: &Settings, is_reload: bool) -> Result<(), StartupError> {
    if is_reload {
        // both hold already
    } else if let Some(target) = &settings.logging.daemonize2 {
        detach()?;
        open_log(settings, target)?;
    } else if let Some(target) = &settings.logging.logto2 {
        open_log(settings, target)?;
    }
    super::procname::master(&settings.processes.names);
    Ok(())
}

fn detach() -> Result<(), StartupError> {
    if crate::emperor::link::is_vassal() {
        // its emperor watches this very process
        return Ok(());
    }
    use nix::unistd::{ForkResult, fork, setsid};
    for step in 0..2 {
        // SAFETY: the start is single-threaded.
        match unsafe { fork() }? {
            // SAFETY: the parent has nothing to clean up: all of it lives on in the child.
            ForkResult::Parent { .. } => unsafe { libc::_exit(0) },
            ForkResult::Child if step == 0 => drop(setsid()?),
            ForkResult::Child => {}
        }
    }
    let null = std::fs::File::open("/dev/null")?;
    // SAFETY: both descriptors are open.
    unsafe { libc::dup2(null.as_raw_fd(), 0) };
    Ok(())
}

fn open_log(settings: &Settings, target: &str) -> Result<(), StartupError> {
    if is_udp(target) {
        return open_udp_log(target);
    }
    let file =
        log::rotate::open(std::path::Path::new(target), &settings.logging).map_err(|e| cannot_open(target, &e))?;
    if settings.logging.log_truncate {
        file.set_len(0)?;
    }
    log::rotate::remember(target);
    Ok(log::standard::redirect(file.as_fd())?)
}

fn cannot_open(target: &str, e: &std::io::Error) -> StartupError {
    StartupError::new(format!("open(\"{target}\"): {}", super::os_text(e)))
}

fn is_udp(target: &str) -> bool {
    target.contains(':') && !target.contains('/')
}

/// `--logto host:port`: lines go out as datagrams.
fn open_udp_log(target: &str) -> Result<(), StartupError> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    socket
        .connect(target)
        .map_err(|e| StartupError::new(format!("logto {target}: {e}")))?;
    Ok(log::standard::redirect(socket.as_fd())?)
}

/// Pidfiles that were opened while the process could still be root, by their path.
static PIDFILES: Mutex<Vec<(String, File)>> = Mutex::new(Vec::new());

/// Opens `--pidfile` and `--safe-pidfile` before privileges are dropped: the folder may be root's. They are written
/// when the sockets are bound, so that a start that fails leaves the pid of the instance that runs. Without a drop
/// there is no need: then they come into being whole.
pub fn open_pidfiles(settings: &Settings) {
    if settings.privileges.uid.is_none() && settings.privileges.gid.is_none() {
        return;
    }
    let p = &settings.paths;
    for path in [&p.pidfile, &p.safe_pidfile].into_iter().flatten() {
        let opened = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path);
        // what is wrong with it is said when it is written
        if let Ok(file) = opened {
            let mut all = PIDFILES.lock().unwrap_or_else(PoisonError::into_inner);
            all.push((path.clone(), file));
        }
    }
}

fn write_opened(path: &str) -> Option<std::io::Result<()>> {
    use std::os::unix::fs::{FileExt, MetadataExt};
    let all = PIDFILES.lock().unwrap_or_else(PoisonError::into_inner);
    let (_, file) = all.iter().find(|(p, _)| p == path)?;
    // somebody removed it: it is made anew
    if file.metadata().is_ok_and(|m| m.nlink() == 0) {
        return None;
    }
    let text = format!("{}\n", std::process::id());
    // first the new text, then the rest of an old one off: a reader never sees an empty file
    Some(
        file.write_all_at(text.as_bytes(), 0)
            .and_then(|()| file.set_len(text.len() as u64)),
    )
}

fn pidfile_paths(settings: &Settings) -> impl Iterator<Item = &String> {
    let p = &settings.paths;
    [&p.pidfile, &p.pidfile2, &p.safe_pidfile, &p.safe_pidfile2]
        .into_iter()
        .flatten()
}

/// Writes the pidfiles.
///
/// # Errors
/// One cannot be written.
pub fn pidfiles(settings: &Settings) -> Result<(), StartupError> {
    for path in pidfile_paths(settings) {
        let fail =
            |e: std::io::Error| StartupError::new(format!("cannot write the pidfile {path}: {}", super::os_text(&e)));
        if let Some(written) = write_opened(path) {
            written.map_err(fail)?;
            continue;
        }
        // the image before has written it, maybe as root
        if is_ours(path) {
            continue;
        }
        // whole or not at all: a reader never sees half a number
        let temporary = format!("{path}.{}", std::process::id());
        let mut file = std::fs::File::create(&temporary).map_err(fail)?;
        writeln!(file, "{}", std::process::id()).map_err(fail)?;
        std::fs::rename(&temporary, path).map_err(fail)?;
    }
    Ok(())
}

/// Writes the pidfiles of a start. A reload goes on without: its user may not be the one who could.
///
/// # Errors
/// One cannot be written, and this is no reload.
pub fn pidfiles_of_start(settings: &Settings, is_reload: bool) -> Result<(), StartupError> {
    match pidfiles(settings) {
        Err(error) if is_reload => {
            say!("{error}; the server goes on without it");
            Ok(())
        }
        result => result,
    }
}

/// Whether a pidfile names this process.
fn is_ours(path: &str) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text.trim() == std::process::id().to_string())
}

/// Removes them.
pub fn remove_pidfiles(settings: &Settings) {
    for path in pidfile_paths(settings) {
        if is_ours(path) && std::fs::remove_file(path).is_ok() {
            say!("VACUUM: pidfile removed.");
        }
    }
}
