//! The loggers that are plugins, each with a receiver that speaks its protocol: Redis, syslog over UDP, TCP and TLS, GELF, the
//! journal; and what happens when the receiver is killed.

use rsgi_tests::{Server, Setup, wait_for};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};

const APP: &str = "
def application(env, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'x']
";

fn start(logger: &str) -> Server {
    Setup::new()
        .wsgi(APP)
        .args(["--req-logger", logger, "--log-format", "%(method) %(uri)"])
        .start()
}

/// A request, and the text that its line is.
fn ask(server: &Server, path: &str) -> String {
    assert_eq!(server.get(path).status, 200);
    format!("GET {path}")
}

fn udp() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(rsgi_tests::PATIENCE)).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

fn receive(socket: &UdpSocket) -> String {
    let mut text = [0u8; 65536];
    let n = socket.recv(&mut text).expect("a datagram");
    String::from_utf8_lossy(&text[..n]).into_owned()
}

/// A process of ours, killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn redis(port: u16) -> Option<Running> {
    let child = Command::new("redis-server")
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ])
        .current_dir(std::env::temp_dir())
        .stdout(Stdio::null())
        .spawn();
    let Ok(child) = child else {
        rsgi_tests::skipped("there is no redis-server");
        return None;
    };
    wait_for("redis", || TcpStream::connect(("127.0.0.1", port)).ok());
    Some(Running(child))
}

/// All elements of a list.
fn list(port: u16, key: &str) -> Vec<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "lrange {key} 0 -1\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut text = String::new();
        reader.read_line(&mut text).unwrap();
        text.trim_end().to_owned()
    };
    let count: usize = line()[1..].parse().unwrap();
    let element = |_| {
        line();
        line()
    };
    (0..count).map(element).collect()
}

#[test]
fn redis_gets_each_line() {
    let port = free_port();
    let Some(_redis) = redis(port) else { return };
    let server = start(&format!("redislog:127.0.0.1:{port},rpush lines,web:"));
    for path in ["/one", "/two"] {
        ask(&server, path);
    }
    let expected = ["web:GET /one", "web:GET /two"];
    wait_for("both lines", || (list(port, "lines") == expected).then_some(()));
}

#[test]
fn a_killed_receiver_fails_no_request_and_lines_wait_in_their_order() {
    let port = free_port();
    let Some(first) = redis(port) else { return };
    let mut server = start(&format!("redis:127.0.0.1:{port},rpush lines"));
    for n in 0..100 {
        ask(&server, &format!("/{n}"));
    }
    wait_for("the first lines", || (list(port, "lines").len() == 100).then_some(()));
    // kill -9
    drop(first);
    for n in 100..300 {
        ask(&server, &format!("/{n}"));
    }
    server.wait_log("its lines wait", 1);
    let _second = redis(port);
    for n in 300..400 {
        ask(&server, &format!("/{n}"));
    }
    wait_for("the last line", || {
        list(port, "lines")
            .last()
            .is_some_and(|l| l == "GET /399")
            .then_some(())
    });
    let expected: Vec<String> = (100..400).map(|n| format!("GET /{n}")).collect();
    assert_eq!(list(port, "lines"), expected);
    server.wait_log("takes lines again", 1);
}

#[test]
fn a_receiver_killed_under_load_costs_no_request_and_no_line_that_it_had_not_taken() {
    const EACH: usize = 600;
    let port = free_port();
    let Some(first) = redis(port) else { return };
    let server = start(&format!("redis:127.0.0.1:{port},rpush lines"));
    let http = server.port();
    let second = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|client| {
                scope.spawn(move || {
                    for n in 0..EACH {
                        let path = format!("/{client}/{n}");
                        assert_eq!(rsgi_tests::http::get(http, &path).status, 200);
                    }
                })
            })
            .collect();
        wait_for("lines", || (list(port, "lines").len() > 100).then_some(()));
        drop(first);
        std::thread::sleep(std::time::Duration::from_millis(100));
        let second = redis(port);
        clients.into_iter().for_each(|client| client.join().unwrap());
        second
    });
    let ends: Vec<String> = (0..3).map(|client| format!("GET /{client}/{}", EACH - 1)).collect();
    let all = wait_for("the last lines", || {
        let all = list(port, "lines");
        ends.iter().all(|end| all.contains(end)).then_some(all)
    });
    for client in 0..3 {
        let head = format!("GET /{client}/");
        let numbers = all.iter().filter_map(|l| l.strip_prefix(&head)?.parse::<usize>().ok());
        let numbers: Vec<usize> = numbers.collect();
        let expected: Vec<usize> = (numbers[0]..EACH).collect();
        assert_eq!(numbers, expected, "client {client}");
    }
    drop(second);
}

