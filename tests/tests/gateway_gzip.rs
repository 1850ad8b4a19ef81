//! `--http-auto-gzip` from the application to clients of HTTP/1.1.

use rsgi_tests::Setup;
use rsgi_tests::http::{Response, exchange};
use std::io::Write;
use std::process::{Command, Stdio};

const APP: &str = r#"
def application(e, sr):
    headers = [("Content-Type", "text/plain"), ("uWSGI-Encoding", "gzip")]
    if e["QUERY_STRING"]:
        headers.append(("Content-Length", "30000"))
    sr("200 OK", headers)
    body = [b"abc" * 5000, b"def" * 5000]
    return body if e["PATH_INFO"] == "/list" else iter(body)
"#;

/// What gzip makes of compressed bytes.
fn unzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip")
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("gzip");
    gzip.stdin.take().expect("a pipe").write_all(bytes).expect("it reads");
    gzip.wait_with_output().expect("it ends").stdout
}

#[test]
fn applications_ask_and_clients_agree() {
    let setup = Setup::new()
        .wsgi(APP)
        .args(["--http", "127.0.0.1:0", "--http-auto-gzip", "--master"]);
    let mut server = setup.start();
    server.wait_log("spawned rsgi http", 1);
    let ask = |path: &str, more: &str| -> Response {
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{more}\r\n");
        exchange(server.gateway_port(), request.as_bytes())
    };
    let whole = [b"abc".repeat(5000), b"def".repeat(5000)].concat();
    // a list, whose length the server knows, is no application's Content-Length
    for path in ["/", "/list"] {
        let zipped = ask(path, "Accept-Encoding: deflate, gzip\r\n");
        assert_eq!(zipped.header("Content-Encoding"), Some("gzip"), "{path}");
        assert!(zipped.body.len() < 5000, "{} bytes", zipped.body.len());
        assert!(unzipped(&zipped.body) == whole);
    }
    for (path, more) in [
        ("/", ""),
        ("/", "Accept-Encoding: gzip;q=0\r\n"),
        ("/?long", "Accept-Encoding: gzip\r\n"),
    ] {
        let plain = ask(path, more);
        assert_eq!(plain.header("Content-Encoding"), None);
        assert_eq!(plain.header("uWSGI-Encoding"), None);
        assert!(plain.body == whole, "{} bytes", plain.body.len());
    }
}
