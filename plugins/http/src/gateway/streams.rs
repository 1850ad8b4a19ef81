//! HTTP/2 connections in the gateway's loop: their bytes, their streams as sessions, the sessions' answers. The third
//! part of `Gateway`.

use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{Request, Response};
use rsgi_protocol::chunked::{self, Event};
use rsgi_protocol::http1::Progress;
use rsgi_protocol::response::parse_response;

use super::deadlines::{LEAVE_IDLE, LINGER};
use super::{Gateway, TURNS};
use crate::buffer::HIGH;
use crate::channel::Fill;
use crate::http2::translate::{self, Framing};
use crate::http2::{Found, Http2, Part};
use crate::reply::HEAD_LIMIT;
use crate::session::{Phase, Session};
use crate::stream::Stream;

/// While streams are under way, their own sessions have the deadlines.
const LATER: Duration = Duration::from_secs(365 * 86400);

/// What became of a stream.
enum Outcome {
    /// Nothing new.
    Same,
    /// Something moved.
    Moved,
    /// It has ended; the client took it back.
    Ended { cancelled: bool },
}

impl Gateway {
    /// The client of a session speaks HTTP/2: what it has sent was not looked at yet.
    pub(super) fn begin_http2(&mut self, key: usize) -> bool {
        let Some(session) = self.sessions.get_mut(key) else {
            return false;
        };
        super::spare(&mut self.heads, session.head.take());
        session.http2 = Some(Box::new(Http2::new(self.config.limits.head)));
        session.phase = Phase::Streams;
        session.deadline = self.now + self.config.headers_timeout;
        true
    }

    /// Does all that can be done for a connection and its streams now.
    pub(super) fn drive(&mut self, key: usize) {
        let Some(mut http2) = self.sessions.get_mut(key).and_then(|session| session.http2.take()) else {
            return;
        };
        self.driven = Some(key);
        let (mut open, mut rounds) = (true, 0);
        while open {
            http2.has_rung();
            if self.leaving && !http2.is_closing {
                http2.close();
            }
            let Some(mut moved) = self.move_bytes(key, &http2) else {
                self.driven = None;
                self.end_streams(&http2);
                return self.close(key);
            };
            open = loop {
                match http2.poll() {
                    Found::Stream(request, respond) => self.open_stream(key, &mut http2, *request, respond),
                    Found::Nothing => break true,
                    Found::End => break false,
                }
                moved = true;
            };
            let waker = http2.waker();
            let mut context = Context::from_waker(&waker);
            let mut at = 0;
            while at < http2.parts.len() {
                match self.pump(&mut http2.parts[at], &mut context) {
                    Outcome::Same => at += 1,
                    Outcome::Moved => {
                        moved = true;
                        at += 1;
                    }
                    Outcome::Ended { cancelled } => {
                        moved = true;
                        let part = http2.parts.swap_remove(at);
                        self.close_part(&part);
                        if cancelled {
                            http2.count_cancelled();
                        }
                    }
                }
            }
            rounds += 1;
            if !moved && !http2.has_rung() {
                break;
            }
            if rounds == TURNS {
                self.again.push(key);
                break;
            }
        }
        let left = self.move_bytes(key, &http2);
        let bytes_left = left.is_some();
        self.driven = None;
        if !open || !bytes_left {
            self.end_streams(&http2);
        }
        let (now, leaving) = (self.now, self.leaving);
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        if !bytes_left {
            return self.close(key);
        }
        if !open {
            session.phase = Phase::Linger;
            session.deadline = now + LINGER;
            return self.again.push(key);
        }
        let was_busy = session.deadline > now + LATER / 2;
        if !http2.parts.is_empty() {
            session.deadline = now + LATER;
        } else if was_busy {
            let keep = self.config.keep_alive.unwrap_or(LINGER);
            session.deadline = now + if leaving { LEAVE_IDLE } else { keep };
            http2.pipe().release();
            session.channel.release(&mut self.pool);
        } else if leaving {
            session.deadline = session.deadline.min(now + LEAVE_IDLE);
        }
        session.http2 = Some(http2);
        if left == Some(true) {
            // what went out just now made room, which no event will tell of
            self.again.push(key);
        }
    }

