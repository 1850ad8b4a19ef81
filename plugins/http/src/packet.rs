//! A client's request as the uwsgi packet that a backend gets, with as much of the body as has arrived.
//! Called by the gateway when a backend is at hand; the same bytes always make the same packet, so it can be made twice.

use rsgi_protocol::cgi::{self, Origin, Scratch, VarSink};
use rsgi_protocol::chunked::{self, Decoder, Event};
use rsgi_protocol::forwarded::Dialect;
use rsgi_protocol::http1::{BodyLength, Head, HttpError};
use rsgi_protocol::uwsgi::Writer;

use crate::tls::Certificate;

/// What is still to come of a request's body.
#[derive(Debug, Default)]
pub enum Body {
    /// Nothing.
    #[default]
    Done,
    /// So many bytes.
    Fixed(u64),
    /// Chunks, decoded and framed anew as long as they came, of so many bytes at most.
    Chunked {
        /// Where it is.
        decoder: Decoder,
        /// The most.
        most: u64,
        /// The head of a chunk was passed on, and not all of its data.
        within: bool,
    },
    /// Whatever the client sends, both ways, after an upgrade.
    Raw,
}

impl Body {
    /// Whether all of it was taken from the client.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// The body that a head announces; a chunked one of at most `most` bytes.
    pub fn new(length: BodyLength, most: u64) -> Self {
        match length {
            BodyLength::None | BodyLength::Fixed(0) => Self::Done,
            BodyLength::Fixed(n) => Self::Fixed(n),
            BodyLength::Chunked => Self::Chunked {
                decoder: Decoder::new(),
                most,
                within: false,
            },
        }
    }

    /// Takes body bytes from the front of `input`, at most about `room`, and hands them to `emit` as the backend gets
    /// them. Answers how many bytes of the input were used.
    pub fn take(&mut self, input: &[u8], room: usize, mut emit: impl FnMut(&[u8])) -> Result<usize, HttpError> {
        match self {
            Self::Done => Ok(0),
            Self::Raw => {
                let n = input.len().min(room);
                emit(&input[..n]);
                Ok(n)
            }
            Self::Fixed(left) => {
                let n = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len()).min(room);
                emit(&input[..n]);
                *left -= n as u64;
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok(n)
            }
            Self::Chunked { decoder, most, within } => {
                let (mut used, mut emitted, mut size) = (0, 0, [0; 18]);
                while emitted < room {
                    let (n, event) = decoder.decode(&input[used..])?;
                    used += n;
                    if decoder.total() > *most {
                        return Err(HttpError::new(413, "the body is over limit-post"));
                    }
                    match event {
                        Event::More => break,
                        Event::Data(data) => {
                            let left = usize::try_from(decoder.left()).unwrap_or(usize::MAX);
                            if !std::mem::replace(within, left > 0) {
                                emit(chunked::encode_head(data.len().saturating_add(left), &mut size));
                            }
                            emit(data);
                            if left == 0 {
                                emit(chunked::CHUNK_END);
                            }
                            emitted += data.len();
                        }
                        Event::End => {
                            emit(chunked::LAST_CHUNK);
                            *self = Self::Done;
                            break;
                        }
                    }
                }
                Ok(used)
            }
        }
    }
}

/// What goes into every packet of a gateway.
#[derive(Debug)]
pub struct Stamp {
    /// Variables added to every request.
    pub vars: Vec<(Vec<u8>, Vec<u8>)>,
    /// Bytes of the longest body that is passed on.
    pub limit_post: u64,
}

impl Default for Stamp {
    fn default() -> Self {
        Self {
            vars: Vec::new(),
            limit_post: u64::MAX,
        }
    }
}

/// What only one client's requests carry.
#[derive(Debug, Default)]
pub struct Extra<'a> {
    /// Which plugin of the backend is meant.
    pub modifiers: (u8, u8),
    /// The client's certificate.
    pub certificate: Option<&'a Certificate>,
    /// All of it goes along, not only its subject.
    pub whole_certificate: bool,
    /// The client speaks HTTP/2; the head at hand was made from that.
    pub is_http2: bool,
    /// Which headers about proxies go along.
    pub forwarded: Vouched,
}

