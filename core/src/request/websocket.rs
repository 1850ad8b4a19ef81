//! A request that became a websocket: its handshake, its messages, the pings that tell whether the client is still
//! there, and its end. Used by the C API, waiting (a core per client) or not (`worker::events`).

use super::response::{self, ResponseError};
use super::{Core, place, vars};
use crate::net::wait;
use crate::process::is_last_generation;
use crate::server::{SocketProtocol, server};
use crate::unix_signal::{self, Order};
use crate::worker::{monotonic, monotonic_ms};
use rsgi_protocol::websocket::{Decoder, Event, Opcode, WebsocketError, accept_key, close_payload, code, encode_head};
use std::io;
use std::time::Duration;

/// Bytes read from the socket at once.
const PIECE: usize = 16 * 1024;
/// How long a waiting core sleeps before it looks at orders.
const LOOK: Duration = Duration::from_secs(1);

/// Why a conversation is over.
#[derive(Debug, thiserror::Error)]
pub enum SocketEnd {
    /// The request is none that can become a websocket, or it already has.
    #[error("{0}")]
    Handshake(&'static str),
    /// The answer could not be sent.
    #[error(transparent)]
    Response(#[from] ResponseError),
    /// The client said goodbye: code and reason.
    #[error("the client has closed the websocket ({0})")]
    Closed(u16, String),
    /// The client broke the protocol or a limit.
    #[error(transparent)]
    Broken(#[from] WebsocketError),
    /// The connection is gone, without a goodbye.
    #[error("the client has gone: {0}")]
    Gone(io::Error),
    /// A ping was not answered.
    #[error("no pong within websockets-pong-tolerance")]
    Silent,
    /// The worker leaves.
    #[error("the server restarts")]
    Leaving,
}

impl SocketEnd {
    /// The code that stands for it.
    pub fn code(&self) -> u16 {
        match self {
            Self::Closed(code, _) => *code,
            Self::Broken(error) => error.code,
            Self::Leaving => code::RESTART,
            _ => code::ABNORMAL,
        }
    }
}

/// The state of one conversation.
pub struct Websocket {
    decoder: Decoder,
    input: Vec<u8>,
    at: usize,
    /// Monotonic seconds when a ping is due; of the clock in milliseconds when one went out that was not answered.
    next_ping: u64,
    pinged: u64,
    /// The code of the close frame that has left: nothing may follow it.
    closed: Option<u16>,
}

/// A whole message.
pub struct Message<'a> {
    /// Text, or else binary.
    pub is_text: bool,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// Answers the upgrade. Empty texts are taken from the request.
///
/// # Errors
/// The request asks for no websocket, or the answer cannot be sent.
pub fn handshake(core: &mut Core, key: &[u8], origin: &[u8], protocol: &[u8]) -> Result<(), SocketEnd> {
    if core.websocket.is_some() || core.response.is_sent() {
        return Err(SocketEnd::Handshake("the request has been answered already"));
    }
    let var = |core: &mut Core, given: &[u8], name: &[u8]| match given {
        [] => vars::find(core.raw(), name).unwrap_or_default().to_vec(),
        given => given.to_vec(),
    };
    let key = var(core, key, b"HTTP_SEC_WEBSOCKET_KEY");
    if key.is_empty() {
        return Err(SocketEnd::Handshake("the request has no Sec-WebSocket-Key"));
    }
    let origin = var(core, origin, b"HTTP_ORIGIN");
    let protocol = var(core, protocol, b"HTTP_SEC_WEBSOCKET_PROTOCOL");
    // of several, the server chooses one
    let protocol = protocol.split(|b| *b == b',').next().unwrap_or_default().trim_ascii();
    response::start(core, b"101 Web Socket Protocol Handshake")?;
    if !origin.is_empty() {
        response::header(core, b"Sec-WebSocket-Origin", &origin)?;
    }
    if !protocol.is_empty() {
        response::header(core, b"Sec-WebSocket-Protocol", protocol)?;
    }
    begin(core, &key)
}

/// The same behind a status and headers of the caller's.
///
/// # Errors
/// As [`handshake`].
pub fn begin(core: &mut Core, key: &[u8]) -> Result<(), SocketEnd> {
    response::header(core, b"Upgrade", b"WebSocket")?;
    response::header(core, b"Connection", b"Upgrade")?;
    response::header(core, b"Sec-WebSocket-Accept", &accept_key(key))?;
    response::send_head(core)?;
    let http = &server().settings.http;
    let max = usize::try_from(http.websockets_max_size)
        .unwrap_or(usize::MAX)
        .saturating_mul(1024);
    let conn = core.conn();
    let early = conn.buffered().len();
    let input = conn.take_buffered(early).to_vec();
    core.websocket = Some(Box::new(Websocket {
        decoder: Decoder::new(max),
        input,
        at: 0,
        next_ping: monotonic() + http.websockets_ping_freq,
        pinged: 0,
        closed: None,
    }));
    Ok(())
}

/// The next message; `None`: nothing whole is there yet, which is only said when `waits` is false. Control frames are
/// answered on the way.
///
/// # Errors
/// The conversation is over; the client was told why, if it is still there.
pub fn receive(core: &mut Core, waits: bool) -> Result<Option<Message<'_>>, SocketEnd> {
    let Some(mut socket) = core.websocket.take() else {
        return Err(SocketEnd::Handshake("there was no websocket handshake"));
    };
    let outcome = advance(core, &mut socket, waits);
    core.websocket = Some(socket);
    match &outcome {
        Err(SocketEnd::Broken(error)) => close(core, error.code, ""),
        Err(SocketEnd::Leaving) => close(core, code::RESTART, ""),
        _ => {}
    }
    let found = outcome?.map(|(is_text, place)| Message {
        is_text,
        // SAFETY: the bytes lie in the websocket of this core, which the result borrows; nothing has touched it since.
        bytes: unsafe { std::slice::from_raw_parts(place.0, place.1) },
    });
    Ok(found)
}

type Place = (*const u8, usize);

fn advance(core: &mut Core, socket: &mut Websocket, waits: bool) -> Result<Option<(bool, Place)>, SocketEnd> {
    loop {
        if let Some(code) = socket.closed {
            return Err(SocketEnd::Closed(code, String::new()));
        }
        let (used, event) = socket.decoder.decode(&mut socket.input[socket.at..])?;
        let found = match event {
            Event::Text(bytes) => Some((true, (bytes.as_ptr(), bytes.len()))),
            Event::Binary(bytes) => Some((false, (bytes.as_ptr(), bytes.len()))),
            Event::Ping(bytes) => {
                frame(core, Opcode::Pong, bytes)?;
                None
            }
            Event::Pong(_) => {
                socket.pinged = 0;
                None
            }
            Event::Close(code, reason) => {
                let reason = String::from_utf8_lossy(reason).into_owned();
                let answer = if code == code::NONE {
                    Vec::new()
                } else {
                    close_payload(code, "")
                };
                socket.closed = Some(code);
                let _ = frame(core, Opcode::Close, &answer);
                return Err(SocketEnd::Closed(code, reason));
            }
            Event::Part => None,
            Event::More(whole) => {
                if !fill(core, socket, whole, waits)? {
                    return Ok(None);
                }
                continue;
            }
        };
        socket.at += used;
        if found.is_some() {
            return Ok(found);
        }
    }
}

/// Gets more bytes; `false`: none are there, and nobody waits.
fn fill(core: &mut Core, socket: &mut Websocket, whole: usize, waits: bool) -> Result<bool, SocketEnd> {
    if socket.at == socket.input.len() {
        socket.input.clear();
    } else {
        socket.input.drain(..socket.at);
    }
    socket.at = 0;
    let room = PIECE.max(whole.saturating_sub(socket.input.len()).min(1 << 20));
    let fd = core.conn().fd();
    loop {
        socket.input.reserve(room);
        let len = socket.input.len();
        // SAFETY: `room` bytes of spare room were reserved.
        let n = unsafe { libc::read(fd, socket.input.as_mut_ptr().add(len).cast(), room) };
        if n > 0 {
            // SAFETY: the kernel wrote `n` bytes there.
            unsafe { socket.input.set_len(len + n as usize) };
            return Ok(true);
        }
        if n == 0 {
            return Err(
                match core.conn().socket.protocol == SocketProtocol::Link && is_last_generation() {
                    // a gateway that stops: the client is there and can be told
                    true => SocketEnd::Leaving,
                    false => SocketEnd::Gone(io::ErrorKind::UnexpectedEof.into()),
                },
            );
        }
        match io::Error::last_os_error() {
            e if e.kind() == io::ErrorKind::Interrupted => continue,
            e if e.kind() == io::ErrorKind::WouldBlock => {}
            e => return Err(SocketEnd::Gone(e)),
        }
        look_after(core, socket)?;
        if !waits {
            return Ok(false);
        }
        if unix_signal::order() != Order::Serve {
            return Err(SocketEnd::Leaving);
        }
        match wait::readable(fd, LOOK) {
            Err(e) if e.kind() != io::ErrorKind::TimedOut => return Err(SocketEnd::Gone(e)),
            _ => {}
        }
    }
}

/// Pings when it is time to, and gives up a client that did not answer one.
fn look_after(core: &mut Core, socket: &mut Websocket) -> Result<(), SocketEnd> {
    let http = &server().settings.http;
    if socket.pinged > 0 && monotonic_ms().saturating_sub(socket.pinged) > http.websockets_pong_tolerance * 1000 {
        return Err(SocketEnd::Silent);
    }
    let now = monotonic();
    if http.websockets_ping_freq > 0 && socket.pinged == 0 && now >= socket.next_ping {
        socket.next_ping = now + http.websockets_ping_freq;
        socket.pinged = monotonic_ms().max(1);
        frame(core, Opcode::Ping, &[])?;
    }
    Ok(())
}

/// What is due with time, for a websocket that nobody waits for.
///
/// # Errors
/// The client does not answer.
pub fn tick(core: &mut Core) -> Result<(), SocketEnd> {
    let Some(mut socket) = core.websocket.take() else {
        return Ok(());
    };
    let kept = look_after(core, &mut socket);
    core.websocket = Some(socket);
    kept
}

/// Sends a message.
///
/// # Errors
/// There is no websocket, or the client has gone.
pub fn send(core: &mut Core, is_text: bool, payload: &[u8]) -> Result<(), SocketEnd> {
    let Some(socket) = &core.websocket else {
        return Err(SocketEnd::Handshake("there was no websocket handshake"));
    };
    if let Some(code) = socket.closed {
        return Err(SocketEnd::Closed(code, String::new()));
    }
    let opcode = if is_text { Opcode::Text } else { Opcode::Binary };
    frame(core, opcode, payload)
}

/// Whether a message was read whole with others before it, so that no event of the socket will announce it.
pub fn has_message(core: &Core) -> bool {
    let socket = core.websocket.as_ref();
    socket.is_some_and(|socket| rsgi_protocol::websocket::has_message(&socket.input[socket.at..]))
}

/// Says goodbye, once.
pub fn close(core: &mut Core, code: u16, reason: &str) {
    if let Some(socket) = core.websocket.as_mut().filter(|socket| socket.closed.is_none()) {
        socket.closed = Some(code);
        let _ = frame(core, Opcode::Close, &close_payload(code, reason));
    }
}

/// The request ends: whether it was a websocket, which is closed then.
pub fn end(core: &mut Core, complete: bool) -> bool {
    let code = if complete { code::NORMAL } else { code::FAILED };
    close(core, code, "");
    core.websocket.is_some()
}

fn frame(core: &mut Core, opcode: Opcode, payload: &[u8]) -> Result<(), SocketEnd> {
    if core.response.is_gone() {
        return Err(SocketEnd::Gone(io::ErrorKind::BrokenPipe.into()));
    }
    let mut head = [0; 10];
    let head = encode_head(opcode, payload.len(), &mut head);
    core.raw().response_size += head.len() + payload.len();
    let sent = response::deliver(core, &mut [place(head), place(payload)]);
    response::gone_if(core, sent).map_err(|e| match e {
        ResponseError::Gone(e) => SocketEnd::Gone(e),
        other => other.into(),
    })
}
