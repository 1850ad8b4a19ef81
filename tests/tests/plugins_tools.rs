//! The tools of the C API, used by a plugin inside requests: queues, sockets, files, texts, threads, figures.

use rsgi_tests::{Server, Setup, build_plugin, wait_for};

fn serve(args: &[&str]) -> Server {
    let setup = Setup::new();
    let plugin = build_plugin(setup.dir(), "tools.c", include_str!("../c/tools.c"));
    setup
        .args(["--plugin", plugin.to_str().expect("the path is text"), "--master"])
        .args(["--http-socket", "127.0.0.1:0", "--http-socket-modifier1", "201"])
        .args(["--alarm", "bell log", "--chdir", "@DIR@"])
        .args(args.iter().copied())
        .start()
}

#[test]
fn queues_wait_for_descriptors() {
    assert_eq!(serve(&[]).get("/queues").text(), "0 1 1 1 1 010 1 11 0 0");
}

#[test]
fn sockets_listen_connect_and_wait() {
    assert_eq!(
        serve(&[]).get("/sockets").text(),
        "111 0 1 1 5 hello 1 0 1 666 1 10 3 -1 1"
    );
}

#[test]
fn files_texts_and_options_of_the_host() {
    let mut server = serve(&[
        "--tools-pattern",
        "^/t",
        "--tools-pattern",
        "^/x",
        "--tools-define",
        "word=defined",
        "--tools-text",
        "%(word)",
        "--tools-owner",
        "daemon",
        "--tools-old",
        "--tools-mule",
    ]);
    assert_eq!(
        server.get("/texts").text(),
        concat!(
            "1011 content 1 1 text/css aGkgdGhlcmU= hi there/8 a b c a%20b 29 ",
            "Sun, 06 Nov 1994 08:49:37 GMT bc 2 c:d k2=v {\"n\":7,\"s\":\"t\"} 0 -1 defined 1"
        )
    );
    assert!(
        server
            .log()
            .contains("the option tools-old is deprecated: use nothing\n")
    );
    server.wait_log("spawned uWSGI mule 1", 1);
}

#[test]
fn a_logger_of_the_host_is_asked_for() {
    let setup = Setup::new();
    let plugin = build_plugin(setup.dir(), "tools.c", include_str!("../c/tools.c"));
    let elsewhere = tempfile::tempdir().expect("a temporary folder can be made");
    let lines = elsewhere.path().join("lines");
    let ended = setup
        .args(["--plugin", plugin.to_str().expect("the path is text"), "--master"])
        .args(["--http-socket", "127.0.0.1:0", "--alarm", "bell log", "--no-server"])
        .args(["--tools-logger", lines.to_str().expect("the path is text")])
        .run();
    assert_eq!(ended.code, 0, "{}", ended.output);
    let written = std::fs::read_to_string(&lines).expect("the logger made the file");
    assert!(written.contains("your mercy for graceful operations"), "{written}");
}

#[test]
fn a_wrong_pattern_ends_the_start() {
    let setup = Setup::new();
    let plugin = build_plugin(setup.dir(), "tools.c", include_str!("../c/tools.c"));
    let ended = setup
        .args(["--plugin", plugin.to_str().expect("the path is text")])
        .args(["--http-socket", "127.0.0.1:0", "--tools-pattern", "(("])
        .run();
    assert_eq!(ended.code, 1);
    assert!(
        ended.output.contains("option tools-pattern:") && ended.output.contains("missing closing parenthesis"),
        "{}",
        ended.output
    );
}

#[test]
fn threads_have_a_queue_and_a_pair_of_sockets() {
    assert_eq!(serve(&[]).get("/Threads").text(), "41");
}

#[test]
fn areas_caches_spoolers_and_daemons_are_seen() {
    let mut server = serve(&[
        "--cache2",
        "name=first,items=10",
        "--cache2",
        "name=second,items=10,blocksize=128",
        "--spooler",
        "@DIR@/tasks",
        "--attach-daemon",
        "sleep 1000",
    ]);
    // the figures come with the master's next second
    wait_for("the figures", || {
        let seen = server.get("/rest").text();
        (seen == "area 4095 7 1 0 1 1 value first 128 1 1 sleep 1000 1 0 0 1 1 0 1").then_some(())
    });
    server.wait_log("ALARM: the bell rang", 1);
}

#[test]
fn small_things() {
    let answer = serve(&[]).get("/more");
    assert_eq!(
        answer.text(),
        "abc 3 1 10 10 1 201 1 8 10 0 1 0 /bin/sh GET spare 0 2 0 memory"
    );
    assert_eq!(answer.header("x-line"), Some("of a plugin"));
}

#[test]
fn flags_of_an_option_turn_things_on() {
    assert_eq!(serve(&[]).get("/flags").text(), "0 0 0 0");
    assert_eq!(serve(&["--tools-flags", "x"]).get("/flags").text(), "1 1 4096 1");
}
