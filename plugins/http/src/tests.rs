//! The gateway over real sockets: clients on a loopback port, and a worker made here that speaks the link's protocol.

mod support;

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::backend::{Address, Backends, Node};
use crate::gateway::{Config, Service};
use crate::packet::Stamp;
use support::{Worker, config, get, logged, pool, start, start_on, started};

#[test]
fn connections_are_kept_on_both_sides() {
    let worker = Worker::start();
    let gateway = started(&worker);
    let mut client = gateway.connect();
    for i in 0..5 {
        client.put(get(&format!("/env?{i}")));
        let answer = client.answer(false);
        assert!(answer.text().contains(&format!("QUERY_STRING={i}\n")), "{answer:?}");
        assert!(answer.text().contains("UWSGI_ROUTER=http\n") && answer.text().contains("SERVER_NAME=box\n"));
        assert!(answer.text().contains("REMOTE_ADDR=127.0.0.1\n"));
        assert!(!answer.head.contains("Connection"));
    }
    assert_eq!(worker.accepted.load(Ordering::Relaxed), 1);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let worker = Worker::start();
    let gateway = started(&worker);
    let mut client = gateway
        .connect()
        .send([get("/slow"), get("/env?2"), get("/chunked"), get("/env?4")].concat());
    assert_eq!(client.answer(false).text(), "slow");
    assert!(client.answer(false).text().contains("QUERY_STRING=2\n"));
    assert_eq!(client.answer(false).text(), "abcde");
    assert!(client.answer(false).text().contains("QUERY_STRING=4\n"));
}

