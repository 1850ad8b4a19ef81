//! The statistics server: who asks what, and what the figures say.

use rsgi_tests::{Server, Setup, wait_for};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const APP: &str = "
import time, uwsgi
def application(env, start_response):
    path = env['PATH_INFO']
    if path.startswith('/sleep/'):
        time.sleep(float(path[7:]))
    if path == '/raise':
        raise ValueError('asked for')
    start_response('200 OK', [('Content-Type', 'text/plain')])
    if path == '/workers':
        return [repr([(w['id'], w['apps'][0]['requests'], w['apps'][0]['exceptions']) for w in uwsgi.workers()]).encode()]
    return [b'hello']
";

/// All that a stats socket sends, spaces and line ends taken out of what stands between the members.
fn stats(server: &Server) -> String {
    text(server, b"")
}

fn port(server: &Server) -> u16 {
    let log = server.log();
    let rest = log
        .split("Stats server enabled on 127.0.0.1:")
        .nth(1)
        .unwrap_or_else(|| panic!("{log}"));
    rest.split(' ').next().and_then(|p| p.parse().ok()).expect("a port")
}

fn text(server: &Server, send: &[u8]) -> String {
    read(TcpStream::connect(("127.0.0.1", port(server))).unwrap(), send)
}

fn read(mut stream: impl Read + Write, send: &[u8]) -> String {
    stream.write_all(send).unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    all.replace(['\n', '\t'], "")
}

fn start(args: &[&str]) -> Server {
    let setup = Setup::new()
        .wsgi(APP)
        .args(["--stats", "127.0.0.1:0", "--stats", "@DIR@/stats.sock"]);
    setup.args(args.iter().copied()).start()
}

fn wait_stats(server: &Server, part: &str) -> String {
    wait_for(part, || Some(stats(server)).filter(|s| s.contains(part)))
}

#[test]
fn counters_are_of_workers_apps_and_cores() {
    let server = start(&["-p", "2"]);
    for _ in 0..3 {
        server.get("/");
    }
    server.get("/raise");
    let all = wait_for("the counters", || {
        let all = stats(&server);
        let of = |name: &str| -> u64 {
            let mark = format!("\"{name}\":");
            all.split(&mark)
                .skip(1)
                .filter_map(|r| r.split([',', '}']).next()?.parse::<u64>().ok())
                .sum()
        };
        // in each worker, its app and its core
        (of("requests") == 12 && of("exceptions") == 2).then_some(all)
    });
    assert!(all.starts_with("{\"version\":\""), "{all}");
    assert!(all.contains(&format!("\"pid\":{}", server.pid())));
    assert!(all.contains(&format!("\"name\":\"127.0.0.1:{}\",\"proto\":\"http\"", server.port())));
    // Python reads the same figures
    let workers = String::from_utf8(server.get("/workers").body).unwrap();
    let figures: Vec<u64> = workers
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|n| n.parse().ok())
        .collect();
    assert_eq!(figures.len(), 6, "{workers}");
    assert_eq!((figures[1] + figures[4], figures[2] + figures[5]), (4, 1), "{workers}");
}

#[test]
fn a_busy_core_shows_its_request_and_an_idle_one_nothing() {
    let server = start(&["-p", "1"]);
    let port = server.port();
    let slow = std::thread::spawn(move || rsgi_tests::http::get(port, "/sleep/1?q=1"));
    let busy = wait_stats(&server, "\"status\":\"busy\"");
    assert!(
        busy.contains("\"REQUEST_URI=/sleep/1?q=1\"") && busy.contains("\"REQUEST_METHOD=GET\""),
        "{busy}"
    );
    assert!(busy.contains("\"req_info\":{\"request_start\":1"), "{busy}");
    assert_eq!(slow.join().unwrap().status, 200);
    let idle = wait_stats(&server, "\"status\":\"idle\"");
    assert!(idle.contains("\"vars\":[],\"req_info\":{}"), "{idle}");
}

#[test]
fn http_minified_and_without_cores() {
    let server = start(&["--stats-http", "--stats-minified", "--stats-no-cores"]);
    let body = wait_for("the worker to publish its application", || {
        let answer = rsgi_tests::http::get(port(&server), "/");
        assert_eq!(answer.status, 200);
        Some(answer.text()).filter(|text| text.contains("\"apps\":[{\"id\":0,"))
    });
    assert!(
        body.starts_with("{\"version\":\"") && !body.contains('\n') && !body.contains("\"cores\""),
        "{body}"
    );
}

#[test]
fn every_socket_answers_and_after_a_reload_too() {
    let mut server = start(&["-p", "1"]);
    let path = server.dir().join("stats.sock");
    let unix = |send: &[u8]| read(std::os::unix::net::UnixStream::connect(&path).unwrap(), send);
    assert!(unix(b"").contains("\"workers\":[{\"id\":1,"));
    let (old, port) = (server.workers()[0].1, port(&server));
    server.signal(libc::SIGHUP);
    let new = server.wait_workers(1, &[old])[0].1;
    wait_for("the new image", || {
        stats(&server).contains(&format!("\"pid\":{new},")).then_some(())
    });
    assert!(unix(b"").contains(&format!("\"pid\":{new},")));
    assert_eq!(port, self::port(&server));
}

#[test]
fn clients_that_send_or_do_not_read_disturb_nobody() {
    let server = start(&["-p", "1"]);
    let noise = vec![b'x'; 20_000];
    assert!(text(&server, &noise).contains("\"workers\":"));
    let silent: Vec<_> = (0..80)
        .filter_map(|_| TcpStream::connect(("127.0.0.1", port(&server))).ok())
        .collect();
    assert!(silent.len() > 60);
    assert_eq!(server.get("/").status, 200);
    drop(silent);
    assert!(wait_stats(&server, "\"requests\":1").contains("\"workers\":"));
}

