//! Lifespans of ASGI applications: ones that fail, are missing, or are mounted beside applications of the other kind.

use rsgi_tests::Setup;
use rsgi_tests::http::{self, answer, get, talk};

const LIFE: &str = r#"
import os
async def failing(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no-database"})
async def without(scope, receive, send):
    assert scope["type"] == "http" and "state" not in scope
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"served"})
def plain(scope, receive, send):
    return without(scope, receive, send)
def wsgi(env, start):
    start("200 OK", [])
    return [b"wsgi " + env["SCRIPT_NAME"].encode() + b" " + env["wsgi.input"].read()]
async def mounted(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": (scope["root_path"] + " " + scope["path"]).encode()})
"#;

fn life(args: &[&str]) -> Setup {
    let setup = Setup::new().file("li.py", LIFE);
    setup
        .args(["--http-socket", "127.0.0.1:0", "--pythonpath", "@DIR@"])
        .args(args.iter().copied())
}

#[test]
fn lifespans_may_fail_or_be_missing() {
    let ended = life(&["--asgi", "li:failing"]).run();
    assert_ne!(ended.code, 0);
    assert!(ended.output.contains("does not start: no-database"), "{}", ended.output);
    let ended = life(&["--asgi", "li:without", "--asgi-lifespan", "on"]).run();
    assert!(ended.output.contains("has no lifespan"), "{}", ended.output);
    for how in ["auto", "off"] {
        // also a plain function that returns a coroutine
        for app in ["li:without", "li:plain"] {
            let server = life(&["--asgi", app, "--asgi-lifespan", how]).start();
            assert_eq!(get(server.port(), "/").text(), "served", "{}", server.log());
        }
    }
    let ended = life(&["--asgi", "li:without", "--gevent", "5"]).run();
    assert!(
        ended.output.contains("--gevent is for WSGI applications"),
        "{}",
        ended.output
    );
    for (option, value) in [("--asgi-lifespan", "maybe"), ("--asgi-loop", "nope")] {
        let ended = life(&["--asgi", "li:without", option, value]).run();
        assert_eq!(ended.code, 1);
        assert!(
            ended.output.contains(option) && ended.output.contains(value),
            "{}",
            ended.output
        );
    }
}

#[test]
fn applications_of_both_kinds_live_side_by_side() {
    let args = [
        "--module",
        "li:without",
        "--mount",
        "/w=li:wsgi",
        "--mount",
        "/m=li:mounted",
        "--manage-script-name",
    ];
    let server = life(&args)
        .args([
            "--static-map",
            "/static=@DIR@",
            "--route",
            "^/routed addheader:X-Routed: yes",
        ])
        .args(["--route", "^/gone return:410"])
        .start();
    let port = server.port();
    assert_eq!(get(port, "/routed").header("x-routed"), Some("yes"));
    assert_eq!(get(port, "/gone").status, 410);
    assert!(server.log().contains("ASGI app 0"), "{}", server.log());
    for _ in 0..2 {
        assert_eq!(get(port, "/").text(), "served");
        assert_eq!(http::post(port, "/w/x", b"body").text(), "wsgi /w body");
        assert_eq!(get(port, "/m/y%20z").text(), "/m /m/y z");
        assert_eq!(get(port, "/static/li.py").text(), LIFE);
        assert_eq!(get(port, "/static/none").text(), "served");
    }
    // a large file to a client that takes its time
    std::fs::write(server.dir().join("large"), vec![b'f'; 30_000_000]).expect("room");
    let mut slow = talk(port, "GET /static/large HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(get(port, "/").text(), "served");
    assert_eq!(answer(&mut slow).body.len(), 30_000_000);
}
