//! WSGI applications on an event loop: `--gevent` and `--asyncio`, with what waits inside a request.
//!
//! gevent comes from PyPI; where it cannot be installed, that is said.

use rsgi_tests::http::{self, answer, connect, get, read_response, talk};
use rsgi_tests::websocket::Client;
use rsgi_tests::{Server, Setup, venv, wait_for};
use std::io::{BufReader, Read, Write};
use std::time::{Duration, Instant};

const APP: &str = r#"
import os, sys, time, uwsgi
SENT = 0
def nap(seconds):
    uwsgi.async_sleep(seconds)
def parts():
    global SENT
    for SENT in range(1, 1001):
        yield b"x" * 65536
def application(env, start):
    path = env["PATH_INFO"]
    uwsgi.set_logvar("who", path)
    if path == "/ws":
        uwsgi.websocket_handshake()
        try:
            while True: uwsgi.websocket_send(b"echo:" + uwsgi.websocket_recv())
        except OSError: print("WEBSOCKET ENDS", flush=True)
        return b""
    if path == "/flood":
        start("200 OK", [])
        return parts()
    if path == "/raise": raise ValueError("raised-in-greenlet")
    if path == "/late":
        try: nap(60)
        except TimeoutError:
            print("TOLD", flush=True)
            raise
    if path == "/nap": nap(float(env["QUERY_STRING"]))
    if path == "/iterate":
        start("200 OK", [])
        def slowly():
            for i in range(3):
                nap(0.05)
                yield b"%d" % i
        return slowly()
    body = env["wsgi.input"].read()
    answers = {"/sent": SENT, "/pid": os.getpid(), "/who": uwsgi.get_logvar("who"), "/loop": (uwsgi.loop, uwsgi.cores), "/length": len(body)}
    body = str(answers.get(path, "fine")).encode()
    start("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"#;

fn servers(args: &[&str]) -> Vec<Server> {
    let Some(venv) = venv::with(&["gevent"]) else {
        return Vec::new();
    };
    let start = |engine: &str| {
        let setup = Setup::new()
            .wsgi(APP)
            .args(["--http", "127.0.0.1:0", "--virtualenv", venv::argument(&venv)]);
        let mut server = setup.args([engine, "10"]).args(args.iter().copied()).start();
        server.wait_log("spawned rsgi http", 1);
        server
    };
    ["--gevent", "--asyncio"].into_iter().map(start).collect()
}

#[test]
fn many_requests_wait_at_a_time_and_no_more_than_allowed() {
    for server in servers(&[]) {
        for port in server.ports() {
            let begin = Instant::now();
            let mut readers: Vec<_> = (0..20)
                .map(|_| talk(port, "GET /nap?0.3 HTTP/1.1\r\nHost: h\r\n\r\n"))
                .collect();
            for reader in &mut readers {
                assert_eq!(answer(reader).text(), "fine");
            }
            // ten at a time
            let took = begin.elapsed();
            assert!(
                (Duration::from_millis(600)..Duration::from_secs(4)).contains(&took),
                "{took:?}"
            );
            assert_eq!(get(port, "/iterate").text(), "012");
            assert_eq!(get(port, "/who").text(), "b'/who'");
            assert_eq!(http::post(port, "/length", &vec![b'x'; 3_000_000]).text(), "3000000");
            assert_eq!(get(port, "/raise").status, 500);
        }
        let loops = get(server.port(), "/loop").text();
        assert!(
            ["(b'gevent', 10)", "(b'asyncio', 10)"].contains(&loops.as_str()),
            "{loops}"
        );
    }
}

#[test]
fn slow_clients_hold_up_their_own_greenlet_only() {
    for server in servers(&[]) {
        let port = server.port();
        let mut stream = connect(port);
        stream
            .write_all(b"GET /flood HTTP/1.0\r\nHost: h\r\n\r\n")
            .expect("it reads");
        let mut slow = connect(port);
        slow.write_all(b"POST /length HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab")
            .expect("it reads");
        let mut last = -1;
        let sent = wait_for("the flood to stop", || {
            let now: i32 = get(port, "/sent").text().parse().expect("a number");
            std::thread::sleep(Duration::from_millis(50));
            (std::mem::replace(&mut last, now) == now && now > 0).then_some(now)
        });
        assert!(sent < 1000, "{sent}");
        slow.write_all(b"cd").expect("it reads");
        assert_eq!(
            read_response(&mut BufReader::new(slow), false)
                .expect("HTTP")
                .expect("an answer")
                .text(),
            "4"
        );
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("an answer");
        assert!(all.len() > 65_536_000);
    }
}

#[test]
fn websockets_share_a_worker() {
    for mut server in servers(&[]) {
        let mut clients: Vec<Client> = [server.port(), server.gateway_port(), server.port()]
            .into_iter()
            .map(|port| Client::open(port, "/ws", ""))
            .collect();
        for client in &mut clients {
            client.send(0x81, b"hello");
        }
        for client in clients.iter_mut().rev() {
            assert_eq!(client.text(), "echo:hello");
        }
        clients[0].send(0x88, &1000u16.to_be_bytes());
        assert_eq!(clients[0].close_code(), 1000);
        server.wait_log("WEBSOCKET ENDS", 1);
        server.signal(libc::SIGTERM);
        assert_eq!(clients[1].close_code(), 1012);
        drop(clients);
        assert_eq!(server.wait_exit().code(), Some(0), "{}", server.log());
        assert_eq!(server.log().matches("WEBSOCKET ENDS").count(), 3, "{}", server.log());
        assert!(!server.log().contains("Traceback"), "{}", server.log());
    }
}

#[test]
fn a_greenlet_that_is_late_is_told() {
    for mut server in servers(&["--harakiri", "2"]) {
        assert_eq!(get(server.port(), "/late").status, 500);
        server.wait_log("TOLD", 1);
        assert_eq!(get(server.port(), "/pid").status, 200);
        assert_eq!(server.log().matches("spawned rsgi worker").count(), 1);
    }
}

#[test]
fn stops_and_reloads_wait_for_greenlets() {
    for mut server in servers(&[]) {
        let old = get(server.port(), "/pid").text();
        let mut stream = connect(server.port());
        stream
            .write_all(b"GET /nap?0.5 HTTP/1.1\r\nHost: h\r\n\r\n")
            .expect("it reads");
        get(server.port(), "/pid");
        server.signal(libc::SIGHUP);
        let answer = read_response(&mut BufReader::new(stream), false)
            .expect("HTTP")
            .expect("an answer");
        assert_eq!(answer.text(), "fine");
        wait_for("the new worker", || {
            (get(server.port(), "/pid").text() != old).then_some(())
        });
        server.signal(libc::SIGTERM);
        assert_eq!(server.wait_exit().code(), Some(0), "{}", server.log());
    }
}

#[test]
fn wrong_engines_are_refused() {
    for (args, wanted) in [
        (&["--loop", "nope"][..], "nope: there are gevent and asyncio"),
        (&["--gevent", "none"], "--gevent takes a number of greenlets"),
        (&["--gevent", "3", "--asyncio", "3"], "exclude each other"),
    ] {
        let ended = Setup::new().wsgi(APP).args(args.iter().copied()).run();
        assert_eq!(ended.code, 1, "{}", ended.output);
        assert!(ended.output.contains(wanted), "{}", ended.output);
    }
}
