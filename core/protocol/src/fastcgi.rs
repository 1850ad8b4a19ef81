//! FastCGI 1.0: the records of a connection as requests, one at a time, and the records of an answer.
//! Used by workers, one `Intake` per connection and one `StdinDecoder` per body; no I/O.

use crate::chunked::Event;
use crate::pairs::{Pair, pairs};

/// Bytes of a record's header.
pub const HEADER_LEN: usize = 8;
/// Bytes of one record of an answer: a multiple of eight, so that no padding is needed.
pub const MAX_CONTENT: usize = 65_528;

const BEGIN_REQUEST: u8 = 1;
const ABORT_REQUEST: u8 = 2;
const END_REQUEST: u8 = 3;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;
const STDOUT: u8 = 6;
const DATA: u8 = 8;
const GET_VALUES: u8 = 9;
const GET_VALUES_RESULT: u8 = 10;
const UNKNOWN_TYPE: u8 = 11;

const RESPONDER: u16 = 1;
const KEEP_CONNECTION: u8 = 1;

/// What the END_REQUEST record says of a request.
#[derive(Clone, Copy)]
enum Ending {
    Complete = 0,
    CannotMultiplex = 1,
    UnknownRole = 3,
}

/// Why a connection's bytes are refused; it is closed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FastCgiError {
    /// The first byte of a record is another version, so this is something else than FastCGI.
    #[error("not FastCGI: a record of version {0}")]
    Version(u8),
    /// A record that has no place where it came.
    #[error("a FastCGI record of type {0} came out of turn")]
    OutOfTurn(u8),
    /// A record whose content has not the length that its type asks for.
    #[error("a FastCGI record of type {0} has {1} bytes")]
    Length(u8, u16),
    /// The variables are over the limit.
    #[error("the variables of a FastCGI request are over the limit of {0} bytes; raise it with --buffer-size")]
    TooLarge(usize),
    /// A variable whose length points behind the end.
    #[error("a variable of the FastCGI request is cut off")]
    Truncated,
    /// A variable without a name.
    #[error("a variable of the FastCGI request has no name")]
    EmptyKey,
    /// The front gave its request up.
    #[error("the FastCGI request was aborted")]
    Aborted,
}

/// The header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    kind: u8,
    id: u16,
    length: u16,
    padding: u8,
}

impl Record {
    fn parse(bytes: [u8; HEADER_LEN]) -> Result<Self, FastCgiError> {
        let [version, kind, id1, id0, length1, length0, padding, _] = bytes;
        match version {
            1 => Ok(Self {
                kind,
                id: u16::from_be_bytes([id1, id0]),
                length: u16::from_be_bytes([length1, length0]),
                padding,
            }),
            other => Err(FastCgiError::Version(other)),
        }
    }

    fn bytes(kind: u8, id: u16, length: u16) -> [u8; HEADER_LEN] {
        let ([id1, id0], [length1, length0]) = (id.to_be_bytes(), length.to_be_bytes());
        [1, kind, id1, id0, length1, length0, 0, 0]
    }

    /// Bytes of the record without its header.
    fn rest(self) -> usize {
        usize::from(self.length) + usize::from(self.padding)
    }
}

/// The header of a record of the answer with so many bytes, at most [`MAX_CONTENT`].
#[must_use]
pub fn stdout_header(id: u16, length: u16) -> [u8; HEADER_LEN] {
    Record::bytes(STDOUT, id, length)
}

/// What ends an answer: the end of its stream and of the request.
#[must_use]
pub fn end_of_answer(id: u16) -> [u8; 3 * HEADER_LEN] {
    let mut out = [0; 3 * HEADER_LEN];
    out[..HEADER_LEN].copy_from_slice(&stdout_header(id, 0));
    out[HEADER_LEN..].copy_from_slice(&end_of_request(id, Ending::Complete));
    out
}

fn end_of_request(id: u16, ending: Ending) -> [u8; 2 * HEADER_LEN] {
    let mut out = [0; 2 * HEADER_LEN];
    out[..HEADER_LEN].copy_from_slice(&Record::bytes(END_REQUEST, id, 8));
    out[HEADER_LEN + 4] = ending as u8;
    out
}

/// What one step of the intake found.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// More has to come.
    More,
    /// The connection is to be told this.
    Reply(Vec<u8>),
    /// The variables of a request are whole; its body follows.
    Request,
}

