//! A request head as CGI variables, pushed into a sink; values stay where they are whenever they can.
//! Called by workers (the sink keeps addresses) and gateways (the sink writes a uwsgi packet); no state but scratch memory.

use crate::field::{Field, Name};
use crate::http1::{Head, MAX_FIELDS};
use crate::target::{self, PathRules};

/// Takes the variables in order. Every slice lives for `'a`: it is static, or lies in the head's buffer, in the `Origin`
/// or in the `Scratch`, none of which moves or changes until the next request is pushed. So a sink may keep addresses.
pub trait VarSink<'a> {
    /// One variable.
    fn var(&mut self, key: &'a [u8], value: &'a [u8]);

    /// Takes a header field as a variable; for those who want to know which one it is without looking at the key.
    #[inline]
    fn field(&mut self, _name: Name, key: &'a [u8], value: &'a [u8]) {
        self.var(key, value);
    }
}

impl<'a> VarSink<'a> for Vec<(&'a [u8], &'a [u8])> {
    fn var(&mut self, key: &'a [u8], value: &'a [u8]) {
        self.push((key, value));
    }
}

/// What the connection knows and the head does not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin<'a> {
    /// SERVER_NAME.
    pub server_name: &'a [u8],
    /// SERVER_PORT; `80` for a unix socket.
    pub server_port: &'a [u8],
    /// REMOTE_ADDR, if the peer has an address.
    pub remote_addr: Option<&'a [u8]>,
    /// REMOTE_PORT, likewise.
    pub remote_port: Option<&'a [u8]>,
    /// The connection is TLS: adds `HTTPS=on` and `REQUEST_SCHEME=https`.
    pub https: bool,
    /// SERVER_NAME is the Host without its port, where one came (`server-name-as-http-host`).
    pub name_from_host: bool,
    /// How PATH_INFO is made.
    pub path_rules: PathRules,
}

/// Memory for the few values that have to be composed; one per connection, reused.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    bytes: Vec<u8>,
}

impl Scratch {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the memory back, for connections that go idle. Nothing pushed earlier may be used any more.
    pub fn release(&mut self) {
        self.bytes = Vec::new();
    }

    /// Memory for one request: sized once, before anything is handed out, so that it never moves under a slice.
    fn arena(&mut self, bound: usize) -> Arena<'_> {
        if self.bytes.len() < bound {
            self.bytes.resize(bound.next_power_of_two(), 0);
        }
        Arena { free: &mut self.bytes }
    }
}

/// Hands out pieces of the scratch, each for the arena's whole life.
struct Arena<'a> {
    free: &'a mut [u8],
}

impl<'a> Arena<'a> {
    /// Lets `write` fill the front of the free part and takes what it wrote.
    fn take(&mut self, write: impl FnOnce(&mut [u8]) -> usize) -> &'a [u8] {
        let free = std::mem::take(&mut self.free);
        let used = write(free);
        let (taken, rest) = free.split_at_mut(used);
        self.free = rest;
        taken
    }
}

