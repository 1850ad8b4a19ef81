//! `--logger python:NAME` and `python:MODULE:FUNCTION`: lines of the log for Python, in the master. Called by the host's
//! thread for this logger.

use crate::{exception, gil, guarded, interpreter, py};
use rsgi_plugin_api::abi::UwsgiBuffer;
use rsgi_plugin_api::export;
use std::ffi::{CStr, c_char};
use std::sync::atomic::{AtomicBool, Ordering};

/// The master is about to serve. Before, applications are being loaded under the GIL by one thread while another hands
/// lines over: they would wait for each other.
static SERVES: AtomicBool = AtomicBool::new(false);

/// From now on lines reach Python.
pub fn begin() {
    SERVES.store(true, Ordering::Release);
}

/// A line: NULL, or why it is not written.
///
/// # Safety
/// The argument ends with NUL, and the line has so many bytes.
pub unsafe extern "C" fn log_line(argument: *const c_char, line: *const c_char, len: usize) -> *mut UwsgiBuffer {
    let failed = guarded("logger", None, || {
        if !SERVES.load(Ordering::Acquire) {
            return Some("Python takes lines when the server has started".to_owned());
        }
        if !gil::has_threads() {
            return Some("it needs a thread of its own, and --no-enable-threads forbids it".to_owned());
        }
        // SAFETY: by the contract.
        let (argument, line) = unsafe { (CStr::from_ptr(argument), std::slice::from_raw_parts(line.cast(), len)) };
        gil::with(|| write(argument.to_bytes(), line))
    });
    export::new_buffer(failed.map(String::into_bytes))
}

fn write(argument: &[u8], line: &[u8]) -> Option<String> {
    let why = py::path(argument)
        .and_then(|argument| Ok((argument, py::bytes(line)?)))
        .and_then(|(argument, line)| interpreter::support(c"log_line", &[&argument, &line]));
    match why {
        Ok(why) if why.is_none() => None,
        Ok(why) => Some(exception::lossy(&why)),
        // not printed: what is printed here comes back as a line
        Err(_) => Some(exception::take().map_or_else(|| "it failed".to_owned(), |e| e.text())),
    }
}
