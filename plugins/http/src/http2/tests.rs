//! The driver alone; whole connections are tested from outside, with clients that others have written.

use super::*;
use proptest::prelude::*;
use rsgi_protocol::http1::{Head, Limits, Progress, parse_head};

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let size = payload.len() as u32;
    [&size.to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header of a request, without compression.
fn literal(name: &str, value: &str) -> Vec<u8> {
    [
        &[0, name.len() as u8],
        name.as_bytes(),
        &[value.len() as u8],
        value.as_bytes(),
    ]
    .concat()
}

/// All that becomes of these bytes behind a proper beginning; each request as it is written for the parser.
fn requests_of(bytes: &[u8], step: usize) -> Vec<Vec<u8>> {
    let (mut http2, mut found) = (Http2::new(65536), Vec::new());
    http2.pipe().put(&[&PREFACE[..], &frame(4, 0, 0, b"")].concat());
    let mut pieces = bytes.chunks(step);
    // answers are taken away, so that nothing waits for room
    for _ in 0..bytes.len() / step + 100 {
        match http2.poll() {
            Found::Stream(request, _) => {
                let (parts, body) = (*request).into_parts();
                found.extend(translate::request(&parts, !body.is_end_stream()).ok());
            }
            Found::Nothing => match pieces.next() {
                Some(piece) => http2.pipe().put(piece),
                None => http2.pipe().end(),
            },
            Found::End => break,
        }
        http2.pipe().take(|_| {});
    }
    found
}

#[test]
fn a_block_of_headers_is_a_request() {
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/x"),
        (":authority", "h"),
        ("a", "b"),
    ];
    let block: Vec<u8> = fields.iter().flat_map(|(name, value)| literal(name, value)).collect();
    for step in [1, 7, 500] {
        let found = requests_of(&frame(1, 5, 1, &block), step);
        let text = String::from_utf8_lossy(found.first().expect("a request"));
        assert!(found.len() == 1 && text.starts_with("GET /x HTTP/1.1\r\n"), "{text}");
    }
}

proptest! {
    #[test]
    fn any_frames_come_to_an_end(
        frames in prop::collection::vec((0..12u8, any::<u8>(), 0..9u32, prop::collection::vec(any::<u8>(), 0..60)), 0..12),
        noise in prop::collection::vec(any::<u8>(), 0..40), step in 1..50usize) {
        let mut bytes: Vec<u8> = frames.iter().flat_map(|(k, f, s, p)| frame(*k, *f, *s, p)).collect();
        bytes.extend(noise);
        requests_of(&bytes, step);
    }

    #[test]
    fn a_request_is_one_request_whatever_its_headers_say(
        path in "/[ -~]{0,20}", authority in "[ -~]{0,20}", method in "(GET|POST|[ -~]{1,8})",
        more in prop::collection::vec(("([a-z-]{1,12}|[ -~]{1,12}|content-length|transfer-encoding|host)", "[\\x00-\\x7f]{0,20}"), 0..5),
        ends in any::<bool>(), step in 1..200usize) {
        let mut block: Vec<u8> = [(":method", method.as_str()), (":scheme", "http"), (":path", &path), (":authority", &authority)]
            .iter()
            .flat_map(|(name, value)| literal(name, value))
            .collect();
        more.iter().for_each(|(name, value)| block.extend(literal(name, value)));
        let flags = 4 | u8::from(ends);
        for text in requests_of(&frame(1, flags, 1, &block), step) {
            let mut head = Head::new();
            if parse_head(&text, &Limits::default(), &mut head) == Ok(Progress::Complete) {
                prop_assert_eq!(head.len, text.len(), "{:?}", String::from_utf8_lossy(&text));
            }
        }
    }
}

#[test]
fn noise_is_answered_with_an_end() {
    let mut http2 = Http2::new(65536);
    http2
        .pipe()
        .put(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n and more of this kind");
    assert!(matches!(http2.poll(), Found::End));
}

#[test]
fn only_a_whole_beginning_is_one() {
    let settings = [&PREFACE[..], b"\0\0\x06\x04\0\0\0\0\0"].concat();
    assert_eq!(begins(&settings), Some(true));
    for n in 14..settings.len() {
        assert_eq!(begins(&settings[..n]), None, "{n}");
    }
    for other in [&b"PRI * HTTP/2.0\r\nHost: h"[..], b"GET / HTTP/1.1\r\n", b"PRI", b""] {
        assert_eq!(begins(other), Some(false), "{other:?}");
    }
    assert_eq!(begins(&[&PREFACE[..], b"GET / HTTP/1.1"].concat()), Some(false));
}

#[test]
fn a_connection_begins_with_settings() {
    let mut http2 = Http2::new(65536);
    http2
        .pipe()
        .put(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    assert!(matches!(http2.poll(), Found::Nothing));
    assert!(http2.pipe().take(|bytes| assert_eq!(bytes[3], 4, "{bytes:?}")));
    http2.close();
    http2.pipe().end();
    while !matches!(http2.poll(), Found::End) {}
}

#[test]
fn what_is_written_waits_for_room() {
    let pipe = Pipe::default();
    let waker = Waker::noop();
    let mut context = Context::from_waker(waker);
    let bytes = vec![7; crate::buffer::HIGH + 5];
    let write = |pipe: &Pipe, context: &mut Context<'_>| {
        tokio::io::AsyncWrite::poll_write(Pin::new(&mut pipe.clone()), context, &bytes)
    };
    assert!(matches!(write(&pipe, &mut context), Poll::Ready(Ok(n)) if n == crate::buffer::HIGH));
    assert!(write(&pipe, &mut context).is_pending());
    assert!(pipe.take(|bytes| assert_eq!(bytes.len(), crate::buffer::HIGH)));
    assert!(write(&pipe, &mut context).is_ready());
}
