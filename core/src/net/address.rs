//! Listening addresses as uWSGI's socket options spell them.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

/// Where to listen or connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `host:port`, `:port`, `*:port`, `[v6]:port`; port 0 lets the kernel choose.
    Inet(SocketAddr),
    /// A path.
    Unix(PathBuf),
    /// `@name`: the abstract namespace of Linux.
    Abstract(Vec<u8>),
    /// `=N`: the Nth `--shared-socket`.
    Shared(usize),
    /// `fd://N`: an inherited descriptor.
    Descriptor(i32),
}

/// Why an address cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AddressError {
    /// The port is not a number from 0 to 65535.
    #[error("bad port {port:?} in the address {address:?}: give a number from 0 to 65535")]
    Port {
        /// the whole text
        address: String,
        /// its port
        port: String,
    },
    /// The host name means nothing here.
    #[error("cannot resolve the host {host:?} of the address {address:?}: {reason}")]
    Host {
        /// the whole text
        address: String,
        /// its host
        host: String,
        /// the resolver's words
        reason: String,
    },
    /// `=N` without a number.
    #[error("{0:?} is no shared socket: write =0 for the first --shared-socket")]
    Shared(String),
    /// Nothing at all.
    #[error("empty address: give host:port, :port or a path")]
    Empty,
}

impl Address {
    /// Reads an address; `abstract_names` makes plain names abstract (`--abstract-socket`).
    ///
    /// # Errors
    /// See [`AddressError`].
    pub fn parse(text: &str, abstract_names: bool) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if let Some(number) = text.strip_prefix('=') {
            return number
                .parse()
                .map(Self::Shared)
                .map_err(|_| AddressError::Shared(text.into()));
        }
        if let Some(number) = text.strip_prefix("fd://") {
            return number.parse().map(Self::Descriptor).map_err(|_| AddressError::Port {
                address: text.into(),
                port: number.into(),
            });
        }
        if let Some(name) = text.strip_prefix('@') {
            return Ok(Self::Abstract(name.into()));
        }
        match text.rsplit_once(':') {
            Some((host, port)) if !text.starts_with('/') && !text.starts_with('.') => inet(text, host, port),
            _ if abstract_names => Ok(Self::Abstract(text.into())),
            _ => Ok(Self::Unix(text.into())),
        }
    }
}

fn inet(address: &str, host: &str, port: &str) -> Result<Address, AddressError> {
    let Ok(number) = port.parse::<u16>() else {
        return Err(AddressError::Port {
            address: address.into(),
            port: port.into(),
        });
    };
    let plain = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    if plain.is_empty() || plain == "*" {
        let any = if plain.is_empty() && host.starts_with('[') {
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, number))
        } else {
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, number))
        };
        return Ok(Address::Inet(any));
    }
    let fail = |reason: String| AddressError::Host {
        address: address.into(),
        host: host.into(),
        reason,
    };
    let mut found = (plain, number).to_socket_addrs().map_err(|e| fail(e.to_string()))?;
    found
        .next()
        .map(Address::Inet)
        .ok_or_else(|| fail("no address found".into()))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(a) => a.fmt(f),
            Self::Unix(p) => p.display().fmt(f),
            Self::Abstract(n) => write!(f, "@{}", String::from_utf8_lossy(n)),
            Self::Shared(n) => write!(f, "={n}"),
            Self::Descriptor(n) => write!(f, "fd://{n}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        let ok = |t: &str| Address::parse(t, false).unwrap().to_string();
        assert_eq!(ok(":9090"), "0.0.0.0:9090");
        assert_eq!(ok("*:1"), "0.0.0.0:1");
        assert_eq!(ok("127.0.0.1:0"), "127.0.0.1:0");
        assert_eq!(ok("[::1]:80"), "[::1]:80");
        assert_eq!(ok("[::]:80"), "[::]:80");
        assert_eq!(ok("/tmp/a:b.sock"), "/tmp/a:b.sock");
        assert_eq!(ok("app.sock"), "app.sock");
        assert_eq!(ok("@name"), "@name");
        assert_eq!(ok("=1"), "=1");
        assert_eq!(Address::parse("name", true), Ok(Address::Abstract(b"name".to_vec())));
    }

    #[test]
    fn mistakes_are_named() {
        let err = |t: &str| Address::parse(t, false).unwrap_err().to_string();
        assert!(err("127.0.0.1:99999").contains("99999"));
        assert!(err("127.0.0.1:http!").contains("http!"));
        assert!(err("=x").contains("shared-socket"));
        assert!(err("").contains("empty"));
    }
}
