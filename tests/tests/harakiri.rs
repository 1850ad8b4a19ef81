//! Deadlines: of a request, of the worker's loop, of its start. What is said, whose stacks are shown, who is killed
//! and who is not.

use rsgi_tests::{Server, Setup, build_plugin, send, wait_for};
use std::io::{Read, Write};

const APP: &str = r#"
import ctypes, os, signal, threading, time, uwsgi
libc = ctypes.PyDLL(None)  # keeps the GIL during the call
def soft(number, frame):
    raise RuntimeError("soft signal %d" % number)
signal.signal(signal.SIGSYS, soft)
def sleeping_handler(): time.sleep(60)
def looping_handler():
    while True: pass
def blocked_handler():
    while True: libc.usleep(900000)
def computing_handler(): sum(range(10 ** 11))
def application(env, start):
    path = env["PATH_INFO"]
    if path == "/hidden": signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)); time.sleep(60)
    if path == "/user":
        uwsgi.set_user_harakiri(1)
        sleeping_handler()
    if path[1:] + "_handler" in globals(): globals()[path[1:] + "_handler"]()
    start("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"#;

/// Sends a request that is not going to be answered, and gives what came all the same.
fn ask(server: &Server, path: &str) -> std::thread::JoinHandle<String> {
    let (port, path) = (server.port(), path.to_owned());
    std::thread::spawn(move || {
        let mut stream = rsgi_tests::http::connect(port);
        let head = format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
        let _ = stream.write_all(head.as_bytes());
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        text
    })
}

fn stacks(args: &[&str], wait_in: impl Fn(&mut Server, &str, usize)) {
    let mut server = Setup::new()
        .wsgi(APP)
        .args(["-p", "1", "--harakiri", "1"])
        .args(args.iter().copied())
        .start_unready();
    wait_in(&mut server, "spawned rsgi worker 1", 1);
    for (round, kind) in ["sleeping", "looping", "blocked", "computing"].into_iter().enumerate() {
        let answer = match args.contains(&"--log-master") || args.is_empty() || args.contains(&"--threads") {
            true => ask(&server, &format!("/{kind}?q={round}")),
            false => return,
        };
        wait_in(&mut server, &format!("in {kind}_handler"), 1);
        wait_in(&mut server, &format!("127.0.0.1 - GET /{kind}?q={round} since "), 1);
        wait_in(&mut server, "HARAKIRI !!! end of worker 1 status !!!", round + 1);
        wait_in(
            &mut server,
            "was ended by the master: a request was over time (--harakiri",
            round + 1,
        );
        wait_in(&mut server, "Respawned rsgi worker 1", round + 1);
        assert_eq!(answer.join().unwrap(), "", "{kind}");
    }
    assert_eq!(server.log().matches("seconds, in plugin python)").count(), 4);
}

fn in_log(server: &mut Server, text: &str, count: usize) {
    server.wait_log(text, count);
}

#[test]
fn sleeping_looping_and_blocked_handlers_show_their_stacks() {
    stacks(&[], in_log);
}

#[test]
fn so_they_do_in_threads() {
    stacks(&["--threads", "3"], in_log);
}

#[test]
fn so_they_do_through_the_masters_pipe() {
    stacks(&["--log-master"], in_log);
}

#[test]
fn stacks_go_where_the_log_goes() {
    for option in ["--logto", "--logto2", "--daemonize"] {
        let setup = Setup::new().wsgi(APP).args([
            "-p",
            "1",
            "--harakiri",
            "1",
            "--pidfile",
            "@DIR@/pid",
            option,
            "@DIR@/elsewhere.log",
        ]);
        let server = setup.start_unready();
        let dir = server.dir().to_owned();
        let log = || std::fs::read_to_string(dir.join("elsewhere.log")).unwrap_or_default();
        let begun = || server.log() + &log();
        let port = wait_for("the port", || {
            begun()
                .split("bound to TCP address 127.0.0.1:")
                .nth(1)?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        });
        wait_for("the worker", || begun().contains("spawned rsgi worker 1").then_some(()));
        let asked = std::thread::spawn(move || {
            let mut stream = rsgi_tests::http::connect(port);
            let _ = stream.write_all(b"GET /sleeping HTTP/1.1\r\nHost: t\r\n\r\n");
            let _ = stream.read_to_end(&mut Vec::new());
        });
        wait_for(option, || log().contains("in sleeping_handler").then_some(()));
        wait_for("the successor", || {
            log().contains("Respawned rsgi worker 1").then_some(())
        });
        asked.join().unwrap();
        let pid = std::fs::read_to_string(dir.join("pid"))
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        send(pid, libc::SIGINT);
        wait_for("the end", || (!rsgi_tests::is_alive(pid)).then_some(()));
    }
}

#[test]
fn a_worker_that_hides_from_signals_is_killed_all_the_same() {
    let mut server = Setup::new().wsgi(APP).args(["-p", "1", "--harakiri", "1"]).start();
    let asked = ask(&server, "/hidden");
    server.wait_log("did not write its stacks: it blocks or ignores signals", 1);
    server.wait_log("Respawned rsgi worker 1", 1);
    assert_eq!(asked.join().unwrap(), "");
}

#[test]
fn a_soft_signal_may_save_the_worker() {
    let mut server = Setup::new()
        .wsgi(APP)
        .args(["-p", "1", "--harakiri", "1", "--harakiri-graceful-timeout", "2"])
        .args(["--harakiri-graceful-signal", "31"])
        .start();
    let pid = server.workers()[0].1;
    let asked = ask(&server, "/sleeping");
    server.wait_log(
        &format!("*** HARAKIRI ON WORKER 1 (pid: {pid}, try: 1, graceful: yes) ***"),
        1,
    );
    server.wait_log("RuntimeError: soft signal 31", 1);
    server.wait_log("has ended the request in time", 1);
    assert!(asked.join().unwrap().starts_with("HTTP/1.1 500"));
    assert_eq!(server.get("/").text(), pid.to_string());

    // one that cannot hear it dies when its grace is over
    let asked = ask(&server, "/computing");
    server.wait_log(
        &format!("*** HARAKIRI ON WORKER 1 (pid: {pid}, try: 2, graceful: no) ***"),
        1,
    );
    server.wait_log("Respawned rsgi worker 1", 1);
    assert_eq!(asked.join().unwrap(), "");
}

#[test]
fn a_user_harakiri_counts_like_the_option() {
    let mut server = Setup::new().wsgi(APP).args(["-p", "1"]).start();
    let asked = ask(&server, "/user");
    server.wait_log("*** HARAKIRI ON WORKER 1 (pid: ", 1);
    server.wait_log("in sleeping_handler", 1);
    server.wait_log("Respawned rsgi worker 1", 1);
    assert_eq!(asked.join().unwrap(), "");
}

#[test]
fn nobody_waits_so_nobody_is_killed() {
    let mut server = Setup::new()
        .wsgi(APP)
        .args(["-p", "1", "--harakiri", "1", "--harakiri-queue-threshold", "2"])
        .start();
    let first = ask(&server, "/sleeping");
    std::thread::sleep(std::time::Duration::from_millis(3500));
    assert!(!server.log().contains("HARAKIRI ON WORKER"), "{}", server.log());
    let waiting: Vec<_> = (0..4).map(|_| ask(&server, "/")).collect();
    server.wait_log("HARAKIRI ON WORKER 1", 1);
    assert_eq!(first.join().unwrap(), "");
    assert!(
        waiting
            .into_iter()
            .all(|w| w.join().unwrap().starts_with("HTTP/1.1 200"))
    );
}

#[test]
fn after_request_hooks_are_part_of_the_request_unless_told_otherwise() {
    const SOURCE: &str = r#"
#include <uwsgi.h>
static int request(struct wsgi_request *req) {
    uwsgi_response_prepare_headers(req, (char *) "200 OK", 6);
    uwsgi_response_write_body_do(req, (char *) "ok", 2);
    return UWSGI_OK;
}
static void after_request(struct wsgi_request *req) {
    uwsgi_log("AFTER begins\n");
    for (int i = 0; i < 35; i++) usleep(100000);
    uwsgi_log("AFTER ends\n");
}
struct uwsgi_plugin slow_plugin = { .name = "slow", .modifier1 = 202, .request = request, .after_request = after_request };
"#;
    for (option, killed) in [(None, true), (Some("--harakiri-no-arh"), false)] {
        let setup = Setup::new();
        build_plugin(setup.dir(), "slow.c", SOURCE);
        let mut server = setup
            .args(["--plugin", "./slow_plugin.so", "--http-socket", "127.0.0.1:0"])
            .args(["--http-socket-modifier1", "202", "--harakiri", "1"])
            .args(option)
            .start();
        let asked = ask(&server, "/");
        server.wait_log("AFTER begins", 1);
        let mark = if killed {
            "Respawned rsgi worker 1"
        } else {
            "AFTER ends"
        };
        server.wait_log(mark, 1);
        assert_eq!(server.log().contains("HARAKIRI ON WORKER 1"), killed);
        assert!(asked.join().unwrap().starts_with("HTTP/1.1 200"));
    }
}

#[test]
fn a_plugin_without_stacks_is_named() {
    let setup = Setup::new();
    build_plugin(setup.dir(), "every_hook.c", include_str!("../c/every_hook.c"));
    let mut server = setup
        .args(["--plugin", "./every_hook_plugin.so", "--http-socket", "127.0.0.1:0"])
        .args(["--http-socket-modifier1", "201", "--harakiri", "1"])
        .start();
    let asked = ask(&server, "/sleep");
    server.wait_log("seconds, in plugin every_hook)", 1);
    server.wait_log("HOOK dump_stacks", 1);
    server.wait_log("Respawned rsgi worker 1", 1);
    assert_eq!(
        asked.join().unwrap(),
        "",
        "the kill comes before the interrupted call goes on"
    );
}

#[test]
fn a_kill_that_is_not_the_masters_is_said_to_be_somebodys() {
    let mut server = Setup::new().wsgi(APP).args(["-p", "1"]).start();
    let pid = server.workers()[0].1;
    send(pid, libc::SIGKILL);
    server.wait_log("Respawned rsgi worker 1", 1);
    let log = server.log();
    let line = format!("worker 1 (pid: {pid}) was killed ");
    let why = log
        .split(&line)
        .nth(1)
        .unwrap_or_else(|| panic!("no {line:?} in {log}"));
    assert!(
        why.starts_with("by somebody's signal") || why.starts_with("not by the master"),
        "{why}"
    );
}

#[test]
fn a_worker_frozen_outside_of_requests_misses_its_heartbeat() {
    let mut server = Setup::new()
        .wsgi(APP)
        .args(["-p", "1", "--worker-heartbeat", "1"])
        .start();
    let pid = server.workers()[0].1;
    // its loop beats once a second; the master kills only one that has beaten
    std::thread::sleep(std::time::Duration::from_millis(2500));
    assert_eq!(server.workers()[0].1, pid, "an idle worker is alive: {}", server.log());
    send(pid, libc::SIGSTOP);
    server.wait_log("(--worker-heartbeat)", 1);
    server.wait_log("Respawned rsgi worker 1", 1);
    wait_for("the successor", || (server.get("/").status == 200).then_some(()));
}

#[test]
fn a_long_request_is_no_missed_heartbeat() {
    let app = "import time\ndef application(e, s):\n    time.sleep(4)\n    s('200 OK', [])\n    return [b'slow']\n";
    let server = Setup::new()
        .wsgi(app)
        .args(["-p", "1", "--worker-heartbeat", "1"])
        .start();
    assert_eq!(server.get("/").text(), "slow");
    assert!(!server.log().contains("--worker-heartbeat"), "{}", server.log());
}

#[test]
fn a_paused_worker_is_no_missed_heartbeat() {
    let mut server = Setup::new()
        .wsgi(APP)
        .args(["-p", "1", "--worker-heartbeat", "1"])
        .start();
    let pid = server.workers()[0].1;
    std::thread::sleep(std::time::Duration::from_millis(1500));
    server.signal(libc::SIGTSTP);
    server.wait_log("*** PAUSE", 1);
    std::thread::sleep(std::time::Duration::from_secs(4));
    server.signal(libc::SIGTSTP);
    server.wait_log("*** resuming workers ***", 1);
    assert_eq!(server.get("/").text(), pid.to_string());
}

#[test]
fn an_override_says_itself_that_it_is_alive() {
    let script = r#"
import time, uwsgi
uwsgi.accepting()
uwsgi.notify_alive()
for i in range(4):
    time.sleep(0.7)
    uwsgi.notify_alive()
print("STUCK NOW", flush=True)
def stuck_here():
    while True: time.sleep(0.2)
stuck_here()
"#;
    let mut server = Setup::new()
        .file("loop.py", script)
        .args([
            "--http-socket",
            "127.0.0.1:0",
            "--python-worker-override",
            "@DIR@/loop.py",
        ])
        .args(["--worker-heartbeat", "1"])
        .start_unready();
    server.wait_log("STUCK NOW", 1);
    assert!(!server.log().contains("was silent"), "{}", server.log());
    server.wait_log("in stuck_here", 1);
    server.wait_log("it was silent for", 2);
    server.wait_log("Respawned rsgi worker 1", 1);
}

#[test]
fn an_override_that_never_says_so_is_left_alone() {
    let script = "import time, uwsgi\nuwsgi.accepting()\nprint('SERVING', flush=True)\nwhile True: time.sleep(0.2)\n";
    let mut server = Setup::new()
        .file("loop.py", script)
        .args([
            "--http-socket",
            "127.0.0.1:0",
            "--python-worker-override",
            "@DIR@/loop.py",
        ])
        .args(["--worker-heartbeat", "1"])
        .start_unready();
    server.wait_log("SERVING", 1);
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert!(!server.log().contains("--worker-heartbeat"), "{}", server.log());
}

#[test]
fn a_worker_that_hangs_while_importing_is_killed_and_tried_again() {
    let app = r#"
import os, time
def hanging_import():
    while not os.path.exists("@DIR@/go"): time.sleep(0.05)
hanging_import()
def application(e, s):
    s('200 OK', [])
    return [b'booted']
"#;
    let mut server = Setup::new()
        .wsgi(app)
        .args(["-p", "1", "--lazy-apps", "--worker-boot-timeout", "1"])
        .start_unready();
    server.wait_log("it was not ready after", 1);
    server.wait_log("in hanging_import", 1);
    server.wait_log("worker 1 ended before it was ready, 1 time(s) in a row", 1);
    server.wait_log("worker 1 ended before it was ready, 2 time(s) in a row", 1);
    std::fs::write(server.dir().join("go"), "").unwrap();
    wait_for("the application", || (server.get("/").text() == "booted").then_some(()));
}

#[test]
fn the_deadline_goes_on_for_workers_of_the_image_before() {
    let app =
        APP.to_owned() + "import os.path\nwhile uwsgi.worker_id() and os.path.exists('@DIR@/wait'): time.sleep(0.05)\n";
    let mut server = Setup::new()
        .wsgi(&app)
        .args(["-p", "1", "--lazy-apps", "--harakiri", "2"])
        .start();
    wait_for("the application", || (server.get("/").status == 200).then_some(()));
    let pid = server.workers()[0].1;
    std::fs::write(server.dir().join("wait"), "").unwrap();
    server.signal(libc::SIGHUP);
    server.wait_log("spawned rsgi worker 1", 2);
    let asked = ask(&server, "/sleeping");
    server.wait_log(
        &format!("*** HARAKIRI ON WORKER 1 (pid: {pid}, try: 1, graceful: no) ***"),
        1,
    );
    server.wait_log("in sleeping_handler", 1);
    server.wait_log(&format!("worker 1 (pid: {pid}) was ended by the master"), 1);
    assert_eq!(asked.join().unwrap(), "");
    std::fs::remove_file(server.dir().join("wait")).unwrap();
    wait_for("the new generation", || (server.get("/").status == 200).then_some(()));
}

#[test]
fn stacks_can_be_asked_for_without_harm() {
    let server = Setup::new().wsgi(APP).args(["-p", "1", "--threads", "2"]).start();
    let pid = server.workers()[0].1;
    let asked = ask(&server, "/sleeping");
    wait_for("the request", || {
        send(pid, libc::SIGUSR2);
        server.log().contains("is managing request /sleeping").then_some(())
    });
    send(pid, libc::SIGRTMIN() + 8);
    wait_for("the stacks", || {
        server.log().contains("in sleeping_handler").then_some(())
    });
    assert_eq!(server.get("/").text(), pid.to_string(), "the worker goes on");
    drop(server);
    asked.join().unwrap();
}
