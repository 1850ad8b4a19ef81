//! The way of a log line: filters, drains and routes, encoders, named loggers, JSON, and what becomes of it when a logger is slow.

use rsgi_tests::{Server, Setup, is_alive, wait_for};
use std::io::{BufRead, BufReader, Read, Write};
use std::time::{Duration, Instant};

const APP: &str = "
import os, sys
def application(env, start_response):
    if env['PATH_INFO'] == '/print':
        os.write(1, env['QUERY_STRING'].encode() + b'\\n')
    if env['PATH_INFO'] == '/pieces':
        for n in range(3):
            os.write(1, b'piece-%d;' % n)
        os.write(1, b'end\\n')
    status = '503 X' if env['PATH_INFO'] == '/health' and env['QUERY_STRING'] else '200 OK'
    start_response(status, [('Content-Type', 'text/plain')])
    return [b'x']
";

fn start(args: &[&str]) -> Server {
    Setup::new().wsgi(APP).args(args.iter().copied()).start_unready()
}

/// The port, when the first worker is there; the sockets are said before the loggers begin.
fn port(server: &Server, log: &str) -> u16 {
    wait_for("the port in the log", || {
        let text = server.log();
        let bound = text.split_once("127.0.0.1:")?;
        let digits: String = bound.1.chars().take_while(char::is_ascii_digit).collect();
        read(server, log)
            .contains("spawned rsgi worker 1")
            .then(|| digits.parse().ok())?
    })
}

fn read(server: &Server, name: &str) -> String {
    let text = std::fs::read(server.dir().join(name)).unwrap_or_default();
    String::from_utf8_lossy(&text).into_owned()
}

fn has_line(server: &Server, name: &str, line: &str) {
    wait_for(&format!("{line:?} in {name}"), || {
        read(server, name).lines().any(|l| l == line).then_some(())
    });
}

#[test]
fn a_named_logger_gets_the_lines_that_are_led_to_it_and_no_others() {
    let server = start(&[
        "--logger",
        "file:@DIR@/all",
        "--logger",
        "x file:@DIR@/coded",
        "--logger",
        "x file:@DIR@/again",
        "--log-route",
        "x ^CODED",
        "--log-encoder",
        "prefix:x P>",
        "--log-drain",
        "^secret",
    ]);
    let port = port(&server, "all");
    for text in ["secret", "CODED-1", "other"] {
        rsgi_tests::http::get(port, &format!("/print?{text}"));
    }
    has_line(&server, "coded", "P>CODED-1");
    has_line(&server, "again", "P>CODED-1");
    has_line(&server, "all", "other");
    assert!(!read(&server, "all").contains("\nCODED-1") && !read(&server, "all").contains("\nsecret"));
    assert_eq!(read(&server, "coded").lines().count(), 1);
}

#[test]
fn request_lines_have_rules_of_their_own() {
    let server = start(&[
        "--logger",
        "file:@DIR@/all",
        "--logger",
        "s file:@DIR@/some",
        "--req-logger",
        "file:@DIR@/requests",
        "--req-logger",
        "t file:@DIR@/t",
        "--log-req-route",
        "s GET /s",
        "--log-req-route",
        "t GET /t",
        "--log-req-drain",
        "GET /drained",
        "--log-req-filter",
        "GET /(s|t|drained|plain)",
        "--log-req-encoder",
        "format [${msg}]",
        "--log-req-encoder",
        "nl",
        "--log-format",
        "%(method) %(uri)",
    ]);
    let port = port(&server, "all");
    for path in ["/drained", "/filtered", "/s", "/t", "/plain"] {
        rsgi_tests::http::get(port, path);
    }
    has_line(&server, "requests", "[GET /plain]");
    has_line(&server, "some", "[GET /s]");
    has_line(&server, "t", "[GET /t]");
    assert_eq!(read(&server, "requests"), "[GET /plain]\n");
    assert!(!read(&server, "all").contains("[GET"));
}

#[test]
fn filters_and_pieces_of_lines() {
    let mut server = start(&["--log-master", "--log-filter", "piece|rsgi|bound"]);
    server.wait_log("spawned rsgi worker 1 ", 1);
    server.get("/print?hidden");
    server.get("/pieces");
    // written in pieces, matched and delivered as one line
    server.wait_log("piece-0;piece-1;piece-2;end\n", 1);
    assert!(!server.log().contains("hidden"), "{}", server.log());
}

