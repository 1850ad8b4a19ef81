//! The answer of a request: status and headers are gathered and leave together with the first bytes of the body, in
//! one `writev`; the framing (length, chunks, close) is decided at that moment.

use super::{Core, bytes_of, place, tracing, transformation, vars, websocket};
use crate::decimal::Decimal;
use crate::routing;
use crate::say;
use crate::server::{SocketProtocol, server};
use crate::worker::offload;
use libc::iovec;
use rsgi_protocol::http1::HttpError;
use rsgi_protocol::{chunked, fastcgi, octet};
use std::io;
use std::os::fd::RawFd;

/// `via` of an answer that came out of a file, in the request's log line.
const VIA_SENDFILE: u16 = 1;
/// Bytes of a file that are rather copied than sent by a call of their own.
const SMALL_FILE: u64 = 16 * 1024;
/// Bytes of a body that are rather copied behind the head than sent from where they lie: the kernel takes one piece
/// faster than several.
const SMALL_BODY: u64 = 2 * 1024;

/// How the client learns where the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Framing {
    /// The head was not sent.
    #[default]
    Undecided,
    /// So many bytes are still due.
    Length(u64),
    /// Chunks.
    Chunked,
    /// The connection closes.
    Close,
    /// There is none: HEAD, 1xx, 204, 304.
    Empty,
}

/// Why an answer cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ResponseError {
    /// The head has left.
    #[error("headers already sent")]
    HeadersSent,
    /// A status or header that would break the protocol.
    #[error("{0}")]
    Malformed(&'static str),
    /// The client has gone.
    #[error("the client has gone: {0}")]
    Gone(io::Error),
}

/// The answer of the current request.
#[derive(Default)]
pub struct Response {
    head: Vec<u8>,
    parts: Vec<iovec>,
    content_length: Option<u64>,
    /// The application frames its body itself (it sent Transfer-Encoding).
    framed_by_app: bool,
    close_by_app: bool,
    /// A gateway may encode it: what it measures here says nothing to the client.
    may_be_encoded: bool,
    framing: Framing,
    is_http10: bool,
    /// A body without a length ends with the connection, not with a last chunk.
    ends_by_close: bool,
    is_head: bool,
    protocol: Option<SocketProtocol>,
    /// The number of the FastCGI request that is answered.
    fastcgi: Option<u16>,
    /// The client allows more requests on the connection.
    keep_alive: bool,
    gone: bool,
    /// The server has answered in the application's place; what that still writes is dropped.
    replaced: bool,
    /// The application failed before it said anything; the server has said so, and that is whole.
    is_own: bool,
}

impl Response {
    /// Begins the answer of a request.
    pub fn begin(&mut self, protocol: SocketProtocol, is_http10: bool, is_head: bool, keep_alive: bool) {
        self.head.clear();
        self.content_length = None;
        self.framed_by_app = false;
        self.close_by_app = false;
        self.may_be_encoded = false;
        self.framing = Framing::Undecided;
        self.is_http10 = is_http10;
        self.ends_by_close = false;
        self.is_head = is_head;
        self.protocol = Some(protocol);
        self.fastcgi = None;
        self.keep_alive = keep_alive;
        self.gone = false;
        self.replaced = false;
        self.is_own = false;
    }

    /// The answer goes in the records of this FastCGI request.
    pub fn wrap_for(&mut self, fastcgi: u16) {
        self.fastcgi = Some(fastcgi);
    }

    /// Whether HTTP frames it.
    fn is_over_http(&self) -> bool {
        self.protocol.is_some_and(SocketProtocol::is_http)
    }

