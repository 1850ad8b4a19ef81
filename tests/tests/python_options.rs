//! Options of the Python plugin that few use: each does what it says.

use rsgi_tests::http::get;
use rsgi_tests::pty::Terminal;
use rsgi_tests::python::eval;
use rsgi_tests::{Setup, python, venv, wait_for};
use std::io::{Read, Write};

const RAW: &str = r#"
import uwsgi
def parts(fd):
    yield b"one,"
    uwsgi.send(fd, b"two,")
    yield b"three"
def application(fd):
    word = uwsgi.recv(fd, 100)
    if word == b"raise": raise ValueError("raised-in-raw")
    if word == b"parts": return parts(fd)
    if word == b"late": return (1 / 0 for _ in range(1))
    if word == b"bytes": return b"whole"
    uwsgi.send(fd, b"worker %d read " % uwsgi.worker_id() + word)
"#;

#[test]
fn a_function_serves_raw_connections() {
    let mut server = Setup::new()
        .file("raw.py", RAW)
        .args(["--raw-socket", "127.0.0.1:0", "--python-raw", "raw.py", "-p", "1"])
        .start();
    let say = |word: &str| {
        let mut stream = server.connect(server.port());
        stream.write_all(word.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it closes");
        answer
    };
    assert_eq!(say("hello"), "worker 1 read hello");
    assert_eq!(say("parts"), "one,two,three");
    assert_eq!(say("bytes"), "whole");
    assert_eq!(say("late"), "");
    assert_eq!(say("raise"), "");
    assert_eq!(say("again"), "worker 1 read again");
    server.wait_log("ValueError: raised-in-raw", 1);
    let broken =
        Setup::new()
            .file("raw.py", "application = 5")
            .args(["--raw-socket", "127.0.0.1:0", "--python-raw", "raw.py"]);
    broken
        .start_unready()
        .wait_log("there is no function application(fd)", 1);
}

#[test]
fn an_area_of_python_is_one_of_all_processes() {
    let server = Setup::new()
        .wsgi(python::EVAL_APP)
        .args(["-p", "2", "--py-sharedarea", "100"])
        .start();
    let write = "uwsgi.sharedarea_object(0).__setitem__(slice(0, 2), b'hi') or uwsgi.worker_id()";
    let writer = eval(&server, write);
    let read = "(uwsgi.worker_id(), bytes(uwsgi.sharedarea_object(0)[:2]), len(uwsgi.sharedarea_object(0)))";
    wait_for("the other worker", || {
        let answer = eval(&server, read);
        assert!(answer.ends_with(", b'hi', 100)"), "{answer}");
        (!answer.starts_with(&format!("({writer},"))).then_some(())
    });
    for (args, wanted) in [
        (
            &["--py-sharedarea", "8", "--sharedarea", "1"][..],
            "write --sharedarea size=8",
        ),
        (&["--py-sharedarea", "many"], "takes a number of bytes, not \"many\""),
    ] {
        let ended = Setup::new().wsgi(python::EVAL_APP).args(args.iter().copied()).run();
        assert_eq!(ended.code, 1, "{}", ended.output);
        assert!(ended.output.contains(wanted), "{}", ended.output);
    }
}

#[test]
fn the_environment_follows_what_c_code_did_to_it() {
    let change = "__import__('ctypes').CDLL(None).setenv(b'FROM_C', b'yes', 1)";
    for (option, wanted) in [(&["--reload-os-env"][..], "'yes'"), (&[], "None")] {
        let server = Setup::new().wsgi(python::EVAL_APP).args(option.iter().copied()).start();
        eval(&server, change);
        assert_eq!(eval(&server, "os.environ.get('FROM_C')"), wanted);
        assert_eq!(eval(&server, "os.environ['LC_ALL']"), "'C.UTF-8'");
    }
}

#[test]
fn what_has_no_effect_says_so() {
    let mut server = Setup::new()
        .wsgi(python::EVAL_APP)
        .args(["--py-master-check-signals"])
        .start();
    server.wait_log("--py-master-check-signals has no effect: ", 1);
}

#[test]
fn a_pecan_application_is_loaded_from_its_configuration() {
    const CONFIG: &str =
        "server = {'port': '0', 'host': '0.0.0.0'}\napp = {'root': 'roots.Root', 'modules': ['roots']}\n";
    const ROOTS: &str =
        "from pecan import expose\nclass Root:\n    @expose()\n    def index(self): return 'from pecan'\n";
    const SETUP: &str = "import pecan\ndef setup_app(config): return pecan.make_app(config.app.root)\n";
    let Some(venv) = venv::with(&["pecan"]) else { return };
    let server = Setup::new()
        .file("config.py", CONFIG)
        .file("roots/__init__.py", ROOTS)
        .file("roots/app.py", SETUP)
        .args(["--http-socket", "127.0.0.1:0", "--pecan", "config.py"])
        .args(["--virtualenv", venv::argument(&venv), "--pythonpath", "@DIR@"])
        .start();
    assert_eq!(get(server.port(), "/").text(), "from pecan");
}

#[test]
fn a_shell_on_the_terminal_is_in_worker_1() {
    // the shell of Python itself, since nothing else is installed there
    let Some(venv) = venv::with(&[]) else { return };
    let mut terminal = Terminal::new();
    let mut server = Setup::new()
        .wsgi(python::EVAL_APP)
        .args(["-p", "2", "--pyshell", "--virtualenv", venv::argument(&venv)])
        .stdin(terminal.end())
        .start_unready();
    terminal.wait(">>> ", 1);
    terminal.write("'worker', uwsgi.worker_id() * 11\n");
    terminal.wait("('worker', 11)", 1);
    server.wait_log("spawned rsgi worker 2", 1);
    assert_eq!(eval(&server, "uwsgi.worker_id()"), "2");
    terminal.write("exit()\n");
    terminal.wait("InteractiveConsole", 2);
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0), "{}", server.log());
    assert!(!server.log().contains(">>>"), "{}", server.log());
}

#[test]
fn a_shell_that_comes_once_lets_the_worker_serve_then() {
    let Some(venv) = venv::with(&[]) else { return };
    let mut terminal = Terminal::new();
    let server = Setup::new()
        .wsgi(python::EVAL_APP)
        .args(["-p", "1", "--pyshell-oneshot", "--virtualenv", venv::argument(&venv)])
        .stdin(terminal.end())
        .start_unready();
    terminal.wait(">>> ", 1);
    terminal.write("exit()\n");
    wait_for("the worker", || {
        let log = server.log();
        log.contains("bound to TCP address").then_some(())
    });
    assert_eq!(eval(&server, "uwsgi.worker_id()"), "1");
    let mut without = Setup::new()
        .wsgi(python::EVAL_APP)
        .args(["--pyshell-oneshot=print('CODE', uwsgi.worker_id())"])
        .start();
    without.wait_log("there is no terminal on standard input", 1);
    assert_eq!(eval(&without, "1 + 1"), "2");
}
