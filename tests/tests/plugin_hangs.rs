//! Functions of plugins that never come back: a stop and a reload end all the same, and the line of the kill says where
//! the process was; deadlines say it too.

use rsgi_tests::http::{connect, get};
use rsgi_tests::{Server, Setup, build_plugin, send, wait_for};
use std::io::Write;
use std::net::TcpStream;

fn setup(source: &str, text: &str, modifier: &str, crash: &str) -> Setup {
    let setup = Setup::new()
        .file("crash", crash)
        .file("crash.h", include_str!("../c/crash.h"));
    build_plugin(setup.dir(), source, text);
    let file = setup.dir().join("crash").display().to_string();
    let plugin = format!("./{}_plugin.so", source.trim_end_matches(".c"));
    setup
        .env("CRASH", &file)
        .args(["--plugin", &plugin, "--master", "-p", "2", "--threads", "2"])
        .args([
            "--reload-mercy",
            "1",
            "--worker-reload-mercy",
            "1",
            "--mule-reload-mercy",
            "1",
        ])
        .args(["--http-socket", "127.0.0.1:0", "--http-socket-modifier1", modifier])
}

fn hooks(crash: &str) -> Setup {
    setup("crasher.c", include_str!("../c/crasher.c"), "203", crash)
}

fn kinds(crash: &str) -> Setup {
    setup("crasher_kinds.c", include_str!("../c/crasher_kinds.c"), "205", crash)
}

/// Asks and waits for nothing.
fn ask(server: &Server, path: &str) -> TcpStream {
    let mut stream = connect(server.port());
    let _ = write!(stream, "GET {path} HTTP/1.0\r\n\r\n");
    stream
}

/// The function was reached: it takes its order away.
fn wait_reached(server: &Server) {
    let file = server.dir().join("crash");
    wait_for("the function to be reached", || (!file.exists()).then_some(()));
}

/// The server ends, and the line of the kill names this.
fn stops(mut server: Server, place: &str) {
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0), "{place}: {}", server.log());
    let log = server.log();
    let named = |line: &str| line.contains("did not leave in time; killing it (") && line.contains(place);
    assert!(log.lines().any(named), "{place}: {log}");
}

#[test]
fn a_stop_ends_a_worker_that_hangs_in_a_hook() {
    let starting = [
        "post_uwsgi_fork",
        "master_fixup_child",
        "post_fork",
        "hijack_worker",
        "fixup",
        "init_thread",
    ];
    let serving = [
        ("request", "/"),
        ("pre_request", "/"),
        ("post_request", "/"),
        ("after_request", "/"),
        ("rpc", "/rpc"),
        ("signal_handler", "/signal"),
    ];
    let ending = ["worker_exit", "atexit"];
    let place = |hook: &str| format!("plugin crasher in its hook {}", hook.trim_end_matches("_child"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for hook in starting {
                let server = hooks(&format!("{hook} hang")).start_unready();
                wait_reached(&server);
                stops(server, &place(hook));
            }
        });
        scope.spawn(|| {
            for (hook, path) in serving {
                let server = hooks(&format!("{hook} hang")).start();
                let _client = ask(&server, path);
                wait_reached(&server);
                stops(server, &place(hook));
            }
        });
        scope.spawn(|| {
            for hook in ending {
                stops(hooks(&format!("{hook} hang")).start(), &place(hook));
            }
            for (hook, path) in [("mule_msg", "/mule"), ("spooler", "/spool"), ("spooler_init", "/")] {
                let server = hooks(&format!("{hook} hang"))
                    .args(["--mule", "--spooler", "@DIR@/sp"])
                    .start();
                let _client = ask(&server, path);
                wait_reached(&server);
                stops(server, &place(hook));
            }
        });
    });
}

#[test]
fn a_stop_ends_whoever_hangs_in_a_function() {
    let cases: [(&str, &str, &str, &[&str]); 8] = [
        ("chunk", "log chunk crash", "/", &["--log-format", "%(uri) %(crash)"]),
        ("action", "route action crash", "/", &["--route-run", "crash:"]),
        (
            "condition",
            "route condition crash",
            "/",
            &["--route-if", "crash:x addheader:X: y"],
        ),
        (
            "variable",
            "route variable crash",
            "/",
            &["--route-run", "addheader:X: ${crash[k]}"],
        ),
        ("transformation", "transformation", "/transform", &[]),
        ("clock", "clock", "/", &["--clock", "crash"]),
        ("loop", "loop engine crash", "", &["--loop", "crash"]),
        ("gateway", "gateway crash", "", &[]),
    ];
    for (word, named, path, args) in cases {
        let setup = kinds(&format!("{word} hang")).args(args.iter().copied());
        let server = match word {
            "loop" => setup.start_unready(),
            "gateway" => setup.env("GATEWAY", "1").start(),
            _ => setup.start(),
        };
        let _client = (!path.is_empty()).then(|| ask(&server, path));
        wait_reached(&server);
        if word == "gateway" {
            // what a signal ends is not stuck
            let mut server = server;
            server.wait_log("spawned rsgi crash 1 (pid: ", 1);
            let log = server.log();
            let pid = log.split("spawned rsgi crash 1 (pid: ").nth(1).unwrap();
            let pid = pid.split(')').next().unwrap().parse().unwrap();
            assert!(rsgi_tests::is_alive(pid));
            server.signal(libc::SIGTERM);
            assert_eq!(server.wait_exit().code(), Some(0));
            assert!(!rsgi_tests::is_alive(pid));
            continue;
        }
        stops(server, &format!("plugin kinds in its {named}"));
    }
}

#[test]
fn a_reload_goes_on_without_a_worker_that_hangs() {
    for (hook, path) in [("request", "/"), ("post_request", "/"), ("rpc", "/rpc")] {
        let mut server = hooks(&format!("{hook} hang")).start();
        let before: Vec<i32> = server.workers().iter().map(|w| w.1).collect();
        let _client = ask(&server, path);
        wait_reached(&server);
        server.signal(libc::SIGHUP);
        server.wait_workers(2, &before);
        server.wait_log("did not leave in time; it says where it is, and is killed", 1);
        match hook {
            "request" => server.wait_log(
                "did not leave in time; killing it (plugin crasher in its hook request",
                1,
            ),
            _ => server.wait_log(&format!("plugin crasher: over time in its hook {hook}"), 1),
        }
        assert_eq!(get(server.port(), "/").text(), "calm");
    }
}

#[test]
fn who_hangs_in_the_start_of_a_worker_is_named_at_the_deadline() {
    for hook in ["post_uwsgi_fork", "post_fork", "fixup", "hijack_worker"] {
        let mut server = hooks(&format!("{hook} hang"))
            .args(["--worker-boot-timeout", "1"])
            .start_unready();
        let said = "was ended by the master: it was not ready after";
        server.wait_log(said, 1);
        let log = server.log();
        let line = log.lines().find(|line| line.contains(said)).unwrap_or_default();
        assert!(
            line.contains(&format!("(plugin crasher in its hook {hook})")),
            "{hook}: {log}"
        );
        server.wait_workers(2, &[]);
        assert_eq!(get(server.port(), "/").text(), "calm");
    }
}

#[test]
fn a_worker_that_hangs_at_its_end_is_replaced() {
    for hook in ["worker_exit", "atexit"] {
        let mut server = hooks(&format!("{hook} hang")).start();
        let worker = server.workers()[0].1;
        send(worker, libc::SIGHUP);
        wait_reached(&server);
        server.wait_workers(2, &[worker]);
        assert_eq!(get(server.port(), "/").text(), "calm");
    }
}
