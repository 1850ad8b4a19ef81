//! What plugins written for uWSGI take for granted: libraries that its server is linked with, and its ways to end a
//! worker, to run a mule, to scale and to ask how many signals wait.

use rsgi_tests::{Server, Setup, build_plugin, http, is_alive};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

fn setup(args: &[&str]) -> Setup {
    let setup = Setup::new();
    let plugin = build_plugin(setup.dir(), "brought.c", include_str!("../c/brought.c"));
    setup
        .args(["--plugin", plugin.to_str().expect("the path is text"), "--master"])
        .args(["--http-socket", "127.0.0.1:0", "--http-socket-modifier1", "104"])
        .args(args.iter().copied())
}

#[test]
fn libraries_need_no_word() {
    let server = setup(&[]).start();
    if Path::new("/usr/include/openssl/ssl.h").exists() {
        assert_eq!(
            server.get("/digests").text(),
            "900150983cd24fb0d6963f7d28e17f72 a9993e364706816aba3e25717850c26c9cd0d89d"
        );
    }
    let expected: Vec<u8> = (0..200_000u64).map(|at| b'a' + (at * at / 7 % 26) as u8).collect();
    for path in ["/packed", "/packed?whole"] {
        let answer = server.get(path);
        assert!(answer.body.len() < expected.len(), "{path}: {}", answer.body.len());
        let file = server.dir().join("packed.gz");
        std::fs::write(&file, &answer.body).expect("the folder is writable");
        let unpacked = Command::new("gzip")
            .arg("-dc")
            .arg(&file)
            .output()
            .expect("gzip can be run");
        assert!(unpacked.status.success(), "{path}: {unpacked:?}");
        let text = unpacked.stdout;
        assert!(text == expected, "{path}: {} bytes", text.len());
    }
}

fn goodbyes(server: &mut Server, ask: &str) -> (u32, i32) {
    let before = server.workers()[0];
    let mut asked = 0;
    while server.log().matches("has done enough").count() < 2 {
        assert!(asked < 20, "the hook is not called: {}", server.log());
        server.get(ask);
        asked += 1;
    }
    before
}

#[test]
fn a_plugin_ends_a_worker_that_has_done_enough() {
    let mut server = setup(&["--max-requests", "3", "--min-worker-lifetime", "0"])
        .env("BROUGHT_GOODBYE", "1")
        .start();
    let (worker, pid) = goodbyes(&mut server, "/");
    let line = format!("worker {worker} ({pid}) has done enough, busy 0\n");
    // it refused once, and went on serving; then it ended, and a successor serves
    server.wait_log(&line, 2);
    let after = server.wait_workers(1, &[pid]);
    assert_ne!(after[0].1, pid);
    assert_eq!(server.get("/").status, 200);
    // an order to end or to reload is not its affair, least of all in the master
    server.signal(libc::SIGHUP);
    server.wait_workers(1, &[after[0].1]);
    assert!(is_alive(server.pid()));
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn a_mule_runs_a_function_of_a_plugin() {
    let mut server = setup(&["--mule=brought_mule()", "--mule=no_such_function()"]).start();
    server.wait_log("mule 1 runs a function\n", 1);
    server.wait_log("mule 2: no plugin runs \"no_such_function()\"", 1);
}

#[test]
fn an_algorithm_and_an_option_of_a_plugin_stand_beside_ours() {
    let mut server = setup(&["--workers", "3", "--cheaper", "1", "--cheaper-algo", "spare2"])
        .args(["--cheaper-idle", "7"])
        .start_unready();
    server.wait_log("scaled by the plugin: 7 1\n", 2);
}

#[test]
fn pipes_of_signals_can_be_asked() {
    let mut server = setup(&["--stats-push", "brought", "--stats-pusher-default-freq", "1"]).start();
    server.wait_log("signals that wait: 0 0\n", 1);
}

#[test]
fn sockets_of_a_plugin_survive_reloads() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("its address").port();
    drop(free);
    let mut server = setup(&["--workers", "2", "--brought-listen", &format!("127.0.0.1:{port}")]).start();
    for round in 1..=3 {
        server.wait_log("listening: 1 1\n", round);
        let before: Vec<i32> = server.workers().iter().map(|(_, pid)| *pid).collect();
        assert_eq!(http::get(port, "/").text(), format!("from {}", server.pid()));
        server.signal(libc::SIGHUP);
        server.wait_workers(2, &before);
    }
    assert!(!server.log().contains("already in use"), "{}", server.log());
}

