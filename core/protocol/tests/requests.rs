//! Every request of the corpus, whole, byte by byte, and cut in two anywhere: the outcome is the one written beside it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use rsgi_protocol::cgi::{self, Origin, Scratch};
use rsgi_protocol::http1::{BodyLength, Head, HttpError, Limits, Progress, parse_head};

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.bytes().filter(|&b| b != b'\n');
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match bytes.next() {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digits = [bytes.next(), bytes.next()].map(|b| char::from(b.expect("two hex digits")));
                u8::from_str_radix(&String::from_iter(digits), 16).expect("two hex digits")
            }
            other => panic!("unknown escape {other:?}"),
        });
    }
    out
}

fn escape(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, &b| {
        match b {
            b' '..=b'~' => out.push(char::from(b)),
            _ => write!(out, "\\x{b:02x}").expect("a string takes it"),
        }
        out
    })
}

/// The outcome in the words of the `.want` files.
fn describe(buf: &[u8], outcome: Result<Progress, HttpError>, head: &Head) -> String {
    match outcome {
        Err(error) => return format!("refused {}", error.status()),
        Ok(Progress::Partial) => return "partial".into(),
        Ok(Progress::Complete) => {}
    }
    let mut lines = vec!["ok".to_owned()];
    lines.push(match head.body {
        BodyLength::None => "body none".into(),
        BodyLength::Fixed(n) => format!("body fixed {n}"),
        BodyLength::Chunked => "body chunked".into(),
    });
    lines.push(format!("keep-alive {}", if head.keep_alive { "yes" } else { "no" }));
    lines.push(format!("rest {}", buf.len() - head.len));
    if head.expect_continue {
        lines.push("expect-continue".into());
    }
    if let Some(upgrade) = head.upgrade {
        lines.push(format!("upgrade {}", escape(upgrade.of(buf))));
    }
    let (mut scratch, mut vars) = (Scratch::new(), Vec::<(&[u8], &[u8])>::new());
    cgi::push_vars(head, buf, &Origin::default(), &mut scratch, &mut vars);
    let of_the_server: [&[u8]; 3] = [b"SCRIPT_NAME", b"SERVER_NAME", b"SERVER_PORT"];
    let of_the_request = vars.iter().filter(|(key, _)| !of_the_server.contains(key));
    lines.extend(of_the_request.map(|(key, value)| format!("{}={}", escape(key), escape(value))));
    lines.join("\n")
}

fn cases() -> Vec<(PathBuf, Vec<u8>, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/http");
    let mut cases: Vec<_> = fs::read_dir(folder)
        .expect("the corpus")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "req"))
        .map(|path| {
            let request = unescape(&fs::read_to_string(&path).expect("a request"));
            let want = fs::read_to_string(path.with_extension("want")).expect("its outcome");
            (path, request, want.trim_end().to_owned())
        })
        .collect();
    cases.sort();
    assert!(cases.len() > 100, "the corpus is not where it should be");
    cases
}

#[test]
fn whole() {
    // One head for all: nothing of a request may stay behind in it.
    let mut head = Head::new();
    for (path, buf, want) in cases() {
        head.clear();
        let outcome = parse_head(&buf, &Limits::default(), &mut head);
        assert_eq!(describe(&buf, outcome, &head), want, "{}", path.display());
    }
}

#[test]
fn in_pieces() {
    for (path, buf, want) in cases() {
        for step in [1, 7, buf.len().div_ceil(2).max(1)] {
            let mut head = Head::new();
            let mut have = 0;
            let outcome = loop {
                have = (have + step).min(buf.len());
                let outcome = parse_head(&buf[..have], &Limits::default(), &mut head);
                if outcome != Ok(Progress::Partial) || have == buf.len() {
                    break outcome;
                }
            };
            let got = describe(&buf, outcome, &head);
            assert_eq!(got, want, "{} in steps of {step}", path.display());
        }
    }
}

#[test]
fn limits_hold() {
    let limits = Limits {
        head: 1000,
        target: 100,
        fields: 10,
    };
    let status = |buf: &[u8]| parse_head(buf, &limits, &mut Head::new()).map_err(|e| e.status());
    let long = |n| format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "v".repeat(n)).into_bytes();
    assert_eq!(status(&long(900)), Ok(Progress::Complete));
    assert_eq!(status(&long(1000)), Err(431));
    assert_eq!(status(&long(1100)[..1001]), Err(431));
    assert_eq!(
        status(format!("GET /{}", "u".repeat(99)).as_bytes()),
        Ok(Progress::Partial)
    );
    assert_eq!(status(format!("GET /{}", "u".repeat(300)).as_bytes()), Err(414));
    let many = |n| format!("GET / HTTP/1.0\r\n{}", "X: y\r\n".repeat(n)).into_bytes();
    assert_eq!(status(&many(10)), Ok(Progress::Partial));
    assert_eq!(status(&many(11)), Err(431));
    let roomy = Limits::with_buffer_size(32768);
    let target = format!("GET /{} HTTP/1.0\r\n\r\n", "u".repeat(12000));
    assert_eq!(
        parse_head(target.as_bytes(), &roomy, &mut Head::new()),
        Ok(Progress::Complete)
    );
}

#[test]
fn server_and_peer_variables() {
    let buf = b"GET / HTTP/1.1\r\nHost: named.test:8080\r\n\r\n";
    let mut head = Head::new();
    assert_eq!(parse_head(buf, &Limits::default(), &mut head), Ok(Progress::Complete));
    let origin = Origin {
        server_name: b"box",
        server_port: b"443",
        remote_addr: Some(b"192.0.2.1"),
        remote_port: Some(b"4711"),
        https: true,
        ..Origin::default()
    };
    let vars = |origin: Origin<'static>| {
        let mut scratch = Scratch::new();
        let mut vars = Vec::<(&[u8], &[u8])>::new();
        cgi::push_vars(&head, buf, &origin, &mut scratch, &mut vars);
        vars.iter()
            .map(|(k, v)| format!("{}={}", escape(k), escape(v)))
            .collect::<Vec<_>>()
    };
    let got = vars(origin);
    for want in [
        "SERVER_NAME=box",
        "SERVER_PORT=443",
        "REMOTE_ADDR=192.0.2.1",
        "REMOTE_PORT=4711",
        "HTTPS=on",
        "REQUEST_SCHEME=https",
    ] {
        assert!(got.iter().any(|var| var == want), "{want} in {got:?}");
    }
    let plain = vars(Origin {
        https: false,
        remote_addr: None,
        remote_port: None,
        name_from_host: true,
        ..origin
    });
    assert!(plain.contains(&"SERVER_NAME=named.test".to_owned()));
    assert!(
        !plain
            .iter()
            .any(|var| var.starts_with("HTTPS") || var.starts_with("REMOTE_"))
    );
}
