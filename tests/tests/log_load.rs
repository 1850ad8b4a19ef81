//! The log under load: hostile bytes in every field, files that are moved while lines come, and none lost or split.
//! `RSGI_LOG_REQUESTS` says how many hostile requests there are; `make log-load` runs with 100 000.

use rsgi_tests::{Server, Setup, http, wait_for};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

const APP: &str = "
def application(env, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'x']
";

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Numbers that look random and are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// What breaks lines, strings and encodings, and anything else.
    fn bytes(&mut self) -> Vec<u8> {
        const BAD: &[&[u8]] = &[
            b"\n",
            b"\r\n",
            b"\0",
            b"\"",
            b"\\",
            b"\x1b[2J",
            b"\xff\xfe",
            b"\xed\xa0\x80",
            b"\xc3",
            b"</",
            b"\\u0000",
            b"\t",
            b"{\"a\":1}",
            b"%(uri)",
            b"${msg}",
            b"\x7f",
            "\u{2028}\u{85}".as_bytes(),
            b"'",
            b"\xf4\x90\x80\x80",
        ];
        let mut out = Vec::new();
        for _ in 0..self.next() % 12 {
            match self.next() % 3 {
                0 => out.push(self.next() as u8),
                1 => out.extend_from_slice(BAD[self.next() as usize % BAD.len()]),
                _ => out.extend_from_slice(b"text"),
            }
        }
        out
    }
}

/// A uwsgi packet, in whose variables any byte may stand.
fn packet(n: usize, numbers: &mut Numbers) -> Vec<u8> {
    let mut body = Vec::new();
    let mut put = |key: &str, value: &[u8]| {
        for part in [key.as_bytes(), value] {
            body.extend_from_slice(&(part.len() as u16).to_le_bytes());
            body.extend_from_slice(part);
        }
    };
    put("PATH_INFO", b"/");
    put("QUERY_STRING", b"");
    put("HTTP_X_NUMBER", n.to_string().as_bytes());
    for key in [
        "REQUEST_URI",
        "REQUEST_METHOD",
        "SERVER_PROTOCOL",
        "REMOTE_ADDR",
        "REMOTE_USER",
        "HTTP_HOST",
        "HTTP_USER_AGENT",
        "HTTP_REFERER",
        "HTTP_X_REQUEST_ID",
        "HTTP_TRACEPARENT",
        "HTTP_X_FORWARDED_FOR",
        "HTTP_X_OWN",
    ] {
        put(key, &numbers.bytes());
    }
    let mut packet = vec![0];
    packet.extend_from_slice(&(body.len() as u16).to_le_bytes());
    packet.push(0);
    packet.extend_from_slice(&body);
    packet
}

fn hostile(port: u16, count: usize) {
    let mut numbers = Numbers(7);
    for n in 0..count {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(&packet(n, &mut numbers)).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.ends_with(b"\r\n\r\nx"), "request {n}: {}", answer.escape_ascii());
    }
}

/// Its log in the file `all`, its requests in `requests`.
fn start_with_requests(port: u16, args: &[&str]) -> Server {
    let loggers = [
        "-p",
        "2",
        "--logger",
        "file:@DIR@/all",
        "--req-logger",
        "file:@DIR@/requests",
    ];
    start(port, &[&loggers, args].concat())
}

fn start(port: u16, args: &[&str]) -> Server {
    let server = Setup::new()
        .file("app.py", APP)
        .args(["--wsgi-file", "@DIR@/app.py", "--socket"]);
    let server = server
        .args([format!("127.0.0.1:{port}").as_str()])
        .args(args.iter().copied())
        .start_unready();
    let log = server.dir().join("all");
    wait_for("the server", || {
        let text = std::fs::read(&log).unwrap_or_default();
        String::from_utf8_lossy(&text)
            .contains("spawned rsgi worker 2")
            .then_some(())
    });
    server
}

