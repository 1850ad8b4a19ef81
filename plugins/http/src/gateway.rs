//! The event loop of one gateway process: clients come in, each request is paired with a backend, bytes move both ways.
//! Run by the plugin in the process that the host forked for it, and by the tests; knows no option and no host.

mod exchange;
mod streams;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rsgi_protocol::allow::AllowList;
use rsgi_protocol::cgi::Scratch;
use rsgi_protocol::http1::{BodyLength, Head, HttpError, Limits};
use slab::Slab;

use crate::backend::{Backends, Links};
use crate::buffer::{HIGH, Pool};
use crate::channel::Fill;
use crate::packet::Stamp;
use crate::session::{HeadStep, Phase, Session};
use crate::stream::{Listener, Stream};
use crate::tls::{Context, TlsStream};
use exchange::Fault;

/// How often deadlines are looked at.
const SWEEP: Duration = Duration::from_millis(250);
/// While leaving, a kept connection that was quiet for so long is closed.
const LEAVE_IDLE: Duration = Duration::from_secs(1);
/// How long a server that stops still accepts those whose handshake was under way. Nobody new begins one.
const LAST_CALL: Duration = Duration::from_millis(100);
/// How long a client may take to read the last answer.
const LINGER: Duration = Duration::from_secs(2);
/// How long a client may take to send the rest of a body nobody wants.
const SKIP: Duration = Duration::from_secs(5);
/// When a full backlog is tried again.
const RETRY: Duration = Duration::from_millis(10);
/// When accepting is tried again after it failed.
const STALL: Duration = Duration::from_millis(200);
/// Turns that one session gets before the others have theirs.
const TURNS: usize = 16;
/// Connections accepted in one go.
const ACCEPTS: usize = 64;

/// What is done on a listening socket.
#[derive(Clone, Debug)]
#[cfg_attr(test, allow(dead_code))] // made by `plugin`, which needs a host to link against
pub enum Service {
    /// HTTP.
    Plain,
    /// HTTP over TLS.
    Tls(Box<Context>),
    /// Clients are sent to HTTPS.
    Redirect,
}

/// How a gateway works.
#[derive(Debug)]
pub struct Config {
    /// What is done on each listening socket; plain HTTP where nothing is said.
    pub services: Vec<Service>,
    /// What the packets of each ask for; the first plugin where nothing is said.
    pub modifiers: Vec<(u8, u8)>,
    /// Requests carry the client's certificate.
    pub export_certificate: bool,
    /// HTTP/2 is spoken to whoever begins with it.
    pub http2: bool,
    /// Who may say first who its client is; `None`: nobody does.
    pub proxies: Option<AllowList>,
    /// What a head may have.
    pub limits: Limits,
    /// SERVER_NAME.
    pub server_name: Vec<u8>,
    /// SERVER_NAME is the Host.
    pub name_from_host: bool,
    /// What goes into every packet.
    pub stamp: Stamp,
    /// How long a kept connection may be idle; `None`: connections are not kept.
    pub keep_alive: Option<Duration>,
    /// How long nothing may move while a request is served.
    pub timeout: Duration,
    /// How long a head may take.
    pub headers_timeout: Duration,
    /// How long connecting to a backend may take.
    pub connect_timeout: Duration,
    /// Announced bodies beyond this get 413 instead of 100.
    pub expect_limit: Option<u64>,
    /// Where log lines go.
    pub log: fn(&str),
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Another gateway has taken over: finish what is under way and return.
    Retire,
    /// The server stops: the same, and nobody accepts any more.
    Drain,
    /// Return now.
    Stop,
}

/// Where orders come from: a descriptor that becomes readable, and a function that reads it.
pub struct Orders<'a> {
    /// Watched for reading.
    pub fd: BorrowedFd<'a>,
    /// Reads one order, `None` when there is none.
    pub next: Box<dyn FnMut() -> Option<Order> + 'a>,
}

/// What an event is about. The token carries a serial number too, so that an event of a connection that was closed
/// meanwhile is not taken for one of its successor in the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Orders,
    Listener(usize),
    Session(usize, u64),
    Link(usize, u64),
}