/// Where an intake is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Between requests; what still comes of the last one is late and goes nowhere.
    #[default]
    Idle,
    /// The variables come.
    Params,
    /// The variables were whole at the last step.
    Whole,
}

/// Reads the records of a connection up to the end of a request's variables; one per connection, reused.
#[derive(Debug, Default)]
pub struct Intake {
    state: State,
    id: u16,
    keeps: bool,
    params: Vec<u8>,
}

impl Intake {
    /// One at the start of a connection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of the request.
    #[must_use]
    pub fn id(&self) -> u16 {
        self.id
    }

    /// Whether the front wants to use the connection again.
    #[must_use]
    pub fn keeps_connection(&self) -> bool {
        self.keeps
    }

    /// The variables, once they are whole; see [`parse_params`].
    #[must_use]
    pub fn params(&self) -> &[u8] {
        &self.params
    }

    /// Whether a part of a request was taken.
    #[must_use]
    pub fn is_within_head(&self) -> bool {
        self.state == State::Params
    }

    /// Takes whole records off the front of `input`: how many bytes, and what they came to. Variables may have `limit`
    /// bytes. Call it again with the rest until it answers `More` or `Request`; an error is final.
    pub fn take(&mut self, input: &[u8], limit: usize) -> Result<(usize, Step), FastCgiError> {
        if self.state == State::Whole {
            self.state = State::Idle;
        }
        let mut at = 0;
        loop {
            let Some(header) = input[at..].first_chunk::<HEADER_LEN>() else {
                // something else is seen by its first byte, not after it has sent eight
                return match input.get(at) {
                    Some(&version) if version != 1 => Err(FastCgiError::Version(version)),
                    _ => Ok((at, Step::More)),
                };
            };
            let record = Record::parse(*header)?;
            self.check(record, limit)?;
            let start = at + HEADER_LEN;
            if input.len() - start < record.rest() {
                return Ok((at, Step::More));
            }
            let content = &input[start..start + usize::from(record.length)];
            at = start + record.rest();
            match self.step(record, content)? {
                Step::More => {}
                found => return Ok((at, found)),
            }
        }
    }

    /// Refuses by the header what would be refused anyway, before its content was waited for.
    fn check(&self, record: Record, limit: usize) -> Result<(), FastCgiError> {
        let is_ours = record.id == self.id && self.state == State::Params;
        match record.kind {
            BEGIN_REQUEST if record.length != 8 => Err(FastCgiError::Length(record.kind, record.length)),
            PARAMS if is_ours && self.params.len() + usize::from(record.length) > limit => {
                Err(FastCgiError::TooLarge(limit))
            }
            GET_VALUES if usize::from(record.length) > 1024 => Err(FastCgiError::Length(record.kind, record.length)),
            _ => Ok(()),
        }
    }

    fn step(&mut self, record: Record, content: &[u8]) -> Result<Step, FastCgiError> {
        let is_ours = record.id == self.id && self.state == State::Params;
        match record.kind {
            GET_VALUES if record.id == 0 => return Ok(Step::Reply(values(content)?)),
            kind @ (BEGIN_REQUEST..=DATA) if record.id == 0 => return Err(FastCgiError::OutOfTurn(kind)),
            BEGIN_REQUEST => return self.begin(record, content),
            ABORT_REQUEST if is_ours => {
                self.state = State::Idle;
                if !self.keeps {
                    return Err(FastCgiError::Aborted);
                }
                return Ok(Step::Reply(end_of_request(record.id, Ending::Complete).to_vec()));
            }
            PARAMS if is_ours && content.is_empty() => {
                self.state = State::Whole;
                return Ok(Step::Request);
            }
            PARAMS if is_ours => self.params.extend_from_slice(content),
            STDIN | DATA | PARAMS if self.state == State::Idle && record.id != self.id || is_ours => {
                return Err(FastCgiError::OutOfTurn(record.kind));
            }
            // of a request that was refused or has been answered
            ABORT_REQUEST | PARAMS | STDIN | DATA => {}
            END_REQUEST | STDOUT | 7 => return Err(FastCgiError::OutOfTurn(record.kind)),
            kind => {
                let mut out = Record::bytes(UNKNOWN_TYPE, 0, 8).to_vec();
                out.extend([kind, 0, 0, 0, 0, 0, 0, 0]);
                return Ok(Step::Reply(out));
            }
        }
        Ok(Step::More)
    }

