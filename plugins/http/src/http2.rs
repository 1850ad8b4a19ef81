//! HTTP/2 of one client's connection: the h2 crate over two byte queues, without a runtime and without waiting. Each of
//! its streams is a session of its own in the gateway, which reads and writes HTTP/1.1 (`translate`), so that both
//! protocols pass through the same parser, limits and ways. `gateway::streams` drives all this.

mod pipe;
pub mod translate;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use h2::server::{Builder, Connection, Handshake, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::Request;
use rsgi_protocol::response::ResponseHead;

pub use pipe::Pipe;
use translate::Framing;

/// What a client begins with.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of a frame's header.
const FRAME: usize = 9;

/// Whether a connection begins with HTTP/2; `None`: more has to come to tell. The preface alone is not enough, a client
/// has to go on with its settings: whoever sends something else is answered in the language that it may know.
pub fn begins(input: &[u8]) -> Option<bool> {
    let n = input.len().min(PREFACE.len());
    // all that HTTP/1 would not refuse yet is its to judge
    if n < b"PRI * HTTP/2.0".len() || input[..n] != PREFACE[..n] {
        return Some(false);
    }
    let frame = input.get(PREFACE.len()..PREFACE.len() + FRAME)?;
    Some(matches!(frame, [0, _, _, 4, 0, 0, 0, 0, 0]))
}

/// Streams of one client at a time.
const STREAMS: u32 = 128;
/// Bytes of the bodies of all its streams that may be on their way to us.
const WINDOW: u32 = 1 << 20;
/// Requests that a client may take back before that counts against it.
const CANCELS: u64 = 100;

/// Remembers that something can go on.
#[derive(Debug, Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

enum State {
    Handshake(Handshake<Pipe, Bytes>),
    Open(Connection<Pipe, Bytes>),
    Closed,
}

/// A stream: a request and its answer.
pub struct Part {
    /// The session that serves it: its key and id.
    pub session: (usize, u64),
    /// What is still to come of the request's body; `None`: nothing.
    pub body: Option<RecvStream>,
    /// The session gets it in chunks.
    pub is_chunked: bool,
    /// Until the answer has begun.
    pub respond: SendResponse<Bytes>,
    /// Since then.
    pub send: Option<SendStream<Bytes>>,
    /// How the session's answer is to be read.
    pub framing: Framing,
    /// The head of the answer.
    pub head: ResponseHead,
    /// The request was a HEAD.
    pub is_head: bool,
}

impl Part {
    /// Whether the client has taken its request back.
    pub fn is_cancelled(&mut self, context: &mut Context<'_>) -> bool {
        match &mut self.send {
            Some(send) => send.poll_reset(context).is_ready(),
            None => self.respond.poll_reset(context).is_ready(),
        }
    }

    /// The answer cannot be completed.
    pub fn reset(&mut self) {
        match &mut self.send {
            Some(send) => send.send_reset(Reason::INTERNAL_ERROR),
            None => self.respond.send_reset(Reason::INTERNAL_ERROR),
        }
    }
}

/// What polling a connection came to.
pub enum Found {
    /// A new request.
    Stream(Box<Request<RecvStream>>, SendResponse<Bytes>),
    /// Nothing now.
    Nothing,
    /// The connection is over, once what is queued has left.
    End,
}

/// A client's HTTP/2 connection.
pub struct Http2 {
    state: State,
    pipe: Pipe,
    bell: Arc<Bell>,
    waker: Waker,
    /// The streams under way.
    pub parts: Vec<Part>,
    opened: u64,
    cancelled: u64,
    /// It was told that no new streams are taken.
    pub is_closing: bool,
}

impl std::fmt::Debug for Http2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http2").field("streams", &self.parts.len()).finish()
    }
}

impl Http2 {
    /// A connection at its beginning; heads may have so many bytes.
    pub fn new(head: usize) -> Self {
        let (pipe, bell) = (Pipe::default(), Arc::<Bell>::default());
        let mut builder = Builder::new();
        builder
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
            .initial_connection_window_size(WINDOW)
            .max_send_buffer_size(crate::buffer::HIGH);
        Self {
            state: State::Handshake(builder.handshake(pipe.clone())),
            pipe,
            waker: Waker::from(Arc::clone(&bell)),
            bell,
            parts: Vec::new(),
            opened: 0,
            cancelled: 0,
            is_closing: false,
        }
    }

    /// The bytes in both directions.
    pub fn pipe(&self) -> &Pipe {
        &self.pipe
    }

    /// What polls are made with.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Whether something can go on since this was asked last.
    pub fn has_rung(&self) -> bool {
        self.bell.0.swap(false, Ordering::Relaxed)
    }

    /// Does what can be done on the connection, until a request is there.
    pub fn poll(&mut self) -> Found {
        let waker = self.waker.clone();
        let mut context = Context::from_waker(&waker);
        loop {
            match &mut self.state {
                State::Handshake(handshake) => match Pin::new(handshake).poll(&mut context) {
                    Poll::Ready(Ok(connection)) => self.state = State::Open(connection),
                    Poll::Ready(Err(_)) => self.state = State::Closed,
                    Poll::Pending => return Found::Nothing,
                },
                State::Open(connection) => match connection.poll_accept(&mut context) {
                    Poll::Ready(Some(Ok((request, respond)))) => {
                        self.opened += 1;
                        return Found::Stream(Box::new(request), respond);
                    }
                    Poll::Ready(Some(Err(_)) | None) => self.state = State::Closed,
                    Poll::Pending => return Found::Nothing,
                },
                State::Closed => return Found::End,
            }
        }
    }

    /// A client has taken a request back. Whoever does little else (CVE-2023-44487) is shown the door.
    pub fn count_cancelled(&mut self) {
        self.cancelled += 1;
        if let State::Open(connection) = &mut self.state
            && self.cancelled > CANCELS
            && self.cancelled > self.opened / 2
        {
            connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
        }
    }

    /// Takes no new streams, and ends when those under way have ended; a connection that is only beginning is heard
    /// first.
    pub fn close(&mut self) {
        if let State::Open(connection) = &mut self.state {
            self.is_closing = true;
            connection.graceful_shutdown();
        }
    }
}

#[cfg(test)]
mod tests;
