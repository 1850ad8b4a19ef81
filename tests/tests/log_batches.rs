//! Lines of requests that leave in one write: each once, in order, and none lost by whoever is killed or hangs.

use rsgi_tests::{Server, Setup, http, wait_for};
use std::io::{BufReader, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};

const APP: &str = "
import os, sys, time
def application(env, start_response):
    path = env['PATH_INFO']
    if path == '/hang':
        time.sleep(60)
    if path == '/print':
        sys.stderr.write('printed\\n')
        import uwsgi
        uwsgi.log('said')
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', '1')])
    return [b'x']
";

fn serve(args: &[&str]) -> Server {
    Setup::new()
        .wsgi(APP)
        .args(["-p", "2"])
        .args(args.iter().copied())
        .start()
}

/// The numbers behind `/` in the lines of requests, in their order.
fn numbers(log: &str) -> Vec<u64> {
    let uri = |line: &str| Some(line.split_once("GET /")?.1.split_once(' ')?.0.to_owned());
    log.lines().filter_map(uri).filter_map(|n| n.parse().ok()).collect()
}

fn ask(stream: &mut std::net::TcpStream, from: u64, count: u64) {
    let requests: String = (from..from + count)
        .map(|n| format!("GET /{n} HTTP/1.1\r\nHost: x\r\n\r\n"))
        .collect();
    stream.write_all(requests.as_bytes()).expect("the server reads");
}

#[test]
fn each_line_is_there_once_and_in_the_order_of_its_connection() {
    for args in [&[][..], &["--req-logger", "file:@DIR@/requests.log"]] {
        let mut server = serve(args);
        let port = server.port();
        std::thread::scope(|scope| {
            for client in 0..4u64 {
                scope.spawn(move || {
                    let mut stream = http::connect(port);
                    let mut reader = BufReader::new(stream.try_clone().expect("a descriptor"));
                    for round in 0..50 {
                        ask(&mut stream, client * 10_000 + round * 20, 20);
                        for _ in 0..20 {
                            let answer = http::read_response(&mut reader, false).expect("an answer");
                            assert_eq!(answer.expect("it is kept").status, 200);
                        }
                    }
                });
            }
        });
        let file = server.dir().join("requests.log");
        let log = |server: &Server| std::fs::read_to_string(&file).unwrap_or_default() + &server.log();
        let all = wait_for("all lines", || Some(numbers(&log(&server))).filter(|n| n.len() >= 4000));
        for client in 0..4 {
            let own: Vec<u64> = all.iter().copied().filter(|n| n / 10_000 == client).collect();
            let wanted: Vec<u64> = (0..1000).map(|n| client * 10_000 + n).collect();
            assert_eq!(own, wanted, "{args:?}");
        }
        server.signal(libc::SIGTERM);
        server.wait_exit();
        assert_eq!(
            numbers(&log(&server)).len(),
            4000,
            "{args:?}: none comes twice at the end"
        );
    }
}

#[test]
fn a_request_behind_them_that_hangs_holds_no_lines_back() {
    let server = serve(&[]);
    let mut stream = server.connect(server.port());
    ask(&mut stream, 1, 3);
    stream
        .write_all(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        .expect("the server reads");
    wait_for("the lines before it", || {
        (numbers(&server.log()) == [1, 2, 3]).then_some(())
    });
    assert!(!server.log().contains("/hang"));
}

#[test]
fn what_the_server_says_stands_behind_the_lines_before_it() {
    let mut server = serve(&[]);
    let mut stream = server.connect(server.port());
    ask(&mut stream, 1, 2);
    stream
        .write_all(b"GET /print HTTP/1.1\r\nHost: x\r\n\r\n")
        .expect("the server reads");
    ask(&mut stream, 3, 1);
    server.wait_log("GET /3 ", 1);
    let log = server.log();
    let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("{text} is not in\n{log}"));
    assert!(
        at("GET /2 ") < at("said") && at("said") < at("GET /print ") && at("GET /print ") < at("GET /3 "),
        "{log}"
    );
}

#[test]
fn a_worker_that_is_killed_leaves_its_lines_to_the_master() {
    let server = serve(&[]);
    let port = server.port();
    let answered = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for client in 0..3u64 {
            let answered = &answered;
            scope.spawn(move || {
                let mut next = client * 1_000_000;
                while next < client * 1_000_000 + 3000 {
                    let mut stream = http::connect(port);
                    ask(&mut stream, next, 30);
                    next += 30;
                    let mut came = Vec::new();
                    let mut piece = [0u8; 4096];
                    // kept until all have come, or the worker is killed
                    while came.windows(4).filter(|w| w == b"\r\n\r\n").count() < 30 {
                        match stream.read(&mut piece) {
                            Ok(n) if n > 0 => came.extend_from_slice(&piece[..n]),
                            _ => break,
                        }
                    }
                    let whole = came.windows(5).filter(|w| w == b"\r\n\r\nx").count();
                    answered.fetch_add(whole as u64, Ordering::Relaxed);
                }
            });
        }
        let mut known = Vec::new();
        for _ in 0..5 {
            let before = answered.load(Ordering::Relaxed);
            let workers = wait_for("two workers", || {
                let workers = server.workers();
                (workers.len() == 2 && workers != known).then_some(workers)
            });
            wait_for("load", || {
                (answered.load(Ordering::Relaxed) > before + 200 || answered.load(Ordering::Relaxed) >= 8000)
                    .then_some(())
            });
            rsgi_tests::send(workers[0].1, libc::SIGKILL);
            known = workers;
        }
    });
    let answered = answered.into_inner() as usize;
    assert!(answered > 2000, "{answered}");
    // each answer has its line, whoever wrote it, but for the one that was just being noted at each of the kills
    wait_for("a line for each answer", || {
        let mut lines = numbers(&server.log());
        lines.sort_unstable();
        lines.dedup();
        (lines.len() + 5 >= answered).then_some(())
    });
}
