//! Loop engines of C plugins: a worker's requests are accepted, parsed and closed by functions that the engine calls.

use rsgi_tests::http::read_response;
use rsgi_tests::{Server, Setup, build_plugin, wait_for};
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;

fn setup(engine: &str) -> Setup {
    let setup = Setup::new();
    let plugin = build_plugin(setup.dir(), "loop.c", include_str!("../c/loop.c"));
    setup
        .args(["--plugin", plugin.to_str().expect("the path is text"), "--master"])
        .args(["--http-socket", "127.0.0.1:0", "--http-socket-modifier1", "202"])
        .args(["--loop", engine])
}

/// The body of the next answer of a connection that stays open.
fn next(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream.try_clone().expect("a descriptor"));
    let response = read_response(&mut reader, false).expect("an answer");
    response.expect("an answer").text()
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
    let text = next(&slow);
    assert_eq!(text, "1 /slow ");
    let mut with_body = connect(&server);
    let head = b"POST /body HTTP/1.0\r\nHost: x\r\nContent-Length: 4\r\n\r\ndata";
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

/// Engines, and what they need.
const ENGINES: [(&str, &[&str]); 3] = [
    ("in-c", &["--async", "8"]),
    ("threads-in-c", &["--threads", "3"]),
    ("threads-in-c", &[]),
];

#[test]
fn a_connection_goes_on_with_further_requests() {
    for (engine, args) in ENGINES {
        let server = setup(engine).args(args.iter().copied()).start();
        let mut kept = server.connect(server.port());
        let mut other = server.connect(server.port());
        for n in 0..20 {
            write!(kept, "GET /{n} HTTP/1.1\r\nHost: x\r\n\r\n").expect("written");
            assert_eq!(next(&kept), format!("1 /{n} "), "{engine}");
            write!(other, "POST /b{n} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\ndata").expect("written");
            assert_eq!(next(&other), format!("1 /b{n} data"), "{engine}");
        }
        // what the client wants to end ends
        write!(kept, "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("written");
        let last = answer(kept);
        assert!(last.contains("Connection: close\r\n"), "{last}");
        // a second request behind the first is the client's to send again
        write!(
            other,
            "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        .expect("written");
        let one = answer(other);
        assert!(one.contains("1 /a") && !one.contains("1 /b"), "{one}");
        assert!(one.contains("Connection: close\r\n"), "{one}");
    }
}

#[test]
fn a_slow_client_holds_up_no_other() {
    for (engine, args) in ENGINES {
        let server = setup(engine)
            .args(args.iter().copied())
            .args(["--socket-timeout", "4"])
            .start();
        let mut slow: Vec<TcpStream> = (0..12).map(|_| server.connect(server.port())).collect();
        for (n, stream) in slow.iter_mut().enumerate() {
            // nothing, a part of a head, a head without its end
            let part: &[u8] = [&b""[..], b"GE", b"GET /slow HTTP/1.1\r\nHost: x\r\n"][n % 3];
            stream.write_all(part).expect("written");
        }
        let began = std::time::Instant::now();
        for n in 0..10 {
            assert_eq!(server.get(&format!("/{n}")).text(), format!("1 /{n} "));
        }
        let took = began.elapsed();
        assert!(took < std::time::Duration::from_secs(2), "{engine}: {took:?}");
        // whoever goes on is served
        slow[2].write_all(b"\r\n").expect("written");
        assert_eq!(next(&slow[2]), "1 /slow ");
        slow[1].write_all(b"T /rest HTTP/1.0\r\n\r\n").expect("written");
        assert!(answer(slow.swap_remove(1)).contains("1 /rest"));
    }
}

#[test]
fn a_head_that_takes_too_long_is_refused() {
    for (engine, args) in ENGINES {
        // three times this is what a head may take
        let server = setup(engine)
            .args(args.iter().copied())
            .args(["--socket-timeout", "1"])
            .start();
        let mut stream = server.connect(server.port());
        stream.write_all(b"GET / HTTP/1.1\r\n").expect("written");
        assert!(answer(stream).starts_with("HTTP/1.1 408 "), "{engine}");
    }
}

#[test]
fn a_stop_and_a_reload_close_kept_connections() {
    for signal in [libc::SIGHUP, libc::SIGTERM] {
        for (engine, args) in ENGINES {
            let mut server = setup(engine).args(args.iter().copied()).start();
            let mut kept = server.connect(server.port());
            write!(kept, "GET /kept HTTP/1.1\r\nHost: x\r\n\r\n").expect("written");
            assert_eq!(next(&kept), "1 /kept ");
            let pid = server.workers()[0].1;
            server.signal(signal);
            assert_eq!(kept.read(&mut [0]).unwrap_or(0), 0, "{engine}");
            match signal {
                libc::SIGHUP => {
                    wait_for("another worker", || (server.workers()[0].1 != pid).then_some(()));
                    assert_eq!(server.get("/again").text(), "1 /again ");
                }
                _ => assert_eq!(server.wait_exit().code(), Some(0)),
            }
        }
    }
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