    /// A connection without streams has lasted long enough: the client is told, then it ends.
    pub(super) fn retire(&mut self, key: usize) {
        let now = self.now;
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let is_new = session.http2.as_ref().is_some_and(|http2| !http2.is_closing);
        if let Some(http2) = session.http2.as_mut().filter(|_| is_new) {
            http2.close();
            if http2.is_closing {
                session.deadline = now + LINGER;
                return self.again.push(key);
            }
        }
        self.close(key);
    }

    /// Bytes between the socket and h2, both ways; whether any moved. `None`: the connection is broken.
    fn move_bytes(&mut self, key: usize, http2: &Http2) -> Option<bool> {
        let session = self.sessions.get_mut(key)?;
        let channel = &mut session.channel;
        let mut moved = channel.flush().ok()?;
        if channel.output.len() < HIGH {
            moved |= http2.pipe().take(|bytes| channel.output.append(&mut self.pool, bytes));
            moved |= channel.flush().ok()?;
        }
        while http2.pipe().has_room() {
            let ready = channel.input.len();
            if ready > 0 {
                http2.pipe().put(channel.input.data());
                channel.input.consume(ready);
                moved = true;
            }
            match channel.fill(&mut self.pool, HIGH) {
                Ok(Fill::Got) => {}
                Ok(Fill::Nothing) => break,
                Ok(Fill::Ended) => {
                    http2.pipe().end();
                    break;
                }
                Err(_) => return None,
            }
        }
        Some(moved)
    }

    /// A new request: a session for it, unless it can be answered here.
    fn open_stream(
        &mut self,
        key: usize,
        http2: &mut Http2,
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
    ) {
        let (parts, body) = request.into_parts();
        let has_body = !body.is_end_stream();
        let head = match translate::request(&parts, has_body) {
            Ok(head) => head,
            Err(status) => {
                let mut answer = Response::new(());
                *answer.status_mut() = status;
                // a client that has gone meanwhile misses nothing
                let _ = respond.send_response(answer, true);
                return;
            }
        };
        let Some(parent) = self.sessions.get(key) else {
            return;
        };
        self.last_id += 1;
        let deadline = self.now + self.config.headers_timeout;
        let (listener, peer) = (parent.listener, parent.peer.clone());
        let mut session = Session::new(self.last_id, Stream::Part, listener, peer, self.now, deadline);
        session.parent = Some(key);
        session.over_tls = parent.is_secure();
        session.certificate = parent.certificate.clone().or_else(|| parent.shown_certificate());
        session.channel.input.append(&mut self.pool, &head);
        let child = self.sessions.insert(session);
        http2.parts.push(Part {
            session: (child, self.last_id),
            body: has_body.then_some(body),
            is_chunked: has_body && !parts.headers.contains_key(http::header::CONTENT_LENGTH),
            respond,
            send: None,
            framing: Framing::Head,
            head: Default::default(),
            is_head: parts.method == http::Method::HEAD,
        });
    }

    /// Moves a stream on.
    fn pump(&mut self, part: &mut Part, context: &mut Context<'_>) -> Outcome {
        if part.is_cancelled(context) {
            return Outcome::Ended { cancelled: true };
        }
        let mut moved = match self.pump_body(part, context) {
            Ok(moved) => moved,
            Err(()) => return Outcome::Ended { cancelled: true },
        };
        if self
            .sessions
            .get(part.session.0)
            .is_some_and(|s| s.id == part.session.1)
        {
            self.advance(part.session.0);
        }
        match self.pump_answer(part, context) {
            Ok(passed) => moved |= passed,
            Err(()) => {
                part.reset();
                return Outcome::Ended { cancelled: false };
            }
        }
        match (&part.framing, moved) {
            (Framing::Done, _) => Outcome::Ended { cancelled: false },
            (_, true) => Outcome::Moved,
            (_, false) => Outcome::Same,
        }
    }

