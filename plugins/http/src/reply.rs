//! A backend's answer on its way to the client: the head rewritten for the client's connection, the body framed for it.
//! Called by the gateway whenever bytes of a backend are there; the gateway decides what happens at the end.

use rsgi_protocol::chunked::{self, Decoder, Event};
use rsgi_protocol::http1::{HttpError, Progress, Version};
use rsgi_protocol::response::{ResponseBody, ResponseError, ResponseHead, is_hop_field, parse_response};
use rsgi_protocol::{Field, Name};

use crate::buffer::{Buffer, Pool};
use crate::gzip::Gzip;

/// Bytes of a response head; workers write at most 64 KiB.
pub const HEAD_LIMIT: usize = 128 * 1024;

/// How the body is read and written.
#[derive(Debug, Default)]
pub enum Framing {
    /// The head has not come.
    #[default]
    Head,
    /// So many bytes are left, passed on as they are.
    Fixed(u64),
    /// Chunks, passed on as they are.
    Chunked(Decoder),
    /// Chunks, of which an HTTP/1.0 client gets the data.
    Dechunked(Decoder),
    /// All until the backend closes; `chunk`: framed as chunks for the client.
    UntilClose {
        /// The client gets chunks.
        chunk: bool,
    },
    /// Compressed on the way, in chunks.
    Gzip(Box<Gzip>),
    /// The whole answer has been passed on.
    Done,
}

/// What the answer depends on besides the backend.
#[derive(Clone, Copy, Debug, Default)]
pub struct Client {
    /// The request was a HEAD.
    pub is_head: bool,
    /// The client speaks HTTP/1.0.
    pub is_http10: bool,
    /// The connection stays, if the framing allows it.
    pub keep: bool,
    /// Answers that ask for it are compressed.
    pub gzip: Compress,
}

/// Whether bodies are compressed that their application flags so (`--http-auto-gzip`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compress {
    /// The gateway does not look at the flag.
    #[default]
    Never,
    /// The client does not take it.
    Refused,
    /// It does.
    Taken,
}

/// Why an answer cannot be passed on.
#[derive(Debug, thiserror::Error)]
pub enum ReplyError {
    /// The head is unusable.
    #[error(transparent)]
    Head(#[from] ResponseError),
    /// The chunks are.
    #[error("the backend's answer has broken chunks: {}", .0.cause())]
    Chunks(HttpError),
}

/// The state of one answer.
#[derive(Debug, Default)]
pub struct Reply {
    /// How far it is.
    pub framing: Framing,
    /// Whether any of it reached the client's queue.
    pub has_begun: bool,
    /// Whether the client's connection can serve another request.
    pub keeps_client: bool,
    /// Whether the backend's connection can.
    pub keeps_backend: bool,
    /// The backend has switched protocols: bytes pass both ways from now on.
    pub is_tunnel: bool,
}

impl Reply {
    /// Whether all of it has been passed on.
    pub fn is_done(&self) -> bool {
        matches!(self.framing, Framing::Done)
    }

    /// How many bytes may go from the backend's socket straight to the client's queue.
    pub fn direct(&self) -> u64 {
        match self.framing {
            Framing::Fixed(left) => left,
            Framing::UntilClose { chunk: false } => u64::MAX,
            _ => 0,
        }
    }

    /// Counts bytes that went that way.
    pub fn passed(&mut self, n: u64) {
        if let Framing::Fixed(left) = &mut self.framing {
            *left = left.saturating_sub(n);
            if *left == 0 {
                self.framing = Framing::Done;
            }
        }
    }

