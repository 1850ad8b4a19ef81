//! The file logger: `--logger file:/path`, and the model of a logger plugin.
//!
//! It appends whole messages to one file per logger, opened at the first message in the process that writes the log.
//! A file that was moved away (logrotate) is noticed and opened again by its name.

use rsgi_plugin_api::abi::UwsgiLogger;
use rsgi_plugin_api::{HookError, Plugin, export_plugin, guard, sys};
use std::ffi::{CStr, OsStr, c_char};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

struct LogFile {
    path: PathBuf,
    file: File,
    identity: (u64, u64),
}

impl LogFile {
    fn open(path: &Path) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let metadata = file.metadata()?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
            identity: (metadata.dev(), metadata.ino()),
        })
    }

    /// Whether the name still leads to our file.
    fn is_in_place(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|m| (m.dev(), m.ino()) == self.identity)
    }

    fn write(&mut self, message: &[u8]) -> std::io::Result<()> {
        if !self.is_in_place() {
            *self = Self::open(&self.path)?;
        }
        self.file.write_all(message)
    }
}

struct FileLogger;

impl Plugin for FileLogger {
    fn on_load() -> Result<(), HookError> {
        // SAFETY: a constant name and a function that lives as long as the plugin, which is never unloaded.
        unsafe { sys::uwsgi_register_logger(c"file".as_ptr().cast_mut(), Some(write)) };
        Ok(())
    }
}

/// The logger function; the host calls it with one logger's record at a time.
unsafe extern "C" fn write(logger: *mut UwsgiLogger, message: *mut c_char, len: usize) -> isize {
    // SAFETY: the host passes its record and a message of `len` bytes.
    let (logger, message) = unsafe { (&mut *logger, std::slice::from_raw_parts(message.cast::<u8>(), len)) };
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| append(logger, message))) {
        Ok(Ok(())) => len as isize,
        Ok(Err(e)) => refuse(logger, &e.to_string()),
        Err(panic) => refuse(logger, guard::panic_text(panic.as_ref())),
    }
}

fn append(logger: &mut UwsgiLogger, message: &[u8]) -> std::io::Result<()> {
    if logger.configured == 0 {
        // SAFETY: the host's record holds a NUL-terminated argument.
        let path = Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(logger.arg) }.to_bytes()));
        logger.data = Box::into_raw(Box::new(LogFile::open(path)?)).cast();
        logger.configured = 1;
    }
    // SAFETY: set above to a box of ours, used by one call at a time.
    unsafe { &mut *logger.data.cast::<LogFile>() }.write(message)
}

/// The host writes the message to standard error instead; the reason goes there once.
fn refuse(logger: &mut UwsgiLogger, reason: &str) -> isize {
    if logger.count == 0 {
        // SAFETY: as in `append`.
        let path = unsafe { CStr::from_ptr(logger.arg) }.to_string_lossy().into_owned();
        let _ = writeln!(
            std::io::stderr(),
            "logger file:{path}: {reason}; lines go to standard error"
        );
    }
    logger.count += 1;
    -1
}

export_plugin! { logfile_plugin: FileLogger, name: c"logfile", modifier1: 0, hooks: [on_load] }
