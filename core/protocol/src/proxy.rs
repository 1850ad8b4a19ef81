//! The PROXY protocol, versions 1 and 2: what a balancer writes in front of a connection about its client. Read by
//! workers and gateways before anything else of the connection, where the operator asked for it; no I/O.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of the longest line of version 1, with its end.
const LONGEST_LINE: usize = 107;
/// Bytes of a header of version 2 that are waited for; balancers write some hundred.
const LONGEST_BLOCK: usize = 4096;
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const LINE: &[u8; 6] = b"PROXY ";

/// A header that is there and makes no sense; the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Version 1.
    #[error("malformed PROXY line")]
    Line,
    /// Version 2.
    #[error("malformed PROXY header")]
    Block,
}

/// What stands at the front of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// More has to come to tell.
    Partial,
    /// Something else: nobody has written a header.
    Absent,
    /// A header of so many bytes.
    Whole {
        /// How many.
        len: usize,
        /// Who the client is; `None`: the balancer itself, or somebody it does not know.
        client: Option<SocketAddr>,
    },
}

/// Reads the header at the front of `input`.
pub fn parse(input: &[u8]) -> Result<Header, ProxyError> {
    let begins = |mark: &[u8]| {
        let n = mark.len().min(input.len());
        input[..n] == mark[..n]
    };
    if begins(LINE) {
        return match input.len() < LINE.len() {
            true => Ok(Header::Partial),
            false => parse_line(input),
        };
    }
    if begins(SIGNATURE) {
        return match input.len() < SIGNATURE.len() {
            true => Ok(Header::Partial),
            false => parse_block(input),
        };
    }
    Ok(Header::Absent)
}

fn parse_line(input: &[u8]) -> Result<Header, ProxyError> {
    let within = &input[..input.len().min(LONGEST_LINE)];
    let Some(end) = memchr::memchr(b'\n', within) else {
        return match within.len() < LONGEST_LINE {
            true => Ok(Header::Partial),
            false => Err(ProxyError::Line),
        };
    };
    let line = within[LINE.len()..end].strip_suffix(b"\r").ok_or(ProxyError::Line)?;
    let line = std::str::from_utf8(line).map_err(|_| ProxyError::Line)?;
    let client = match line.split(' ').collect::<Vec<_>>()[..] {
        ["UNKNOWN", ..] => None,
        [family @ ("TCP4" | "TCP6"), from, to, from_port, to_port] => {
            // where the client wanted to go counts for the form alone
            address(family, to)?;
            port(to_port)?;
            Some(SocketAddr::new(address(family, from)?, port(from_port)?))
        }
        _ => return Err(ProxyError::Line),
    };
    Ok(Header::Whole { len: end + 1, client })
}

fn address(family: &str, text: &str) -> Result<IpAddr, ProxyError> {
    match family {
        "TCP4" => text.parse::<Ipv4Addr>().map(IpAddr::from),
        _ => text.parse::<Ipv6Addr>().map(IpAddr::from),
    }
    .map_err(|_| ProxyError::Line)
}

fn port(text: &str) -> Result<u16, ProxyError> {
    let is_plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain).ok_or(ProxyError::Line)
}