impl Subject {
    fn token(self) -> Token {
        let pack = |kind: u64, key: usize, serial: u64| {
            // 24 bits of key are more connections than a process may have; 38 bits of serial last for years.
            Token((kind | (key as u64 & 0xff_ffff) << 2 | serial << 26) as usize)
        };
        match self {
            Self::Orders => pack(0, 0, 0),
            Self::Listener(key) => pack(1, key, 0),
            Self::Session(key, serial) => pack(2, key, serial),
            Self::Link(key, serial) => pack(3, key, serial),
        }
    }

    fn of(token: Token) -> Self {
        let token = token.0 as u64;
        let (key, serial) = ((token >> 2 & 0xff_ffff) as usize, token >> 26);
        match token & 3 {
            0 => Self::Orders,
            1 => Self::Listener(key),
            2 => Self::Session(key, serial),
            _ => Self::Link(key, serial),
        }
    }
}

/// One gateway.
pub struct Gateway {
    config: Config,
    poll: Poll,
    listeners: Vec<Listener>,
    sessions: Slab<Session>,
    links: Links,
    /// Requests that wait for a backend: key and id.
    queue: VecDeque<(usize, u64)>,
    /// Sessions that used up their turns.
    again: Vec<usize>,
    /// Listeners that may have more connections waiting.
    accepting: Vec<usize>,
    /// Listeners to try again later.
    stalled: Vec<usize>,
    pool: Pool,
    heads: Vec<Head>,
    packet: Vec<u8>,
    scratch: Scratch,
    now: Instant,
    next_sweep: Instant,
    retry_at: Option<Instant>,
    last_id: u64,
    /// The HTTP/2 connection whose streams are being moved on.
    driven: Option<usize>,
    leaving: bool,
    /// Nobody will take over: conversations are ended too.
    stopping: bool,
    /// Until when a server that stops accepts.
    last_call: Option<Instant>,
}

impl Gateway {
    /// A gateway over listening sockets; make it in the process that runs it, because a poll must not cross a fork.
    pub fn new(config: Config, mut listeners: Vec<Listener>, backends: Backends) -> io::Result<Self> {
        let poll = Poll::new()?;
        for (i, listener) in listeners.iter_mut().enumerate() {
            listener.register(poll.registry(), Subject::Listener(i).token())?;
        }
        let now = Instant::now();
        Ok(Self {
            config,
            poll,
            accepting: Vec::new(),
            stalled: Vec::new(),
            listeners,
            sessions: Slab::new(),
            links: Links::new(backends),
            queue: VecDeque::new(),
            again: Vec::new(),
            pool: Pool::default(),
            heads: Vec::new(),
            packet: Vec::new(),
            scratch: Scratch::new(),
            now,
            next_sweep: now + SWEEP,
            retry_at: None,
            last_id: 0,
            driven: None,
            leaving: false,
            stopping: false,
            last_call: None,
        })
    }

