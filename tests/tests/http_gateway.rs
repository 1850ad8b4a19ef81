//! The http plugin in front of real workers: what clients of `--http` see, also while workers and gateways come and go.

use rsgi_tests::http::{connect, exchange, get, post, read_response};
use rsgi_tests::load::{Load, Seen};
use rsgi_tests::{Server, Setup, is_alive, send, wait_for};
use std::io::{BufReader, Read, Write};
use std::time::{Duration, Instant};

const APP: &str = r#"
import os, time
def application(e, sr):
    path = e["PATH_INFO"]
    body = b"hello"
    if path == "/pid":
        body = str(os.getpid()).encode()
    elif path == "/env":
        body = "\n".join("%s=%s" % (k, v) for k, v in e.items() if isinstance(v, str)).encode("latin1")
    elif path == "/sleep":
        print("asleep", flush=True)
        time.sleep(1)
    elif path == "/die":
        os._exit(3)
    elif path == "/body":
        body = str(sum(len(c) for c in iter(lambda: e["wsgi.input"].read(65536), b""))).encode()
    elif path == "/stream":
        sr("200 OK", [])
        return iter([b"one,", b"two,", b"three"])
    sr("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"#;

/// The pids of the gateways, by the log.
fn gateways(server: &Server) -> Vec<i32> {
    let log = server.log();
    let spawned = log.lines().filter_map(|line| line.split("spawned rsgi http ").nth(1));
    let pids = spawned.filter_map(|rest| rest.split("pid: ").nth(1)?.split(')').next()?.parse().ok());
    pids.filter(|pid| is_alive(*pid)).collect()
}

fn server(args: &[&str]) -> Server {
    let setup = Setup::new()
        .file("app.py", APP)
        .args(["--http", "127.0.0.1:0", "--wsgi-file", "@DIR@/app.py"]);
    let mut server = setup.args(args.iter().copied()).start();
    server.wait_log("spawned rsgi http", 1);
    server
}

/// Nothing but good answers, and some.
fn untroubled(seen: &Seen) {
    assert!(
        seen.failures.is_empty(),
        "{:?}",
        &seen.failures[..seen.failures.len().min(5)]
    );
    assert!(!seen.bodies.is_empty());
}

#[test]
fn requests_carry_the_gateways_variables() {
    let server = server(&["--http-var", "EXTRA=more", "--http-server-name-as-http-host", "true"]);
    let port = server.gateway_port();
    let mut stream = connect(port);
    let mine = stream.local_addr().unwrap().port();
    let request = b"GET /env?a=%20b HTTP/1.1\r\nHost: named.test:81\r\nX_Evil: 1\r\nConnection: close\r\n\r\n";
    stream.write_all(request).unwrap();
    let env = read_response(&mut BufReader::new(stream), false)
        .unwrap()
        .unwrap()
        .text();
    for want in [
        "UWSGI_ROUTER=http".to_owned(),
        "EXTRA=more".to_owned(),
        "SERVER_NAME=named.test".to_owned(),
        "QUERY_STRING=a=%20b".to_owned(),
        "REMOTE_ADDR=127.0.0.1".to_owned(),
        format!("REMOTE_PORT={mine}"),
        format!("SERVER_PORT={port}"),
    ] {
        assert!(env.lines().any(|line| line == want), "{want} in:\n{env}");
    }
    assert!(!env.contains("X_EVIL"));
}

#[test]
fn bodies_and_streams_pass() {
    let server = server(&[]);
    let port = server.gateway_port();
    assert_eq!(post(port, "/body", &vec![b'x'; 3_000_000]).text(), "3000000");
    let chunked = b"POST /body HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nabcde\r\n0\r\n\r\n";
    assert_eq!(exchange(port, chunked).text(), "5");
    let stream = get(port, "/stream");
    assert_eq!(
        (stream.text().as_str(), stream.header("transfer-encoding")),
        ("one,two,three", Some("chunked"))
    );
    let old = exchange(port, b"GET /stream HTTP/1.0\r\n\r\n");
    assert_eq!(
        (old.text().as_str(), old.header("transfer-encoding")),
        ("one,two,three", None)
    );
    assert_eq!(exchange(port, b"GET / HTTP/1.1\r\n\r\n").status, 400);
}

#[test]
fn a_busy_worker_holds_nobody_up() {
    let server = server(&["-p", "2"]);
    let port = server.gateway_port();
    // Both workers have connections of the gateway by now.
    let warm = Load::start(port, "/", 4, true);
    warm.wait_answers(200);
    untroubled(&warm.finish());
    for _ in 0..3 {
        let slow = std::thread::spawn(move || get(port, "/sleep").status);
        std::thread::sleep(Duration::from_millis(100));
        let began = Instant::now();
        for _ in 0..20 {
            assert_eq!(get(port, "/").status, 200);
        }
        assert!(began.elapsed() < Duration::from_millis(700), "{:?}", began.elapsed());
        assert_eq!(slow.join().unwrap(), 200);
    }
}

#[test]
fn a_reload_is_not_noticed() {
    let mut server = server(&["-p", "2"]);
    let port = server.gateway_port();
    let (kept, single) = (Load::start(port, "/pid", 4, true), Load::start(port, "/pid", 2, false));
    for _ in 0..2 {
        kept.wait_answers(50);
        let (workers, old): (Vec<i32>, _) = (server.workers().iter().map(|w| w.1).collect(), gateways(&server));
        server.signal(libc::SIGHUP);
        server.wait_workers(2, &workers);
        wait_for("the old gateway to leave", || {
            old.iter().all(|pid| !is_alive(*pid)).then_some(())
        });
        kept.wait_answers(50);
        single.wait_answers(50);
    }
    for seen in [kept.finish(), single.finish()] {
        untroubled(&seen);
        assert_eq!(seen.refused, 0);
    }
}

#[test]
fn a_stop_finishes_what_was_taken() {
    let mut server = server(&["-p", "2"]);
    let port = server.gateway_port();
    let load = Load::start(port, "/", 4, true);
    load.wait_answers(50);
    let slow = std::thread::spawn(move || get(port, "/sleep").text());
    std::thread::sleep(Duration::from_millis(200));
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    assert_eq!(slow.join().unwrap(), "hello");
    untroubled(&load.finish());
}

#[test]
fn a_worker_that_dies_costs_one_answer() {
    let mut server = server(&["-p", "1"]);
    let port = server.gateway_port();
    assert_eq!(get(port, "/").status, 200);
    assert_eq!(get(port, "/die").status, 502);
    server.wait_log("no answer of the workers to /die", 1);
    assert_eq!(get(port, "/").status, 200);
}

#[test]
fn requests_that_lie_ready_at_a_worker_that_dies_are_served_by_the_next() {
    let mut server = server(&["--master", "--processes", "1"]);
    let port = server.gateway_port();
    let ask = |path: &'static str| std::thread::spawn(move || get(port, path));
    let slow = ask("/sleep");
    server.wait_log("asleep", 1);
    let deadly = [ask("/die"), ask("/die")];
    let harmless: Vec<_> = (0..12).map(|_| ask("/pid")).collect();
    let with_body: Vec<_> = (0..3)
        .map(|_| std::thread::spawn(move || post(port, "/body", b"four")))
        .collect();
    assert_eq!(slow.join().unwrap().text(), "hello");
    for client in deadly {
        assert_eq!(client.join().unwrap().status, 502);
    }
    for client in harmless {
        assert_eq!(client.join().unwrap().status, 200);
    }
    for client in with_body {
        assert_eq!(client.join().unwrap().text(), "4", "{}", server.log());
    }
}

#[test]
fn a_gateway_that_dies_is_replaced_and_none_outlives_the_master() {
    let mut server = server(&["--http-processes", "2"]);
    server.wait_log("spawned rsgi http 2", 1);
    let port = server.gateway_port();
    let old = gateways(&server);
    assert_eq!(old.len(), 2);
    send(old[0], libc::SIGKILL);
    let new = wait_for("a new gateway", || {
        let now = gateways(&server);
        (now.len() == 2 && now != old).then_some(now)
    });
    for _ in 0..20 {
        assert_eq!(get(port, "/").status, 200);
    }
    // One that is told to leave, by hand, is replaced too.
    send(new[0], libc::SIGHUP);
    let new = wait_for("a newer gateway", || {
        let now = gateways(&server);
        (now.len() == 2 && now != new).then_some(now)
    });
    for _ in 0..20 {
        assert_eq!(get(port, "/").status, 200);
    }
    server.signal(libc::SIGKILL);
    wait_for("the gateways to end", || {
        new.iter().all(|pid| !is_alive(*pid)).then_some(())
    });
}

#[test]
fn foreign_backends_get_plain_packets() {
    let server = server(&["--socket", "@DIR@/u.sock", "--http-to", "@DIR@/u.sock"]);
    let port = server.gateway_port();
    let mut reader = BufReader::new(connect(port));
    for _ in 0..3 {
        reader
            .get_mut()
            .write_all(b"GET /stream HTTP/1.1\r\nHost: h\r\n\r\n")
            .unwrap();
        assert_eq!(
            read_response(&mut reader, false).unwrap().unwrap().text(),
            "one,two,three"
        );
    }
    assert_eq!(post(port, "/body", &[b'x'; 100_000]).text(), "100000");
}

#[test]
fn many_idle_clients_cost_little() {
    let server = server(&[]);
    let port = server.gateway_port();
    let idle: Vec<_> = (0..500)
        .map(|i| {
            let mut stream = connect(port);
            if i % 2 == 0 {
                stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nX-Dribble: ").unwrap();
            }
            stream
        })
        .collect();
    let began = Instant::now();
    assert_eq!(get(port, "/").status, 200);
    assert!(began.elapsed() < Duration::from_secs(1));
    let status = std::fs::read_to_string(format!("/proc/{}/statm", gateways(&server)[0])).unwrap();
    let pages: usize = status.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(pages < 16_000, "{pages} pages resident");
    drop(idle);
    assert_eq!(get(port, "/").status, 200);
}

#[test]
fn what_it_cannot_do_is_said() {
    let ended = Setup::new()
        .args(["--http", "127.0.0.1:0", "--http-timeout", "soon"])
        .run();
    assert!(ended.code != 0 && ended.output.contains("soon"), "{}", ended.output);
    let server = server(&["--http-zerg", "127.0.0.1:0"]);
    assert!(server.log().contains("--http-zerg is ignored"));
}

#[test]
fn unix_sockets_are_served() {
    let server = server(&["--http", "@DIR@/h.sock"]);
    let mut stream = std::os::unix::net::UnixStream::connect(server.dir().join("h.sock")).unwrap();
    stream.write_all(b"GET /env HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.contains("SERVER_PORT=80") && !answer.contains("REMOTE_PORT="),
        "{answer}"
    );
}

#[test]
fn a_gateway_alone_needs_no_socket_of_the_workers() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let setup = Setup::new().args(["--http", "127.0.0.1:0", "--http-to", &free.to_string()]);
    let mut server = setup.start_unready();
    server.wait_log("spawned rsgi http 1", 1);
    let answer = get(server.gateway_port(), "/");
    assert!(matches!(answer.status, 502 | 503), "{answer:?}");
    let backend = Setup::new()
        .file("app.py", APP)
        .args(["--wsgi-file", "@DIR@/app.py", "--socket", &free.to_string()]);
    let _backend = backend.start();
    assert_eq!(get(server.gateway_port(), "/").text(), "hello");
}
