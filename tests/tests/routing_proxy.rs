//! The actions `uwsgi` and `http`: requests that another server answers.

use rsgi_tests::http::{Response, connect, exchange, get, post, read_response, uwsgi_packet};
use rsgi_tests::{Server, Setup};
use std::io::{BufReader, Read, Write};

const APP: &str = r#"
import hashlib
def application(e, sr):
    path, body = e["PATH_INFO"], e["wsgi.input"].read()
    if path == "/big":
        sr("200 OK", [("Content-Length", str(3 << 20))])
        return iter([b"b" * (1 << 20)] * 3)
    if path == "/stream":
        sr("200 OK", [])
        return iter([b"one,", b"two"])
    if path == "/cut":
        sr("200 OK", [("Content-Length", "100")])
        return [b"only this"]
    sr("418 Short", [("X-App", "there"), ("Content-Type", "text/plain")])
    told = [e["REQUEST_METHOD"], e["REQUEST_URI"], e["HTTP_HOST"], e.get("HTTP_X_FORWARDED_FOR", "-")]
    return [("%s %d %s" % (" ".join(told), len(body), hashlib.md5(body).hexdigest())).encode()]
"#;

/// The server behind, and the one in front that sends it `/u...` over uwsgi and `/h...` over HTTP.
fn pair() -> (Server, Server) {
    let behind = Setup::new()
        .wsgi(APP)
        .args(["--socket", "127.0.0.1:0", "--processes", "2"])
        .start();
    let (http, uwsgi) = (behind.port_of_socket(0), behind.port_of_socket(1));
    let ini = format!(
        "[uwsgi]\nroute = ^/u(/.*) rewrite:$1\nroute-uri = ^/u uwsgi:127.0.0.1:{uwsgi},0,0\n\
         route-uri = ^/h(/.*) seturi:$1\nroute = ^/h http:127.0.0.1:{http}\n\
         route = ^/named http:127.0.0.1:{http},other.test\nroute = ^/dead http:127.0.0.1:1\n"
    );
    let front = "def application(e, sr):\n    sr('200 OK', [])\n    return [b'front']\n";
    let setup = Setup::new()
        .wsgi(front)
        .file("r.ini", &ini)
        .args(["--ini", "@DIR@/r.ini"]);
    (
        setup.args(["--socket", "127.0.0.1:0", "--socket-timeout", "4"]).start(),
        behind,
    )
}

#[test]
fn requests_and_answers_pass_whole() {
    let (front, _behind) = pair();
    let port = front.port_of_socket(0);
    assert_eq!(get(port, "/").text(), "front");
    let answer = get(port, "/u/x?q=1");
    assert_eq!((answer.status, answer.header("X-App")), (418, Some("there")));
    assert!(answer.text().starts_with("GET /"), "{}", answer.text());
    let answer = get(port, "/h/x?q=1");
    assert!(answer.text().starts_with("GET /x?q=1 "), "{}", answer.text());
    assert!(answer.text().contains(" 127.0.0.1 0 "), "{}", answer.text());
    assert!(get(port, "/named").text().starts_with("GET /named other.test "));
    let body = vec![b'p'; 700_000];
    let sum = " 700000 ";
    for way in ["/u/x", "/h/x"] {
        assert!(post(port, way, &body).text().contains(sum));
        let chunks = format!(
            "POST {way} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
            body.len(),
            String::from_utf8_lossy(&body)
        );
        assert!(exchange(port, chunks.as_bytes()).text().contains(sum), "{way}");
    }
    for way in ["/u", "/h"] {
        assert_eq!(get(port, &format!("{way}/big")).body.len(), 3 << 20);
        // several on one connection, also without a length
        let mut reader = BufReader::new(connect(port));
        for (path, text) in [("/stream", "one,two"), ("/stream", "one,two")] {
            write!(reader.get_mut(), "GET {way}{path} HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
            let answer: Response = read_response(&mut reader, false).unwrap().unwrap();
            assert_eq!(answer.text(), text);
        }
        write!(reader.get_mut(), "HEAD {way}/big HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        let answer = read_response(&mut reader, true).unwrap().unwrap();
        assert_eq!(
            (answer.header("Content-Length"), answer.body.len()),
            (Some("3145728"), 0)
        );
    }
}

#[test]
fn what_fails_is_told_and_never_taken_for_whole() {
    let (front, _behind) = pair();
    let port = front.port_of_socket(0);
    assert_eq!(get(port, "/dead").status, 502);
    for way in ["/u", "/h"] {
        let mut stream = connect(port);
        write!(stream, "GET {way}/cut HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an end");
        assert!(
            answer.contains("Content-Length: 100") && answer.ends_with("only this"),
            "{answer}"
        );
    }
    assert_eq!(get(port, "/").text(), "front");
}

#[test]
fn a_line_break_makes_no_header_and_no_request() {
    let (front, _behind) = pair();
    let vars = |header: &'static str, uri: &'static str| {
        let method = ("REQUEST_METHOD", "GET");
        uwsgi_packet(
            0,
            &[
                method,
                ("REQUEST_URI", uri),
                ("PATH_INFO", "/named"),
                ("HTTP_HOST", "h"),
                ("HTTP_X", header),
            ],
        )
    };
    let ask = |packet: Vec<u8>| {
        let mut stream = connect(front.port_of_socket(1));
        stream.write_all(&packet).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    assert!(ask(vars("fine", "/named")).contains(" 418 "));
    for (header, uri) in [
        ("a\r\nEvil: 1", "/named"),
        ("a\nEvil: 1", "/named"),
        ("a", "/named HTTP/1.1\r\nX: y"),
        ("a", "/a b"),
    ] {
        let answer = ask(vars(header, uri));
        assert!(answer.contains(" 400 "), "{answer}");
    }
}
