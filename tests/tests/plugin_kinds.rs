//! The plugins of `examples/plugins`: one of each kind, in C, built without a warning and run.

use rsgi_tests::http::get;
use rsgi_tests::{Server, Setup, program, wait_for};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/plugins");

/// An instance with the example of a kind.
fn with(kind: &str, name: &str) -> Setup {
    let setup = Setup::new();
    let source = format!("{FOLDER}/{kind}/{name}.c");
    let lines = std::fs::read_to_string(&source).expect("it is there").lines().count();
    assert!(lines < 60, "{source} has {lines} lines");
    let built = Command::new(program("uwsgiconfig"))
        .args(["--plugin", &source])
        .env("CFLAGS", "-Wall -Wextra -Werror")
        .current_dir(setup.dir())
        .output()
        .expect("uwsgiconfig can be run");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let plugin = setup.dir().join(format!("{name}_plugin.so"));
    setup.args(["--plugin", plugin.to_str().expect("the path is text"), "--master"])
}

/// The same, listening for requests of modifier1 250.
fn serving(kind: &str, name: &str) -> Setup {
    with(kind, name).args(["--http-socket", "127.0.0.1:0", "--http-socket-modifier1", "250"])
}

fn serve(kind: &str, name: &str, args: &[&str]) -> Server {
    serving(kind, name).args(args.iter().copied()).start()
}

/// What serves the kinds that answer nothing themselves: a folder of files.
fn files(kind: &str, name: &str, args: &[&str]) -> Server {
    serving(kind, name)
        .file("files/a.txt", "Hello")
        .args(["--static-map", "/files=@DIR@/files"])
        .args(args.iter().copied())
        .start()
}

#[test]
fn every_folder_has_its_test() {
    let here = include_str!("plugin_kinds.rs");
    for kind in std::fs::read_dir(FOLDER).expect("it is there").flatten() {
        let name = kind.file_name().into_string().expect("it is text");
        if name == "rust" {
            continue;
        }
        assert!(
            kind.path().is_file() || here.contains(&format!("\"{name}\",")),
            "{name}"
        );
    }
}

#[test]
fn request() {
    assert_eq!(serve("request", "greeting", &[]).get("/you").text(), "Hello /you");
}

#[test]
fn gateway() {
    let mut server = files("gateway", "relay", &["--relay", "127.0.0.1:0"]);
    server.wait_log("relay 1 is at work", 1);
    let log = server.log();
    let address = log
        .split("relay listens on ")
        .nth(1)
        .and_then(|rest| rest.lines().next());
    let mut stream = TcpStream::connect(address.expect("its address")).expect("a listener");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a word");
    assert_eq!(text, "hello from the relay\n");
}

#[test]
fn worker_override() {
    let setup = serving("worker", "counter").args(["--counter", "1", "-p", "2"]);
    let mut server = setup.start_unready();
    for line in ["worker 1 counts 1\n", "worker 2 counts 1\n"] {
        server.wait_log(line, 1);
    }
}

#[test]
fn mule() {
    let mut server = serve("mule", "scribe", &["--mule=scribe:once"]);
    server.wait_log("scribe 1 begins with once\n", 1);
    server.get("/upon");
    server.wait_log("scribe writes /upon\n", 1);
}

#[test]
fn logger() {
    let setup = serving("logger", "append").file("files/a.txt", "Hello");
    let server = setup
        .args([
            "--static-map",
            "/files=@DIR@/files",
            "--req-logger",
            "append:@DIR@/lines",
        ])
        .start();
    server.get("/files/a.txt");
    wait_for("the line", || {
        let lines = std::fs::read_to_string(server.dir().join("lines")).unwrap_or_default();
        lines.contains("GET /files/a.txt").then_some(())
    });
}

#[test]
fn log_encoder() {
    let mut server = files("log-encoder", "shout", &["--log-req-encoder", "shout"]);
    server.get("/files/a.txt");
    server.wait_log("GET /FILES/A.TXT", 1);
}

#[test]
fn log_chunk() {
    let mut server = files("log-chunk", "short_uri", &["--log-format", "<%(short_uri)>"]);
    server.get("/files/a.txt?query");
    server.wait_log("</files/a.txt>\n", 1);
}

fn wait_file(server: &Server, name: &str, part: &str) {
    wait_for(&format!("{part:?} in {name}"), || {
        let text = std::fs::read_to_string(server.dir().join(name)).unwrap_or_default();
        text.contains(part).then_some(())
    });
}

#[test]
fn stats_pusher() {
    let server = files("stats-pusher", "board", &["--stats-push", "board:@DIR@/board"]);
    server.get("/files/a.txt");
    wait_file(&server, "board", "\nworker.1.requests 1\n");
}

