//! The driver alone; whole connections are tested from outside, with clients that others have written.

use super::*;

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
