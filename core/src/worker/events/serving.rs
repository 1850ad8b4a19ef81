//! The life of one connection in an event loop: from its bytes to requests, to the plugin, to the rest of an answer.

use super::client::{Phase, Then};
use super::{AGAIN, Events};
use crate::plugin::hooks;
use crate::request::body::BodyError;
use crate::request::outlet::Outlet;
use crate::request::{response, set_current, websocket};
use crate::say;
use crate::server::SocketProtocol;
use crate::worker::connection::Received;
use crate::worker::monotonic;
use crate::worker::serve::{self, Parsed};
use nix::sys::epoll::EpollFlags;
use rsgi_plugin_api::abi::{RSGI_DRAINED, RSGI_GONE, RSGI_LATE, RSGI_READABLE};
use rsgi_protocol::uwsgi::HEADER_LEN;
use rsgi_protocol::websocket::code;
use std::time::Duration;

/// Requests served of one connection before others have their turn.
const TURNS: usize = 16;
/// Bytes of a gathered body that stay in memory.
const IN_MEMORY: usize = 1024 * 1024;
/// Seconds for a client to read the last of an answer, and to close.
const LINGER: u64 = 2;

impl Events {
    /// Something happened to a connection.
    pub(super) fn note(&mut self, index: usize, flags: EpollFlags) {
        let Some(client) = self.clients.get(index) else {
            return;
        };
        let ended = EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
        client.readable |= flags.intersects(EpollFlags::EPOLLIN | ended);
        client.gone |= flags.intersects(ended);
        if client.phase != Phase::Exchange {
            return self.drive(index);
        }
        let mut told = 0;
        if client.readable {
            told |= RSGI_READABLE;
        }
        if client.gone {
            told |= RSGI_GONE;
        }
        if flags.contains(EpollFlags::EPOLLOUT) && self.flush(index) {
            told |= RSGI_DRAINED;
        }
        if told > 0 {
            self.tell(index, told);
        }
        self.drive(index);
    }

    /// Tells the plugin what happened to its request.
    pub(super) fn tell(&mut self, index: usize, told: i32) {
        let Some(core) = self.clients.get(index).and_then(|client| client.core.as_mut()) else {
            return;
        };
        if let Some(ready) = self.ready.filter(|_| core.finished.is_none()) {
            set_current(core);
            let raw = core.expose();
            // SAFETY: a request of ours that the plugin has not finished, in the worker's main thread.
            ready.call(|ready| unsafe { ready(raw, told) });
        }
    }

    /// Sends what was kept of an answer; whether that was the last of it.
    fn flush(&mut self, index: usize) -> bool {
        let Some(client) = self.clients.get(index) else {
            return false;
        };
        let Some(core) = client.core.as_mut().filter(|core| core.outlet.kept() > 0) else {
            return false;
        };
        match response::flush(core) {
            Ok(done) => done,
            Err(_) => {
                client.gone = true;
                true
            }
        }
    }

    /// Does all that can be done for a connection now.
    pub(super) fn drive(&mut self, index: usize) {
        for _ in 0..TURNS {
            let Some(client) = self.clients.get(index) else {
                return;
            };
            let moved = match client.phase {
                Phase::Head => self.read_head(index),
                Phase::Gather => self.gather(index),
                Phase::Exchange => self.end_exchange(index),
                Phase::Drain(then) => {
                    if !self.flush(index) && self.clients.get(index).is_some_and(|c| has_kept(c)) {
                        false
                    } else {
                        self.settle(index, then)
                    }
                }
                Phase::Linger => self.linger(index),
            };
            if !moved {
                return;
            }
        }
        AGAIN.with_borrow_mut(|again| again.push(index));
    }

    /// Reads and parses; whether there is more to do.
    fn read_head(&mut self, index: usize) -> bool {
        let limit = self.server.settings.limits.buffer_size + HEADER_LEN;
        let Some(client) = self.clients.get(index) else {
            return false;
        };
        if !client.unparsed {
            if !client.readable {
                if client.conn.is_idle() {
                    client.conn.head_since = 0;
                    let conn = &mut client.conn;
                    // a field of its own, but the borrow of `clients` is in the way
                    let mut spare = std::mem::take(&mut self.spare);
                    conn.release_buffer(&mut spare);
                    self.spare = spare;
                } else if client.conn.head_since == 0 {
                    client.conn.head_since = monotonic().max(1);
                }
                return false;
            }
            let mut spare = std::mem::take(&mut self.spare);
            client.conn.borrow_buffer(&mut spare);
            let received = client.conn.receive(limit);
            self.spare = spare;
            let Some(client) = self.clients.get(index) else {
                return false;
            };
            match received {
                Received::Some => {
                    client.unparsed = true;
                    client.since = monotonic();
                    // a short read leaves nothing behind, unless it was the last before the end
                    client.readable = !client.conn.is_drained || client.gone;
                }
                Received::Nothing => client.readable = false,
                Received::Closed => {
                    self.clients.remove(index);
                    return false;
                }
            }
            return true;
        }
        let Some(mut core) = self.core() else {
            if !self.queue.contains(&index) {
                self.queue.push_back(index);
            }
            return false;
        };
        core.outlet = Outlet::keeping();
        let Some(client) = self.clients.get(index) else {
            self.rest(core);
            return false;
        };
        client.unparsed = false;
        match serve::parse(&mut core, &mut client.conn) {
            Parsed::Partial => {
                self.rest(core);
                true
            }
            Parsed::Refused(error) => {
                say!("{}: {error}", serve::peer_name(&client.conn));
                serve::refuse(&client.conn, &error);
                self.rest(core);
                self.settle(index, Then::Linger)
            }
            Parsed::Broken(why) => {
                say!("{}: {why}", serve::peer_name(&client.conn));
                self.rest(core);
                self.settle(index, Then::Close)
            }
            Parsed::Over => {
                self.rest(core);
                self.settle(index, Then::Close)
            }
            Parsed::Request => {
                client.conn.head_since = 0;
                client.enter(Phase::Exchange);
                core.client = index;
                core.finished = None;
                client.core = Some(core);
                self.start(index);
                true
            }
        }
    }