    /// How its first line begins.
    fn before_status(&self) -> &'static [u8] {
        match (
            self.protocol.is_some_and(SocketProtocol::has_status_header),
            self.is_http10,
        ) {
            (true, _) => b"Status: ",
            (false, true) => b"HTTP/1.0 ",
            (false, false) => b"HTTP/1.1 ",
        }
    }

    /// Whether the head has left.
    pub fn is_sent(&self) -> bool {
        self.framing != Framing::Undecided
    }

    /// Whether the connection may serve another request after this answer.
    pub fn keeps_alive(&self) -> bool {
        let ends = match self.framing {
            Framing::Length(due) => due == 0,
            Framing::Chunked | Framing::Empty => true,
            // the record behind it says so
            Framing::Close => self.fastcgi.is_some(),
            Framing::Undecided => false,
        };
        self.keep_alive && !self.gone && ends
    }

    /// The connection ends after this answer (the worker is leaving, the body cannot be skipped).
    pub fn close_after(&mut self) {
        self.keep_alive = false;
    }

    /// A body without a length ends with the connection.
    pub fn end_by_close(&mut self) {
        self.ends_by_close = true;
    }

    /// The client is taken for gone: nothing more is sent to it.
    pub fn set_gone(&mut self) {
        self.gone = true;
    }

    /// Whether a write failed.
    pub fn is_gone(&self) -> bool {
        self.gone
    }
}

/// Begins an answer: the status line; headers that were added before are dropped.
///
/// # Errors
/// The head has left, or the status is no three digits with a clean text behind.
pub fn start(core: &mut Core, status: &[u8]) -> Result<(), ResponseError> {
    let code = match status {
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] if rest.first().is_none_or(|b| *b == b' ') => {
            i32::from(a - b'0') * 100 + i32::from(b - b'0') * 10 + i32::from(c - b'0')
        }
        _ => {
            return Err(ResponseError::Malformed(
                "a status begins with three digits, like \"200 OK\"",
            ));
        }
    };
    if !octet::is_text(status) {
        return Err(ResponseError::Malformed("control character in the status"));
    }
    let response = &mut core.response;
    if response.is_sent() {
        return Err(ResponseError::HeadersSent);
    }
    response.head.clear();
    response.content_length = None;
    response.framed_by_app = false;
    response.close_by_app = false;
    response.head.extend_from_slice(response.before_status());
    response.head.extend_from_slice(status);
    response.head.extend_from_slice(b"\r\n");
    let raw = core.raw();
    raw.status = code;
    raw.header_cnt = 0;
    Ok(())
}

/// Adds a header.
///
/// # Errors
/// The head has left, or name or value would break the message.
pub fn header(core: &mut Core, name: &[u8], value: &[u8]) -> Result<(), ResponseError> {
    if core.response.is_sent() {
        return Err(ResponseError::HeadersSent);
    }
    if core.response.head.is_empty() {
        start(core, b"200 OK")?;
    }
    if !octet::is_token(name) {
        return Err(ResponseError::Malformed("bad character in a header's name"));
    }
    if !octet::is_text(value) {
        return Err(ResponseError::Malformed("control character in a header's value"));
    }
    let limit = server().settings.limits.response_headers_limit as usize;
    let response = &mut core.response;
    if limit > 0 && response.head.len() + name.len() + value.len() + 4 > limit {
        return Err(ResponseError::Malformed(
            "the headers of the answer are over response-headers-limit",
        ));
    }
    let over_http = response.is_over_http();
    if name.eq_ignore_ascii_case(b"content-length") {
        let length = rsgi_protocol::http1::parse_length(value.trim_ascii())
            .map_err(|_| ResponseError::Malformed("the Content-Length of the answer is no number"))?;
        response.content_length = Some(length);
    } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
        response.framed_by_app = true;
    } else if name.eq_ignore_ascii_case(b"uwsgi-encoding") {
        response.may_be_encoded = response.protocol == Some(SocketProtocol::Link);
    } else if name.eq_ignore_ascii_case(b"connection") && over_http {
        if value.to_ascii_lowercase().windows(5).any(|w| w == b"close") {
            response.close_by_app = true;
        }
        if !value.to_ascii_lowercase().windows(7).any(|w| w == b"upgrade") {
            // ours to say: it is written with the framing
            return Ok(());
        }
        response.close_by_app = true;
    } else if name.eq_ignore_ascii_case(b"keep-alive") && over_http {
        return Ok(());
    }
    let head = &mut response.head;
    head.extend_from_slice(name);
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
    core.raw().header_cnt += 1;
    Ok(())
}

