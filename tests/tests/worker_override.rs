//! Workers whose loop is not ours: `--python-worker-override` with the servers of `examples/workers`, unmodified and
//! from PyPI, and `--worker-exec`.
//!
//! The packages come from PyPI; what cannot be installed is skipped by its name.

use rsgi_tests::http::get;
use rsgi_tests::websocket::Client;
use rsgi_tests::{Server, Setup, venv, wait_for};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/workers");

/// Two workers that run an example.
fn start(package: &str, extra: &[&str]) -> Option<Server> {
    let venv = venv::with(&[package])?;
    let mut setup = Setup::new().env("PYTHONDONTWRITEBYTECODE", "1");
    for file in ["app.py", "listening.py", &format!("{package}_worker.py")] {
        let text = std::fs::read_to_string(format!("{EXAMPLES}/{file}")).expect("the example is there");
        setup = setup.file(file, &text);
    }
    let setup = setup
        .args(["--master", "--processes", "2", "--socket", "127.0.0.1:0"])
        .args(["--socket", "127.0.0.1:0", "--virtualenv", venv::argument(&venv)])
        .args(["--worker-heartbeat", "5"])
        .args(["--python-worker-override", &format!("{package}_worker.py")])
        .args(extra.iter().copied());
    Some(setup.start())
}

/// The pid of the worker that answers.
fn worker(port: u16) -> i32 {
    let text = get(port, "/").text();
    let pid = text.trim().strip_prefix("Hello from worker process ");
    pid.and_then(|pid| pid.parse().ok())
        .unwrap_or_else(|| panic!("{text:?}"))
}

/// Both sockets are served; after a reload by others; after a stop by nobody.
fn serves(mut server: Server) {
    let ports = [server.port_of_socket(0), server.port_of_socket(1)];
    let old = server
        .wait_workers(2, &[])
        .into_iter()
        .map(|(_, pid)| pid)
        .collect::<Vec<_>>();
    for port in ports {
        assert!(old.contains(&worker(port)));
    }
    server.signal(libc::SIGHUP);
    let new = server.wait_workers(2, &old);
    wait_for("only new workers", || (!old.contains(&worker(ports[0]))).then_some(()));
    for (_, pid) in &new {
        assert!(!old.contains(pid));
    }
    for pid in &old {
        wait_for("the old workers to leave", || {
            (!rsgi_tests::is_alive(*pid)).then_some(())
        });
    }
    let answering = worker(ports[1]);
    assert!(new.iter().any(|(_, pid)| *pid == answering));
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0), "{}", server.log());
    let log = server.log();
    assert!(!log.contains("Traceback") && !log.contains("never called"), "{log}");
}

#[test]
fn aiohttp_serves() {
    let Some(server) = start("aiohttp", &[]) else { return };
    let mut client = Client::open(server.port(), "/echo", "");
    client.send(0x81, b"hello");
    assert_eq!(client.text(), "hello");
    client.send(0x88, b"");
    drop(client);
    serves(server);
}

#[test]
fn uvicorn_serves() {
    start("uvicorn", &[]).into_iter().for_each(serves);
}

#[test]
fn hypercorn_serves() {
    start("hypercorn", &[]).into_iter().for_each(serves);
}

#[test]
fn tornado_serves() {
    start("tornado", &[]).into_iter().for_each(serves);
}

#[test]
fn gevent_serves() {
    start("gevent", &[]).into_iter().for_each(serves);
}

#[test]
fn gunicorns_workers_serve() {
    for class in ["sync", "gthread"] {
        let server = start("gunicorn", &["--pyargv", &format!("app:wsgi {class}")]);
        server.into_iter().for_each(serves);
    }
}

const PLAIN: &str = r#"
import os, socket, uwsgi
sock = socket.socket(fileno=os.dup(uwsgi.sockets[0]))
sock.setblocking(True)
while os.path.exists("@DIR@/wait"): __import__("time").sleep(0.05)
uwsgi.accepting()
while True:
    c, _ = sock.accept()
    c.recv(4096)
    c.sendall(b"HTTP/1.0 200 OK\r\n\r\nHello from worker process %d" % os.getpid())
    c.close()
"#;

#[test]
fn a_chain_reload_waits_for_accepting() {
    let mut server = Setup::new()
        .file("plain.py", PLAIN)
        .file("touch", "")
        .args(["--master", "--processes", "2", "--socket", "127.0.0.1:0"])
        .args([
            "--python-worker-override",
            "@DIR@/plain.py",
            "--touch-chain-reload",
            "@DIR@/touch",
        ])
        .start();
    let port = server.port();
    let old = server
        .wait_workers(2, &[])
        .into_iter()
        .map(|(_, pid)| pid)
        .collect::<Vec<_>>();
    assert!(old.contains(&worker(port)));
    let file = |name: &str| server.dir().join(name);
    std::fs::write(file("wait"), "").expect("writable");
    std::fs::write(file("touch"), "again").expect("writable");
    let wait = file("wait");
    let newcomer = wait_for("a new worker", || {
        let now = server.workers();
        now.iter().map(|(_, pid)| *pid).find(|pid| !old.contains(pid))
    });
    // it has not said that it serves: the old ones go on
    for _ in 0..5 {
        assert_ne!(worker(port), newcomer);
    }
    assert!(old.iter().all(|pid| rsgi_tests::is_alive(*pid)));
    std::fs::remove_file(wait).expect("there");
    server.wait_workers(2, &old);
    // no handler of SIGHUP: such a worker leaves at once
    for pid in old {
        wait_for("the old workers to leave", || {
            (!rsgi_tests::is_alive(pid)).then_some(())
        });
    }
    worker(port);
}

#[test]
fn a_command_takes_the_place_of_a_worker() {
    const PROGRAM: &str = r#"
import os, socket
sock = socket.socket(fileno=0)
while True:
    c, _ = sock.accept()
    c.recv(4096)
    c.sendall(b"HTTP/1.0 200 OK\r\n\r\nHello from worker process %d" % os.getpid())
    c.close()
"#;
    for option in ["--worker-exec", "--worker-exec2"] {
        let mut server = Setup::new()
            .file("program.py", PROGRAM)
            .args(["--master", "--processes", "2", "--socket", "127.0.0.1:0"])
            .args([option, "exec /usr/bin/python3 @DIR@/program.py"])
            .start_unready();
        server.wait_log("spawned rsgi worker", 2);
        let port = server.port();
        let first = worker(port);
        assert!(server.workers().iter().any(|(_, pid)| *pid == first));
        rsgi_tests::send(first, libc::SIGKILL);
        server.wait_workers(2, &[first]);
        assert_ne!(worker(port), first);
        server.signal(libc::SIGTERM);
        assert_eq!(server.wait_exit().code(), Some(0), "{}", server.log());
    }
}
