//! Who the client is when proxies stand in between: what they write into `X-Forwarded-*` or `Forwarded` (RFC 7239), as
//! far as they are trusted. Called by the gateway for peers that the operator has named; no state.

use std::net::{IpAddr, SocketAddr};

use crate::allow::AllowList;
use crate::field::Name;
use crate::http1::Head;

/// Which headers the trusted proxies write. The others may be a client's and are not looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// `X-Forwarded-For`, `X-Forwarded-Proto`, `X-Forwarded-Ssl`.
    #[default]
    XForwarded,
    /// `Forwarded`.
    Rfc7239,
}

impl Dialect {
    /// Whether a variable of a request is made of a header of this dialect.
    #[must_use]
    pub fn owns(self, variable: &[u8]) -> bool {
        match self {
            Self::XForwarded => variable.starts_with(b"HTTP_X_FORWARDED_"),
            Self::Rfc7239 => variable == b"HTTP_FORWARDED",
        }
    }
}

/// What the proxies say of the client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Its address, if they know it.
    pub address: Option<String>,
    /// Its port, likewise.
    pub port: Option<String>,
    /// Whether it speaks TLS with the outermost proxy that is trusted.
    pub is_secure: Option<bool>,
}

/// Reads what a trusted peer passes on. Each proxy adds what it saw at the end, so the list is read backwards, through
/// proxies that are trusted, to the first address that is not: what stands before that is the client's own story.
#[must_use]
pub fn client(head: &Head, buf: &[u8], dialect: Dialect, trusted: &AllowList) -> Client {
    match dialect {
        Dialect::XForwarded => x_forwarded(head, buf, trusted),
        Dialect::Rfc7239 => rfc7239(head, buf, trusted),
    }
}

/// The values of all fields of a name as one list, last entry first.
fn backwards<'a>(
    head: &'a Head,
    buf: &'a [u8],
    name: Name,
    entries: fn(&'a [u8], u8) -> Vec<&'a [u8]>,
) -> impl Iterator<Item = &'a [u8]> {
    let fields = head.fields.iter().rev().filter(move |field| field.known == name);
    fields.flat_map(move |field| entries(field.value.of(buf), b',').into_iter().rev())
}

/// What stands between separators.
fn plain(text: &[u8], separator: u8) -> Vec<&[u8]> {
    filled(text.split(|&byte| byte == separator))
}

/// What stands between separators that are not within quotes. A quote that nobody closes is a client's, and does not
/// hide what a proxy wrote behind it.
fn quotable(text: &[u8], separator: u8) -> Vec<&[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = filled(text.split(|&byte| {
        let is_escaped = escaped;
        escaped = quoted && !is_escaped && byte == b'\\';
        quoted ^= byte == b'"' && !is_escaped;
        byte == separator && !quoted
    }));
    match quoted {
        true => plain(text, separator),
        false => parts,
    }
}

fn filled<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Vec<&'a [u8]> {
    parts
        .map(<[u8]>::trim_ascii)
        .filter(|entry| !entry.is_empty())
        .collect()
}

fn x_forwarded(head: &Head, buf: &[u8], trusted: &AllowList) -> Client {
    let mut client = Client::default();
    for entry in backwards(head, buf, Name::XForwardedFor, plain) {
        if !client.is_at(entry) || !client.is_one_of(trusted) {
            break;
        }
    }
    let last = |name| backwards(head, buf, name, plain).next();
    client.is_secure = last(Name::XForwardedProto)
        .map(|scheme| scheme.eq_ignore_ascii_case(b"https"))
        .or_else(|| last(Name::XForwardedSsl).map(|word| word.eq_ignore_ascii_case(b"on") || word == b"1"));
    client
}

fn rfc7239(head: &Head, buf: &[u8], trusted: &AllowList) -> Client {
    let mut client = Client::default();
    for entry in backwards(head, buf, Name::Forwarded, quotable) {
        let mut is_known = false;
        for pair in quotable(entry, b';') {
            let Some(equals) = pair.iter().position(|&byte| byte == b'=') else {
                continue;
            };
            let (key, value) = (pair[..equals].trim_ascii(), unquoted(&pair[equals + 1..]));
            if key.eq_ignore_ascii_case(b"for") {
                is_known = client.is_at(value);
            } else if key.eq_ignore_ascii_case(b"proto") {
                client.is_secure = Some(value.eq_ignore_ascii_case(b"https"));
            }
        }
        if !is_known || !client.is_one_of(trusted) {
            break;
        }
    }
    client
}

/// A value without its quotes. Addresses have no escapes in them, and what has is none.
fn unquoted(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    let inner = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    inner.unwrap_or(value)
}

impl Client {
    /// Takes an address, perhaps with a port; `false`: it is none (`unknown`, a made-up name, rubbish).
    fn is_at(&mut self, node: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(node) else {
            return false;
        };
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let (address, port) = match (bare.unwrap_or(text).parse::<IpAddr>(), text.parse::<SocketAddr>()) {
            (Ok(address), _) => (address, None),
            (_, Ok(both)) => (both.ip(), Some(both.port().to_string())),
            _ => return false,
        };
        self.address = Some(address.to_canonical().to_string());
        self.port = port;
        true
    }