#[test]
fn syslog_over_udp() {
    let (socket, address) = udp();
    let server = start(&format!("rsyslog:{address},shop"));
    let line = ask(&server, "/one");
    let text = receive(&socket);
    assert!(text.starts_with("<30>1 20") && text.contains(" shop "), "{text}");
    assert!(text.ends_with(&format!(" - - {line}")), "{text}");
}

#[test]
fn long_lines_go_to_syslog_in_several_datagrams_or_cut() {
    let long = format!("/{}", "x".repeat(1500));
    for splits in [true, false] {
        let (socket, address) = udp();
        let mut args = vec!["--rsyslog-packet-size", "600"];
        args.extend(splits.then_some("--rsyslog-split-messages"));
        let server = Setup::new()
            .wsgi(APP)
            .args([
                "--master",
                "-p",
                "1",
                "--req-logger",
                &format!("rsyslog:{address},shop"),
            ])
            .args(["--log-format", "%(method) %(uri)"])
            .args(args)
            .start();
        let line = ask(&server, &long);
        let mut texts = String::new();
        while texts.len() < if splits { line.len() } else { 400 } {
            let text = receive(&socket);
            assert!(text.len() <= 600 && text.starts_with("<30>1 "), "{text}");
            texts.push_str(text.split_once(" - - ").expect("a head").1);
        }
        match splits {
            true => assert_eq!(texts, line),
            false => assert!(line.starts_with(&texts), "{texts}"),
        }
    }
    let ended = Setup::new().args(["--rsyslog-packet-size", "12"]).run();
    assert_ne!(ended.code, 0);
    assert!(
        ended.output.contains("rsyslog-packet-size is 480 to 65507 bytes"),
        "{}",
        ended.output
    );
}

/// The next counted message of a stream.
fn counted(reader: &mut impl BufRead) -> String {
    let mut len = Vec::new();
    reader.read_until(b' ', &mut len).unwrap();
    let len: usize = String::from_utf8(len).unwrap().trim_end().parse().unwrap();
    let mut text = vec![0; len];
    reader.read_exact(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn syslog_over_tcp_comes_back() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = start(&format!("rsyslog:tcp://{}", listener.local_addr().unwrap()));
    for path in ["/one", "/two"] {
        let line = ask(&server, path);
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(rsgi_tests::PATIENCE)).unwrap();
        let text = counted(&mut BufReader::new(stream));
        assert!(text.starts_with("<30>1 ") && text.ends_with(&line), "{text}");
    }
}

const TLS_RECEIVER: &str = "
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('cert.pem', 'key.pem')
listener = socket.create_server(('127.0.0.1', 0))
open('port', 'w').write('%d\\n' % listener.getsockname()[1])
out = open('received', 'ab', 0)
while True:
    client = context.wrap_socket(listener.accept()[0], server_side=True)
    out.write(b'+')
    while data := client.recv(65536):
        out.write(data)
";

#[test]
fn syslog_over_tls_checks_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=logs",
        ])
        .args([
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "basicConstraints=CA:FALSE",
        ])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(dir.path())
        .output();
    if !made.is_ok_and(|m| m.status.success()) {
        return rsgi_tests::skipped("there is no openssl");
    }
    std::fs::write(path("receiver.py"), TLS_RECEIVER).unwrap();
    let mut receiver = Command::new("python3");
    let child = receiver
        .arg("receiver.py")
        .current_dir(dir.path())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _receiver = Running(child);
    let port = wait_for("the receiver", || {
        std::fs::read_to_string(path("port"))
            .ok()?
            .strip_suffix('\n')
            .map(str::to_owned)
    });
    let received = || String::from_utf8_lossy(&std::fs::read(path("received")).unwrap_or_default()).into_owned();
    // whom nobody vouches for gets nothing
    let server = Setup::new()
        .wsgi(APP)
        .args(["--req-logger", &format!("rsyslog:tls://127.0.0.1:{port},shop")]);
    let mut server = server.start();
    server.get("/secret");
    server.wait_log("its lines wait", 1);
    drop(server);
    // the handshake failed in the receiver, which ends at that
    assert!(!received().contains("secret"));
    let child = Command::new("python3")
        .arg("receiver.py")
        .current_dir(dir.path())
        .spawn()
        .unwrap();
    let again = Running(child);
    let port = wait_for("another port", || {
        let text = std::fs::read_to_string(path("port")).ok()?;
        text.strip_suffix('\n').filter(|p| *p != port).map(str::to_owned)
    });
    let server = start(&format!(
        "rsyslog:tls://127.0.0.1:{port},shop,{}",
        path("cert.pem").display()
    ));
    for n in 0..20 {
        ask(&server, &format!("/{n}"));
    }
    wait_for("the lines", || received().contains("GET /19").then_some(()));
    let text = received();
    assert_eq!(
        (text.matches(" shop ").count(), text.matches('+').count()),
        (20, 1),
        "{text}"
    );
    drop(again);
}

