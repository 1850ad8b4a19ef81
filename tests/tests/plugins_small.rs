//! Small plugins as they are commonly written for uWSGI: loggers, pushers, routers and so on, in C, each in the real server.

use rsgi_tests::{Server, Setup, http, program, wait_for};
use std::net::UdpSocket;
use std::process::Command;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/c/small");

/// An instance with some of the small plugins; requests go to modifier1 101, which echoes.
fn with(names: &[&str]) -> Setup {
    let mut setup = Setup::new();
    for name in names.iter().chain(&["echo"]) {
        let built = Command::new(program("uwsgiconfig"))
            .args(["--plugin", &format!("{FOLDER}/{name}.c")])
            .env("LDFLAGS", if *name == "gzip" { "-lz" } else { "" })
            .current_dir(setup.dir())
            .output()
            .expect("uwsgiconfig can be run");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let plugin = setup.dir().join(format!("{name}_plugin.so"));
        setup = setup.args(["--plugin", plugin.to_str().expect("the path is text")]);
    }
    setup.args(["--master", "--http-socket", "127.0.0.1:0"])
}

fn serve(names: &[&str], modifier1: &str, args: &[&str]) -> Server {
    with(names)
        .args(["--http-socket-modifier1", modifier1])
        .args(args.iter().copied())
        .start()
}

fn wait_file(server: &Server, name: &str, part: &str) {
    wait_for(&format!("{part:?} in {name}"), || {
        let text = std::fs::read_to_string(server.dir().join(name)).unwrap_or_default();
        text.contains(part).then_some(())
    });
}

/// All datagrams of a moment, one after the other.
fn hears(socket: &UdpSocket, part: &str) {
    socket.set_nonblocking(true).expect("a socket");
    let mut heard = String::new();
    wait_for(part, || {
        let mut room = [0; 2048];
        while let Ok(len) = socket.recv(&mut room) {
            heard += &String::from_utf8_lossy(&room[..len]);
            heard.push('\n');
        }
        heard.contains(part).then_some(())
    });
}

#[test]
fn echo_dummy_and_moments() {
    let mut server = serve(&["dummy", "exits"], "101", &[]);
    let answer = http::post(server.port(), "/", b"twenty bytes of body");
    assert_eq!(answer.text(), "twenty bytes of body");
    assert_eq!(answer.header("x-vars"), Some("1"));
    server.wait_log("moments: worker 1 forked\n", 1);
    server.signal(libc::SIGTERM);
    server.wait_log("moments: 1 ends\n", 1);
    server.wait_log("moments: the master cleans up\n", 1);
}

#[test]
fn notfound() {
    let mut server = serve(&["notfound"], "102", &["--notfound-log"]);
    assert_eq!(server.get("/nowhere").status, 404);
    server.wait_log("nothing for 127.0.0.1 at /nowhere\n", 1);
}

#[test]
fn loggers() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("an address");
    let server = with(&["tofile", "tosocket"])
        .args(["--http-socket-modifier1", "101", "--log-format", "line of %(uri)"])
        .args(["--req-logger", "tofile:file=@DIR@/lines,maxsize=40"])
        .args(["--req-logger", &format!("tosocket:{address},word")])
        .start();
    server.get("/a");
    wait_file(&server, "lines", "line of /a\n");
    hears(&socket, "word line of /a\n");
    for _ in 0..6 {
        server.get("/b");
    }
    wait_for("a file that begins anew", || {
        let text = std::fs::read_to_string(server.dir().join("lines")).unwrap_or_default();
        (text.len() <= 44 && text.contains("/b") && !text.contains("/a")).then_some(())
    });
}

#[test]
fn pushers() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("an address");
    let server = with(&["statsd", "statsfile"])
        .args(["--http-socket-modifier1", "101"])
        .args(["--stats-push", &format!("mystatsd:{address},shop")])
        .args(["--stats-push", "tofile:path=@DIR@/documents,separator=--,freq=1"])
        .start();
    server.get("/");
    hears(&socket, "shop.worker.1.requests:1|c");
    hears(&socket, "shop.core.busy_workers:0|g");
    wait_file(&server, "documents", "--{");
}

#[test]
fn packing() {
    let server = serve(
        &["gzip"],
        "101",
        &["--route-run", "pack:", "--route-run", "send:some words"],
    );
    let answer = server.get("/");
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(answer.body.get(..2), Some(&[0x1f, 0x8b][..]));
}

#[test]
fn routers() {
    let server = with(&["redirect", "rewrite", "sendit", "basicauth", "expires"])
        .file("files/style.css", "p { }")
        .args(["--http-socket-modifier1", "101"])
        .args(["--route", "^/old/(.*) myredirect:/new/$1"])
        .args(["--route", "^/gone/(.*) myredirect-permanent:/new/$1"])
        .args(["--route", "^/short$ myrewrite:/style.css"])
        .args(["--route", "^/private myauth:Inner,me:secret"])
        .args(["--route-run", "myexpires:60"])
        .args(["--route", "^/(.*css)$ sendit:@DIR@/files/$1"])
        .start();
    let moved = server.get("/old/page");
    assert_eq!((moved.status, moved.header("location")), (302, Some("/new/page")));
    assert_eq!(server.get("/gone/page").status, 301);
    let style = server.get("/short");
    assert_eq!((style.status, style.text().as_str()), (200, "p { }"));
    assert_eq!(style.header("content-type"), Some("text/css"));
    assert!(style.header("last-modified").is_some());
    let locked = server.get("/private");
    assert_eq!(locked.status, 401);
    assert_eq!(locked.header("www-authenticate"), Some("Basic realm=\"Inner\""));
    let get = |words: &str| {
        let head = "GET /private HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
        http::exchange(
            server.port(),
            format!("{head}Authorization: {words}\r\n\r\n").as_bytes(),
        )
        .status
    };
    assert_eq!((get("Basic bWU6c2VjcmV0"), get("Basic bWU6d3Jvbmc=")), (200, 401));
    let wrong = with(&["basicauth"]).args(["--route", "^/ myauth:nothing"]).run();
    assert_eq!(wrong.code, 1);
    assert!(wrong.output.contains("give REALM,USER:PASSWORD\n"), "{}", wrong.output);
}

#[test]
fn expiry_is_a_header_of_the_answer() {
    let server = serve(&["expires"], "101", &["--route-run", "myexpires:60"]);
    assert!(
        server
            .get("/")
            .header("expires")
            .is_some_and(|date| date.ends_with(" GMT"))
    );
}

#[test]
fn an_alarm_speaks_through_a_program() {
    let args = [
        "--alarm",
        "loud speech:/bin/echo spoken",
        "--route-run",
        "alarm:loud of fire",
    ];
    let mut server = serve(&["speech"], "101", &args);
    server.get("/");
    server.wait_log("spoken of fire\n", 1);
}

#[test]
fn functions_are_called_by_their_names() {
    let args = ["--symcall-function", "example_of_symcall"];
    let server = serve(&["symcall"], "118", &args);
    assert_eq!(server.get("/").text(), "called by name");
    let ended = with(&["symcall"])
        .args(["--symcall-function", "no_such_function"])
        .run();
    assert_eq!(ended.code, 1);
    assert!(
        ended.output.contains("unable to find symbol \"no_such_function\""),
        "{}",
        ended.output
    );
}
