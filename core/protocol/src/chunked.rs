//! The chunked transfer coding (RFC 9112 7.1): an incremental, strict decoder and the encoder's size lines.
//! Used for request bodies by workers and gateways, and for response bodies by gateways; one decoder per body.

use crate::http1::HttpError;
use crate::octet::is_token_byte;

/// Bytes of one size line, with its extensions.
const MAX_SIZE_LINE: u32 = 1024;
/// Bytes of all trailer lines together.
const MAX_TRAILERS: u32 = 16 * 1024;
/// No body has chunks of a tebibyte; a size like that is an attack on somebody's arithmetic.
const MAX_CHUNK: u64 = 1 << 40;

/// What one step of the decoder found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The input is used up and the body is not at its end.
    More,
    /// Bytes of the body, the last ones of the consumed input.
    Data(&'a [u8]),
    /// The body has ended; what follows belongs to the next message.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the digits of a size.
    Size,
    /// In white space behind a size, which only an extension may follow.
    Space,
    /// In the extensions of a size line.
    Extension,
    /// Behind the CR of a size line.
    SizeLf,
    /// In the data of a chunk.
    Data,
    /// Before the CR and the LF that end a chunk's data.
    DataCr,
    DataLf,
    /// At the first byte of a trailer line, in its name, in its value, behind its CR.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    /// Behind the CR of the last empty line.
    EndLf,
    Done,
}

/// Decodes one body; feed it what arrives.
#[derive(Clone, Debug)]
pub struct Decoder {
    state: State,
    digits: u8,
    line: u32,
    trailers: u32,
    /// Bytes that the current chunk still has to bring.
    left: u64,
    total: u64,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            state: State::Size,
            digits: 0,
            line: 0,
            trailers: 0,
            left: 0,
            total: 0,
        }
    }
}

impl Decoder {
    /// A decoder at the start of a body.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the end was reached.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether the data handed out last ends in the middle of a chunk.
    #[must_use]
    pub fn is_within_chunk(&self) -> bool {
        self.state == State::Data
    }

    /// Bytes that the chunk of the data handed out last has still to bring.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Bytes of the body announced by the size lines so far, for limits such as `limit-post`.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Takes a step: answers how much of `input` it consumed, and what that was.
    /// Call it again with the rest until it answers `More` or `End`; an error is final.
    pub fn decode<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Event<'a>), HttpError> {
        let mut at = 0;
        loop {
            if self.state == State::Done {
                return Ok((at, Event::End));
            }
            let Some(&byte) = input.get(at) else {
                return Ok((at, Event::More));
            };
            if self.state == State::Data {
                // A chunk is bounded by MAX_CHUNK, and a slice by the address space.
                let n = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len() - at);
                self.left -= n as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
                return Ok((at + n, Event::Data(&input[at..at + n])));
            }
            self.state = self.step(byte)?;
            at += 1;
        }
    }

    fn step(&mut self, byte: u8) -> Result<State, HttpError> {
        use State::*;
        self.line += 1;
        let next = match (self.state, byte) {
            (Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                self.digits += 1;
                let digit = char::from(byte).to_digit(16).unwrap_or(0);
                self.left = self.left << 4 | u64::from(digit);
                if self.digits > 16 || self.left > MAX_CHUNK {
                    return Err(HttpError::new(413, "a chunk is too large"));
                }
                Size
            }
            (Size, _) if self.digits == 0 => return Err(bad("malformed chunk size")),
            (Size | Space, b';') => Extension,
            (Size | Space, b' ' | b'\t') => Space,
            (Size | Extension, b'\r') => SizeLf,
            (Extension, _) if is_text(byte) => Extension,
            (SizeLf, b'\n') => self.end_of_size()?,
            (DataCr, b'\r') => DataLf,
            (DataLf, b'\n') => {
                (self.digits, self.line) = (0, 0);
                Size
            }
            (TrailerStart, b'\r') => EndLf,
            (TrailerStart | TrailerName, _) if is_token_byte(byte) => TrailerName,
            (TrailerName, b':') => TrailerValue,
            (TrailerValue, b'\r') => TrailerLf,
            (TrailerValue, _) if is_text(byte) => TrailerValue,
            (TrailerLf, b'\n') => TrailerStart,
            (EndLf, b'\n') => Done,
            (Size | Space | Extension | SizeLf, _) => return Err(bad("malformed chunk size")),
            (DataCr | DataLf, _) => return Err(bad("no CR LF behind a chunk")),
            _ => return Err(bad("malformed trailer")),
        };
        match next {
            Size | Space | Extension | SizeLf if self.line > MAX_SIZE_LINE => {
                Err(HttpError::new(413, "a chunk extension is too long"))
            }
            TrailerStart | TrailerName | TrailerValue | TrailerLf => {
                self.trailers += 1;
                match self.trailers > MAX_TRAILERS {
                    true => Err(HttpError::new(431, "the trailer is too long")),
                    false => Ok(next),
                }
            }
            _ => Ok(next),
        }
    }

    fn end_of_size(&mut self) -> Result<State, HttpError> {
        self.line = 0;
        self.total = self
            .total
            .checked_add(self.left)
            .filter(|&total| total <= i64::MAX.cast_unsigned())
            .ok_or(HttpError::new(413, "the body is too large"))?;
        Ok(if self.left == 0 {
            State::TrailerStart
        } else {
            State::Data
        })
    }
}

fn bad(cause: &'static str) -> HttpError {
    HttpError::new(400, cause)
}

