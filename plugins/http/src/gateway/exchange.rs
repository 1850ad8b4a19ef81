//! The time a request spends with a backend: finding one, sending the request, moving bytes both ways, and what happens
//! when either side fails. The second half of `Gateway`, called by its event loop.

use std::io;

use rsgi_protocol::cgi::Origin;
use rsgi_protocol::forwarded;
use rsgi_protocol::http1::{BodyLength, HttpError};

use super::deadlines::{LINGER, SKIP};
use super::{Gateway, RETRY, Subject, TURNS};
use crate::backend::{Payload, Unavailable};
use crate::buffer::HIGH;
use crate::channel::Fill;
use crate::packet::{self, Body, Extra, Vouched};
use crate::reply::HEAD_LIMIT;
use crate::session::{Phase, Session};

/// Why a request cannot go on.
pub(super) enum Fault {
    /// The client is gone, or its answer is already broken: close.
    Client,
    /// The client gets this answer, unless one has begun.
    Refused(HttpError),
    /// The backend failed. `unread`: it surely has not read the request.
    Backend { cause: String, unread: bool },
}

impl Gateway {
    /// Pairs a request with a backend, or queues it; whether the session can go on at once.
    pub(super) fn seek_backend(&mut self, key: usize) -> bool {
        let Some(session) = self.sessions.get_mut(key) else {
            return false;
        };
        let payload = session.head.as_ref().map_or(Payload::Coming, |head| match head.body {
            BodyLength::None => Payload::None,
            BodyLength::Fixed(n) if (session.channel.input.len() - head.len) as u64 >= n => Payload::Here,
            BodyLength::Fixed(_) | BodyLength::Chunked => Payload::Coming,
        });
        let input = session.channel.input.data();
        let host = session
            .head
            .as_ref()
            .and_then(|head| head.host)
            .map_or(&b""[..], |host| host.of(input));
        let token = |key, id| Subject::Link(key, id).token();
        match self.links.acquire(self.poll.registry(), token, payload, host) {
            Ok(link) => self.launch(key, link),
            Err(Unavailable::Busy) => {
                session.phase = Phase::Queued;
                let id = session.id;
                self.queue.push_back((key, id));
                // A full backlog has no event of its own.
                self.retry_at.get_or_insert(self.now + RETRY);
                false
            }
            // who is asked for what is not here says no more than that
            Err(Unavailable::Unknown) => self.refuse(key, HttpError::new(404, "")),
            Err(Unavailable::Down(name, cause)) => {
                session.attempts += 1;
                if session.attempts < self.links.choices() {
                    return self.seek_backend(key);
                }
                (self.config.log)(&format!("http: cannot connect to {name}: {cause}; the client gets 503"));
                self.refuse(key, HttpError::new(503, "no backend is there"))
            }
        }
    }

