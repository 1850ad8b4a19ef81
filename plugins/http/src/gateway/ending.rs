//! How a session ends: answers that the gateway gives itself, bodies that nobody wants, the last bytes to a client.
//! Called by the other parts of `Gateway`.

use rsgi_protocol::http1::{Head, HttpError};

use super::Gateway;
use super::deadlines::LINGER;
use crate::session::Phase;
use crate::stats;

impl Gateway {
    /// Answers with the figures of this gateway, as HTTP if that was asked for, and ends the connection.
    pub(super) fn show_stats(&mut self, key: usize, over_http: bool) -> bool {
        let (config, sessions) = (&self.config, self.sessions.len());
        let document = stats::document(&config.counters, sessions, &config.addresses, &self.links);
        let Some(session) = self.sessions.get_mut(key) else {
            return false;
        };
        session.show(&document, over_http, &mut self.pool);
        session.deadline = self.now + LINGER;
        true
    }

    /// Answers for the backend and ends the connection.
    pub(super) fn refuse(&mut self, key: usize, error: HttpError) -> bool {
        let Some(session) = self.sessions.get_mut(key) else {
            return false;
        };
        session.replay = 0;
        let counters = &self.config.counters;
        stats::count(match error.status() {
            502.. => counters.failures,
            _ => counters.refused,
        });
        session.answer(error, &mut self.pool);
        session.deadline = self.now + LINGER;
        true
    }

    /// Throws away the rest of a body; whether the session can go on at once.
    pub(super) fn skip(&mut self, key: usize) -> bool {
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

    pub(super) fn linger(&mut self, key: usize) -> bool {
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
    pub(super) fn abort(&mut self, key: usize) {
        if let Some(session) = self.sessions.get_mut(key) {
            let _ = session.channel.flush();
            session.channel.socket.stream.reset_on_close();
        }
        self.close(key);
    }

    /// Ends a session, and with it the backend's connection that serves it.
    pub(super) fn close(&mut self, key: usize) {
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
}

/// Keeps a head's memory for another session; nothing of a half-read head may stay in it.
pub(super) fn spare(heads: &mut Vec<Head>, head: Option<Head>) {
    if let Some(mut head) = head {
        head.clear();
        heads.push(head);
    }
}