/// Which headers that proxies write may reach an application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vouched {
    /// All, whoever wrote them: the operator has not said whom to trust.
    #[default]
    Unknown,
    /// None: the peer is not trusted.
    Nothing,
    /// Those of a trusted peer.
    These(Dialect),
}

impl Vouched {
    fn lets(self, variable: &[u8]) -> bool {
        let is_either = || Dialect::XForwarded.owns(variable) || Dialect::Rfc7239.owns(variable);
        match self {
            Self::Unknown => true,
            Self::Nothing => !is_either(),
            Self::These(dialect) => dialect.owns(variable) || !is_either(),
        }
    }
}

/// Writes the packet for the head at the front of `input` into `packet`, and behind it the body bytes that are there.
/// Answers how much of the input that was, and what of the body is still to come.
pub fn write(
    packet: &mut Vec<u8>,
    head: &Head,
    input: &[u8],
    origin: &Origin<'_>,
    stamp: &Stamp,
    extra: &Extra<'_>,
    scratch: &mut Scratch,
) -> Result<(usize, Body), HttpError> {
    packet.clear();
    let mut sink = Sink {
        packet: Writer::new(packet, extra.modifiers.0, extra.modifiers.1),
        is_http2: extra.is_http2,
        forwarded: extra.forwarded,
    };
    cgi::push_vars(head, input, origin, scratch, &mut sink);
    sink.packet.push(b"UWSGI_ROUTER", b"http");
    if let Some(certificate) = extra.certificate {
        sink.packet.push(b"HTTPS_DN", certificate.subject.as_bytes());
        if extra.whole_certificate {
            sink.packet.push(b"HTTPS_CC", certificate.pem.as_bytes());
        }
    }
    stamp.vars.iter().for_each(|(key, value)| sink.packet.push(key, value));
    sink.packet
        .finish()
        .map_err(|_| HttpError::new(431, "the request's variables exceed a uwsgi packet"))?;
    let mut body = Body::new(head.body, stamp.limit_post);
    let used = body.take(&input[head.len..], usize::MAX, |bytes| packet.extend_from_slice(bytes))?;
    Ok((head.len + used, body))
}

/// Passes variables on, except what the gateway itself has dealt with.
struct Sink<'b> {
    packet: Writer<'b>,
    is_http2: bool,
    forwarded: Vouched,
}