    /// Sends the request over a connection.
    fn launch(&mut self, key: usize, link_key: usize) -> bool {
        let announced = self.links.modifiers(link_key);
        let (Some(session), Some(link)) = (self.sessions.get_mut(key), self.links.get(link_key)) else {
            return false;
        };
        let Some(head) = &session.head else {
            return false;
        };
        if session.certificate.is_none() {
            session.certificate = session.shown_certificate();
        }
        let has_body = head.body != BodyLength::None;
        let input = session.channel.input.data();
        let (forwarded, client) = match &self.config.forwarders {
            None => (Vouched::Unknown, None),
            // whoever reaches a unix socket is of this machine
            Some((trusted, dialect)) if session.peer.address.is_empty() || trusted.names(&session.peer.address) => {
                let client = forwarded::client(head, input, *dialect, trusted);
                (Vouched::These(*dialect), Some(client))
            }
            Some(_) => (Vouched::Nothing, None),
        };
        let (mut address, mut port) = (filled(&session.peer.address), filled(&session.peer.port));
        if let Some(told) = client.as_ref().and_then(|client| client.address.as_ref()) {
            address = filled(told);
            port = client
                .as_ref()
                .and_then(|client| client.port.as_deref())
                .and_then(filled);
        }
        let origin = Origin {
            server_name: &self.config.server_name,
            server_port: self
                .listeners
                .get(session.listener)
                .map_or(b"80", |listener| listener.port.as_bytes()),
            remote_addr: address,
            remote_port: port,
            name_from_host: self.config.name_from_host,
            https: session.is_secure() || client.as_ref().and_then(|client| client.is_secure) == Some(true),
            ..Origin::default()
        };
        let extra = Extra {
            certificate: session.certificate.as_deref(),
            whole_certificate: self.config.export_certificate,
            modifiers: announced
                .or_else(|| self.config.modifiers.get(session.listener).copied())
                .unwrap_or_default(),
            is_http2: session.parent.is_some(),
            forwarded,
        };
        let written = packet::write(
            &mut self.packet,
            head,
            input,
            &origin,
            &self.config.stamp,
            &extra,
            &mut self.scratch,
        );
        let (used, body) = match written {
            Ok(written) => written,
            Err(error) => {
                self.release_link(link_key, true);
                return self.refuse(key, error);
            }
        };
        session.attempts += 1;
        session.phase = Phase::Exchange(link_key);
        session.reply = Default::default();
        if body.is_done() {
            session.replay = used;
        } else {
            session.replay = 0;
            session.channel.input.consume(used);
        }
        session.body = body;
        link.session = Some(key);
        link.is_alone = has_body;
        if link.connecting {
            session.deadline = self.now + self.config.connect_timeout;
        }
        match link.channel.send(&mut self.pool, &self.packet) {
            Ok(()) => !session.body.is_done(),
            // Nothing of it was read: the peer had closed before.
            Err(e) => self.fail(
                key,
                link_key,
                Fault::Backend {
                    cause: e.to_string(),
                    unread: true,
                },
            ),
        }
    }

    /// Moves bytes between a client and its backend; whether any moved, or the session has changed its phase.
    pub(super) fn exchange(&mut self, key: usize, link_key: usize) -> bool {
        let up = self.pass_body(key, link_key);
        let down = match up {
            Ok(_) => self.pass_reply(key, link_key),
            Err(_) => Ok(false),
        };
        let moved = match up.and_then(|up| down.map(|down| up | down)) {
            Ok(moved) => moved,
            Err(fault) => return self.fail(key, link_key, fault),
        };
        let Some(session) = self.sessions.get_mut(key) else {
            return false;
        };
        if moved {
            session.deadline = self.now + self.config.timeout;
        }
        if session.reply.is_done() {
            self.finish(key, link_key);
            return true;
        }
        moved
    }

    /// The request's body, client to backend.
    fn pass_body(&mut self, key: usize, link_key: usize) -> Result<bool, Fault> {
        let tells = self.links.tell_of_half_closes();
        let (Some(session), Some(link)) = (self.sessions.get_mut(key), self.links.get(link_key)) else {
            return Err(Fault::Client);
        };
        let Session {
            channel, body, reply, ..
        } = session;
        if self.stopping && reply.is_tunnel && matches!(body, Body::Raw) {
            link.channel.socket.stream.shutdown_write();
            *body = Body::Done;
        }
        let (pool, mut moved) = (&mut self.pool, false);
        if link.connecting {
            return Ok(false);
        }
        moved |= link.write();
        while !body.is_done() && !link.refuses_body && link.channel.output.len() < HIGH {
            let room = HIGH - link.channel.output.len();
            let output = &mut link.channel.output;
            let used = body
                .take(channel.input.data(), room, |bytes| output.append(pool, bytes))
                .map_err(Fault::Refused)?;
            channel.input.consume(used);
            moved |= used > 0;
            link.write();
            if body.is_done() || link.channel.output.len() >= HIGH {
                break;
            }
            match channel.fill(pool, HIGH) {
                Ok(Fill::Got) => {}
                Ok(Fill::Nothing) => break,
                Ok(Fill::Ended) if matches!(body, Body::Raw) => {
                    if link.channel.output.is_empty() {
                        link.channel.socket.stream.shutdown_write();
                        *body = Body::Done;
                    }
                    break;
                }
                Ok(Fill::Ended) | Err(_) => return Err(Fault::Client),
            }
        }
        let is_sent = body.is_done() && link.channel.output.is_empty();
        if tells && is_sent && !link.refuses_body && channel.is_half_closed() {
            // the application may want to know; the answer still comes, and the link is not used again
            link.channel.socket.stream.shutdown_write();
            link.refuses_body = true;
        }
        Ok(moved)
    }

