//! How many connections wait at a listening socket, and how many may: TCP tells it by a socket option, for unix
//! sockets the kernel's socket diagnosis (sock_diag(7)) is asked.

use super::listener::Listener;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
use nix::sys::stat::fstat;
use std::os::fd::{AsFd, AsRawFd};

/// Connections that wait to be accepted, and the bound; (0, the bound that was asked for) where the kernel does not
/// tell.
pub fn queue_of(listener: &Listener) -> (u32, u32) {
    let known = if listener.is_tcp() {
        tcp(listener)
    } else {
        unix(listener)
    };
    known.unwrap_or((0, listener.backlog.unsigned_abs()))
}

fn tcp(listener: &Listener) -> Option<(u32, u32)> {
    // SAFETY: zero is valid for plain integers.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut size = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the place is ours and as large as stated.
    let rc = unsafe {
        libc::getsockopt(
            listener.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut size,
        )
    };
    // of a listening socket these two fields are the queue and its bound, see tcp(7)
    (rc == 0).then_some((info.tcpi_unacked, info.tcpi_sacked))
}

/// `SOCK_DIAG_BY_FAMILY` and `UDIAG_SHOW_RQLEN`, `UNIX_DIAG_RQLEN` of linux/sock_diag.h and linux/unix_diag.h.
const BY_FAMILY: u16 = 20;
const SHOW_QUEUE: u32 = 0x10;
const QUEUE: u16 = 4;
/// `struct nlmsghdr`, then `struct unix_diag_req`.
const REQUEST: usize = 16 + 24;
/// `struct nlmsghdr`, then `struct unix_diag_msg`; attributes follow.
const ANSWER: usize = 16 + 16;

fn unix(listener: &Listener) -> Option<(u32, u32)> {
    let inode = fstat(listener.as_fd()).ok()?.st_ino as u32;
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        SockProtocol::NetlinkSockDiag,
    )
    .ok()?;
    send(netlink.as_raw_fd(), &request(inode), MsgFlags::empty()).ok()?;
    let mut answer = [0u8; 512];
    // the kernel answers within the call that asks
    let n = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT).ok()?;
    queue_in(&answer[..n])
}

/// Asks for one socket by its inode, whatever cookie it has.
fn request(inode: u32) -> [u8; REQUEST] {
    let mut bytes = [0u8; REQUEST];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &(REQUEST as u32).to_ne_bytes());
    put(4, &BY_FAMILY.to_ne_bytes());
    put(6, &(libc::NLM_F_REQUEST as u16).to_ne_bytes());
    put(16, &[libc::AF_UNIX as u8]);
    put(20, &u32::MAX.to_ne_bytes());
    put(24, &inode.to_ne_bytes());
    put(28, &SHOW_QUEUE.to_ne_bytes());
    put(32, &u64::MAX.to_ne_bytes());
    bytes
}

/// The attribute with the queue, in the kernel's answer.
fn queue_in(answer: &[u8]) -> Option<(u32, u32)> {
    let word = |at: usize| Some(u32::from_ne_bytes(answer.get(at..at + 4)?.try_into().ok()?));
    let half = |at: usize| Some(u16::from_ne_bytes(answer.get(at..at + 2)?.try_into().ok()?));
    if half(4)? != BY_FAMILY {
        return None;
    }
    let mut at = ANSWER;
    loop {
        let (len, kind) = (usize::from(half(at)?), half(at + 2)?);
        if kind == QUEUE {
            return Some((word(at + 4)?, word(at + 8)?));
        }
        at += len.max(4).next_multiple_of(4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::address::Address;
    use crate::net::listener::BindOptions;
    use std::os::unix::net::UnixStream;

    fn listener(address: &str) -> Listener {
        let options = BindOptions {
            backlog: 7,
            ..BindOptions::default()
        };
        Listener::bind(&Address::parse(address, false).unwrap(), &options).unwrap()
    }

    #[test]
    fn waiting_clients_of_a_unix_socket_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        let listener = listener(path.to_str().unwrap());
        assert_eq!(queue_of(&listener), (0, 7));
        let _clients: Vec<_> = (0..3).map(|_| UnixStream::connect(&path).unwrap()).collect();
        assert_eq!(queue_of(&listener), (3, 7));
    }

    #[test]
    fn waiting_clients_of_a_tcp_socket_are_counted() {
        let listener = listener("127.0.0.1:0");
        let port: u16 = listener.name.rsplit(':').next().unwrap().parse().unwrap();
        let _clients: Vec<_> = (0..2)
            .map(|_| std::net::TcpStream::connect(("127.0.0.1", port)).unwrap())
            .collect();
        assert_eq!(queue_of(&listener), (2, 7));
    }

    #[test]
    fn an_answer_that_is_cut_off_tells_nothing() {
        assert_eq!(queue_in(&[]), None);
        let mut answer = vec![0u8; ANSWER];
        answer[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
        assert_eq!(queue_in(&answer), None);
        answer.extend([8, 0, 9, 0, 0, 0, 0, 0]);
        assert_eq!(queue_in(&answer), None);
    }
}
