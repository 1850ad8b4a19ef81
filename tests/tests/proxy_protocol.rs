//! PROXY headers: who may write them, on which sockets, and what becomes of wrong ones.

use rsgi_tests::certificate;
use rsgi_tests::http::{Response, exchange, read_response};
use rsgi_tests::{Server, Setup};
use std::io::{BufReader, Write};
use std::process::Command;

const APP: &str = r#"
def application(e, sr):
    sr("200 OK", [])
    return [("%s %s %s" % (e["REMOTE_ADDR"], e["REMOTE_PORT"], e["wsgi.url_scheme"])).encode()]
"#;
const LINE: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.9 4711 443\r\n";
const BLOCK: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x09\x12\x67\x01\xbb";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

fn server(args: &[&str]) -> Server {
    let setup = Setup::new().wsgi(APP).args(["--master", "--http", "127.0.0.1:0"]);
    let mut server = setup.args(args.iter().copied()).start();
    server.wait_log("spawned rsgi http", 1);
    server
}

#[test]
fn requests_come_from_whom_the_balancer_names() {
    let server = server(&["--enable-proxy-protocol"]);
    for port in server.ports() {
        for header in [LINE, BLOCK] {
            assert_eq!(exchange(port, &[header, GET].concat()).text(), "192.0.2.7 4711 http");
        }
        for header in [&b""[..], b"PROXY UNKNOWN\r\n", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"] {
            let text = exchange(port, &[header, GET].concat()).text();
            assert!(text.starts_with("127.0.0.1 "), "{text}");
        }
        for bad in [&b"PROXY TCP4 x y 1 2\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\0"] {
            assert_eq!(exchange(port, &[bad, GET].concat()).status, 400);
        }
        // in pieces; a second header is no header
        let mut stream = rsgi_tests::http::connect(port);
        for piece in [LINE, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", LINE, GET]
            .concat()
            .chunks(9)
        {
            stream.write_all(piece).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let mut reader = BufReader::new(stream);
        let mut next = || -> Response { read_response(&mut reader, false).unwrap().unwrap() };
        assert_eq!(next().text(), "192.0.2.7 4711 http");
        assert_eq!(next().status, 400);
    }
}

#[test]
fn nobody_else_is_believed() {
    for args in [&[][..], &["--enable-proxy-protocol", "--trusted-proxy", "192.0.2.0/24"]] {
        let server = server(args);
        for port in server.ports() {
            assert_eq!(exchange(port, &[LINE, GET].concat()).status, 400);
            assert!(exchange(port, GET).text().starts_with("127.0.0.1 "));
        }
    }
    let server = server(&["--enable-proxy-protocol", "--trusted-proxy", "192.0.2.0/24,127.0.0.1"]);
    for port in server.ports() {
        assert_eq!(exchange(port, &[LINE, GET].concat()).text(), "192.0.2.7 4711 http");
    }
    let ended = Setup::new()
        .args(["--http-socket", "127.0.0.1:0", "--trusted-proxy", "10.0.0.0/33"])
        .run();
    assert!(ended.code != 0 && ended.output.contains("10.0.0.0/33"), "{ended:?}");
}

#[test]
fn the_header_stands_before_tls() {
    let setup = Setup::new().file("app.py", APP);
    certificate::make(setup.dir(), "x");
    let setup = setup.args([
        "--master",
        "--wsgi-file",
        "@DIR@/app.py",
        "--http-enable-proxy-protocol",
    ]);
    let mut server = setup.args(["--https", "127.0.0.1:0,x.crt,x.key"]).start();
    server.wait_log("spawned rsgi http", 1);
    let url = format!("https://127.0.0.1:{}/", server.gateway_port());
    for version in ["--http1.1", "--http2"] {
        for (flags, want) in [(&["--haproxy-protocol"][..], "127.0.0.1 "), (&[], "127.0.0.1 ")] {
            let out = Command::new("curl")
                .args(["-sk", "--max-time", "10", version, &url])
                .args(flags)
                .output();
            let text = String::from_utf8_lossy(&out.expect("curl").stdout).into_owned();
            assert!(
                text.starts_with(want) && text.ends_with(" https"),
                "{version} {flags:?} {text}"
            );
        }
    }
}
