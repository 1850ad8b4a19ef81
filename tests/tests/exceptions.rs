//! `--reload-on-exception` and its filters, and the other reasons to replace a worker that was well until then.

use rsgi_tests::{Server, Setup, wait_for};

const APP: &str = r#"
import os
class Own(Exception): pass
ballast = []
def application(env, start):
    path = env["PATH_INFO"]
    if path == "/own": raise Own("my words")
    if path == "/key": raise KeyError("missing")
    if path == "/value": raise ValueError("my words")
    if path == "/grow": ballast.append(bytearray(os.urandom(1)) * (60 << 20))
    start("200 OK", [])
    return [str(os.getpid()).encode()]
"#;

fn server(args: &[&str]) -> Server {
    Setup::new()
        .wsgi(APP)
        .args(["-p", "1"])
        .args(args.iter().copied())
        .start()
}

/// Which of the paths replace the worker.
fn replaced_by(args: &[&str]) -> Vec<&'static str> {
    let server = server(args);
    let mut found = Vec::new();
    for path in ["/", "/own", "/key", "/value"] {
        let before = server.get("/").text();
        server.get(path);
        let mark = format!("respawning worker 1 (pid: {before})");
        // the line is written before the answer ends
        if server.log().contains(&mark) {
            found.push(path);
            wait_for("the successor", || (server.get("/").text() != before).then_some(()));
        } else {
            assert_eq!(server.get("/").text(), before, "{path}");
        }
    }
    found
}

#[test]
fn each_filter_means_what_it_says() {
    assert_eq!(replaced_by(&[]), Vec::<&str>::new());
    assert_eq!(replaced_by(&["--reload-on-exception"]), ["/own", "/key", "/value"]);
    assert_eq!(replaced_by(&["--reload-on-exception-type", "KeyError"]), ["/key"]);
    assert_eq!(
        replaced_by(&["--reload-on-exception-value", "my words"]),
        ["/own", "/value"]
    );
    assert_eq!(replaced_by(&["--reload-on-exception-repr", "Own: my words"]), ["/own"]);
    assert_eq!(
        replaced_by(&["--reload-on-exception-repr", "ValueError('my words')"]),
        ["/value"]
    );
    let both = [
        "--reload-on-exception-type",
        "Own",
        "--reload-on-exception-type",
        "KeyError",
    ];
    assert_eq!(replaced_by(&both), ["/own", "/key"]);
}

#[test]
fn a_worker_that_has_grown_is_replaced() {
    for option in ["--reload-on-uss", "--reload-on-pss"] {
        let server = server(&[option, "50", "--min-worker-lifetime", "0"]);
        let before = server.get("/").text();
        // its pages are counted once a second
        std::thread::sleep(std::time::Duration::from_millis(1200));
        assert_eq!(server.get("/").text(), before, "{option}: {}", server.log());
        server.get("/grow");
        wait_for("the successor", || (server.get("/").text() != before).then_some(()));
        assert!(
            server.log().contains(&format!("reach {option}; replacing it")),
            "{}",
            server.log()
        );
    }
}

#[test]
fn lives_end_at_different_times() {
    let mut server = Setup::new()
        .wsgi(APP)
        .args(["-p", "4", "--min-worker-lifetime", "0", "--max-worker-lifetime", "1"])
        .args(["--max-worker-lifetime-jitter", "3600"])
        .start();
    let pids: Vec<i32> = server.workers().into_iter().map(|(_, pid)| pid).collect();
    std::thread::sleep(std::time::Duration::from_millis(3000));
    let left = server
        .workers()
        .into_iter()
        .filter(|(_, pid)| pids.contains(pid))
        .count();
    assert!(
        left >= 3,
        "with an hour of jitter hardly one of four ends at once: {}",
        server.log()
    );
    server.signal(libc::SIGTERM);
    assert!(server.wait_exit().success());
}
