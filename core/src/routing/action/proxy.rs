//! Requests that another server answers: `uwsgi:ADDRESS` over the uwsgi protocol, `http:ADDRESS` over HTTP. The core
//! waits for the other server as it waits for an application, and gives up after `--socket-timeout` without a byte.

use super::{Row, Run, Verdict};
use crate::net::connect::connect_to;
use crate::net::wait;
use crate::request::response::{self, ResponseError};
use crate::request::{Core, bytes_of, place};
use crate::routing::template::Template;
use crate::say;
use crate::server::socket_limit;
use rsgi_protocol::Name;
use rsgi_protocol::chunked::{Decoder, Event};
use rsgi_protocol::http1::Progress;
use rsgi_protocol::response::{ResponseBody, ResponseHead, is_hop_field, parse_response};
use rsgi_protocol::uwsgi::Writer;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// The longest head of an answer.
const HEAD: usize = 64 * 1024;
/// Bytes of a body that are moved in one go.
const PIECE: usize = 64 * 1024;
/// Of a body of unknown length, what is kept in memory until it is whole.
const MEMORY: usize = 1 << 20;

pub static ACTIONS: &[Row] = &[(&["uwsgi"], over_uwsgi), (&["http", "proxyhttp"], over_http)];

/// Why an answer of the other server does not reach the client.
enum Fault {
    /// It is not there, does not speak as it should, or its answer cannot be passed on.
    Server(String),
    /// It took too long.
    Late,
    /// The client gets this status: its request cannot be passed on.
    Client(&'static str),
}

impl From<io::Error> for Fault {
    fn from(e: io::Error) -> Self {
        match e.kind() {
            io::ErrorKind::TimedOut => Self::Late,
            _ => Self::Server(e.to_string()),
        }
    }
}

impl From<ResponseError> for Fault {
    fn from(e: ResponseError) -> Self {
        Self::Server(e.to_string())
    }
}

/// `ADDRESS[,MODIFIER1[,MODIFIER2]]`.
fn over_uwsgi(arguments: &str) -> Result<Run, String> {
    let mut parts = arguments.split(',').map(str::trim);
    let address = Template::parse(parts.next().filter(|a| !a.is_empty()).ok_or("give an address")?)?;
    let mut modifier = || match parts.next() {
        None | Some("") => Ok(0),
        Some(text) => text
            .parse::<u8>()
            .map_err(|_| format!("\"{text}\" is no modifier: give ADDRESS,MODIFIER1,MODIFIER2 from 0 to 255")),
    };
    let modifiers = (modifier()?, modifier()?);
    Ok(Box::new(move |core| {
        forward(core, &address, |core| packet(core, modifiers))
    }))
}

/// `ADDRESS[,HOST]`.
fn over_http(arguments: &str) -> Result<Run, String> {
    let (address, host) = arguments.split_once(',').unwrap_or((arguments, ""));
    if address.trim().is_empty() {
        return Err("give an address".into());
    }
    let (address, host) = (Template::parse(address.trim())?, Template::parse(host.trim())?);
    Ok(Box::new(move |core| {
        let host = host.fill(core);
        forward(core, &address, |core| head(core, &host))
    }))
}

/// Sends the request there and the answer back.
fn forward(core: &mut Core, address: &Template, write: impl FnOnce(&mut Core) -> Result<Vec<u8>, Fault>) -> Verdict {
    let address = String::from_utf8_lossy(&address.fill(core)).into_owned();
    let (status, why) = match exchange(core, &address, write) {
        Ok(()) => return Verdict::Break,
        Err(Fault::Client(status)) => (status, None),
        Err(Fault::Server(why)) => ("502 Bad Gateway", Some(why)),
        Err(Fault::Late) => ("504 Gateway Timeout", Some("it took too long".into())),
    };
    if let Some(why) = why.filter(|_| !core.response.is_gone()) {
        say!("route: no whole answer of {address}: {why}");
    }
    if core.response.is_sent() {
        // nobody may take what has left for all of it
        response::cut(core);
    } else {
        response::plain(core, status, &status[4..]);
        core.response.close_after();
    }
    Verdict::Break
}

fn exchange(
    core: &mut Core,
    address: &str,
    write: impl FnOnce(&mut Core) -> Result<Vec<u8>, Fault>,
) -> Result<(), Fault> {
    let conn = core.conn;
    if core.raw().body_is_chunked != 0 {
        // SAFETY: the connection outlives the request; the body does not hold on to it.
        let length = core.body.spill(unsafe { &mut *conn }, MEMORY);
        core.raw().post_cl = length.map_err(|_| Fault::Client("400 Bad Request"))? as usize;
    }
    let head = write(core)?;
    let limit = socket_limit();
    let other: OwnedFd = connect_to(address, limit, false).map_err(io::Error::from)?;
    wait::write_all(other.as_raw_fd(), &head, limit)?;
    let mut left = core.raw().post_cl;
    while left > 0 {
        // SAFETY: as above.
        let piece = core.body.read(unsafe { &mut *conn }, left.min(PIECE));
        let piece = piece.map_err(|_| Fault::Client("400 Bad Request"))?;
        if piece.is_empty() {
            return Err(Fault::Client("400 Bad Request"));
        }
        left -= piece.len();
        wait::write_all(other.as_raw_fd(), piece, limit)?;
    }
    answer(core, &mut Incoming::new(other.as_raw_fd()))
}

/// The variables of the request.
fn variables(core: &Core) -> impl Iterator<Item = (&[u8], &[u8])> {
    // SAFETY: the entries belong to the request in work.
    core.hvec
        .chunks_exact(2)
        .map(|pair| unsafe { (bytes_of(&pair[0]), bytes_of(&pair[1])) })
}

fn packet(core: &mut Core, modifiers: (u8, u8)) -> Result<Vec<u8>, Fault> {
    let (mut packet, length) = (Vec::new(), core.raw().post_cl.to_string());
    let mut writer = Writer::new(&mut packet, modifiers.0, modifiers.1);
    for (key, value) in variables(core) {
        if key != b"CONTENT_LENGTH" && key != b"HTTP_TRANSFER_ENCODING" {
            writer.push(key, value);
        }
    }
    if length != "0" {
        writer.push(b"CONTENT_LENGTH", length.as_bytes());
    }
    let fits = writer.finish();
    fits.map_err(|_| Fault::Client("431 Request Header Fields Too Large"))?;
    Ok(packet)
}

/// A request head. It asks for the old version: the answer has no chunks then, and ends with the connection.
fn head(core: &mut Core, host: &[u8]) -> Result<Vec<u8>, Fault> {
    let length = core.raw().post_cl;
    let var = |name: &[u8]| variables(core).find(|(key, _)| *key == name).map(|(_, value)| value);
    let (mut out, mut forwarded) = (Vec::with_capacity(1024), Vec::new());
    for part in [
        var(b"REQUEST_METHOD").unwrap_or(b"GET"),
        b" ",
        var(b"REQUEST_URI").unwrap_or(b"/"),
        b" HTTP/1.0\r\n",
    ] {
        out.extend_from_slice(part);
    }
    let mut line = |name: &[u8], value: &[u8]| {
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    };
    let mut lines = 1;
    for (key, value) in variables(core) {
        let name = match key {
            b"CONTENT_TYPE" if !value.is_empty() => &b"CONTENT_TYPE"[..],
            b"HTTP_CONNECTION"
            | b"HTTP_KEEP_ALIVE"
            | b"HTTP_TRANSFER_ENCODING"
            | b"HTTP_TE"
            | b"HTTP_TRAILER"
            | b"HTTP_UPGRADE"
            | b"HTTP_PROXY_CONNECTION"
            | b"HTTP_EXPECT" => continue,
            b"HTTP_HOST" if !host.is_empty() => continue,
            b"HTTP_X_FORWARDED_FOR" => {
                forwarded.extend_from_slice(value);
                forwarded.extend_from_slice(b", ");
                continue;
            }
            key => match key.strip_prefix(b"HTTP_") {
                Some(name) => name,
                None => continue,
            },
        };
        let name: Vec<u8> = name
            .iter()
            .map(|b| if *b == b'_' { b'-' } else { b.to_ascii_lowercase() })
            .collect();
        line(&name, value);
        lines += 1;
    }
    if !host.is_empty() {
        line(b"host", host);
        lines += 1;
    }
    if let Some(peer) = var(b"REMOTE_ADDR").filter(|peer| !peer.is_empty()) {
        forwarded.extend_from_slice(peer);
        line(b"x-forwarded-for", &forwarded);
        lines += 1;
    }
    if length > 0 {
        line(b"content-length", length.to_string().as_bytes());
        lines += 1;
    }
    out.extend_from_slice(b"\r\n");
    // what came over another protocol, or out of a rule, may have line breaks: they would make headers and requests
    let breaks = out.iter().filter(|b| **b == b'\n').count();
    let words = out
        .split(|b| *b == b'\r')
        .next()
        .map_or(0, |first| first.split(|b| *b == b' ').count());
    if breaks != lines + 1 || words != 3 || out.contains(&0) {
        return Err(Fault::Client("400 Bad Request"));
    }
    Ok(out)
}

/// What the other server sends.
struct Incoming {
    fd: RawFd,
    bytes: Vec<u8>,
}

impl Incoming {
    fn new(fd: RawFd) -> Self {
        let bytes = Vec::new();
        Self { fd, bytes }
    }

