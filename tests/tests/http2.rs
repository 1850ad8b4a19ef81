//! HTTP/2 of the gateway: curl as the client for what must work, frames written here for what must not.

use rsgi_tests::http::{connect, get};
use rsgi_tests::{Server, Setup, wait_for};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

const APP: &str = r#"
import time
def application(e, sr):
    path = e["PATH_INFO"]
    if path == "/sleep":
        open("@DIR@/asleep", "w").close()
        time.sleep(0.4)
    body = ("%s %s %s" % (e["SERVER_PROTOCOL"], e["wsgi.url_scheme"], e["HTTP_HOST"])).encode()
    if path == "/big":
        body = b"x" * 3000000
    if path == "/stream":
        sr("200 OK", [("X-Parts", "many"), ("Connection", "close")])
        return iter([b"part"] * 50000)
    if path == "/cut":
        sr("200 OK", [("Content-Length", "10")])
        return [b"short"]
    if e["REQUEST_METHOD"] == "POST":
        body = str(len(e["wsgi.input"].read())).encode()
    sr("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"#;

fn server(args: &[&str]) -> Server {
    let setup = Setup::new().file("app.py", APP);
    let mut server = setup
        .args(["--master", "--http", "127.0.0.1:0", "--wsgi-file", "@DIR@/app.py"])
        .args(args.iter().copied())
        .start();
    server.wait_log("spawned rsgi http", 1);
    server
}

fn url(server: &Server, path: &str) -> String {
    format!("http://127.0.0.1:{}{path}", server.gateway_port())
}

fn curl(server: &Server, args: &[&str]) -> (String, bool) {
    let out = Command::new("curl")
        .args(["-s", "--max-time", "15", "--http2-prior-knowledge"])
        .args(args)
        .current_dir(server.dir())
        .output()
        .expect("curl");
    (String::from_utf8_lossy(&out.stdout).into_owned(), out.status.success())
}

fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let mut out = (content.len() as u32).to_be_bytes()[1..].to_vec();
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend_from_slice(content);
    out
}

/// GET / of the static table, with a host.
const GET: &[u8] = b"\x82\x86\x84\x41\x01h";
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const GOAWAY: u8 = 7;
const ENDS: u8 = 5; // END_HEADERS and END_STREAM

/// A connection that has begun.
fn begun(server: &Server) -> TcpStream {
    let mut stream = connect(server.gateway_port());
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    stream.write_all(&frame(4, 0, 0, b"")).unwrap();
    stream
}

/// The next frame: its type, stream and content; `None` at the end.
fn next(stream: &mut TcpStream) -> Option<(u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).ok()?;
    let mut content = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    stream.read_exact(&mut content).ok()?;
    Some((
        head[3],
        u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
        content,
    ))
}

/// Reads until a frame of this type; its content.
fn wait_frame(stream: &mut TcpStream, kind: u8) -> Option<Vec<u8>> {
    while let Some((found, _, content)) = next(stream) {
        if found == kind {
            return Some(content);
        }
    }
    None
}

#[test]
fn curl_gets_what_it_asks_for() {
    let server = server(&["--threads", "4"]);
    let (text, ok) = curl(&server, &[&url(&server, "/")]);
    assert!(
        ok && text == format!("HTTP/2.0 http 127.0.0.1:{}", server.gateway_port()),
        "{text}"
    );
    let (text, ok) = curl(&server, &["-i", &url(&server, "/stream")]);
    assert!(ok && text.ends_with(&"part".repeat(50_000)));
    assert!(text.starts_with("HTTP/2 200") && text.contains("x-parts: many\r\n") && !text.contains("connection"));
    let (text, _) = curl(&server, &["-I", &url(&server, "/")]);
    assert!(text.contains("content-length: "), "{text}");
    std::fs::write(server.dir().join("body"), "y".repeat(2_000_000)).unwrap();
    let root = url(&server, "/");
    for length in [&[][..], &["-H", "Transfer-Encoding: chunked"]] {
        let args = [&["--data-binary", "@body"][..], length, &[&root]].concat();
        assert_eq!(curl(&server, &args), ("2000000".into(), true));
    }
    // an answer that breaks off is not passed off as whole
    assert!(!curl(&server, &[&url(&server, "/cut")]).1);
    // the old protocol on the same port
    assert_eq!(get(server.gateway_port(), "/").status, 200);
}

