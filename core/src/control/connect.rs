//! Connections from a command line to a server, of whatever kind its address is.

use crate::config::system_message;
use crate::net::address::Address;
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Longer no connection takes.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// Connects; the error says why nobody is there.
pub fn connect(text: &str) -> Result<File, String> {
    let nobody = |e: io::Error| system_message(&e);
    let fd: OwnedFd = match Address::parse(text, false).map_err(|e| e.to_string())? {
        Address::Inet(mut inet) => {
            if inet.ip().is_unspecified() {
                inet = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), inet.port());
            }
            TcpStream::connect_timeout(&inet, PATIENCE).map_err(nobody)?.into()
        }
        Address::Unix(path) => UnixStream::connect(path).map_err(nobody)?.into(),
        Address::Abstract(name) => {
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name).map_err(nobody)?;
            UnixStream::connect_addr(&address).map_err(nobody)?.into()
        }
        _ => return Err("give host:port, :port or the path of a socket".into()),
    };
    Ok(File::from(fd))
}
