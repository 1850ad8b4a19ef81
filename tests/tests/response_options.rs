//! Options that change answers on their way: headers taken out or noted for the log, files without `sendfile`.

use rsgi_tests::{Setup, wait_for};

const APP: &str = "
import os, subprocess
def application(env, start_response):
    if env['PATH_INFO'] == '/children':
        subprocess.Popen(['true'])
        return []
    start_response('200 OK', [('Content-Type', 'text/plain'), ('X-User', 'a b'), ('X-Note', '7'), ('Server', 's'), ('server', 't')])
    return [b'x']
";

#[test]
fn headers_are_taken_out_and_noted() {
    let mut server = Setup::new()
        .wsgi(APP)
        .args([
            "--rem-header",
            "SERVER",
            "--collect-header",
            "x-note NOTE",
            "--pull-header",
            "X-User WHO",
        ])
        .args(["--log-format", "LINE %(var.NOTE) %(var.WHO) %(headers)"])
        .start();
    let answer = server.get("/");
    assert_eq!(
        (
            answer.header("server"),
            answer.header("x-user"),
            answer.header("x-note")
        ),
        (None, None, Some("7"))
    );
    assert_eq!(
        (answer.text().as_str(), answer.header("content-length")),
        ("x", Some("1"))
    );
    server.wait_log("LINE 7 a b 2", 1);
    let ended = Setup::new().wsgi(APP).args(["--pull-header", "X-User"]).run();
    assert!(
        ended.code != 0 && ended.output.contains("give HEADER VAR"),
        "{}",
        ended.output
    );
}

#[test]
fn files_are_the_same_without_sendfile() {
    for option in ["--disable-sendfile", "--offload-threads=1"] {
        let setup = Setup::new()
            .file("big.txt", &"0123456789".repeat(50_000))
            .file("small.txt", "small");
        let server = setup.wsgi(APP).args(["--static-map", "/files=@DIR@", option]).start();
        let big = server.get("/files/big.txt");
        assert_eq!(
            (big.status, big.header("content-length")),
            (200, Some("500000")),
            "{option}"
        );
        assert!(big.text() == "0123456789".repeat(50_000), "{option}");
        assert_eq!(server.get("/files/small.txt").text(), "small", "{option}");
    }
}

#[test]
fn children_of_the_application_are_reaped() {
    let server = Setup::new().wsgi(APP).args(["--reaper", "-p", "1"]).start();
    let worker = server.workers()[0].1;
    server.get("/children");
    let children = || {
        let text = std::fs::read_to_string(format!("/proc/{worker}/task/{worker}/children"));
        text.unwrap_or_default()
    };
    wait_for("no zombie to be left", || {
        server.get("/");
        children().is_empty().then_some(())
    });
}

#[test]
fn an_answer_and_the_end_of_its_connection_come_together_and_whole() {
    use std::io::{Read, Write};
    for args in [
        &[][..],
        &["--final-route", ".* log:over"],
        &["--threads", "2"],
        &["--no-keep-alive"],
    ] {
        let server = Setup::new().wsgi(APP).args(args.iter().copied()).start();
        for (request, more) in [
            ("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", ""),
            ("GET / HTTP/1.0\r\n\r\n", "what nobody asked for"),
        ] {
            let mut stream = server.connect(server.port());
            stream.write_all(request.as_bytes()).expect("the server reads");
            let _ = stream.write_all(more.as_bytes());
            let mut answer = String::new();
            let began = std::time::Instant::now();
            stream.read_to_string(&mut answer).expect("the connection ends");
            assert!(
                answer.starts_with("HTTP/1.") && answer.ends_with("\r\n\r\nx"),
                "{args:?}: {answer:?}"
            );
            assert!(
                began.elapsed() < std::time::Duration::from_millis(150),
                "{args:?}: it waited for more to send"
            );
        }
    }
}
