//! HTTPS of the gateway, with the clients that people use: curl, and Python's ssl.

use rsgi_tests::certificate;
use rsgi_tests::{Server, Setup, wait_for};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const APP: &str = r#"
import time
def application(e, sr):
    names = ("HTTPS", "wsgi.url_scheme", "SERVER_PORT", "HTTPS_DN", "HTTPS_CC", "SERVER_PROTOCOL")
    if e["PATH_INFO"] == "/sleep":
        time.sleep(0.3)
    body = "".join("%s=%s\n" % (n, e[n]) for n in names if n in e).encode()
    if e["PATH_INFO"] == "/big":
        body = b"x" * 3000000
    if e["REQUEST_METHOD"] == "POST":
        body = str(len(e["wsgi.input"].read())).encode()
    sr("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"#;

/// Runs a program in a folder: its output, and whether it said that all went well.
fn run(dir: &Path, program: &str, args: &[&str]) -> (String, bool) {
    let out = Command::new(program).args(args).current_dir(dir).output();
    let out = out.unwrap_or_else(|e| panic!("{program}: {e}"));
    let text = [out.stdout, out.stderr].concat();
    (String::from_utf8_lossy(&text).into_owned(), out.status.success())
}

fn curl(server: &Server, args: &[&str]) -> (String, bool) {
    let url = format!("https://127.0.0.1:{}/", server.gateway_port());
    let all: Vec<&str> = ["-sk", "--max-time", "10"]
        .iter()
        .chain(args)
        .copied()
        .chain([&url[..]])
        .collect();
    run(server.dir(), "curl", &all)
}

/// The subject of the certificate that a client sees who asks for a name.
fn subject(server: &Server, name: &str) -> String {
    let script = format!(
        "import ssl,socket,subprocess\nc=ssl.create_default_context()\nc.check_hostname=False\n\
         c.verify_mode=ssl.CERT_NONE\nk=c.wrap_socket(socket.create_connection(('127.0.0.1',{})),server_hostname={name:?})\n\
         print(subprocess.run(['openssl','x509','-noout','-subject','-inform','DER'],\
         input=k.getpeercert(True),capture_output=True).stdout.decode())",
        server.gateway_port()
    );
    run(server.dir(), "python3", &["-c", &script]).0
}

/// The application, and the certificate `one`.
fn with_certificate() -> Setup {
    let setup = Setup::new();
    certificate::make(setup.dir(), "one");
    setup
        .file("app.py", APP)
        .args(["--master", "--wsgi-file", "@DIR@/app.py"])
}

fn server(setup: Setup, https: &str, args: &[&str]) -> Server {
    let mut server = setup
        .file("app.py", APP)
        .args(["--master", "--wsgi-file", "@DIR@/app.py", "--https", https])
        .args(args.iter().copied())
        .start();
    server.wait_log("spawned rsgi http", 1);
    server
}

/// Whether curl can be trusted with several streams at once: 7.88, which Debian 12 has, stalls now and then.
fn multiplexes() -> bool {
    let (said, _) = run(Path::new("/"), "curl", &["--version"]);
    let major = said.split([' ', '.']).nth(1).and_then(|n| n.parse::<u32>().ok());
    major.is_some_and(|n| n >= 8)
}

/// Small and large answers over one connection of HTTP/2.
fn many_at_once(server: &Server, url: &str) {
    let began = Instant::now();
    let many = format!("{url}?[1-8]");
    let sleep = format!("https://127.0.0.1:{}/sleep?[1-4]", server.gateway_port());
    let (said, ok) = run(
        server.dir(),
        "curl",
        &[
            "-skZ",
            "--max-time",
            "10",
            "-w",
            "%{http_version}",
            &many,
            "-o",
            "big_#1",
            &sleep,
            "-o",
            "sleep_#1",
        ],
    );
    assert!(
        ok && said.matches('2').count() >= 12 && began.elapsed() < Duration::from_secs(5),
        "{said}"
    );
    for i in 1..=8 {
        let size = std::fs::metadata(server.dir().join(format!("big_{i}"))).unwrap().len();
        assert_eq!(size, 3_000_000);
    }
}

#[test]
fn requests_over_tls() {
    let setup = Setup::new();
    certificate::make(setup.dir(), "one");
    let server = server(setup, "127.0.0.1:0,one.crt,one.key", &["--threads", "2"]);
    let (text, ok) = curl(&server, &["--http1.1"]);
    assert!(ok && text.contains("HTTPS=on\nwsgi.url_scheme=https\n"), "{text}");
    assert!(
        text.contains(&format!("SERVER_PORT={}\n", server.gateway_port())),
        "{text}"
    );
    for version in ["1.2", "1.3"] {
        let (text, ok) = curl(&server, &["--http1.1", "--tls-max", version]);
        assert!(ok, "{text}");
    }
    let (_, ok) = curl(&server, &["--tls-max", "1.1"]);
    assert!(!ok, "TLS 1.1 is over");
    // large both ways, on one connection
    let body = "y".repeat(2_000_000);
    std::fs::write(server.dir().join("body"), &body).unwrap();
    let url = format!("https://127.0.0.1:{}/big", server.gateway_port());
    let (text, ok) = curl(
        &server,
        &[
            "--http1.1",
            "-d",
            "@body",
            &url,
            "-o",
            "big",
            "--next",
            "-sk",
            "--http1.1",
            "-d",
            "@body",
        ],
    );
    assert!(ok && text.ends_with("2000000"), "{text}");
    if multiplexes() {
        many_at_once(&server, &url);
    }
    // the wrong language, then the right one again
    let (said, _) = run(
        server.dir(),
        "curl",
        &["-s", "--max-time", "5", &url.replace("https", "http")],
    );
    assert_eq!(said, "");
    assert!(curl(&server, &[]).1);
}

#[test]
fn certificates_by_name_are_renewed_without_a_restart() {
    let setup = Setup::new();
    for name in ["main", "named", "wild", "later"] {
        certificate::make(setup.dir(), name);
    }
    let folder = setup.dir().join("sni");
    std::fs::create_dir(&folder).unwrap();
    for end in ["crt", "key"] {
        std::fs::copy(
            setup.dir().join(format!("named.{end}")),
            folder.join(format!("a.example.{end}")),
        )
        .unwrap();
    }
    let args = ["--sni-dir", "sni", "--sni", "*.b.example wild.crt,wild.key"];
    let mut server = server(setup, "127.0.0.1:0,main.crt,main.key,HIGH", &args);
    assert!(server.log().contains("the ciphers \"HIGH\""));
    for (name, want) in [
        ("x", "main"),
        ("a.example", "named"),
        ("A.Example", "named"),
        ("z.b.example", "wild"),
        ("b.example", "main"),
    ] {
        assert!(
            subject(&server, name).contains(want),
            "{name} is not {want}: {}",
            subject(&server, name)
        );
    }
    for end in ["key", "crt"] {
        std::fs::rename(
            server.dir().join(format!("later.{end}")),
            server.dir().join(format!("main.{end}")),
        )
        .unwrap();
    }
    wait_for("the new certificate", || {
        subject(&server, "x").contains("later").then_some(())
    });
    assert!(server.log().contains("main.crt was read again"));
    // nonsense changes nothing
    std::fs::write(server.dir().join("main.crt"), "nonsense").unwrap();
    wait_for("a line about nonsense", || {
        assert!(subject(&server, "x").contains("later"));
        server.log().contains("no certificate in PEM form").then_some(())
    });
    server.signal(libc::SIGTERM);
    server.wait_exit();
}

#[test]
fn clients_show_certificates() {
    let setup = Setup::new();
    for name in ["server", "ca", "stranger"] {
        certificate::make(setup.dir(), name);
    }
    // without extensions it would be a certificate of the first version, which nobody takes any more
    let setup = setup.file("client.ext", "basicConstraints=CA:FALSE\n");
    let dir = setup.dir().to_owned();
    for args in [
        &[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/C=DE/CN=client",
            "-keyout",
            "client.key",
            "-out",
            "client.csr",
        ][..],
        &[
            "x509",
            "-req",
            "-in",
            "client.csr",
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "client.ext",
            "-out",
            "client.crt",
        ],
    ] {
        assert!(run(&dir, "openssl", args).1);
    }
    let server = server(
        setup,
        "127.0.0.1:0,server.crt,server.key,,!ca.crt",
        &["--https-export-cert"],
    );
    assert!(!curl(&server, &[]).1, "no certificate, no answer");
    assert!(!curl(&server, &["--cert", "stranger.crt", "--key", "stranger.key"]).1);
    for version in ["--http1.1", "--http2"] {
        let (text, ok) = curl(&server, &[version, "--cert", "client.crt", "--key", "client.key"]);
        let whole = std::fs::read_to_string(dir.join("client.crt")).unwrap();
        assert!(
            ok && text.contains("HTTPS_DN=/C=DE/CN=client\n") && text.contains(&whole),
            "{text}"
        );
    }
}

#[test]
fn sockets_of_that_name_have_modifiers_of_their_own() {
    let mut server = with_certificate()
        .args([
            "--https-socket",
            "127.0.0.1:0,one.crt,one.key",
            "--https-socket-modifier1",
            "201",
        ])
        .start();
    server.wait_log("spawned rsgi http", 1);
    let (text, ok) = curl(&server, &["-w", "%{http_code}"]);
    assert!(ok && text.ends_with("500"), "{text}");
    assert!(server.log().contains("unavailable modifier requested: 201"));
}

#[test]
fn plain_clients_are_sent_to_https() {
    let mut server = with_certificate()
        .args([
            "--http-to-https",
            "127.0.0.1:0",
            "--https2",
            "addr=127.0.0.1:0,cert=one.crt,key=one.key",
        ])
        .start();
    server.wait_log("spawned rsgi http", 1);
    let url = format!("http://127.0.0.1:{}/a?b=c", server.gateway_port());
    let (text, ok) = run(server.dir(), "curl", &["-si", "--max-time", "10", &url]);
    assert!(
        ok && text.starts_with("HTTP/1.1 301 ") && text.contains("Location: https://127.0.0.1/a?b=c\r\n"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_used_ends_the_start_with_the_files_name() {
    let setup = || {
        let setup = Setup::new();
        certificate::make(setup.dir(), "one");
        certificate::make(setup.dir(), "two");
        setup.file("empty.pem", "")
    };
    for (https, says) in [
        ("127.0.0.1:0,none.crt,one.key", "none.crt: No such file"),
        ("127.0.0.1:0,one.crt,none.key", "none.key: No such file"),
        ("127.0.0.1:0,empty.pem,one.key", "empty.pem: no certificate"),
        ("127.0.0.1:0,one.crt,empty.pem", "empty.pem: no private key"),
        (
            "127.0.0.1:0,one.crt,two.key",
            "two.key does not belong to the certificate in one.crt",
        ),
        ("127.0.0.1:0,one.crt,one.key,,none.pem", "none.pem: No such file"),
        ("127.0.0.1:0,one.crt", "give ADDRESS,CERTIFICATE,KEY"),
    ] {
        let ended = setup().args(["--master", "--https", https]).run();
        assert!(ended.code != 0 && ended.output.contains(says), "{https}: {ended:?}");
    }
}