#[test]
fn gelf_over_udp_and_tcp() {
    let (socket, address) = udp();
    let server = start(&format!("graylog2:{address},shop"));
    let line = ask(&server, "/one");
    let mut packed = [0u8; 4096];
    let n = socket.recv(&mut packed).unwrap();
    let mut text = String::new();
    let mut child = Command::new("gzip")
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&packed[..n]).unwrap();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    child.wait().unwrap();
    assert!(
        text.contains(&format!("\"short_message\":\"{line}\"")) && text.contains("\"_facility\":\"shop\""),
        "{text}"
    );

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = start(&format!("gelf:tcp://{}", listener.local_addr().unwrap()));
    let line = ask(&server, "/two");
    let (stream, _) = listener.accept().unwrap();
    let mut text = Vec::new();
    BufReader::new(stream).read_until(0, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.contains(&format!("\"short_message\":\"{line}\"")) && text.ends_with("}\0"),
        "{text}"
    );
}

#[test]
fn the_journal_gets_entries() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(rsgi_tests::PATIENCE)).unwrap();
    let server = start(&format!("systemd:shop,{}", path.display()));
    let line = ask(&server, "/one");
    let mut text = [0u8; 4096];
    let n = socket.recv(&mut text).unwrap();
    let text = String::from_utf8_lossy(&text[..n]).into_owned();
    assert_eq!(text, format!("MESSAGE={line}\nPRIORITY=6\nSYSLOG_IDENTIFIER=shop\n"));
}

const LOGGING: &str = r#"
import logging, os, sys
def note(line):
    if "fail" in line: raise KeyError("not this one")
    with open("@DIR@/notes", "a") as f: f.write("%d %s\n" % (os.getpid(), line))
handler = logging.FileHandler("@DIR@/logged")
handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
logging.getLogger("shop").addHandler(handler)
logging.getLogger("loop").addHandler(logging.StreamHandler())
"#;

#[test]
fn python_takes_lines_by_a_name_of_logging_or_a_function() {
    let mut server = Setup::new()
        .file("notes.py", LOGGING)
        .wsgi(&format!("import notes\n{APP}"))
        .args([
            "--master",
            "-p",
            "1",
            "--log-format",
            "%(method) %(uri)",
            "--pythonpath",
            "@DIR@",
        ])
        .args(["--req-logger", "python:shop.web", "--req-logger", "python:notes:note"])
        .args(["--req-logger", "python:loop", "--req-logger", "python:none"])
        .start();
    let read = |server: &Server, name: &str| std::fs::read_to_string(server.dir().join(name)).unwrap_or_default();
    ask(&server, "/fail");
    for n in 0..50 {
        ask(&server, &format!("/{n}"));
    }
    let master = server.pid();
    let expected: String = (0..50).map(|n| format!("{master} GET /{n}\n")).collect();
    wait_for("all lines in the notes", || {
        (read(&server, "notes") == expected).then_some(())
    });
    let first = "ERROR shop.web: GET /fail\nERROR shop.web: GET /0\n";
    wait_for("the first lines of logging", || {
        read(&server, "logged").starts_with(first).then_some(())
    });
    server.wait_log(
        "logger python:notes:note: KeyError: 'not this one'; its lines go to standard error",
        1,
    );
    server.wait_log(
        "logger python:loop: ValueError: <StreamHandler <stderr> (NOTSET)> writes to standard output or error",
        1,
    );
    server.wait_log("logger python:none: ValueError: no handler is there", 1);
    // a line that one refuses is not lost; two refuse all
    server.wait_log("GET /fail", 3);
    server.wait_log("GET /49", 2);
    // forks go on while lines come, and a reload takes the loggers along
    for n in 0..10 {
        let worker = server.workers().last().expect("a worker").1;
        ask(&server, &format!("/kill{n}"));
        rsgi_tests::send(worker, libc::SIGKILL);
        wait_for("another worker", || {
            server.workers().iter().any(|(_, pid)| *pid != worker).then_some(())
        });
    }
    server.signal(libc::SIGHUP);
    wait_for("a line after the reload", || {
        ask(&server, "/after");
        read(&server, "notes").ends_with("GET /after\n").then_some(())
    });
}