    fn is_one_of(&self, trusted: &AllowList) -> bool {
        self.address.as_ref().is_some_and(|address| trusted.names(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::{Limits, Progress, parse_head};
    use proptest::prelude::*;

    fn told(dialect: Dialect, headers: &str) -> (String, String, Option<bool>) {
        let mut trusted = AllowList::default();
        trusted.add("10.0.0.0/8,fd00::/8").expect("networks");
        let request = format!("GET / HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
        let mut head = Head::new();
        let parsed = parse_head(request.as_bytes(), &Limits::default(), &mut head);
        assert_eq!(parsed, Ok(Progress::Complete), "{headers}");
        let found = client(&head, request.as_bytes(), dialect, &trusted);
        let text = |text: Option<String>| text.unwrap_or_default();
        (text(found.address), text(found.port), found.is_secure)
    }

    #[test]
    fn the_list_is_read_backwards_through_trusted_proxies() {
        for (headers, address, port, is_secure) in [
            ("", "", "", None),
            ("X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1", "", None),
            ("X-Forwarded-For: 203.0.113.9, 192.0.2.1\r\n", "192.0.2.1", "", None),
            (
                "X-Forwarded-For: 203.0.113.9, 192.0.2.1, 10.0.0.7\r\n",
                "192.0.2.1",
                "",
                None,
            ),
            (
                "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 10.0.0.7\r\n",
                "203.0.113.9",
                "",
                None,
            ),
            ("X-Forwarded-For: 10.0.0.8, 10.0.0.7\r\n", "10.0.0.8", "", None),
            (
                "X-Forwarded-For: 203.0.113.9, unknown, 10.0.0.7\r\n",
                "10.0.0.7",
                "",
                None,
            ),
            ("X-Forwarded-For: localhost\r\n", "", "", None),
            ("X-Forwarded-For: 192.0.2.1:5000\r\n", "192.0.2.1", "5000", None),
            (
                "X-Forwarded-For: [2001:db8::1]:5000, fd00::1\r\n",
                "2001:db8::1",
                "5000",
                None,
            ),
            ("X-Forwarded-For: ::ffff:192.0.2.1,\r\n", "192.0.2.1", "", None),
            ("X-Forwarded-Proto: https\r\n", "", "", Some(true)),
            ("X-Forwarded-Proto: https, http\r\n", "", "", Some(false)),
            ("X-Forwarded-Ssl: on\r\n", "", "", Some(true)),
            ("Forwarded: for=192.0.2.1;proto=https\r\n", "", "", None),
        ] {
            let found = told(Dialect::XForwarded, headers);
            assert_eq!(found, (address.to_owned(), port.to_owned(), is_secure), "{headers}");
        }
    }

    #[test]
    fn forwarded_says_it_in_pairs() {
        for (headers, address, port, is_secure) in [
            ("Forwarded: for=192.0.2.1\r\n", "192.0.2.1", "", None),
            (
                "Forwarded: For=\"[2001:db8::1]:4711\";Proto=https\r\n",
                "2001:db8::1",
                "4711",
                Some(true),
            ),
            (
                "Forwarded: for=203.0.113.9;proto=https, for=192.0.2.1;proto=http;by=10.0.0.1\r\n",
                "192.0.2.1",
                "",
                Some(false),
            ),
            (
                "Forwarded: for=192.0.2.1;proto=https, for=10.0.0.7;proto=http\r\n",
                "192.0.2.1",
                "",
                Some(true),
            ),
            (
                "Forwarded: for=203.0.113.9, for=_hidden;proto=https\r\n",
                "",
                "",
                Some(true),
            ),
            ("Forwarded: for=203.0.113.9, host=\"a,for=192.0.2.1\"\r\n", "", "", None),
            (
                "Forwarded: for=203.0.113.9, proto=\"a\\\",for=192.0.2.1\r\n",
                "192.0.2.1",
                "",
                None,
            ),
            ("X-Forwarded-For: 192.0.2.1\r\n", "", "", None),
        ] {
            let found = told(Dialect::Rfc7239, headers);
            assert_eq!(found, (address.to_owned(), port.to_owned(), is_secure), "{headers}");
        }
    }

    proptest! {
        #[test]
        fn what_is_found_is_an_address_or_nothing(value in "[ -~]{0,80}") {
            for (dialect, name) in [(Dialect::XForwarded, "X-Forwarded-For"), (Dialect::Rfc7239, "Forwarded")] {
                let (address, port, _) = told(dialect, &format!("{name}: {value}\r\n"));
                prop_assert!(address.is_empty() || address.parse::<IpAddr>().is_ok());
                prop_assert!(port.is_empty() || port.parse::<u16>().is_ok());
            }
        }

        #[test]
        fn a_client_does_not_get_past_the_proxy(story in "[ -~]{0,60}") {
            let written = format!("X-Forwarded-For: {story}, 192.0.2.1\r\n");
            prop_assert_eq!(told(Dialect::XForwarded, &written).0, "192.0.2.1");
            let written = format!("Forwarded: {story}, for=192.0.2.1\r\n");
            prop_assert_eq!(told(Dialect::Rfc7239, &written).0, "192.0.2.1");
        }
    }
}
