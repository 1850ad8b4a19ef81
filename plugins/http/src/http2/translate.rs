//! Requests of HTTP/2 as HTTP/1.1 would have them, and answers of HTTP/1.1 as HTTP/2 wants them. Pure functions; what h2
//! has not checked of a request, the parser of HTTP/1.1 does afterwards.

use http::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TE};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use rsgi_protocol::chunked::Decoder;
use rsgi_protocol::response::{ResponseBody, ResponseHead};

/// How the rest of a session's answer is read.
#[derive(Clone, Debug, Default)]
pub enum Framing {
    /// Its head has not come.
    #[default]
    Head,
    /// So many bytes.
    Fixed(u64),
    /// Chunks.
    Chunked(Decoder),
    /// All was passed on.
    Done,
}

/// The head of a request. `has_body`: a body follows, whose length may be unknown: it comes in chunks then.
///
/// # Errors
/// What the client is answered instead.
pub fn request(parts: &Parts, has_body: bool) -> Result<Vec<u8>, StatusCode> {
    if parts.method == Method::CONNECT {
        return Err(StatusCode::NOT_IMPLEMENTED);
    }
    let named = parts.headers.get(HOST).map(HeaderValue::as_bytes);
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    // RFC 9113 8.3.1: one place for the host, no user in it
    let host = match (authority, named) {
        (Some(authority), Some(named)) if authority != named => return Err(StatusCode::BAD_REQUEST),
        (Some(host), _) | (None, Some(host)) if !host.contains(&b'@') => host,
        _ => return Err(StatusCode::BAD_REQUEST),
    };
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut head = Vec::with_capacity(256);
    for piece in [
        parts.method.as_str().as_bytes(),
        b" ",
        target.as_bytes(),
        b" HTTP/1.1\r\nHost: ",
        host,
        b"\r\n",
    ] {
        head.extend_from_slice(piece);
    }
    for (name, value) in &parts.headers {
        if *name != HOST && *name != TE {
            for piece in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                head.extend_from_slice(piece);
            }
        }
    }
    if has_body && !parts.headers.contains_key(CONTENT_LENGTH) {
        head.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    head.extend_from_slice(b"\r\n");
    Ok(head)
}

/// The head of an answer that stands at the front of `input`, and how its body is read. `None`: it has no place in
/// HTTP/2.
pub fn response(head: &ResponseHead, input: &[u8]) -> Option<(Response<()>, Framing)> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(head.status).ok()?;
    if head.status == 101 {
        return None;
    }
    for field in &head.fields {
        let name = field.name.of(input).to_ascii_lowercase();
        let is_hop = matches!(
            &name[..],
            b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade"
        );
        if !is_hop {
            let value = HeaderValue::from_bytes(field.value.of(input)).ok()?;
            response
                .headers_mut()
                .append(HeaderName::from_bytes(&name).ok()?, value);
        }
    }
    let framing = match head.body {
        ResponseBody::None | ResponseBody::Fixed(0) => Framing::Done,
        ResponseBody::Fixed(n) => Framing::Fixed(n),
        ResponseBody::Chunked => Framing::Chunked(Decoder::new()),
        // whoever speaks HTTP/1.1 to the gateway gets chunks instead
        ResponseBody::UntilClose => return None,
    };
    Some((response, framing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rsgi_protocol::http1::Progress;
    use rsgi_protocol::response::parse_response;

    fn parts(builder: http::request::Builder) -> Parts {
        builder.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn requests() {
        let get = || http::Request::builder().uri("https://h:1/a%20b?c");
        let head = request(&parts(get().header("x-a", "b").header("te", "trailers")), false).expect("fine");
        assert_eq!(head, b"GET /a%20b?c HTTP/1.1\r\nHost: h:1\r\nx-a: b\r\n\r\n");
        let head = request(&parts(get().method("POST")), true).expect("fine");
        assert!(head.ends_with(b"Transfer-Encoding: chunked\r\n\r\n"));
        let head = request(&parts(get().method("POST").header("content-length", "3")), true).expect("fine");
        assert!(head.ends_with(b"content-length: 3\r\n\r\n"));
        assert!(request(&parts(get().header("host", "h:1")), false).is_ok());
        for (bad, status) in [
            (get().header("host", "other"), StatusCode::BAD_REQUEST),
            (http::Request::builder().uri("/no-host"), StatusCode::BAD_REQUEST),
            (http::Request::builder().uri("https://user@h/"), StatusCode::BAD_REQUEST),
            (
                http::Request::builder().method("CONNECT").uri("h:1"),
                StatusCode::NOT_IMPLEMENTED,
            ),
        ] {
            assert_eq!(request(&parts(bad), false), Err(status));
        }
    }

    #[test]
    fn responses() {
        let translated = |text: &[u8]| {
            let mut head = ResponseHead::new();
            assert_eq!(parse_response(text, 65536, false, &mut head), Ok(Progress::Complete));
            response(&head, text)
        };
        let text = b"HTTP/1.1 404 No\r\nX-A: 1\r\nx-a: 2\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (answer, framing) = translated(text).expect("proper");
        assert_eq!(answer.status(), 404);
        assert_eq!(answer.headers().get_all("x-a").iter().count(), 2);
        assert_eq!(answer.headers().len(), 2);
        assert!(matches!(framing, Framing::Chunked(_)));
        let (_, framing) = translated(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n").expect("proper");
        assert!(matches!(framing, Framing::Fixed(7)));
        assert!(translated(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n").is_none());
        assert!(translated(b"HTTP/1.1 200 OK\r\n\r\n").is_none());
    }
}