#[test]
fn bodies_of_both_framings() {
    let worker = Worker::start();
    let gateway = started(&worker);
    let mut client = gateway.connect();
    let body = "x".repeat(300_000);
    client.put(format!(
        "POST /post HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert_eq!(client.answer(false).text(), body);
    client.put("POST /post HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in [
        "A\r",
        "\n01234",
        "56789\r\n00",
        "003\r\nab",
        "c",
        "\r",
        "\n0\r\n",
        "\r\n",
    ] {
        client.put(piece);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(client.answer(false).text(), "0123456789abc");
    client.put(get("/env"));
    assert_eq!(client.answer(false).status, 200);
}

#[test]
fn old_clients_get_plain_bodies_and_a_close() {
    let worker = Worker::start();
    let gateway = started(&worker);
    let mut client = gateway.connect().send("GET /chunked HTTP/1.0\r\n\r\n");
    let answer = client.answer(false);
    assert!(answer.head.contains("Connection: close") && !answer.head.contains("chunked"));
    assert_eq!(answer.text(), "abcde");
    assert!(client.is_closed());
    let mut client = gateway
        .connect()
        .send("GET /env HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert!(client.answer(false).head.contains("Connection: keep-alive"));
    client.put(get("/env"));
    assert_eq!(client.answer(false).status, 200);
}

#[test]
fn close_and_head() {
    let worker = Worker::start();
    let gateway = started(&worker);
    let mut client = gateway.connect().send("HEAD /head HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(client.answer(true).head.contains("Content-Length: 5"));
    client.put("GET /env HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert!(client.answer(false).head.contains("Connection: close"));
    assert!(client.is_closed());
}

#[test]
fn refusals_have_a_page_and_end_the_connection() {
    let worker = Worker::start();
    let gateway = started(&worker);
    let head = "HTTP/1.1\r\nHost: h\r\n";
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        (format!("GET / {head}X-Big: {}\r\n\r\n", "b".repeat(70_000)), 431),
        (format!("GET /{} {head}\r\n", "u".repeat(70_000)), 414),
        (format!("GET / {head}{}\r\n", "X: y\r\n".repeat(5000)), 431),
        (format!("POST / {head}Content-Length: 3\r\nExpect: x\r\n\r\n"), 417),
        (format!("POST / {head}Transfer-Encoding: chunked\r\n\r\n-3\r\nabc"), 400),
        (format!("POST / {head}Transfer-Encoding: gzip\r\n\r\n"), 501),
        ("GET / HTTP/3.0\r\n\r\n".to_owned(), 505),
    ] {
        let mut client = gateway.connect();
        // The rest of a large request may meet a closed connection; the answer must arrive all the same.
        let _ = client.stream.write_all(request.as_bytes());
        let _ = client.stream.write_all(get("/after").as_bytes());
        let answer = client.answer(false);
        assert_eq!(answer.status, status, "{}", &request[..request.len().min(80)]);
        assert!(answer.head.contains("Connection: close") && !answer.body.is_empty());
        assert!(client.is_closed());
    }
    assert!(
        worker.served.lock().expect("no panic").is_empty(),
        "the worker saw none of it"
    );
}

#[test]
fn bodies_over_the_limit_are_refused() {
    let worker = Worker::start();
    let stamp = Stamp {
        limit_post: 10,
        ..Stamp::default()
    };
    let gateway = start(
        Config { stamp, ..config() },
        Backends::Workers {
            link: worker.node(),
            workers: 0,
            cores: 0,
        },
    );
    let post = |fields: &str, body: &str| {
        let mut client = gateway.connect();
        client.put(format!("POST /p HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n"));
        std::thread::sleep(Duration::from_millis(20));
        let _ = client.stream.write_all(body.as_bytes());
        client.answer(false).status
    };
    assert_eq!(post("Content-Length: 10", "0123456789"), 200);
    assert_eq!(post("Content-Length: 11", "0123456789a"), 413);
    assert_eq!(post("Transfer-Encoding: chunked", "a\r\n0123456789\r\n0\r\n\r\n"), 200);
    assert_eq!(post("Transfer-Encoding: chunked", "a\r\n0123456789\r\n1\r\nx\r\n"), 413);
}

#[test]
fn a_late_broken_chunk_is_refused_too() {
    let worker = Worker::start();
    let gateway = started(&worker);
    let mut client = gateway
        .connect()
        .send("POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    std::thread::sleep(Duration::from_millis(50));
    client.put("zz\r\n");
    assert_eq!(client.answer(false).status, 400);
    assert!(client.is_closed());
}

#[test]
fn failing_backends_are_answered_for() {
    let worker = Worker::start();
    let gateway = started(&worker);
    assert_eq!(gateway.ask("/die?unique-a").status, 502);
    assert!(logged("/die?unique-a"));
    assert_eq!(gateway.ask("/garbage").status, 502);
    let mut client = gateway.connect().send(get("/cut"));
    client
        .stream
        .set_read_timeout(Some(Duration::from_secs(2)))
        .expect("a timeout");
    let mut bytes = Vec::new();
    assert_eq!(
        client.stream.read_to_end(&mut bytes).map_err(|e| e.kind()),
        Err(io::ErrorKind::ConnectionReset)
    );
    assert_eq!(gateway.ask("/env").status, 200);

    let nobody = Node {
        address: Address::Abstract(b"rsgi-test-nobody".to_vec()),
        name: "nobody".into(),
    };
    let gateway = start(
        config(),
        Backends::Workers {
            link: nobody,
            workers: 2,
            cores: 1,
        },
    );
    assert_eq!(gateway.ask("/env").status, 503);
}

#[test]
fn dead_nodes_are_passed_over() {
    let worker = Worker::start();
    let free = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("an address");
    let dead = Node {
        address: Address::Inet(free),
        name: free.to_string(),
    };
    let gateway = start(config(), pool(vec![dead.clone(), worker.node()]));
    for _ in 0..6 {
        assert_eq!(gateway.ask("/env").status, 200);
    }
    assert_eq!(
        worker.accepted.load(Ordering::Relaxed),
        6,
        "foreign servers get one request per connection"
    );
    let gateway = start(config(), pool(vec![dead]));
    assert!(matches!(gateway.ask("/env").status, 502 | 503));
}

#[test]
fn leaving_workers_lose_no_request() {
    let worker = Worker::start();
    let gateway = start(
        config(),
        Backends::Workers {
            link: worker.node(),
            workers: 2,
            cores: 1,
        },
    );
    let mut client = gateway.connect();
    for path in ["/leave", "/last"].iter().cycle().take(60) {
        client.put(get(path));
        assert_eq!(client.answer(false).status, 200);
        client.put(get("/env"));
        assert_eq!(client.answer(false).status, 200);
    }
}

#[test]
fn requests_wait_for_a_free_core() {
    // a core that is the only one has some of them lie ready, but for bodies, which could not be sent again
    for (cores, request, connections, took) in [
        (2, get("/slow"), 2, 600),
        (
            1,
            "POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx".into(),
            1,
            1200,
        ),
        (1, get("/slow"), 4, 300),
    ] {
        let worker = Worker::start();
        let gateway = start(
            config(),
            Backends::Workers {
                link: worker.node(),
                workers: 1,
                cores,
            },
        );
        let began = Instant::now();
        let mut clients: Vec<_> = (0..4).map(|_| gateway.connect().send(request.clone())).collect();
        assert!(clients.iter_mut().all(|client| client.answer(false).text() == "slow"));
        assert!(began.elapsed() >= Duration::from_millis(took));
        assert_eq!(worker.accepted.load(Ordering::Relaxed), connections, "{request:?}");
    }
}

#[test]
fn expectations() {
    let worker = Worker::start();
    let gateway = start(
        Config {
            expect_limit: Some(1000),
            ..config()
        },
        Backends::Workers {
            link: worker.node(),
            workers: 0,
            cores: 0,
        },
    );
    let announce = |n| format!("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: {n}\r\nExpect: 100-continue\r\n\r\n");
    let mut client = gateway.connect().send(announce(3));
    assert_eq!(client.answer(false).status, 100);
    client.put("abc");
    assert_eq!(client.answer(false).text(), "abc");
    // Whoever sends at once is not told to go on.
    client.put(announce(3) + "abc");
    assert_eq!(client.answer(false).text(), "abc");
    assert_eq!(gateway.connect().send(announce(1001)).answer(false).status, 413);
}

#[test]
fn half_closed_clients_are_answered() {
    let worker = Worker::start();
    let gateway = started(&worker);
    for request in [get("/slow"), "GET /slow HTTP/1.0\r\n\r\n".to_owned()] {
        let mut client = gateway.connect().send(request);
        client.stream.shutdown(Shutdown::Write).expect("open");
        assert_eq!(client.answer(false).text(), "slow");
        assert!(client.is_closed());
    }
}

#[test]
fn slow_readers_get_it_all() {
    let worker = Worker::start();
    let gateway = started(&worker);
    let mut client = gateway.connect().send(get("/big"));
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(gateway.ask("/env").status, 200, "others are served meanwhile");
    let answer = client.answer(false);
    assert_eq!(answer.body.len(), 8 << 20);
    assert!(answer.body.iter().all(|&b| b == b'b'));
    client.put(get("/env"));
    assert_eq!(client.answer(false).status, 200);
}

#[test]
fn unread_bodies_never_run_as_requests() {
    let worker = Worker::start();
    let gateway = started(&worker);
    let smuggled = get("/smuggled");
    for pause in [0, 50] {
        let mut client = gateway.connect();
        client.put(format!(
            "POST /ignore-body HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n",
            smuggled.len()
        ));
        std::thread::sleep(Duration::from_millis(pause));
        client.put(smuggled.clone() + &get("/env?next"));
        assert_eq!(client.answer(false).text(), "ignored");
        assert!(client.answer(false).text().contains("QUERY_STRING=next\n"));
    }
    assert!(
        !worker
            .served
            .lock()
            .expect("no panic")
            .iter()
            .any(|uri| uri == "/smuggled")
    );
}

#[test]
fn time_limits() {
    let worker = Worker::start();
    let second = Duration::from_secs(1);
    let config = Config {
        keep_alive: Some(second),
        timeout: second,
        headers_timeout: second,
        ..config()
    };
    let gateway = start(
        config,
        Backends::Workers {
            link: worker.node(),
            workers: 0,
            cores: 0,
        },
    );
    let began = Instant::now();
    let mut kept = gateway.connect().send(get("/env"));
    kept.answer(false);
    let mut dribbling = gateway.connect().send("GET / HTTP/1.1\r\nX-");
    let mut late = gateway.connect().send(get("/late"));
    let mut stalled = gateway
        .connect()
        .send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc");
    assert!(kept.is_closed());
    assert_eq!(dribbling.answer(false).status, 408);
    assert_eq!(late.answer(false).status, 504);
    assert_eq!(stalled.answer(false).status, 408);
    assert!(
        (0.7..3.0).contains(&began.elapsed().as_secs_f64()),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn upgraded_connections_pass_both_ways() {
    let worker = Worker::start();
    let gateway = started(&worker);
    let mut client = gateway
        .connect()
        .send("GET /upgrade HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
    assert_eq!(client.answer(false).status, 101);
    for word in ["hello", "again"] {
        client.put(word);
        assert_eq!(client.take(5), word.to_uppercase().as_bytes());
    }
    client.stream.shutdown(Shutdown::Write).expect("open");
    assert!(client.is_closed());
}

#[test]
fn a_replaced_gateway_ends_its_conversations_when_the_server_stops() {
    let worker = Worker::start();
    let mut gateway = started(&worker);
    let mut client = gateway
        .connect()
        .send("GET /upgrade HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
    assert_eq!(client.answer(false).status, 101);
    gateway.order(b"r");
    client.put("hello");
    assert_eq!(client.take(5), b"HELLO");
    let began = Instant::now();
    gateway.order(b"d");
    assert!(client.is_closed());
    assert!(began.elapsed() < Duration::from_secs(4));
    drop(client);
    gateway.ended().expect("an orderly end");
}

#[test]
fn draining_finishes_what_is_under_way() {
    let worker = Worker::start();
    let mut gateway = started(&worker);
    let mut busy = gateway.connect().send(get("/slow"));
    let mut idle = gateway.connect().send(get("/env"));
    let mut quiet = gateway.connect().send(get("/env"));
    idle.answer(false);
    quiet.answer(false);
    std::thread::sleep(Duration::from_millis(50));
    gateway.order(b"d");
    assert!(busy.answer(false).head.contains("Connection: close"));
    idle.put(get("/env"));
    assert!(idle.answer(false).head.contains("Connection: close"));
    let began = Instant::now();
    assert!(quiet.is_closed());
    gateway.ended().expect("an orderly end");
    assert!(began.elapsed() < Duration::from_secs(4));
    assert!(TcpStream::connect(("127.0.0.1", gateway.port)).is_err());
}

#[test]
fn vanishing_clients_and_noise_leave_nothing_behind() {
    let worker = Worker::start();
    let mut gateway = started(&worker);
    for i in 0..200 {
        let mut client = gateway.connect();
        match i % 4 {
            0 => client.put(get("/env")),
            1 => client.put("GET / HTTP/1.1\r\nHost: h\r\n"),
            2 => client.put([0; 300]),
            _ => client.put(get("/big")),
        }
    }
    assert_eq!(gateway.ask("/env").status, 200);
    // Draining ends only when no session is left.
    gateway.order(b"d");
    gateway.ended().expect("an orderly end");
}

#[test]
fn a_stopped_socket_can_be_put_back_into_service() {
    let worker = Worker::start();
    let backends = || Backends::Workers {
        link: worker.node(),
        workers: 0,
        cores: 0,
    };
    // A port of our own choice stays bound while nobody listens.
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a port")
        .port();
    let socket = TcpListener::bind(("127.0.0.1", port)).expect("it is free again");
    let mut gateway = start_on(socket.try_clone().expect("a descriptor"), config(), backends());
    assert_eq!(gateway.ask("/env").status, 200);
    gateway.order(b"d");
    gateway.ended().expect("an orderly end");
    assert!(
        TcpStream::connect(("127.0.0.1", port)).is_err(),
        "although its socket is still open here"
    );
    let mut gateway = start_on(socket.try_clone().expect("a descriptor"), config(), backends());
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() && began.elapsed() < Duration::from_secs(3) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(gateway.ask("/env").status, 200);
    gateway.order(b"r");
    gateway.ended().expect("an orderly end");
    assert!(
        TcpStream::connect(("127.0.0.1", port)).is_ok(),
        "left to whoever comes next"
    );
}

#[test]
fn redirects_keep_the_place() {
    let worker = Worker::start();
    let gateway = start(
        Config {
            services: vec![Service::Redirect],
            ..config()
        },
        Backends::Workers {
            link: worker.node(),
            workers: 0,
            cores: 0,
        },
    );
    let location = |request: &str| {
        let answer = gateway.connect().send(request).answer(false);
        (answer.status, answer.head)
    };
    let (status, head) = location("GET /a?b=c HTTP/1.1\r\nHost: h.example:8080\r\n\r\n");
    assert!(
        status == 301 && head.contains("Location: https://h.example/a?b=c\r\n"),
        "{head}"
    );
    let (status, head) = location("GET http://other:1/x HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(
        status == 301 && head.contains("Location: https://other/x\r\n"),
        "{head}"
    );
    assert_eq!(location("GET / HTTP/1.0\r\n\r\n").0, 400);
    assert!(worker.served.lock().expect("no panic").is_empty());
}

#[test]
fn kept_connections_end_when_they_were_idle_for_so_long() {
    let worker = Worker::start();
    let gateway = start(
        Config {
            keep_alive: Some(Duration::from_secs(1)),
            timeout: Duration::from_secs(30),
            ..config()
        },
        Backends::Workers {
            link: worker.node(),
            workers: 0,
            cores: 0,
        },
    );
    let mut client = gateway.connect().send(get("/env"));
    assert_eq!(client.answer(false).status, 200);
    let began = Instant::now();
    let mut rest = Vec::new();
    client.stream.read_to_end(&mut rest).expect("an orderly end");
    let took = began.elapsed();
    assert!(
        (Duration::from_millis(600)..Duration::from_secs(4)).contains(&took),
        "{took:?}"
    );
}
