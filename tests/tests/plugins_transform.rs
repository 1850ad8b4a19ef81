//! Transformations that C plugins bring: what becomes of an answer's body on its way to the client.

use rsgi_tests::{Setup, build_plugin};

/// Status, body and the header that a transformation adds, of a request with these rules.
fn made(rules: &[&str], path: &str) -> (u16, String, bool) {
    let setup = Setup::new();
    let plugin = build_plugin(setup.dir(), "transform.c", include_str!("../c/transform.c"));
    let mut setup = setup
        .args(["--plugin", plugin.to_str().expect("the path is text")])
        .args(["--http-socket", "127.0.0.1:0", "--http-socket-modifier1", "203"]);
    for rule in rules {
        setup = setup.args(["--route-run", rule]);
    }
    let server = setup.start();
    let answer = server.get(path);
    // a second request on a clean slate
    assert_eq!(server.get(path).text(), answer.text());
    (answer.status, answer.text(), answer.header("x-brackets").is_some())
}

#[test]
fn parts_go_through_one_by_one() {
    assert_eq!(made(&["make:upper"], "/"), (200, "ABCDEF".into(), false));
    assert_eq!(made(&["make:upper"], "/?length"), (200, "ABCDEF".into(), false));
    let both = made(&["make:brackets", "make:upper"], "/?length");
    assert_eq!(both, (200, "[ABC][DEF]".into(), true));
}

#[test]
fn the_whole_waits_for_its_end() {
    assert_eq!(made(&["make:backwards"], "/?length"), (200, "fedcba".into(), false));
    let around = made(&["make:brackets", "make:backwards", "make:upper"], "/");
    assert_eq!(around, (200, "]FED[]CBA[".into(), true));
    assert_eq!(made(&["make:end"], "/"), (200, "abcdef/end".into(), false));
    assert_eq!(
        made(&["make:backwards", "make:end"], "/"),
        (200, "fedcba/end".into(), false)
    );
}

#[test]
fn one_that_fails_cuts_the_answer_off() {
    let (status, text, _) = made(&["make:fails"], "/");
    assert!(status == 500 || !text.contains("abc"), "{status} {text}");
}
