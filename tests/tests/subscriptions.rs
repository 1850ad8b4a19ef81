//! Servers that announce themselves to a gateway, and are found by the host of a request.

use rsgi_tests::{Server, Setup, http, wait_for};
use std::io::{BufReader, Write};

const APP: &str = "
import os
def application(env, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [env['HTTP_HOST'].encode() + b' ' + os.environ['WHO'].encode()]
";

fn gateway(args: &[&str]) -> (Server, String) {
    let port = std::net::UdpSocket::bind("127.0.0.1:0")
        .and_then(|s| s.local_addr())
        .expect("a port")
        .port();
    let address = format!("127.0.0.1:{port}");
    let mut server = Setup::new()
        .args([
            "--http",
            "127.0.0.1:0",
            "--http-subscription-server",
            &address,
            "--master",
        ])
        .args(args.iter().copied())
        .start_unready();
    server.wait_log("spawned rsgi http 1", 1);
    (server, address)
}

fn instance(who: &str, args: &[&str]) -> Server {
    Setup::new()
        .file("app.py", APP)
        .env("WHO", who)
        .args([
            "--socket",
            "127.0.0.1:0",
            "--wsgi-file",
            "@DIR@/app.py",
            "--subscribe-freq",
            "1",
        ])
        .args(args.iter().copied())
        .start()
}

/// Status and body of a request for a host.
fn ask(gateway: &Server, host: &str) -> (u16, String) {
    let mut stream = http::connect(gateway.gateway_port());
    write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").expect("it reads");
    let answer = http::read_response(&mut BufReader::new(stream), false)
        .expect("an answer")
        .expect("one");
    (answer.status, answer.text())
}

#[test]
fn each_host_has_its_servers() {
    let (front, address) = gateway(&[]);
    assert_eq!(ask(&front, "a.test").0, 404);
    let keys = format!("{address}:@hosts");
    let mut a = instance("first", &["--subscribe-to", &format!("{address}:a.test")]);
    let folder = Setup::new().file("hosts", "b.test\nc.test\n");
    let keys = keys.replace("hosts", &folder.dir().join("hosts").display().to_string());
    let _b = instance("second", &["--subscribe-to", &keys]);
    let third = format!("server={address},key=a.test,weight=3");
    let _c = instance("third", &["--subscribe2", &third]);
    for host in ["b.test", "c.test"] {
        wait_for(host, || {
            (ask(&front, host) == (200, format!("{host} second"))).then_some(())
        });
    }
    let whose = |count: usize| -> Vec<String> { (0..count).map(|_| ask(&front, "A.test:80").1).collect() };
    wait_for("both servers of a.test", || {
        let all = whose(8);
        let of = |who: &str| all.iter().filter(|text| text.ends_with(who)).count();
        ((of("first"), of("third")) == (2, 6)).then_some(())
    });
    assert_eq!(ask(&front, "d.test").0, 404);
    // one that ends takes itself back
    a.signal(libc::SIGTERM);
    a.wait_exit();
    wait_for("the line", || {
        front.log().contains("serves a.test no more").then_some(())
    });
    assert!(whose(8).iter().all(|text| text.ends_with("third")));
}

#[test]
fn one_that_was_killed_is_passed_over_and_forgotten() {
    let (front, address) = gateway(&["--subscription-tolerance", "2"]);
    let key = format!("{address}:a.test");
    let mut first = instance("first", &["--subscribe-to", &key]);
    let _second = instance("second", &["--subscribe-to", &key]);
    wait_for("both", || {
        (front.log().matches("serves a.test").count() == 2).then_some(())
    });
    first.signal(libc::SIGKILL);
    first.wait_exit();
    for _ in 0..6 {
        assert_eq!(ask(&front, "a.test"), (200, "a.test second".to_owned()));
    }
    wait_for("the silent one to be forgotten", || {
        ask(&front, "a.test");
        front
            .log()
            .contains("was silent for 2 s and serves a.test no more")
            .then_some(())
    });
}

#[test]
fn what_cannot_be_is_said_with_its_reason() {
    for (args, why) in [
        (&["--subscribe-to", "127.0.0.1:1"][..], "give HOST:PORT:KEY"),
        (
            &["--subscribe-to", "127.0.0.1:1:a,SHA1:key"],
            "signed announcements are not supported",
        ),
        (&["--subscribe2", "key=a"], "server=HOST:PORT is missing"),
        (
            &[
                "--http-subscription-server",
                "127.0.0.1:1",
                "--http-to",
                "127.0.0.1:2",
                "--http",
                "127.0.0.1:0",
            ],
            "http-to names the servers already",
        ),
        (
            &[
                "--http-subscription-server",
                "x",
                "--http",
                "127.0.0.1:0",
                "--http-processes",
                "2",
            ],
            "http-processes",
        ),
    ] {
        let ended = Setup::new().wsgi(APP).args(args.iter().copied()).run();
        assert!(
            ended.code != 0 && ended.output.contains(why),
            "{args:?}: {}",
            ended.output
        );
    }
}