    /// Serves until an order ends it.
    pub fn run(&mut self, mut orders: Orders<'_>) -> io::Result<()> {
        let raw = orders.fd.as_raw_fd();
        self.poll
            .registry()
            .register(&mut SourceFd(&raw), Subject::Orders.token(), Interest::READABLE)?;
        let mut events = Events::with_capacity(512);
        loop {
            match self.poll.poll(&mut events, self.patience()) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                outcome => outcome?,
            }
            self.now = Instant::now();
            let mut ordered = false;
            for event in &events {
                match Subject::of(event.token()) {
                    Subject::Orders => ordered = true,
                    Subject::Listener(key) => self.accepting.push(key),
                    Subject::Session(key, serial) => {
                        if let Some(session) = self.sessions.get_mut(key).filter(|session| session.id == serial) {
                            session.channel.note(event);
                            self.advance(key);
                        }
                    }
                    Subject::Link(key, serial) => {
                        if let Some(link) = self.links.get(key).filter(|link| link.id == serial) {
                            link.channel.note(event);
                            self.on_link(key);
                        }
                    }
                }
            }
            for key in std::mem::take(&mut self.again) {
                self.advance(key);
            }
            self.accept();
            if self.retry_at.is_some_and(|at| at <= self.now) {
                self.retry_at = None;
                self.accepting.append(&mut self.stalled);
                self.serve_queue();
            }
            if self.next_sweep <= self.now {
                self.next_sweep = self.now + SWEEP;
                self.sweep();
            }
            while ordered {
                match (orders.next)() {
                    Some(Order::Stop) => return Ok(()),
                    Some(Order::Retire) => self.leave(false),
                    Some(Order::Drain) => self.leave(true),
                    None => ordered = false,
                }
            }
            if self.last_call.is_some_and(|at| at <= self.now) {
                self.last_call = None;
                self.stop_accepting(true);
            }
            if self.leaving && self.sessions.is_empty() && self.last_call.is_none() {
                return Ok(());
            }
        }
    }

    /// How long the poll may sleep.
    fn patience(&self) -> Option<Duration> {
        if !self.again.is_empty() || !self.accepting.is_empty() {
            return Some(Duration::ZERO);
        }
        let sweep = (!self.sessions.is_empty()).then_some(self.next_sweep);
        let at = [sweep, self.retry_at, self.last_call].into_iter().flatten().min()?;
        Some(at.saturating_duration_since(Instant::now()))
    }

    fn accept(&mut self) {
        for at in std::mem::take(&mut self.accepting) {
            let mut more = true;
            for _ in 0..ACCEPTS {
                let Some(listener) = self.listeners.get(at) else {
                    break;
                };
                match listener.accept() {
                    Ok(Some((stream, peer))) => self.open(stream, at, peer),
                    Ok(None) => {
                        more = false;
                        break;
                    }
                    Err(e) => {
                        // Out of descriptors or memory: others must finish first.
                        // (Or another gateway has taken the socket out of service.)
                        if e.kind() != io::ErrorKind::InvalidInput {
                            (self.config.log)(&format!("http: accept(): {e}; trying again in a moment"));
                        }
                        self.stalled.push(at);
                        self.retry_at.get_or_insert(self.now + STALL);
                        more = false;
                        break;
                    }
                }
            }
            if more && at < self.listeners.len() && !self.accepting.contains(&at) {
                self.accepting.push(at);
            }
        }
    }

    fn open(&mut self, mut stream: Stream, listener: usize, peer: crate::stream::Peer) {
        let proxies = self.config.proxies.as_ref();
        let awaits_proxy = proxies.is_some_and(|list| list.lets_speak(&peer.address));
        if !awaits_proxy {
            stream = match self.secured(stream, listener, Vec::new()) {
                Some(stream) => stream,
                None => return,
            };
        }
        let entry = self.sessions.vacant_entry();
        let key = entry.key();
        let id = self.last_id + 1;
        if let Err(e) = stream.register(self.poll.registry(), Subject::Session(key, id).token()) {
            (self.config.log)(&format!("http: cannot watch a connection: {e}"));
            return;
        }
        self.last_id = id;
        let deadline = self.now + self.config.headers_timeout;
        let mut session = Session::new(self.last_id, stream, listener, peer, self.now, deadline);
        session.awaits_proxy = awaits_proxy;
        entry.insert(session);
    }

    /// The stream of a connection, with TLS over it if its listener has that; `None`: it cannot be, which was said.
    fn secured(&mut self, stream: Stream, listener: usize, early: Vec<u8>) -> Option<Stream> {
        let Some(Service::Tls(context)) = self.config.services.get_mut(listener) else {
            return Some(stream);
        };
        let config = context.current(self.now, self.config.log);
        match TlsStream::new(stream, config, early) {
            Ok(tls) => Some(Stream::Tls(Box::new(tls))),
            Err(e) => {
                (self.config.log)(&format!("https: cannot begin a session: {e}"));
                None
            }
        }
    }

    /// Reads what a balancer says about its client; whether the session can go on at once.
    fn read_proxy(&mut self, key: usize) -> bool {
        let Some(session) = self.sessions.get_mut(key) else {
            return false;
        };
        match session.read_proxy(&mut self.pool) {
            HeadStep::Request => {}
            HeadStep::Wait => return false,
            HeadStep::Gone => {
                self.close(key);
                return false;
            }
            HeadStep::Refused(error) => return self.refuse(key, error),
        }
        let listener = session.listener;
        if matches!(self.config.services.get(listener), Some(Service::Tls(_))) {
            let early = session.channel.input.data().to_vec();
            session.channel.input.consume(early.len());
            let stream = std::mem::replace(&mut session.channel.socket.stream, Stream::Part);
            let Some(stream) = self.secured(stream, listener, early) else {
                self.close(key);
                return false;
            };
            if let Some(session) = self.sessions.get_mut(key) {
                session.channel.socket.stream = stream;
                session.channel.look_again();
            }
        }
        true
    }

    /// Takes what the kernel has already accepted for us, then no more; `for_all`: nor does anybody else, and those who
    /// are on their way are waited for.
    fn leave(&mut self, for_all: bool) {
        if std::mem::replace(&mut self.leaving, true) {
            return;
        }
        let streams = self
            .sessions
            .iter()
            .filter(|(_, session)| session.phase == Phase::Streams);
        self.again.extend(streams.map(|(key, _)| key));
        if for_all {
            self.last_call = Some(self.now + LAST_CALL);
            self.stopping = true;
            self.end_tunnels();
        } else {
            self.stop_accepting(false);
        }
    }

    /// Conversations have no end of their own: workers learn that nothing more will come, and say goodbye to clients.
    fn end_tunnels(&mut self) {
        let tunnels = self.sessions.iter().filter(|(_, session)| session.reply.is_tunnel);
        for key in tunnels.map(|(key, _)| key).collect::<Vec<_>>() {
            self.advance(key);
        }
    }

    fn stop_accepting(&mut self, for_all: bool) {
        for at in 0..self.listeners.len() {
            while let Ok(Some((stream, peer))) = self.listeners[at].accept() {
                self.open(stream, at, peer);
            }
        }
        self.accepting.clear();
        // The ports stay known, the sockets are closed.
        for listener in &mut self.listeners {
            listener.close(for_all);
        }
    }

    /// Does all that can be done for a session now.
    fn advance(&mut self, key: usize) {
        if let Some(parent) = self.sessions.get(key).and_then(|session| session.parent) {
            self.nudge(parent);
        }
        for _ in 0..TURNS {
            let Some(session) = self.sessions.get_mut(key) else {
                return;
            };
            if session.channel.is_hung_up() && session.phase != Phase::Head {
                return self.close(key);
            }
            let moved = match session.phase {
                Phase::Queued => return,
                Phase::Streams => return self.drive(key),
                Phase::Head => self.read_head(key),
                Phase::Exchange(link) => self.exchange(key, link),
                Phase::Skip => self.skip(key),
                Phase::Linger => self.linger(key),
            };
            if !moved {
                return;
            }
        }
        self.again.push(key);
    }

    /// A stream of this connection has something for it.
    fn nudge(&mut self, parent: usize) {
        if self.driven != Some(parent) && !self.again.contains(&parent) {
            self.again.push(parent);
        }
    }

    /// Reads a request and starts it; whether the session can go on at once.
    fn read_head(&mut self, key: usize) -> bool {
        let Some(session) = self.sessions.get_mut(key) else {
            return false;
        };
        if session.awaits_proxy {
            return self.read_proxy(key);
        }
        match session.channel.flush() {
            Ok(true) if !session.channel.output.is_empty() => {
                session.deadline = session.deadline.max(self.now + self.config.timeout);
            }
            Ok(true) => {
                // the last of an answer has left: from now on the client is idle, or sends its next head
                session.idle_since = self.now;
                session.deadline = self.now
                    + match session.channel.input.is_empty() {
                        true => self.config.keep_alive.unwrap_or(LINGER),
                        false => self.config.headers_timeout,
                    };
            }
            Ok(false) => {}
            Err(_) => {
                self.close(key);
                return false;
            }
        }
        if session.channel.output.len() >= HIGH {
            // A client that asks and asks and reads no answer.
            return false;
        }
        let had_bytes = !session.channel.input.is_empty();
        let step = session.read_head(&self.config.limits, &mut self.pool, &mut self.heads);
        if self.config.http2 {
            match session.begins_http2() {
                Some(true) => return self.begin_http2(key),
                Some(false) => {}
                None if session.channel.is_half_closed() => {}
                None => {
                    // its settings follow the preface at once
                    session.deadline = session.deadline.min(self.now + LINGER);
                    // the parser of HTTP/1 has judged what is here, and reads no more
                    return match session.channel.fill(&mut self.pool, HIGH) {
                        Ok(Fill::Nothing) => false,
                        // more bytes, or an end that the next turn sees
                        Ok(Fill::Got | Fill::Ended) => true,
                        Err(_) => {
                            self.close(key);
                            false
                        }
                    };
                }
            }
        }
        match step {
            HeadStep::Request => self.start(key),
            HeadStep::Wait => {
                if session.channel.input.is_empty() {
                    session.channel.release(&mut self.pool);
                    spare(&mut self.heads, session.head.take());
                } else if !had_bytes {
                    session.deadline = self.now + self.config.headers_timeout;
                }
                false
            }
            HeadStep::Gone if session.channel.output.is_empty() => {
                self.close(key);
                false
            }
            HeadStep::Gone => {
                session.phase = Phase::Linger;
                session.deadline = self.now + self.config.timeout;
                true
            }
            HeadStep::Refused(error) => {
                session.client = Default::default();
                self.refuse(key, error)
            }
        }
    }

    /// A request is there: checks what only the gateway can, and finds a backend.
    fn start(&mut self, key: usize) -> bool {
        let keep_alive = self.config.keep_alive.is_some() && !self.leaving;
        let Some(session) = self.sessions.get_mut(key) else {
            return false;
        };
        session.begin_request(keep_alive);
        if matches!(self.config.services.get(session.listener), Some(Service::Redirect)) {
            session.redirect(&mut self.pool);
            session.deadline = self.now + LINGER;
            return true;
        }
        let length = match session.head.as_ref().map(|head| head.body) {
            Some(BodyLength::Fixed(n)) => n,
            _ => 0,
        };
        if length > self.config.stamp.limit_post {
            return self.refuse(key, HttpError::new(413, "the body is over limit-post"));
        }
        if session.awaits_continue() {
            if self.config.expect_limit.is_some_and(|limit| length > limit) {
                return self.refuse(key, HttpError::new(413, "the announced body is too large"));
            }
            let sent = session.channel.send(&mut self.pool, b"HTTP/1.1 100 Continue\r\n\r\n");
            if sent.is_err() {
                self.close(key);
                return false;
            }
        }
        session.deadline = self.now + self.config.timeout;
        self.seek_backend(key)
    }

    /// An event on a connection to a backend.
    fn on_link(&mut self, key: usize) {
        let Some(link) = self.links.get(key) else {
            return;
        };
        if link.connecting && (link.channel.is_writable() || link.channel.is_hung_up()) {
            link.connecting = false;
            if let Err(e) = link.channel.socket.stream.connected()
                && let Some(session) = link.session
            {
                self.fail(
                    session,
                    key,
                    Fault::Backend {
                        cause: e.to_string(),
                        unread: true,
                    },
                );
                return self.advance(session);
            }
            let session = link.session;
            if let Some(session) = session.and_then(|key| self.sessions.get_mut(key)) {
                session.deadline = self.now + self.config.timeout;
            }
        }
        let Some(link) = self.links.get(key) else {
            return;
        };
        match link.session {
            Some(session) => self.advance(session),
            // Nothing is due on an idle connection but its end.
            None if link.channel.is_readable() => {
                self.links.close(key);
                self.serve_queue();
            }
            None => {}
        }
    }

    /// Answers for the backend and ends the connection.
    fn refuse(&mut self, key: usize, error: HttpError) -> bool {
        let Some(session) = self.sessions.get_mut(key) else {
            return false;
        };
        session.replay = 0;
        session.answer(error, &mut self.pool);
        session.deadline = self.now + LINGER;
        true
    }

    /// Throws away the rest of a body; whether the session can go on at once.
    fn skip(&mut self, key: usize) -> bool {
        let Some(session) = self.sessions.get_mut(key) else {
            return false;
        };
        if session.channel.flush().is_err() {
            self.close(key);
            return false;
        }
        match session.skip_body(&mut self.pool) {
            None => false,
            Some(true) => {
                session.phase = Phase::Head;
                session.deadline = self.now + self.config.keep_alive.unwrap_or(LINGER);
                session.idle_since = self.now;
                true
            }
            Some(false) => {
                session.phase = Phase::Linger;
                session.deadline = self.now + LINGER;
                true
            }
        }
    }

    fn linger(&mut self, key: usize) -> bool {
        let Some(session) = self.sessions.get_mut(key) else {
            return false;
        };
        match session.channel.flush() {
            Err(_) => self.close(key),
            Ok(moved) => {
                if moved {
                    session.deadline = self.now
                        + if session.channel.output.is_empty() {
                            LINGER
                        } else {
                            self.config.timeout
                        };
                }
                if session.linger(&mut self.pool) {
                    self.close(key);
                }
            }
        }
        false
    }

    /// Ends a connection in the middle of an answer, so that the client cannot take it for whole.
    fn abort(&mut self, key: usize) {
        if let Some(session) = self.sessions.get_mut(key) {
            let _ = session.channel.flush();
            session.channel.socket.stream.reset_on_close();
        }
        self.close(key);
    }

    /// Ends a session, and with it the backend's connection that serves it.
    fn close(&mut self, key: usize) {
        let Some(mut session) = self.sessions.try_remove(key) else {
            return;
        };
        spare(&mut self.heads, session.head.take());
        if let Some(parent) = session.parent {
            self.nudge(parent);
        }
        if let Some(http2) = session.http2.take() {
            self.end_streams(&http2);
        }
        for queue in [&mut session.channel.input, &mut session.channel.output] {
            queue.consume(usize::MAX - queue.len());
        }
        session.channel.release(&mut self.pool);
        if let Phase::Exchange(link) = session.phase {
            self.links.close(link);
            self.serve_queue();
        }
    }

    /// Ends what has lasted too long.
    fn sweep(&mut self) {
        let late = |s: &Session, now: Instant, leaving: bool| {
            s.deadline <= now || (leaving && s.is_idle() && now.duration_since(s.idle_since) >= LEAVE_IDLE)
        };
        let (now, leaving) = (self.now, self.leaving);
        let due: Vec<usize> = self
            .sessions
            .iter()
            .filter(|(_, s)| late(s, now, leaving))
            .map(|(key, _)| key)
            .collect();
        for key in due {
            let Some(session) = self.sessions.get_mut(key) else {
                continue;
            };
            match session.phase {
                Phase::Head if !session.channel.input.is_empty() => {
                    self.refuse(key, HttpError::new(408, "the request head took too long"));
                }
                Phase::Streams => self.retire(key),
                Phase::Head | Phase::Skip | Phase::Linger => self.close(key),
                Phase::Queued => {
                    (self.config.log)("http: no worker was free in time; the client gets 504");
                    self.refuse(key, HttpError::new(504, "no worker was free in time"));
                }
                Phase::Exchange(link) => self.time_out(key, link),
            }
            self.advance(key);
        }
        self.heads.truncate(64);
    }
}

/// Keeps a head's memory for another session; nothing of a half-read head may stay in it.
fn spare(heads: &mut Vec<Head>, head: Option<Head>) {
    if let Some(mut head) = head {
        head.clear();
        heads.push(head);
    }
}
