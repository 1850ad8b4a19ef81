//! WSGI as the application sees it: what it may return and pass, what becomes of its mistakes, and that the worker
//! survives all of them.

use rsgi_tests::http::{self, Response};
use rsgi_tests::{Server, Setup, wait_for};
use std::io::{Read, Write};
use std::sync::OnceLock;

const APP: &str = r#"
import io, os, sys, threading, time
DIR = "@DIR@"
def note(text):
    with open(DIR + "/notes", "a") as f: f.write(text + "\n")
class Parts:
    def __init__(self, parts): self.parts = iter(parts)
    def __iter__(self): return self
    def __next__(self): return next(self.parts)
    def close(self): note("closed")
def failing():
    yield b"begun"
    raise RuntimeError("raised-in-iteration")
def endless():
    while True:
        yield b"x" * 100000
def url_pid(env, start): start("200 OK", []); return [str(os.getpid()).encode()]
def url_raise(env, start): raise ValueError("raised-before-start")
def url_str(env, start): start("200 OK", []); return ["text"]
def url_wholestr(env, start): start("200 OK", []); return "text"
def url_none(env, start): start("200 OK", [])
def url_nostart(env, start): return [b"body"]
def url_exit(env, start): sys.exit(7)
def url_iteration(env, start): start("200 OK", []); return Parts(failing())
def url_endless(env, start): start("200 OK", []); return Parts(endless())
def url_early(env, start): start("200 OK", [("Content-Length", "10")]); return Parts([b"abc"])
def url_write(env, start):
    write = start("200 OK", [])
    write(b"one"); write(b"two")
    return [b"three"]
def url_twice(env, start):
    start("200 OK", [("X-A", "1")])
    try: raise ValueError("x")
    except ValueError: start("503 Later", [("X-B", "2")], sys.exc_info())
    return [b"replaced"]
def url_wrong(env, start):
    out = []
    for call in (200, []), ("200 OK", ()), ("200 OK", [["a", "b"]]), ("200 OK", [(b"a", "b")]), ("200 OK", [("a", 5)]), \
            ("200 OK", [("a", "b\r\nc: d")]), ("200 OK", [("a", "\u20ac")]):
        try: start(*call)
        except Exception as e: out.append("%s: %s" % (type(e).__name__, e))
    start("200 OK", [])
    return ["\n".join(out).encode()]
def url_latin(env, start): start("200 OK", [("X-Latin", "caf\xe9")]); return [b"latin"]
def url_environ(env, start):
    start("200 OK", [])
    return [("%s %r\n" % (k, v)).encode() for k, v in sorted(env.items())]
def url_input(env, start):
    i = env["wsgi.input"]
    out = repr([i.read(0), i.read(3), i.readline(), i.readline(2), i.readlines(), i.read(), i.read(4)])
    start("200 OK", [])
    return [out.encode()]
def url_keep(env, start):
    global kept
    kept = env["wsgi.input"]
    start("200 OK", [])
    return [b"kept"]
def url_kept(env, start):
    start("200 OK", [])
    try: return [kept.read()]
    except Exception as e: return [repr(e).encode()]
def url_helper(env, start):
    got = []
    t = threading.Thread(target=lambda: got.append(env["wsgi.input"].read()))
    t.start(); t.join()
    start("200 OK", [])
    return got
def url_file(env, start):
    f = open(DIR + "/data", "rb")
    f.seek(5)
    start("200 OK", [])
    return env["wsgi.file_wrapper"](f, 100)
def url_memory(env, start):
    start("200 OK", [])
    return env["wsgi.file_wrapper"](io.BytesIO(b"x" * 5000), 1000)
def url_tuple(env, start): start("200 OK", []); return (b"a", b"", b"b")
def url_many(env, start): start("200 OK", []); return [b"%d," % i for i in range(500)]
def url_empty(env, start): start("200 OK", []); return []
def application(env, start):
    return globals()["url_" + env["PATH_INFO"].strip("/")](env, start)
"#;

