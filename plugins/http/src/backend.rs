//! Connections to backends: the link to this server's own workers, kept and reused, and foreign uwsgi servers, one
//! connection per request. Owned by the gateway of one process.

mod nodes;
mod subscribers;

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr as UnixAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mio::net::{TcpStream, UnixStream};
use mio::{Registry, Token};
use rsgi_protocol::response::ResponseHead;
use slab::Slab;

use crate::channel::Channel;
use crate::stream::Stream;
use nodes::Nodes;
pub use nodes::{Health, Pool};
use subscribers::Subscribers;

/// Requests without a body that lie ready at a server's only core: so it need not sleep between two requests, nor the
/// gateway between two answers.
const AHEAD: usize = 8;

/// Where a backend listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Host and port, resolved when the gateway started.
    Inet(SocketAddr),
    /// A path.
    Unix(PathBuf),
    /// A name in Linux's abstract namespace.
    Abstract(Vec<u8>),
}

/// A backend and how it is written in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where it listens.
    pub address: Address,
    /// For log lines.
    pub name: String,
}

impl Node {
    /// Reads `host:port`, `:port`, a path or `@name`.
    pub fn parse(text: &str) -> io::Result<Self> {
        let address = if let Some(name) = text.strip_prefix('@') {
            Address::Abstract(name.into())
        } else if !text.contains(':') || text.starts_with(['/', '.']) {
            Address::Unix(text.into())
        } else {
            let full = if text.starts_with(':') {
                format!("127.0.0.1{text}")
            } else {
                text.to_owned()
            };
            let found = full.to_socket_addrs()?.next();
            Address::Inet(found.ok_or_else(|| io::Error::other("the name has no address"))?)
        };
        Ok(Self {
            address,
            name: text.to_owned(),
        })
    }

    /// Starts connecting; whether the connection is there already.
    fn connect(&self) -> io::Result<(Stream, bool)> {
        match &self.address {
            Address::Inet(address) => {
                let stream = TcpStream::connect(*address)?;
                let _ = stream.set_nodelay(true);
                Ok((Stream::Tcp(stream), false))
            }
            Address::Unix(path) => Ok((Stream::Unix(UnixStream::connect(path)?), true)),
            Address::Abstract(name) => {
                let address = UnixAddr::from_abstract_name(name)?;
                Ok((Stream::Unix(UnixStream::connect_addr(&address)?), true))
            }
        }
    }
}

/// The backends of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backends {
    /// The workers of this server behind their private socket.
    Workers {
        /// The link.
        link: Node,
        /// How many of them there are at most; 0: nobody knows.
        workers: usize,
        /// How many requests each can serve at once.
        cores: usize,
    },
    /// Foreign uwsgi servers in turn.
    Nodes(Pool),
    /// Those that announce themselves for the host of a request.
    #[cfg_attr(test, allow(dead_code))] // made by `plugin`, which needs a host to link against
    Subscribers {
        /// How long one that says nothing is believed in.
        tolerance: Duration,
        /// How long one that did not answer is passed over.
        grace: Duration,
    },
}

/// A connection to a backend.
#[derive(Debug)]
pub struct Link {
    /// The socket and its queues.
    pub channel: Channel,
    /// The session it serves.
    pub session: Option<usize>,
    /// The response head under way, and its memory for the next ones.
    pub head: ResponseHead,
    /// Whether the connection is not there yet.
    pub connecting: bool,
    /// The backend has closed its receiving side: no more of the body goes there, but an answer may still come.
    pub refuses_body: bool,
    /// The request that it serves has a body. Nothing may be sent that its worker could take first, and die of.
    pub is_alone: bool,
    /// It only asks whether the server is there.
    pub is_probe: bool,
    /// It has asked.
    pub is_asked: bool,
    /// Tells it from others that had the same key.
    pub id: u64,
    /// Which node it goes to.
    pub node: usize,
}

impl Link {
    /// Writes what is queued; whether anything left. A peer that takes no more may still have an answer for us.
    pub fn write(&mut self) -> bool {
        self.channel.flush().unwrap_or_else(|_| {
            self.refuses_body = true;
            self.channel.output.consume(usize::MAX);
            self.channel.look_again();
            false
        })
    }
}

