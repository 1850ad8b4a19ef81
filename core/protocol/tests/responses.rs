//! Response heads of backends: how their bodies are framed, and what is refused.

use rsgi_protocol::http1::Progress;
use rsgi_protocol::response::{ResponseBody, ResponseError, ResponseHead, parse_response};

fn body(text: &str, to_head: bool) -> Result<(ResponseBody, bool), ResponseError> {
    let (mut head, mut have) = (ResponseHead::new(), 0);
    loop {
        have += 1;
        match parse_response(&text.as_bytes()[..have], 65536, to_head, &mut head)? {
            Progress::Partial => assert!(have < text.len(), "unfinished: {text:?}"),
            Progress::Complete => {
                assert_eq!(head.len, text.len());
                return Ok((head.body, head.keep_alive));
            }
        }
    }
}

#[test]
fn framing() {
    use ResponseBody::*;
    for (text, to_head, want) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, (Fixed(5), true)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, (None, true)),
        (
            "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
            false,
            (Chunked, false),
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", false, (None, true)),
        (
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
            false,
            (None, true),
        ),
        ("HTTP/1.1 100 Continue\r\n\r\n", false, (None, true)),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", false, (UntilClose, false)),
        ("HTTP/1.1 200 OK\r\n\r\n", false, (UntilClose, false)),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", false, (Fixed(5), false)),
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n",
            false,
            (Fixed(5), true),
        ),
    ] {
        assert_eq!(body(text, to_head), Ok(want), "{text:?}");
    }
}

#[test]
fn refused() {
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 99 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 20x OK\r\n\r\n",
        "HTTP/1.1 200 O\x07K\r\n\r\n",
        "HTTP/1.1 200 OK\nX: y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX y: z\r\n\r\n",
        "\0\0\0\0",
        "\r\n\r\n",
    ] {
        assert!(body(text, false).is_err(), "{text:?}");
    }
    let long = format!("HTTP/1.1 200 OK\r\nX: {}", "v".repeat(70000));
    assert_eq!(body(&long, false), Err(ResponseError::TooLarge(65536)));
}

#[test]
fn hop_fields_are_noticed() {
    let mut head = ResponseHead::new();
    for (field, hop) in [
        ("X: y", false),
        ("Connection: close", true),
        ("Transfer-Encoding: chunked", true),
    ] {
        let text = format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\n");
        assert_eq!(
            parse_response(text.as_bytes(), 65536, false, &mut head),
            Ok(Progress::Complete)
        );
        assert_eq!(head.has_hop_fields, hop, "{field}");
    }
}
