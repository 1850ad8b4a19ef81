//! SCGI sockets, and the sockets whose connections a plugin gets as they are.

use rsgi_tests::http::connect;
use rsgi_tests::{Server, Setup, build_plugin};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

const APP: &str = r#"
def application(e, sr):
    sr("200 OK", [("X-Method", e["REQUEST_METHOD"])])
    return [e["wsgi.input"].read() or e["PATH_INFO"].encode()]
"#;

fn request(path: &str, body: &str) -> Vec<u8> {
    let method = if body.is_empty() { "GET" } else { "POST" };
    let vars = format!(
        "CONTENT_LENGTH\0{}\0SCGI\01\0REQUEST_METHOD\0{method}\0PATH_INFO\0{path}\0SERVER_NAME\0t\0SERVER_PORT\080\0",
        body.len()
    );
    format!("{}:{vars},{body}", vars.len()).into_bytes()
}

fn server(args: &[&str]) -> Server {
    let setup = Setup::new().file("app.py", APP);
    setup
        .args(["--wsgi-file", "@DIR@/app.py"])
        .args(args.iter().copied())
        .start()
}

fn talk(port: u16, bytes: &[u8]) -> String {
    let mut stream = connect(port);
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn requests_are_answered_as_cgi_does() {
    let server = server(&["--scgi-socket", "127.0.0.1:0", "--scgi-nph-socket", "127.0.0.1:0"]);
    let text = talk(server.port(), &request("/path", ""));
    assert!(
        text.starts_with("Status: 200 OK\r\n") && text.ends_with("\r\n\r\n/path"),
        "{text}"
    );
    let text = talk(server.port_of_socket(1), &request("/path", ""));
    assert!(text.starts_with("HTTP/1.0 200 OK\r\n"), "{text}");
    let body = "body".repeat(50_000);
    assert!(talk(server.port(), &request("/", &body)).ends_with(&body));
    // in pieces, with pauses
    let bytes = request("/", "abc");
    let mut stream = connect(server.port());
    for piece in bytes.chunks(20) {
        stream.write_all(piece).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("\r\n\r\nabc"), "{text}");
}

#[test]
fn the_protocol_option_is_for_plain_sockets() {
    let server = server(&["--protocol", "scgi", "--socket", "127.0.0.1:0"]);
    assert!(talk(server.port(), &request("/x", "")).ends_with("/x"));
}

#[test]
fn what_makes_no_request_ends_its_connection_only() {
    let server = server(&[
        "--scgi-socket",
        "127.0.0.1:0",
        "--limit-post",
        "10",
        "--buffer-size",
        "4096",
    ]);
    for (bytes, says) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "not SCGI"),
        (b"0:,", "not SCGI"),
        (b"17:CONTENT_LENGTH\x000\0X", "comma"),
        (b"16:CONTENT_LENGTH=0,", "cut off"),
        (b"99999999999999999999:", "--buffer-size"),
        (b"18:CONTENT_LENGTH\x00-5\0,", "Content-Length"),
        (b"36:CONTENT_LENGTH\x001\0CONTENT_LENGTH\x0022\0\0,", "cut off"),
        (b"35:CONTENT_LENGTH\x001\0CONTENT_LENGTH\x0022\0,", "two different"),
    ] {
        assert_eq!(talk(server.port(), bytes), "", "{says}");
        assert!(server.log().contains(says), "{says} in:\n{}", server.log());
        assert!(talk(server.port(), &request("/next", "")).ends_with("/next"));
    }
    let text = talk(server.port(), &request("/", "more than ten"));
    assert!(text.starts_with("Status: 413 "), "{text}");
}

#[test]
fn a_plugin_gets_the_connections_of_raw_sockets() {
    let setup = Setup::new();
    let source = r#"
#include <uwsgi.h>
#include <unistd.h>
static int raw_request(struct wsgi_request *req) {
    char in[64];
    ssize_t n = -1;
    while (n < 0) n = read(req->fd, in, sizeof in); /* the socket does not block */
    if (write(req->fd, "raw:", 4) != 4 || write(req->fd, in, n) != n) return UWSGI_OK;
    return UWSGI_OK;
}
struct uwsgi_plugin rawtest_plugin = { .name = "rawtest", .modifier1 = 177, .request = raw_request };
"#;
    let plugin = build_plugin(setup.dir(), "rawtest.c", source);
    let plugin = plugin.display().to_string();
    let server = setup
        .args([
            "--plugin",
            &plugin,
            "--raw-socket",
            "127.0.0.1:0",
            "--raw-modifier1",
            "177",
        ])
        .start();
    for _ in 0..2 {
        assert_eq!(talk(server.port(), b"\0\xff bytes"), "raw:\0\u{fffd} bytes");
    }
}