    /// The answer, backend to client.
    fn pass_reply(&mut self, key: usize, link_key: usize) -> Result<bool, Fault> {
        let kept = self.links.are_kept();
        let (Some(session), Some(link)) = (self.sessions.get_mut(key), self.links.get(link_key)) else {
            return Err(Fault::Client);
        };
        // An answer that begins now says so if the gateway is leaving.
        session.client.keep &= !self.leaving;
        let pool = &mut self.pool;
        let mut moved = false;
        for _ in 0..TURNS {
            let Session {
                channel: client, reply, ..
            } = session;
            if client.output.len() >= HIGH {
                moved |= client.flush().map_err(|_| Fault::Client)?;
                if client.output.len() >= HIGH {
                    break;
                }
            }
            let (had_begun, was_tunnel) = (reply.has_begun, reply.is_tunnel);
            let passed = reply
                .pass(
                    session.client,
                    &mut link.channel.input,
                    &mut link.head,
                    &mut client.output,
                    pool,
                )
                .map_err(|e| Fault::Backend {
                    cause: e.to_string(),
                    unread: false,
                })?;
            moved |= passed;
            if !had_begun && reply.has_begun {
                session.forget_request();
            }
            let Session {
                channel: client,
                reply,
                body,
                ..
            } = session;
            if reply.is_tunnel && !was_tunnel {
                *body = Body::Raw;
            }
            if reply.is_done() {
                break;
            }
            if passed {
                continue;
            }
            let direct = if link.channel.input.is_empty() {
                reply.direct()
            } else {
                0
            };
            let filled = if direct > 0 {
                let before = client.output.len();
                let filled = link.channel.socket.read_into(&mut client.output, pool, HIGH, direct);
                reply.passed((client.output.len() - before) as u64);
                filled
            } else {
                link.channel.fill(pool, HEAD_LIMIT)
            };
            match filled {
                Ok(Fill::Got) => moved = true,
                Ok(Fill::Nothing) => break,
                Ok(Fill::Ended) => {
                    moved = true;
                    if !reply.end(&mut client.output, pool) {
                        return Err(Fault::Backend {
                            cause: "the connection was closed".into(),
                            unread: false,
                        });
                    }
                }
                Err(e) => {
                    // A worker that closes a connection on which it has not read everything resets it; without a body
                    // that means that the request was not begun.
                    let no_body = session.head.as_ref().is_some_and(|head| head.len == session.replay);
                    let unread = kept && no_body && e.kind() == io::ErrorKind::ConnectionReset;
                    return Err(Fault::Backend {
                        cause: e.to_string(),
                        unread,
                    });
                }
            }
        }
        if session.reply.is_done() {
            // the worker gets its next request first; every phase that follows begins with this write
            return Ok(true);
        }
        moved |= session.channel.flush().map_err(|_| Fault::Client)?;
        Ok(moved)
    }