/// The body of a request, as far as the choice of a connection depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// None: until the backend reads it, the request can always be sent again.
    None,
    /// All of it is here.
    Here,
    /// Some has yet to come and is kept nowhere: the request can be sent once.
    Coming,
}

/// Why there is no connection.
#[derive(Debug)]
pub enum Unavailable {
    /// All are in use, or the backlog is full: wait.
    Busy,
    /// The node of this name does not answer.
    Down(String, io::Error),
    /// Nobody serves this host.
    Unknown,
}

/// All connections to backends.
#[derive(Debug)]
pub struct Links {
    backends: Backends,
    /// The foreign ones.
    nodes: Option<Nodes>,
    subscribers: Option<Subscribers>,
    all: Slab<Link>,
    /// Ready for a request; the last used one is taken first, because its worker is the one that is surely free.
    idle: VecDeque<usize>,
    last_id: u64,
}

impl Links {
    /// No connection yet.
    pub fn new(backends: Backends) -> Self {
        let nodes = match &backends {
            Backends::Nodes(pool) => Some(Nodes::new(pool.clone())),
            Backends::Workers { .. } | Backends::Subscribers { .. } => None,
        };
        let subscribers = match &backends {
            Backends::Subscribers { tolerance, grace } => Some(Subscribers::new(*tolerance, *grace)),
            _ => None,
        };
        Self {
            backends,
            nodes,
            subscribers,
            all: Slab::new(),
            idle: VecDeque::new(),
            last_id: 0,
        }
    }

    /// How many backends may be tried for one request.
    pub fn choices(&self) -> u32 {
        match (&self.nodes, &self.subscribers) {
            (Some(nodes), _) => nodes.len() as u32,
            (_, Some(subscribers)) => subscribers.choices(),
            _ => 1,
        }
    }

    /// An announcement of a server has come; what is worth a line in the log.
    pub fn hear(&mut self, packet: &[u8], now: Instant) -> Option<String> {
        self.subscribers.as_mut()?.hear(packet, now)
    }

    /// Forgets servers that announce themselves no more; a line for each.
    pub fn sweep(&mut self, now: Instant) -> Vec<String> {
        self.subscribers.as_mut().map_or_else(Vec::new, |all| all.sweep(now))
    }

    /// What the packets on a connection ask for, if its server has said so.
    pub fn modifiers(&self, key: usize) -> Option<(u8, u8)> {
        self.subscribers.as_ref()?.modifiers(self.all.get(key)?.node)
    }

    /// How often a request may be sent that no backend has read. One that lay ready at a worker that died may meet
    /// others that die of those before it.
    pub fn attempts(&self) -> u32 {
        match self.are_kept() {
            true => 1 + AHEAD as u32,
            false => self.choices().max(2),
        }
    }

    /// Whether connections are kept.
    pub fn are_kept(&self) -> bool {
        matches!(self.backends, Backends::Workers { .. })
    }

    /// Whether our workers have an event loop, on which applications may wait for their clients to leave.
    pub fn tell_of_half_closes(&self) -> bool {
        matches!(self.backends, Backends::Workers { workers: 0, .. })
    }

    /// The connection of a key.
    pub fn get(&mut self, key: usize) -> Option<&mut Link> {
        self.all.get_mut(key)
    }

    /// The name of the backend of a connection.
    pub fn name(&self, key: usize) -> &str {
        let node = self.all.get(key).map_or(0, |link| link.node);
        let found = match (&self.nodes, &self.subscribers) {
            (None, None) => return "the workers",
            (Some(nodes), _) => nodes.get(node),
            (_, Some(subscribers)) => subscribers.get(node),
        };
        found.map_or("a backend", |node| &node.name)
    }

    /// The foreign servers, with what is known of them.
    pub fn nodes(&self) -> impl Iterator<Item = (&Node, &Health)> {
        let announced = self.subscribers.iter().flat_map(Subscribers::all);
        self.nodes.iter().flat_map(Nodes::all).chain(announced)
    }

    /// Connections to backends.
    pub fn open_count(&self) -> usize {
        self.all.len()
    }

    /// How many servers there are to be asked whether they are there.
    pub fn node_count(&self) -> usize {
        self.nodes.as_ref().map_or(0, Nodes::len)
    }