#[test]
fn a_rule_that_cannot_work_is_said_at_the_start() {
    for (args, said) in [
        (&["--log-route", "nolog x"][..], "unable to find logger nolog"),
        (&["--logger", "a stdio:", "--log-route", "a ("], "log-route \"(\""),
        (&["--log-encoder", "jsonn {}"], "there is no encoder \"jsonn\""),
        (&["--log-encoder", "prefix:nobody x"], "unable to find logger nobody"),
        (&["--logger", "file:"], "no path: give file:"),
        (&["--logger", "syslog:a,b"], "there is no facility \"b\""),
        (&["--log-except", "("], "log-except"),
    ] {
        let ended = Setup::new().wsgi(APP).args(args.iter().copied()).run();
        assert_eq!(ended.code, 1, "{args:?}\n{}", ended.output);
        assert!(ended.output.contains(said), "{args:?}: {said}\n{}", ended.output);
    }
}

#[test]
fn json_is_one_switch() {
    let server = start(&["--log-json", "--logger", "file:@DIR@/all", "--log-date"]);
    let port = port(&server, "all");
    let hostile =
        b"GET /a'b HTTP/1.0\r\nHost: h\r\nUser-Agent: \xff\xc3(\"\\x\r\nReferer: {}\"\r\nX-Request-Id: r-1\r\n\
        traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n";
    let answer = rsgi_tests::http::exchange(port, hostile);
    assert_eq!(answer.status, 200);
    rsgi_tests::http::get(port, "/print?{%22a%22:1}");
    rsgi_tests::http::get(port, "/print?plain\\text");
    wait_for("the lines", || {
        let text = read(&server, "all");
        (text.matches("\"method\":").count() == 3).then_some(())
    });
    let text = read(&server, "all");
    let reader = server.dir().join("read.py");
    std::fs::write(&reader, "import json,sys\nfor l in open(sys.argv[1], encoding='utf-8'):\n    d = json.loads(l)\n    print(d.get('uri'), d.get('user_agent'), d.get('request_id'), d.get('trace_id'), d.get('message'), sep='|')\n").unwrap();
    let out = std::process::Command::new("python3")
        .arg(&reader)
        .arg(server.dir().join("all"))
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(out.lines().count(), text.lines().count(), "{text}");
    assert!(
        out.contains("/a'b|\u{fffd}\u{fffd}(\"\\x|r-1|4bf92f3577b34da6a3ce929d0e0e4736|None\n"),
        "{out}"
    );
    assert!(out.contains("|None|plain\\text\n"), "{out}");
    // what comes as JSON stays JSON
    assert!(
        text.lines().any(|l| l == "{%22a%22:1}" || l.contains("{%22a%22:1}")),
        "{text}"
    );
    assert!(
        out.contains("*** Starting rsgi") || !text.contains("*** Starting"),
        "{out}"
    );
}

#[test]
fn combined_lines_are_those_of_apache() {
    let mut server = start(&["--log-format", "combined"]);
    server.wait_log("spawned rsgi worker 1 ", 1);
    rsgi_tests::http::exchange(
        server.port(),
        b"GET /x HTTP/1.0\r\nReferer: http://r/\r\nUser-Agent: a\"b\\\r\n\r\n",
    );
    server.wait_log("\"GET /x HTTP/1.0\" 200 1 \"http://r/\" \"a\\\"b\\\\\"\n", 1);
    assert!(server.log().contains("127.0.0.1 - - ["));
}

#[test]
fn probes_are_logged_when_they_fail() {
    let mut server = start(&["--log-except", "^/health$", "--log-format", "%(status) %(uri)."]);
    server.wait_log("spawned rsgi worker 1 ", 1);
    for path in ["/health", "/health?down", "/other"] {
        server.get(path);
    }
    server.wait_log("200 /other.\n", 1);
    assert!(server.log().contains("503 /health?down.\n") && !server.log().contains("200 /health"));
}

#[test]
fn only_a_trusted_proxy_says_who_the_client_is() {
    for (trusted, said) in [("127.0.0.1", "9.9.9.9"), ("10.0.0.0/8", "127.0.0.1")] {
        let mut server = start(&[
            "--log-x-forwarded-for",
            "--trusted-proxy",
            trusted,
            "--log-format",
            "<%(addr)>",
        ]);
        server.wait_log("spawned rsgi worker 1 ", 1);
        rsgi_tests::http::exchange(
            server.port(),
            b"GET / HTTP/1.0\r\nX-Forwarded-For: 6.6.6.6, 9.9.9.9\r\n\r\n",
        );
        server.wait_log(&format!("<{said}>\n"), 1);
    }
}

