//! What C plugins offer by name: pushers of statistics, pieces of log lines, handlers of exceptions, algorithms, encoders,
//! clocks.

use rsgi_tests::{Server, Setup, build_plugin, wait_for};

fn setup() -> Setup {
    let setup = Setup::new();
    let plugin = build_plugin(setup.dir(), "outward.c", include_str!("../c/outward.c"));
    setup
        .args(["--plugin", plugin.to_str().expect("the path is text"), "--master"])
        .args(["--http-socket", "127.0.0.1:0", "--http-socket-modifier1", "200"])
}

fn wait_json(server: &Server, name: &str) {
    wait_for(name, || {
        let text = std::fs::read_to_string(server.dir().join(name)).unwrap_or_default();
        (text.starts_with("1 {") && text.contains("\"workers\":[")).then_some(())
    });
}

#[test]
fn pushers_get_the_document_or_look_at_the_metrics() {
    let mut server = setup()
        .args(["--stats-push", "raw", "--stats-push", "document:@DIR@/pushed"])
        .args(["--metric", "name=own,initial_value=5,reset_after_push=1"])
        .env("ADD_PUSHER", "added")
        .start();
    wait_json(&server, "pushed.json");
    wait_json(&server, "added.json");
    // those of the operator and of the server; 0 after the third call, which has put 5 in the own one's place again
    server.wait_log("pushed own=1 type 0 json 0 len 0\n", 1);
    server.wait_log("pushed core.total_rss=", 1);
    server.wait_log("pushed raw after 2 retries, own is 5\n", 1);
}

#[test]
fn an_unknown_pusher_is_refused() {
    let ended = setup().args(["--stats-push", "pigeon:x"]).run();
    assert_eq!(ended.code, 1);
    assert!(ended.output.contains("\"pigeon\" is none of"), "{}", ended.output);
}

#[test]
fn pieces_of_the_log_line_are_the_plugins() {
    let mut server = setup()
        .args(["--log-format", "line %(owned) \"%(method)\" %(constant) %(uri)"])
        .start();
    server.get("/one");
    server.wait_log(r#"line GET"!\x0a "GET"!\x0a" - /one"#, 1);
    server.get("/two?x");
    server.wait_log(r#"line GET"!\x0a "GET"!\x0a" constant /two?x"#, 1);
}

#[test]
fn handlers_get_a_packet_about_each_exception() {
    let mut server = setup()
        .args(["--exception-handler", "tell:frame", "-p", "1", "--catch-exceptions"])
        .start();
    let answer = server.get("/broken");
    assert_eq!(answer.status, 500);
    assert!(
        answer
            .text()
            .contains("filename: \"file.c\" line: 7 function: \"request\""),
        "{}",
        answer.text()
    );
    for line in [
        "handled var /broken",
        "handled frame 0: file.c",
        "handled frame 1: 7",
        "handled frame 2: request",
        "handled class=Mishap",
        "handled msg=it broke",
        "handled repr=Mishap(it broke)",
        "handled wid=1",
        "handled core=0",
    ] {
        server.wait_log(&format!("{line}\n"), 1);
    }
    server.get("/broken");
    server.wait_log("exception-handler tell:frame: failed (-7)", 1);
    let ended = setup().args(["--exception-handler", "nobody"]).run();
    assert_eq!(ended.code, 1);
    assert!(
        ended.output.contains("no plugin brings \"nobody\" (handlers: tell)"),
        "{}",
        ended.output
    );
}

#[test]
fn an_algorithm_decides_about_the_workers() {
    let mut server = setup()
        .args(["-p", "4", "--cheaper", "1", "--cheaper-algo", "all-at-once"])
        .start();
    server.wait_log("spawned rsgi worker 4", 1);
    let ended = setup().args(["--cheaper-algos-list", "--no-server"]).run();
    assert!(ended.output.contains("manual\nall-at-once\n"), "{}", ended.output);
}

#[test]
fn an_encoder_changes_lines_or_leaves_them() {
    let mut server = setup()
        .args(["--log-encoder", "mark who", "--log-format", "%(uri)"])
        .start();
    server.get("/this");
    server.wait_log("who|/this\n", 1);
    server.get("/leave");
    server.wait_log("\n/leave\n", 1);
}

#[test]
fn a_clock_is_asked_for_the_time() {
    let server = setup().args(["--clock", "stopped"]).start();
    assert_eq!(server.get("/").text(), "value 5 none 1000 1000000007");
    let ended = setup().args(["--clock", "sundial"]).run();
    assert_eq!(ended.code, 1);
    assert!(
        ended
            .output
            .contains("there is no \"sundial\" (clocks: unix, realtime, stopped)"),
        "{}",
        ended.output
    );
}
