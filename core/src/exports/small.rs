//! Small things that plugins ask for: a descriptor, a word, a figure.

use super::memory::copy;
use super::{bytes, text};
use crate::request::response::{self, ResponseError};
use crate::request::{Core, place};
use crate::sharedarea;
use nix::fcntl::OFlag;
use nix::sys::socket::{SockFlag, accept4};
use rsgi_plugin_api::abi::{UwsgiOption, UwsgiPlugin, WsgiRequest};
use std::ffi::{c_char, c_int};
use std::os::fd::IntoRawFd;

/// What a gzip document begins with: deflate, no name, no time, from Unix.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static gzheader: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_additional_header_add(req: *mut WsgiRequest, line: *mut c_char, len: u16) {
    // SAFETY: the header asks for a request of ours and a text with its length.
    let (core, line) = unsafe { (Core::of(req), bytes(line, len)) };
    let at = line.iter().position(|b| *b == b':').unwrap_or(line.len());
    let (name, value) = (&line[..at], line.get(at + 1..).unwrap_or_default());
    core.routing.add_header(name.trim_ascii(), value.trim_ascii());
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_metric_getn(name: *mut c_char, len: usize, oid: *mut c_char, oid_len: usize) -> i64 {
    // SAFETY: the header asks for texts with their lengths, or NULL.
    let [name, oid] = unsafe { [bytes(name, len), bytes(oid, oid_len)] };
    let lossy = |text| std::str::from_utf8(text).unwrap_or_default();
    crate::metrics::value(lossy(name), lossy(oid)).unwrap_or(0)
}

type Send = unsafe extern "C" fn(*mut WsgiRequest, *mut c_char, usize) -> c_int;

