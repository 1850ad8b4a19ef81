//! How clients come in, and how a gateway that leaves stops letting them in: listening sockets, what a new connection is
//! wrapped in (PROXY headers, TLS). The part of `Gateway` at its door, called by its event loop.

use std::io;
use std::time::Duration;

use super::{Gateway, Service, Subject};
use crate::session::{HeadStep, Phase, Session};
use crate::stats::count;
use crate::stream::{Peer, Stream};
use crate::tls::TlsStream;

/// How long a server that stops still accepts those whose handshake was under way. Nobody new begins one.
const LAST_CALL: Duration = Duration::from_millis(100);
/// When accepting is tried again after it failed.
const STALL: Duration = Duration::from_millis(200);
/// How long a client of `--http-stats` may take to begin a request.
const SILENCE: Duration = Duration::from_millis(100);
/// Connections accepted in one go.
const ACCEPTS: usize = 64;

impl Gateway {
    pub(super) fn accept(&mut self) {
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

    pub(super) fn open(&mut self, mut stream: Stream, listener: usize, peer: Peer) {
        let proxies = self.config.proxies.as_ref();
        let is_stats = matches!(self.config.services.get(listener), Some(Service::Stats));
        let awaits_proxy = !is_stats && proxies.is_some_and(|list| list.lets_speak(&peer.address));
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
        if is_stats {
            // whoever says nothing reads the document
            session.deadline = self.now + SILENCE;
        } else {
            count(self.config.counters.connections);
        }
        entry.insert(session);
    }

    /// The stream of a connection, with TLS over it if its listener has that; `None`: it cannot be, which was said.
    pub(super) fn secured(&mut self, stream: Stream, listener: usize, early: Vec<u8>) -> Option<Stream> {
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
    pub(super) fn read_proxy(&mut self, key: usize) -> bool {
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
    pub(super) fn leave(&mut self, for_all: bool) {
        let is_first = !std::mem::replace(&mut self.leaving, true);
        if is_first {
            let streams = self
                .sessions
                .iter()
                .filter(|(_, session)| session.phase == Phase::Streams);
            self.again.extend(streams.map(|(key, _)| key));
        }
        if for_all && !std::mem::replace(&mut self.stopping, true) {
            // one that was replaced before the server stops has no sockets left, but may have conversations
            self.last_call = is_first.then(|| self.now + LAST_CALL);
            self.end_tunnels();
        } else if is_first {
            self.stop_accepting(false);
        }
    }

    /// Conversations have no end of their own: workers learn that nothing more will come, and say goodbye to clients.
    pub(super) fn end_tunnels(&mut self) {
        let tunnels = self.sessions.iter().filter(|(_, session)| session.reply.is_tunnel);
        for key in tunnels.map(|(key, _)| key).collect::<Vec<_>>() {
            self.advance(key);
        }
    }

    pub(super) fn stop_accepting(&mut self, for_all: bool) {
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
}