#[test]
fn a_program_gets_lines_and_is_started_again() {
    let server = start(&[
        "--req-logger",
        "pipe:echo $$ >> @DIR@/pids; cat >> @DIR@/piped",
        "--logger",
        "file:@DIR@/all",
    ]);
    let port = port(&server, "all");
    rsgi_tests::http::get(port, "/one");
    let pid = || read(&server, "pids").lines().last().and_then(|l| l.parse::<i32>().ok());
    wait_for("the line", || read(&server, "piped").contains("GET /one").then_some(()));
    let first = pid().unwrap();
    // SAFETY: a process group that our server has made.
    unsafe { libc::kill(-first, libc::SIGKILL) };
    wait_for("its end", || (!is_alive(first)).then_some(()));
    // a line that was written while the last of its group died went with it
    wait_for("a line after it", || {
        rsgi_tests::http::get(port, "/two");
        read(&server, "piped").contains("GET /two").then_some(())
    });
    assert!(pid() != Some(first));
    let second = pid().unwrap();
    server.signal(libc::SIGTERM);
    wait_for("the end of the program", || (!is_alive(second)).then_some(()));
}

/// A reader that takes nothing until it is told to: the requests go on, the loss is counted, the rest is in order.
#[test]
fn a_logger_that_hangs_stops_no_request_and_its_loss_is_counted() {
    let setup = Setup::new().wsgi(APP);
    let fifo = setup.dir().join("fifo");
    let name = std::ffi::CString::new(fifo.to_str().unwrap()).unwrap();
    // SAFETY: a path of ours.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    // open at both ends, so that the server's open does not wait
    let mut reader = std::fs::OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
    let server = setup
        .args([
            "--req-logger",
            "pipe:cat > @DIR@/fifo",
            "--logger",
            "file:@DIR@/all",
            "--health",
            "127.0.0.1:0",
        ])
        .args(["--log-format", &format!("%(uri) {}", "y".repeat(20_000))])
        .start_unready();
    let port = port(&server, "all");
    let begun = Instant::now();
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let count = 700;
    for n in 0..count {
        if n > 0 {
            stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        }
        write!(stream, "GET /n{n} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.0 200"),
            "{answer}"
        );
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    wait_for("the first loss", || {
        server.log().contains("lines are dropped").then_some(())
    });
    // the master has taken all lines when the last has been counted
    let (lines, receiver) = std::sync::mpsc::channel();
    let fd = reader.try_clone().unwrap();
    std::thread::spawn(move || {
        for line in BufReader::new(fd).split(b'\n') {
            let Ok(line) = line else { return };
            let head = String::from_utf8_lossy(&line[..line.len().min(60)]).into_owned();
            if lines.send((head, line.len())).is_err() {
                return;
            }
        }
    });
    let (mut next, mut lost) = (0, 0);
    while next + lost < count {
        let (line, len) = receiver.recv_timeout(rsgi_tests::PATIENCE).expect("more lines");
        if let Some(text) = line.strip_prefix("*** ") {
            lost += text.split(' ').next().unwrap().parse::<usize>().unwrap();
            continue;
        }
        let number: usize = line
            .strip_prefix("/n")
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(number, next + lost, "order");
        assert_eq!(len, 20_000 + 1 + format!("/n{number}").len(), "whole lines");
        next += 1;
    }
    assert!(lost > 50, "{lost}");
    let _ = reader.flush();
}

#[test]
fn a_prefix_is_a_date_without_letters_of_one() {
    let mut server = start(&["--log-prefix=shop"]);
    server.wait_log("shop - spawned rsgi worker 1 ", 1);
    server.get("/print?plain");
    server.wait_log("\nplain\n", 1);
}

#[test]
fn log_files_belong_to_the_user_that_the_server_becomes() {
    // SAFETY: takes nothing.
    if unsafe { libc::geteuid() } != 0 {
        return rsgi_tests::skipped("only root can give files away");
    }
    use std::os::unix::fs::MetadataExt;
    for args in [&["--logfile-chown"][..], &[]] {
        let log = format!("@DIR@/log{}", args.len());
        let run = Setup::new().args(["--uid", "nobody", "--gid", "nogroup", "--logto", &log, "--no-server"]);
        let run = run
            .args(["--http-socket", "127.0.0.1:0"])
            .args(args.iter().copied())
            .start_unready();
        let path = run.dir().join(format!("log{}", args.len()));
        // a line in it: it was opened and given away before
        wait_for("the log", || {
            std::fs::read_to_string(&path).ok()?.contains("Starting").then_some(())
        });
        let owner = std::fs::metadata(&path).unwrap().uid();
        assert_eq!(owner == 65534, !args.is_empty(), "{owner}");
    }
}