impl<'a> VarSink<'a> for Sink<'_> {
    fn var(&mut self, key: &'a [u8], value: &'a [u8]) {
        match key {
            // Answered here, whenever the client waits for it.
            b"HTTP_EXPECT" => {}
            _ if !self.forwarded.lets(key) => {}
            b"SERVER_PROTOCOL" if self.is_http2 => self.packet.push(key, b"HTTP/2.0"),
            b"HTTP_TRANSFER_ENCODING" => self.packet.push(key, b"chunked"),
            _ => self.packet.push(key, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rsgi_protocol::http1::{Limits, Progress, parse_head};
    use rsgi_protocol::uwsgi::{HEADER_LEN, PacketHeader, parse_vars};

    type Made = (Vec<(String, String)>, Vec<u8>, usize, bool);

    /// The packet's variables, the bytes behind it, how much was used, whether the body is whole.
    fn made(input: &[u8]) -> Result<Made, HttpError> {
        let mut head = Head::new();
        assert_eq!(parse_head(input, &Limits::default(), &mut head)?, Progress::Complete);
        let stamp = Stamp {
            vars: vec![(b"K".to_vec(), b"v".to_vec())],
            limit_post: 20,
        };
        let mut packet = Vec::new();
        let (used, body) = write(
            &mut packet,
            &head,
            input,
            &Origin::default(),
            &stamp,
            &Extra {
                modifiers: (5, 7),
                ..Extra::default()
            },
            &mut Scratch::new(),
        )?;
        let header = PacketHeader::parse(*packet.first_chunk().expect("a header"));
        assert_eq!((header.modifier1, header.modifier2), (5, 7));
        let end = HEADER_LEN + usize::from(header.size);
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        let vars = parse_vars(&packet[HEADER_LEN..end])
            .map(|pair| pair.expect("valid"))
            .map(|(k, v)| (text(k), text(v)));
        Ok((vars.collect(), packet[end..].to_vec(), used, body.is_done()))
    }

    fn has(vars: &[(String, String)], key: &str) -> Option<String> {
        vars.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone())
    }

    #[test]
    fn variables_and_body() {
        let input = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabcGET";
        let (vars, body, used, done) = made(input).expect("fine");
        assert_eq!(has(&vars, "UWSGI_ROUTER").as_deref(), Some("http"));
        assert_eq!(has(&vars, "K").as_deref(), Some("v"));
        assert_eq!(has(&vars, "CONTENT_LENGTH").as_deref(), Some("3"));
        assert_eq!(has(&vars, "HTTP_EXPECT"), None);
        assert_eq!((body.as_slice(), used, done), (&b"abc"[..], input.len() - 3, true));
    }

    #[test]
    fn chunks_are_framed_anew() {
        let head = b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n";
        let with = |body: &[u8]| made(&[head, body].concat());
        let (vars, body, _, done) = with(b"00A;ext=1\r\n0123456789\r\n0\r\nT: v\r\n\r\n").expect("fine");
        assert_eq!(has(&vars, "HTTP_TRANSFER_ENCODING").as_deref(), Some("chunked"));
        assert_eq!((body.as_slice(), done), (&b"a\r\n0123456789\r\n0\r\n\r\n"[..], true));
        let (_, body, used, done) = with(b"5\r\nab").expect("fine so far");
        assert_eq!((body.as_slice(), used, done), (&b"5\r\nab"[..], head.len() + 5, false));
        // as long as they came, however they arrive
        let (mut body, mut out) = (Body::new(BodyLength::Chunked, 100), Vec::new());
        for piece in [&b"5;x=y\r\na"[..], b"bc", b"de\r", b"\n1\r\nf\r\n0\r\n\r\n"] {
            let mut used = 0;
            while used < piece.len() {
                used += body
                    .take(&piece[used..], 100, |b| out.extend_from_slice(b))
                    .expect("fine");
            }
        }
        assert!(body.is_done());
        assert_eq!(out, b"5\r\nabcde\r\n1\r\nf\r\n0\r\n\r\n");
        assert_eq!(with(b"15\r\n").map(|_| ()).map_err(|e| e.status()), Err(413));
        assert_eq!(with(b"5\nab").map_err(|e| e.status()).map(|_| ()), Err(400));
    }

    #[test]
    fn bodies_leave_in_pieces_of_the_room_there_is() {
        let mut body = Body::Fixed(10);
        let mut out = Vec::new();
        assert_eq!(body.take(b"0123456789rest", 4, |b| out.extend_from_slice(b)), Ok(4));
        assert_eq!(body.take(b"456789rest", 100, |b| out.extend_from_slice(b)), Ok(6));
        assert!(body.is_done() && out == b"0123456789");
        assert_eq!(body.take(b"rest", 100, |_| panic!("nothing is left")), Ok(0));
    }

    #[test]
    fn variables_beyond_a_packet_are_refused() {
        let input = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "u".repeat(8000));
        assert!(made(input.as_bytes()).is_ok());
        let cookies = format!("Cookie: {}\r\n", "c".repeat(7000)).repeat(8);
        let input = format!("GET /{} HTTP/1.1\r\nHost: h\r\n{cookies}\r\n", "u".repeat(8000));
        assert_eq!(made(input.as_bytes()).map(|_| ()).map_err(|e| e.status()), Err(431));
    }
}