#[test]
fn metric_collector() {
    let args = ["--metric", "name=tide,collector=tides", "--metrics-dir", "@DIR@"];
    let server = files("metric-collector", "tides", &args);
    wait_file(&server, "tide", "42\n");
}

#[test]
fn alarm() {
    let mut server = serve("alarm", "siren", &["--alarm", "fire siren:LOUD"]);
    server.get("/kitchen");
    server.wait_log("siren LOUD: /kitchen\n", 1);
}

#[test]
fn hook_action() {
    let server = files("hook-action", "touch", &["--hook-post-app", "touch:@DIR@/touched"]);
    assert!(server.dir().join("touched").exists());
}

#[test]
fn route_action() {
    let server = files("route-action", "teapot", &["--route", "^/tea teapot:short and stout"]);
    let answer = server.get("/tea");
    assert_eq!((answer.status, answer.text().as_str()), (418, "short and stout"));
}

#[test]
fn route_condition() {
    let server = files(
        "route-condition",
        "longer",
        &["--route-if", "longer:20 break:414 URI Too Long"],
    );
    assert_eq!(server.get("/this-is-more-than-twenty").status, 414);
    assert_eq!(server.get("/files/a.txt").status, 200);
}

#[test]
fn route_variable() {
    let rules = [
        "--route-run",
        "addheader:X-Upper: ${upper[PATH_INFO]}",
        "--route-run",
        "break:200 OK",
    ];
    assert_eq!(
        files("route-variable", "upper", &rules).get("/abc").header("x-upper"),
        Some("/ABC")
    );
}

#[test]
fn transformation() {
    let rules = ["--route-run", "rot13:", "--route-run", "file:@DIR@/files/a.txt"];
    assert_eq!(files("transformation", "rot13", &rules).get("/").text(), "Uryyb");
}

#[test]
fn rpc() {
    assert_eq!(serve("rpc", "adder", &[]).get("/").text(), "42");
}

#[test]
fn signal() {
    let mut server = serve("signal", "pulse", &[]);
    server.wait_log("pulse 30 in worker 1\n", 1);
}

#[test]
fn spooler() {
    let mut server = serve(
        "spooler",
        "errand",
        &["--spooler", "@DIR@/tasks", "--spooler-frequency", "1"],
    );
    server.get("/post");
    server.wait_log("errand /post with a letter\n", 1);
}

#[test]
fn clock() {
    let mut server = files("clock", "ahead", &["--clock", "ahead", "--log-format", "at %(time)!"]);
    server.get("/files/a.txt");
    server.wait_log("at ", 1);
    let log = server.log();
    let at = log
        .split("at ")
        .find_map(|rest| rest.split_once('!')?.0.parse::<u64>().ok());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let ahead = at.expect("a time") - now.expect("after 1970").as_secs();
    assert!((86_000..86_500).contains(&ahead), "{ahead}");
}

#[test]
fn cheaper() {
    let setup = serving("cheaper", "eager").args(["-p", "3", "--cheaper", "1", "--cheaper-algo", "eager"]);
    setup.start_unready().wait_log("spawned rsgi worker 2", 1);
}