    /// The request's body, as far as the session has room for it.
    fn pump_body(&mut self, part: &mut Part, context: &mut Context<'_>) -> Result<bool, ()> {
        let (pool, mut moved, mut size) = (&mut self.pool, false, [0; 18]);
        let Some(session) = self.sessions.get_mut(part.session.0).filter(|s| s.id == part.session.1) else {
            return Ok(false);
        };
        let input = &mut session.channel.input;
        while let Some(body) = &mut part.body
            && input.len() < HIGH
        {
            match body.poll_data(context) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(bytes))) => {
                    if part.is_chunked && !bytes.is_empty() {
                        input.append(pool, chunked::encode_head(bytes.len(), &mut size));
                        input.append(pool, &bytes);
                        input.append(pool, chunked::CHUNK_END);
                    } else {
                        input.append(pool, &bytes);
                    }
                    // the queue is what bounds it from here on
                    body.flow_control().release_capacity(bytes.len()).map_err(drop)?;
                }
                Poll::Ready(Some(Err(_))) => return Err(()),
                Poll::Ready(None) => {
                    if part.is_chunked {
                        input.append(pool, chunked::LAST_CHUNK);
                    }
                    part.body = None;
                }
            }
            moved = true;
        }
        Ok(moved)
    }

    /// The session's answer, as far as the client lets it come. An error: it cannot be completed.
    fn pump_answer(&mut self, part: &mut Part, context: &mut Context<'_>) -> Result<bool, ()> {
        let (now, timeout) = (self.now, self.config.timeout);
        let Some(session) = self.sessions.get_mut(part.session.0).filter(|s| s.id == part.session.1) else {
            return Err(());
        };
        let mut moved = false;
        loop {
            let output = &mut session.channel.output;
            if output.is_empty() {
                break;
            }
            if matches!(part.framing, Framing::Head) {
                let parsed = parse_response(output.data(), HEAD_LIMIT, part.is_head, &mut part.head);
                if parsed.map_err(drop)? != Progress::Complete {
                    break;
                }
                let (answer, framing) = translate::response(&part.head, output.data()).ok_or(())?;
                output.consume(part.head.len);
                moved = true;
                if answer.status().is_informational() {
                    part.respond.send_informational(answer).map_err(drop)?;
                    continue;
                }
                let ends = matches!(framing, Framing::Done);
                part.send = Some(part.respond.send_response(answer, ends).map_err(drop)?);
                part.framing = framing;
                if ends {
                    break;
                }
                continue;
            }
            let Some(send) = &mut part.send else {
                return Err(());
            };
            send.reserve_capacity(output.len());
            let room = send.capacity().min(output.len());
            let (used, data, done) = match &mut part.framing {
                Framing::Head | Framing::Done => break,
                Framing::Fixed(left) => {
                    let n = room.min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= n as u64;
                    (n, Bytes::copy_from_slice(&output.data()[..n]), *left == 0)
                }
                Framing::Chunked(decoder) => {
                    // the lines between the chunks need no room, so that the end is never held up
                    let mut next = decoder.clone();
                    let (n, event) = next.decode(output.data()).map_err(drop)?;
                    let (n, data, done) = match event {
                        Event::Data(data) if data.len() > room => {
                            let before = n - data.len();
                            next = decoder.clone();
                            let most = if room == 0 { 0 } else { before + room };
                            match next.decode(&output.data()[..most]).map_err(drop)? {
                                (n, Event::Data(data)) => (n, data, false),
                                (n, _) => (n, &[][..], false),
                            }
                        }
                        Event::Data(data) => (n, data, false),
                        Event::More => (n, &[][..], false),
                        Event::End => (n, &[][..], true),
                    };
                    *decoder = next;
                    (n, Bytes::copy_from_slice(data), done)
                }
            };
            if used == 0 && !done {
                // the client's window is full: h2 wakes us when it opens
                let _ = send.poll_capacity(context);
                break;
            }
            output.consume(used);
            moved = true;
            if !data.is_empty() || done {
                send.send_data(data, done).map_err(drop)?;
            }
            if done {
                part.framing = Framing::Done;
                break;
            }
        }
        if moved {
            session.deadline = session.deadline.max(now + timeout);
        }
        Ok(moved)
    }

    fn close_part(&mut self, part: &Part) {
        let (key, id) = part.session;
        if self.sessions.get(key).is_some_and(|session| session.id == id) {
            self.close(key);
        }
    }

    /// A connection is over: its streams' requests are given up.
    pub(super) fn end_streams(&mut self, http2: &Http2) {
        for part in &http2.parts {
            self.close_part(part);
        }
    }
}
