//! `--gunicorn-conf`: the hooks of public gunicorn configurations at work, and the same hooks as decorators.

use rsgi_tests::gunicorn::{conf, served};
use rsgi_tests::http::get;
use rsgi_tests::{Ended, Server, Setup, wait_for};
use std::path::Path;

fn notes(dir: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(dir.join("notes")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

const NOTE: &str = r#"
import os
def note(text):
    with open("@DIR@/notes", "a") as f: f.write(text + "\n")
"#;

/// Asserts that lines that begin so stand in this order, each behind the one before.
fn order(seen: &[String], names: &[&str]) {
    let mut rest = seen.iter();
    for name in names {
        assert!(
            rest.any(|s| s.starts_with(name)),
            "{name} is missing behind the one before, in {seen:#?}"
        );
    }
}

#[test]
fn every_hook_runs_in_its_place_with_its_arguments() {
    let hooks = r#"
master = os.getpid()
def who(): return "master" if os.getpid() == server_pid[0] else "worker"
server_pid = [None]
def on_starting(server):
    server_pid[0] = os.getpid()
    note("on_starting %s %s" % (server.pid == os.getpid(), server.num_workers))
def nworkers_changed(server, new, old): note("nworkers_changed %s %s" % (new, old))
def pre_fork(server, worker): note("pre_fork %s age=%d pid=%s ppid=%s" % (who(), worker.age, worker.pid, worker.ppid == os.getpid()))
def post_fork(server, worker):
    note("post_fork %s age=%d pid=%s ppid=%s booted=%s" % (who(), worker.age, worker.pid == os.getpid(), worker.ppid == os.getppid(), worker.booted))
def post_worker_init(worker):
    import sys
    note("post_worker_init %s booted=%s app=%s" % (who(), worker.booted, any("uwsgi_file" in m for m in sys.modules)))
def when_ready(server): note("when_ready %s %s" % (who(), sorted(server.WORKERS) == sorted(w.pid for w in server.workers)))
def pre_request(worker, req): note("pre_request %s %s nr=%d" % (req.method, req.path, worker.nr))
def post_request(worker, req, environ, resp): note("post_request %s %s %s %d" % (req.uri, environ["REQUEST_METHOD"], resp.status, resp.sent))
def worker_exit(server, worker): note("worker_exit %s alive=%s" % (who(), worker.alive))
def child_exit(server, worker): note("child_exit %s age=%d status=%d" % (who(), worker.age, worker.exit_status))
def on_exit(server): note("on_exit %s" % who())
"#;
    let mut server = served(&format!("{NOTE}{hooks}")).start();
    let dir = server.dir().to_owned();
    wait_for("readiness", || {
        notes(&dir).iter().any(|l| l.starts_with("when_ready")).then_some(())
    });
    assert_eq!(server.get("/x").text(), "ok");
    server.signal(libc::SIGTERM);
    assert!(server.wait_exit().success());
    let seen = notes(&dir);
    order(
        &seen,
        &[
            "on_starting True 1",
            "nworkers_changed 1 None",
            "pre_fork master age=1 pid=[booting] ppid=True",
            "post_fork worker age=1 pid=True ppid=True booted=False",
            "post_worker_init worker booted=True app=True",
            "when_ready master True",
            "pre_request GET /x nr=0",
            "post_request /x GET 200 OK 2",
            "worker_exit worker",
            "child_exit master age=1 status=0",
            "on_exit master",
        ],
    );
    assert_eq!(seen.len(), 11, "each once: {seen:#?}");
}

#[test]
fn a_prometheus_file_of_a_dead_worker_is_removed() {
    // as prometheus_client's documentation has it, with mark_process_dead spelled out
    let text = r#"
import glob, os
def mark_process_dead(pid):
    for name in glob.glob(os.path.join("@DIR@", "gauge_live*_%d.db" % pid)): os.remove(name)
def post_fork(server, worker):
    open("@DIR@/gauge_livesum_%d.db" % worker.pid, "w").close()
def child_exit(server, worker):
    mark_process_dead(worker.pid)
"#;
    let mut server = served(text).args(["-p", "2"]).start();
    let dir = server.dir().to_owned();
    let files = || {
        std::fs::read_dir(&dir)
            .unwrap()
            .filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|e| e == "db"))
            .count()
    };
    wait_for("two files", || (files() == 2).then_some(()));
    let pid = server.workers()[0].1;
    let own = dir.join(format!("gauge_livesum_{pid}.db"));
    assert!(own.exists());
    rsgi_tests::send(pid, libc::SIGKILL);
    server.wait_log("Respawned", 1);
    wait_for("the file's end", || (!own.exists() && files() == 2).then_some(()));
}