/// Pushes the variables of a head: request line, server and peer, then the header fields.
///
/// - PATH_INFO is decoded once without literal dot segments; SCRIPT_NAME is empty, REQUEST_URI the target as sent.
/// - CONTENT_TYPE and CONTENT_LENGTH only when sent; repeated fields are joined with `, ` (Cookie with `; `).
/// - Names with an underscore are dropped (they would pass for others), and so is `Proxy` (it would become HTTP_PROXY).
/// - HTTP_HOST is the target's authority when it has one.
pub fn push_vars<'a, S: VarSink<'a>>(
    head: &Head,
    buf: &'a [u8],
    origin: &Origin<'a>,
    scratch: &'a mut Scratch,
    sink: &mut S,
) {
    let mut arena = scratch.arena(scratch_bound(head));
    let path = head.path.of(buf);
    sink.var(b"REQUEST_METHOD", head.method.of(buf));
    sink.var(b"REQUEST_URI", head.target.of(buf));
    sink.var(
        b"PATH_INFO",
        match target::needs_rewrite(path) {
            true => arena.take(|out| target::write_path_info(path, origin.path_rules, out)),
            false => path,
        },
    );
    sink.var(b"QUERY_STRING", head.query.of(buf));
    sink.var(b"SERVER_PROTOCOL", head.version.as_bytes());
    sink.var(b"SCRIPT_NAME", b"");
    let host = head.host.filter(|host| origin.name_from_host && !host.is_empty());
    sink.var(
        b"SERVER_NAME",
        host.map_or(origin.server_name, |host| without_port(host.of(buf))),
    );
    sink.var(b"SERVER_PORT", origin.server_port);
    if let Some(address) = origin.remote_addr {
        sink.var(b"REMOTE_ADDR", address);
    }
    if let Some(port) = origin.remote_port {
        sink.var(b"REMOTE_PORT", port);
    }
    if origin.https {
        sink.var(b"HTTPS", b"on");
        sink.var(b"REQUEST_SCHEME", b"https");
    }
    push_fields(head, buf, &mut arena, sink);
}

/// A host without the port behind it.
#[must_use]
pub fn without_port(host: &[u8]) -> &[u8] {
    match memchr::memrchr(b':', host) {
        Some(colon) if host[colon + 1..].iter().all(u8::is_ascii_digit) => &host[..colon],
        _ => host,
    }
}

/// Enough for everything that `push_vars` may compose from this head.
fn scratch_bound(head: &Head) -> usize {
    let fields: usize = head
        .fields
        .iter()
        .map(|f| f.name.len() + f.value.len() + b"HTTP_, ".len())
        .sum();
    fields + head.path.len() + 1
}

fn push_fields<'a, S: VarSink<'a>>(head: &Head, buf: &'a [u8], arena: &mut Arena<'a>, sink: &mut S) {
    let mut joined = [0u64; MAX_FIELDS / 64];
    for (i, field) in head.fields.iter().enumerate() {
        if joined[i / 64] & 1 << (i % 64) != 0 {
            continue;
        }
        let name = field.name.of(buf);
        let mut value = field.value.of(buf);
        match field.known {
            Name::Proxy => continue,
            Name::Host => value = head.host.unwrap_or(field.value).of(buf),
            Name::Other if name.contains(&b'_') => continue,
            _ => {}
        }
        let same = |other: &Field| {
            other.known == field.known && (field.known != Name::Other || other.name.of(buf).eq_ignore_ascii_case(name))
        };
        let may_repeat = field.known == Name::Other || head.repeated & field.known.bit() != 0;
        if may_repeat && head.fields[i + 1..].iter().any(same) {
            let separator: &[u8] = if field.known == Name::Cookie { b"; " } else { b", " };
            value = arena.take(|out| {
                let mut at = put(out, 0, value);
                for (j, other) in head.fields.iter().enumerate().skip(i + 1).filter(|(_, f)| same(f)) {
                    joined[j / 64] |= 1 << (j % 64);
                    at = put(out, at, separator);
                    at = put(out, at, other.value.of(buf));
                }
                at
            });
        }
        let key = match field.known.cgi() {
            Some(key) => key,
            None => arena.take(|out| write_key(name, out)),
        };
        sink.field(field.known, key, value);
    }
    // An absolute-form target names the host in HTTP/1.0 even without the field.
    if let Some(host) = head.host
        && !head.fields.iter().any(|f| f.known == Name::Host)
    {
        sink.field(Name::Host, b"HTTP_HOST", host.of(buf));
    }
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    out[at..at + bytes.len()].copy_from_slice(bytes);
    at + bytes.len()
}

/// `X-Name` as `HTTP_X_NAME`.
fn write_key(name: &[u8], out: &mut [u8]) -> usize {
    let at = put(out, 0, b"HTTP_");
    for (to, &from) in out[at..at + name.len()].iter_mut().zip(name) {
        *to = if from == b'-' { b'_' } else { from.to_ascii_uppercase() };
    }
    at + name.len()
}