/// One server for all tests that do not hurt each other.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let server = Setup::new().wsgi(APP).args(["-p", "1", "--threads", "2"]).start();
        std::fs::write(server.dir().join("data"), b"01234file content").unwrap();
        // the static is never dropped: the server must not outlive the test process
        let pid = server.pid();
        static GROUP: OnceLock<i32> = OnceLock::new();
        GROUP.set(pid).unwrap();
        extern "C" fn kill() {
            // SAFETY: a signal to the group that the harness made for the server.
            unsafe { libc::kill(-GROUP.get().copied().unwrap_or(i32::MAX), libc::SIGKILL) };
        }
        // SAFETY: a plain C function.
        unsafe { libc::atexit(kill) };
        server
    })
}

fn get(path: &str) -> Response {
    http::get(server().port(), path)
}

fn worker_pid() -> String {
    get("/pid").text()
}

/// The answer, the log line that must appear, and a worker that lives on.
fn mistake(path: &str, status: u16, line: &str) {
    let before = worker_pid();
    let answer = get(path);
    assert_eq!(answer.status, status, "{path}: {answer:?}");
    wait_for(line, || server().log().contains(line).then_some(()));
    assert_eq!(worker_pid(), before, "{path} cost the worker its life");
}

#[test]
fn mistakes_become_a_500_and_one_clear_line() {
    mistake("/raise", 500, "ValueError: raised-before-start");
    mistake(
        "/str",
        500,
        "the application sent str as body of GET /str: WSGI wants an iterable of bytes",
    );
    mistake(
        "/wholestr",
        500,
        "the application returned str as body of GET /wholestr",
    );
    mistake("/none", 500, "the application returned NoneType as body of GET /none");
    mistake(
        "/nostart",
        500,
        "the application returned from GET /nostart without calling start_response",
    );
    mistake("/exit", 500, "SystemExit: 7");
    let log = server().log();
    assert_eq!(
        log.matches("ValueError: raised-before-start").count(),
        1,
        "a traceback is printed once"
    );
}

