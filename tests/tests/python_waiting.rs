//! Waiting inside a request, whatever serves it: threads, gevent, asyncio. The same applications run in all of them.

use rsgi_tests::http::{answer, get, talk};
use rsgi_tests::websocket::Client;
use rsgi_tests::{Server, Setup, venv, wait_for};
use std::time::{Duration, Instant};

const APP: &str = r#"
import os, socket, sys, time, uwsgi
PIPES = {}
LISTENER = socket.create_server(("127.0.0.1", 0))
LISTENER.setblocking(False)
ADDRESS = "127.0.0.1:%d" % LISTENER.getsockname()[1]

def pipes():
    "Nothing, the first of two, time, one that has both directions."
    (r1, w1), (r2, w2) = os.pipe(), os.pipe()
    out = [uwsgi.wait_fd_read(r1, 0.2), uwsgi.suspend(), uwsgi.ready_fd()]
    os.write(w2, b"x")
    uwsgi.wait_fd_read(r1); uwsgi.wait_fd_read(r2, 5); uwsgi.suspend()
    out += [uwsgi.ready_fd() == r2, uwsgi.ready_fd()]
    uwsgi.wait_fd_write(w1); uwsgi.suspend()
    out.append(uwsgi.ready_fd() == w1)
    for fd in (r1, r2, w1, w2): os.close(fd)
    try: uwsgi.wait_fd_read(r1)
    except OSError: out.append("closed")
    return out

def sockets():
    out = []
    fd = uwsgi.async_connect(ADDRESS)
    uwsgi.wait_fd_write(fd, 5); uwsgi.suspend()
    out.append(uwsgi.is_connected(fd))
    here, _ = LISTENER.accept()
    peer = here.fileno()
    uwsgi.async_sleep(0.01)
    out += [uwsgi.send(fd, b"ping"), uwsgi.recv(peer), uwsgi.send(peer, b"pong"), uwsgi.recv(fd, 2)]
    here.close()
    out += [uwsgi.recv(fd), uwsgi.recv(fd)]
    uwsgi.close(fd)
    fd = uwsgi.connect(ADDRESS, 2)
    out.append(uwsgi.is_connected(fd))
    LISTENER.accept()[0].close()
    uwsgi.close(fd)
    closed = socket.create_server(("127.0.0.1", 0)); port = closed.getsockname()[1]; closed.close()
    out.append(uwsgi.connect("127.0.0.1:%d" % port, 2))
    return out