#[test]
fn ranges_are_told_to_those_who_honour_them() {
    let ask = |server: &Server, range: &str| {
        let request = format!("GET /range HTTP/1.1\r\nHost: x\r\nRange: {range}\r\n\r\n");
        let answer = http::exchange(server.port(), request.as_bytes());
        (
            answer.status,
            answer.header("content-range").unwrap_or_default().to_owned(),
            answer.text(),
        )
    };
    let server = setup(&[]).start();
    assert_eq!(ask(&server, "bytes=2-5"), (206, "bytes 2-5/16".into(), "2 5".into()));
    assert_eq!(
        ask(&server, "bytes=4-400"),
        (206, "bytes 4-15/16".into(), "4 400".into())
    );
    assert_eq!(ask(&server, "bytes=4-"), (200, String::new(), "0 0".into()));
    assert_eq!(server.get("/range").text(), "0 0");
    let server = setup(&[]).env("BROUGHT_GOODBYE", "1").start();
    assert_eq!(ask(&server, "bytes=2-5").2, "0 0");
}

#[test]
fn lists_words_and_descriptors_are_read_as_uwsgi_does() {
    let server = setup(&[]).start();
    // unknown keys are left out, an empty word counts, a timeout is 0 and the end -1 without an error
    assert_eq!(server.get("/texts").text(), "here x 0 3 0 -1");
    assert!(server.log().contains("key \"colour\" is unknown: it is left out"));
}

#[test]
fn headers_come_as_lines_too() {
    let server = setup(&[]).start();
    let answer = server.get("/lines");
    assert_eq!((answer.status, answer.header("x-line")), (404, Some("a: b")));
    // an answer that has said none is a success, also to those who look at it on its way
    let bare = server.get("/bare");
    assert_eq!((bare.status, bare.text()), (200, "seen: 200".into()));
    // a status without a reason gets its own
    let mut stream = server.connect(server.port());
    stream.write_all(b"GET /lines HTTP/1.0\r\n\r\n").expect("a request");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    assert!(
        text.starts_with("HTTP/1.0 404 Not Found\r\n") || text.starts_with("HTTP/1.1 404 Not Found\r\n"),
        "{text}"
    );
}

#[test]
fn fields_and_files_of_programs_and_loggers() {
    let server = setup(&["--chdir", "@DIR@", "--memory-report"]).start();
    let limit = std::fs::read_to_string(format!("/proc/{}/limits", server.pid())).expect("limits");
    let files = limit
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .expect("a line");
    let soft = files.split_whitespace().next().expect("a number");
    for _ in 0..2 {
        assert_eq!(server.get("/fields").text(), format!("0 1 {soft} 11"));
    }
    assert_eq!(server.get("/rotated").status, 200);
    let read = |name: &str| std::fs::read_to_string(server.dir().join(name)).expect("a file");
    assert_eq!(
        (read("turned.old"), read("turned.log")),
        ("old\n".into(), "new\n".into())
    );
}

#[test]
fn the_end_is_told() {
    for (signal, line) in [
        (libc::SIGTERM, "dying: 1, reloading: 0"),
        (libc::SIGINT, "dying: 1, reloading: 0"),
    ] {
        let mut server = setup(&[]).start();
        server.signal(signal);
        assert!(server.wait_exit().success());
        assert!(server.log().contains(line), "{signal}: {}", server.log());
    }
}
