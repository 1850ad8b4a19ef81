//! The adaptive number of workers, the sleep without any, and the named pipe that commands the master.

use rsgi_tests::load::Load;
use rsgi_tests::{Server, Setup, is_alive, wait_for};
use std::io::Write;

const APP: &str = "
import os, time
def application(env, start_response):
    path = env['PATH_INFO']
    if path.startswith('/sleep/'):
        time.sleep(float(path[7:]))
    body = str(os.getpid()).encode()
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(body)))])
    return [body]
";

/// Started, and `workers` of it there.
fn serve(workers: usize, args: &[&str]) -> Server {
    let mut server = Setup::new().wsgi(APP).args(args.iter().copied()).start_unready();
    server.wait_log("spawned rsgi master process", 1);
    server.wait_workers(workers, &[]);
    server
}

fn pids(server: &Server) -> Vec<i32> {
    server.workers().iter().map(|(_, pid)| *pid).collect()
}

fn wait_gone(server: &Server) {
    wait_for("no workers", || server.workers().is_empty().then_some(()));
}

fn command(server: &Server, letters: &str) {
    let path = server.dir().join("f");
    let mut fifo = wait_for("the pipe", || std::fs::OpenOptions::new().write(true).open(&path).ok());
    fifo.write_all(letters.as_bytes()).unwrap();
}

