//! Alarms: raised by applications, plugins, log lines and crashes; carried out by the master.

use rsgi_tests::{Server, Setup, build_plugin, wait_for};

const APP: &str = r#"
import os, sys, uwsgi
from urllib.parse import unquote
def heard(n): print("heard", n, file=sys.stderr, flush=True)
uwsgi.register_signal(17, "worker", heard)
def application(env, start):
    start("200 OK", [])
    return [repr(eval(unquote(env["QUERY_STRING"]))).encode()]
"#;

fn serve(args: &[&str]) -> Server {
    Setup::new().wsgi(APP).args(args.iter().copied()).start()
}

fn eval(server: &Server, code: &str) -> String {
    server.get(&format!("/?{}", code.replace(' ', "%20"))).text()
}

fn wait_file(server: &Server, name: &str, text: &str) {
    wait_for(&format!("{text:?} in {name}"), || {
        let found = std::fs::read_to_string(server.dir().join(name)).unwrap_or_default();
        (found == text).then_some(())
    });
}

#[test]
fn each_kind_does_what_it_says_and_repeats_nothing_for_a_while() {
    let mut server = serve(
        &["--mule", "--alarm", "command cmd:cat >> @DIR@/out"]
            .iter()
            .chain(&[
                "--alarm",
                "signal signal:17",
                "--alarm",
                "mule mule:1",
                "--alarm",
                "log log",
            ])
            .copied()
            .collect::<Vec<_>>(),
    );
    // only what follows at once is a repetition
    for (message, heard) in [
        ("one", "one\n"),
        ("one", "one\n"),
        ("two", "one\ntwo\n"),
        ("one", "one\ntwo\none\n"),
    ] {
        eval(&server, &format!("uwsgi.alarm('command', b'{message}')"));
        wait_file(&server, "out", heard);
    }
    eval(&server, "uwsgi.alarm('signal', 'x')");
    server.wait_log("heard 17", 1);
    eval(&server, "uwsgi.alarm('mule', 'for the mule')");
    server.wait_log("12 bytes message", 1);
    eval(&server, "uwsgi.alarm('log', 'a line')");
    server.wait_log("ALARM: a line", 1);
    assert_eq!(eval(&server, "uwsgi.alarm('bogus', 'x')"), "None");
    server.wait_log("there is no alarm \"bogus\"", 1);
}

#[test]
fn lines_of_the_log_raise_alarms_but_for_those_that_are_let_through() {
    let mut server = serve(&[
        "--alarm",
        "errors cmd:cat >> @DIR@/out",
        "--not-alarm-log",
        "harmless",
        "--alarm-log",
        "errors ^ERROR [0-9]+",
        "--disable-logging",
    ]);
    eval(&server, "print('ERROR 1 harmless', file=sys.stderr, flush=True)");
    eval(&server, "print('an ERROR 2', file=sys.stderr, flush=True)");
    eval(&server, "print('ERROR 3', file=sys.stderr, flush=True)");
    wait_file(&server, "out", "ERROR 3\n");
    server.wait_log("an ERROR 2", 1);
}

#[test]
fn a_crash_raises_its_alarm() {
    let server = serve(&["--alarm", "crash cmd:cat > @DIR@/out", "--alarm-segfault", "crash"]);
    let (_, pid) = server.workers()[0];
    eval(&server, "__import__('threading').Timer(0.05, os.abort).start()");
    wait_file(
        &server,
        "out",
        &format!("worker 1 (pid: {pid}) died, killed by signal 6\n"),
    );
}

#[test]
fn a_plugin_brings_a_kind_and_raises() {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let plugin = build_plugin(dir.path(), "alarm.c", include_str!("../c/alarm.c"));
    let mut server = Setup::new()
        .args(["--plugin", plugin.to_str().expect("the path is text"), "--master"])
        .args(["--http-socket", "127.0.0.1:0", "--http-socket-modifier1", "200"])
        .args(["--alarm", "mine cshout:hey"])
        .start();
    server.get("/first");
    server.wait_log("mine cshout hey!: /first (7)", 1);
    server.get("/second");
    server.wait_log("mine cshout hey!: /second (8)", 1);
}

#[test]
fn wrong_ones_end_the_start_with_the_reason() {
    for (args, why) in [
        (&["--alarm", "lonely"][..], "give NAME KIND:ARGUMENT"),
        (
            &["--alarm", "a carrier:pigeon"],
            "there is no kind \"carrier\" (kinds: cmd, signal, mule, log)",
        ),
        (&["--alarm", "a signal:300"], "\"300\" is no number from 0 to 255"),
        (&["--alarm", "a mule:1"], "there are no mules here"),
        (
            &["--alarm", "a log", "--alarm-log", "b ERROR"],
            "there is no alarm \"b\" (alarms: a)",
        ),
        (
            &["--alarm", "a log", "--alarm-log", "a (("],
            "missing closing parenthesis",
        ),
    ] {
        let ended = Setup::new().wsgi(APP).args(args.iter().copied()).run();
        assert_eq!(ended.code, 1, "{args:?}");
        assert!(ended.output.contains(why), "{args:?}: {}", ended.output);
    }
}
