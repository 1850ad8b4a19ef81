//! Sockets of a plugin's own: listening, datagrams, their names.

use super::{bytes, text};
use crate::net::address::Address;
use crate::net::connect::set_nonblocking;
use crate::net::listener::{BindOptions, Listener, socket_name, somaxconn};
use crate::net::of_plugins;
use crate::say;
use crate::server::{try_server, view};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, UnixAddr, sockopt};
use rsgi_plugin_api::abi::UwsgiSocket;
use std::ffi::{c_char, c_int};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};

/// What `--listen` says, or a plugin.
fn backlog(queue: c_int) -> i32 {
    match queue {
        n if n > 0 => n,
        // SAFETY: written in the single-threaded start only.
        _ => match unsafe { (*view()).listen_queue } {
            n if n > 0 => n,
            _ => somaxconn(),
        },
    }
}

fn listen(address: &Address, options: &BindOptions) -> c_int {
    let make = || Listener::bind(address, options).map(Listener::into_fd);
    match of_plugins::socket(&address.to_string(), SockType::Stream, make) {
        Ok(fd) => {
            let fd = fd.into_raw_fd();
            set_nonblocking(fd, false);
            fd
        }
        Err(e) => {
            say!("{e}");
            -1
        }
    }
}

/// Reads `host:port`.
///
/// # Safety
/// `name` is NULL or NUL-terminated.
unsafe fn inet(name: *const c_char) -> Option<SocketAddr> {
    // SAFETY: by the contract.
    let name = String::from_utf8_lossy(unsafe { text(name) });
    match Address::parse(&name, false) {
        Ok(Address::Inet(address)) => Some(address),
        Ok(_) => {
            say!("\"{name}\" is no address of the form host:port");
            None
        }
        Err(e) => {
            say!("{e}");
            None
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bind_to_tcp(name: *mut c_char, queue: c_int, _colon: *mut c_char) -> c_int {
    let options = BindOptions {
        backlog: backlog(queue),
        ..BindOptions::default()
    };
    // SAFETY: the header asks for a NUL-terminated name.
    unsafe { inet(name) }.map_or(-1, |address| listen(&Address::Inet(address), &options))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bind_to_unix(name: *mut c_char, queue: c_int, chmod: c_int, is_abstract: c_int) -> c_int {
    // SAFETY: the header asks for a NUL-terminated name.
    let name = String::from_utf8_lossy(unsafe { text(name) }).into_owned();
    let address = match name.strip_prefix('@') {
        Some(rest) => Address::Abstract(rest.into()),
        None if is_abstract != 0 => Address::Abstract(name.into_bytes()),
        None => Address::Unix(name.into()),
    };
    let options = BindOptions {
        backlog: backlog(queue),
        mode: (chmod != 0).then_some(0o666),
        ..BindOptions::default()
    };
    listen(&address, &options)
}

fn datagrams(family: AddressFamily) -> nix::Result<OwnedFd> {
    socket::socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
}

fn datagrams_for(address: SocketAddr) -> nix::Result<OwnedFd> {
    datagrams(match address {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    })
}

/// The descriptor for datagrams, or -1 with the reason in the log.
fn given(what: &str, make: impl FnOnce() -> nix::Result<OwnedFd>) -> c_int {
    match of_plugins::socket(what, SockType::Datagram, make) {
        Ok(fd) => fd.into_raw_fd(),
        Err(e) => {
            say!("cannot listen on {what}: {}", e.desc());
            -1
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bind_to_udp(name: *mut c_char, multicast: c_int, broadcast: c_int) -> c_int {
    // SAFETY: the header asks for a NUL-terminated name.
    let Some(address) = (unsafe { inet(name) }) else {
        return -1;
    };
    let make = || {
        let fd = datagrams_for(address)?;
        if multicast != 0 || broadcast != 0 {
            socket::setsockopt(&fd, sockopt::ReuseAddr, &true)?;
        }
        if broadcast != 0 {
            socket::setsockopt(&fd, sockopt::Broadcast, &true)?;
        }
        match address {
            SocketAddr::V4(v4) => {
                socket::bind(fd.as_raw_fd(), &SockaddrIn::from(v4))?;
                if multicast != 0 {
                    let group = libc::ip_mreq {
                        imr_multiaddr: libc::in_addr {
                            s_addr: u32::from(*v4.ip()).to_be(),
                        },
                        imr_interface: libc::in_addr { s_addr: 0 },
                    };
                    socket::setsockopt(&fd, sockopt::IpAddMembership, &group_of(group))?;
                }
            }
            SocketAddr::V6(v6) => socket::bind(fd.as_raw_fd(), &SockaddrIn6::from(v6))?,
        }
        Ok(fd)
    };
    given(&address.to_string(), make)
}

fn group_of(raw: libc::ip_mreq) -> socket::IpMembershipRequest {
    let group = std::net::Ipv4Addr::from(u32::from_be(raw.imr_multiaddr.s_addr));
    socket::IpMembershipRequest::new(group, None)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bind_to_unix_dgram(name: *mut c_char) -> c_int {
    // SAFETY: the header asks for a NUL-terminated name.
    let name = String::from_utf8_lossy(unsafe { text(name) }).into_owned();
    let make = || {
        let address = match name.strip_prefix('@') {
            Some(rest) => UnixAddr::new_abstract(rest.as_bytes())?,
            None => {
                // what a server that was killed has left
                let _ = std::fs::remove_file(&name);
                UnixAddr::new(name.as_str())?
            }
        };
        let fd = datagrams(AddressFamily::Unix)?;
        socket::bind(fd.as_raw_fd(), &address)?;
        Ok(fd)
    };
    given(&name, make)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_connect_udp(name: *mut c_char) -> c_int {
    // SAFETY: the header asks for a NUL-terminated name.
    let Some(address) = (unsafe { inet(name) }) else {
        nix::Error::set_raw(libc::EINVAL);
        return -1;
    };
    let make = || {
        let fd = datagrams_for(address)?;
        match address {
            SocketAddr::V4(v4) => socket::connect(fd.as_raw_fd(), &SockaddrIn::from(v4))?,
            SocketAddr::V6(v6) => socket::connect(fd.as_raw_fd(), &SockaddrIn6::from(v6))?,
        }
        nix::Result::Ok(fd)
    };
    match make() {
        Ok(fd) => fd.into_raw_fd(),
        Err(e) => {
            nix::Error::set_raw(e as i32);
            -1
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uwsgi_connectn(address: *mut c_char, len: u16, timeout: c_int, nonblocking: c_int) -> c_int {
    // SAFETY: the header asks for a text with its length.
    let name = crate::server::keep(unsafe { bytes(address, len) });
    // SAFETY: a new text, which is given back below.
    unsafe {
        let fd = super::socket::uwsgi_connect(name, timeout, nonblocking);
        let errno = nix::Error::last_raw();
        drop(std::ffi::CString::from_raw(name));
        nix::Error::set_raw(errno);
        fd
    }
}

/// The descriptor, if it is one.
fn borrowed<'a>(fd: c_int) -> Option<BorrowedFd<'a>> {
    // SAFETY: the caller's descriptor, for the length of a call; the kernel judges it.
    (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_getsockname(fd: c_int) -> *mut c_char {
    let name = borrowed(fd).map(socket_name).filter(|name| !name.starts_with("fd://"));
    name.map_or(std::ptr::null_mut(), |name| super::string::new_text(name.as_bytes()))
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_socket_passcred(fd: c_int) -> c_int {
    let set = borrowed(fd).map(|fd| socket::setsockopt(&fd, sockopt::PassCred, &true));
    if matches!(set, Some(Ok(()))) { 0 } else { -1 }
}

#[unsafe(no_mangle)]
pub extern "C" fn uwsgi_get_socket_by_num(number: c_int) -> *mut UwsgiSocket {
    if try_server().is_none() {
        return std::ptr::null_mut();
    }
    // SAFETY: records of the start, which stay; the list ends with NULL.
    unsafe {
        let mut socket = (*view()).sockets;
        for _ in 0..number {
            if socket.is_null() {
                break;
            }
            socket = (*socket).next;
        }
        if number < 0 { std::ptr::null_mut() } else { socket }
    }
}
