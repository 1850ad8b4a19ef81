//! Loggers in Rust: a [`Logger`] writes messages somewhere, [`register`] offers its kind to `--logger KIND:ARGUMENT`.
//! They are called in the process that delivers lines, by one thread at a time.

mod connection;
mod datagrams;
mod date;

pub use connection::Connection;
pub use datagrams::Datagrams;
pub use date::rfc3339;

use crate::abi::{LOGGER_AGAIN, UwsgiLogger};
use crate::{guard, log, sys};
use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a message was not written.
#[derive(Debug)]
pub enum LoggerError {
    /// Not now: the host keeps the message and calls again after a while, with this one first.
    Again(String),
    /// Never: the message goes to the host's standard error.
    Refused(String),
}

impl From<std::io::Error> for LoggerError {
    /// What a system call says today may be otherwise tomorrow.
    fn from(e: std::io::Error) -> Self {
        Self::Again(e.to_string())
    }
}

/// A place for log lines.
pub trait Logger: Sized + Send + 'static {
    /// Around the argument that followed the colon; nothing has to be reachable yet.
    ///
    /// # Errors
    /// The argument is wrong: one line that says what is right.
    fn open(argument: &str) -> Result<Self, String>;

    /// Writes a message, whole: mostly a line with its newline, otherwise what an encoder has made of one. A call may
    /// take a moment, not for ever: nothing but other lines for this logger waits for it.
    ///
    /// # Errors
    /// See [`LoggerError`].
    fn write(&mut self, message: &[u8]) -> Result<(), LoggerError>;
}

/// Offers a kind of logger; in `on_load`.
pub fn register<L: Logger>(name: &'static CStr) {
    // SAFETY: a constant name, and a function that lives as long as the plugin, which is never unloaded.
    unsafe { sys::uwsgi_register_logger(name.as_ptr().cast_mut(), Some(call::<L>)) };
}

/// What lies behind the `data` of a record.
struct Opened<L> {
    logger: Result<L, String>,
    /// It failed, and that was said.
    has_failed: bool,
}

/// The logger function of a kind.
///
/// # Safety
/// As `uwsgi.h` says of logger functions: the host's record, whose argument ends with NUL, a message of `len` bytes, one
/// call at a time, and always the same `L` for a record.
pub unsafe extern "C" fn call<L: Logger>(record: *mut UwsgiLogger, message: *mut c_char, len: usize) -> isize {
    // SAFETY: by the contract.
    let (record, message) = unsafe { (&mut *record, std::slice::from_raw_parts(message.cast::<u8>(), len)) };
    // SAFETY: by the contract.
    let text = |place: *const c_char| unsafe { CStr::from_ptr(place) }.to_string_lossy();
    if record.configured == 0 {
        let argument = text(record.arg);
        let logger = catch_unwind(|| L::open(&argument));
        let logger = logger.unwrap_or_else(|panic| Err(guard::panic_text(panic.as_ref()).to_owned()));
        let has_failed = false;
        record.data = Box::into_raw(Box::new(Opened { logger, has_failed })).cast();
        record.configured = 1;
    }
    // SAFETY: set above to a box of this type, used by one call at a time.
    let opened = unsafe { &mut *record.data.cast::<Opened<L>>() };
    let written = match &mut opened.logger {
        Ok(logger) => catch_unwind(AssertUnwindSafe(|| logger.write(message)))
            .unwrap_or_else(|panic| Err(LoggerError::Refused(guard::panic_text(panic.as_ref()).to_owned()))),
        Err(why) => Err(LoggerError::Refused(why.clone())),
    };
    let place = || format!("logger {}:{}", text(record.name), text(record.arg));
    let (why, then) = match written {
        Ok(()) => {
            if std::mem::take(&mut opened.has_failed) {
                log::line(&format!("{}: takes lines again", place()));
            }
            return isize::try_from(len).unwrap_or(isize::MAX);
        }
        Err(LoggerError::Again(why)) => (format!("{why}; its lines wait"), LOGGER_AGAIN),
        Err(LoggerError::Refused(why)) => (format!("{why}; its lines go to standard error"), -1),
    };
    // once for a trouble, not once for a line
    if !std::mem::replace(&mut opened.has_failed, true) {
        log::line(&format!("{}: {why}", place()));
    }
    then
}