#[test]
fn emperor() {
    let port = free_port();
    let setup = with("emperor", "list").file("ports", &format!("{port}\n"));
    let mut server = setup.args(["--emperor", "list://@DIR@/ports"]).start_unready();
    server.wait_log(&format!("I am port-{port}\n"), 1);
    server.wait_log(&format!("vassal port-{port} is ready"), 1);
    assert_eq!(get(port, "/").status, 500);
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

#[test]
fn loop_engine() {
    assert_eq!(
        serve("loop", "simple", &["--loop", "simple"]).get("/").text(),
        "by a loop"
    );
}

#[test]
fn protocol() {
    let server = with("protocol", "line")
        .args(["--protocol", "line", "--socket", "127.0.0.1:0"])
        .start();
    assert_eq!(spoken(&server, 0, "/menu"), "you asked for /menu");
}

/// What comes back for a line on a socket.
fn spoken(server: &Server, socket: usize, line: &str) -> String {
    let mut stream = server.connect(server.port_of_socket(socket));
    stream.write_all(line.as_bytes()).expect("it takes it");
    stream.write_all(b"\n").expect("it takes it");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

#[test]
fn exception_handler() {
    let app = "def application(env, start): raise ValueError('broken')\n";
    let setup = with("exception-handler", "report").wsgi(app);
    let server = setup.args(["--exception-handler", "report:@DIR@/reported"]).start();
    server.get("/");
    wait_file(&server, "reported", "msg: broken\n");
}

/// An instance with the plugin that has all kinds in Rust.
fn in_rust(args: &[&str]) -> Setup {
    let library = rsgi_tests::build_dir().join("libkinds_plugin.so");
    Setup::new()
        .args(["--plugin", library.to_str().expect("the path is text"), "--master"])
        .args(["--http-socket", "127.0.0.1:0", "--http-socket-modifier1", "251"])
        .args(args.iter().copied())
}

#[test]
fn kinds_in_rust_that_requests_meet() {
    let mut server = in_rust(&[
        "--alarm",
        "fire bell:LOUD",
        "--mule=kinds:post",
        "--spooler",
        "@DIR@/tasks",
    ])
    .args(["--route", "^/teapot reply:418 short and stout"])
    .args(["--route-if", "ends:.php reply:410 gone"])
    .args(["--route", "^/loud upper:"])
    .args(["--route-run", "addheader:X-Length: ${length[REQUEST_METHOD]}"])
    .args([
        "--log-format",
        "path of %(path_length) bytes",
        "--log-req-encoder",
        "quote >",
    ])
    .args(["--req-logger", "lines:@DIR@/lines", "--hook-post-app", "say:ready"])
    .start();
    assert_eq!(server.get("/you").header("x-length"), Some("3"));
    assert_eq!(server.get("/you").text(), "Hello /you");
    assert_eq!(server.get("/loud").text(), "HELLO /LOUD (11)");
    let teapot = server.get("/teapot");
    assert_eq!((teapot.status, teapot.text().as_str()), (418, "short and stout"));
    assert_eq!(server.get("/index.php").status, 410);
    assert_eq!(server.get("/rpc").text(), "one+two");
    assert_eq!(server.get("/alarm").text(), "rung 0");
    assert_eq!(server.get("/mule").text(), "sent true");
    assert_eq!(server.get("/signal").text(), "raised");
    assert_eq!(server.get("/spool").text(), "spooled");
    for line in [
        "hook says ready\n",
        "bell LOUD: smoke\n",
        "mule of post\n",
        "mule got a parcel\n",
        "signal 31 for 7\n",
        "errand with two bottles\n",
    ] {
        server.wait_log(line, 1);
    }
    wait_file(&server, "lines", "> path of 7 bytes\n");
}

#[test]
fn kinds_in_rust_that_the_master_asks() {
    let mut server = in_rust(&["-p", "3", "--cheaper", "1", "--cheaper-algo", "always"])
        .args(["--stats-push", "count:pushed", "--clock", "epoch"])
        .args(["--metric", "name=tide,collector=answer", "--metrics-dir", "@DIR@"])
        .env("KINDS_GATEWAY", "1")
        .start();
    server.wait_log("spawned rsgi worker 3", 1);
    wait_file(&server, "tide", "46\n");
    server.wait_log("clerk 1 at 127.0.0.1:", 1);
    let log = server.log();
    let address = log.split("clerk 1 at ").nth(1).and_then(|rest| rest.lines().next());
    let mut stream = TcpStream::connect(address.expect("its address")).expect("a listener");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a word");
    assert_eq!(text, "next please\n");
}

#[test]
fn more_kinds_in_rust() {
    let mut server = in_rust(&["--stats-push", "count:pushed"]).start();
    server.get("/one");
    server.wait_log("pushed 1 json true\n", 1);
    assert_eq!(in_rust(&["--loop", "turns"]).start().get("/loop").text(), "Hello /loop");
    let line = in_rust(&["--protocol", "path", "--socket", "127.0.0.1:0"]).start();
    assert_eq!(spoken(&line, 1, "/half"), "Hello /half");
    let mut own = in_rust(&[]).env("KINDS_WORKER", "mine").start_unready();
    own.wait_log("a worker of its own: mine\n", 1);
    let port = free_port().to_string();
    let library = rsgi_tests::build_dir().join("libkinds_plugin.so");
    let mut emperor = Setup::new()
        .args(["--plugin", library.to_str().expect("the path is text")])
        .args(["--emperor", &format!("one://{port}")])
        .start_unready();
    emperor.wait_log("only is the one\n", 1);
    let app = "def application(env, start): raise ValueError('broken')\n";
    let mut failing = Setup::new()
        .wsgi(app)
        .args([
            "--plugin",
            library.to_str().expect("the path is text"),
            "--exception-handler",
            "note:noted",
        ])
        .start();
    failing.get("/here");
    failing.wait_log("noted ValueError: broken at /here\n", 1);
}