    /// The answer is complete: what becomes of the two connections.
    fn finish(&mut self, key: usize, link_key: usize) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let clean = self.links.get(link_key).is_some_and(|link| {
            let quiet = link.channel.input.is_empty() && link.channel.output.is_empty();
            quiet && !link.refuses_body && !link.channel.is_half_closed()
        });
        let keep_link = clean && session.reply.keeps_backend && session.body.is_done();
        session.phase = match (session.body.is_done(), session.reply.keeps_client) {
            (true, true) => Phase::Head,
            (false, true) => Phase::Skip,
            _ => Phase::Linger,
        };
        session.deadline = self.now
            + match session.phase {
                Phase::Head if !session.channel.input.is_empty() => self.config.headers_timeout,
                Phase::Head => self.config.keep_alive.unwrap_or(LINGER),
                Phase::Skip => SKIP,
                // The rest of the answer may be large, and the client slow.
                _ if !session.channel.output.is_empty() => self.config.timeout,
                _ => LINGER,
            };
        session.idle_since = self.now;
        self.release_link(link_key, keep_link);
    }

    /// A backend's connection is free: the longest waiting request gets it.
    fn release_link(&mut self, key: usize, keep: bool) {
        if !keep || !self.links.are_kept() {
            self.links.close(key);
        } else {
            if let Some(link) = self.links.get(key) {
                link.channel.release(&mut self.pool);
            }
            self.links.park(key);
        }
        self.serve_queue();
    }

    /// Starts queued requests as long as there are connections for them.
    pub(super) fn serve_queue(&mut self) {
        while let Some((key, id)) = self.queue.pop_front() {
            let waits = |s: &Session| s.id == id && s.phase == Phase::Queued;
            if !self.sessions.get(key).is_some_and(waits) {
                continue;
            }
            if self.seek_backend(key) {
                self.again.push(key);
            }
            if self.sessions.get(key).is_some_and(waits) {
                // Back at the end of the queue; it belongs to the front.
                if let Some(entry) = self.queue.pop_back() {
                    self.queue.push_front(entry);
                }
                return;
            }
        }
    }

    /// A request failed; whether the session can go on at once.
    pub(super) fn fail(&mut self, key: usize, link_key: usize, fault: Fault) -> bool {
        let name = self.links.name(link_key).to_owned();
        let was_connecting = self.links.get(link_key).is_some_and(|link| link.connecting);
        self.links.close(link_key);
        let Some(session) = self.sessions.get_mut(key) else {
            return false;
        };
        let again = match fault {
            Fault::Client => {
                self.close(key);
                false
            }
            Fault::Refused(error) if !session.reply.has_begun => {
                session.replay = 0;
                self.refuse(key, error)
            }
            Fault::Refused(_) => {
                self.abort(key);
                false
            }
            Fault::Backend { cause, unread } => {
                // Sent again only if the first attempt cannot have been seen: on a connection that its worker was
                // closing, or one that never came to be.
                let most = self.links.attempts();
                self.links.forget_kept();
                if unread && session.replay > 0 && !session.reply.has_begun && session.attempts < most {
                    self.seek_backend(key)
                } else {
                    let target = String::from_utf8_lossy(target_of(session)).into_owned();
                    if session.reply.has_begun {
                        (self.config.log)(&format!("http: the answer of {name} to {target} was cut off: {cause}"));
                        self.abort(key);
                        false
                    } else {
                        let status = if was_connecting { 503 } else { 502 };
                        (self.config.log)(&format!(
                            "http: no answer of {name} to {target}: {cause}; the client gets {status}"
                        ));
                        self.refuse(key, HttpError::new(status, "the backend did not answer"))
                    }
                }
            }
        };
        self.serve_queue();
        again
    }

    /// Nothing has moved for too long between a client and its backend.
    pub(super) fn time_out(&mut self, key: usize, link_key: usize) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let waits_for_client = !session.body.is_done() && session.channel.input.is_empty();
        let fault = match (session.reply.has_begun, waits_for_client) {
            (true, _) => Fault::Client,
            (false, true) => Fault::Refused(HttpError::new(408, "the request body took too long")),
            (false, false) => {
                let target = String::from_utf8_lossy(target_of(session)).into_owned();
                let name = self.links.name(link_key);
                (self.config.log)(&format!(
                    "http: {name} gave no answer to {target} in time; the client gets 504"
                ));
                Fault::Refused(HttpError::new(504, "the backend took too long"))
            }
        };
        if matches!(fault, Fault::Client) {
            self.links.close(link_key);
            return self.abort(key);
        }
        self.fail(key, link_key, fault);
    }
}

fn filled(text: &str) -> Option<&[u8]> {
    (!text.is_empty()).then_some(text.as_bytes())
}

/// The target of the request being served, for log lines.
fn target_of(session: &Session) -> &[u8] {
    match &session.head {
        Some(head) if session.replay > 0 => head.target.of(session.channel.input.data()),
        _ => b"a request",
    }
}