fn parse_block(input: &[u8]) -> Result<Header, ProxyError> {
    let Some(&[command, family, high, low]) = input[SIGNATURE.len()..].first_chunk::<4>() else {
        return Ok(Header::Partial);
    };
    let start = SIGNATURE.len() + 4;
    let len = start + usize::from(u16::from_be_bytes([high, low]));
    if command >> 4 != 2 || len > LONGEST_BLOCK {
        return Err(ProxyError::Block);
    }
    let Some(block) = input.get(start..len) else {
        return Ok(Header::Partial);
    };
    let port = |at: usize| block.get(at..at + 2).map(|b| u16::from_be_bytes([b[0], b[1]]));
    let client = match (command & 0xf, family) {
        // the balancer's own look at whether we live
        (0, _) => None,
        (1, 0x11) => {
            let address: [u8; 4] = *block.first_chunk().ok_or(ProxyError::Block)?;
            Some(SocketAddr::new(address.into(), port(8).ok_or(ProxyError::Block)?)).filter(|_| block.len() >= 12)
        }
        (1, 0x21) => {
            let address: [u8; 16] = *block.first_chunk().ok_or(ProxyError::Block)?;
            Some(SocketAddr::new(address.into(), port(32).ok_or(ProxyError::Block)?)).filter(|_| block.len() >= 36)
        }
        // unix sockets, datagrams, families to come: a client without an address
        (1, _) => None,
        _ => return Err(ProxyError::Block),
    };
    if command & 0xf == 1 && matches!(family, 0x11 | 0x21) && client.is_none() {
        return Err(ProxyError::Block);
    }
    Ok(Header::Whole { len, client })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
        let mut out = [&SIGNATURE[..], &[command, family]].concat();
        out.extend((content.len() as u16).to_be_bytes());
        out.extend_from_slice(content);
        out
    }

    fn whole(input: &[u8]) -> (usize, Option<String>) {
        match parse(input) {
            Ok(Header::Whole { len, client }) => (len, client.map(|c| c.to_string())),
            other => panic!("{other:?} of {:?}", String::from_utf8_lossy(input)),
        }
    }

    #[test]
    fn lines() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            whole(b"PROXY TCP4 192.0.2.7 198.51.100.9 4711 443\r\nGET"),
            (44, some("192.0.2.7:4711"))
        );
        assert_eq!(
            whole(b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n").1,
            some("[2001:db8::1]:1")
        );
        assert_eq!(whole(b"PROXY UNKNOWN\r\n").1, None);
        assert_eq!(whole(b"PROXY UNKNOWN ff:: 1 2 3\r\n").1, None);
        for bad in [
            "PROXY TCP4 not-an-ip 198.51.100.9 4711 443\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.9 99999 443\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.9 04711 443\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.9 +4711 443\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.9 4711 443 \r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.9 4711\r\n",
            "PROXY TCP4 ::1 ::1 4711 443\r\n",
            "PROXY TCP6 192.0.2.7 198.51.100.9 4711 443\r\n",
            "PROXY TCP4 192.0.2.7\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.9 4711 443\n",
            "PROXY TCP5 192.0.2.7 198.51.100.9 4711 443\r\n",
            "PROXY \r\n",
        ] {
            assert_eq!(parse(bad.as_bytes()), Err(ProxyError::Line), "{bad}");
        }
        assert_eq!(
            parse(&[b"PROXY ".to_vec(), vec![b'x'; 101]].concat()),
            Err(ProxyError::Line)
        );
    }

    #[test]
    fn blocks() {
        let v4 = [192, 0, 2, 7, 198, 51, 100, 9, 0x12, 0x67, 1, 187];
        assert_eq!(whole(&block(0x21, 0x11, &v4)), (28, Some("192.0.2.7:4711".into())));
        assert_eq!(whole(&block(0x21, 0x11, &[&v4[..], b"\x04\0\x01x"].concat())).0, 32);
        let v6 = [&[0x20, 1][..], &[0; 13], &[9], &[0; 16], &[0, 1, 0, 2]].concat();
        assert_eq!(whole(&block(0x21, 0x21, &v6)).1, Some("[2001::9]:1".into()));
        assert_eq!(whole(&block(0x20, 0, b"")).1, None);
        assert_eq!(whole(&block(0x21, 0x31, &[0; 216])).1, None);
        for bad in [
            block(0x11, 0x11, &v4),
            block(0x22, 0x11, &v4),
            block(0x21, 0x11, &v4[..11]),
            block(0x21, 0x21, &v4),
            block(0x21, 0x11, &[0; 4096]),
        ] {
            assert_eq!(parse(&bad), Err(ProxyError::Block), "{bad:?}");
        }
    }

    #[test]
    fn what_is_none() {
        for other in ["GET / HTTP/1.1\r\n", "\r\nGET", "P0", "POST", "\x16\x03\x01"] {
            assert_eq!(parse(other.as_bytes()), Ok(Header::Absent), "{other:?}");
        }
        for part in [&b""[..], b"P", b"PROXY", b"\r", b"\r\n\r\n\0\r\nQUIT", &SIGNATURE[..]] {
            assert_eq!(parse(part), Ok(Header::Partial), "{part:?}");
        }
    }

    proptest! {
        #[test]
        fn a_header_is_read_as_written_however_it_is_cut(a in any::<[u8; 4]>(), b in any::<[u8; 16]>(), port: u16, version in 0..4) {
            let (v4, v6) = (Ipv4Addr::from(a), Ipv6Addr::from(b));
            let (wire, client) = match version {
                0 => (format!("PROXY TCP4 {v4} 127.0.0.1 {port} 80\r\n").into_bytes(), SocketAddr::new(v4.into(), port)),
                1 => (format!("PROXY TCP6 {v6} ::1 {port} 80\r\n").into_bytes(), SocketAddr::new(v6.into(), port)),
                2 => {
                    let [high, low] = port.to_be_bytes();
                    (block(0x21, 0x11, &[&a[..], &[0; 4], &[high, low, 0, 80]].concat()), SocketAddr::new(v4.into(), port))
                }
                _ => {
                    let [high, low] = port.to_be_bytes();
                    (block(0x21, 0x21, &[&b[..], &[0; 16], &[high, low, 0, 80]].concat()), SocketAddr::new(v6.into(), port))
                }
            };
            for have in 0..wire.len() {
                prop_assert_eq!(parse(&wire[..have]), Ok(Header::Partial));
            }
            let len = wire.len();
            let wire = [&wire[..], b"GET / HTTP/1.1"].concat();
            prop_assert_eq!(parse(&wire), Ok(Header::Whole { len, client: Some(client) }));
        }

        #[test]
        fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..200)) {
            for front in [&b""[..], LINE, SIGNATURE] {
                let _ = parse(&[front, &noise].concat());
            }
        }
    }
}