    /// A connection that asks a server whether it is there.
    ///
    /// # Errors
    /// It is not.
    pub fn probe(&mut self, registry: &Registry, token: impl Fn(usize, u64) -> Token, at: usize) -> io::Result<usize> {
        let node = self.nodes.as_ref().and_then(|nodes| nodes.get(at));
        let node = node.ok_or(io::ErrorKind::NotFound)?;
        let key = connect(&mut self.all, node, at, self.last_id + 1, registry, token)?;
        self.last_id += 1;
        self.all[key].is_probe = true;
        Ok(key)
    }

    /// How a server is: its name, and whether it was there before.
    pub fn note(&mut self, at: usize, is_there: bool, now: Instant) -> Option<(String, bool)> {
        let nodes = self.nodes.as_mut()?;
        let name = nodes.get(at)?.name.clone();
        let was_there = nodes.is_up(at, now);
        match is_there {
            true => nodes.connected(at),
            false => nodes.failed(at, now),
        }
        Some((name, was_there))
    }

    /// How connecting ended.
    pub fn settled(&mut self, key: usize, is_there: bool, now: Instant) {
        if let (Some(subscribers), Some(link)) = (&mut self.subscribers, self.all.get(key)) {
            subscribers.settled(link.node, is_there, now);
        }
        if let (Some(nodes), Some(link)) = (&mut self.nodes, self.all.get(key)) {
            match is_there {
                true => nodes.connected(link.node),
                false => nodes.failed(link.node, now),
            }
        }
    }

    /// A connection for one request. For one with a body, which is not sent again, a kept connection is looked at first.
    ///
    /// A kept connection stays with the worker that took it, and a worker's core serves one request at a time. So a
    /// connection is used only while its worker has a core to spare; else a new one is opened, which a free worker
    /// takes. When all cores are busy, requests wait here for whichever is free first, not behind a busy one; unless
    /// there is one core only, behind which a few may wait as well.
    pub fn acquire(
        &mut self,
        registry: &Registry,
        token: impl Fn(usize, u64) -> Token,
        payload: Payload,
        host: &[u8],
    ) -> Result<usize, Unavailable> {
        let (workers, cores) = match self.backends {
            // nobody else could take them
            Backends::Workers {
                workers: 1, cores: 1, ..
            } if payload == Payload::None && !self.serves_alone() => (1, AHEAD),
            Backends::Workers { workers, cores, .. } => (workers, cores),
            Backends::Nodes(_) | Backends::Subscribers { .. } => (0, 0),
        };
        if workers == 0 && self.are_kept() {
            return self.acquire_unbounded(registry, token, payload);
        }
        let most = workers * cores;
        if most > 0 && self.all.len() - self.idle.len() >= most {
            return Err(Unavailable::Busy);
        }
        let mut captive = None;
        for at in (0..self.idle.len()).rev() {
            let key = self.idle[at];
            let Some(link) = self.all.get(key) else { continue };
            if link.channel.is_half_closed() || (payload != Payload::None && link.channel.socket.stream.is_stale()) {
                self.idle.remove(at);
                self.all.remove(key);
            } else if workers > 0 && self.requests_of(link.channel.sender()) >= cores {
                captive = Some(at);
            } else {
                self.idle.remove(at);
                return Ok(key);
            }
        }
        if let Some(key) = captive
            .filter(|_| self.all.len() >= most)
            .and_then(|at| self.idle.remove(at))
        {
            // Its place is taken by one that another worker can have.
            self.all.remove(key);
        }
        self.open(registry, token, host)
    }

    /// The same for workers that serve as many as come: of a few kept connections, that of the worker with the least to
    /// do for us.
    fn acquire_unbounded(
        &mut self,
        registry: &Registry,
        token: impl Fn(usize, u64) -> Token,
        payload: Payload,
    ) -> Result<usize, Unavailable> {
        while let Some(last) = self.idle.len().checked_sub(1) {
            let load = |at: &usize| {
                let link = self.idle.get(*at).and_then(|key| self.all.get(*key));
                link.map_or(0, |link| self.requests_of(link.channel.sender()))
            };
            let at = [last, 0, last / 2].into_iter().min_by_key(load).unwrap_or(last);
            let Some(key) = self.idle.remove(at) else { break };
            match self.all.get(key) {
                Some(link)
                    if link.channel.is_half_closed()
                        || (payload != Payload::None && link.channel.socket.stream.is_stale()) =>
                {
                    self.all.remove(key);
                }
                Some(_) => return Ok(key),
                None => {}
            }
        }
        self.open(registry, token, b"")
    }