    /// Moves what can be moved from the backend's bytes to the client's queue; whether anything was.
    pub fn pass(
        &mut self,
        client: Client,
        input: &mut Buffer,
        head: &mut ResponseHead,
        output: &mut Buffer,
        pool: &mut Pool,
    ) -> Result<bool, ReplyError> {
        let before = input.len();
        let mut size = [0; 18];
        match &mut self.framing {
            Framing::Done => {}
            Framing::Head => {
                if parse_response(input.data(), HEAD_LIMIT, client.is_head, head)? == Progress::Complete {
                    self.begin(client, input.data(), head, output, pool);
                    input.consume(head.len);
                }
            }
            Framing::Fixed(left) => {
                let n = usize::try_from(*left).unwrap_or(usize::MAX).min(before);
                output.append(pool, &input.data()[..n]);
                input.consume(n);
                self.passed(n as u64);
            }
            Framing::Chunked(decoder) => {
                let mut used = 0;
                let done = loop {
                    let (n, event) = decoder.decode(&input.data()[used..]).map_err(ReplyError::Chunks)?;
                    used += n;
                    match event {
                        Event::Data(_) => {}
                        Event::More => break false,
                        Event::End => break true,
                    }
                };
                output.append(pool, &input.data()[..used]);
                input.consume(used);
                if done {
                    self.framing = Framing::Done;
                }
            }
            Framing::Dechunked(decoder) => {
                let (n, event) = decoder.decode(input.data()).map_err(ReplyError::Chunks)?;
                match event {
                    Event::Data(data) => output.append(pool, data),
                    Event::More => {}
                    Event::End => self.framing = Framing::Done,
                }
                input.consume(n);
            }
            Framing::Gzip(gzip) => {
                let passed = gzip.pass(input.data(), output, pool);
                let (used, done) = passed.map_err(ReplyError::Chunks)?;
                input.consume(used);
                if done {
                    self.framing = Framing::Done;
                }
            }
            Framing::UntilClose { chunk } => {
                if *chunk && before > 0 {
                    output.append(pool, chunked::encode_head(before, &mut size));
                    output.append(pool, input.data());
                    output.append(pool, chunked::CHUNK_END);
                } else {
                    output.append(pool, input.data());
                }
                input.consume(before);
            }
        }
        Ok(before > input.len())
    }

    /// The backend has closed: `true` if that is a proper end of the answer.
    pub fn end(&mut self, output: &mut Buffer, pool: &mut Pool) -> bool {
        match &mut self.framing {
            Framing::Gzip(gzip) if !gzip.is_chunked() => {
                gzip.end(output, pool);
                self.framing = Framing::Done;
                true
            }
            Framing::UntilClose { chunk } => {
                if *chunk {
                    output.append(pool, chunked::LAST_CHUNK);
                }
                self.framing = Framing::Done;
                true
            }
            _ => false,
        }
    }

