//! The end of a listening socket without a reset for anybody: between the last `accept` and the `close` somebody may
//! always connect, and the kernel resets what nobody has accepted. So the socket first takes no new clients, then
//! what came before is accepted, and only then it is closed.

use super::listener::Listener;
use std::os::fd::AsRawFd;

/// From now on nobody new is let in; who was, is still to be accepted. A TCP client that comes now tries again after
/// a second, and is refused then or meets the next server; a unix client is refused at once.
pub fn refuse_new(listener: &Listener) {
    if listener.is_tcp() {
        drop_new_handshakes(listener.as_raw_fd());
    } else {
        // SAFETY: a plain call on an open descriptor: connect(2) fails from now on, accept(2) gives what waits.
        unsafe { libc::shutdown(listener.as_raw_fd(), libc::SHUT_RD) };
    }
}

/// Drops segments with SYN and without ACK; handshakes that have begun go on. Accepted connections inherit the
/// filter, where it finds nothing: they never get such a segment.
fn drop_new_handshakes(fd: i32) {
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    let op = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let mut program = [
        op(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, FLAGS, 0, 0),
        op(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, SYN | ACK, 0, 0),
        op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, SYN, 0, 1),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
        op(libc::BPF_RET | libc::BPF_K, u32::MAX, 0, 0),
    ];
    let program = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the program is complete and the kernel copies it. Where that is not allowed, the old gap remains.
    unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of_val(&program) as libc::socklen_t,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::address::Address;
    use crate::net::listener::BindOptions;
    use nix::sys::socket::{SockFlag, accept4};
    use std::io::ErrorKind;
    use std::net::{SocketAddr, TcpStream};
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    fn listener(address: &str) -> Listener {
        let options = BindOptions {
            backlog: 8,
            ..BindOptions::default()
        };
        Listener::bind(&Address::parse(address, false).unwrap(), &options).unwrap()
    }

    fn accepts(listener: &Listener) -> bool {
        match accept4(listener.as_raw_fd(), SockFlag::SOCK_NONBLOCK) {
            Ok(fd) => nix::unistd::close(fd).is_ok(),
            Err(_) => false,
        }
    }

    #[test]
    fn tcp_clients_that_came_before_are_accepted_and_later_ones_wait() {
        let listener = listener("127.0.0.1:0");
        let address: SocketAddr = listener.name.parse().unwrap();
        let _before = TcpStream::connect(address).unwrap();
        refuse_new(&listener);
        let late = TcpStream::connect_timeout(&address, Duration::from_millis(50));
        assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(accepts(&listener));
        assert!(!accepts(&listener));
        drop(listener);
        assert_eq!(
            TcpStream::connect(address).unwrap_err().kind(),
            ErrorKind::ConnectionRefused
        );
    }

    #[test]
    fn unix_clients_that_came_before_are_accepted_and_later_ones_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        let listener = listener(path.to_str().unwrap());
        let _before = UnixStream::connect(&path).unwrap();
        refuse_new(&listener);
        assert_eq!(
            UnixStream::connect(&path).unwrap_err().kind(),
            ErrorKind::ConnectionRefused
        );
        assert!(accepts(&listener));
        assert!(!accepts(&listener));
    }
}
