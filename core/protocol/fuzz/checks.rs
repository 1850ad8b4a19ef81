//! What must hold for any bytes; run by the fuzz targets and, over their corpora, by a plain test.

use rsgi_protocol::allow::AllowList;
use rsgi_protocol::cgi::{self, Origin, Scratch};
use rsgi_protocol::chunked::{self, Decoder, Event};
use rsgi_protocol::fastcgi::{Intake, StdinDecoder, Step, parse_params};
use rsgi_protocol::forwarded::{self, Dialect};
use rsgi_protocol::http1::{Head, Limits, Progress, parse_head};
use rsgi_protocol::proxy;
use rsgi_protocol::response::{ResponseHead, parse_response};
use rsgi_protocol::scgi;
use rsgi_protocol::uwsgi::{HEADER_LEN, Writer, parse_vars};
use rsgi_protocol::websocket;

/// A head cut anywhere is judged as the whole one is, and its variables survive a uwsgi packet.
pub fn http1_head(data: &[u8]) {
    let limits = Limits::default();
    let mut whole = Head::new();
    let outcome = parse_head(data, &limits, &mut whole);

    let (mut pieces, mut have) = (Head::new(), 0);
    let piecewise = loop {
        have = (have + 1 + have / 8).min(data.len());
        let outcome = parse_head(&data[..have], &limits, &mut pieces);
        if outcome != Ok(Progress::Partial) || have == data.len() {
            break outcome;
        }
    };
    assert_eq!(outcome.map_err(|_| ()), piecewise.map_err(|_| ()));
    if outcome != Ok(Progress::Complete) {
        return;
    }
    assert!(whole.len <= data.len() && whole.len == pieces.len && whole.body == pieces.body);
    let (mut scratch, mut vars) = (Scratch::new(), Vec::<(&[u8], &[u8])>::new());
    cgi::push_vars(&whole, data, &Origin::default(), &mut scratch, &mut vars);
    for (key, value) in &vars {
        assert!(!key.is_empty() && !value.contains(&b'\r') | (*key == b"PATH_INFO"));
    }
    let mut packet = Vec::new();
    let mut writer = Writer::new(&mut packet, 0, 0);
    vars.iter().for_each(|(key, value)| writer.push(key, value));
    if writer.finish().is_ok() {
        let read: Result<Vec<_>, _> = parse_vars(&packet[HEADER_LEN..]).collect();
        assert_eq!(read.as_ref(), Ok(&vars));
    }
}

/// A chunked body that was taken is taken again, with the same bytes, after being framed anew.
pub fn chunked_body(data: &[u8]) {
    let decode = |input: &[u8]| {
        let (mut decoder, mut at, mut body) = (Decoder::new(), 0, Vec::new());
        loop {
            match decoder.decode(&input[at..]) {
                Ok((n, Event::Data(bytes))) => {
                    body.extend_from_slice(bytes);
                    at += n;
                }
                Ok((_, Event::End)) => return Some(body),
                Ok((_, Event::More)) | Err(_) => return None,
            }
        }
    };
    let Some(body) = decode(data) else { return };
    let (mut wire, mut size) = (Vec::new(), [0; 18]);
    for piece in body.chunks(7) {
        wire.extend_from_slice(chunked::encode_head(piece.len(), &mut size));
        wire.extend_from_slice(piece);
        wire.extend_from_slice(chunked::CHUNK_END);
    }
    wire.extend_from_slice(chunked::LAST_CHUNK);
    assert_eq!(decode(&wire), Some(body));
}

/// Variables that were read add up to the bytes they came from.
pub fn uwsgi_vars(data: &[u8]) {
    let read: Result<Vec<_>, _> = parse_vars(data).collect();
    if let Ok(vars) = read {
        assert_eq!(
            vars.iter()
                .map(|(key, value)| key.len() + value.len() + 4)
                .sum::<usize>(),
            data.len()
        );
    }
}

/// A response head cut anywhere is judged as the whole one is, except that noise may be refused early.
pub fn response_head(data: &[u8]) {
    let mut whole = ResponseHead::new();
    if parse_response(data, 65536, false, &mut whole) == Ok(Progress::Complete) {
        assert!(whole.len <= data.len() && (100..1000).contains(&whole.status));
        let mut again = ResponseHead::new();
        assert_eq!(
            parse_response(&data[..whole.len], 65536, false, &mut again),
            Ok(Progress::Complete)
        );
        assert_eq!(whole.body, again.body);
    }
}