/// Sends a part of a shared area.
///
/// # Safety
/// `req` is a request of ours.
unsafe fn send_area(send: Send, req: *mut WsgiRequest, id: c_int, pos: u64, len: u64) -> c_int {
    // a copy: the client may be slow, and the area's lock is everybody's
    let copied = sharedarea::area(id).and_then(|area| {
        // SAFETY: `with` has checked the area.
        let copy = |from: *mut u8| unsafe { std::slice::from_raw_parts(from, len as usize).to_vec() };
        area.with(pos, len, copy).ok()
    });
    // SAFETY: by the contract.
    copied.map_or(-1, |mut text| unsafe {
        send(req, text.as_mut_ptr().cast(), text.len())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_websocket_send_from_sharedarea(
    req: *mut WsgiRequest,
    id: c_int,
    pos: u64,
    len: u64,
) -> c_int {
    // SAFETY: the header asks for a request of ours.
    unsafe { send_area(super::websocket::uwsgi_websocket_send, req, id, pos, len) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_websocket_send_binary_from_sharedarea(
    req: *mut WsgiRequest,
    id: c_int,
    pos: u64,
    len: u64,
) -> c_int {
    // SAFETY: the header asks for a request of ours.
    unsafe { send_area(super::websocket::uwsgi_websocket_send_binary, req, id, pos, len) }
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_sharedarea_update(id: c_int) -> c_int {
    let Some(area) = sharedarea::area(id) else { return -1 };
    // SAFETY: records are never freed.
    unsafe { (*sharedarea::record(id, &area)).updates += 1 };
    0
}

fn outcome(sent: Result<(), ResponseError>) -> c_int {
    if sent.is_ok() { 0 } else { -1 }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_offload_request_memory_do(req: *mut WsgiRequest, buf: *mut c_char, len: usize) -> c_int {
    // SAFETY: the header asks for a request of ours, and memory of malloc() with its length.
    unsafe {
        let sent = response::write(Core::of(req), &[place(bytes(buf, len))], false);
        libc::free(buf.cast());
        outcome(sent)
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_offload_request_sendfile_do(
    req: *mut WsgiRequest,
    fd: c_int,
    pos: usize,
    len: usize,
) -> c_int {
    // SAFETY: the header asks for a request of ours and a descriptor to give away.
    outcome(response::send_file(
        unsafe { Core::of(req) },
        fd,
        pos as u64,
        len as u64,
    ))
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_sendfile_do(out: c_int, input: c_int, pos: usize, len: usize) -> isize {
    let mut at = pos as libc::off_t;
    // SAFETY: a place of ours; the kernel judges the descriptors.
    unsafe { libc::sendfile(out, input, &mut at, len) }
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_tmpfd() -> c_int {
    let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o600);
    match nix::fcntl::open(&std::env::temp_dir(), flags, mode) {
        Ok(fd) => fd.into_raw_fd(),
        Err(e) => {
            nix::Error::set_raw(e as i32);
            -1
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_fcntl_lock(fd: c_int) -> c_int {
    // SAFETY: zero is valid for the struct, which is ours.
    unsafe {
        let mut lock: libc::flock = std::mem::zeroed();
        lock.l_type = libc::F_WRLCK as libc::c_short;
        lock.l_whence = libc::SEEK_SET as libc::c_short;
        libc::fcntl(fd, libc::F_SETLKW, &lock)
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_is_connected(fd: c_int) -> c_int {
    let mut byte = 0u8;
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    // SAFETY: a byte of ours; the kernel judges the descriptor.
    let read = unsafe { libc::recv(fd, (&raw mut byte).cast(), 1, flags) };
    c_int::from(read > 0 || (read < 0 && nix::Error::last() == nix::Error::EAGAIN))
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_accept(fd: c_int) -> c_int {
    let fd = crate::worker::engine::listener_behind(fd);
    accept4(fd, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC).unwrap_or_else(|e| {
        nix::Error::set_raw(e as i32);
        -1
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_protected_close(fd: c_int) {
    let errno = nix::Error::last_raw();
    // SAFETY: the caller's descriptor.
    unsafe { libc::close(fd) };
    nix::Error::set_raw(errno);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_exec_command_with_args(command: *mut c_char) {
    use std::os::unix::process::CommandExt;
    // SAFETY: the header asks for a NUL-terminated text.
    let command = String::from_utf8_lossy(unsafe { text(command) }).into_owned();
    let mut words = command.split_whitespace();
    let failed = std::process::Command::new(words.next().unwrap_or_default())
        .args(words)
        .exec();
    crate::say!("cannot run \"{command}\": {failed}");
    // SAFETY: ends this process; what the host would do at its end is not this child's.
    unsafe { libc::_exit(1) }
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_binsh() -> *mut c_char {
    c"/bin/sh".as_ptr().cast_mut()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_memusage(resident: *mut u64, address_space: *mut u64) {
    let (rss, vsz) = crate::process::memory(std::process::id()).unwrap_or_default();
    // SAFETY: the header asks for two places.
    unsafe {
        *resident = rss;
        *address_space = vsz;
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_plugin_get(name: *const c_char) -> *mut UwsgiPlugin {
    // SAFETY: the header asks for a NUL-terminated name.
    let name = unsafe { text(name) };
    let registry = crate::plugin::registry::registry();
    let found = registry.plugins().iter().find(|p| p.name().as_bytes() == name);
    found.map_or(std::ptr::null_mut(), |p| std::ptr::from_ref(p.copy).cast_mut())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_count_options(row: *mut UwsgiOption) -> c_int {
    let mut count = 0;
    // SAFETY: the header asks for a table, which ends with a row without a name.
    unsafe {
        while !row.is_null() && !(*row.add(count)).name.is_null() {
            count += 1;
        }
    }
    count as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_list_has_str(words: *mut c_char, word: *mut c_char) -> c_int {
    // SAFETY: the header asks for NUL-terminated texts.
    let (words, word) = unsafe { (text(words), text(word)) };
    c_int::from(words.split(|b| *b == b' ').any(|one| one == word))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_concat2nn(
    one: *mut c_char,
    one_len: c_int,
    two: *mut c_char,
    two_len: c_int,
    len: *mut c_int,
) -> *mut c_char {
    // SAFETY: the header asks for texts with their lengths, and a place.
    unsafe {
        let both = [bytes(one, one_len), bytes(two, two_len)].concat();
        *len = both.len() as c_int;
        copy(&both)
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_legion_i_am_the_lord(_name: *mut c_char) -> c_int {
    0
}
