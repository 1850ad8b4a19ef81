//! Tasks that C plugins hand over to a thread of the worker.

use rsgi_tests::{Setup, build_plugin};

fn setup(threads: &str) -> Setup {
    let setup = Setup::new();
    let plugin = build_plugin(setup.dir(), "offload.c", include_str!("../c/offload.c"));
    setup
        .args(["--plugin", plugin.to_str().expect("the path is text")])
        .args(["--http-socket", "127.0.0.1:0", "--http-socket-modifier1", "204"])
        .args(["--offload-threads", threads])
}

#[test]
fn the_rest_of_an_answer_comes_from_a_thread() {
    let mut server = setup("2").start();
    for _ in 0..3 {
        let answer = server.get("/");
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "tick 1\ntick 2\ntick 3\n")
        );
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(answer.header("transfer-encoding"), None);
    }
    server.wait_log("task ended after 3 of three\n", 3);
}

#[test]
fn the_end_of_a_task_is_waited_for() {
    assert_eq!(setup("1").start().get("/wait").text(), "ended");
}

#[test]
fn a_task_may_be_refused() {
    assert_eq!(setup("1").start().get("/?refused").text(), "not taken");
    assert_eq!(setup("0").start().get("/").text(), "not taken");
}

#[test]
fn a_rule_may_hand_a_task_over() {
    let mut server = setup("1").args(["--route", "^/rule ticks:"]).start();
    assert_eq!(server.get("/rule").text(), "tick 1\ntick 2\ntick 3\n");
    server.wait_log(" via offload() ", 1);
}
