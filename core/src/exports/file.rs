//! Files and packets: is there one, what is in it.

use super::memory::{copy, uwsgi_malloc};
use super::{bytes, text};
use crate::net::wait;
use rsgi_plugin_api::abi::UwsgiHeader;
use rsgi_protocol::uwsgi::{HEADER_LEN, PacketHeader};
use std::ffi::{OsStr, c_char, c_int};
use std::io::{self, Read};
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::null_mut;
use std::time::Duration;

/// The path behind a C text.
///
/// # Safety
/// `path` is NULL or NUL-terminated, and unchanged while the result lives.
unsafe fn path<'a>(path: *const c_char) -> &'a Path {
    // SAFETY: by the contract.
    Path::new(OsStr::from_bytes(unsafe { text(path) }))
}

/// `errno` says why.
fn failed(error: &io::Error) {
    nix::Error::set_raw(error.raw_os_error().unwrap_or(libc::EIO));
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_file_exists(name: *mut c_char) -> c_int {
    // SAFETY: the header asks for a NUL-terminated path.
    let found = nix::unistd::access(unsafe { path(name) }, nix::unistd::AccessFlags::F_OK);
    c_int::from(found.is_ok())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_is_file(name: *mut c_char) -> c_int {
    // SAFETY: as above.
    c_int::from(unsafe { path(name) }.is_file())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_is_dir(name: *mut c_char) -> c_int {
    // SAFETY: as above.
    c_int::from(unsafe { path(name) }.is_dir())
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_get_cwd() -> *mut c_char {
    copy(std::env::current_dir().unwrap_or_default().as_os_str().as_bytes())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_expand_path(name: *mut c_char, len: c_int, result: *mut c_char) -> *mut c_char {
    // SAFETY: the header asks for a text with its length.
    let name = Path::new(OsStr::from_bytes(unsafe { bytes(name, len) }));
    let whole = match std::fs::canonicalize(name) {
        Ok(whole) => whole,
        Err(e) => {
            failed(&e);
            return null_mut();
        }
    };
    let whole = whole.as_os_str().as_bytes();
    if result.is_null() {
        return copy(whole);
    }
    let len = whole.len().min(libc::PATH_MAX as usize);
    // SAFETY: the header asks for PATH_MAX + 1 bytes.
    unsafe {
        std::ptr::copy_nonoverlapping(whole.as_ptr(), result.cast(), len);
        *result.add(len) = 0;
    }
    result
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_get_mime_type(name: *mut c_char, len: c_int, size: *mut usize) -> *mut c_char {
    // SAFETY: the header asks for a text with its length and a place.
    unsafe {
        let Some(kind) = crate::static_files::mime::type_of(bytes(name, len)) else {
            return null_mut();
        };
        *size = kind.len();
        kind.as_ptr().cast_mut().cast()
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_simple_file_read(name: *mut c_char) -> *mut c_char {
    // SAFETY: the header asks for a NUL-terminated path.
    match std::fs::read(unsafe { path(name) }) {
        Ok(content) => copy(&content),
        Err(e) => {
            failed(&e);
            null_mut()
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_read_fd(fd: c_int, size: *mut usize, add_zero: c_int) -> *mut c_char {
    let mut content = Vec::new();
    // SAFETY: the caller's descriptor, which is not closed here.
    let mut file = ManuallyDrop::new(unsafe { std::fs::File::from_raw_fd(fd) });
    if let Err(e) = file.read_to_end(&mut content) {
        failed(&e);
        return null_mut();
    }
    // SAFETY: the header asks for a place.
    unsafe { *size = content.len() + usize::from(add_zero != 0) };
    copy(&content)
}

/// Seconds of the C API; 0 and less: `--socket-timeout`.
fn limit(seconds: c_int) -> Duration {
    match u64::try_from(seconds) {
        Ok(n) if n > 0 => Duration::from_secs(n),
        _ => crate::server::socket_limit(),
    }
}

/// Fills the whole room, which begins to come in time.
fn receive(fd: c_int, room: &mut [u8], timeout: c_int) -> io::Result<()> {
    if room.is_empty() {
        return Ok(());
    }
    wait::readable(fd, limit(timeout))?;
    wait::read_exact(fd, room, limit(timeout))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_read_with_realloc(
    fd: c_int,
    buf: *mut *mut c_char,
    len: *mut usize,
    timeout: c_int,
    modifier1: *mut u8,
    modifier2: *mut u8,
) -> c_int {
    let mut head = [0; HEADER_LEN];
    if receive(fd, &mut head, timeout).is_err() {
        return -1;
    }
    let head = PacketHeader::parse(head);
    let size = usize::from(head.size);
    // SAFETY: the header asks for memory of malloc() and its size, and for places or NULL.
    unsafe {
        if size > *len || (*buf).is_null() {
            let larger = libc::realloc((*buf).cast(), size.max(1));
            if larger.is_null() {
                return -1;
            }
            *buf = larger.cast();
        }
        *len = size;
        if !modifier1.is_null() {
            *modifier1 = head.modifier1;
        }
        if !modifier2.is_null() {
            *modifier2 = head.modifier2;
        }
        let room = std::slice::from_raw_parts_mut((*buf).cast::<u8>(), size);
        if receive(fd, room, timeout).is_err() { -1 } else { 0 }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_read_response(
    fd: c_int,
    header: *mut UwsgiHeader,
    timeout: c_int,
    buf: *mut *mut c_char,
) -> c_int {
    let code = |e: io::Error| match e.kind() {
        io::ErrorKind::TimedOut => -2,
        _ => -1,
    };
    let mut head = [0; HEADER_LEN];
    if let Err(e) = receive(fd, &mut head, timeout) {
        return code(e);
    }
    let head = PacketHeader::parse(head);
    let size = usize::from(head.size);
    // SAFETY: the header asks for places, and for room when there is a buffer.
    unsafe {
        (*header).modifier1 = head.modifier1;
        (*header).pktsize = head.size;
        (*header).modifier2 = head.modifier2;
        if size > 0 && (*buf).is_null() {
            *buf = uwsgi_malloc(size).cast();
        }
        if size == 0 {
            return 0;
        }
        let room = std::slice::from_raw_parts_mut((*buf).cast::<u8>(), size);
        receive(fd, room, timeout).map_or_else(code, |()| 0)
    }
}
