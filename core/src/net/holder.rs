//! Who listens on a TCP port, told from /proc: for the message that an address is in use.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A process that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its pid; `None`: a process that we may not look into.
    pub pid: Option<u32>,
    /// Its name, as ps shows it.
    pub name: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "pid {pid} ({}) has it", self.name),
            None => f.write_str("a process of another user has it"),
        }
    }
}

/// The process that would keep a socket from being bound to this address.
pub fn of(address: SocketAddr) -> Option<Holder> {
    if address.port() == 0 {
        return None;
    }
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().find_map(|table| {
        let text = std::fs::read_to_string(table).ok()?;
        text.lines().skip(1).find_map(|line| inode_of(line, address))
    })?;
    let unknown = Holder {
        pid: None,
        name: String::new(),
    };
    Some(process_of(&inode).unwrap_or(unknown))
}

/// The inode in a line of /proc/net/tcp, if it is a listener in the way of `wanted`.
fn inode_of(line: &str, wanted: SocketAddr) -> Option<String> {
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    // a listening socket
    if fields.nth(1)? != "0A" {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    let taken = address_of(address)?;
    let is_in_the_way = taken == wanted.ip() || taken.is_unspecified() || wanted.ip().is_unspecified();
    let is_port = u16::from_str_radix(port, 16).ok()? == wanted.port();
    (is_port && is_in_the_way).then(|| fields.nth(5).map(str::to_owned))?
}

/// Words of four bytes in the machine's order.
fn address_of(hex: &str) -> Option<IpAddr> {
    let mut bytes = Vec::new();
    for at in (0..hex.len()).step_by(8) {
        let word = u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(|b| Ipv4Addr::from(b).into()),
        16 => <[u8; 16]>::try_from(bytes)
            .ok()
            .map(|b| Ipv6Addr::from(b).to_canonical()),
        _ => None,
    }
}

/// The process that has the socket open; of a server with many, the one with the lowest pid.
fn process_of(inode: &str) -> Option<Holder> {
    let wanted = format!("socket:[{inode}]");
    let mut pids: Vec<u32> = std::fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    let pid = pids.into_iter().find(|pid| {
        let links = std::fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten()
            .flatten();
        links
            .filter_map(|entry| std::fs::read_link(entry.path()).ok())
            .any(|link| link.as_os_str() == wanted.as_str())
    })?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(Holder {
        pid: Some(pid),
        name: name.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn our_own_listener_is_found_and_a_free_port_is_free() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(of(address).and_then(|h| h.pid), Some(std::process::id()));
        let everywhere = SocketAddr::from(([0, 0, 0, 0], address.port()));
        assert_eq!(of(everywhere).and_then(|h| h.pid), Some(std::process::id()));
        let elsewhere = SocketAddr::from(([127, 0, 0, 9], address.port()));
        assert_eq!(of(elsewhere), None);
        drop(listener);
        assert_eq!(of(address), None);
    }

    #[test]
    fn lines_are_read_and_noise_is_not() {
        assert_eq!(address_of("0100007F"), Some(IpAddr::from([127, 0, 0, 1])));
        assert_eq!(
            address_of("00000000000000000000000001000000"),
            Some(IpAddr::V6(Ipv6Addr::LOCALHOST))
        );
        assert_eq!(address_of("xyz"), None);
        assert_eq!(inode_of("", SocketAddr::from(([0, 0, 0, 0], 1))), None);
    }
}