    /// A request is there: it is answered here, or handed to the plugin.
    fn start(&mut self, index: usize) {
        self.in_work += 1;
        let Some(core) = self.clients.get(index).and_then(|client| client.core.as_mut()) else {
            return;
        };
        if crate::unix_signal::order() != crate::unix_signal::Order::Serve {
            core.response.close_after();
        }
        serve::begin_counters(core);
        // a request that waits does not keep the loop from turning: what the master watches is the loop
        core.slot.since.store(0, std::sync::atomic::Ordering::Relaxed);
        core.slot.deadline.store(0, std::sync::atomic::Ordering::Relaxed);
        self.push_deadline();
        let Some(core) = self.clients.get(index).and_then(|client| client.core.as_mut()) else {
            return;
        };
        if hooks::has_pre_request() {
            let raw = core.expose();
            // SAFETY: the request of this core.
            unsafe { hooks::pre_request(raw) };
        }
        if self.hooks.whole_body != 0 && !core.body.is_consumed() {
            if let Some(client) = self.clients.get(index) {
                client.phase = Phase::Gather;
            }
            return;
        }
        self.dispatch(index);
    }

    /// Reads what is there of a body; whether there is more to do.
    fn gather(&mut self, index: usize) -> bool {
        let memory = match self.server.settings.limits.post_buffering {
            0 => IN_MEMORY,
            bytes => usize::try_from(bytes).unwrap_or(IN_MEMORY),
        };
        let Some(client) = self.clients.get(index) else {
            return false;
        };
        let Some(core) = client.core.as_mut() else {
            return false;
        };
        match core.body.gather(&mut client.conn, memory) {
            Ok(length) => {
                core.raw().post_cl = length as usize;
                client.phase = Phase::Exchange;
                self.dispatch(index);
                true
            }
            Err(BodyError::Later) => {
                client.took = monotonic();
                false
            }
            Err(error) => {
                if !matches!(error, BodyError::Gone) {
                    say!("request refused: {error}");
                    response::plain(core, "400 Bad Request", "Bad Request");
                }
                core.response.close_after();
                core.finished = Some(true);
                client.phase = Phase::Exchange;
                true
            }
        }
    }

    /// The request is given to whoever answers it.
    fn dispatch(&mut self, index: usize) {
        let Some(core) = self.clients.get(index).and_then(|client| client.core.as_mut()) else {
            return;
        };
        if serve::answer_here(core) {
            core.finished = Some(true);
            return;
        }
        let modifier1 = self.server.remapped(core.modifier1());
        let is_ours = modifier1 == self.hooks.modifier1 && self.server.allows(core.modifier1());
        match self.request.filter(|_| is_ours) {
            None => {
                // another plugin's: it answers as it does elsewhere, and the others wait
                core.outlet = Outlet::default();
                core.finished = Some(serve::hand_over(core));
            }
            Some(request) => {
                set_current(core);
                let raw = core.expose();
                // SAFETY: a request of ours, parsed, in the worker's main thread.
                request.call(|request| unsafe { request(raw) });
            }
        }
    }

    /// If the request was answered, ends it; whether there is more to do.
    fn end_exchange(&mut self, index: usize) -> bool {
        let Some(client) = self.clients.get(index) else {
            return false;
        };
        let Some(core) = client.core.as_mut() else {
            return false;
        };
        let Some(complete) = core.finished else {
            return false;
        };
        let was_websocket = core.websocket.is_some();
        let mut keep = response::finish(core, complete);
        let mut skipped = true;
        if !core.body.is_consumed() || core.body.has_failed() {
            let tries = keep || client.conn.socket.protocol.is_fastcgi();
            skipped = tries && core.body.discard_now(&mut client.conn, serve::SKIP);
            keep &= skipped;
        }
        serve::after(core);
        // only now: what is given back lands where the request's variables lie
        core.body.end(&mut client.conn);
        let is_gone = core.response.is_gone();
        core.client = usize::MAX;
        self.in_work -= 1;
        self.show_busy();
        let then = match (keep, skipped) {
            (true, _) => Then::Head,
            (false, _) if is_gone => Then::Close,
            (false, false) => Then::Linger,
            (false, true) if was_websocket => Then::Linger,
            _ => Then::Close,
        };
        let Some(client) = self.clients.get(index) else {
            return false;
        };
        if has_kept(client) && !is_gone {
            client.enter(Phase::Drain(then));
            return false;
        }
        self.settle(index, then)
    }

