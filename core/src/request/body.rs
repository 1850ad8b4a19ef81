//! The body of a request: what came with the head, then what the socket brings, decoded if it is chunked, spilled
//! to memory or a file with `--post-buffering`.

use crate::net::wait;
use crate::server::{server, socket_limit};
use crate::worker::connection::Connection;
use rsgi_protocol::chunked::{Decoder, Event};
use rsgi_protocol::fastcgi::{FastCgiError, StdinDecoder};
use rsgi_protocol::http1::{BodyLength, HttpError};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::time::Duration;

/// Bytes read from the socket at once.
const PIECE: usize = 64 * 1024;

/// Why a body cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The client went away before its body was complete.
    #[error("the client has gone before its body was complete")]
    Gone,
    /// Nothing came for `--socket-timeout`.
    #[error("the client sent nothing of its body for {0} seconds (--socket-timeout)")]
    Timeout(u64),
    /// Nothing is there yet, and nobody waits.
    #[error("nothing of the body is there yet")]
    Later,
    /// Bad chunks, or a body over `--limit-post`.
    #[error("{0}")]
    Refused(HttpError),
    /// The records of a FastCGI request's body break off, or make no sense.
    #[error("{0}")]
    Records(#[from] FastCgiError),
    /// No room for the spilled body.
    #[error("cannot spill the body to a temporary file: {0}")]
    Spill(io::Error),
}

#[derive(Default)]
enum Framing {
    #[default]
    None,
    Fixed(u64),
    Chunked(Decoder),
    /// FastCGI records, and how many of the announced bytes they still have to bring.
    Records(StdinDecoder, u64),
}

impl Framing {
    /// The next piece of a coded body in `raw`, and how much of that it took.
    fn decode<'a>(&mut self, raw: &'a [u8]) -> Result<(usize, Event<'a>), BodyError> {
        match self {
            Self::None | Self::Fixed(_) => Ok((0, Event::End)),
            Self::Chunked(decoder) => {
                let (used, event) = decoder.decode(raw).map_err(BodyError::Refused)?;
                let limit = server().settings.limits.limit_post;
                if limit > 0 && decoder.total() > limit {
                    return Err(BodyError::Refused(HttpError::new(413, "the body is over limit-post")));
                }
                Ok((used, event))
            }
            Self::Records(decoder, due) => {
                let (used, event) = decoder.decode(raw)?;
                match event {
                    Event::Data(data) if data.len() as u64 > *due => {
                        let error = HttpError::new(400, "the body is longer than its CONTENT_LENGTH");
                        return Err(BodyError::Refused(error));
                    }
                    Event::Data(data) => *due -= data.len() as u64,
                    Event::End if *due > 0 => return Err(BodyError::Gone),
                    Event::End | Event::More => {}
                }
                Ok((used, event))
            }
        }
    }
}

/// A body read ahead as a whole.
enum Spilled {
    Memory(io::Cursor<Vec<u8>>),
    Disk(File),
}

/// A body that is gathered as it comes, before the application runs.
#[derive(Default)]
struct Gathered {
    data: Vec<u8>,
    file: Option<File>,
    length: u64,
}

/// The body of the current request.
#[derive(Default)]
pub struct Body {
    framing: Framing,
    /// The client waits for `100 Continue`.
    expects_continue: bool,
    /// Undecoded bytes of a chunked body: read from the socket, some perhaps of the next request.
    raw: Vec<u8>,
    raw_at: usize,
    /// Decoded bytes that were not asked for yet.
    pending: Vec<u8>,
    pending_at: usize,
    /// What the last read returned.
    out: Vec<u8>,
    /// What came of a chunk that was asked for as a whole.
    part: Vec<u8>,
    spilled: Option<Spilled>,
    gathered: Option<Gathered>,
    failed: bool,
    refusal: Option<HttpError>,
}

impl Body {
    /// Begins the body of a request.
    pub fn begin(&mut self, length: BodyLength, expects_continue: bool) {
        self.framing = match length {
            BodyLength::None => Framing::None,
            BodyLength::Fixed(n) => Framing::Fixed(n),
            BodyLength::Chunked => Framing::Chunked(Decoder::new()),
        };
        self.start(expects_continue);
    }