    /// Reads on; `false`: that was all.
    fn more(&mut self) -> io::Result<bool> {
        loop {
            wait::readable(self.fd, socket_limit())?;
            let have = self.bytes.len();
            self.bytes.resize(have + PIECE, 0);
            // SAFETY: so many bytes of room are there.
            let n = unsafe { libc::read(self.fd, self.bytes.as_mut_ptr().add(have).cast(), PIECE) };
            self.bytes.truncate(have + usize::try_from(n).unwrap_or(0));
            match n {
                n if n >= 0 => return Ok(n > 0),
                _ => match io::Error::last_os_error() {
                    e if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
                    e => return Err(e),
                },
            }
        }
    }
}

fn answer(core: &mut Core, incoming: &mut Incoming) -> Result<(), Fault> {
    let is_head = variables(core).any(|pair| pair == (b"REQUEST_METHOD", b"HEAD"));
    let mut head = ResponseHead::new();
    loop {
        let parsed = parse_response(&incoming.bytes, HEAD, is_head, &mut head);
        match parsed.map_err(|e| Fault::Server(e.to_string()))? {
            Progress::Partial if !incoming.more()? => return Err(Fault::Server("it closed the connection".into())),
            Progress::Partial => {}
            Progress::Complete if head.status == 101 => {
                return Err(Fault::Server("it changed the protocol".into()));
            }
            Progress::Complete if head.status < 200 => {
                incoming.bytes.drain(..head.len);
                head.clear();
            }
            Progress::Complete => break,
        }
    }
    let status = [
        head.status.to_string().as_bytes(),
        b" ",
        head.reason.of(&incoming.bytes),
    ]
    .concat();
    response::start(core, &status)?;
    for field in head.fields.iter().filter(|field| !is_hop_field(field.known)) {
        let is_framing = field.known == Name::ContentLength && !matches!(head.body, ResponseBody::Fixed(_)) && !is_head;
        if !is_framing {
            response::header(core, field.name.of(&incoming.bytes), field.value.of(&incoming.bytes))?;
        }
    }
    incoming.bytes.drain(..head.len);
    match head.body {
        ResponseBody::None => response::write(core, &[], true)?,
        ResponseBody::Fixed(length) => {
            let mut left = length;
            while left > 0 {
                if incoming.bytes.is_empty() && !incoming.more()? {
                    return Err(Fault::Server("it closed the connection".into()));
                }
                let n = incoming.bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                response::write(core, &[place(&incoming.bytes[..n])], false)?;
                left -= n as u64;
                incoming.bytes.clear();
            }
        }
        ResponseBody::Chunked => chunks(core, incoming)?,
        ResponseBody::UntilClose => loop {
            if !incoming.bytes.is_empty() {
                response::write(core, &[place(&incoming.bytes)], false)?;
                incoming.bytes.clear();
            }
            if !incoming.more()? {
                break;
            }
        },
    }
    Ok(())
}

fn chunks(core: &mut Core, incoming: &mut Incoming) -> Result<(), Fault> {
    let mut decoder = Decoder::new();
    loop {
        let mut used = 0;
        loop {
            let decoded = decoder.decode(&incoming.bytes[used..]);
            let (n, event) = decoded.map_err(|e| Fault::Server(e.to_string()))?;
            used += n;
            match event {
                Event::Data(data) => response::write(core, &[place(data)], false)?,
                Event::More => break,
                Event::End => return Ok(()),
            }
        }
        incoming.bytes.drain(..used);
        if !incoming.more()? {
            return Err(Fault::Server("it closed the connection within a chunk".into()));
        }
    }
}
