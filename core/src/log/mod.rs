//! Log lines of the server: one write per message to standard error, or to the sinks of `--logger`.
//!
//! Any process and thread may call [`write`]; it takes no lock unless sinks are configured.

pub mod batch;
pub mod builtin;
pub mod chunk;
pub mod encoder;
pub mod foreign;
pub mod format;
pub mod json;
pub mod lines;
mod msgpack;
pub mod pipe;
mod queue;
pub mod request;
pub mod rotate;
mod routes;
pub mod sink;
pub mod standard;
pub mod worker;

pub use queue::{begin_threads, lost};

use std::cell::RefCell;
use std::ffi::c_char;
use std::fmt::Arguments;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, OnceLock};

/// The strftime format of `--log-date`, NUL-terminated.
static STAMP: OnceLock<std::ffi::CString> = OnceLock::new();
/// The same without what separates it from the message.
static STAMP_FORMAT: OnceLock<std::ffi::CString> = OnceLock::new();

/// Messages are JSON objects (`--log-json`).
static AS_JSON: AtomicBool = AtomicBool::new(false);

/// Each message of this process is a JSON object from now on.
pub fn write_json() {
    AS_JSON.store(true, Ordering::Relaxed);
}

/// A message as an object; one that is an object stays as it is.
fn object(message: &[u8]) -> Vec<u8> {
    static FORM: LazyLock<encoder::Encoder> = LazyLock::new(encoder::Encoder::object);
    FORM.encode(message.to_vec())
}

/// Puts a time stamp in front of each message of the server (`--log-date[=strftime format]`).
pub fn stamp_lines(format: Option<&str>) {
    // uWSGI's own default, "Sat Nov 21 09:00:00 2026 - "; a format of the user's is used as it is
    let stamp = format.map_or_else(|| "%a %b %d %H:%M:%S %Y - ".to_owned(), |f| format!("{f} - "));
    let _ = STAMP.set(std::ffi::CString::new(stamp).unwrap_or_default());
    if let Some(format) = format {
        let _ = STAMP_FORMAT.set(std::ffi::CString::new(format).unwrap_or_default());
    }
}

/// The strftime format that `--log-date` names, if it names one.
pub fn stamp_format() -> Option<&'static std::ffi::CStr> {
    STAMP_FORMAT.get().map(std::ffi::CString::as_c_str)
}

/// Writes one message with a newline.
pub fn line(text: &str) {
    let mut message = String::with_capacity(text.len() + 1);
    message.push_str(text);
    message.push('\n');
    write(message.as_bytes());
}

/// Writes a message of the server, stamped if `--log-date` says so.
pub fn write(message: &[u8]) {
    if AS_JSON.load(Ordering::Relaxed) {
        return sink::write(&object(message));
    }
    match STAMP.get() {
        Some(format) => {
            let mut stamped = strftime(format, crate::exports::now()).into_bytes();
            stamped.extend_from_slice(message);
            sink::write(&stamped);
        }
        None => sink::write(message),
    }
}

/// Writes a message with a time stamp in any case.
pub fn write_stamped(message: &[u8]) {
    if STAMP.get().is_some() || AS_JSON.load(Ordering::Relaxed) {
        return write(message);
    }
    let mut stamped = strftime(c"%a %b %d %H:%M:%S %Y - ", crate::exports::now()).into_bytes();
    stamped.extend_from_slice(message);
    sink::write(&stamped);
}

/// Local time by a strftime format.
pub fn strftime(format: &std::ffi::CStr, seconds: i64) -> String {
    let mut out = [0u8; 256];
    // SAFETY: the places are ours and as large as stated.
    let len = unsafe {
        let mut parts: libc::tm = std::mem::zeroed();
        libc::localtime_r(&seconds, &mut parts);
        libc::strftime(out.as_mut_ptr().cast(), out.len(), format.as_ptr(), &parts)
    };
    String::from_utf8_lossy(&out[..len]).into_owned()
}

/// The same for request lines, which come many times a second: a thread makes the text of a second once.
fn date(out: &mut Vec<u8>, format: &'static std::ffi::CStr, seconds: i64) {
    thread_local! {
        static LAST: RefCell<(*const c_char, i64, String)> = const { RefCell::new((std::ptr::null(), 0, String::new())) };
    }
    LAST.with_borrow_mut(|(of, second, text)| {
        // formats live for ever: one place, one format
        if (*of, *second) != (format.as_ptr(), seconds) {
            (*of, *second, *text) = (format.as_ptr(), seconds, strftime(format, seconds));
        }
        out.extend_from_slice(text.as_bytes());
    });
}

/// [`line`] with a format, for the many places that build their text.
pub fn lines(text: Arguments<'_>) {
    line(&text.to_string());
}

/// `say!("...", ...)`: a line to the server's log.
#[macro_export]
macro_rules! say {
    ($($arg:tt)*) => { $crate::log::lines(format_args!($($arg)*)) };
}
