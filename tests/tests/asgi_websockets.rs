//! Websockets of ASGI applications: what is said both ways, their bounds, and their end with the worker's.

use rsgi_tests::http::{answer, get, talk};
use rsgi_tests::websocket::Client;
use rsgi_tests::{Server, Setup, wait_for};

const CHAT: &str = r#"
import asyncio
async def app(scope, receive, send):
    if scope["type"] == "lifespan": raise NotImplementedError
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"http"})
        return
    assert (await receive())["type"] == "websocket.connect"
    path = scope["path"]
    if path == "/reject": return await send({"type": "websocket.close"})
    if path == "/quiet": return
    if path == "/deny":
        await send({"type": "websocket.http.response.start", "status": 418, "headers": [(b"x-why", b"tea")]})
        return await send({"type": "websocket.http.response.body", "body": b"denied"})
    await send({"type": "websocket.accept", "subprotocol": (scope["subprotocols"] or [None])[-1],
                "headers": [(b"x-scheme", scope["scheme"].encode())]})
    if path == "/raise": raise ValueError("raised-in-websocket")
    if path == "/return": return
    while True:
        m = await receive()
        if m["type"] == "websocket.disconnect":
            print("DISCONNECT", m["code"], flush=True)
            try: await send({"type": "websocket.send", "text": "too late"})
            except OSError: print("TOO LATE", flush=True)
            return
        if m.get("text") == "close": await send({"type": "websocket.close", "code": 4001, "reason": "asked"})
        elif m.get("text") == "flood":
            for i in range(20): await send({"type": "websocket.send", "bytes": b"%d" % i * 100_000})
        elif m.get("text") is not None: await send({"type": "websocket.send", "text": m["text"][::-1]})
        else: await send({"type": "websocket.send", "bytes": m["bytes"][::-1]})
"#;

fn chat(args: &[&str]) -> Server {
    let setup = Setup::new()
        .file("ch.py", CHAT)
        .args(["--http-socket", "127.0.0.1:0", "--http", "127.0.0.1:0"])
        .args(["--pythonpath", "@DIR@", "--asgi", "ch:app"]);
    let mut server = setup.args(args.iter().copied()).start();
    server.wait_log("spawned rsgi http", 1);
    server
}

#[test]
fn websockets_talk() {
    let mut server = chat(&[]);
    for (turn, port) in server.ports().into_iter().enumerate() {
        let mut client = Client::open(port, "/", "Sec-WebSocket-Protocol: chat, other\r\n");
        assert_eq!(client.answer.header("sec-websocket-protocol"), Some("other"));
        assert_eq!(client.answer.header("x-scheme"), Some("ws"));
        client.send(0x81, "häuser".as_bytes());
        assert_eq!(client.text(), "resuäh");
        client.send(0x02, &[1; 70_000]);
        client.send(0x89, b"?");
        client.send(0x80, &[2]);
        assert_eq!(client.receive(), Some((0x8a, b"?".to_vec())));
        assert_eq!(
            client.receive().map(|(first, p)| (first, p.len(), p[0])),
            Some((0x82, 70_001, 2))
        );
        client.send(0x81, b"flood");
        for i in 0..20 {
            let wanted = i.to_string().len() * 100_000;
            assert_eq!(client.receive().map(|(_, payload)| payload.len()), Some(wanted));
        }
        // many at once
        for i in 0..50 {
            client.send(0x81, format!("{i:02}").as_bytes());
        }
        for i in 0..50 {
            assert_eq!(client.text(), format!("{i:02}").chars().rev().collect::<String>());
        }
        client.send(0x81, b"close");
        assert_eq!(client.receive(), Some((0x88, b"\x0f\xa1asked".to_vec())));
        client.send(0x88, b"\x0f\xa1");
        assert_eq!(client.receive(), None);
        server.wait_log("DISCONNECT 4001", turn + 1);

        let mut client = Client::open(port, "/", "");
        assert_eq!(client.answer.header("sec-websocket-protocol"), None);
        client.send(0x88, &4711u16.to_be_bytes());
        assert_eq!(client.close_code(), 4711);
        server.wait_log("DISCONNECT 4711", turn + 1);
        drop(Client::open(port, "/", ""));
        server.wait_log("DISCONNECT 1006", turn + 1);
        assert_eq!(Client::open(port, "/raise", "").close_code(), 1011);
        assert_eq!(Client::open(port, "/return", "").close_code(), 1000);
        assert_eq!(Client::ask(port, "/reject", "").answer.status, 403);
        assert_eq!(Client::ask(port, "/quiet", "").answer.status, 403);
        let denied = Client::ask(port, "/deny", "").answer;
        assert_eq!(
            (denied.status, denied.header("x-why"), denied.text().as_str()),
            (418, Some("tea"), "denied")
        );
        assert_eq!(get(port, "/").text(), "http");
    }
    server.wait_log("TOO LATE", 6);
    server.wait_log("raised-in-websocket", 2);
    let old = "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n\
        Sec-WebSocket-Key: eA==\r\n\r\n";
    let refused = answer(&mut talk(server.port(), old));
    assert_eq!(
        (refused.status, refused.header("sec-websocket-version")),
        (426, Some("13"))
    );
}

#[test]
fn websockets_are_bounded_and_watched() {
    let mut server = chat(&[
        "--websocket-max-size",
        "4",
        "--websockets-ping-freq",
        "1",
        "--websockets-pong-tolerance",
        "1",
    ]);
    let mut client = Client::open(server.port(), "/", "");
    client.send(0x82, &[0; 5000]);
    assert_eq!(client.close_code(), 1009);
    server.wait_log("DISCONNECT 1009", 1);
    // one that answers pings stays, one that does not is given up
    let mut silent = Client::open(server.port(), "/", "");
    let mut lively = Client::open(server.port(), "/", "");
    for _ in 0..3 {
        let ping = lively.receive();
        assert_eq!(ping, Some((0x89, Vec::new())));
        lively.send(0x8a, b"");
    }
    server.wait_log("DISCONNECT 1006", 1);
    while silent.receive().is_some() {}
    lively.send(0x81, b"here");
    assert_eq!(lively.text(), "ereh");
}

#[test]
fn websockets_are_told_of_a_restart() {
    let mut server = chat(&[]);
    let mut clients: Vec<Client> = server
        .ports()
        .into_iter()
        .map(|port| Client::open(port, "/", ""))
        .collect();
    server.signal(libc::SIGHUP);
    for client in &mut clients {
        assert_eq!(client.close_code(), 1012);
    }
    server.wait_log("DISCONNECT 1012", 2);
    drop(clients);
    wait_for("the new worker", || {
        (get(server.port(), "/").text() == "http").then_some(())
    });
    let mut clients: Vec<Client> = server
        .ports()
        .into_iter()
        .map(|port| Client::open(port, "/", ""))
        .collect();
    server.signal(libc::SIGTERM);
    for client in &mut clients {
        assert_eq!(client.close_code(), 1012);
    }
    assert_eq!(server.wait_exit().code(), Some(0), "{}", server.log());
}
