//! One client's connection: where it is between requests and answers, and what it still has to read or write.
//! Owned by the gateway, which pairs it with a backend for the time of one request.

use std::rc::Rc;
use std::time::Instant;

use rsgi_protocol::coding::takes_gzip;
use rsgi_protocol::http1::{BodyLength, Head, HttpError, Limits, Progress, Version, parse_head};
use rsgi_protocol::{Name, cgi, proxy};

use crate::buffer::{HIGH, Pool};
use crate::channel::{Channel, Fill};
use crate::http2::{self, Http2};
use crate::packet::Body;
use crate::reply::{Client, Compress, Reply};
use crate::stream::{Peer, Stream};
use crate::tls::Certificate;

/// Bytes of a body nobody wants that are read to save the connection.
const SKIPPED: usize = 256 * 1024;

/// Where a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waits for a request head, or reads one.
    Head,
    /// The client speaks HTTP/2: its streams are elsewhere.
    Streams,
    /// The request waits for a backend.
    Queued,
    /// The backend of this key serves the request.
    Exchange(usize),
    /// The answer is out; the rest of the request's body is thrown away.
    Skip,
    /// The last answer is out, or nearly; the client gets time to read it.
    Linger,
}

/// What reading a head came to.
#[derive(Debug)]
pub enum HeadStep {
    /// A request is there.
    Request,
    /// More has to come.
    Wait,
    /// The client has left.
    Gone,
    /// Not a request that can be served.
    Refused(HttpError),
}

/// A client's connection.
#[derive(Debug)]
pub struct Session {
    /// Tells it from others that had the same key.
    pub id: u64,
    /// The socket and its queues.
    pub channel: Channel,
    /// Which listener it came in by.
    pub listener: usize,
    /// Who it is.
    pub peer: Peer,
    /// A balancer may say first who the client is.
    pub awaits_proxy: bool,
    /// What the client's certificate says, once it is known.
    pub certificate: Option<Rc<Certificate>>,
    /// It came over TLS, though not on a socket of its own.
    pub over_tls: bool,
    /// The client speaks HTTP/2, and its streams are sessions of their own.
    pub http2: Option<Box<Http2>>,
    /// The session whose stream this is.
    pub parent: Option<usize>,
    /// Where it is.
    pub phase: Phase,
    /// When that has lasted too long.
    pub deadline: Instant,
    /// When it was last idle, while it is.
    pub idle_since: Instant,
    /// The head under way or being served; given back while idle.
    pub head: Option<Head>,
    /// What of the request's body is still to come.
    pub body: Body,
    /// The answer's state.
    pub reply: Reply,
    /// What the answer depends on.
    pub client: Client,
    /// Bytes of the input that belong to the request, kept until the answer begins, so that it can be sent again.
    pub replay: usize,
    /// How often the request was sent.
    pub attempts: u32,
    /// Bytes thrown away in `Skip`.
    skipped: usize,
    /// Our sending side is closed.
    shut: bool,
    /// The client asked for the end itself.
    wants_close: bool,
    /// No request has come yet.
    is_first: bool,
}

impl Session {
    /// A session for a fresh connection.
    pub fn new(id: u64, stream: Stream, listener: usize, peer: Peer, now: Instant, deadline: Instant) -> Self {
        Self {
            id,
            channel: Channel::new(stream, true),
            listener,
            peer,
            awaits_proxy: false,
            certificate: None,
            over_tls: false,
            http2: None,
            parent: None,
            phase: Phase::Head,
            deadline,
            idle_since: now,
            head: None,
            body: Body::Done,
            reply: Reply::default(),
            client: Client::default(),
            replay: 0,
            attempts: 0,
            skipped: 0,
            shut: false,
            wants_close: false,
            is_first: true,
        }
    }

    /// Whether it came over TLS.
    pub fn is_secure(&self) -> bool {
        self.over_tls || self.channel.socket.stream.tls().is_some()
    }

