//! Static files: which file a path means, what is said of it, and that no path leads out of its folder.

use rsgi_tests::{Server, Setup};
use std::io::{Read, Write};

const APP: &str = "
def application(env, start):
    start('200 OK', [('Content-Type', 'text/plain')])
    return [b'the application: ' + env['PATH_INFO'].encode('latin-1')]
";

fn serve(args: &[&str]) -> Server {
    Setup::new()
        .wsgi(APP)
        .file("www/a.txt", "0123456789")
        .file("www/style.css", "p{}")
        .file("www/style.css.gz", "zipped")
        .file("www/sub/index.html", "<i>")
        .file("secret", "TOP SECRET")
        .file("shared/s.txt", "shared")
        .file("types", "# comment\nx-test/one txt\n")
        .args(args.iter().copied())
        .start()
}

fn get(server: &Server, path: &str, headers: &str) -> String {
    let mut stream = server.connect(server.port());
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).expect("the request is sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the connection ends");
    String::from_utf8_lossy(&answer).into_owned()
}

fn value<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next()?;
    head.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn parts_and_states_of_a_file() {
    let server = serve(&["--static-map", "/static=@DIR@/www"]);
    let whole = get(&server, "/static//a.txt", "");
    assert!(
        whole.starts_with("HTTP/1.1 200 ") && whole.ends_with("\r\n\r\n0123456789"),
        "{whole}"
    );
    let (tag, date) = (
        value(&whole, "ETag").expect("a tag"),
        value(&whole, "Last-Modified").expect("a date"),
    );
    for (headers, status, body) in [
        (format!("If-None-Match: \"x\", W/{tag}\r\n"), 304, ""),
        (
            format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {date}\r\n"),
            200,
            "0123456789",
        ),
        (format!("If-Modified-Since: {date}\r\n"), 304, ""),
        ("Range: bytes=2-4\r\n".into(), 206, "234"),
        ("Range: bytes=-3\r\n".into(), 206, "789"),
        ("Range: bytes=10-\r\n".into(), 416, ""),
        ("Range: bytes=x\r\n".into(), 200, "0123456789"),
        (format!("Range: bytes=2-4\r\nIf-Range: {tag}\r\n"), 206, "234"),
        (format!("Range: bytes=2-4\r\nIf-Range: {date}\r\n"), 206, "234"),
        ("Range: bytes=2-4\r\nIf-Range: \"old\"\r\n".into(), 200, "0123456789"),
    ] {
        let answer = get(&server, "/static/a.txt", &headers);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{headers}: {answer}"
        );
        assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{headers}: {answer}");
    }
    let part = get(&server, "/static/a.txt", "Range: bytes=2-4\r\n");
    assert_eq!(value(&part, "Content-Range"), Some("bytes 2-4/10"));
    let none = get(&server, "/static/a.txt", "Range: bytes=10-\r\n");
    assert_eq!(value(&none, "Content-Range"), Some("bytes */10"));
}

#[test]
fn types_expiry_and_compressed_neighbours() {
    let server = serve(&[
        "--check-static",
        "@DIR@/www",
        "--static-map",
        "/icon=@DIR@/www/style.css",
        "--static-index",
        "index.html",
        "--mime-file",
        "@DIR@/types",
        "--static-gzip",
        "\\.css$",
        "--static-expires",
        "a\\.txt$ 60",
        "--static-expires-type",
        "text/css=60",
    ]);
    let text = get(&server, "/a.txt", "Accept-Encoding: gzip\r\n");
    assert_eq!(value(&text, "Content-Type"), Some("x-test/one"));
    assert!(
        value(&text, "Expires").is_some() && value(&text, "Vary").is_none(),
        "{text}"
    );
    for (accept, body) in [
        ("gzip", "zipped"),
        ("br, gzip;q=0.5", "zipped"),
        ("gzip;q=0", "p{}"),
        ("br", "p{}"),
    ] {
        let style = get(&server, "/style.css", &format!("Accept-Encoding: {accept}\r\n"));
        assert!(style.ends_with(&format!("\r\n\r\n{body}")), "{accept}: {style}");
        assert_eq!(value(&style, "Vary"), Some("Accept-Encoding"));
        assert_eq!(value(&style, "Content-Encoding").is_some(), body == "zipped");
        assert_eq!(value(&style, "Content-Type"), Some("text/css"));
    }
    assert_eq!(value(&get(&server, "/icon", ""), "Content-Type"), Some("text/css"));
    let index = get(&server, "/sub/", "");
    assert!(
        index.ends_with("<i>") && value(&index, "Content-Type") == Some("text/html"),
        "{index}"
    );
    assert!(get(&server, "/other", "").ends_with("the application: /other"));
}

#[test]
fn no_path_leads_out_unless_the_operator_says_so() {
    for safe in [false, true] {
        let mut args = vec!["--check-static", "@DIR@/www"];
        if safe {
            args.extend(["--static-safe", "@DIR@/shared"]);
        }
        let server = serve(&args);
        for (name, target) in [("out", "../secret"), ("safe", "../shared/s.txt")] {
            std::os::unix::fs::symlink(target, server.dir().join("www").join(name)).expect("a link can be made");
        }
        for path in [
            "/../secret",
            "/%2e%2e/secret",
            "/..%2fsecret",
            "/sub/../../secret",
            "/out",
            "//..//secret",
        ] {
            assert!(!get(&server, path, "").contains("TOP SECRET"), "{path}");
        }
        assert_eq!(get(&server, "/safe", "").ends_with("\r\n\r\nshared"), safe);
    }
}

#[test]
fn the_web_server_in_front_may_send_it() {
    for (mode, name) in [("nginx", "X-Accel-Redirect"), ("x-sendfile", "X-Sendfile")] {
        let server = serve(&["--static-map", "/static=@DIR@/www", "--file-serve-mode", mode]);
        let answer = get(&server, "/static/a.txt", "");
        let path = server.dir().join("www/a.txt").display().to_string();
        assert_eq!(value(&answer, name), Some(path.as_str()), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

#[test]
fn wrong_options_end_the_start() {
    for (option, wrong, why) in [
        ("--mime-file", "/does/not/exist", "cannot read /does/not/exist"),
        ("--static-expires", "x soon", "no number of seconds"),
        ("--static-gzip", "(", "no regular expression"),
        ("--static-expires-type", "text/css", "TYPE=SECONDS"),
    ] {
        let ended = Setup::new().wsgi(APP).args([option, wrong]).run();
        assert_eq!(ended.code, 1, "{option}");
        assert!(ended.output.contains(why), "{option}: {}", ended.output);
    }
}