#[test]
fn workers_do_not_hold_the_sockets_of_the_master() {
    let mut server = start(&["-p", "1"]);
    let worker = server.workers()[0].1;
    let port = port(&server);
    server.signal(libc::SIGKILL);
    server.wait_exit();
    // the kernel ends the worker with its master; what counts is that nothing listens meanwhile
    wait_for("the port to be free", || {
        std::net::TcpListener::bind(("127.0.0.1", port)).ok().map(drop)
    });
    wait_for("the worker to end", || (!rsgi_tests::is_alive(worker)).then_some(()));
    std::thread::sleep(Duration::from_millis(10));
}

#[test]
fn pause_is_a_status() {
    let server = start(&["-p", "1"]);
    server.signal(libc::SIGTSTP);
    wait_stats(&server, "\"status\":\"pause\"");
    server.signal(libc::SIGTSTP);
    wait_stats(&server, "\"status\":\"idle\"");
}

#[test]
fn a_stats_socket_speaks_http_to_those_who_do() {
    let server = start(&["-p", "2"]);
    server.get("/");
    let metrics = wait_for("the request to be counted", || {
        let response = rsgi_tests::http::get(port(&server), "/metrics");
        Some(response).filter(|r| {
            r.text().contains("uwsgi_worker_requests_total{worker_id=\"1\"} 1")
                || r.text().contains("uwsgi_worker_requests_total{worker_id=\"2\"} 1")
        })
    });
    assert_eq!(
        metrics.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let text = metrics.text();
    assert!(text.contains("uwsgi_workers_status{status=\"idle\"} 2"), "{text}");
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').expect("name and value");
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
    let json = rsgi_tests::http::get(port(&server), "/");
    assert_eq!(json.header("content-type"), Some("application/json"));
    // and a client that speaks in pieces is waited for
    let mut stream = TcpStream::connect(("127.0.0.1", port(&server))).unwrap();
    stream.write_all(b"GE").unwrap();
    std::thread::sleep(Duration::from_millis(40));
    assert!(read(stream, b"T /metrics HTTP/1.0\r\n\r\n").contains("uwsgi_up 1"));
}

#[test]
fn metrics_are_there_when_asked_for_and_each_has_a_number_of_its_own() {
    let server = start(&["-p", "2", "--enable-metrics"]);
    assert_eq!(server.get("/raise").status, 500);
    server.get("/");
    let text = wait_stats(
        &server,
        "\"worker.0.requests\":{\"type\":0,\"oid\":\"3.0.1\",\"value\":2}",
    );
    assert!(
        text.contains("\"core.idle_workers\":{\"type\":1,\"oid\":\"5.4\",\"value\":2}"),
        "{text}"
    );
    let metrics = text.split("\"metrics\":{").nth(1).expect("they are there");
    let metrics = metrics
        .split("\"rss_size\":{\"type\":3")
        .next()
        .expect("aliases come last");
    let mut numbers: Vec<&str> = metrics
        .split("\"oid\":\"")
        .skip(1)
        .filter_map(|m| m.split('"').next())
        .collect();
    let count = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), count);
    assert!(!stats(&start(&["-p", "1"])).contains("metrics"));
}

fn health_port(server: &Server) -> u16 {
    let log = server.log();
    let rest = log.split("health endpoint on 127.0.0.1:").nth(1).expect("it is said");
    rest.split(' ').next().and_then(|p| p.parse().ok()).expect("a port")
}

#[test]
fn health_is_answered_while_all_workers_are_busy() {
    let server = Setup::new()
        .wsgi(APP)
        .args(["-p", "1", "--health", "127.0.0.1:0"])
        .start();
    let health = health_port(&server);
    wait_for("the worker", || {
        (rsgi_tests::http::get(health, "/ready").status == 200).then_some(())
    });
    let port = server.port();
    let busy = std::thread::spawn(move || rsgi_tests::http::get(port, "/sleep/2").status);
    wait_for("the worker to be busy", || {
        rsgi_tests::http::get(health, "/metrics")
            .text()
            .contains("uwsgi_workers_status{status=\"busy\"} 1")
            .then_some(())
    });
    for path in ["/health", "/ready", "/"] {
        let began = std::time::Instant::now();
        assert_eq!(rsgi_tests::http::get(health, path).status, 200, "{path}");
        assert!(
            began.elapsed() < Duration::from_millis(500),
            "{path}: {:?}",
            began.elapsed()
        );
    }
    assert_eq!(rsgi_tests::http::get(health, "/stats").status, 404);
    assert_eq!(busy.join().unwrap(), 200);
}

#[test]
fn readiness_says_what_is_missing() {
    let mut server = Setup::new()
        .wsgi(&format!(
            "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\n{APP}"
        ))
        .args(["-p", "1", "--lazy-apps", "--health", "127.0.0.1:0"])
        .start_unready();
    server.wait_log("spawned rsgi worker 1", 1);
    let health = health_port(&server);
    let starting = rsgi_tests::http::get(health, "/ready");
    assert_eq!((starting.status, starting.text().contains("starting")), (503, true));
    assert_eq!(rsgi_tests::http::get(health, "/health").status, 200);
    std::fs::write(server.dir().join("go"), "").unwrap();
    wait_for("readiness", || {
        (rsgi_tests::http::get(health, "/ready").status == 200).then_some(())
    });
    server.signal(libc::SIGTSTP);
    wait_for("the pause", || {
        (rsgi_tests::http::get(health, "/ready").status == 503).then_some(())
    });
}