    fn begin(&mut self, record: Record, content: &[u8]) -> Result<Step, FastCgiError> {
        let &[role1, role0, flags, ..] = content else {
            return Err(FastCgiError::Length(record.kind, record.length));
        };
        if self.state == State::Params {
            if record.id == self.id {
                return Err(FastCgiError::OutOfTurn(record.kind));
            }
            return Ok(Step::Reply(end_of_request(record.id, Ending::CannotMultiplex).to_vec()));
        }
        if u16::from_be_bytes([role1, role0]) != RESPONDER {
            return Ok(Step::Reply(end_of_request(record.id, Ending::UnknownRole).to_vec()));
        }
        self.state = State::Params;
        self.id = record.id;
        self.keeps = flags & KEEP_CONNECTION != 0;
        self.params.clear();
        Ok(Step::More)
    }
}

/// The answer to a question about what this server can do.
fn values(content: &[u8]) -> Result<Vec<u8>, FastCgiError> {
    let mut out = vec![0; HEADER_LEN];
    for pair in parse_params(content) {
        // one request at a time per connection; how many of those the server has is not the front's to know
        if pair?.0 == b"FCGI_MPXS_CONNS" {
            out.extend_from_slice(b"\x0f\x01FCGI_MPXS_CONNS0");
        }
    }
    let length = (out.len() - HEADER_LEN) as u16;
    out[..HEADER_LEN].copy_from_slice(&Record::bytes(GET_VALUES_RESULT, 0, length));
    Ok(out)
}

/// The name-value pairs of a stream of variables, strictly: the first error ends the iteration.
pub fn parse_params(stream: &[u8]) -> impl Iterator<Item = Result<Pair<'_>, FastCgiError>> {
    pairs(stream, FastCgiError::EmptyKey, |rest| {
        let (name, value) = (take_length(rest)?, take_length(rest)?);
        Ok((take_string(rest, name)?, take_string(rest, value)?))
    })
}

/// Takes the length of a name or value off the front.
fn take_length(from: &mut &[u8]) -> Result<usize, FastCgiError> {
    match **from {
        [short, ref rest @ ..] if short < 0x80 => {
            *from = rest;
            Ok(usize::from(short))
        }
        [a, b, c, d, ref rest @ ..] => {
            *from = rest;
            Ok(u32::from_be_bytes([a & 0x7f, b, c, d]) as usize)
        }
        _ => Err(FastCgiError::Truncated),
    }
}

/// Takes a name or value off the front.
fn take_string<'a>(from: &mut &'a [u8], length: usize) -> Result<&'a [u8], FastCgiError> {
    let (string, rest) = from.split_at_checked(length).ok_or(FastCgiError::Truncated)?;
    *from = rest;
    Ok(string)
}

/// Takes the body of a request out of its records; one per body.
#[derive(Clone, Debug)]
pub struct StdinDecoder {
    id: u16,
    header: [u8; HEADER_LEN],
    /// Bytes of the header that are there.
    have: usize,
    /// Bytes of the body that the current record still brings.
    left: usize,
    /// Bytes behind them, or of a record that is not the body's, to throw away.
    skip: usize,
    done: bool,
}

impl StdinDecoder {
    /// A decoder for the body of the request of this number.
    #[must_use]
    pub fn new(id: u16) -> Self {
        Self {
            id,
            header: [0; HEADER_LEN],
            have: 0,
            left: 0,
            skip: 0,
            done: false,
        }
    }