    /// All of the answer has left; whether there is more to do.
    fn settle(&mut self, index: usize, then: Then) -> bool {
        let Some(client) = self.clients.get(index) else {
            return false;
        };
        if let Some(mut core) = client.core.take() {
            core.websocket = None;
            if self.cores.len() < 256 {
                self.rest(core);
            }
        }
        let Some(client) = self.clients.get(index) else {
            return false;
        };
        match then {
            Then::Head => {
                client.unparsed = !client.conn.buffered().is_empty();
                client.conn.parked_at = monotonic();
                client.enter(Phase::Head);
                true
            }
            Then::Linger => {
                // SAFETY: the descriptor is open.
                unsafe { libc::shutdown(client.conn.fd(), libc::SHUT_WR) };
                client.enter(Phase::Linger);
                client.readable = true;
                true
            }
            Then::Close => {
                self.clients.remove(index);
                false
            }
        }
    }

    /// Throws away what still comes.
    fn linger(&mut self, index: usize) -> bool {
        let Some(client) = self.clients.get(index) else {
            return false;
        };
        let mut sink = [0u8; 16 * 1024];
        // SAFETY: the buffer is ours and as large as stated.
        let n = unsafe { libc::read(client.conn.fd(), sink.as_mut_ptr().cast(), sink.len()) };
        if n > 0 {
            return true;
        }
        let waits = n < 0 && std::io::Error::last_os_error().kind() == std::io::ErrorKind::WouldBlock;
        if !waits {
            self.clients.remove(index);
        }
        false
    }

    /// What is due for a connection with time.
    pub(super) fn look_after(&mut self, index: usize, now: u64) {
        let settings = &self.server.settings;
        let (quiet, idle) = (settings.sockets.socket_timeout, settings.http.keep_alive_timeout);
        let head = serve::head_limit();
        let harakiri = self.harakiri();
        let Some(client) = self.clients.get(index) else {
            return;
        };
        let age = now.saturating_sub(client.since);
        let stuck = match client.core.as_mut() {
            Some(core) if core.outlet.kept() > 0 => {
                if core.outlet.has_moved() {
                    client.took = now;
                }
                now.saturating_sub(client.took) > quiet
            }
            _ => false,
        };
        match client.phase {
            Phase::Head if client.is_idle() => {
                if age > idle {
                    self.clients.remove(index);
                }
            }
            // a whole head waits for a core
            Phase::Head if client.unparsed => {}
            Phase::Head => {
                if age > quiet || now.saturating_sub(client.conn.head_since) > head {
                    if client.conn.socket.protocol == SocketProtocol::Http {
                        let _ = crate::net::wait::write_all(
                            client.conn.fd(),
                            b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                            Duration::from_millis(1),
                        );
                    }
                    self.clients.remove(index);
                }
            }
            Phase::Exchange => {
                let Some(core) = client.core.as_mut() else {
                    return;
                };
                let silent = core.websocket.is_some() && websocket::tick(core).is_err();
                let late = core.websocket.is_none() && harakiri > 0 && age > harakiri
                    || core.late_at.is_some_and(|at| now >= at);
                if stuck {
                    core.response.set_gone();
                }
                if silent || stuck {
                    self.tell(index, RSGI_READABLE | RSGI_GONE | RSGI_DRAINED);
                } else if late {
                    self.tell(index, RSGI_LATE);
                }
                self.drive(index);
            }
            Phase::Gather if now.saturating_sub(client.took.max(client.since)) > quiet => {
                if let Some(core) = client.core.as_mut() {
                    core.response.set_gone();
                    core.finished = Some(false);
                }
                client.phase = Phase::Exchange;
                self.drive(index);
            }
            Phase::Drain(_) if stuck => drop(self.clients.remove(index)),
            Phase::Linger if age >= LINGER => drop(self.clients.remove(index)),
            Phase::Gather | Phase::Drain(_) | Phase::Linger => {}
        }
    }

    /// The worker leaves: websockets are told.
    pub(super) fn say_goodbye(&mut self, index: usize) {
        let Some(core) = self.clients.get(index).and_then(|client| client.core.as_mut()) else {
            return;
        };
        if core.finished.is_none() {
            core.response.close_after();
            if core.websocket.is_some() {
                websocket::close(core, code::RESTART, "");
                self.tell(index, RSGI_READABLE);
                self.drive(index);
            }
        }
    }
}

/// Whether the client has not taken all of the answer.
fn has_kept(client: &super::Client) -> bool {
    client.core.as_ref().is_some_and(|core| core.outlet.kept() > 0)
}
