//! ASGI as the application sees it, on a worker's own socket and through the gateway: scopes, bodies both ways,
//! awaitables, errors, lifespans, and how a worker with an event loop leaves, reloads and is watched.

use rsgi_tests::http::{self, answer, get, talk};
use rsgi_tests::interpreters;
use rsgi_tests::load::Load;
use rsgi_tests::{Server, Setup, wait_for};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

const APP: &str = r#"
import asyncio, contextvars, json, os, time, uwsgi
NOTES = {"sent": 0, "disconnected": 0, "cancelled": 0, "background": 0, "signals": 0}
def on_signal(number):
    asyncio.get_running_loop().call_soon(NOTES.__setitem__, "signals", NOTES["signals"] + number)
uwsgi.register_signal(17, "worker", on_signal)
var = contextvars.ContextVar("var", default="unset")

async def body_of(receive):
    parts = []
    while True:
        m = await receive()
        if m["type"] == "http.disconnect": raise RuntimeError("gone")
        parts.append(m["body"])
        if not m["more_body"]: return parts

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            m = await receive()
            if m["type"] == "lifespan.startup":
                scope["state"]["began"] = "yes"
            else:
                print("LIFESPAN ENDS", os.getpid(), flush=True)
            await send({"type": m["type"] + ".complete"})
            if m["type"].endswith("shutdown"): return
    async def answer(body, status=200, headers=()):
        if not isinstance(body, bytes): body = json.dumps(body).encode()
        await send({"type": "http.response.start", "status": status,
                    "headers": [(b"content-length", b"%d" % len(body)), *headers]})
        await send({"type": "http.response.body", "body": body})
    path = scope["path"].rpartition("/")[2]
    if path == "scope":
        await answer({k: repr(v) for k, v in scope.items()})
    elif path == "echo":
        await answer(b"".join(await body_of(receive)))
    elif path == "parts":
        await answer([len(p) for p in await body_of(receive)])
    elif path == "pid":
        await answer(b"%d" % os.getpid())
    elif path == "notes":
        await answer(NOTES)
    elif path == "sleep":
        await asyncio.sleep(float(scope["query_string"] or b"0.3"))
        await answer(b"slept")
    elif path == "block":
        time.sleep(float(scope["query_string"]))
        await answer(b"blocked")
    elif path == "raise":
        raise ValueError("raised-before-start")
    elif path == "late":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        raise ValueError("raised-after-start")
    elif path == "nothing":
        pass
    elif path == "flood":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for NOTES["sent"] in range(1, 1001):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    elif path == "wait":
        while (await receive())["type"] != "http.disconnect": pass
        NOTES["disconnected"] += 1
    elif path == "cancelled":
        try: await asyncio.sleep(60)
        except asyncio.CancelledError:
            NOTES["cancelled"] += 1
            raise
    elif path == "background":
        await answer(b"answered")
        await asyncio.sleep(0.2)
        NOTES["background"] += 1
    elif path == "awaitables":
        out = [asyncio.current_task() is not None, var.get()]
        var.set("mine")
        first = asyncio.create_task(receive())
        out.append((await first)["type"])
        # nothing comes any more while the client waits
        try: await asyncio.wait_for(receive(), 0.05)
        except asyncio.TimeoutError: out.append("timeout")
        pending = asyncio.ensure_future(receive())
        done, left = await asyncio.wait([pending], timeout=0.05)
        out.append((len(done), len(left), pending.done()))
        pending.cancel()
        try: await pending
        except asyncio.CancelledError: out.append("cancelled")
        task = asyncio.create_task(receive())
        await asyncio.sleep(0)
        task.cancel()
        out.append(type((await asyncio.gather(task, return_exceptions=True))[0]).__name__)
        out.append([await send({"type": "http.response.start", "status": 200, "headers": []}), var.get()])
        await send({"type": "http.response.body", "body": json.dumps(out).encode()})
        assert (await receive())["type"] == "http.disconnect"
    elif path == "wrong":
        out = []
        for message in ({"type": "http.response.body"}, {"type": "nope"}, {}, 5, {"type": "http.response.start", "status": 7},
                {"type": "http.response.start", "status": 200, "headers": [("a", "b")]},
                {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b\r\nc: d")]}):
            try: await send(message); out.append("fine")
            except Exception as e: out.append(type(e).__name__)
        await answer(out)
    elif path == "signal":
        uwsgi.signal(17)
        await answer(b"raised")
    elif path == "file":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try: await send({"type": "http.response.pathsend", "path": "/not/there"})
        except OSError: await send({"type": "http.response.pathsend", "path": __file__})
    elif path == "kinds":
        await send({"type": "http.response.start", "status": 201, "headers": iter([[b"x-list", b"1"], (b"x-tuple", b"2")])})
        await send({"type": "http.response.body", "body": bytearray(b"array,"), "more_body": True})
        await send({"type": "http.response.body", "body": memoryview(b"view"), "more_body": True})
        await send({"type": "http.response.body"})
    else:
        await answer(b"not here", 404)
"#;

/// What `/awaitables` answers.
const AWAITABLES: &str =
    r#"[true, "unset", "http.request", "timeout", [0, 1, false], "cancelled", "CancelledError", [null, "mine"]]"#;

fn server(args: &[&str]) -> Server {
    let setup = Setup::new()
        .file("ap.py", APP)
        .args(["--http-socket", "127.0.0.1:0", "--http", "127.0.0.1:0"])
        .args(["--pythonpath", "@DIR@", "--asgi", "ap:app", "--asgi-loop", "asyncio"]);
    let mut server = setup.args(args.iter().copied()).start();
    server.wait_log("spawned rsgi http", 1);
    server
}

fn notes(server: &Server, name: &str) -> i64 {
    let text = get(server.port(), "/notes").text();
    let rest = text.split(&format!("\"{name}\": ")).nth(1).expect("a note");
    rest.split([',', '}'])
        .next()
        .and_then(|n| n.parse().ok())
        .expect("a number")
}

#[test]
fn scopes_say_what_was_asked() {
    let server = server(&[]);
    for port in server.ports() {
        let request = "GET /a%20b/%C3%A4/scope?x=%20 HTTP/1.1\r\nHost: here:80\r\nX-Two: 1\r\nx-two: 2\r\nContent-Type: t/p\r\n\
            X-Forwarded-Proto: https\r\n\r\n";
        let text = answer(&mut talk(port, request)).text();
        for wanted in [
            r#""type": "'http'""#,
            r#""method": "'GET'""#,
            r#""http_version": "'1.1'""#,
            r#""path": "'/a b/\u00e4/scope'""#,
            r#""raw_path": "b'/a%20b/%C3%A4/scope'""#,
            r#""query_string": "b'x=%20'""#,
            r#""root_path": "''""#,
            r#""scheme": "'https'""#,
            r#""client": "('127.0.0.1', "#,
            r#"(b'host', b'here:80')"#,
            r#"(b'content-type', b't/p')"#,
            r#"(b'x-two', b'1, 2')"#,
            r#""asgi": "{'version': '3.0', 'spec_version': '2.4'}""#,
            r#""state": "{'began': 'yes'}""#,
        ] {
            assert!(text.contains(wanted), "{wanted} is not in {text}");
        }
        // the next one of the same shape has its own values
        let text = get(port, "/scope").text();
        assert!(
            text.contains(r#""query_string": "b''""#) && !text.contains("x-two"),
            "{text}"
        );
        let request = "GET /scope?later HTTP/1.1\r\nHost: there\r\nX-Two: 3\r\nx-two: 4\r\nContent-Type: t/p\r\n\
            X-Forwarded-Proto: http\r\n\r\n";
        let text = answer(&mut talk(port, request)).text();
        for wanted in ["b'3, 4'", "b'later'", "'/scope'", "b'there'", r#""scheme": "'http'""#] {
            assert!(text.contains(wanted), "{wanted} is not in {text}");
        }
    }
}

#[test]
fn bodies_come_as_they_arrive() {
    let server = server(&[]);
    for port in server.ports() {
        let large = vec![b'l'; 3_000_000];
        assert_eq!(http::post(port, "/echo", &large).body.len(), large.len());
        let chunked = "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n\
            GET /pid HTTP/1.1\r\nHost: h\r\n\r\n";
        let mut reader = talk(port, chunked);
        assert_eq!(answer(&mut reader).text(), "abcde");
        assert!(answer(&mut reader).text().parse::<u32>().is_ok());
        // a body in pieces, others are served meanwhile
        let mut reader = talk(port, "POST /parts HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nab");
        assert_eq!(get(port, "/sleep?0").text(), "slept");
        reader.get_mut().write_all(b"cdef").expect("the server reads");
        assert!(["[2, 4]", "[6]"].contains(&answer(&mut reader).text().as_str()));
        // nobody reads it: the connection goes on all the same
        let unread =
            "POST /pid HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcdeGET /pid HTTP/1.1\r\nHost: h\r\n\r\n";
        let mut reader = talk(port, unread);
        assert_eq!(answer(&mut reader).status, 200);
        assert_eq!(answer(&mut reader).status, 200);
    }
    let expects = "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    let mut reader = talk(server.port(), expects);
    assert_eq!(answer(&mut reader).status, 100);
    reader.get_mut().write_all(b"ok").expect("the server reads");
    assert_eq!(answer(&mut reader).text(), "ok");
    let broken = "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    assert_eq!(answer(&mut talk(server.port(), broken)).status, 400);
}

#[test]
fn many_requests_are_served_at_a_time() {
    let server = server(&[]);
    for port in server.ports() {
        let begin = Instant::now();
        let mut readers: Vec<_> = (0..40)
            .map(|_| talk(port, "GET /sleep?0.4 HTTP/1.1\r\nHost: h\r\n\r\n"))
            .collect();
        for reader in &mut readers {
            assert_eq!(answer(reader).text(), "slept");
        }
        assert!(begin.elapsed() < Duration::from_secs(4));
    }
    // pipelined ones in their order
    let mut reader = talk(
        server.port(),
        "GET /sleep?0.1 HTTP/1.1\r\nHost: h\r\n\r\nGET /pid HTTP/1.1\r\nHost: h\r\n\r\nGET /sleep?0 HTTP/1.1\r\nHost: h\r\n\r\n",
    );
    let texts: Vec<String> = (0..3).map(|_| answer(&mut reader).text()).collect();
    assert!(
        texts[0] == "slept" && texts[1].parse::<u32>().is_ok() && texts[2] == "slept",
        "{texts:?}"
    );
}

#[test]
fn a_client_that_does_not_read_holds_its_application_back() {
    let server = server(&[]);
    let mut reader = talk(server.port(), "GET /flood HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for("the flood to begin", || (notes(&server, "sent") > 0).then_some(()));
    let mut last = 0;
    let stuck = wait_for("the flood to stop", || {
        let now = notes(&server, "sent");
        std::thread::sleep(Duration::from_millis(100));
        (std::mem::replace(&mut last, now) == now).then_some(now)
    });
    assert!(stuck < 1000, "all of it was sent: {stuck}");
    assert_eq!(answer(&mut reader).body.len(), 65_536_000);
    // one that goes away does not hold anybody
    drop(talk(server.port(), "GET /flood HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_eq!(get(server.port(), "/sleep?0").text(), "slept");
    assert!(!server.log().contains("Traceback"), "{}", server.log());
}

#[test]
fn awaitables_are_what_asyncio_expects() {
    let server = server(&[]);
    for _ in 0..2 {
        let text = get(server.port(), "/awaitables").text();
        assert_eq!(text, AWAITABLES, "{}", server.log());
    }
    // one that begins in what another had still to do does not inherit from it
    let twice = "GET /awaitables HTTP/1.1\r\nHost: h\r\n\r\n".repeat(2);
    let mut reader = talk(server.port(), &twice);
    for _ in 0..2 {
        assert_eq!(answer(&mut reader).text(), AWAITABLES);
    }
    let text = get(server.port(), "/wrong").text();
    let wanted =
        r#"["RuntimeError", "ValueError", "ValueError", "TypeError", "ValueError", "TypeError", "ValueError"]"#;
    assert_eq!(text, wanted);
    let answer = get(server.port(), "/kinds");
    assert_eq!((answer.status, answer.text().as_str()), (201, "array,view"));
    assert_eq!(
        (answer.header("x-list"), answer.header("x-tuple")),
        (Some("1"), Some("2"))
    );
}

#[test]
fn every_python_has_the_same_tasks_and_awaitables() {
    let all = interpreters::embeddable();
    for (minor, home) in &all {
        let mut server = server(&["--home", &home.display().to_string()]);
        let text = get(server.port(), "/awaitables").text();
        assert_eq!(text, AWAITABLES, "3.{minor}: {}", server.log());
        assert_eq!(get(server.port(), "/sleep?0.01").text(), "slept");
        assert_eq!(get(server.port(), "/raise").status, 500);
        assert_eq!(get(server.gateway_port(), "/kinds").text(), "array,view");
        server.signal(libc::SIGTERM);
        assert_eq!(server.wait_exit().code(), Some(0), "3.{minor}: {}", server.log());
        let log = server.log();
        assert_eq!(log.matches("Traceback").count(), 1, "3.{minor}: {log}");
    }
    assert!(!all.is_empty(), "no Python of this machine can be embedded");
}

#[test]
fn mistakes_are_told_and_the_loop_goes_on() {
    let mut server = server(&[]);
    for port in server.ports() {
        assert_eq!(get(port, "/raise").status, 500);
        assert_eq!(get(port, "/nothing").status, 500);
        let mut all = Vec::new();
        let mut reader = talk(port, "GET /late HTTP/1.1\r\nHost: h\r\n\r\n");
        let _ = reader.read_to_end(&mut all);
        let all = String::from_utf8_lossy(&all);
        assert!(all.contains("begun") && !all.ends_with("0\r\n\r\n"), "{all}");
        assert_eq!(get(port, "/sleep?0").text(), "slept");
    }
    server.wait_log("raised-before-start", 2);
    server.wait_log("raised-after-start", 2);
    server.wait_log("returned from /nothing without an answer", 2);
}

#[test]
fn files_and_signals_pass_the_loop() {
    let server = server(&["--lazy-apps"]);
    for port in server.ports() {
        let file = get(port, "/file");
        assert_eq!(
            file.text(),
            std::fs::read_to_string(server.dir().join("ap.py")).expect("it is there")
        );
        assert_eq!(
            file.header("content-length"),
            Some(file.body.len().to_string().as_str())
        );
        assert_eq!(get(port, "/signal").text(), "raised");
    }
    wait_for("two signals", || (notes(&server, "signals") == 34).then_some(()));
    // the gateway knows before applications are loaded that a worker serves many at a time
    let mut readers: Vec<_> = (0..5)
        .map(|_| talk(server.gateway_port(), "GET /sleep?0.5 HTTP/1.1\r\nHost: h\r\n\r\n"))
        .collect();
    let begin = Instant::now();
    readers
        .iter_mut()
        .for_each(|reader| assert_eq!(answer(reader).text(), "slept"));
    assert!(begin.elapsed() < Duration::from_millis(1500));
}

#[test]
fn a_client_that_leaves_is_noticed() {
    let server = server(&[]);
    for (count, port) in server.ports().into_iter().enumerate() {
        let reader = talk(port, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
        get(port, "/sleep?0.05");
        drop(reader);
        wait_for("the disconnect", || {
            (notes(&server, "disconnected") > count as i64).then_some(())
        });
    }
}

#[test]
fn what_follows_an_answer_does_not_hold_up_the_connection() {
    let server = server(&[]);
    let mut reader = talk(
        server.port(),
        "GET /background HTTP/1.1\r\nHost: h\r\n\r\nGET /notes HTTP/1.1\r\nHost: h\r\n\r\n",
    );
    assert_eq!(answer(&mut reader).text(), "answered");
    assert!(answer(&mut reader).text().contains("\"background\": 0"));
    wait_for("the background", || (notes(&server, "background") == 1).then_some(()));
}

#[test]
fn a_stop_waits_for_requests_and_ends_lifespans() {
    let mut server = server(&["--processes", "2"]);
    let mut readers: Vec<_> = server
        .ports()
        .into_iter()
        .map(|port| talk(port, "GET /sleep?0.5 HTTP/1.1\r\nHost: h\r\n\r\n"))
        .collect();
    get(server.port(), "/sleep?0.1");
    server.signal(libc::SIGTERM);
    for reader in &mut readers {
        let answer = answer(reader);
        assert_eq!(answer.text(), "slept");
    }
    assert_eq!(server.wait_exit().code(), Some(0), "{}", server.log());
    assert_eq!(server.log().matches("LIFESPAN ENDS").count(), 2, "{}", server.log());
    // at once, if asked to
    let mut server = self::server(&[]);
    let _reader = talk(server.port(), "GET /sleep?30 HTTP/1.1\r\nHost: h\r\n\r\n");
    get(server.port(), "/sleep?0");
    server.signal(libc::SIGINT);
    assert_eq!(server.wait_exit().code(), Some(0), "{}", server.log());
}

#[test]
fn reloads_and_recycling_lose_nothing() {
    let mut server = server(&["--processes", "2", "--max-requests", "300"]);
    for port in server.ports() {
        let old = server.wait_workers(2, &[]);
        let pids: Vec<i32> = old.iter().map(|(_, pid)| *pid).collect();
        let load = Load::start(port, "/pid", 4, true);
        load.wait_answers(500);
        server.signal(libc::SIGHUP);
        wait_for("the old workers to leave", || {
            (!pids.iter().any(|pid| rsgi_tests::is_alive(*pid))).then_some(())
        });
        load.wait_answers(1500);
        let seen = load.finish();
        assert!(
            seen.failures.is_empty(),
            "{:?}",
            &seen.failures[..seen.failures.len().min(5)]
        );
    }
    server.wait_log("is done. Seeya!", 1);
}

#[test]
fn requests_and_the_loop_have_deadlines() {
    let mut server = server(&["--harakiri", "2"]);
    let port = server.port();
    let old = server.wait_workers(1, &[])[0].1;
    // waiting too long: that request is ended, the others go on
    let mut late = talk(port, "GET /cancelled HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(get(port, "/sleep?0").text(), "slept");
    assert_eq!(answer(&mut late).status, 500);
    assert_eq!(notes(&server, "cancelled"), 1);
    assert!(rsgi_tests::is_alive(old));
    server.wait_log("is over its time (--harakiri)", 1);
    // blocking the loop: the worker is ended
    let _blocked = talk(port, "GET /block?30 HTTP/1.1\r\nHost: h\r\n\r\n");
    server.wait_log("HARAKIRI ON WORKER 1", 1);
    server.wait_log("in app", 1);
    let new = server.wait_workers(1, &[old])[0].1;
    assert_eq!(get(port, "/pid").text(), new.to_string());
}

#[test]
fn clients_that_stand_still_are_not_waited_for() {
    let mut server = server(&["--socket-timeout", "1"]);
    let port = server.port();
    // takes nothing of a large answer
    let mut stuck = talk(port, "GET /flood HTTP/1.1\r\nHost: h\r\n\r\n");
    // sends half a head, drop by drop, or nothing more of its body
    let mut half = talk(port, "GET /pid HT");
    let mut body = talk(port, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
    assert_eq!(answer(&mut half).status, 408);
    assert_eq!(get(port, "/sleep?0").text(), "slept");
    server.wait_log("GET /flood", 1);
    let mut all = Vec::new();
    let _ = stuck.read_to_end(&mut all);
    assert!(all.len() < 65_536_000, "{}", all.len());
    body.get_mut().write_all(b"cde").expect("the server reads");
    assert_eq!(answer(&mut body).text(), "abcde");
    assert!(!server.log().contains("Traceback"), "{}", server.log());
}