    /// Whether a request with a body is being served.
    fn serves_alone(&self) -> bool {
        self.all.iter().any(|(_, link)| link.session.is_some() && link.is_alone)
    }

    /// How many requests a worker is serving for us.
    fn requests_of(&self, worker: Option<i32>) -> usize {
        let serves = |link: &Link| link.session.is_some() && link.channel.sender() == worker;
        worker.map_or(0, |_| self.all.iter().filter(|(_, link)| serves(link)).count())
    }

    fn open(
        &mut self,
        registry: &Registry,
        token: impl Fn(usize, u64) -> Token,
        host: &[u8],
    ) -> Result<usize, Unavailable> {
        let now = Instant::now();
        let at = match (&mut self.nodes, &mut self.subscribers) {
            (Some(nodes), _) => nodes.choose(now),
            (_, Some(subscribers)) => subscribers.choose(host, now).ok_or(Unavailable::Unknown)?,
            _ => 0,
        };
        let node = match (&self.backends, &self.nodes, &self.subscribers) {
            (Backends::Workers { link, .. }, ..) => link,
            (Backends::Nodes(pool), nodes, _) => {
                let node = nodes.as_ref().and_then(|nodes| nodes.get(at));
                node.unwrap_or(&pool.nodes[0])
            }
            (Backends::Subscribers { .. }, _, all) => {
                all.as_ref().and_then(|all| all.get(at)).ok_or(Unavailable::Unknown)?
            }
        };
        let opened = connect(&mut self.all, node, at, self.last_id + 1, registry, token);
        match opened {
            Ok(key) => {
                self.last_id += 1;
                if matches!(self.backends, Backends::Workers { .. }) {
                    self.all[key].channel.ask_for_sender();
                }
                Ok(key)
            }
            // The backlog of a unix socket is full.
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Err(Unavailable::Busy),
            Err(e) => {
                let name = node.name.clone();
                if let Some(nodes) = &mut self.nodes {
                    nodes.failed(at, now);
                }
                if let Some(subscribers) = &mut self.subscribers {
                    subscribers.settled(at, false, now);
                }
                Err(Unavailable::Down(name, e))
            }
        }
    }

    /// Keeps a connection for the next request.
    pub fn park(&mut self, key: usize) {
        if let Some(link) = self.all.get_mut(key) {
            link.session = None;
            self.idle.push_back(key);
        }
    }

    /// A connection has broken. Kept ones may be of the same worker, which closes them one after the other as it dies:
    /// none of them is tried next.
    pub fn forget_kept(&mut self) {
        for key in std::mem::take(&mut self.idle) {
            self.all.try_remove(key);
        }
    }

    /// Ends a connection.
    pub fn close(&mut self, key: usize) {
        self.all.try_remove(key);
        self.idle.retain(|&idle| idle != key);
    }
}

/// A new connection to a node, which may yet have to come to be.
fn connect(
    all: &mut Slab<Link>,
    node: &Node,
    at: usize,
    id: u64,
    registry: &Registry,
    token: impl Fn(usize, u64) -> Token,
) -> io::Result<usize> {
    let entry = all.vacant_entry();
    let (mut stream, is_there) = node.connect()?;
    stream.register(registry, token(entry.key(), id))?;
    let key = entry.key();
    entry.insert(Link {
        channel: Channel::new(stream, is_there),
        session: None,
        head: ResponseHead::new(),
        connecting: !is_there,
        refuses_body: false,
        is_alone: false,
        is_probe: false,
        is_asked: false,
        id,
        node: at,
    });
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let parsed = |text| Node::parse(text).expect("an address").address;
        assert_eq!(parsed("@name"), Address::Abstract(b"name".to_vec()));
        assert_eq!(parsed("/run/x:y.sock"), Address::Unix("/run/x:y.sock".into()));
        assert_eq!(
            parsed("127.0.0.1:80"),
            Address::Inet("127.0.0.1:80".parse().expect("inet"))
        );
        assert_eq!(parsed(":81"), Address::Inet("127.0.0.1:81".parse().expect("inet")));
        assert_eq!(parsed("[::1]:81"), Address::Inet("[::1]:81".parse().expect("inet")));
        assert!(Node::parse("127.0.0.1:x").is_err());
    }
}
