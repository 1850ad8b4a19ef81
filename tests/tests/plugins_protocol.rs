//! Protocols that C plugins bring: requests that they read, and answers in a form of their own.

use rsgi_tests::{Server, Setup, build_plugin};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

fn setup(protocol: &str) -> Setup {
    let setup = Setup::new();
    let plugin = build_plugin(setup.dir(), "protocol.c", include_str!("../c/protocol.c"));
    setup
        .args(["--plugin", plugin.to_str().expect("the path is text"), "--master"])
        .args(["--protocol", protocol, "--socket", "127.0.0.1:0"])
}

fn open(server: &Server) -> TcpStream {
    server.connect(server.port())
}

/// What comes until the end.
fn rest(mut stream: TcpStream) -> String {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).expect("an end in time");
    String::from_utf8(all).expect("it is text")
}

fn ask(server: &Server, text: &str) -> String {
    let mut stream = open(server);
    stream.write_all(text.as_bytes()).expect("it takes it");
    rest(stream)
}

const HEAD: &str = "head 23:status 200 OK;X-Pieces.,";

#[test]
fn a_plugin_reads_requests_and_gives_answers_their_form() {
    let mut server = setup("netstrings").args(["--threads", "2"]).start();
    server.wait_log("set up for netstrings\n", 1);
    assert_eq!(ask(&server, "/ 0\n"), HEAD);
    assert_eq!(
        ask(&server, "/ 3\nabc"),
        format!("{HEAD}3:abc,"),
        "it came with the line"
    );
    server.wait_log("closed after 1 pieces\n", 2);
    let missing = ask(&server, "/crash 0\n");
    assert!(
        missing.starts_with("head ") && missing.contains("status 500 Internal Server Error"),
        "{missing}"
    );
    assert_eq!(
        ask(&server, "/bad 0\n"),
        HEAD,
        "a header that it refuses is an error to the application"
    );
    assert_eq!(ask(&server, "no blank\n"), "", "it ends what is no request");
    assert_eq!(ask(&server, "/ x\n"), "");
    server.wait_log("invalid request", 1);
    assert_eq!(
        ask(&server, "/ 1\n1"),
        format!("{HEAD}1:1,"),
        "the others notice nothing"
    );
}

#[test]
fn one_that_crashes_is_named() {
    let mut server = setup("netstrings").args(["-p", "2"]).start();
    assert_eq!(ask(&server, "/abort 0\n"), "");
    server.wait_log("plugin protocol: abort in its protocol netstrings", 1);
    assert_eq!(ask(&server, "/ 0\n"), HEAD);
}

#[test]
fn a_request_may_come_in_pieces() {
    let mut server = setup("netstrings").start();
    let mut slow = open(&server);
    slow.write_all(b"/sl").expect("it takes it");
    // the worker serves others meanwhile
    assert_eq!(ask(&server, "/ 0\n"), HEAD);
    slow.write_all(b"ow 6\nab").expect("it takes it");
    server.wait_log("has read a line\n", 2);
    slow.write_all(b"cdef").expect("it takes it");
    // what did not come with the line is read by the plugin's function for bodies
    assert_eq!(rest(slow), format!("{HEAD}6:abCDEF,"));
    server.wait_log("closed after 2 pieces\n", 1);
}

#[test]
fn answers_of_any_length_and_files_go_through_it() {
    let server = setup("netstrings").file("big", &"f".repeat(300_000)).start();
    let mut slow = open(&server);
    slow.write_all(b"/long 0\n").expect("it takes it");
    let text = rest(slow);
    let body = text.strip_prefix(HEAD).expect("a head");
    assert_eq!(body.len(), "4194304:,".len() + 4 * 1024 * 1024);
    assert!(body.ends_with("zz,"));
    let file = ask(&server, "/file 0\n");
    let file = file.strip_prefix(HEAD).expect("a head");
    assert_eq!(file.matches('f').count(), 300_000);
    assert!(!file.contains("300000:"), "piece by piece");
}

#[test]
fn one_that_keeps_still_or_goes_is_closed() {
    let mut server = setup("netstrings").args(["--socket-timeout", "1"]).start();
    let mut still = open(&server);
    still.write_all(b"/").expect("it takes it");
    assert_eq!(rest(still), "");
    server.wait_log("closed after 1 pieces\n", 1);
    let gone = open(&server);
    gone.shutdown(Shutdown::Write).expect("it can");
    assert_eq!(rest(gone), "");
    server.wait_log("closed after 0 pieces\n", 1);
    assert_eq!(ask(&server, "/ 0\n"), HEAD);
}

#[test]
fn what_is_left_out_is_as_http_has_it() {
    let server = setup("plain").start();
    assert_eq!(ask(&server, "/ 2\nab"), "HTTP/1.0 200 OK\r\nX-Pieces: 1\r\n\r\nab");
    let server = setup("base").start();
    assert_eq!(ask(&server, "/ 2\nab"), "Status: 200 OK\r\nX-Pieces: 1\r\n\r\nab");
}

#[test]
fn what_cannot_be_spoken_ends_the_start() {
    let ended = setup("deaf").run();
    assert_eq!(ended.code, 1, "{}", ended.output);
    assert!(
        ended
            .output
            .contains("protocol deaf: its plugin sets no function that reads requests (uwsgi_socket.proto)"),
        "{}",
        ended.output
    );
    let ended = setup("telepathy").run();
    assert!(ended.code > 0, "{}", ended.output);
    assert!(
        ended.output.contains("unknown protocol \"telepathy\"")
            && ended.output.contains("raw, netstrings, deaf, plain, base"),
        "{}",
        ended.output
    );
}

#[test]
fn workers_with_an_event_loop_say_that_they_do_not_serve_it() {
    let app = "async def application(scope, receive, send): pass\n";
    let mut server = setup("netstrings")
        .file("app.py", app)
        .args(["--asgi", "app:application"])
        .start();
    assert_eq!(rest(open(&server)), "");
    server.wait_log("no connection of protocol netstrings is served", 1);
}
