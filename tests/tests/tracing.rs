//! Who asked: ids of requests and trace contexts, in log lines, for applications and in answers.

use rsgi_tests::{Server, Setup, http};

const APP: &str = "
def application(env, start_response):
    headers = [('X-Request-Id', 'own')] if env['PATH_INFO'] == '/own' else []
    start_response('200 OK', headers)
    names = ('HTTP_X_REQUEST_ID', 'HTTP_TRACEPARENT', 'TRACE_ID', 'SPAN_ID')
    return ['|'.join(env.get(name, '') for name in names).encode()]
";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn serve(args: &[&str]) -> Server {
    let server = Setup::new().wsgi(APP).args(args.iter().copied());
    server
        .args(["--log-format", "LINE %(request_id) %(trace_id) %(span_id)."])
        .start()
}

/// What the application sees, and the ids in the answer.
fn ask(server: &Server, path: &str, headers: &str) -> (Vec<String>, Vec<String>) {
    let answer = http::exchange(
        server.port(),
        format!("GET {path} HTTP/1.0\r\n{headers}\r\n").as_bytes(),
    );
    let ids = answer
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("x-request-id"));
    let ids = ids.map(|(_, value)| value.clone()).collect();
    (answer.text().split('|').map(str::to_owned).collect(), ids)
}

fn is_hex(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[test]
fn contexts_are_logged_and_nothing_is_made_without_being_asked_for() {
    let mut server = serve(&[]);
    let (seen, ids) = ask(
        &server,
        "/",
        &format!("traceparent: 00-{TRACE}-{SPAN}-01\r\nX-Request-Id: r-1\r\n"),
    );
    assert_eq!((seen[0].as_str(), seen[2].as_str(), ids.len()), ("r-1", "", 0));
    server.wait_log(&format!("LINE r-1 {TRACE} {SPAN}.\n"), 1);
    ask(&server, "/", &format!("traceparent: 00-{TRACE}-{SPAN}-1\r\n"));
    server.wait_log("LINE - - -.\n", 1);
}

#[test]
fn requests_get_ids_and_contexts() {
    let mut server = serve(&["--request-id", "--traceparent"]);
    let (seen, ids) = ask(&server, "/", "");
    assert!(is_hex(&seen[0], 32) && ids == [seen[0].clone()], "{seen:?} {ids:?}");
    assert_eq!(seen[1], format!("00-{}-{}-01", seen[2], seen[3]));
    assert!(is_hex(&seen[2], 32) && is_hex(&seen[3], 16));
    server.wait_log(&format!("LINE {} {} {}.\n", seen[0], seen[2], seen[3]), 1);
    let (other, _) = ask(&server, "/", "");
    assert!(other[0] != seen[0] && other[2] != seen[2]);
    // what a client brings is kept when it is fine, and replaced when it is not
    let (seen, ids) = ask(
        &server,
        "/",
        &format!("X-Request-Id: r-2\r\ntraceparent: 00-{TRACE}-{SPAN}-00\r\n"),
    );
    assert_eq!(
        seen,
        [
            "r-2".to_owned(),
            format!("00-{TRACE}-{SPAN}-00"),
            TRACE.into(),
            SPAN.into()
        ]
    );
    assert_eq!(ids, ["r-2"]);
    let (seen, _) = ask(&server, "/", "X-Request-Id: a b\"\r\ntraceparent: nonsense\r\n");
    assert!(is_hex(&seen[0], 32) && is_hex(&seen[2], 32), "{seen:?}");
    assert_eq!(ask(&server, "/own", "").1, ["own"]);
}

#[test]
fn only_a_trusted_proxy_brings_an_id() {
    let server = serve(&["--request-id", "--trusted-proxy", "10.0.0.0/8"]);
    let (seen, ids) = ask(&server, "/", "X-Request-Id: forged\r\n");
    assert!(is_hex(&seen[0], 32) && ids == [seen[0].clone()]);
}