#[test]
fn workers_come_with_the_load_and_go_with_it_and_nobody_is_turned_away() {
    let mut server = serve(1, &["-p", "3", "--cheaper", "1", "--cheaper-overload", "1"]);
    let load = Load::start(server.port(), "/sleep/0.3", 6, false);
    server.wait_workers(3, &[]);
    let seen = load.finish();
    assert_eq!((seen.failures, seen.refused), (Vec::new(), 0));
    let quick = Load::start(server.port(), "/", 1, false);
    server.wait_log("cheaped.", 2);
    server.wait_workers(1, &[]);
    let seen = quick.finish();
    assert_eq!((seen.failures, seen.refused), (Vec::new(), 0));
    assert!(!server.log().contains("DAMN"), "{}", server.log());
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn busyness_and_a_queue_call_for_more_workers() {
    let busyness = [
        "-p",
        "3",
        "--cheaper",
        "1",
        "--cheaper-algo",
        "busyness",
        "--cheaper-overload",
        "1",
    ];
    let mut server = serve(
        1,
        &[
            &busyness[..],
            &["--cheaper-busyness-verbose", "--cheaper-busyness-multiplier", "1"],
        ]
        .concat(),
    );
    let load = Load::start(server.port(), "/sleep/0.1", 2, false);
    server.wait_workers(3, &[]);
    let seen = load.finish();
    assert_eq!((seen.failures, seen.refused), (Vec::new(), 0));
    server.wait_log("cheaped.", 2);
    assert!(
        server
            .log()
            .contains("[busyness] 1s average busyness of 1 worker(s) is at")
    );

    // one request that hangs is no hundred percent of an hour, but ten clients that wait are ten too many
    let alert = ["--cheaper-overload", "3600", "--cheaper-busyness-backlog-alert", "3"];
    let mut server = serve(1, &[&busyness[..6], &alert].concat());
    let load = Load::start(server.port(), "/sleep/0.5", 10, false);
    server.wait_workers(3, &[]);
    let seen = load.finish();
    assert_eq!((seen.failures, seen.refused), (Vec::new(), 0));
}

#[test]
fn the_first_workers_are_as_many_as_asked_and_a_dead_one_comes_back() {
    let mut server = serve(
        2,
        &[
            "-p",
            "4",
            "--cheaper",
            "1",
            "--cheaper-initial",
            "2",
            "--cheaper-overload",
            "60",
        ],
    );
    let old = pids(&server);
    rsgi_tests::send(old[0], libc::SIGKILL);
    let now = server.wait_workers(2, &old[..1]);
    assert!(now.iter().any(|(_, pid)| *pid == old[1]));
}

#[test]
fn a_reload_begins_with_the_first_number_again() {
    let mut server = serve(
        1,
        &[
            "-p",
            "3",
            "--cheaper",
            "1",
            "--cheaper-overload",
            "60",
            "--master-fifo",
            "@DIR@/f",
        ],
    );
    command(&server, "+");
    server.wait_workers(2, &[]);
    let old = pids(&server);
    let load = Load::start(server.port(), "/", 2, false);
    load.wait_answers(5);
    server.signal(libc::SIGHUP);
    server.wait_log("spawned rsgi worker 1 (pid", 2);
    wait_for("the old workers to leave", || {
        old.iter().all(|p| !is_alive(*p)).then_some(())
    });
    load.wait_answers(20);
    let seen = load.finish();
    assert_eq!((seen.failures, seen.refused), (Vec::new(), 0));
    assert_eq!(server.workers().len(), 1);
}

#[test]
fn the_operator_adds_and_removes_within_the_bounds() {
    let args = [
        "-p",
        "3",
        "--cheaper",
        "1",
        "--cheaper-algo",
        "manual",
        "--master-fifo",
        "@DIR@/f",
    ];
    let mut server = serve(1, &args);
    command(&server, "++++");
    server.wait_workers(3, &[]);
    command(&server, "-");
    server.wait_workers(2, &[]);
    server.wait_log("cheaped.", 1);
    server.signal(libc::SIGTTOU);
    server.wait_workers(1, &[]);
    server.wait_log("cheaped.", 2);
    server.signal(libc::SIGTTIN);
    server.wait_workers(2, &[]);
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn cheap_starts_nothing_until_somebody_connects() {
    let mut server = serve(0, &["-p", "2", "--cheap"]);
    server.wait_log("cheap mode enabled: waiting for socket connection...", 1);
    assert_eq!(server.workers(), []);
    assert_eq!(server.get("/").status, 200);
    server.wait_workers(2, &[]);
}

#[test]
fn an_idle_server_sleeps_wakes_and_sleeps_again() {
    let mut server = serve(1, &["-p", "1", "--idle", "1"]);
    for round in 1..=2 {
        assert_eq!(server.get("/").status, 200);
        server.wait_log("workers have been inactive for more than 1 seconds", round);
        server.wait_log("cheap mode enabled", round);
        wait_gone(&server);
    }
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn a_sleeping_server_can_be_reloaded() {
    let mut server = serve(1, &["-p", "1", "--master-fifo", "@DIR@/f"]);
    command(&server, "C");
    wait_gone(&server);
    server.signal(libc::SIGHUP);
    server.wait_workers(1, &[]);
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn die_on_idle_ends_the_server() {
    let mut server = serve(1, &["--idle", "1", "--die-on-idle"]);
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn the_pipe_stops_reloads_and_tells() {
    let mut server = serve(
        1,
        &[
            "-p",
            "1",
            "--lazy-apps",
            "--pidfile",
            "@DIR@/pid",
            "--master-fifo",
            "@DIR@/f",
        ],
    );
    server.get("/");
    server.wait_log("GET / =>", 1);
    command(&server, "zZ\nps");
    server.wait_log("*** PAUSE", 1);
    server.wait_log("workers total requests: 1\n", 1);
    command(&server, "p");
    server.wait_log("resuming workers", 1);
    assert_eq!(server.get("/").status, 200);
    std::fs::remove_file(server.dir().join("pid")).unwrap();
    command(&server, "P");
    wait_for("the pidfile", || server.dir().join("pid").exists().then_some(()));
    for letter in ["w", "W", "r"] {
        let old = pids(&server);
        command(&server, letter);
        server.wait_workers(1, &old);
        wait_for("the old worker to leave", || {
            old.iter().all(|p| !is_alive(*p)).then_some(())
        });
        assert_eq!(server.get("/").status, 200, "{letter}");
    }
    let old = pids(&server);
    command(&server, "c");
    server.wait_log("chain reloading complete", 1);
    assert_ne!(pids(&server), old);
    command(&server, "q");
    assert_eq!(server.wait_exit().code(), Some(0));
    assert!(server.log().contains("graceful shutdown triggered..."));
}
