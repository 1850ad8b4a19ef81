//! What applications print reaches the loggers: whole, in order, also when the start fails, and however much it is.

use rsgi_tests::{Setup, wait_for};

const LOGGED: [&str; 2] = ["--logger", "file:@DIR@/app.log"];

#[test]
fn what_a_start_that_fails_has_printed_is_in_the_log_before_its_end() {
    let setup = Setup::new().wsgi("print('printed first', flush=True)\nimport nowhere_to_be_found\n");
    let mut server = setup.args(LOGGED).start_unready();
    assert_eq!(server.wait_exit().code(), Some(22));
    let log = std::fs::read_to_string(server.dir().join("app.log")).expect("a log");
    let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("no {text} in {log}"));
    assert!(at("printed first") < at("ModuleNotFoundError") && at("ModuleNotFoundError") < at("no application"));
}

#[test]
fn an_application_may_print_more_than_a_pipe_holds() {
    let app = "\
import sys
for n in range(60000): print('line %05d of what is printed while it is loaded, which is more than fits' % n)
sys.stdout.flush()
def application(env, start):
    start('200 OK', [])
    return [b'ok']
";
    let server = Setup::new().wsgi(app).args(LOGGED).start_unready();
    let log = || std::fs::read_to_string(server.dir().join("app.log")).unwrap_or_default();
    wait_for("the worker", || log().contains("spawned rsgi worker 1").then_some(()));
    let log = log();
    let printed: Vec<&str> = log.lines().filter(|line| line.starts_with("line ")).collect();
    assert_eq!(printed.len(), 60_000);
    assert!(printed.is_sorted());
    assert!(
        log.find("line 59999") < log.find("WSGI app 0"),
        "the server's lines come after"
    );
}