#[test]
fn an_exception_in_the_middle_cuts_the_connection() {
    let mut stream = server().connect(server().port());
    stream.write_all(b"GET /iteration HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    let text = String::from_utf8_lossy(&all);
    assert!(text.contains("begun") && !text.ends_with("0\r\n\r\n"), "{text:?}");
    wait_for("the traceback", || {
        server()
            .log()
            .contains("RuntimeError: raised-in-iteration")
            .then_some(())
    });
}

#[test]
fn an_answer_shorter_than_announced_closes_the_connection() {
    let mut stream = server().connect(server().port());
    stream.write_all(b"GET /early HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    assert!(all.ends_with(b"abc"));
}

#[test]
fn an_endless_answer_ends_with_its_client_and_is_closed() {
    let notes = server().dir().join("notes");
    let closed = || {
        std::fs::read_to_string(&notes)
            .unwrap_or_default()
            .matches("closed")
            .count()
    };
    let before = closed();
    let mut stream = server().connect(server().port());
    stream.write_all(b"GET /endless HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    stream.read_exact(&mut [0; 4096]).unwrap();
    drop(stream);
    wait_for("close() of the iterator", || (closed() > before).then_some(()));
    assert_eq!(get("/pid").status, 200);
    assert!(
        !server().log().contains("write error"),
        "a client that leaves is no error of ours"
    );
}

#[test]
fn bodies_arrive_whole_whatever_their_shape() {
    for (path, body) in [
        ("/tuple", "ab"),
        ("/write", "onetwothree"),
        ("/empty", ""),
        ("/file", "file content"),
    ] {
        assert_eq!(get(path).text(), body, "{path}");
    }
    assert_eq!(get("/memory").body, b"x".repeat(5000));
    let many = get("/many").text();
    assert!(many.starts_with("0,1,2,") && many.ends_with("498,499,"), "{many}");
    // what is complete at once has a length, so that the connection can be kept
    assert_eq!(get("/tuple").header("content-length"), Some("2"));
    assert_eq!(get("/empty").header("content-length"), Some("0"));
}

#[test]
fn start_response_says_what_is_wrong() {
    let answer = get("/wrong");
    let lines: Vec<String> = answer.text().lines().map(str::to_owned).collect();
    let expected = [
        "TypeError: http status must be a string",
        "TypeError: http headers must be in a python list",
        "TypeError: http header must be defined in a tuple",
        "TypeError: http header key must be a string",
        "TypeError: http header value must be a string",
        "ValueError: http header \"a\" has a character that is not allowed there",
    ];
    assert_eq!(&lines[..6], expected);
    assert!(lines[6].starts_with("UnicodeEncodeError: "), "{lines:?}");
    assert_eq!(answer.status, 200);
}

#[test]
fn header_values_are_sent_as_latin_1() {
    let mut stream = server().connect(server().port());
    stream
        .write_all(b"GET /latin HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    let line = b"\r\nX-Latin: caf\xe9\r\n";
    assert!(
        all.windows(line.len()).any(|w| w == line),
        "{}",
        String::from_utf8_lossy(&all)
    );
}

#[test]
fn a_second_start_response_replaces_the_first() {
    let answer = get("/twice");
    assert_eq!((answer.status, answer.text().as_str()), (503, "replaced"));
    assert_eq!((answer.header("x-a"), answer.header("x-b")), (None, Some("2")));
}

#[test]
fn environ_follows_each_request() {
    // the dict is built from the last request of the same shape: nothing of that one may shine through
    let ask = |headers: &str| {
        http::exchange(
            server().port(),
            format!("GET /environ?q=1 HTTP/1.1\r\nHost: h\r\n{headers}Connection: close\r\n\r\n").as_bytes(),
        )
        .text()
    };
    let first = ask("Cookie: a=1\r\nX-Same: s\r\n");
    assert!(
        first.contains("HTTP_COOKIE 'a=1'\n") && first.contains("QUERY_STRING 'q=1'\n"),
        "{first}"
    );
    assert!(ask("Cookie: b=22\r\nX-Same: s\r\n").contains("HTTP_COOKIE 'b=22'\n"));
    assert!(ask("Cookie: \r\nX-Same: s\r\n").contains("HTTP_COOKIE ''\n"));
    let other = ask("X-Other: o\r\n");
    assert!(
        !other.contains("HTTP_COOKIE") && other.contains("HTTP_X_OTHER 'o'\n"),
        "{other}"
    );
    assert!(ask("Cookie: a=1\r\nX-Same: s\r\n").contains("HTTP_COOKIE 'a=1'\n"));
    for key in [
        "wsgi.multithread True",
        "wsgi.multiprocess False",
        "wsgi.url_scheme 'http'",
        "wsgi.version (1, 0)",
    ] {
        assert!(first.contains(key), "{key}: {first}");
    }
    let latin = http::exchange(
        server().port(),
        b"GET /environ HTTP/1.1\r\nHost: h\r\nX-U: \xc3\xa9\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n",
    );
    assert!(latin.text().contains("HTTP_X_U '\u{c3}\u{a9}'"), "{}", latin.text());
    assert!(
        latin.text().contains("wsgi.url_scheme 'https'"),
        "loopback is a trusted proxy"
    );
}

#[test]
fn wsgi_input_reads_like_a_file() {
    let body = b"line1\nline2\nlast";
    let answer = http::post(server().port(), "/input", body).text();
    assert_eq!(answer, "[b'', b'lin', b'e1\\n', b'li', [b'ne2\\n', b'last'], b'', b'']");
    let chunked = b"POST /input HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
        4\r\nline\r\n9\r\n1\nline2\nl\r\n3\r\nast\r\n0\r\n\r\n";
    assert_eq!(http::exchange(server().port(), chunked).text(), answer);
}

#[test]
fn a_thread_of_the_application_may_read_the_body() {
    assert_eq!(
        http::post(server().port(), "/helper", b"by a helper").text(),
        "by a helper"
    );
}

#[test]
fn wsgi_input_of_a_past_request_reads_nothing_of_another() {
    http::post(server().port(), "/keep", b"first");
    // its thread may still be on the way out of the first request
    wait_for("the refusal", || {
        let answer = http::post(server().port(), "/kept", b"second").text();
        assert_ne!(answer, "second");
        answer.contains("its request had ended").then_some(())
    });
}
