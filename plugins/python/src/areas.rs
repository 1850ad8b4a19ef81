//! `--py-sharedarea BYTES`: uWSGI puts a bytearray behind such an area, which each process has a copy of. Here it is one
//! more area of the server, and what all processes write is seen by all.

use crate::options;
use rsgi_plugin_api::{log, sys};
use std::ffi::{CString, c_int};

/// In `configure`: each becomes a `--sharedarea`; -1: it cannot be (said).
pub fn configure() -> c_int {
    for bytes in options::all("py-sharedarea") {
        let bytes = bytes.to_string_lossy();
        let Ok(value) = CString::new(format!("size={bytes}")) else {
            return -1;
        };
        let origin = c"--py-sharedarea";
        // SAFETY: in the configure hook; the host copies all texts.
        let taken = unsafe {
            sys::rsgi_default_option(
                c"sharedarea".as_ptr(),
                value.as_ptr(),
                std::ptr::null(),
                origin.as_ptr(),
            )
        };
        match taken {
            1 => {}
            0 => {
                log::line(&format!(
                    "--py-sharedarea {bytes} beside --sharedarea: write --sharedarea size={bytes} in its place"
                ));
                return -1;
            }
            _ => return -1,
        }
    }
    0
}