#[test]
fn a_provider_is_made_in_each_worker() {
    // the shape of OpenTelemetry's recipe: a thread per process, started after the fork, before the application
    let text = r#"
import os, threading, time
preload_app = False
class Exporter(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.beats = 0
        self.start()
    def run(self):
        while True:
            self.beats += 1
            time.sleep(0.01)
def post_fork(server, worker):
    server.log.info("Worker spawned (pid: %s)", worker.pid)
    import builtins
    builtins.exporter = Exporter()
"#;
    let app = r#"
exporter_at_import = exporter
def application(env, start):
    start("200 OK", [])
    return [str(exporter_at_import.beats).encode()]
"#;
    let mut server = served(text).file("app.py", app).args(["-p", "2"]).start();
    server.wait_log("[INFO] Worker spawned (pid: ", 2);
    wait_for("the thread to run", || {
        (server.get("/").text().parse::<u32>().ok()? > 5).then_some(())
    });
}

#[test]
fn when_ready_opens_the_socket_to_the_web_server() {
    let text = r#"
import os
bind = "unix:@DIR@/app.sock"
def when_ready(server):
    open("@DIR@/mode", "w").write("%o" % (os.stat("@DIR@/app.sock").st_mode & 0o777))
    os.chmod("@DIR@/app.sock", 0o666)
    open("@DIR@/ready", "w").close()
"#;
    let server = conf(text).start_unready();
    let dir = server.dir().to_owned();
    wait_for("the mark", || dir.join("ready").exists().then_some(()));
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(dir.join("app.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
    let before = std::fs::read_to_string(dir.join("mode")).unwrap();
    assert_eq!(before, "777", "as gunicorn leaves it");
    std::os::unix::net::UnixStream::connect(dir.join("app.sock")).unwrap();
}

fn worker_abort_at(path: &str, extra: &[&str]) -> (Server, String) {
    let text = format!(
        "{NOTE}{}",
        r#"
timeout = 1
def worker_abort(worker):
    import traceback
    note("worker_abort aborted=%s alive=%s" % (worker.aborted, worker.alive))
    worker.log.info("worker received SIGABRT signal")
    note("".join(traceback.format_stack()))
def worker_exit(server, worker): note("worker_exit")
def child_exit(server, worker): note("child_exit %d" % worker.exit_status)
"#
    );
    let mut server = served(&text).args(extra.iter().copied()).start();
    let port = server.port();
    let path = path.to_owned();
    let asked = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let mut stream = rsgi_tests::http::connect(port);
        let _ = stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n").as_bytes());
        let mut left = Vec::new();
        let _ = stream.read_to_end(&mut left);
        left
    });
    server.wait_log("Respawned rsgi worker 1", 1);
    assert!(asked.join().unwrap().is_empty());
    let seen = notes(server.dir()).join("\n");
    (server, seen)
}

#[test]
fn worker_abort_prints_the_stack_of_a_worker_that_takes_too_long() {
    for path in ["/sleep", "/spin"] {
        let (server, seen) = worker_abort_at(path, &[]);
        assert!(seen.contains("worker_abort aborted=True alive=False"), "{seen}");
        assert!(
            seen.contains("app.py\", line"),
            "the stack is the application's: {seen}"
        );
        assert!(seen.contains("worker_exit\nchild_exit 256"), "{seen}");
        assert!(server.log().contains("HARAKIRI ON WORKER 1"), "{}", server.log());
        assert!(
            server.log().contains("in application"),
            "our own stacks too: {}",
            server.log()
        );
        assert!(server.log().contains("[INFO] worker received SIGABRT signal"));
    }
}

#[test]
fn worker_abort_runs_when_another_thread_is_stuck() {
    // with threads, gunicorn's timeout is the heartbeat's; the request's deadline is ours
    let (_server, seen) = worker_abort_at("/sleep", &["--threads", "2", "--harakiri", "1"]);
    assert!(seen.contains("worker_abort aborted=True"), "{seen}");
    assert!(seen.contains("worker_exit\nchild_exit 256"), "{seen}");
}

#[test]
fn a_soft_signal_comes_before_the_abort() {
    let text = format!(
        "{NOTE}{}",
        r#"
import signal
def worker_abort(worker): note("worker_abort")
def post_worker_init(worker):
    def soft(number, frame):
        note("soft")
        raise RuntimeError("over time")
    signal.signal(signal.SIGSYS, soft)
"#
    );
    let soft = [
        "--harakiri",
        "1",
        "--harakiri-graceful-timeout",
        "1",
        "--harakiri-graceful-signal",
        "31",
    ];
    let mut server = served(&text).args(soft).start();
    let pid = server.workers()[0].1;
    assert_eq!(server.get("/sleep").status, 500);
    server.wait_log("has ended the request in time", 1);
    rsgi_tests::send(pid, libc::SIGRTMIN() + 8);
    server.wait_log("*** stacks of worker 1", 2);
    assert_eq!(server.get("/?os.getpid()").text(), pid.to_string(), "it goes on");
    assert_eq!(notes(server.dir()), ["soft"]);
}

#[test]
fn worker_int_runs_in_the_middle_of_a_request_and_outside() {
    let text = format!(
        "{NOTE}{}",
        r#"
def worker_int(worker):
    import sys, threading, traceback
    note("worker_int")
    for frame in sys._current_frames().values(): note("".join(traceback.format_stack(frame)))
def worker_exit(server, worker): note("worker_exit")
"#
    );
    for path in [None, Some("/sleep")] {
        let mut server = served(&text).start();
        let asked = path.map(|path| {
            let port = server.port();
            std::thread::spawn(move || {
                use std::io::{Read, Write};
                let mut stream = rsgi_tests::http::connect(port);
                let _ = stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n").as_bytes());
                let _ = stream.read_to_end(&mut Vec::new());
            })
        });
        if asked.is_some() {
            wait_for("the request", || {
                rsgi_tests::send(server.workers()[0].1, libc::SIGUSR2);
                server.log().contains("is managing request /sleep").then_some(())
            });
        }
        server.signal(libc::SIGINT);
        assert!(server.wait_exit().success());
        let seen = notes(server.dir());
        order(&seen, &["worker_int", "worker_exit"]);
        assert_eq!(
            seen.iter().any(|l| l.contains("app.py\", line")),
            path.is_some(),
            "{seen:#?}"
        );
        if let Some(thread) = asked {
            thread.join().unwrap();
        }
    }
}

#[test]
fn a_reload_runs_its_hooks() {
    let text = format!(
        "{NOTE}{}",
        r#"
def on_starting(server): note("on_starting")
def on_reload(server): note("on_reload")
def pre_exec(server): note("pre_exec")
def when_ready(server): note("when_ready")
def child_exit(server, worker): note("child_exit")
def on_exit(server): note("on_exit")
"#
    );
    let mut server = served(&text).start();
    let dir = server.dir().to_owned();
    let count = |name: &str| notes(&dir).iter().filter(|l| *l == name).count();
    wait_for("readiness", || (count("when_ready") == 1).then_some(()));
    server.signal(libc::SIGHUP);
    wait_for("the new generation", || (count("when_ready") == 2).then_some(()));
    wait_for("the old worker's end", || (count("child_exit") == 1).then_some(()));
    assert_eq!(server.get("/").status, 200);
    server.signal(libc::SIGTERM);
    assert!(server.wait_exit().success());
    let seen = notes(&dir);
    order(
        &seen,
        &[
            "on_starting",
            "when_ready",
            "pre_exec",
            "on_reload",
            "when_ready",
            "child_exit",
            "on_exit",
        ],
    );
    assert_eq!(
        (count("on_starting"), count("on_reload"), count("on_exit")),
        (1, 1, 1),
        "{seen:#?}"
    );
}

fn ends(text: &str) -> Ended {
    served(text).run()
}

#[test]
fn a_failing_hook_ends_what_it_should() {
    for hook in ["on_starting(server)", "when_ready(server)", "pre_fork(server, worker)"] {
        let ended = ends(&format!("def {hook}: raise ValueError('no good')\n"));
        assert_eq!(ended.code, 1, "{hook}: {}", ended.output);
        assert!(ended.output.contains("ValueError: no good"), "{hook}: {}", ended.output);
        let name = hook.split('(').next().unwrap();
        assert!(
            ended
                .output
                .contains(&format!("the hook {name} of plugin python failed")),
            "{}",
            ended.output
        );
    }
    for hook in ["post_fork(server, worker)", "post_worker_init(worker)"] {
        let ended = ends(&format!("def {hook}: raise ValueError('no good')\n"));
        assert_eq!(ended.code, 3, "{hook}: {}", ended.output);
        assert!(ended.output.contains("ValueError: no good"), "{hook}: {}", ended.output);
    }
}

#[test]
fn an_application_that_cannot_be_imported_ends_with_4() {
    let ended = served("workers = 2\n").file("app.py", "import no_such_module\n").run();
    assert_eq!(ended.code, 4, "{}", ended.output);
    assert!(ended.output.contains("no_such_module"), "{}", ended.output);
}

#[test]
fn a_boot_error_does_not_end_a_server_that_serves() {
    let text = r#"
import os
def post_fork(server, worker):
    if os.path.exists("@DIR@/bad"): raise ValueError("bad by now")
"#;
    let mut server = served(text).args(["-p", "2"]).start();
    server.wait_log("WSGI app 0 (mountpoint='') ready", 2);
    std::fs::write(server.dir().join("bad"), "").unwrap();
    rsgi_tests::send(server.workers()[0].1, libc::SIGKILL);
    server.wait_log("ValueError: bad by now", 2);
    server.wait_log("ended before it was ready, 2 time(s) in a row", 1);
    assert_eq!(server.get("/").text(), "ok", "the other worker serves");
    std::fs::remove_file(server.dir().join("bad")).unwrap();
    server.wait_workers(2, &[]);
}

#[test]
fn other_exceptions_are_logged_and_the_server_goes_on() {
    let text = r#"
def child_exit(server, worker): raise ValueError("in child_exit")
def nworkers_changed(server, new, old): raise ValueError("in nworkers_changed")
def worker_exit(server, worker): raise ValueError("in worker_exit")
def post_request(worker, req): raise ValueError("in post_request")
def on_exit(server): raise ValueError("in on_exit")
"#;
    let mut server = served(text).start();
    assert_eq!(server.get("/").text(), "ok");
    server.signal(libc::SIGTERM);
    assert!(server.wait_exit().success());
    for hook in [
        "child_exit",
        "nworkers_changed",
        "worker_exit",
        "post_request",
        "on_exit",
    ] {
        assert!(
            server.log().contains(&format!("ValueError: in {hook}")),
            "{hook}: {}",
            server.log()
        );
        assert!(server.log().contains(&format!("Exception in {hook} hook")), "{hook}");
    }
}

#[test]
fn what_pre_request_raises_is_the_requests_error() {
    let server =
        served("def pre_request(worker, req):\n    if req.path == '/bad': raise ValueError('refused')\n").start();
    assert_eq!(server.get("/bad").status, 500);
    assert_eq!(server.get("/").status, 200);
    assert!(server.log().contains("ValueError: refused"));
}

#[test]
fn a_file_that_cannot_be_used_is_an_error_with_its_place() {
    for (text, parts) in [
        (
            "def pre_fork(server): pass\n",
            &["pre_fork", "gunicorn.conf.py:1", "must take 2 arguments"][..],
        ),
        (
            "def post_request(worker): pass\n",
            &["post_request", "must take 4 arguments"],
        ),
        ("on_exit = 7\n", &["on_exit must be a function, not 7"]),
        ("when_ready = 'no_such_module.hook'\n", &["no_such_module"]),
        (
            "workers = 'many'\n",
            &["gunicorn.conf.py:1: workers = 'many': a number is wanted"],
        ),
        (
            "timeout = -1\n",
            &["gunicorn.conf.py:1: timeout = -1: a number from 0 on is wanted"],
        ),
        (
            "x = 1\nworkers = undefined_name\n",
            &["gunicorn.conf.py\", line 2", "NameError"],
        ),
        ("workers = = 2\n", &["gunicorn.conf.py\", line 1", "SyntaxError"]),
    ] {
        let ended = ends(text);
        assert_eq!(ended.code, 1, "{text}: {}", ended.output);
        for part in parts {
            assert!(ended.output.contains(part), "{part:?} for {text:?} in {}", ended.output);
        }
        assert!(
            !ended.output.contains("spawned rsgi worker"),
            "{text}: {}",
            ended.output
        );
    }
    let ended = Setup::new()
        .args(["--gunicorn-conf", "missing.py", "--http-socket", "127.0.0.1:0"])
        .run();
    assert_eq!(ended.code, 1);
    assert!(
        ended.output.contains("--gunicorn-conf: there is no file"),
        "{}",
        ended.output
    );
}

#[test]
fn a_hook_may_be_named_by_its_place() {
    let mut server = served("when_ready = 'hooks.ready'\npost_request = 'hooks.Seen.seen'\n".replace("hooks.Seen.seen", "hooks.seen").as_str())
        .file("hooks.py", "def ready(server): server.log.info('ready by name')\ndef seen(worker, req, environ): worker.log.warning('saw %s', req.path)\n")
        .args(["--pythonpath", "@DIR@"])
        .start();
    server.wait_log("[INFO] ready by name", 1);
    assert_eq!(server.get("/x").status, 200);
    server.wait_log("[WARNING] saw /x", 1);
}

#[test]
fn the_configuration_is_seen_by_its_hooks() {
    let text = "workers = 1\ntimeout = 44\ncustom = 5\ndef when_ready(server):\n    server.log.info('%s %s %s %s', server.cfg.timeout, server.cfg.graceful_timeout, server.cfg.workers, hasattr(server.cfg, 'custom'))\n";
    let mut server = served(text).start();
    server.wait_log("[INFO] 44 30 1 False", 1);
}

#[test]
fn decorators_do_the_same_from_the_applications_side() {
    let app = format!(
        "{NOTE}{}",
        r#"
import uwsgi
from rsgidecorators import *
import rsgi
@on_starting
def starting(server): note("on_starting")
@pre_fork
def before(server, worker): note("pre_fork %d" % worker.id)
@post_fork
def forked(server, worker): note("post_fork %s" % (worker.pid == os.getpid()))
@post_worker_init
def init(worker): note("post_worker_init")
@when_ready
def ready(server): note("when_ready")
@rsgi.pre_request
def begin(worker, req): note("pre_request %s" % req.path)
@rsgi.post_request
def end(worker, req, environ, resp): note("post_request %d" % resp.status_code)
@worker_exit
def leaving(server, worker): note("worker_exit")
@child_exit
def gone(server, worker): note("child_exit %d" % worker.id)
@nworkers_changed
def changed(server, new, old): note("nworkers_changed %s %s" % (new, old))
@on_exit
def bye(server): note("on_exit")
@on_reload
def never(server): note("on_reload")
def application(env, start):
    start("404 Not Found", [])
    return [b"none"]
"#
    );
    let mut server = Setup::new().wsgi(&app).args(["-p", "1"]).start();
    let dir = server.dir().to_owned();
    wait_for("readiness", || {
        notes(&dir).iter().any(|l| l == "when_ready").then_some(())
    });
    assert_eq!(server.get("/d").status, 404);
    server.signal(libc::SIGTERM);
    assert!(server.wait_exit().success());
    let seen = notes(&dir);
    order(
        &seen,
        &[
            "on_starting",
            "nworkers_changed 1 None",
            "pre_fork 1",
            "post_fork True",
            "post_worker_init",
            "when_ready",
            "pre_request /d",
            "post_request 404",
            "worker_exit",
            "child_exit 1",
            "on_exit",
        ],
    );
    assert!(!seen.iter().any(|l| l == "on_reload"), "{seen:#?}");
}

#[test]
fn a_decorated_function_that_cannot_be_called_is_refused() {
    let ended = Setup::new()
        .wsgi("from rsgidecorators import child_exit\n@child_exit\ndef gone(pid): pass\ndef application(e, s): pass\n")
        .run();
    assert_ne!(ended.code, 0);
    assert!(ended.output.contains("child_exit"), "{}", ended.output);
    assert!(
        ended.output.contains("app.py:2) must take 2 arguments"),
        "{}",
        ended.output
    );
}

#[test]
fn requests_of_threads_are_seen_each() {
    let text = format!("{NOTE}def post_request(worker, req, environ, resp): note(req.query)\n");
    let server = served(&text).args(["--threads", "4"]).start();
    let port = server.port();
    let clients: Vec<_> = (0..8)
        .map(|n| std::thread::spawn(move || get(port, &format!("/threads?{n}")).text()))
        .collect();
    for (n, client) in clients.into_iter().enumerate() {
        assert_eq!(client.join().unwrap(), n.to_string());
    }
    let mut seen = wait_for("eight notes", || Some(notes(server.dir())).filter(|s| s.len() == 8));
    seen.sort();
    assert_eq!(seen, (0..8).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_hook_may_end_its_worker() {
    // the shape of recipes that watch the memory of workers
    let text = r#"
def post_request(worker, req, environ, resp):
    if worker.nr >= 3:
        worker.log.info("worker %s has done enough", worker.pid)
        worker.alive = False
"#;
    let mut server = served(text).args(["-p", "1"]).start();
    let port = server.port();
    wait_for("three lives", || {
        assert_eq!(get(port, "/").text(), "ok");
        (server.log().matches("has done enough").count() >= 3).then_some(())
    });
    server.wait_log("ends after its request; replacing it", 3);
    server.wait_log("Respawned rsgi worker", 2);
    assert!(!server.log().contains("DAMN"), "{}", server.log());
}

#[test]
fn a_server_of_metrics_in_the_master_answers() {
    // as prometheus_client.start_http_server does it
    let text = r#"
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
class Metrics(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"up 1")
    def log_message(self, *args): pass
def when_ready(server):
    metrics = HTTPServer(("127.0.0.1", 0), Metrics)
    threading.Thread(target=metrics.serve_forever, daemon=True).start()
    server.log.info("metrics on port %d of %d", metrics.server_port, server.pid)
"#;
    let mut server = served(text).start();
    server.wait_log("metrics on port ", 1);
    let log = server.log();
    let port = log
        .split("metrics on port ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(get(port, "/").text(), "up 1");
    // workers are forked from a master with a thread
    rsgi_tests::send(server.workers()[0].1, libc::SIGKILL);
    server.wait_log("Respawned rsgi worker 1", 1);
    assert_eq!(get(port, "/").text(), "up 1");
    wait_for("the application", || {
        (get(server.port(), "/").text() == "ok").then_some(())
    });
}

#[test]
fn pythons_loggers_are_those_that_gunicorn_has() {
    let text = r#"
loglevel = "warning"
logconfig_dict = {
    "formatters": {"own": {"format": "OWN %(name)s %(message)s"}},
    "handlers": {"own": {"class": "logging.StreamHandler", "formatter": "own"}},
    "loggers": {"shop": {"handlers": ["own"], "level": "INFO"}},
}
def post_worker_init(worker):
    import logging
    logging.getLogger("gunicorn.error").info("too quiet")
    logging.getLogger("gunicorn.error").warning("loud %s", "enough")
    logging.getLogger("shop").info("open")
    worker.log.critical("%s %s", worker.app.cfg.loglevel, worker.exitcode)
"#;
    let mut server = served(text).start();
    server.wait_log("[CRITICAL] warning None", 1);
    let log = server.log();
    assert!(
        log.contains("[WARNING] loud enough") && log.contains("OWN shop open"),
        "{log}"
    );
    assert!(!log.contains("too quiet"), "{log}");
}

#[test]
fn what_pre_request_notes_post_request_finds() {
    let text = r#"
import time
def pre_request(worker, req): req.start_time = time.time()
def post_request(worker, req, environ, resp):
    worker.count = getattr(worker, "count", 0) + 1
    worker.log.info("request %d took %s", worker.count, 0.2 < time.time() - req.start_time < 5)
"#;
    let mut server = served(text).args(["--threads", "2"]).start();
    let port = server.port();
    let clients: Vec<_> = (0..4)
        .map(|_| std::thread::spawn(move || get(port, "/threads").status))
        .collect();
    assert!(clients.into_iter().all(|c| c.join().unwrap() == 200));
    server.wait_log("took True", 4);
    assert!(!server.log().contains("took False"));
}

#[test]
fn an_override_has_the_hooks_of_its_worker() {
    let text = format!(
        "{NOTE}{}",
        r#"
def post_worker_init(worker): note("post_worker_init")
def when_ready(server): server.log.info("READY")
def worker_int(worker): note("worker_int")
def worker_abort(worker): note("worker_abort")
def worker_exit(server, worker): note("worker_exit")
"#
    );
    for (signal, order_of) in [
        (libc::SIGINT, &["post_worker_init", "worker_int", "worker_exit"]),
        (libc::SIGABRT, &["post_worker_init", "worker_abort", "worker_exit"]),
    ] {
        let script =
            "import time, uwsgi\nuwsgi.accepting()\nprint('SERVING', flush=True)\nwhile True: time.sleep(0.05)\n";
        let mut server = Setup::new()
            .file("loop.py", script)
            .file("gunicorn.conf.py", &text)
            .args([
                "--gunicorn-conf",
                "@DIR@/gunicorn.conf.py",
                "--http-socket",
                "127.0.0.1:0",
            ])
            .args(["--python-worker-override", "@DIR@/loop.py"])
            .start_unready();
        server.wait_log("SERVING", 1);
        server.wait_log("[INFO] READY", 1);
        rsgi_tests::send(server.workers()[0].1, signal);
        server.wait_log("Respawned rsgi worker 1", 1);
        order(&notes(server.dir()), order_of);
    }
}

#[test]
fn a_worker_that_is_too_slow_to_boot_is_tried_again() {
    let text = format!("{NOTE}def worker_abort(worker): note('worker_abort booted=%s' % worker.booted)\n");
    let app = "import os, time\nwhile not os.path.exists('@DIR@/go'): time.sleep(0.05)\ndef application(e, s):\n    s('200 OK', [])\n    return [b'late']\n";
    let mut server = served(&text)
        .file("app.py", app)
        .args(["--worker-boot-timeout", "1"])
        .start_unready();
    server.wait_log("it was not ready after", 1);
    server.wait_log("ended before it was ready, 1 time(s) in a row", 1);
    std::fs::write(server.dir().join("go"), "").unwrap();
    wait_for("the application", || (server.get("/").text() == "late").then_some(()));
    assert_eq!(notes(server.dir())[0], "worker_abort booted=False");
}
