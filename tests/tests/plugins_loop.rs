//! Loop engines of C plugins: a worker's requests are accepted, parsed and closed by functions that the engine calls.

use rsgi_tests::{Server, Setup, build_plugin, wait_for};
use std::io::{Read, Write};
use std::net::TcpStream;

fn setup(engine: &str) -> Setup {
    let setup = Setup::new();
    let plugin = build_plugin(setup.dir(), "loop.c", include_str!("../c/loop.c"));
    setup
        .args(["--plugin", plugin.to_str().expect("the path is text"), "--master"])
        .args(["--http-socket", "127.0.0.1:0", "--http-socket-modifier1", "202"])
        .args(["--loop", engine])
}

fn answer(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

#[test]
fn an_engine_serves_several_requests_at_a_time() {
    let mut server = setup("in-c")
        .args(["--async", "8", "--route", "^/ruled break:403 Forbidden"])
        .start();
    server.wait_log("engine with 1 sockets\n", 1);
    let connect = |server: &Server| TcpStream::connect(("127.0.0.1", server.port())).expect("a listener");
    // a head that comes in two parts holds up nobody
    let mut slow = connect(&server);
    slow.write_all(b"GET /slow HTTP/1.1\r\n").expect("written");
    assert_eq!(server.get("/fast").text(), "1 /fast ");
    slow.write_all(b"Host: x\r\n\r\n").expect("written");
    let slow = answer(slow);
    assert!(
        slow.starts_with("HTTP/1.1 200 OK\r\n") && slow.contains("Connection: close\r\n"),
        "{slow}"
    );
    assert!(slow.contains("1 /slow"), "{slow}");
    let mut with_body = connect(&server);
    let head = b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\ndata";
    with_body.write_all(head).expect("written");
    assert!(answer(with_body).contains("1 /body data"));
    assert_eq!(server.get("/ruled").status, 403);
    let mut broken = connect(&server);
    broken.write_all(b"nonsense\r\n\r\n").expect("written");
    assert!(answer(broken).starts_with("HTTP/1.1 400 "));
    // the log line, the counters
    server.wait_log("GET /fast =>", 1);
    let pid = server.workers()[0].1;
    server.signal(libc::SIGHUP);
    server.wait_log("engine ends\n", 1);
    wait_for("another worker", || (server.workers()[0].1 != pid).then_some(()));
    assert_eq!(server.get("/again").text(), "1 /again ");
}

#[test]
fn an_engine_may_have_a_thread_for_each_core() {
    let server = setup("threads-in-c").args(["--threads", "3"]).start();
    for path in ["/1", "/2", "/3", "/4", "/5"] {
        assert_eq!(server.get(path).text(), format!("1 {path} "));
    }
}

#[test]
fn engines_are_listed_and_unknown_ones_refused() {
    let ended = setup("in-c").args(["--loop-list", "--no-server"]).run();
    assert!(ended.output.contains("\nin-c\nthreads-in-c\n"), "{}", ended.output);
    let ended = setup("outer").run();
    assert_eq!(ended.code, 1);
    assert!(
        ended.output.contains("outer: there are gevent and asyncio and in-c"),
        "{}",
        ended.output
    );
}