    /// Writes the head for the client and chooses the framing of the body.
    fn begin(&mut self, client: Client, input: &[u8], head: &ResponseHead, output: &mut Buffer, pool: &mut Pool) {
        self.has_begun = true;
        let is_interim = (100..200).contains(&head.status) && head.status != 101;
        if is_interim {
            if !client.is_http10 {
                output.append(pool, &input[..head.len]);
            }
            return;
        }
        self.is_tunnel = head.status == 101;
        let close_delimited = head.body == ResponseBody::UntilClose;
        self.framing = match head.body {
            ResponseBody::None | ResponseBody::Fixed(0) => Framing::Done,
            ResponseBody::Fixed(n) => Framing::Fixed(n),
            ResponseBody::Chunked if client.is_http10 => Framing::Dechunked(Decoder::new()),
            ResponseBody::Chunked => Framing::Chunked(Decoder::new()),
            ResponseBody::UntilClose => Framing::UntilClose {
                chunk: !client.is_http10 && !self.is_tunnel,
            },
        };
        let is_flagged = client.gzip != Compress::Never && head.fields.iter().any(|field| is_flag(field, input));
        if is_flagged && client.gzip == Compress::Taken && head.status == 200 && !is_encoded(head) {
            match self.framing {
                Framing::Chunked(_) => self.framing = Framing::Gzip(Box::new(Gzip::new(true))),
                Framing::UntilClose { chunk: true } => self.framing = Framing::Gzip(Box::new(Gzip::new(false))),
                _ => {}
            }
        }
        let is_gzip = matches!(self.framing, Framing::Gzip(_));
        let framed = !matches!(
            self.framing,
            Framing::Dechunked(_) | Framing::UntilClose { chunk: false }
        );
        // a worker that failed has closed for its client too
        let failed = head.status == 500 && !head.keep_alive;
        self.keeps_client = client.keep && framed && !failed;
        self.keeps_backend = head.keep_alive && !close_delimited;

        let mut put = |bytes: &[u8]| output.append(pool, bytes);
        let version = if client.is_http10 {
            head.version
        } else {
            Version::Http11
        };
        put(version.as_bytes());
        put(&input[version.as_bytes().len()..head.fields_at]);
        if self.is_tunnel || !head.has_hop_fields && !is_flagged {
            put(&input[head.fields_at..head.len - 2]);
        } else {
            head.fields
                .iter()
                .filter(|field| !(is_hop_field(field.known) || is_flagged && is_flag(field, input)))
                // a tag names the bytes that the application made
                .filter(|field| !(is_gzip && field.name.of(input).eq_ignore_ascii_case(b"etag")))
                .for_each(|field| put(line(field, input)));
        }
        if is_flagged {
            put(b"Vary: Accept-Encoding\r\n");
        }
        if is_gzip {
            put(b"Content-Encoding: gzip\r\n");
        }
        if is_gzip || matches!(self.framing, Framing::Chunked(_) | Framing::UntilClose { chunk: true }) {
            put(b"Transfer-Encoding: chunked\r\n");
        }
        match (self.is_tunnel, self.keeps_client, client.is_http10) {
            (false, false, _) => put(b"Connection: close\r\n"),
            (false, true, true) => put(b"Connection: keep-alive\r\n"),
            _ => {}
        }
        put(b"\r\n");
    }
}

/// A header line as it came, with its end.
/// The header by which an application asks for compression.
fn is_flag(field: &Field, input: &[u8]) -> bool {
    field.name.of(input).eq_ignore_ascii_case(b"uwsgi-encoding") && field.value.of(input) == b"gzip"
}

/// Whether the application has encoded the body itself.
fn is_encoded(head: &ResponseHead) -> bool {
    head.fields.iter().any(|field| field.known == Name::ContentEncoding)
}

fn line<'a>(field: &Field, input: &'a [u8]) -> &'a [u8] {
    let value_end = field.value.end.max(field.name.end) as usize;
    let start = field.name.start as usize;
    let end = input[value_end..]
        .iter()
        .position(|&b| b == b'\n')
        .map_or(value_end, |i| value_end + i + 1);
    &input[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Client = Client {
        is_head: false,
        is_http10: false,
        keep: true,
        gzip: Compress::Never,
    };
    const OLD: Client = Client {
        is_head: false,
        is_http10: true,
        keep: false,
        gzip: Compress::Never,
    };

    /// What the client gets of an answer that comes in pieces of `step` bytes and ends with a close; and the state.
    fn passed(client: Client, answer: &[u8], step: usize) -> Result<(String, Reply), ReplyError> {
        let (mut pool, mut input, mut output) = (Pool::default(), Buffer::default(), Buffer::default());
        let (mut reply, mut head) = (Reply::default(), ResponseHead::new());
        for piece in answer.chunks(step) {
            input.append(&mut pool, piece);
            while reply.pass(client, &mut input, &mut head, &mut output, &mut pool)? {}
        }
        reply.end(&mut output, &mut pool);
        Ok((String::from_utf8_lossy(output.data()).into_owned(), reply))
    }

    #[test]
    fn framings() {
        for (client, answer, want, keeps) in [
            (
                KEEP,
                "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\n\r\nhello",
                (true, true),
            ),
            (
                KEEP,
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA:b\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\nA:b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                (true, true),
            ),
            (
                OLD,
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\nabcd",
                (false, true),
            ),
            (
                Client { keep: true, ..OLD },
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx",
                (true, true),
            ),
            (
                KEEP,
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
                (true, false),
            ),
            (
                OLD,
                "HTTP/1.0 200 OK\r\n\r\nall",
                "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nall",
                (false, false),
            ),
            (
                Client { keep: false, ..KEEP },
                "HTTP/1.1 204 No Content\r\n\r\n",
                "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
                (false, true),
            ),
            (
                KEEP,
                "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 304 Not Modified\r\n\r\n",
                "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 304 Not Modified\r\n\r\n",
                (true, true),
            ),
        ] {
            for step in [1, 9, 1000] {
                let (got, reply) = passed(client, answer.as_bytes(), step).expect("a proper answer");
                assert_eq!(got, want);
                assert!(reply.is_done());
                assert_eq!((reply.keeps_client, reply.keeps_backend), keeps, "{answer}");
            }
        }
    }

    #[test]
    fn flagged_answers_are_compressed_for_clients_that_take_it() {
        use std::io::Read;
        let client = |gzip| Client { gzip, ..KEEP };
        let flag = "uWSGI-Encoding: gzip\r\nETag: \"a\"\r\n";
        let body = "abc".repeat(3000);
        let chunks = format!(
            "5\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
            &body[..5],
            body.len() - 5,
            &body[5..]
        );
        let in_chunks = format!("HTTP/1.1 200 OK\r\n{flag}Transfer-Encoding: chunked\r\n\r\n{chunks}");
        let to_the_end = format!("HTTP/1.0 200 OK\r\n{flag}\r\n{body}");
        for (answer, step) in [
            (&in_chunks, 1),
            (&in_chunks, 700),
            (&to_the_end, 9),
            (&to_the_end, 100_000),
        ] {
            let (mut pool, mut input, mut output) = (Pool::default(), Buffer::default(), Buffer::default());
            let (mut reply, mut head) = (Reply::default(), ResponseHead::new());
            for piece in answer.as_bytes().chunks(step) {
                input.append(&mut pool, piece);
                while reply
                    .pass(client(Compress::Taken), &mut input, &mut head, &mut output, &mut pool)
                    .expect("a proper answer")
                {}
            }
            reply.end(&mut output, &mut pool);
            assert!(reply.is_done() && reply.keeps_client);
            let mut seen = ResponseHead::new();
            let parsed = parse_response(output.data(), HEAD_LIMIT, false, &mut seen);
            assert_eq!((parsed, seen.body), (Ok(Progress::Complete), ResponseBody::Chunked));
            let head = String::from_utf8_lossy(&output.data()[..seen.len]).into_owned();
            assert_eq!(
                head,
                "HTTP/1.1 200 OK\r\nVary: Accept-Encoding\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
            );
            let (mut decoder, mut zipped, mut at) = (Decoder::new(), Vec::new(), seen.len);
            loop {
                let (used, event) = decoder.decode(&output.data()[at..]).expect("chunks");
                at += used;
                match event {
                    Event::Data(data) => zipped.extend_from_slice(data),
                    Event::End => break,
                    Event::More => panic!("it ends"),
                }
            }
            let mut text = String::new();
            flate2::read::GzDecoder::new(&zipped[..])
                .read_to_string(&mut text)
                .expect("gzip");
            assert!(text == body, "{} bytes", text.len());
        }
        // the flag goes, the body stays: the client does not take it, it has a length, it is encoded, it is no success
        for (gzip, answer) in [
            (Compress::Refused, in_chunks.clone()),
            (
                Compress::Taken,
                format!("HTTP/1.1 200 OK\r\n{flag}Content-Length: 9000\r\n\r\n{body}"),
            ),
            (
                Compress::Taken,
                in_chunks.replace("ETag", "Content-Encoding: br\r\nETag"),
            ),
            (Compress::Taken, in_chunks.replace("200 OK", "206 Partial Content")),
        ] {
            let (got, reply) = passed(client(gzip), answer.as_bytes(), 1000).expect("fine");
            assert!(
                reply.is_done() && !got.contains("uWSGI") && !got.contains("Content-Encoding: gzip"),
                "{got:.300}"
            );
            assert!(got.contains("Vary: Accept-Encoding\r\n") && got.contains("abcabcabc") && got.contains("ETag"));
        }
        let (got, _) = passed(KEEP, in_chunks.as_bytes(), 1000).expect("fine");
        assert!(
            got.contains("uWSGI-Encoding: gzip\r\n") && !got.contains("Vary"),
            "{got:.300}"
        );
        let cut = &in_chunks.as_bytes()[..in_chunks.len() - 5];
        let (_, reply) = passed(client(Compress::Taken), cut, 1000).expect("fine so far");
        assert!(!reply.is_done());
    }

    #[test]
    fn head_answers_have_no_body() {
        let head = Client { is_head: true, ..KEEP };
        let (got, reply) = passed(head, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 1000).expect("fine");
        assert!(got.ends_with("Content-Length: 5\r\n\r\n") && reply.is_done() && reply.keeps_backend);
    }

    #[test]
    fn answers_without_a_length_are_chunked_for_new_clients() {
        let (got, reply) = passed(KEEP, b"HTTP/1.0 200 OK\r\nA: b\r\n\r\nall", 1000).expect("fine");
        assert_eq!(
            got,
            "HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n0\r\n\r\n"
        );
        assert!(reply.keeps_client && !reply.keeps_backend);
    }

    #[test]
    fn cut_answers_are_not_ended() {
        for cut in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        ] {
            let (got, reply) = passed(KEEP, cut, 7).expect("fine so far");
            assert!(reply.has_begun && !reply.is_done() && !got.ends_with("0\r\n\r\n"));
        }
        assert!(
            passed(
                KEEP,
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                100
            )
            .is_err()
        );
        assert!(passed(KEEP, b"\0\xff\0\xff", 100).is_err());
    }

    #[test]
    fn an_upgrade_passes_as_it_is() {
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi";
        let (got, reply) = passed(KEEP, answer, 1000).expect("fine");
        assert_eq!(got.len(), String::from_utf8_lossy(answer).len());
        assert!(reply.is_tunnel && !reply.keeps_client);
    }
}