#[test]
fn a_beginning_in_pieces_is_heard() {
    let server = server(&[]);
    let beginning = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, b"")].concat();
    for cut in [1, 13, 14, 20, 24, 25, 32] {
        let mut stream = connect(server.gateway_port());
        let (first, rest) = beginning.split_at(cut);
        stream.write_all(first).unwrap();
        // so that the pieces are read one by one
        std::thread::sleep(Duration::from_millis(30));
        stream
            .write_all(&[rest, &frame(HEADERS, ENDS, 1, GET)].concat())
            .unwrap();
        assert!(wait_frame(&mut stream, 0).is_some(), "cut at {cut}");
    }
}

#[test]
fn nobody_can_make_it_work_for_nothing() {
    let server = server(&["--threads", "8"]);
    // requests that are taken back at once
    let mut stream = begun(&server);
    let pairs: Vec<u8> = (0..2000u32)
        .flat_map(|i| {
            [
                frame(HEADERS, ENDS, 2 * i + 1, GET),
                frame(RESET, 0, 2 * i + 1, b"\0\0\0\x08"),
            ]
            .concat()
        })
        .collect();
    let _ = stream.write_all(&pairs);
    let goodbye = wait_frame(&mut stream, GOAWAY).expect("it is shown the door");
    assert_eq!(goodbye[4..8], [0, 0, 0, 11], "{goodbye:?}");
    // a head that never ends
    let mut stream = begun(&server);
    let _ = stream.write_all(&frame(HEADERS, 1, 1, GET));
    for _ in 0..2000 {
        if stream
            .write_all(&frame(9, 0, 1, &[0x40, 1, b'a', 3, b'b', b'c', b'd'].repeat(100)))
            .is_err()
        {
            break;
        }
    }
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    assert!(wait_frame(&mut stream, GOAWAY).is_some() || next(&mut stream).is_none());
    assert_eq!(get(server.gateway_port(), "/").status, 200);
    // a client that never reads: what waits for it is bounded, and others are served
    let mut stream = begun(&server);
    for i in 0..6u32 {
        let block = [&b"\x82\x86\x04\x04/big"[..], b"\x41\x01h"].concat();
        stream.write_all(&frame(HEADERS, ENDS, 2 * i + 1, &block)).unwrap();
    }
    assert_eq!(get(server.gateway_port(), "/").status, 200);
}

#[test]
fn connections_are_told_of_the_end() {
    let mut server = server(&["--http-keepalive=2"]);
    // idle for too long
    let mut idle = begun(&server);
    idle.write_all(&frame(HEADERS, ENDS, 1, GET)).unwrap();
    assert!(wait_frame(&mut idle, 0).is_some(), "an answer");
    assert!(wait_frame(&mut idle, GOAWAY).is_some());
    // a request under way when the server stops
    let mut busy = begun(&server);
    let block = [&b"\x82\x86\x04\x06/sleep"[..], b"\x41\x01h"].concat();
    busy.write_all(&frame(HEADERS, ENDS, 1, &block)).unwrap();
    wait_for("the request to be under way", || {
        server.dir().join("asleep").exists().then_some(())
    });
    server.signal(libc::SIGTERM);
    assert!(wait_frame(&mut busy, GOAWAY).is_some());
    let answer = wait_frame(&mut busy, 0).expect("the answer comes all the same");
    assert!(answer.starts_with(b"HTTP/2.0"));
    drop(busy);
    assert!(server.wait_exit().success());
}

#[test]
fn it_can_be_switched_off() {
    let server = server(&["--no-http2"]);
    let mut stream = begun(&server);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(
        answer.starts_with(b"HTTP/1.1 505 "),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}