    /// Whether the end was reached.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done && self.skip == 0
    }

    /// Takes a step, as [`crate::chunked::Decoder::decode`] does.
    pub fn decode<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Event<'a>), FastCgiError> {
        let mut at = 0;
        loop {
            if self.left > 0 && at < input.len() {
                let n = self.left.min(input.len() - at);
                self.left -= n;
                return Ok((at + n, Event::Data(&input[at..at + n])));
            }
            if self.left == 0 && self.skip > 0 {
                let n = self.skip.min(input.len() - at);
                self.skip -= n;
                at += n;
            }
            if self.is_done() {
                return Ok((at, Event::End));
            }
            if at == input.len() {
                return Ok((at, Event::More));
            }
            self.header[self.have] = input[at];
            self.have += 1;
            at += 1;
            if self.have == HEADER_LEN {
                self.have = 0;
                self.begin(Record::parse(self.header)?)?;
            }
        }
    }

    fn begin(&mut self, record: Record) -> Result<(), FastCgiError> {
        match record.kind {
            STDIN if record.id == self.id => {
                self.left = usize::from(record.length);
                self.skip = usize::from(record.padding);
                self.done = record.length == 0;
            }
            ABORT_REQUEST if record.id == self.id => return Err(FastCgiError::Aborted),
            kind @ (BEGIN_REQUEST | PARAMS) if record.id == self.id => return Err(FastCgiError::OutOfTurn(kind)),
            // of requests that a front tries to mix in although it was told not to
            _ => self.skip = record.rest(),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairs::count;
    use proptest::prelude::*;

    fn record(kind: u8, id: u16, content: &[u8], padding: u8) -> Vec<u8> {
        let mut out = Record::bytes(kind, id, content.len() as u16).to_vec();
        out[6] = padding;
        out.extend_from_slice(content);
        out.resize(out.len() + usize::from(padding), 0);
        out
    }

    fn begin(id: u16, role: u8, flags: u8) -> Vec<u8> {
        record(BEGIN_REQUEST, id, &[0, role, flags, 0, 0, 0, 0, 0], 0)
    }

    fn pair(key: &[u8], value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for string in [key, value] {
            match u8::try_from(string.len()) {
                Ok(n) if n < 128 => out.push(n),
                _ => out.extend((string.len() as u32 | 0x8000_0000).to_be_bytes()),
            }
        }
        [&out[..], key, value].concat()
    }

    #[test]
    fn broken_connections() {
        let over = [begin(1, 1, 0), record(PARAMS, 1, &[b'x'; 101], 0)].concat();
        for (input, error) in [
            (b"GET / HTTP/1.1\r\n".to_vec(), FastCgiError::Version(b'G')),
            (b"G".to_vec(), FastCgiError::Version(b'G')),
            (record(PARAMS, 1, b"\x01", 0), FastCgiError::OutOfTurn(PARAMS)),
            (record(STDIN, 1, b"", 0), FastCgiError::OutOfTurn(STDIN)),
            (record(STDOUT, 1, b"x", 0), FastCgiError::OutOfTurn(STDOUT)),
            (begin(0, 1, 0), FastCgiError::OutOfTurn(BEGIN_REQUEST)),
            (
                record(BEGIN_REQUEST, 1, b"\0\x01", 0),
                FastCgiError::Length(BEGIN_REQUEST, 2),
            ),
            (
                [begin(1, 1, 0), begin(1, 1, 0)].concat(),
                FastCgiError::OutOfTurn(BEGIN_REQUEST),
            ),
            (
                [begin(1, 1, 0), record(STDIN, 1, b"", 0)].concat(),
                FastCgiError::OutOfTurn(STDIN),
            ),
            (
                [begin(1, 1, 0), record(ABORT_REQUEST, 1, b"", 0)].concat(),
                FastCgiError::Aborted,
            ),
            (over, FastCgiError::TooLarge(100)),
        ] {
            let found = Intake::new().take(&input, 100);
            assert_eq!(found, Err(error), "{input:?}");
        }
    }

    #[test]
    fn what_is_answered_at_once() {
        let reply = |input: &[u8]| match Intake::new().take(input, 100) {
            Ok((n, Step::Reply(bytes))) => (n, bytes),
            other => panic!("{other:?}"),
        };
        let question = [pair(b"FCGI_MAX_CONNS", b""), pair(b"FCGI_MPXS_CONNS", b"")].concat();
        let (_, answer) = reply(&record(GET_VALUES, 0, &question, 3));
        assert_eq!(answer, record(GET_VALUES_RESULT, 0, &pair(b"FCGI_MPXS_CONNS", b"0"), 0));
        let (_, answer) = reply(&record(77, 0, b"?", 0));
        assert_eq!((answer[1], answer[8]), (UNKNOWN_TYPE, 77));
        let (_, answer) = reply(&begin(7, 2, 1));
        assert_eq!(
            (answer[1], answer[3], answer[12]),
            (END_REQUEST, 7, Ending::UnknownRole as u8)
        );
        let (n, answer) = reply(&[begin(1, 1, 1), begin(2, 1, 1), record(PARAMS, 2, b"", 0)].concat());
        assert_eq!((n, answer[3], answer[12]), (32, 2, Ending::CannotMultiplex as u8));
    }

    #[test]
    fn two_requests_on_one_connection() {
        let mut intake = Intake::new();
        let one = [
            begin(1, 1, 1),
            record(PARAMS, 1, &pair(b"A", b"b"), 5),
            record(PARAMS, 1, b"", 0),
        ]
        .concat();
        assert_eq!(intake.take(&one, 100), Ok((one.len(), Step::Request)));
        assert!(intake.keeps_connection() && !intake.is_within_head());
        // the end of the body of the first, which nobody has read
        let two = [record(STDIN, 1, b"", 0), begin(2, 1, 0), record(PARAMS, 2, b"", 0)].concat();
        assert_eq!(intake.take(&two, 100), Ok((two.len(), Step::Request)));
        assert!(!intake.keeps_connection() && intake.params().is_empty() && intake.id() == 2);
    }

    #[test]
    fn broken_params() {
        for (stream, error) in [
            (&b"\x01"[..], FastCgiError::Truncated),
            (b"\x20\x05abc", FastCgiError::Truncated),
            (b"\xff\xff\xff\xff\xff\xff\xff\xffab", FastCgiError::Truncated),
            (b"\x80\0\0", FastCgiError::Truncated),
            (b"\0\x01x", FastCgiError::EmptyKey),
        ] {
            assert_eq!(count(parse_params(stream)), Err(error), "{stream:?}");
        }
        assert_eq!(count(parse_params(b"\x01\0a")), Ok(1));
    }

    #[test]
    fn bodies_that_break_off() {
        let mut decoder = StdinDecoder::new(1);
        assert_eq!(
            decoder.decode(&record(ABORT_REQUEST, 1, b"", 0)),
            Err(FastCgiError::Aborted)
        );
        let mut decoder = StdinDecoder::new(1);
        assert_eq!(decoder.decode(b"HTTP/1.1"), Err(FastCgiError::Version(b'H')));
        let mut decoder = StdinDecoder::new(1);
        assert_eq!(
            decoder.decode(&begin(1, 1, 0)),
            Err(FastCgiError::OutOfTurn(BEGIN_REQUEST))
        );
    }

    proptest! {
        #[test]
        fn a_request_is_read_as_written_however_it_is_cut(
            pairs in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..40), prop::collection::vec(any::<u8>(), 0..300)), 0..12),
            body in prop::collection::vec(any::<u8>(), 0..500),
            record_size in 1..200usize, piece in 1..100usize, padding in 0..9u8) {
            let stream: Vec<u8> = pairs.iter().flat_map(|(k, v)| pair(k, v)).collect();
            let mut wire = begin(9, 1, 1);
            stream.chunks(record_size).for_each(|c| wire.extend(record(PARAMS, 9, c, padding)));
            wire.extend(record(PARAMS, 9, b"", padding));
            body.chunks(record_size).for_each(|c| wire.extend(record(STDIN, 9, c, padding)));
            wire.extend(record(STDIN, 9, b"", padding));
            let (mut intake, mut decoder) = (Intake::new(), StdinDecoder::new(9));
            let (mut buffer, mut got, mut in_body) = (Vec::new(), Vec::new(), false);
            for part in wire.chunks(piece) {
                buffer.extend_from_slice(part);
                while !in_body {
                    let (n, step) = intake.take(&buffer, 1 << 16).expect("proper");
                    buffer.drain(..n);
                    match step {
                        Step::Request => in_body = true,
                        Step::More => break,
                        Step::Reply(bytes) => panic!("{bytes:?}"),
                    }
                }
                let mut goes_on = in_body;
                while goes_on {
                    let (n, event) = decoder.decode(&buffer).expect("proper");
                    if let Event::Data(data) = event {
                        got.extend_from_slice(data);
                    }
                    goes_on = matches!(event, Event::Data(_));
                    buffer.drain(..n);
                }
            }
            prop_assert!(in_body && decoder.is_done() && buffer.is_empty());
            prop_assert_eq!(got, body);
            let read: Result<Vec<_>, _> = parse_params(intake.params()).collect();
            prop_assert_eq!(read, Ok(pairs.iter().map(|(k, v)| (&k[..], &v[..])).collect::<Vec<_>>()));
        }

        #[test]
        fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_params(&noise).count();
            let mut noise = noise;
            noise.iter_mut().step_by(9).for_each(|b| *b = 1);
            let _ = Intake::new().take(&noise, 100);
            let _ = StdinDecoder::new(1).decode(&noise);
        }
    }
}