    /// Begins the body of a FastCGI request, of so many bytes.
    pub fn begin_records(&mut self, id: u16, length: u64) {
        self.framing = Framing::Records(StdinDecoder::new(id), length);
        self.start(false);
    }

    fn start(&mut self, expects_continue: bool) {
        self.expects_continue = expects_continue;
        self.raw.clear();
        self.raw_at = 0;
        self.pending.clear();
        self.pending_at = 0;
        self.part.clear();
        self.gathered = None;
        self.spilled = None;
        self.failed = false;
        self.refusal = None;
    }

    /// What was wrong with the body, if that is why reading failed: the answer is this, whatever the application
    /// made of it.
    pub fn refusal(&self) -> Option<HttpError> {
        self.refusal
    }

    /// Whether all of it was taken from the connection.
    pub fn is_consumed(&self) -> bool {
        match &self.framing {
            Framing::None => true,
            Framing::Fixed(left) => *left == 0,
            Framing::Chunked(decoder) => decoder.is_done(),
            Framing::Records(decoder, _) => decoder.is_done(),
        }
    }

    /// Whether all of it was handed out.
    pub fn is_at_end(&self) -> bool {
        self.is_consumed() && self.pending_at == self.pending.len() && self.spilled.is_none()
    }

    /// Whether reading failed: the connection is out of step and must be closed.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Up to `hint` bytes, all that is left for 0; fewer only at the end. The result is valid until the next call.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub fn read<'b>(&'b mut self, conn: &'b mut Connection, hint: usize) -> Result<&'b [u8], BodyError> {
        let want = if hint == 0 { usize::MAX } else { hint };
        if let Some(spilled) = &mut self.spilled {
            return read_spilled(spilled, &mut self.out, want);
        }
        if self.pending_at == self.pending.len()
            && let Framing::Fixed(left) = &mut self.framing
        {
            // the common case: the body came with the head, hand out the bytes where they are
            let n = usize::try_from(*left).unwrap_or(usize::MAX).min(want);
            if n > 0 && conn.buffered().len() >= n {
                *left -= n as u64;
                return Ok(conn.take_buffered(n));
            }
        }
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        let result = self.fill(conn, want, &mut out);
        self.out = out;
        result.map(|()| &self.out[..])
    }

    /// What is there of the body now, a piece of it at most; empty at the end.
    ///
    /// # Errors
    /// [`BodyError::Later`], and those of [`Body::read`].
    pub fn read_now<'b>(&'b mut self, conn: &'b mut Connection) -> Result<&'b [u8], BodyError> {
        if self.spilled.is_some() {
            return self.read(conn, PIECE);
        }
        if self.pending_at == self.pending.len()
            && let Framing::Fixed(left) = &mut self.framing
        {
            let n = usize::try_from(*left).unwrap_or(usize::MAX).min(conn.buffered().len());
            if n > 0 {
                *left -= n as u64;
                return Ok(conn.take_buffered(n));
            }
        }
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        let result = self.fill_within(conn, PIECE, &mut out, Some(Duration::ZERO));
        self.out = out;
        match result {
            Err(BodyError::Later) if !self.out.is_empty() => {}
            other => other?,
        }
        Ok(&self.out)
    }

    /// The next chunk of a chunked body, whole, waiting so long for each of its pieces; of another body what is there.
    /// Empty at the end.
    ///
    /// # Errors
    /// [`BodyError::Later`] when nothing came in time (what is there of a chunk is kept), and those of [`Body::read`].
    pub fn read_chunk(&mut self, conn: &mut Connection, patience: Duration) -> Result<&[u8], BodyError> {
        let mut out = std::mem::take(&mut self.part);
        let result = self.chunk_into(conn, patience, &mut out);
        if matches!(result, Err(BodyError::Later)) {
            self.part = out;
            return Err(BodyError::Later);
        }
        self.out = out;
        result.map(|()| &self.out[..])
    }

    fn chunk_into(&mut self, conn: &mut Connection, patience: Duration, out: &mut Vec<u8>) -> Result<(), BodyError> {
        if !matches!(self.framing, Framing::Chunked(_)) {
            return match self.fill_within(conn, PIECE, out, Some(patience)) {
                Err(BodyError::Later) if !out.is_empty() => Ok(()),
                other => other,
            };
        }
        loop {
            let before = out.len();
            self.fill_within(conn, before + 1, out, Some(patience))?;
            // the decoder hands out the data of one chunk at a time
            let rest = self.pending_at..self.pending.len();
            out.extend_from_slice(&self.pending[rest]);
            self.pending_at = self.pending.len();
            let limit = server().settings.limits.chunked_input_limit;
            if limit > 0 && out.len() as u64 > limit {
                let error = HttpError::new(413, "a chunk is over chunked-input-limit");
                (self.failed, self.refusal) = (true, Some(error));
                return Err(BodyError::Refused(error));
            }
            let is_within = matches!(&self.framing, Framing::Chunked(decoder) if decoder.is_within_chunk());
            if out.len() == before || !is_within {
                return Ok(());
            }
        }
    }

    /// The next line with its newline; at most `hint` bytes when it is above 0.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub fn read_line(&mut self, conn: &mut Connection, hint: usize) -> Result<&[u8], BodyError> {
        let most = if hint == 0 { usize::MAX } else { hint };
        let mut searched = self.pending_at;
        let end = loop {
            if let Some(found) = memchr(b'\n', &self.pending[searched..]) {
                break searched + found + 1;
            }
            searched = self.pending.len();
            if searched - self.pending_at >= most {
                break self.pending_at + most;
            }
            let kept = searched - self.pending_at;
            let mut more = std::mem::take(&mut self.out);
            more.clear();
            if let Some(spilled) = &mut self.spilled {
                read_spilled(spilled, &mut more, 4096)?;
            } else {
                let held = (std::mem::take(&mut self.pending), std::mem::take(&mut self.pending_at));
                let result = self.fill(conn, 4096, &mut more);
                (self.pending, self.pending_at) = held;
                result?;
            }
            let at_end = more.is_empty();
            if self.pending_at > 0 {
                self.pending.drain(..self.pending_at);
                self.pending_at = 0;
            }
            self.pending.extend_from_slice(&more);
            self.out = more;
            searched = kept;
            if at_end {
                break self.pending.len();
            }
        };
        let end = end.min(self.pending_at.saturating_add(most)).min(self.pending.len());
        let start = std::mem::replace(&mut self.pending_at, end);
        Ok(&self.pending[start..end])
    }

    /// Goes to a position; only a spilled body can.
    pub fn seek(&mut self, position: u64) {
        self.pending.clear();
        self.pending_at = 0;
        match &mut self.spilled {
            Some(Spilled::Memory(data)) => data.set_position(position),
            Some(Spilled::Disk(file)) => {
                let _ = file.seek(SeekFrom::Start(position));
            }
            None => {}
        }
    }

    /// Reads all of the body ahead: up to `memory` bytes stay in memory, the rest goes to a nameless file. The
    /// length it has.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub fn spill(&mut self, conn: &mut Connection, memory: usize) -> Result<u64, BodyError> {
        let mut data = Vec::new();
        self.fill(conn, memory.max(1), &mut data)?;
        if self.is_consumed() && self.pending_at == self.pending.len() {
            let length = data.len() as u64;
            self.spilled = Some(Spilled::Memory(io::Cursor::new(data)));
            return Ok(length);
        }
        let mut file = nameless_file().map_err(BodyError::Spill)?;
        let mut length = 0;
        while !data.is_empty() {
            file.write_all(&data).map_err(BodyError::Spill)?;
            length += data.len() as u64;
            data.clear();
            self.fill(conn, PIECE, &mut data)?;
        }
        file.seek(SeekFrom::Start(0)).map_err(BodyError::Spill)?;
        self.spilled = Some(Spilled::Disk(file));
        Ok(length)
    }

    /// Takes what is there of the body now, up to `memory` bytes in memory and the rest in a nameless file. Its length
    /// once it is whole; it can be read without waiting then.
    ///
    /// # Errors
    /// [`BodyError::Later`] while it is not whole, and those of [`Body::read`].
    pub fn gather(&mut self, conn: &mut Connection, memory: usize) -> Result<u64, BodyError> {
        let mut gathered = self.gathered.take().unwrap_or_default();
        loop {
            let before = gathered.data.len();
            let more = self.fill_within(conn, before + PIECE, &mut gathered.data, Some(Duration::ZERO));
            gathered.length += (gathered.data.len() - before) as u64;
            if gathered.data.len() > memory {
                let file = match &mut gathered.file {
                    Some(file) => file,
                    none => none.insert(nameless_file().map_err(BodyError::Spill)?),
                };
                file.write_all(&gathered.data).map_err(BodyError::Spill)?;
                gathered.data.clear();
            }
            match more {
                Ok(()) if self.is_consumed() && self.pending_at == self.pending.len() => break,
                Ok(()) => {}
                Err(BodyError::Later) => {
                    self.gathered = Some(gathered);
                    return Err(BodyError::Later);
                }
                Err(error) => return Err(error),
            }
        }
        self.spilled = Some(match gathered.file {
            None => Spilled::Memory(io::Cursor::new(gathered.data)),
            Some(mut file) => {
                file.write_all(&gathered.data).map_err(BodyError::Spill)?;
                file.seek(SeekFrom::Start(0)).map_err(BodyError::Spill)?;
                Spilled::Disk(file)
            }
        });
        Ok(gathered.length)
    }

    /// Reads and forgets what is left, up to `most` bytes; whether the body is at its end then.
    pub fn discard(&mut self, conn: &mut Connection, most: usize) -> bool {
        if self.expects_continue && !self.is_consumed() {
            // the client was never told to send it: it cannot know where the next request begins
            return false;
        }
        let mut out = Vec::new();
        !self.failed && (self.is_consumed() || (self.fill(conn, most, &mut out).is_ok() && self.is_consumed()))
    }

    /// The same with what is there already.
    pub fn discard_now(&mut self, conn: &mut Connection, most: usize) -> bool {
        let mut left = most;
        while !(self.failed || self.is_consumed() || self.expects_continue && conn.buffered().is_empty()) {
            match self.read_now(conn) {
                Ok(piece) if piece.len() < left => left -= piece.len(),
                _ => return false,
            }
        }
        !self.failed && self.is_consumed()
    }

    /// Gives bytes that belong to the next request back to the connection.
    pub fn end(&mut self, conn: &mut Connection) {
        if self.raw_at < self.raw.len() {
            conn.unread(&self.raw[self.raw_at..]);
        }
        self.raw.clear();
        self.raw_at = 0;
        self.spilled = None;
        for buffer in [&mut self.out, &mut self.pending, &mut self.raw] {
            // one large upload does not keep its memory for ever
            if buffer.capacity() > 4 * PIECE {
                *buffer = Vec::new();
            }
        }
    }

    /// Appends up to `want` bytes; fewer only at the end.
    fn fill(&mut self, conn: &mut Connection, want: usize, out: &mut Vec<u8>) -> Result<(), BodyError> {
        self.fill_within(conn, want, out, None)
    }

    /// The same, waiting so long for each piece: `None`: for `--socket-timeout`, after which the body has failed.
    fn fill_within(
        &mut self,
        conn: &mut Connection,
        want: usize,
        out: &mut Vec<u8>,
        patience: Option<Duration>,
    ) -> Result<(), BodyError> {
        let result = self.fill_from(conn, want, out, patience);
        if let Err(error) = &result
            && !matches!(error, BodyError::Later)
        {
            self.failed = true;
            if let BodyError::Refused(refused) = error {
                self.refusal = Some(*refused);
            }
        }
        result
    }

    fn fill_from(
        &mut self,
        conn: &mut Connection,
        want: usize,
        out: &mut Vec<u8>,
        patience: Option<Duration>,
    ) -> Result<(), BodyError> {
        let ready = &self.pending[self.pending_at..];
        let n = ready.len().min(want);
        out.extend_from_slice(&ready[..n]);
        self.pending_at += n;
        while out.len() < want && !self.is_consumed() {
            let room = want - out.len();
            match &mut self.framing {
                Framing::None => break,
                Framing::Fixed(left) => {
                    let most = usize::try_from(*left).unwrap_or(usize::MAX).min(room);
                    let n = if conn.buffered().is_empty() {
                        invite(conn, &mut self.expects_continue);
                        receive(conn, most.min(PIECE), out, patience)?
                    } else {
                        let n = conn.buffered().len().min(most);
                        out.extend_from_slice(conn.take_buffered(n));
                        n
                    };
                    *left -= n as u64;
                }
                coded @ (Framing::Chunked(_) | Framing::Records(..)) => {
                    if self.raw_at == self.raw.len() {
                        self.raw.clear();
                        self.raw_at = 0;
                        let held = conn.buffered().len();
                        if held > 0 {
                            self.raw.extend_from_slice(conn.take_buffered(held));
                        } else {
                            invite(conn, &mut self.expects_continue);
                            receive(conn, PIECE, &mut self.raw, patience)?;
                        }
                    }
                    let (used, event) = coded.decode(&self.raw[self.raw_at..])?;
                    self.raw_at += used;
                    if let Event::Data(data) = event {
                        let n = data.len().min(room);
                        out.extend_from_slice(&data[..n]);
                        if n < data.len() {
                            self.pending.clear();
                            self.pending.extend_from_slice(&data[n..]);
                            self.pending_at = 0;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

fn memchr(needle: u8, hay: &[u8]) -> Option<usize> {
    hay.iter().position(|b| *b == needle)
}

fn read_spilled<'o>(spilled: &mut Spilled, out: &'o mut Vec<u8>, want: usize) -> Result<&'o [u8], BodyError> {
    out.clear();
    let want = want as u64;
    match spilled {
        Spilled::Memory(data) => data.take(want).read_to_end(out),
        Spilled::Disk(file) => file.take(want).read_to_end(out),
    }
    .map_err(BodyError::Spill)?;
    Ok(out)
}

/// `100 Continue`, once, when the body is really wanted (RFC 9110 10.1.1).
fn invite(conn: &mut Connection, expects: &mut bool) {
    if std::mem::take(expects) {
        let _ = wait::write_all(conn.fd(), b"HTTP/1.1 100 Continue\r\n\r\n", socket_limit());
    }
}

/// One piece from the socket, waiting for it as long as `patience`, or `--socket-timeout`, says.
fn receive(
    conn: &mut Connection,
    most: usize,
    out: &mut Vec<u8>,
    patience: Option<Duration>,
) -> Result<usize, BodyError> {
    out.reserve(most);
    loop {
        // SAFETY: `most` bytes of spare room were reserved.
        let n = unsafe {
            let place = out.as_mut_ptr().add(out.len());
            match &conn.plugin_intake {
                None => libc::read(conn.fd(), place.cast(), most),
                Some(intake) => intake.read_body(conn.fd(), place, most),
            }
        };
        match n {
            0 => return Err(BodyError::Gone),
            n if n > 0 => {
                // SAFETY: the kernel wrote `n` bytes there.
                unsafe { out.set_len(out.len() + n as usize) };
                return Ok(n as usize);
            }
            _ => match io::Error::last_os_error().kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => {
                    let limit = patience.unwrap_or_else(socket_limit);
                    if limit.is_zero() {
                        return Err(BodyError::Later);
                    }
                    wait::readable(conn.fd(), limit).map_err(|_| match patience {
                        Some(_) => BodyError::Later,
                        None => BodyError::Timeout(limit.as_secs()),
                    })?;
                }
                _ => return Err(BodyError::Gone),
            },
        }
    }
}

/// A file without a name: it vanishes with its last descriptor, also at a kill.
fn nameless_file() -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_TMPFILE)
        .mode(0o600)
        .open(std::env::temp_dir())
}
