//! Python over forks, threads and the end of processes; the `uwsgi` module's view of them.

use rsgi_tests::{Setup, wait_for};

const APP: &str = r#"
import atexit, os, sys, threading, time, uwsgi
def note(text):
    fd = os.open("@DIR@/notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(fd, (text + "\n").encode()); os.close(fd)
os.register_at_fork(before=lambda: note("before"), after_in_child=lambda: note("in-child"))
ticks = 0
def tick():
    global ticks
    while True:
        time.sleep(0.01)
        ticks += 1
threading.Thread(target=tick, daemon=True).start()
uwsgi.post_fork_hook = lambda: (note("post-fork %d" % uwsgi.worker_id()), threading.Thread(target=tick, daemon=True).start())
uwsgi.atexit = lambda: note("uwsgi-atexit %d" % uwsgi.worker_id())
atexit.register(lambda: note("atexit %d" % uwsgi.worker_id()))
def application(env, start):
    start("200 OK", [])
    if env["PATH_INFO"] == "/ticks": return [str(ticks).encode()]
    if env["PATH_INFO"] == "/threads": return [",".join(sorted(t.name for t in threading.enumerate())).encode()]
    if env["PATH_INFO"] == "/sleep": time.sleep(0.3)
    return [repr(eval(env["QUERY_STRING"].replace("%20", " "))).encode() if env["QUERY_STRING"] else b"ok"]
"#;

#[test]
fn forks_follow_pythons_protocol_and_threads_run() {
    let mut server = Setup::new().wsgi(APP).args(["-p", "2", "--threads", "2"]).start();
    let notes = server.dir().join("notes");
    let notes = move || std::fs::read_to_string(&notes).unwrap_or_default();
    wait_for("both hooks", || {
        (notes().matches("post-fork").count() == 2).then_some(())
    });
    assert!(
        notes().contains("before") && notes().matches("in-child").count() >= 2,
        "{}",
        notes()
    );
    wait_for("the thread of the hook to run", || {
        let ticks: u64 = server.get("/ticks").text().parse().unwrap();
        (ticks > 20).then_some(())
    });
    server.signal(libc::SIGTERM);
    assert!(server.wait_exit().success());
    for line in ["uwsgi-atexit 1", "uwsgi-atexit 2", "\natexit 1", "\natexit 2"] {
        assert_eq!(notes().matches(line).count(), 1, "{line:?} in {}", notes());
    }
}

#[test]
fn a_thread_in_the_master_swallows_no_signal() {
    let mut server = Setup::new().wsgi(APP).args(["-p", "1", "--disable-logging"]).start();
    for round in 1..=3 {
        let (_, pid) = server.workers()[0];
        rsgi_tests::send(pid, libc::SIGKILL);
        server.wait_log("Respawned rsgi worker 1", round);
        wait_for("the new worker", || (server.get("/").status == 200).then_some(()));
    }
    server.signal(libc::SIGHUP);
    server.wait_log("binary reloading rsgi", 1);
    server.wait_log("spawned rsgi worker 1 (pid: ", 2);
    wait_for("the new generation", || (server.get("/").status == 200).then_some(()));
    server.signal(libc::SIGINT);
    assert!(server.wait_exit().success());
}

#[test]
fn threads_of_a_worker_serve_at_once() {
    let server = Setup::new().wsgi(APP).args(["-p", "1", "--threads", "4"]).start();
    let begin = std::time::Instant::now();
    let port = server.port();
    let clients: Vec<_> = (0..4)
        .map(|_| std::thread::spawn(move || rsgi_tests::http::get(port, "/sleep").status))
        .collect();
    assert!(clients.into_iter().all(|c| c.join().unwrap() == 200));
    assert!(begin.elapsed().as_millis() < 1000, "{:?}", begin.elapsed());
}

#[test]
fn the_module_knows_who_and_what() {
    let server = Setup::new()
        .wsgi(APP)
        .args([
            "-p",
            "2",
            "--set",
            "color=blue",
            "--set",
            "color=green",
            "--pyargv",
            "one two",
        ])
        .start();
    let ask = |code: &str| server.get(&format!("/?{}", code.replace(' ', "%20"))).text();
    assert_eq!(ask("uwsgi.numproc"), "2");
    assert_eq!(ask("uwsgi.worker_id() in (1,2)"), "True");
    assert_eq!(ask("uwsgi.mule_id()"), "0");
    assert_eq!(ask("uwsgi.i_am_the_spooler()"), "None");
    assert_eq!(ask("uwsgi.opt['color']"), "[b'blue', b'green']");
    assert_eq!(ask("type(uwsgi.version).__name__"), "'bytes'");
    assert_eq!(ask("len(uwsgi.version_info)"), "5");
    assert_eq!(ask("len(uwsgi.sockets)"), "1");
    assert_eq!(ask("[w['id'] for w in uwsgi.workers()]"), "[1, 2]");
    assert_eq!(ask("uwsgi.workers()[uwsgi.worker_id()-1]['status']"), "b'busy'");
    assert_eq!(ask("uwsgi.workers()[0]['apps'][0]['mountpoint']"), "b''");
    assert_eq!(
        ask("__import__('gc').get_freeze_count() > 1000"),
        "True",
        "shared memory stays shared"
    );
    assert_eq!(ask("sys.argv"), "['uwsgi', 'one', 'two']");
    assert_eq!(ask("uwsgi.env['PATH_INFO']"), "'/'");
    assert_eq!(ask("uwsgi.masterpid()"), server.pid().to_string());
    assert_eq!(
        ask("uwsgi.SPOOL_OK,uwsgi.SPOOL_RETRY,uwsgi.SPOOL_IGNORE"),
        "(-2, -1, 0)"
    );
    assert_eq!(ask("(lambda m: 1048576 < m[0] < m[1])(uwsgi.mem())"), "True");
}

#[test]
fn an_override_serves_as_main_and_ends_the_python_way() {
    let script = r#"
import os, socket, uwsgi, atexit
def note(text):
    fd = os.open("@DIR@/notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(fd, (text + "\n").encode()); os.close(fd)
atexit.register(lambda: note("left"))
k = socket.socket(fileno=os.dup(uwsgi.sockets[0]))
k.setblocking(True)
uwsgi.accepting()
note("up " + __name__)
while True:
    c, _ = k.accept()
    c.recv(4096)
    c.sendall(b"HTTP/1.0 200 OK\r\n\r\noverridden")
    c.close()
"#;
    let mut server = Setup::new()
        .file("over.py", script)
        .args([
            "--http-socket",
            "127.0.0.1:0",
            "--python-worker-override",
            "@DIR@/over.py",
        ])
        .start();
    let notes = server.dir().join("notes");
    let notes = move || std::fs::read_to_string(&notes).unwrap_or_default();
    wait_for("the script", || notes().contains("up __main__").then_some(()));
    assert_eq!(server.get("/").text(), "overridden");
    server.signal(libc::SIGINT);
    server.wait_exit();
    assert_eq!(notes().matches("left").count(), 1, "{}", notes());
}

#[test]
fn a_changed_module_is_reloaded() {
    let mut server = Setup::new()
        .file("part.py", "TEXT = b'old'\n")
        .wsgi("import part\ndef application(env, start):\n    start('200 OK', [])\n    return [part.TEXT]\n")
        .args([
            "--py-autoreload",
            "1",
            "--pythonpath",
            "@DIR@",
            "--disable-logging",
            "-p",
            "2",
        ])
        .start();
    assert_eq!(server.get("/").text(), "old");
    let part = server.dir().join("part.py");
    let becomes = |server: &rsgi_tests::Server, wanted: &str| {
        wait_for(wanted, || {
            Some(server.get("/")).filter(|answer| answer.text().contains(wanted))
        })
    };
    wait_for("the watcher", || {
        std::fs::write(&part, "TEXT = b'newer'\n").unwrap();
        server.log().contains("part.py has been modified").then_some(())
    });
    becomes(&server, "newer");
    // a mistake is shown by each worker, and costs nothing but the answers meanwhile
    std::fs::write(&part, "TEXT = b'<b>' b'newest'\ndef (:\n").unwrap();
    let page = becomes(&server, "Python does not understand");
    assert_eq!(
        (page.status, page.header("content-type")),
        (500, Some("text/html; charset=utf-8"))
    );
    assert!(page.text().contains("part.py&quot;, line 2"), "{}", page.text());
    server.wait_log("part.py:2: Python 3", 1);
    std::fs::write(&part, "TEXT = b'newest'\n").unwrap();
    becomes(&server, "newest");
}

#[test]
fn a_change_is_found_where_the_file_system_tells_nothing() {
    let mut server = Setup::new()
        .file("part.py", "TEXT = b'old'\n")
        .wsgi("import part\ndef application(env, start):\n    start('200 OK', [])\n    return [part.TEXT]\n")
        .args(["--py-autoreload", "1", "--pythonpath", "@DIR@", "--disable-logging"])
        .start();
    assert_eq!(server.get("/").text(), "old");
    // the watcher has seen it by then; a time that is set is no write
    server.wait_log("spawned rsgi worker 1", 1);
    let file = std::fs::File::options()
        .write(true)
        .open(server.dir().join("part.py"))
        .unwrap();
    let mut past = std::time::SystemTime::now();
    wait_for("the change", || {
        past -= std::time::Duration::from_secs(10);
        file.set_modified(past).unwrap();
        server.log().contains("part.py has been modified").then_some(())
    });
}

#[test]
fn garbage_is_looked_for_rarely_while_applications_are_loaded() {
    let app = |own: &str| {
        format!(
            "import gc\nwhile_loaded = gc.get_threshold()\n{own}\ndef application(env, start):\n    start('200 OK', [])\n    \
             return [repr((while_loaded[0], gc.get_threshold()[0])).encode()]\n"
        )
    };
    let answer = |own: &str| Setup::new().wsgi(&app(own)).start().get("/").text();
    let (rarely, as_before) = answer("")
        .split_once(", ")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert_eq!(rarely, "(50000");
    assert_ne!(as_before, "50000)");
    assert_eq!(answer("gc.set_threshold(123)"), "(50000, 123)");
    assert!(answer("gc.set_threshold(0)").ends_with(", 0)"));
}