def note(word):
    fd = os.open("@DIR@/notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(fd, word); os.close(fd)

def locked():
    "Waits while it holds a lock that all workers share."
    uwsgi.lock(1)
    note(b"in,")
    uwsgi.async_sleep(0.03)
    try: uwsgi.lock(1)
    except RuntimeError: again = "refused"
    note(b"out,")
    uwsgi.unlock(1)
    return again

def between():
    "What is yielded carries the waits."
    r, w = os.pipe()
    yield b"begun,"
    yield uwsgi.wait_fd_read(r, 0.1)
    yield b"%d," % uwsgi.ready_fd()
    os.write(w, b"x")
    yield uwsgi.wait_fd_read(r, 5)
    yield b"%d," % (uwsgi.ready_fd() == r)
    yield uwsgi.async_sleep(0.01)
    os.close(r); os.close(w)
    yield b"ended"

def events(env):
    "As the extension of WSGI has it that uWSGI gives in its async mode."
    readable, name = env.get("x-wsgiorg.fdevent.readable"), "x-wsgiorg.fdevent.timeout"
    if readable is None: return
    yield repr(env[name]).encode()
    a, b = socket.socketpair()
    yield readable(a, 0.05)
    yield b"," + repr(env[name]).encode()
    b.send(b"x")
    yield readable(a.fileno(), 5)
    yield b"," + repr(env[name]).encode() + b"," + a.recv(1)

def chat():
    "A websocket and another descriptor in one wait, as chats do it."
    uwsgi.websocket_handshake()
    client, (r, w) = uwsgi.connection_fd(), os.pipe()
    PIPES["w"] = w
    try:
        while True:
            uwsgi.wait_fd_read(client, 1); uwsgi.wait_fd_read(r); uwsgi.suspend()
            fd = uwsgi.ready_fd()
            if fd == r:
                uwsgi.websocket_send(b"news:" + os.read(r, 100))
            else:
                said = uwsgi.websocket_recv_nb()
                if said: uwsgi.websocket_send(b"said:" + said)
    except OSError:
        return b""

def application(env, start):
    path = env["PATH_INFO"]
    if path == "/chat": return chat()
    if path == "/events":
        start("200 OK", [])
        return events(env)
    if path == "/news":
        os.write(PIPES["w"], env["QUERY_STRING"].encode())
    if path == "/wait":
        out = (uwsgi.signal_wait(40), uwsgi.signal_received())
    elif path == "/any":
        out = (uwsgi.signal_wait(), uwsgi.signal_received())
    elif path == "/forever":
        try: uwsgi.signal_wait(99)
        except SystemError as e: out = str(e)
    elif path == "/raise":
        uwsgi.signal(int(env["QUERY_STRING"])); out = None
    elif path == "/limit":
        uwsgi.set_user_harakiri(1)
        try: uwsgi.async_sleep(30)
        except TimeoutError as e: out = "late"
        uwsgi.set_user_harakiri(0)
    elif path == "/between":
        uwsgi.start_response("200 OK", [])
        return between()
    else:
        out = globals().get(path[1:], lambda: None)()
    start("200 OK", [])
    return [repr(out).encode()]
"#;

/// A server of each kind: several requests at a time in each worker.
fn servers(more: &[&'static str]) -> Vec<(&'static str, Server)> {
    let mut all = vec![("threads", vec!["--threads", "4"]), ("async", vec!["--async", "4"])];
    let venv = venv::with(&["gevent"]);
    if let Some(venv) = &venv {
        let home = venv::argument(venv);
        all.push(("gevent", vec!["--gevent", "10", "--virtualenv", home]));
        all.push(("asyncio", vec!["--asyncio", "10", "--virtualenv", home]));
    }
    all.into_iter()
        .map(|(name, args)| {
            (
                name,
                Setup::new().wsgi(APP).args(args).args(more.iter().copied()).start(),
            )
        })
        .collect()
}

#[test]
fn descriptors_are_waited_for() {
    for (name, server) in servers(&[]) {
        let port = server.port();
        let answer = get(port, "/pipes").text();
        assert_eq!(answer, "[b'', True, -1, True, -1, True, 'closed']", "{name}");
        assert_eq!(get(port, "/between").text(), "begun,-1,1,ended", "{name}");
        let events = if name == "threads" { "" } else { "None,True,None,x" };
        assert_eq!(get(port, "/events").text(), events, "{name}");
        assert_eq!(
            get(port, "/sockets").text(),
            "[True, True, b'ping', True, b'po', b'ng', None, True, -1]",
            "{name}"
        );
    }
}

#[test]
fn a_websocket_and_another_descriptor_share_a_wait() {
    for (name, server) in servers(&[]) {
        let port = server.port();
        let mut client = Client::open(port, "/chat", "");
        for word in ["one", "two"] {
            client.send(0x81, word.as_bytes());
            assert_eq!(client.text(), format!("said:{word}"), "{name}");
            assert_eq!(get(port, &format!("/news?{word}")).text(), "None", "{name}");
            assert_eq!(client.text(), format!("news:{word}"), "{name}");
        }
        // both are read at once, and asked for one by one
        client.send_all(&[b"three", b"four"]);
        assert_eq!([client.text(), client.text()], ["said:three", "said:four"], "{name}");
    }
}

#[test]
fn greenlets_wait_for_signals_while_others_run() {
    for (name, mut server) in servers(&[]).into_iter().skip(2) {
        let port = server.port();
        let ask = |path: &str| talk(port, &format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        let told = |mut reader| answer(&mut reader).text();
        let (first, second) = (ask("/wait"), ask("/any"));
        // in work before the signals are raised, since connections are taken in order
        get(port, "/");
        get(port, "/raise?41");
        assert_eq!(told(second), "(b'', 41)", "{name}");
        get(port, "/raise?40");
        assert_eq!(told(first), "(b'', 40)", "{name}");
        get(port, "/raise?7");
        server.wait_log("error managing signal 7 on worker 1", 1);
        let last = ask("/forever");
        get(port, "/");
        server.signal(libc::SIGTERM);
        assert!(told(last).contains("leaving"), "{name}");
        assert_eq!(server.wait_exit().code(), Some(0), "{}", server.log());
        let log = server.log();
        assert!(
            !log.contains("Traceback") && !log.contains("managing signal 4"),
            "{log}"
        );
    }
}

#[test]
fn a_request_may_set_its_own_limit_in_an_event_loop() {
    for (name, server) in servers(&[]).into_iter().skip(2) {
        let begin = Instant::now();
        assert_eq!(get(server.port(), "/limit").text(), "'late'", "{name}");
        assert!(begin.elapsed() < Duration::from_secs(10), "{name}");
        wait_for("the same worker", || {
            (get(server.port(), "/").status == 200 && server.workers().len() == 1).then_some(())
        });
        assert_eq!(server.log().matches("spawned rsgi worker").count(), 1, "{name}");
    }
}

#[test]
fn locks_exclude_whatever_serves() {
    for (name, server) in servers(&["-p", "2", "--locks", "1"]) {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(get(server.port(), "/locked").text(), "'refused'", "{name}"));
            }
        });
        let notes = std::fs::read_to_string(server.dir().join("notes")).expect("requests left notes");
        assert_eq!(notes, "in,out,".repeat(8), "{name}");
    }
}
