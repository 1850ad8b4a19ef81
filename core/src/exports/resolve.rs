//! Names of hosts to addresses, for plugins that open sockets of their own (loggers mostly).

use super::{bytes, text};
use libc::{AF_INET, AF_UNIX, in_addr, sockaddr_in, sockaddr_un, socklen_t};
use std::cell::RefCell;
use std::ffi::{CString, c_char, c_int};
use std::mem::offset_of;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};

thread_local! {
    /// The last answer of `uwsgi_resolve_ip`.
    static RESOLVED: RefCell<CString> = RefCell::default();
}

/// The first IPv4 address of a host, which may be written as one.
fn resolve(host: &[u8]) -> Option<Ipv4Addr> {
    let host = std::str::from_utf8(host).ok()?;
    (host, 0).to_socket_addrs().ok()?.find_map(|address| match address {
        SocketAddr::V4(v4) => Some(*v4.ip()),
        SocketAddr::V6(_) => None,
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_resolve_ip(host: *mut c_char) -> *mut c_char {
    // SAFETY: the header asks for a NUL-terminated name.
    let Some(ip) = resolve(unsafe { text(host) }) else {
        return std::ptr::null_mut();
    };
    RESOLVED.with_borrow_mut(|last| {
        *last = CString::new(ip.to_string()).unwrap_or_default();
        last.as_ptr().cast_mut()
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_to_in_addr(
    name: *mut c_char,
    colon: *mut c_char,
    port: c_int,
    out: *mut sockaddr_in,
) -> socklen_t {
    // SAFETY: the header asks for a NUL-terminated name, and for `colon` to be NULL or to point at a byte of it.
    let (host, port) = unsafe {
        match colon.is_null() {
            true => (text(name), port),
            false => (bytes(name, colon.offset_from(name)), libc::atoi(colon.add(1))),
        }
    };
    let ip = match host {
        [] => Ipv4Addr::UNSPECIFIED,
        // what cannot be resolved is the address that no connection reaches, as inet_addr() has it
        host => resolve(host).unwrap_or(Ipv4Addr::BROADCAST),
    };
    // SAFETY: the header asks for room for one address; all-zero is a valid one.
    unsafe {
        let mut address: sockaddr_in = std::mem::zeroed();
        address.sin_family = AF_INET as libc::sa_family_t;
        address.sin_port = (port as u16).to_be();
        address.sin_addr = in_addr {
            s_addr: u32::from_ne_bytes(ip.octets()),
        };
        *out = address;
    }
    size_of::<sockaddr_in>() as socklen_t
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn socket_to_un_addr(name: *mut c_char, out: *mut sockaddr_un) -> socklen_t {
    // SAFETY: the header asks for a NUL-terminated name.
    let name = unsafe { text(name) };
    let abstract_name = name.strip_prefix(b"@").or(name.strip_prefix(br"\0"));
    // SAFETY: the header asks for room for one address; all-zero is a valid one.
    let address = unsafe {
        out.write(std::mem::zeroed());
        &mut *out
    };
    address.sun_family = AF_UNIX as libc::sa_family_t;
    let (first, name) = match abstract_name {
        Some(name) => (1, name),
        None => (0, name),
    };
    // one byte is left for the NUL of a path
    let room = address.sun_path.len() - 1 - first;
    let name = &name[..name.len().min(room)];
    for (to, from) in address.sun_path[first..].iter_mut().zip(name) {
        *to = *from as c_char;
    }
    (offset_of!(sockaddr_un, sun_path) + first + name.len()) as socklen_t
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(name: &str, with_colon: bool, port: c_int) -> (Ipv4Addr, u16) {
        let name = CString::new(name).unwrap();
        let start = name.as_ptr().cast_mut();
        let at = name.to_bytes().iter().rposition(|b| *b == b':').unwrap_or(0);
        // SAFETY: a NUL-terminated text, a byte of it, room for one address.
        unsafe {
            let colon = if with_colon {
                start.add(at)
            } else {
                std::ptr::null_mut()
            };
            let mut out: sockaddr_in = std::mem::zeroed();
            let len = socket_to_in_addr(start, colon, port, &mut out);
            assert_eq!(
                (len as usize, c_int::from(out.sin_family)),
                (size_of::<sockaddr_in>(), AF_INET)
            );
            (
                Ipv4Addr::from(out.sin_addr.s_addr.to_ne_bytes()),
                u16::from_be(out.sin_port),
            )
        }
    }

    #[test]
    fn hosts_and_ports() {
        assert_eq!(address("127.0.0.2:514", true, 7), (Ipv4Addr::new(127, 0, 0, 2), 514));
        assert_eq!(address(":80", true, 7), (Ipv4Addr::UNSPECIFIED, 80));
        assert_eq!(address("10.1.2.3", false, 6514), (Ipv4Addr::new(10, 1, 2, 3), 6514));
        assert_eq!(address("not a host:1", true, 0), (Ipv4Addr::BROADCAST, 1));
    }

    #[test]
    fn paths_and_abstract_names() {
        let unix = |name: &str| {
            let name = CString::new(name).unwrap();
            // SAFETY: a NUL-terminated text, room for one address.
            unsafe {
                let mut out: sockaddr_un = std::mem::zeroed();
                let len = socket_to_un_addr(name.as_ptr().cast_mut(), &mut out) as usize;
                assert_eq!(c_int::from(out.sun_family), AF_UNIX);
                let len = len - offset_of!(sockaddr_un, sun_path);
                out.sun_path[..len].iter().map(|b| *b as u8).collect::<Vec<u8>>()
            }
        };
        assert_eq!(unix("/dev/log"), b"/dev/log");
        assert_eq!(unix("@hidden"), b"\0hidden");
        assert_eq!(unix(r"\0hidden"), b"\0hidden");
        assert_eq!(unix(&"x".repeat(300)).len(), 107);
        assert_eq!(unix(&"@".repeat(300)).len(), 107);
    }

    #[test]
    fn names_are_resolved() {
        let resolved = |name: &std::ffi::CStr| {
            // SAFETY: a NUL-terminated name; the answer is read before the next call.
            unsafe {
                let answer = uwsgi_resolve_ip(name.as_ptr().cast_mut());
                (!answer.is_null()).then(|| std::ffi::CStr::from_ptr(answer).to_owned())
            }
        };
        assert_eq!(resolved(c"127.0.0.9").as_deref(), Some(c"127.0.0.9"));
        assert_eq!(resolved(c"localhost").as_deref(), Some(c"127.0.0.1"));
        assert_eq!(resolved(c"not a host"), None);
    }
}
