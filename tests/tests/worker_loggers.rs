//! Workers that write their log themselves: `--worker-logger` and its like.

use rsgi_tests::{Server, Setup, wait_for};

const APP: &str = r#"
import os, sys
print("loaded")
def application(env, start_response):
    start_response("200 OK", [])
    path = env["PATH_INFO"]
    if path == "/print":
        print("printed by", os.getpid())
        sys.stderr.write("x" * 200000 + "\n")
    if path == "/child":
        os.system("echo said by a child")
    return [b"x"]
"#;

fn serve(args: &[&str]) -> Server {
    Setup::new()
        .wsgi(APP)
        .args(["--master", "-p", "2", "--log-format", "%(method) %(uri)"])
        .args(args.iter().copied())
        .start()
}

fn lines(server: &Server, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(server.dir().join(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn all_lines_of_workers_go_to_their_own_loggers() {
    let mut server = serve(&[
        "--worker-logger",
        "file:workers.log",
        "--worker-log-encoder",
        "prefix worker: ",
        "--worker-log-req-encoder",
        "prefix request: ",
    ]);
    for n in 0..200 {
        server.get(&format!("/{n}"));
    }
    server.get("/print");
    server.get("/child");
    // what was printed just before it would be lost with the worker
    wait_for("what was printed", || {
        let lines = lines(&server, "workers.log");
        let has = |start: &str| lines.iter().any(|l| l.starts_with(start));
        (has("worker: said by a child") && has("worker: xxx")).then_some(())
    });
    let worker = server.workers()[0].1;
    rsgi_tests::send(worker, libc::SIGKILL);
    server.wait_workers(2, &[worker]);
    server.get("/again");
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    let lines = lines(&server, "workers.log");
    for n in 0..200 {
        let line = format!("request: GET /{n}");
        assert_eq!(lines.iter().filter(|l| **l == line).count(), 1, "{line}");
    }
    let has = |start: &str| lines.iter().any(|l| l.starts_with(start));
    for start in ["worker: printed by ", "worker: said by a child", "request: GET /again"] {
        assert!(has(start), "{start}: {lines:.200?}");
    }
    assert!(lines.iter().any(|l| l.len() == 200_000 + "worker: ".len()));
    // the start and the master go their old way
    let log = server.log();
    assert!(
        log.contains("loaded") && log.contains("spawned rsgi worker 2") && !log.contains("GET /"),
        "{log}"
    );
}

#[test]
fn requests_alone_go_another_way() {
    let mut server = serve(&[
        "--worker-logger-req",
        "file:requests.log",
        "--logger",
        "file:all.log",
        "--logger",
        "stdio",
    ]);
    server.get("/print");
    server.get("/two");
    let written = ["GET /print".to_owned(), "GET /two".to_owned()];
    wait_for("both lines", || {
        let mut seen = lines(&server, "requests.log");
        seen.sort();
        (seen == written).then_some(())
    });
    wait_for("what was printed", || {
        let all = lines(&server, "all.log");
        assert!(!all.iter().any(|l| l.contains("GET /")));
        all.iter().any(|l| l.starts_with("printed by")).then_some(())
    });
    server.signal(libc::SIGTERM);
    server.wait_exit();
}

#[test]
fn mistakes_end_the_start() {
    for (logger, said) in [
        ("nosuch:x", "unable to find logger nosuch"),
        ("mine file:x", "no rule leads to the name"),
    ] {
        let ended = Setup::new().wsgi(APP).args(["--worker-logger", logger]).run();
        assert_ne!(ended.code, 0);
        assert!(ended.output.contains(said), "{}", ended.output);
    }
}
