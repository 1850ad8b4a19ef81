//! Who the client is behind proxies: `--http-trusted-proxies`, `--http-forwarded`.

use rsgi_tests::http::exchange;
use rsgi_tests::{Server, Setup};

const APP: &str = r#"
def application(e, sr):
    sr("200 OK", [])
    told = [k for k in ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_FORWARDED") if k in e]
    return [" ".join([e["REMOTE_ADDR"], e.get("REMOTE_PORT", "-"), e["wsgi.url_scheme"]] + told).encode()]
"#;

fn server(args: &[&str]) -> Server {
    let setup = Setup::new().wsgi(APP).args(["--master", "--http", "127.0.0.1:0"]);
    let mut server = setup.args(args.iter().copied()).start();
    server.wait_log("spawned rsgi http", 1);
    server
}

fn ask(server: &Server, headers: &str) -> String {
    let request = format!("GET / HTTP/1.1\r\nHost: h\r\n{headers}Connection: close\r\n\r\n");
    exchange(server.gateway_port(), request.as_bytes()).text()
}

const BOTH: &str = "X-Forwarded-For: 203.0.113.9, 192.0.2.1, 10.0.0.1\r\nX-Forwarded-Proto: https\r\n\
    Forwarded: for=\"198.51.100.7:99\";proto=http\r\n";

#[test]
fn a_named_proxy_says_who_its_client_is() {
    let server = server(&["--http-trusted-proxies", "127.0.0.0/8,10.0.0.0/8"]);
    assert_eq!(
        ask(&server, BOTH),
        "192.0.2.1 - https HTTP_X_FORWARDED_FOR HTTP_X_FORWARDED_PROTO"
    );
    assert!(ask(&server, "X-Forwarded-For: nobody\r\n").starts_with("127.0.0.1 "));
    let one = "X-Forwarded-For: 192.0.2.1:5000\r\nX-Forwarded-Proto: http\r\n";
    assert!(ask(&server, one).starts_with("192.0.2.1 5000 http "));
}

#[test]
fn the_dialect_of_rfc_7239_is_asked_for() {
    let server = server(&["--http-trusted-proxies", "127.0.0.1", "--http-forwarded"]);
    assert_eq!(ask(&server, BOTH), "198.51.100.7 99 http HTTP_FORWARDED");
}

#[test]
fn nobody_else_is_believed_or_passed_on() {
    let other = server(&["--http-trusted-proxies", "192.0.2.0/24"]);
    let text = ask(&other, BOTH);
    assert!(text.starts_with("127.0.0.1 ") && text.ends_with(" http"), "{text}");
    // without the option the address stays the peer's
    assert!(ask(&server(&[]), BOTH).starts_with("127.0.0.1 "));
}

#[test]
fn a_wrong_network_ends_the_start_with_its_fix() {
    let ended = Setup::new()
        .wsgi(APP)
        .args(["--http", "127.0.0.1:0", "--http-trusted-proxies", "10.0.0.7/8"])
        .run();
    assert!(ended.code > 0, "{}", ended.code);
    assert!(ended.output.contains("give 10.0.0.0/8"), "{}", ended.output);
}
