//! FastCGI sockets: requests as fronts send them, and what they must not send.

use rsgi_tests::http::connect;
use rsgi_tests::{Server, Setup};
use std::io::{Read, Write};

const APP: &str = r#"
def application(e, sr):
    path = e["PATH_INFO"]
    if path == "/late":
        sr("200 OK", [])
        def parts():
            yield b"some"
            raise ValueError("half way")
        return parts()
    if path == "/early":
        raise ValueError("at once")
    body = e["wsgi.input"].read() if e["REQUEST_METHOD"] == "POST" else path.encode()
    if path == "/big":
        body = b"x" * 300000
    sr("200 Fine", [("X-Length", str(len(body)))])
    return [body[:150000], body[150000:]]
"#;

fn record(kind: u8, id: u16, content: &[u8], padding: u8) -> Vec<u8> {
    let ([i1, i0], [l1, l0]) = (id.to_be_bytes(), (content.len() as u16).to_be_bytes());
    let mut out = vec![1, kind, i1, i0, l1, l0, padding, 0];
    out.extend_from_slice(content);
    out.resize(out.len() + usize::from(padding), 0);
    out
}

/// A request, its variables and body cut into records of so many bytes.
fn request(id: u16, keep: bool, method: &str, path: &str, body: &[u8], cut: usize) -> Vec<u8> {
    let length = body.len().to_string();
    let mut vars = Vec::new();
    for (key, value) in [
        ("REQUEST_METHOD", method),
        ("PATH_INFO", path),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("CONTENT_LENGTH", &length),
        ("SERVER_NAME", "test"),
        ("SERVER_PORT", "80"),
    ] {
        vars.extend([key.len() as u8, value.len() as u8]);
        vars.extend(key.bytes().chain(value.bytes()));
    }
    let mut out = record(1, id, &[0, 1, u8::from(keep), 0, 0, 0, 0, 0], 0);
    vars.chunks(cut).for_each(|c| out.extend(record(4, id, c, 3)));
    out.extend(record(4, id, b"", 0));
    body.chunks(cut).for_each(|c| out.extend(record(5, id, c, 5)));
    out.extend(record(5, id, b"", 0));
    out
}

/// The records up to the end of a request, or of the connection: its text, and whether the end came.
fn answer(from: &mut impl Read) -> (Vec<u8>, bool) {
    let mut text = Vec::new();
    loop {
        let mut header = [0; 8];
        if from.read_exact(&mut header).is_err() {
            return (text, false);
        }
        let mut content = vec![0; usize::from(u16::from_be_bytes([header[4], header[5]])) + usize::from(header[6])];
        from.read_exact(&mut content).expect("a whole record");
        match header[1] {
            6 => text.extend(content),
            3 => return (text, content[..5] == [0; 5]),
            other => panic!("a record of type {other}"),
        }
    }
}

fn server(args: &[&str]) -> Server {
    Setup::new()
        .file("app.py", APP)
        .args(["--fastcgi-socket", "127.0.0.1:0", "--wsgi-file", "@DIR@/app.py"])
        .args(args.iter().copied())
        .start()
}

fn ask(server: &Server, method: &str, path: &str, body: &[u8], cut: usize) -> (String, bool) {
    let mut stream = connect(server.port());
    stream.write_all(&request(1, false, method, path, body, cut)).unwrap();
    let (text, whole) = answer(&mut stream);
    assert_eq!(
        stream.read(&mut [0; 8]).unwrap(),
        0,
        "the connection ends with the request"
    );
    (String::from_utf8(text).unwrap(), whole)
}

#[test]
fn requests_are_answered_in_records() {
    let server = server(&["--threads", "2"]);
    let (text, whole) = ask(&server, "GET", "/hello", b"", 65000);
    assert!(
        whole && text.starts_with("Status: 200 Fine\r\n") && text.ends_with("\r\n\r\n/hello"),
        "{text}"
    );
    let body = "0123456789".repeat(30_000);
    for cut in [7, 1000, 65_535] {
        let (text, whole) = ask(&server, "POST", "/", body.as_bytes(), cut);
        assert!(whole && text.ends_with(&body), "{} bytes cut by {cut}", text.len());
    }
    let (text, whole) = ask(&server, "GET", "/big", b"", 65000);
    assert!(whole && text.ends_with(&"x".repeat(300_000)));
    let (text, whole) = ask(&server, "HEAD", "/hello", b"", 65000);
    assert!(whole && text.ends_with("X-Length: 6\r\n\r\n"), "{text}");
    // a body that nobody reads
    let (text, whole) = ask(&server, "PUT", "/unread", b"never read", 3);
    assert!(whole && text.ends_with("/unread"));
}

