//! The loggers that need no plugin: a file, a descriptor, standard output, datagrams, syslog. They have the form of
//! a plugin's logger and are called the same way; a plugin that offers the same name comes first.

use super::rotate;
use super::sink::{self, LoggerFn};
use crate::net::address::Address;
use rsgi_plugin_api::abi::UwsgiLogger;
use std::ffi::{CStr, CString, c_char};
use std::fs::OpenOptions;
use std::io;
use std::net::UdpSocket;
use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixDatagram;

/// Names and functions.
pub const LOGGERS: [(&str, LoggerFn); 5] = [
    ("file", file),
    ("fd", descriptor),
    ("stdio", stdio),
    ("socket", socket),
    ("syslog", syslog),
];

/// The function of a name.
pub fn find(name: &str) -> Option<LoggerFn> {
    LOGGERS.iter().find(|(known, _)| *known == name).map(|(_, func)| *func)
}

/// # Safety
/// The record is the host's, its argument NUL-terminated; `message` has `len` bytes. One call at a time.
unsafe fn parts<'a>(record: *mut UwsgiLogger, message: *mut c_char, len: usize) -> (&'a mut UwsgiLogger, &'a [u8]) {
    // SAFETY: by the contract.
    unsafe { (&mut *record, std::slice::from_raw_parts(message.cast(), len)) }
}

fn argument(record: &UwsgiLogger) -> String {
    // SAFETY: the host's record holds a NUL-terminated argument.
    unsafe { CStr::from_ptr(record.arg) }.to_string_lossy().into_owned()
}

/// The descriptor that `open` gives, opened once; a failure is said once, and the lines go to standard error.
fn opened(record: &mut UwsgiLogger, open: impl FnOnce(&str) -> io::Result<i32>) -> Option<i32> {
    if record.configured == 0 {
        record.configured = 1;
        let argument = argument(record);
        match open(&argument) {
            Ok(fd) => record.fd = fd,
            Err(e) => sink::original(format!("logger {argument}: {e}; its lines go to standard error\n").as_bytes()),
        }
    }
    (record.fd >= 0).then_some(record.fd)
}

fn write(fd: Option<i32>, message: &[u8]) -> isize {
    let Some(fd) = fd else { return -1 };
    sink::write_all(fd, message);
    message.len() as isize
}

unsafe extern "C" fn file(record: *mut UwsgiLogger, message: *mut c_char, len: usize) -> isize {
    // SAFETY: the host calls as `parts` asks.
    let (record, message) = unsafe { parts(record, message, len) };
    // moved away by somebody (logrotate): the name counts, not the file
    let path = argument(record);
    if record.configured != 0 && record.fd >= 0 && !rotate::is_in_place(record.fd, &path) {
        // SAFETY: opened below, used nowhere else.
        unsafe { libc::close(record.fd) };
        (record.configured, record.fd) = (0, -1);
    }
    let fd = opened(record, |path| {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map(IntoRawFd::into_raw_fd)
    });
    write(fd, message)
}

unsafe extern "C" fn descriptor(record: *mut UwsgiLogger, message: *mut c_char, len: usize) -> isize {
    // SAFETY: as above.
    let (record, message) = unsafe { parts(record, message, len) };
    let fd = opened(record, |number| match number.parse() {
        // these two lead into the pipe that this line came from
        Ok(1 | 2) => Ok(sink::last()),
        Ok(fd) => Ok(fd),
        Err(_) => Err(io::Error::other("no number of a descriptor")),
    });
    write(fd, message)
}

unsafe extern "C" fn stdio(record: *mut UwsgiLogger, message: *mut c_char, len: usize) -> isize {
    // SAFETY: as above.
    let (_, message) = unsafe { parts(record, message, len) };
    write(Some(sink::last()), message)
}

unsafe extern "C" fn socket(record: *mut UwsgiLogger, message: *mut c_char, len: usize) -> isize {
    // SAFETY: as above.
    let (record, message) = unsafe { parts(record, message, len) };
    let fd = opened(record, |argument| {
        // behind a comma stands text for the beginning of each line, in uWSGI
        let address = argument.split(',').next().unwrap_or_default();
        match Address::parse(address, false).map_err(io::Error::other)? {
            Address::Inet(inet) => {
                let any = if inet.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(any)?;
                socket.connect(inet)?;
                socket.set_nonblocking(true)?;
                Ok(socket.into_raw_fd())
            }
            Address::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                socket.set_nonblocking(true)?;
                Ok(socket.into_raw_fd())
            }
            _ => Err(io::Error::other("give host:port or the path of a datagram socket")),
        }
    });
    let Some(fd) = fd else { return -1 };
    for line in message.split_inclusive(|b| *b == b'\n') {
        // a datagram that nobody takes is lost, as datagrams are
        // SAFETY: pointer and length describe the line.
        unsafe {
            libc::send(
                fd,
                line.as_ptr().cast(),
                line.len(),
                libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT,
            )
        };
    }
    len as isize
}

unsafe extern "C" fn syslog(record: *mut UwsgiLogger, message: *mut c_char, len: usize) -> isize {
    // SAFETY: as above.
    let (record, message) = unsafe { parts(record, message, len) };
    if record.configured == 0 {
        record.configured = 1;
        let name = argument(record);
        let name = CString::new(if name.is_empty() { "rsgi" } else { &name }).unwrap_or_default();
        // SAFETY: syslog keeps the pointer: the text is never freed.
        unsafe { libc::openlog(name.into_raw(), 0, libc::LOG_DAEMON) };
    }
    for line in message.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let text = CString::new(line.to_vec()).unwrap_or_default();
        // SAFETY: a format of one text, and that text.
        unsafe { libc::syslog(libc::LOG_INFO, c"%s".as_ptr(), text.as_ptr()) };
    }
    len as isize
}