/// Decides the framing and completes the head. `whole`: the length of the body when it is known to be all.
fn complete_head(core: &mut Core, whole: Option<u64>) -> Result<(), ResponseError> {
    if core.response.head.is_empty() {
        start(core, b"200 OK")?;
    }
    if routing::answer(core) {
        // the rules' own answer stands in place of the application's
        if !core.response.is_sent() {
            write(core, &[], true)?;
        }
        core.response.replaced = true;
        return Ok(());
    }
    if core.routing.changes_head() {
        change_head(core);
    }
    let http = &server().settings.http;
    if !http.rem_headers.is_empty() || !http.collect_headers.is_empty() {
        edit_head(core, &http.rem_headers, &http.collect_headers);
    }
    let status = core.raw().status;
    for header_line in &server().settings.http.add_headers {
        let (name, value) = header_line.split_once(':').unwrap_or((header_line, ""));
        // checked when the options were read
        let _ = header(core, name.trim().as_bytes(), value.trim().as_bytes());
    }
    if server().settings.logging.request_id && !tracing::has_id(&core.response.head) {
        let id = tracing::request_id(core.raw()).to_vec();
        let _ = header(core, b"X-Request-Id", &id);
    }
    let response = &mut core.response;
    let head = &mut response.head;
    if core.routing.are_headers_disabled() {
        head.clear();
        response.framing = Framing::Close;
        response.keep_alive = false;
        core.raw().headers_sent = 1;
        return Ok(());
    }
    let no_body = response.is_head || matches!(status, 100..=199 | 204 | 304);
    let mut framing = match response.content_length {
        _ if no_body => Framing::Empty,
        Some(length) => Framing::Length(length),
        None => Framing::Close,
    };
    let over_http = response.protocol.is_some_and(SocketProtocol::is_http);
    if over_http && response.framed_by_app && !no_body {
        // its chunks cannot be checked, so the connection is not trusted with another request
        framing = Framing::Close;
    } else if over_http && framing == Framing::Close {
        if let Some(length) = whole.filter(|_| !response.may_be_encoded) {
            head.extend_from_slice(b"Content-Length: ");
            head.extend_from_slice(Decimal::new(length).as_bytes());
            head.extend_from_slice(b"\r\n");
            framing = Framing::Length(length);
        } else if !response.is_http10 && !response.ends_by_close {
            head.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            framing = Framing::Chunked;
        }
    } else if over_http
        && no_body
        && response.is_head
        && response.content_length.is_none()
        && let Some(length) = whole.filter(|n| *n > 0)
    {
        head.extend_from_slice(b"Content-Length: ");
        head.extend_from_slice(Decimal::new(length).as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    response.keep_alive &= (framing != Framing::Close || response.fastcgi.is_some()) && !response.close_by_app;
    // 101 carries a Connection header of its own
    if over_http && status != 101 {
        match (response.keep_alive, response.is_http10, response.protocol) {
            (false, _, Some(SocketProtocol::Link)) => head.extend_from_slice(b"Connection: close\r\n"),
            (false, false, _) => head.extend_from_slice(b"Connection: close\r\n"),
            (true, true, Some(SocketProtocol::Http)) => head.extend_from_slice(b"Connection: keep-alive\r\n"),
            _ => {}
        }
    }
    head.extend_from_slice(b"\r\n");
    response.framing = framing;
    let size = head.len();
    let raw = core.raw();
    raw.headers_sent = 1;
    raw.headers_size = size;
    Ok(())
}

/// `--collect-header`, `--pull-header`, `--rem-header`
fn edit_head(core: &mut Core, removed: &[String], collected: &[(String, String)]) {
    filter_head(core, |core, name, value| {
        for (_, variable) in collected
            .iter()
            .filter(|(header, _)| name.eq_ignore_ascii_case(header.as_bytes()))
        {
            vars::append(core, variable.as_bytes(), value);
        }
        !removed
            .iter()
            .any(|header| name.eq_ignore_ascii_case(header.as_bytes()))
    });
}

/// Keeps the header lines that `keep` says, of their name and value.
fn filter_head(core: &mut Core, mut keep: impl FnMut(&mut Core, &[u8], &[u8]) -> bool) {
    let head = std::mem::take(&mut core.response.head);
    let mut kept = Vec::with_capacity(head.len());
    for (number, line) in head.split_inclusive(|b| *b == b'\n').enumerate() {
        let at = line.iter().position(|b| *b == b':').unwrap_or(line.len());
        let (name, value) = (&line[..at], line.get(at + 1..).unwrap_or_default().trim_ascii());
        if number == 0 || keep(core, name, value) {
            kept.extend_from_slice(line);
            continue;
        }
        core.raw().header_cnt -= 1;
        if name.eq_ignore_ascii_case(b"content-length") {
            core.response.content_length = None;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            core.response.framed_by_app = false;
        }
    }
    core.response.head = kept;
}

/// Takes away and adds what the rules of internal routing want changed.
fn change_head(core: &mut Core) {
    filter_head(core, |core, name, _| !core.routing.removes(name));
    for (name, value) in core.routing.take_added() {
        if let Err(e) = header(core, &name, &value) {
            say!("route: header {} was not added: {e}", String::from_utf8_lossy(&name));
        }
    }
}

/// Sends the head, if it was not sent yet.
///
/// # Errors
/// The client has gone.
pub fn send_head(core: &mut Core) -> Result<(), ResponseError> {
    if core.response.is_sent() {
        Ok(())
    } else {
        write(core, &[], false)
    }
}

/// Sends parts of the body, with the head in front the first time. `last`: nothing follows.
///
/// # Errors
/// The client has gone.
pub fn write(core: &mut Core, body: &[iovec], last: bool) -> Result<(), ResponseError> {
    if !core.transformations.is_empty() && !core.response.is_head && !core.response.replaced {
        return transformation::pass(core, body, last);
    }
    write_through(core, body, last)
}

/// The same behind all transformations.
///
/// # Errors
/// The client has gone.
pub fn write_through(core: &mut Core, body: &[iovec], last: bool) -> Result<(), ResponseError> {
    let mut size: u64 = body.iter().map(|p| p.iov_len as u64).sum();
    let first = !core.response.is_sent();
    if core.response.replaced {
        return Ok(());
    }
    if first && let Some(refusal) = core.body.refusal() {
        return replace(core, &refusal);
    }
    if first {
        complete_head(core, last.then_some(size))?;
        if core.response.replaced {
            return Ok(());
        }
    }
    let response = &mut core.response;
    if response.gone {
        return Err(ResponseError::Gone(io::ErrorKind::BrokenPipe.into()));
    }
    let mut parts = std::mem::take(&mut response.parts);
    parts.clear();
    if first
        && let Framing::Length(due) = &mut response.framing
        && size.min(*due) <= SMALL_BODY
    {
        size = size.min(*due);
        *due -= size;
        join(&mut response.head, body, size);
        parts.push(place(&response.head));
        return sent(core, parts, body, size);
    }
    if first {
        parts.push(place(&response.head));
    }
    let mut chunk_head = [0u8; 18];
    match &mut response.framing {
        Framing::Empty => size = 0,
        Framing::Length(due) => {
            // more than was announced would be taken for the next answer
            size = size.min(*due);
            *due -= size;
            push_bounded(&mut parts, body, size);
        }
        Framing::Chunked => {
            if size > 0 {
                parts.push(place(chunked::encode_head(size as usize, &mut chunk_head)));
                parts.extend_from_slice(body);
                parts.push(place(chunked::CHUNK_END));
            }
        }
        Framing::Close | Framing::Undecided => parts.extend_from_slice(body),
    }
    sent(core, parts, body, size)
}

/// Sends the parts, which hold `size` bytes of the body, and counts them.
fn sent(core: &mut Core, mut parts: Vec<iovec>, body: &[iovec], size: u64) -> Result<(), ResponseError> {
    let sent = deliver(core, &mut parts);
    core.response.parts = parts;
    routing::pass_body(core, body, size);
    let raw = core.raw();
    raw.response_size += size as usize;
    sent.map_err(|e| {
        core.response.gone = true;
        core.raw().write_errors += 1;
        ResponseError::Gone(e)
    })
}

/// The request's body was malformed: the client gets told so, whatever the application wanted to say.
fn replace(core: &mut Core, refusal: &HttpError) -> Result<(), ResponseError> {
    let body = format!("{}\n", refusal.cause());
    let head = format!(
        "{}{} {}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        String::from_utf8_lossy(core.response.before_status()),
        refusal.status(),
        refusal.reason(),
        body.len()
    );
    core.response.replaced = true;
    core.response.keep_alive = false;
    core.response.framing = Framing::Close;
    let raw = core.raw();
    raw.status = i32::from(refusal.status());
    raw.headers_sent = 1;
    raw.headers_size = head.len();
    raw.response_size = body.len();
    let sent = deliver(core, &mut [place(head.as_bytes()), place(body.as_bytes())]);
    gone_if(core, sent)
}

/// Copies the first bytes of the body behind the head.
fn join(head: &mut Vec<u8>, body: &[iovec], mut left: u64) {
    for part in body {
        // SAFETY: the caller's parts describe memory that lives during the call.
        let bytes = unsafe { bytes_of(part) };
        let n = (bytes.len() as u64).min(left) as usize;
        head.extend_from_slice(&bytes[..n]);
        left -= n as u64;
    }
}

fn push_bounded(parts: &mut Vec<iovec>, body: &[iovec], mut left: u64) {
    for part in body {
        let n = (part.iov_len as u64).min(left);
        if n > 0 {
            parts.push(iovec {
                iov_base: part.iov_base,
                iov_len: n as usize,
            });
            left -= n;
        }
    }
}

/// Sends a file from `position`, all of it for a length of 0; closes the descriptor.
///
/// # Errors
/// The client has gone, or the file cannot be sent.
pub fn send_file(core: &mut Core, fd: RawFd, position: u64, length: u64) -> Result<(), ResponseError> {
    use std::os::fd::{FromRawFd, OwnedFd};
    // SAFETY: the header gives the descriptor to us.
    let file = std::fs::File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    let size = file.metadata().map_err(ResponseError::Gone)?.len();
    let left = match length {
        0 => size.saturating_sub(position),
        n => n.min(size.saturating_sub(position)),
    };
    send_part(core, file, position, left)
}

/// Reads so many bytes of a file, piece by piece.
fn read_part(
    file: &std::fs::File,
    mut at: u64,
    mut left: u64,
    mut send: impl FnMut(&[u8]) -> Result<(), ResponseError>,
) -> Result<(), ResponseError> {
    let mut bytes = vec![0; left.min(65_536) as usize];
    while left > 0 {
        let n = left.min(bytes.len() as u64);
        let piece = &mut bytes[..n as usize];
        std::os::unix::fs::FileExt::read_exact_at(file, piece, at).map_err(ResponseError::Gone)?;
        send(piece)?;
        at += n;
        left -= n;
    }
    Ok(())
}

/// Sends so many bytes of a file that has them. Few of them leave together with the head, in one segment.
///
/// # Errors
/// The client has gone, or the file has become shorter.
pub fn send_part(core: &mut Core, file: std::fs::File, position: u64, mut left: u64) -> Result<(), ResponseError> {
    if !core.transformations.is_empty() && !core.response.is_head {
        return read_part(&file, position, left, |bytes| write(core, &[place(bytes)], false));
    }
    if !core.response.is_sent() && left <= SMALL_FILE && !core.response.is_head {
        let mut bytes = vec![0; left as usize];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, position).map_err(ResponseError::Gone)?;
        write(core, &[place(&bytes)], true)?;
        core.raw().via = VIA_SENDFILE;
        return Ok(());
    }
    if !core.response.is_sent() {
        complete_head(core, Some(left))?;
        if core.response.replaced {
            return Ok(());
        }
        let head = std::mem::take(&mut core.response.head);
        let sent = deliver(core, &mut [place(&head)]);
        core.response.head = head;
        gone_if(core, sent)?;
    }
    core.raw().via = VIA_SENDFILE;
    core.routing.keep_nothing();
    match core.response.framing {
        Framing::Empty => return Ok(()),
        Framing::Length(due) => {
            left = left.min(due);
            core.response.framing = Framing::Length(due - left);
        }
        Framing::Chunked if left > 0 => {
            let mut out = [0u8; 18];
            let line = chunked::encode_head(left as usize, &mut out).to_vec();
            let sent = deliver(core, &mut [place(&line)]);
            gone_if(core, sent)?;
        }
        _ => {}
    }
    if left > 0 {
        core.raw().response_size += left as usize;
        if server().settings.statics.disable_sendfile {
            read_part(&file, position, left, |bytes| {
                let sent = deliver(core, &mut [place(bytes)]);
                gone_if(core, sent)
            })?;
        } else {
            let sent = deliver_file(core, file, position as i64, left);
            gone_if(core, sent)?;
        }
    }
    if core.response.framing == Framing::Chunked && left > 0 {
        let sent = deliver(core, &mut [place(chunked::CHUNK_END)]);
        gone_if(core, sent)?;
    }
    Ok(())
}

/// Sends bytes on the way that the request's answers go.
pub(super) fn deliver(core: &mut Core, parts: &mut [iovec]) -> io::Result<()> {
    let fd = core.conn().fd();
    match core.response.fastcgi {
        None => core.outlet.send(fd, parts),
        Some(id) => send_records(core, id, parts),
    }
}

/// The same in FastCGI records.
fn send_records(core: &mut Core, id: u16, parts: &[iovec]) -> io::Result<()> {
    let fd = core.conn().fd();
    let mut left: usize = parts.iter().map(|part| part.iov_len).sum();
    let mut headers = Vec::with_capacity(left / fastcgi::MAX_CONTENT + 1);
    while left > 0 {
        let n = left.min(fastcgi::MAX_CONTENT);
        headers.push(fastcgi::stdout_header(id, n as u16));
        left -= n;
    }
    let (mut records, mut room) = (Vec::with_capacity(parts.len() + 2 * headers.len()), 0);
    let mut headers = headers.iter();
    for part in parts {
        let mut rest = *part;
        while rest.iov_len > 0 {
            if room == 0 {
                records.extend(headers.next().map(|header| place(header)));
                room = fastcgi::MAX_CONTENT;
            }
            let n = rest.iov_len.min(room);
            records.push(iovec {
                iov_base: rest.iov_base,
                iov_len: n,
            });
            // SAFETY: `n` is within the part.
            rest.iov_base = unsafe { rest.iov_base.cast::<u8>().add(n) }.cast();
            rest.iov_len -= n;
            room -= n;
        }
    }
    core.outlet.send(fd, &mut records)
}

/// Sends a part of a file on that way.
fn deliver_file(core: &mut Core, file: std::fs::File, mut position: i64, mut left: u64) -> io::Result<()> {
    let fd = core.conn().fd();
    let Some(id) = core.response.fastcgi else {
        // bytes of a next request would be waited for in vain: only a core looks at them
        let is_last = offload::is_on()
            && core.response.framing == Framing::Length(0)
            && core.body.is_consumed()
            && core.conn().buffered().is_empty();
        return core.outlet.send_file(fd, file, position, left, is_last);
    };
    while left > 0 {
        let n = left.min(fastcgi::MAX_CONTENT as u64);
        let header = fastcgi::stdout_header(id, n as u16);
        core.outlet.send(fd, &mut [place(&header)])?;
        core.outlet.send_file(fd, file.try_clone()?, position, n, false)?;
        position += n as i64;
        left -= n;
    }
    Ok(())
}

/// Sends what the client did not take before; whether all has left.
///
/// # Errors
/// The client has gone.
pub fn flush(core: &mut Core) -> Result<bool, ResponseError> {
    let fd = core.conn().fd();
    let done = core.outlet.flush(fd);
    let outcome = done.as_ref().map(|_| ()).map_err(|e| e.kind().into());
    gone_if(core, outcome)?;
    Ok(done.unwrap_or(true))
}

pub(super) fn gone_if(core: &mut Core, result: io::Result<()>) -> Result<(), ResponseError> {
    result.map_err(|e| {
        core.response.gone = true;
        core.raw().write_errors += 1;
        ResponseError::Gone(e)
    })
}

/// A whole short answer of the server's own.
pub fn plain(core: &mut Core, status: &str, body: &str) {
    if status.starts_with("500") {
        // what failed may have left a request half done: the client begins anew
        core.response.close_after();
    }
    // words of another kind than the status' own say something that no page could
    let page = status.ends_with(body).then(|| routing::page(status)).flatten();
    let (kind, body): (&[u8], _) = match &page {
        Some(page) => (b"text/html", page.as_slice()),
        None => (b"text/plain", body.as_bytes()),
    };
    let answered = start(core, status.as_bytes())
        .and_then(|()| header(core, b"Content-Type", kind))
        .and_then(|()| write(core, &[place(body)], true));
    if answered.is_err() {
        core.response.close_after();
    }
}

/// Sends bytes as they are, without a head, and ends the connection.
pub fn alone(core: &mut Core, bytes: &[u8]) {
    let sent = deliver(core, &mut [place(bytes)]);
    let _ = gone_if(core, sent);
    core.response.gone = true;
}

/// Ends the connection without a word.
pub fn cut(core: &mut Core) {
    core.response.gone = true;
    core.response.keep_alive = false;
}

/// As [`write`], but does not wait for the client: whether it has taken all. If not, [`wait`] has to follow.
///
/// # Errors
/// The client has gone.
pub fn write_now(core: &mut Core, body: &[iovec], last: bool) -> Result<bool, ResponseError> {
    let is_new = core.outlet.keep();
    let written = write(core, body, last);
    let is_taken = core.outlet.kept() == 0;
    if is_new && (is_taken || written.is_err()) {
        core.outlet.keep_no_more();
    }
    written.map(|()| is_taken)
}

/// Waits for the client to take what [`write_now`] has left.
///
/// # Errors
/// The client has gone, or takes nothing for too long.
pub fn wait(core: &mut Core) -> Result<(), ResponseError> {
    let fd = core.conn().fd();
    let done = core.outlet.wait(fd);
    gone_if(core, done)
}

/// Ends the answer; `complete` is false when the application failed on the way. Whether the connection may go on.
pub fn finish(core: &mut Core, complete: bool) -> bool {
    let keep = end_body(core, complete);
    let is_whole = !matches!(core.response.framing, Framing::Length(due) if due > 0);
    if complete && is_whole && !core.response.gone {
        routing::store_body(core);
    }
    if let Some(id) = core.response.fastcgi
        && !core.response.gone
        && core.response.is_sent()
        && (complete || core.response.is_own)
        && is_whole
    {
        let fd = core.conn().fd();
        let sent = core.outlet.send(fd, &mut [place(&fastcgi::end_of_answer(id))]);
        return gone_if(core, sent).is_ok() && keep;
    }
    keep
}

/// The body will have another length than was stated.
pub fn forget_length(core: &mut Core) {
    if core.response.content_length.take().is_none() {
        return;
    }
    let is_length = |line: &[u8]| {
        let name = line.split(|b| *b == b':').next().unwrap_or_default();
        name.eq_ignore_ascii_case(b"content-length")
    };
    let head = std::mem::take(&mut core.response.head);
    let kept = head.split_inclusive(|b| *b == b'\n').filter(|line| !is_length(line));
    core.response.head = kept.flatten().copied().collect();
    core.raw().header_cnt -= 1;
}

/// Ends the answer's body; whether the connection may go on.
fn end_body(core: &mut Core, complete: bool) -> bool {
    if websocket::end(core, complete) {
        return false;
    }
    if complete
        && !core.transformations.is_empty()
        && !core.response.is_head
        && let Err(e) = transformation::pass(core, &[], true)
    {
        crate::worker::serve::say_unless_gone(&e);
        return false;
    }
    if !core.response.is_sent() {
        let sent = if complete { write(core, &[], true) } else { Ok(()) };
        if !complete {
            plain(core, "500 Internal Server Error", "Internal Server Error");
            core.response.is_own = true;
        }
        return sent.is_ok() && core.response.keeps_alive();
    }
    if !complete || core.response.gone {
        // a chunked answer without its end, or a short one: the close tells the client
        return false;
    }
    if core.response.framing == Framing::Chunked {
        let sent = deliver(core, &mut [place(chunked::LAST_CHUNK)]);
        if gone_if(core, sent).is_err() {
            return false;
        }
    }
    core.response.keeps_alive()
}

/// Ends the answer as it stands and the client's connection with it; what is written later goes nowhere.
pub fn disconnect(core: &mut Core) {
    let _ = finish(core, true);
    core.response.gone = true;
    // a closed descriptor's number could be taken by another connection while the request goes on
    let _ = nix::sys::socket::shutdown(core.conn().fd(), nix::sys::socket::Shutdown::Both);
}