fn count() -> usize {
    std::env::var("RSGI_LOG_REQUESTS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(3000)
}

fn lines(path: &Path, expected: usize) -> Vec<u8> {
    wait_for("the last line", || {
        let text = std::fs::read(path).unwrap_or_default();
        (text.iter().filter(|b| **b == b'\n').count() >= expected).then_some(text)
    })
}

const JSON_READER: &str = "
import json, sys
seen = set()
with open(sys.argv[1], 'rb') as f:
    for line in f:
        d = json.loads(line.decode('utf-8'))
        assert len(d) == 14, d
        seen.add(int(d['n']))
        assert d['status'] == 200
print(len(seen))
";

#[test]
fn each_json_line_is_read_whatever_clients_send() {
    let (port, count) = (free_port(), count());
    let template = concat!(
        r#"{"n":"%(var.HTTP_X_NUMBER)","uri":"%(uri)","method":"%(method)","proto":"%(proto)","addr":"%(addr)","#,
        r#""user":"%(user)","host":"%(host)","ua":"%(uagent)","ref":"%(referer)","id":"%(request_id)","#,
        r#""own":"%(var.HTTP_X_OWN)","none":"%(none)","status":%(status),"trace":"%(trace_id)"}"#
    );
    let server = start_with_requests(port, &["--log-x-forwarded-for", &format!("--log-json={template}")]);
    hostile(port, count);
    let path = server.dir().join("requests");
    assert_eq!(lines(&path, count).iter().filter(|b| **b == b'\n').count(), count);
    let reader = server.dir().join("read.py");
    std::fs::write(&reader, JSON_READER).unwrap();
    let out = std::process::Command::new("python3")
        .arg(&reader)
        .arg(&path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(
        said.trim(),
        count.to_string(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
}

#[test]
fn each_text_line_stays_one_line_and_its_quotes_hold() {
    let (port, count) = (free_port(), count());
    let server = start_with_requests(
        port,
        &[
            "--log-format",
            "<%(var.HTTP_X_NUMBER)> \"%(uri)\" \"%(uagent) %(referer)\" \"%(user)\" %(addr) %(host) %(method) %(request_id) %(proto) %(var.HTTP_X_OWN) END",
        ],
    );
    hostile(port, count);
    let text = lines(&server.dir().join("requests"), count);
    let mut seen = BTreeSet::new();
    for line in text.strip_suffix(b"\n").unwrap().split(|b| *b == b'\n') {
        assert!(!line.iter().any(u8::is_ascii_control), "{}", line.escape_ascii());
        let rest = line.strip_prefix(b"<").and_then(|l| l.strip_suffix(b" END"));
        let rest = rest.unwrap_or_else(|| panic!("{}", line.escape_ascii()));
        let end = rest.iter().position(|b| *b == b'>').unwrap();
        let number: usize = std::str::from_utf8(&rest[..end]).unwrap().parse().unwrap();
        assert!(seen.insert(number));
        // the three texts between quotes end where the template says
        let mut rest = &rest[end + 2..];
        for _ in 0..3 {
            let mut at = 1;
            while rest[at] != b'"' {
                at += if rest[at] == b'\\' { 2 } else { 1 };
            }
            assert!(rest[0] == b'"' && rest[at + 1] == b' ', "{}", line.escape_ascii());
            rest = &rest[at + 2..];
        }
    }
    assert_eq!(seen.len(), count);
}

/// All lines of the files whose names begin so: numbers of requests, each whole. The text of a file in which one is not,
/// which is no fault while it is being written: a reader may see the first pages of a write before the others.
fn numbers_in(folder: &Path, name: &str) -> Result<Vec<usize>, String> {
    let files = std::fs::read_dir(folder).unwrap().flatten();
    let files = files.filter(|f| f.file_name().to_string_lossy().starts_with(name));
    let mut all = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file.path()).unwrap_or_default();
        for line in text.lines().filter(|l| l.starts_with('<')) {
            let line = line.strip_prefix("</").and_then(|l| l.strip_suffix(" END"));
            let number = line.and_then(|line| line.split(' ').next()?.parse().ok());
            all.push(number.ok_or_else(|| format!("split: {text}"))?);
        }
    }
    all.sort_unstable();
    Ok(all)
}

/// Numbered requests from several clients, while something is done again and again.
fn under_load(server: &Server, port: u16, log: &str, mut meanwhile: impl FnMut(usize) + Send) {
    const CLIENTS: usize = 3;
    const EACH: usize = 700;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stop = &stop;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn(move || {
                    for n in 0..EACH {
                        assert_eq!(http::get(port, &format!("/{}", client * EACH + n)).status, 200);
                    }
                })
            })
            .collect();
        let other = scope.spawn(move || {
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                meanwhile(n);
                n += 1;
                std::thread::sleep(std::time::Duration::from_millis(40));
            }
            n
        });
        for client in clients {
            client.join().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        assert!(other.join().unwrap() > 3);
    });
    let expected: Vec<usize> = (0..CLIENTS * EACH).collect();
    wait_for("all lines", || {
        numbers_in(server.dir(), log)
            .ok()
            .filter(|all| all.len() >= expected.len())
    });
    assert_eq!(numbers_in(server.dir(), log), Ok(expected));
}

const LINE: &str = "<%(uri) %(uagent)xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx END";

fn start_http(port: u16, log: &str, args: &[&str]) -> Server {
    let server = Setup::new()
        .file("app.py", APP)
        .args(["--wsgi-file", "@DIR@/app.py", "--http-socket"]);
    let server = server
        .args([format!("127.0.0.1:{port}").as_str(), "-p", "2", "--log-format", LINE])
        .args(args.iter().copied())
        .start_unready();
    let path = server.dir().join(log);
    wait_for("the server", || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        (text.contains("spawned rsgi worker 2") && TcpStream::connect(("127.0.0.1", port)).is_ok()).then_some(())
    });
    server
}

#[test]
fn rotation_by_size_loses_and_splits_no_line() {
    let port = free_port();
    let args = [
        "--logger",
        "file:@DIR@/all",
        "--req-logger",
        "file:logfile=@DIR@/l,maxsize=5000,keep=1000",
    ];
    let server = start_http(port, "all", &args);
    under_load(&server, port, "l", |_| {});
    assert!(std::fs::read_dir(server.dir()).unwrap().count() > 30);
}

#[test]
fn files_that_others_move_lose_and_split_no_line() {
    let port = free_port();
    let server = start_http(
        port,
        "all",
        &["--logger", "file:@DIR@/all", "--req-logger", "file:@DIR@/l"],
    );
    let dir = server.dir().to_path_buf();
    under_load(&server, port, "l", |n| {
        drop(std::fs::rename(dir.join("l"), dir.join(format!("l.{n}"))))
    });
}

#[test]
fn logto_is_moved_and_opened_anew_and_loses_no_line() {
    let port = free_port();
    let server = start_http(
        port,
        "l",
        &[
            "--logto",
            "@DIR@/l",
            "--log-master",
            "--touch-logreopen",
            "@DIR@/reopen",
        ],
    );
    let dir = server.dir().to_path_buf();
    under_load(&server, port, "l", |n| {
        if n % 10 == 0 && dir.join("l").exists() {
            std::fs::rename(dir.join("l"), dir.join(format!("l.{n}"))).unwrap();
            std::fs::write(dir.join("reopen"), n.to_string()).unwrap();
        }
    });
}
