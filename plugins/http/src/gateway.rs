//! The event loop of one gateway process: clients come in, each request is paired with a backend, bytes move both ways.
//! Run by the plugin in the process that the host forked for it, and by the tests; knows no option and no host.

mod accepting;
mod checks;
mod deadlines;
mod ending;
mod exchange;
mod streams;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rsgi_protocol::allow::AllowList;
use rsgi_protocol::cgi::Scratch;
use rsgi_protocol::forwarded::Dialect;
use rsgi_protocol::http1::{BodyLength, Head, HttpError, Limits};
use slab::Slab;

use crate::backend::{Backends, Links};
use crate::buffer::{HIGH, Pool};
use crate::channel::Fill;
use crate::packet::Stamp;
use crate::session::{HeadStep, Phase, Session};
use crate::stats::{Counters, count};
use crate::stream::Listener;
use crate::tls::Context;
use checks::Checks;
use deadlines::{LINGER, SWEEP};
use ending::spare;
use exchange::Fault;

/// When a full backlog is tried again.
const RETRY: Duration = Duration::from_millis(10);
/// Turns that one session gets before the others have theirs.
const TURNS: usize = 16;

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
    /// Whoever connects gets figures.
    Stats,
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
    /// Whose word about their clients counts, and in which headers they give it; `None`: nobody was named.
    pub forwarders: Option<(AllowList, Dialect)>,
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
    /// Answers are compressed whose applications ask for it.
    pub auto_gzip: bool,
    /// What happens is counted there.
    pub counters: Counters,
    /// Where clients come in, for `--http-stats`.
    pub addresses: Vec<String>,
    /// Where log lines go.
    pub log: fn(&str),
    /// How often the servers of a pool are asked whether they are there.
    pub check_every: Option<Duration>,
    /// Where servers announce themselves.
    pub announcements: Option<std::net::UdpSocket>,
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
    Announcements,
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
            Self::Announcements => pack(0, 1, 0),
            Self::Listener(key) => pack(1, key, 0),
            Self::Session(key, serial) => pack(2, key, serial),
            Self::Link(key, serial) => pack(3, key, serial),
        }
    }

    fn of(token: Token) -> Self {
        let token = token.0 as u64;
        let (key, serial) = ((token >> 2 & 0xff_ffff) as usize, token >> 26);
        match token & 3 {
            0 if key == 1 => Self::Announcements,
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
    announcements: Option<UdpSocket>,
    checks: Option<Checks>,
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
    pub fn new(mut config: Config, mut listeners: Vec<Listener>, backends: Backends) -> io::Result<Self> {
        let poll = Poll::new()?;
        for (i, listener) in listeners.iter_mut().enumerate() {
            listener.register(poll.registry(), Subject::Listener(i).token())?;
        }
        let mut announcements = config.announcements.take().map(UdpSocket::from_std);
        if let Some(socket) = &mut announcements {
            poll.registry()
                .register(socket, Subject::Announcements.token(), Interest::READABLE)?;
        }
        let now = Instant::now();
        Ok(Self {
            poll,
            announcements,
            checks: config
                .check_every
                .map(|every| Checks::new(every, config.connect_timeout, now)),
            config,
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
                    Subject::Announcements => self.hear(),
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
            self.check_backends();
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

    /// Takes what servers say of themselves.
    fn hear(&mut self) {
        let mut packet = [0; 8192];
        while let Some(socket) = &self.announcements
            && let Ok(n) = socket.recv(&mut packet)
        {
            if let Some(line) = self.links.hear(&packet[..n], self.now) {
                (self.config.log)(&line);
            }
        }
        for line in self.links.sweep(self.now) {
            (self.config.log)(&line);
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
        session.begin_request(keep_alive, self.config.auto_gzip);
        match self.config.services.get(session.listener) {
            Some(Service::Redirect) => {
                session.redirect(&mut self.pool);
                session.deadline = self.now + LINGER;
                return true;
            }
            Some(Service::Stats) => return self.show_stats(key, true),
            _ => count(self.config.counters.requests),
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
        if self.links.are_kept() && !self.queue.is_empty() {
            // what came before goes first, also where one with a body waits for what others need not wait for
            session.phase = Phase::Queued;
            self.queue.push_back((key, session.id));
            self.retry_at.get_or_insert(self.now + RETRY);
            return false;
        }
        self.seek_backend(key)
    }

    /// An event on a connection to a backend.
    fn on_link(&mut self, key: usize) {
        let Some(link) = self.links.get(key) else {
            return;
        };
        if link.is_probe {
            return self.go_on_with_check(key);
        }
        if link.connecting && (link.channel.is_writable() || link.channel.is_hung_up()) {
            link.connecting = false;
            let (connected, session) = (link.channel.socket.stream.connected(), link.session);
            self.links.settled(key, connected.is_ok(), self.now);
            if let (Err(e), Some(session)) = (connected, session) {
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
}