/// Frames cut anywhere say the same as whole ones, and what is understood survives being framed anew.
pub fn websocket_frames(data: &[u8]) {
    let decode = |data: &[u8], step: usize| {
        let (mut decoder, mut input, mut events, mut from) = (websocket::Decoder::new(4096), Vec::new(), Vec::new(), 0);
        loop {
            match decoder.decode(&mut input) {
                Ok((0, websocket::Event::More(_))) if from == data.len() => return (events, None),
                Ok((0, websocket::Event::More(_))) => {
                    let next = (from + step).min(data.len());
                    input.extend_from_slice(&data[from..next]);
                    from = next;
                }
                Ok((used, event)) => {
                    events.push(format!("{event:?}"));
                    input.drain(..used);
                }
                Err(error) => return (events, Some(error.code)),
            }
        }
    };
    let whole = decode(data, data.len().max(1));
    assert_eq!(whole, decode(data, 3));
    for event in &whole.0 {
        assert!(!event.starts_with("More"));
    }
}

/// A connection cut anywhere comes to the same requests and bodies as the whole one.
pub fn fastcgi_records(data: &[u8]) {
    const LIMIT: usize = 4096;
    let read = |step: usize| {
        let (mut intake, mut body, mut buffer) = (Intake::new(), None::<StdinDecoder>, Vec::new());
        let mut seen: Vec<Vec<u8>> = Vec::new();
        for piece in data.chunks(step) {
            buffer.extend_from_slice(piece);
            loop {
                let (n, more) = match &mut body {
                    None => match intake.take(&buffer, LIMIT) {
                        Ok((n, Step::Request)) => {
                            assert!(intake.params().len() <= LIMIT);
                            let _ = parse_params(intake.params()).count();
                            seen.push(intake.params().to_vec());
                            seen.push(Vec::new());
                            body = Some(StdinDecoder::new(intake.id()));
                            (n, true)
                        }
                        Ok((n, step)) => (n, matches!(step, Step::Reply(_))),
                        Err(_) => return seen,
                    },
                    Some(decoder) => match decoder.decode(&buffer) {
                        Ok((n, Event::Data(bytes))) => {
                            seen.last_mut().expect("a body").extend_from_slice(bytes);
                            (n, true)
                        }
                        Ok((n, Event::End)) => {
                            body = None;
                            (n, true)
                        }
                        Ok((n, Event::More)) => (n, false),
                        Err(_) => return seen,
                    },
                };
                assert!(n <= buffer.len());
                buffer.drain(..n);
                if !more {
                    break;
                }
            }
        }
        seen
    };
    let whole = read(data.len().max(1));
    assert_eq!(read(7), whole);
    assert_eq!(read(1), whole);
}

/// Variables that were read add up to the bytes they came from, and the head is judged the same cut short.
pub fn scgi_head(data: &[u8]) {
    if let Ok(Some(place)) = scgi::parse_head(data, 4096) {
        assert_eq!(scgi::parse_head(&data[..place.end], 4096), Ok(None));
        let vars = &data[place];
        if let Ok(read) = scgi::parse_vars(vars).collect::<Result<Vec<_>, _>>() {
            let sum: usize = read.iter().map(|(key, value)| key.len() + value.len() + 2).sum();
            assert_eq!(sum, vars.len());
        }
    }
}

/// A PROXY header is the same whatever follows it, and is not taken for whole before its last byte.
pub fn proxy_header(data: &[u8]) {
    if let Ok(proxy::Header::Whole { len, client }) = proxy::parse(data) {
        assert_eq!(proxy::parse(&data[..len]), Ok(proxy::Header::Whole { len, client }));
        assert_eq!(proxy::parse(&data[..len - 1]), Ok(proxy::Header::Partial));
    }
}

/// A client is at an address or unknown, and what it says of itself gets nowhere past what the proxy says.
pub fn forwarded_client(data: &[u8]) {
    let mut trusted = AllowList::default();
    assert_eq!(trusted.add("10.0.0.0/8,fd00::/8"), Ok(()));
    let text: Vec<u8> = data.iter().copied().filter(|b| (b' '..0x7f).contains(b)).collect();
    for (dialect, name, last) in [
        (Dialect::XForwarded, &b"X-Forwarded-For: "[..], &b", 192.0.2.1"[..]),
        (Dialect::Rfc7239, b"Forwarded: ", b", for=192.0.2.1"),
    ] {
        for end in [&b""[..], last] {
            let request = [b"GET / HTTP/1.1\r\nHost: h\r\n", name, &text, end, b"\r\n\r\n"].concat();
            let mut head = Head::new();
            if parse_head(&request, &Limits::default(), &mut head) != Ok(Progress::Complete) {
                continue;
            }
            let client = forwarded::client(&head, &request, dialect, &trusted);
            let address = client.address.as_ref().map(|text| text.parse::<std::net::IpAddr>());
            assert!(address.is_none_or(|parsed| parsed.is_ok()));
            if !end.is_empty() {
                assert_eq!(client.address.as_deref(), Some("192.0.2.1"));
            }
        }
    }
}
