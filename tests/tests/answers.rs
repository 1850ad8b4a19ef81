//! What the programs answer without serving: to readers who have seen enough, and to commands about what is not there.

use rsgi_tests::{Setup, program};
use std::process::{Command, Stdio};

/// The code and the complaints of a program whose output nobody reads.
fn unread(name: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    drop(reader);
    let output = Command::new(program(name))
        .args(arguments)
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .expect("it can be run");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), words)
}

/// `rsgi --help | head`
#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    for arguments in [
        ["--help"].as_slice(),
        &["--man"],
        &["--explain", "harakiri"],
        &["--completion", "zsh"],
        &["--version"],
        &["--dot-h"],
        &["top", "--help"],
    ] {
        assert_eq!(unread("rsgi", arguments), (Some(0), String::new()), "{arguments:?}");
    }
    for argument in ["--help", "--man", "--dot-h"] {
        assert_eq!(
            unread("uwsgiconfig", &[argument]),
            (Some(0), String::new()),
            "{argument}"
        );
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let full = std::fs::File::options().write(true).open("/dev/full");
    let output = Command::new(program("rsgi"))
        .arg("--man")
        .stdout(full.expect("Linux has it"))
        .output()
        .expect("it can be run");
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(words, "cannot write to standard output: No space left on device\n");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_is_not_there_is_said_with_what_to_do() {
    // more than any process has
    let setup = || Setup::new().file("gone.pid", "4194305\n");
    for (arguments, words) in [
        (
            ["--stop", "no.pid"].as_slice(),
            "signal_pidfile(): cannot read no.pid: No such file or directory; name the file of the server's pidfile or safe-pidfile\n",
        ),
        (
            &["--reload", "gone.pid"],
            ": No such process; the server is gone, remove the file\n",
        ),
        (
            &["--plugin", "./plugin.c"],
            "./plugin.c is a source: build it with: uwsgiconfig --plugin ./plugin.c\n",
        ),
        (
            &["--check-config"],
            "there is no configuration to check: rsgi --check-config FILE\n",
        ),
        (
            &["--https", "127.0.0.1:0,a.crt,a.key", "--need-app=false"],
            "a.crt: No such file or directory: name a file with the certificate in PEM form\n",
        ),
    ] {
        let ended = setup().args(arguments.iter().copied()).run();
        assert!(ended.output.contains(words), "{arguments:?}: {}", ended.output);
    }
}

#[test]
fn symbols_that_are_missing_are_said_with_what_to_do() {
    let source = "#include <uwsgi.h>\nextern int WANTED(void);\nstatic int init(void) { return WANTED(); }\n\
         struct uwsgi_plugin needy_plugin = { .name = \"needy\", .init = init };\n";
    for (wanted, advice) in [
        (
            "uwsgi_of_another",
            "undefined symbol: uwsgi_of_another; this rsgi has no such function",
        ),
        ("tgetent", "undefined symbol: tgetent; link the library that has it"),
    ] {
        let setup = Setup::new().file("needy.c", source);
        let built = Command::new(program("uwsgiconfig"))
            .args(["--plugin", "needy.c"])
            .env("CFLAGS", format!("-DWANTED={wanted}"))
            .current_dir(setup.dir())
            .output()
            .expect("uwsgiconfig can be run");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let ended = setup.args(["--plugin", "./needy_plugin.so"]).run();
        assert!(ended.output.contains(advice), "{}", ended.output);
    }
}

#[test]
fn a_mistyped_order_is_answered_in_one_line() {
    let output = Command::new(program("uwsgiconfig")).arg("--bild").output();
    let output = output.expect("uwsgiconfig can be run");
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        words,
        "unknown argument --bild (uwsgiconfig --help tells what there is)\n"
    );
    assert_eq!(output.status.code(), Some(1));
}