    /// What the certificate says that the client has shown on this connection.
    pub fn shown_certificate(&self) -> Option<Rc<Certificate>> {
        self.channel.socket.stream.tls()?.certificate().map(Rc::new)
    }

    /// Whether the client has begun to speak HTTP/2; `None`: more has to come to tell.
    pub fn begins_http2(&self) -> Option<bool> {
        match self.channel.socket.stream.tls() {
            Some(tls) => Some(tls.is_http2()),
            None if self.is_first => http2::begins(self.channel.input.data()),
            None => Some(false),
        }
    }

    /// Whether it waits for a request of which nothing has come.
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Head && self.channel.input.is_empty() && self.channel.is_flushed()
    }

    /// Reads until it is known who the client is.
    pub fn read_proxy(&mut self, pool: &mut Pool) -> HeadStep {
        loop {
            match proxy::parse(self.channel.input.data()) {
                Ok(proxy::Header::Partial) => {}
                Ok(proxy::Header::Absent) => break,
                Ok(proxy::Header::Whole { len, client }) => {
                    self.channel.input.consume(len);
                    if let Some(client) = client {
                        self.peer = client.into();
                    }
                    break;
                }
                Err(_) => return HeadStep::Refused(HttpError::new(400, "malformed PROXY header")),
            }
            match self.channel.fill(pool, HIGH) {
                Ok(Fill::Got) => {}
                Ok(Fill::Nothing) => return HeadStep::Wait,
                Ok(Fill::Ended) | Err(_) => return HeadStep::Gone,
            }
        }
        self.awaits_proxy = false;
        HeadStep::Request
    }

    /// Reads until a head is whole; `heads` are spare ones.
    pub fn read_head(&mut self, limits: &Limits, pool: &mut Pool, heads: &mut Vec<Head>) -> HeadStep {
        loop {
            if !self.channel.input.is_empty() {
                let head = self.head.get_or_insert_with(|| heads.pop().unwrap_or_default());
                match parse_head(self.channel.input.data(), limits, head) {
                    Ok(Progress::Partial) => {}
                    Ok(Progress::Complete) => return HeadStep::Request,
                    Err(error) => return HeadStep::Refused(error),
                }
            }
            // One byte more than a head may have, so that the parser sees that it is too large.
            match self.channel.fill(pool, (limits.head + 1).max(HIGH)) {
                Ok(Fill::Got) => {}
                Ok(Fill::Nothing) => return HeadStep::Wait,
                Ok(Fill::Ended) if self.channel.input.is_empty() => return HeadStep::Gone,
                Ok(Fill::Ended) => {
                    return HeadStep::Refused(HttpError::new(400, "the request is cut off"));
                }
                Err(_) => return HeadStep::Gone,
            }
        }
    }

    /// Prepares for the request whose head was just read.
    pub fn begin_request(&mut self, keep_alive: bool, auto_gzip: bool) {
        let Some(head) = &self.head else { return };
        let input = self.channel.input.data();
        let takes_gzip = || {
            let mut lists = head.fields.iter().filter(|field| field.known == Name::AcceptEncoding);
            lists.any(|field| takes_gzip(field.value.of(input)))
        };
        self.client = Client {
            is_head: head.method.of(self.channel.input.data()) == b"HEAD",
            is_http10: head.version == Version::Http10,
            keep: keep_alive && head.keep_alive,
            gzip: match auto_gzip {
                false => Compress::Never,
                true if takes_gzip() => Compress::Taken,
                true => Compress::Refused,
            },
        };
        self.wants_close = !head.keep_alive;
        self.attempts = 0;
        self.is_first = false;
        self.reply = Reply::default();
    }

    /// Whether the client waits for `100 Continue`: it asked, and none of the body is here yet.
    pub fn awaits_continue(&self) -> bool {
        self.head.as_ref().is_some_and(|head| {
            head.expect_continue && head.body != BodyLength::None && self.channel.input.len() == head.len
        })
    }

    /// The answer has begun, so the request will not be sent again.
    pub fn forget_request(&mut self) {
        self.channel.input.consume(std::mem::take(&mut self.replay));
    }

    /// Throws away what is left of the body; `Some` when that has come to an end: whether the connection is still good.
    pub fn skip_body(&mut self, pool: &mut Pool) -> Option<bool> {
        loop {
            match self.body.take(self.channel.input.data(), usize::MAX, |_| {}) {
                Ok(used) => {
                    self.channel.input.consume(used);
                    self.skipped += used;
                }
                Err(_) => return Some(false),
            }
            if self.body.is_done() {
                self.skipped = 0;
                return Some(true);
            }
            if self.skipped > SKIPPED {
                return Some(false);
            }
            match self.channel.fill(pool, HIGH) {
                Ok(Fill::Got) => {}
                Ok(Fill::Nothing) => return None,
                Ok(Fill::Ended) | Err(_) => return Some(false),
            }
        }
    }

    /// Closes our side when all is written, and takes what the client still sends; whether the session is over.
    /// A close with bytes unread would reset the connection, and the answer could be lost on the way.
    pub fn linger(&mut self, pool: &mut Pool) -> bool {
        if !self.channel.is_flushed() {
            return false;
        }
        if self.wants_close && self.channel.input.is_empty() && !self.channel.is_readable() {
            // It said that nothing more comes.
            return true;
        }
        if !self.shut {
            self.channel.socket.stream.shutdown_write();
            self.shut = true;
        }
        loop {
            let got = self.channel.input.len();
            self.channel.input.consume(got);
            match self.channel.fill(pool, HIGH) {
                Ok(Fill::Got) => {}
                Ok(Fill::Nothing) => return false,
                Ok(Fill::Ended) | Err(_) => return true,
            }
        }
    }

    /// Sends the client to the same place under https.
    pub fn redirect(&mut self, pool: &mut Pool) {
        let input = self.channel.input.data();
        let place = self.head.as_ref().and_then(|head| {
            let host = head.host.map(|host| host.of(input)).filter(|host| !host.is_empty())?;
            // not the target: that may name a host of its own
            let path = Some(head.path.of(input)).filter(|path| path.starts_with(b"/"));
            let query = head.query.of(input);
            let mark: &[u8] = if query.is_empty() { b"" } else { b"?" };
            Some([b"https://", cgi::without_port(host), path.unwrap_or(b"/"), mark, query].concat())
        });
        let Some(place) = place else {
            return self.answer(HttpError::new(400, "no host to go to"), pool);
        };
        for part in [
            &b"HTTP/1.1 301 Moved Permanently\r\nLocation: "[..],
            &place,
            b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        ] {
            self.channel.output.append(pool, part);
        }
        self.phase = Phase::Linger;
    }

    /// Queues a document, after which the connection ends.
    pub fn show(&mut self, document: &str, over_http: bool, pool: &mut Pool) {
        if over_http {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                document.len()
            );
            self.channel.output.append(pool, head.as_bytes());
        }
        if !self.client.is_head {
            self.channel.output.append(pool, document.as_bytes());
        }
        self.wants_close = false;
        self.phase = Phase::Linger;
    }

    /// Queues an answer of the gateway itself, after which the connection ends.
    pub fn answer(&mut self, error: HttpError, pool: &mut Pool) {
        self.wants_close = false;
        let body = match error.cause() {
            "" => String::new(),
            cause => format!("{} {}\r\n{cause}\r\n", error.status(), error.reason()),
        };
        let head = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            error.status(),
            error.reason(),
            body.len()
        );
        self.channel.output.append(pool, head.as_bytes());
        if !self.client.is_head {
            self.channel.output.append(pool, body.as_bytes());
        }
        self.phase = Phase::Linger;
    }
}