/// Visible characters, white space and bytes beyond ASCII.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// What ends a chunked body.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
/// What ends a chunk's data.
pub const CHUNK_END: &[u8] = b"\r\n";

/// Writes the size line of a chunk of `len` bytes; zero would end the body, so do not frame empty writes.
pub fn encode_head(len: usize, out: &mut [u8; 18]) -> &[u8] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut at = out.len() - 2;
    out[at..].copy_from_slice(b"\r\n");
    let mut rest = len;
    loop {
        at -= 1;
        out[at] = HEX[rest & 15];
        rest >>= 4;
        if rest == 0 {
            return &out[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Everything at once, or cut into pieces of `step` bytes: (body, consumed bytes, ended).
    fn run(input: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), HttpError> {
        let (mut decoder, mut body, mut used) = (Decoder::new(), Vec::new(), 0);
        for piece in input.chunks(step) {
            let mut at = 0;
            loop {
                let (n, event) = decoder.decode(&piece[at..])?;
                at += n;
                used += n;
                match event {
                    Event::Data(data) => body.extend_from_slice(data),
                    Event::More => break,
                    Event::End => return Ok((body, used, true)),
                }
            }
        }
        Ok((body, used, false))
    }

    #[test]
    fn well_formed_bodies() {
        for (input, body, rest) in [
            (&b"0\r\n\r\nnext"[..], &b""[..], 4),
            (b"3\r\nabc\r\n0\r\n\r\n", b"abc", 0),
            (b"A\r\n0123456789\r\n00003\r\nabc\r\n0\r\n\r\nGET", b"0123456789abc", 3),
            (b"3;name=\"va\tlue\";x\r\nabc\r\n0;y\r\n\r\n", b"abc", 0),
            (b"3 \t;x\r\nabc\r\n0\r\n\r\n", b"abc", 0),
            (b"0\r\nX-T: v\r\nY:\r\n\r\nz", b"", 1),
        ] {
            for step in [1, 2, 5, 1000] {
                assert_eq!(
                    run(input, step),
                    Ok((body.to_vec(), input.len() - rest, true)),
                    "{input:?}"
                );
            }
        }
    }

    #[test]
    fn malformed_bodies_are_refused() {
        let long_extension = [b"3;", &[b'e'; 2000][..], b"\r\nabc\r\n0\r\n\r\n"].concat();
        let trailers = [b"0\r\n", &b"X-T: v\r\n".repeat(3000)[..], b"\r\n"].concat();
        for (input, status) in [
            (&b"-3\r\nabc\r\n0\r\n\r\n"[..], 400),
            (b"+3\r\nabc", 400),
            (b"0x3\r\nabc", 400),
            (b"0_3\r\nabc", 400),
            (b"3z\r\nabc", 400),
            (b"\r\nabc", 400),
            (b" 3\r\nabc", 400),
            (b"3 \r\nabc", 400),
            (b";x\r\nabc", 400),
            (b"10000000000000003\r\nabc", 413),
            (b"00000000000000003\r\nabc", 413),
            (b"7fffffffffffffff\r\n", 413),
            (b"fffffffffffffffe\r\n", 413),
            (b"3\r\nabcXX0\r\n\r\n", 400),
            (b"3\r\nabc0\r\n\r\n", 400),
            (b"3\nabc\n0\n\n", 400),
            (b"3\r\nabc\n0\r\n\r\n", 400),
            (b"3;a\nb\r\nabc", 400),
            (b"3\rabc", 400),
            (b"0\r\n X: folded\r\n\r\n", 400),
            (b"0\r\nno colon\r\n\r\n", 400),
            (b"0\r\nX: a\nb\r\n\r\n", 400),
            (b"0\r\n\rX", 400),
            (b"0\r\n: v\r\n\r\n", 400),
            (&long_extension, 413),
            (&trailers, 431),
        ] {
            for step in [1, 3, 10000] {
                assert_eq!(
                    run(input, step).map_err(|e| e.status()),
                    Err(status),
                    "{:?}",
                    &input[..input.len().min(40)]
                );
            }
        }
    }

    #[test]
    fn announced_bytes_are_counted() {
        let mut decoder = Decoder::new();
        decoder.decode(b"ff\r\n").expect("a size line");
        assert_eq!(decoder.total(), 255);
        assert!(!decoder.is_done());
    }

    #[test]
    fn size_lines() {
        let mut out = [0; 18];
        for (len, want) in [(0, "0\r\n"), (1, "1\r\n"), (16, "10\r\n"), (0xabcdef, "abcdef\r\n")] {
            assert_eq!(encode_head(len, &mut out), want.as_bytes());
        }
        assert_eq!(encode_head(usize::MAX, &mut out).len(), 18);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..8),
                                      step in 1usize..50) {
            let (mut wire, mut size) = (Vec::new(), [0; 18]);
            for piece in &pieces {
                wire.extend_from_slice(encode_head(piece.len(), &mut size));
                wire.extend_from_slice(piece);
                wire.extend_from_slice(CHUNK_END);
            }
            wire.extend_from_slice(LAST_CHUNK);
            prop_assert_eq!(run(&wire, step), Ok((pieces.concat(), wire.len(), true)));
        }

        #[test]
        fn cuts_do_not_matter(input in prop::collection::vec(prop::sample::select(b"03aF;\r\n x:-".to_vec()), 0..60),
                              step in 1usize..10) {
            prop_assert_eq!(run(&input, step), run(&input, 1000));
        }
    }
}
