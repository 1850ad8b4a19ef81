//! Foreign servers behind the gateway: who takes over, who is passed over, and what `--http-stats` tells of it.

use rsgi_tests::http::{connect, get, post};
use rsgi_tests::{Server, Setup, wait_for};
use std::io::{Read, Write};

fn backend(name: &str) -> Server {
    let app = format!("def application(e, sr):\n    sr('200 OK', [])\n    return [b'{name}']\n");
    Setup::new().wsgi(&app).args(["--socket", "127.0.0.1:0"]).start()
}

/// A port that nobody listens on.
fn dead() -> String {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("an address").to_string()
}

fn gateway(args: &[&str]) -> (Server, u16) {
    let setup = Setup::new().args(["--master", "--http", "127.0.0.1:0", "--processes", "1"]);
    let setup = setup.args(["--http-stats", "127.0.0.1:0"]);
    let mut server = setup.args(args.iter().copied()).start_unready();
    server.wait_log("spawned rsgi http", 1);
    let log = server.log();
    let bound = log
        .lines()
        .filter_map(|line| line.split("gateway bound on 127.0.0.1:").nth(1));
    let ports: Vec<u16> = bound.filter_map(|rest| rest.split(' ').next()?.parse().ok()).collect();
    assert_eq!(ports.len(), 2, "{log}");
    assert_eq!(ports[0], server.gateway_port());
    (server, ports[1])
}

/// What a client that says `request` reads.
fn figures(port: u16, request: &[u8]) -> String {
    let mut stream = connect(port);
    stream.write_all(request).expect("a server");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it ends");
    text
}

#[test]
fn figures_are_given_to_whoever_asks_and_to_who_says_nothing() {
    let one = backend("one");
    let node = format!("127.0.0.1:{}", one.port_of_socket(1));
    let (server, stats) = gateway(&["--http-to", &node, "--metrics-dir", "@DIR@"]);
    for _ in 0..3 {
        assert_eq!(get(server.gateway_port(), "/").text(), "one");
    }
    post(server.gateway_port(), "/", b"more");
    let text = figures(stats, b"");
    assert!(text.starts_with('{') && text.trim_end().ends_with('}'), "{text}");
    for figure in [
        "\"requests\": 4",
        "\"connections\": 4",
        "\"failures\": 0",
        "\"hits\": 4",
    ] {
        assert!(text.contains(figure), "{figure} in {text}");
    }
    assert!(text.contains(&format!("\"name\": \"{node}\"")), "{text}");
    let text = figures(stats, b"GET / HTTP/1.0\r\n\r\n");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    assert!(
        head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/json"),
        "{head}"
    );
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    wait_for("the metric", || {
        let value = std::fs::read_to_string(server.dir().join("gateway.http.requests")).ok()?;
        (value.trim().trim_end_matches('\0') == "4").then_some(())
    });
    assert!(figures(stats, b"rubbish\r\n\r\n").starts_with("HTTP/1.1 400"));
}

#[test]
fn the_fallback_serves_while_the_others_are_down_and_no_longer() {
    let (gone, two) = (dead(), backend("two"));
    let spare = format!("127.0.0.1:{}", two.port_of_socket(1));
    let (server, stats) = gateway(&["--http-to", &gone, "--http-fallback", &spare, "--http-gracetime", "1"]);
    for _ in 0..5 {
        assert_eq!(get(server.gateway_port(), "/").text(), "two");
    }
    let text = figures(stats, b"");
    assert!(text.contains("\"alive\": false"), "{text}");
    // it comes back, and is found
    let app = "def application(e, sr):\n    sr('200 OK', [])\n    return [b'one']\n";
    let _one = Setup::new().wsgi(app).args(["--socket", &gone]).start();
    wait_for("the first server", || {
        (get(server.gateway_port(), "/").text() == "one").then_some(())
    });
}

#[test]
fn what_makes_no_sense_ends_the_start() {
    for (args, why) in [
        (&["--http-stats", "127.0.0.1:0"][..], "add http = ADDRESS"),
        (
            &["--http", "127.0.0.1:0", "--http-fallback", "127.0.0.1:1"],
            "add http-to",
        ),
        (&["--http", "127.0.0.1:0", "--http-to", "127.0.0.1:x"], "give host:port"),
    ] {
        let ended = Setup::new().args(args.iter().copied()).args(["--master"]).run();
        assert!(ended.code > 0 && ended.output.contains(why), "{}", ended.output);
    }
}

#[test]
fn servers_are_asked_whether_they_are_there() {
    let (one, two) = (backend("one"), backend("two"));
    let (first, second) = (one.port_of_socket(1), two.port_of_socket(1));
    // one that lets clients in and says nothing
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = (silent.local_addr().expect("an address").to_string(), silent);
    let nodes: Vec<String> = [first, second].iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let (server, _) = gateway(&[
        "--http-to",
        &nodes[0],
        "--http-to",
        &nodes[1],
        "--http-to",
        &silent.0,
        "--http-to-check",
        "1",
        "--http-connect-timeout",
        "1",
    ]);
    let port = server.gateway_port();
    wait_for("the silent one to be found out", || {
        server
            .log()
            .contains(&format!("{} is not there: no answer in time", silent.0))
            .then_some(())
    });
    let whose = || get(port, "/").text();
    let all: Vec<String> = (0..6).map(|_| whose()).collect();
    assert!(all.contains(&"one".into()) && all.contains(&"two".into()), "{all:?}");
    drop(one);
    wait_for("the end of the first to be seen, without a request", || {
        server
            .log()
            .contains(&format!("{} is not there", nodes[0]))
            .then_some(())
    });
    assert!((0..4).all(|_| whose() == "two"));
    let app = "def application(e, sr):\n    sr('200 OK', [])\n    return [b'again']\n";
    let _again = Setup::new().wsgi(app).args(["--socket", &nodes[0]]).start();
    wait_for("it to be there again", || {
        server
            .log()
            .contains(&format!("{} is there again", nodes[0]))
            .then_some(())
    });
    wait_for("its turn", || (whose() == "again").then_some(()));
}
