//! The answer of a request: status and headers are gathered and leave together with the first bytes of the body, in
//! one call; the framing (length, chunks, close) is decided at that moment.

mod delivery;
mod head;

pub(in crate::request) use delivery::deliver;
use delivery::{deliver_ahead, join, push_bounded};
pub use delivery::{send_file, send_part};
use head::{complete_head, filter_head};
pub use head::{ensure_started, header, start};

use super::{Core, place, transformation, websocket};
use crate::plugin::hooks;
use crate::routing;
use crate::server::SocketProtocol;
use libc::iovec;
use rsgi_protocol::http1::HttpError;
use rsgi_protocol::{chunked, fastcgi};
use std::io;

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
    /// The plugin does nothing more for the request than to return.
    returns_at_once: bool,
    /// The kernel holds the answer for the end of the connection, to send both in one packet.
    is_held: bool,
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
        self.returns_at_once = false;
        self.is_held = false;
    }

    /// The answer goes in the records of this FastCGI request.
    pub fn wrap_for(&mut self, fastcgi: u16) {
        self.fastcgi = Some(fastcgi);
    }

    /// Whether HTTP frames it.
    fn is_over_http(&self) -> bool {
        self.protocol.is_some_and(SocketProtocol::is_http)
    }

    /// Whether a plugin has made its protocol.
    fn is_of_plugin(&self) -> bool {
        matches!(self.protocol, Some(SocketProtocol::Plugin(_)))
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

    /// The plugin returns at once after its last write: the end of the connection may leave with it.
    pub fn set_returns_at_once(&mut self) {
        self.returns_at_once = true;
    }

    /// Whether the answer waits for the end of the connection.
    pub fn is_held(&self) -> bool {
        self.is_held
    }

    /// Whether a write failed.
    pub fn is_gone(&self) -> bool {
        self.gone
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
        && !matches!(response.protocol, Some(SocketProtocol::Plugin(_)))
    {
        size = size.min(*due);
        *due -= size;
        join(&mut response.head, body, size);
        parts.push(place(&response.head));
        // the packet with the end of the connection is spared, where that comes at once
        response.is_held = response.returns_at_once
            && *due == 0
            && !response.keep_alive
            && response.fastcgi.is_none()
            && !hooks::has_post_request()
            && !routing::has_final();
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
    let sent = match core.response.is_held {
        true => deliver_ahead(core, &mut parts),
        false => deliver(core, &mut parts),
    };
    core.response.parts = parts;
    routing::pass_body(core, body, size);
    core.raw().response_size += size as usize;
    gone_if(core, sent)
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
    if core.response.content_length.is_some() {
        filter_head(core, |_, name, _| !name.eq_ignore_ascii_case(b"content-length"));
    }
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