#[test]
fn connections_are_kept_when_the_front_asks() {
    let server = server(&[]);
    let mut stream = connect(server.port());
    let bytes = [
        request(1, true, "POST", "/", b"one", 2),
        request(1, true, "GET", "/two", b"unread", 65000),
        request(3, false, "GET", "/three", b"", 65000),
    ];
    for piece in bytes.concat().chunks(11) {
        stream.write_all(piece).unwrap();
    }
    for end in ["one", "/two", "/three"] {
        let (text, whole) = answer(&mut stream);
        assert!(whole && String::from_utf8_lossy(&text).ends_with(end));
    }
    assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn failures_are_told_from_whole_answers() {
    let server = server(&["--limit-post", "1000"]);
    let (text, whole) = ask(&server, "GET", "/early", b"", 65000);
    assert!(whole && text.starts_with("Status: 500 "), "{text}");
    let (_, whole) = ask(&server, "GET", "/late", b"", 65000);
    assert!(!whole, "an answer that breaks off has no end");
    let mut stream = connect(server.port());
    stream
        .write_all(&request(1, true, "POST", "/", &[b'x'; 1001], 65000))
        .unwrap();
    let (text, whole) = answer(&mut stream);
    assert!(whole && text.starts_with(b"Status: 413 "));
}

#[test]
fn what_makes_no_request_ends_its_connection_only() {
    let server = server(&["--buffer-size", "4096"]);
    let begin = record(1, 1, &[0, 1, 0, 0, 0, 0, 0, 0], 0);
    let params = |bytes: &[u8]| {
        [
            &begin[..],
            &record(4, 1, bytes, 0),
            &record(4, 1, b"", 0),
            &record(5, 1, b"", 0),
        ]
        .concat()
    };
    let more_than_announced = {
        let mut bytes = request(1, false, "POST", "/", b"ab", 65000);
        let end = bytes.len() - 8;
        bytes.splice(end..end, record(5, 1, b"cd", 0));
        bytes
    };
    for (bytes, says) in [
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(), "not FastCGI"),
        (record(4, 1, b"\x01", 0), "out of turn"),
        (params(b"\x20\x05abc"), "cut off"),
        (params(b"\0\x03abc"), "no name"),
        (params(&[b'x'; 5000]), "--buffer-size"),
        (params(b"\x0e\x02CONTENT_LENGTH-5"), "Content-Length"),
    ] {
        let mut stream = connect(server.port());
        stream.write_all(&bytes).unwrap();
        let mut answer = Vec::new();
        // a close with bytes unread may be a reset
        let _ = stream.read_to_end(&mut answer);
        assert_eq!(answer, b"", "{says}");
        assert!(server.log().contains(says), "{says} in:\n{}", server.log());
        assert!(ask(&server, "GET", "/next", b"", 65000).1);
    }
    let mut stream = connect(server.port());
    stream.write_all(&more_than_announced).unwrap();
    let (text, _) = answer(&mut stream);
    assert!(!text.ends_with(b"cd"));
    assert!(ask(&server, "GET", "/next", b"", 65000).1);
}

#[test]
fn files_go_in_records_too() {
    let setup = Setup::new().file("www/file.txt", &"0123456789abcdef".repeat(20_000));
    let server = setup
        .file("app.py", APP)
        .args(["--fastcgi-nph-socket", "127.0.0.1:0", "--wsgi-file", "@DIR@/app.py"])
        .args(["--check-static", "@DIR@/www"])
        .start();
    let (text, whole) = ask(&server, "GET", "/file.txt", b"", 65000);
    assert!(
        whole && text.starts_with("HTTP/1.1 200 OK\r\n"),
        "{}",
        &text[..text.len().min(300)]
    );
    assert!(text.ends_with(&"0123456789abcdef".repeat(20_000)));
}
