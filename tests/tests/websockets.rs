//! Websockets in WSGI applications (`uwsgi.websocket_*`), on a worker's own socket and through the gateway.

use rsgi_tests::websocket::Client;
use rsgi_tests::{Server, Setup};

const APP: &str = r#"
import uwsgi
def application(env, start):
    uwsgi.websocket_handshake()
    try:
        while True:
            m = uwsgi.websocket_recv()
            if m == b"bye": break
            if m == b"binary": uwsgi.websocket_send_binary(b"\xff\x00")
            else: uwsgi.websocket_send(m.decode()[::-1] if len(m) < 100 else "%d bytes" % len(m))
    except OSError as e:
        print("ended:", e, flush=True)
    return b""
"#;

fn server(args: &[&str]) -> Server {
    let setup = Setup::new().wsgi(APP).args(["--http", "127.0.0.1:0", "--threads", "3"]);
    let mut server = setup.args(args.iter().copied()).start();
    server.wait_log("spawned rsgi http", 1);
    server
}

#[test]
fn messages_pass_both_ways_also_through_the_gateway() {
    let mut server = server(&[]);
    for port in server.ports() {
        let mut client = Client::open(port, "/", "Sec-WebSocket-Protocol: chat, other\r\n");
        assert_eq!(client.answer.header("sec-websocket-protocol"), Some("chat"));
        client.send(0x81, b"hello");
        assert_eq!(client.text(), "olleh");
        client.send(0x81, b"binary");
        assert_eq!(client.receive(), Some((0x82, vec![0xff, 0])));
        // in parts, with a ping between them
        client.send(0x01, &[b'x'; 70_000]);
        client.send(0x89, b"?");
        client.send(0x80, &[b'x'; 70_000]);
        assert_eq!(client.receive(), Some((0x8a, b"?".to_vec())));
        assert_eq!(client.text(), "140000 bytes");
        client.send(0x81, b"bye");
        assert_eq!(client.close_code(), 1000);
        assert_eq!(client.receive(), None);
    }
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn what_breaks_the_protocol_is_told_why() {
    let mut server = server(&["--websocket-max-size", "4"]);
    for (first, payload, code) in [
        (0x81, &b"\xc3\x28"[..], 1007),
        (0x83, b"", 1002),
        (0x82, &[0; 5000], 1009),
        (0x88, &4000u16.to_be_bytes(), 4000),
    ] {
        let mut client = Client::open(server.port(), "/", "");
        client.send(first, payload);
        assert_eq!(client.close_code(), code);
        assert_eq!(client.receive(), None);
    }
    server.wait_log("ended: unable to receive websocket message", 4);
}

#[test]
fn a_leaving_worker_says_so() {
    let mut server = server(&[]);
    let mut clients = server.ports().map(|port| Client::open(port, "/", ""));
    server.signal(libc::SIGTERM);
    for client in &mut clients {
        assert_eq!(client.close_code(), 1012);
    }
    assert_eq!(server.wait_exit().code(), Some(0));
}
