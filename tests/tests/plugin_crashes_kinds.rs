//! The functions that plugins register, each going wrong: the log says plugin and function, whoever can goes on. The
//! hooks are in `plugin_crashes`.

use rsgi_tests::http::{connect, get};
use rsgi_tests::{Server, Setup, build_plugin, is_alive, wait_for};
use std::io::{Read, Write};

/// Where a function is called.
#[derive(Clone, Copy, PartialEq)]
enum At {
    /// In the start.
    Start,
    /// In the master while it serves: its end.
    Master,
    /// In a worker, for this path.
    Worker(&'static str),
    /// In a process beside the workers; what the log says when there is another one.
    Beside(&'static str),
}
use At::{Beside, Master, Start, Worker};

/// A function: its word in the file that makes it go wrong, how the log names it, where it is called, and what makes it so.
type Case = (&'static str, &'static str, At, &'static [&'static str]);

const CASES: &[Case] = &[
    ("option", "option crash-option", Start, &["--crash-option", "1"]),
    ("entry", "function crash_entry", Start, &[]),
    ("encoder", "log encoder crash", Start, &["--log-encoder", "crash x"]),
    ("logger", "logger crash", Master, &["--logger", "crash:x"]),
    (
        "hook_action",
        "hook action crash",
        Start,
        &["--hook-post-app", "crash:1"],
    ),
    (
        "function",
        "function crash_function",
        Start,
        &["--hook-post-app", "call:crash_function 1"],
    ),
    ("alarm_init", "alarm crash", Start, &["--alarm", "a crash:x"]),
    (
        "prepare_action",
        "route action crash",
        Start,
        &["--route-run", "crash:"],
    ),
    (
        "monitor_init",
        "emperor monitor crash",
        Beside("spawned"),
        &["--emperor", "crash://x"],
    ),
    (
        "monitor",
        "emperor monitor crash",
        Beside("spawned"),
        &["--emperor", "crash://x"],
    ),
    ("pusher", "stats pusher crash", Master, &["--stats-push", "crash"]),
    (
        "cheaper",
        "cheaper algorithm crash",
        Master,
        &["--cheaper-algo", "crash", "--cheaper", "1"],
    ),
    (
        "collector",
        "metric collector crash",
        Master,
        &["--metric", "name=m,collector=crash"],
    ),
    (
        "symbol",
        "metric collector crash_symbol",
        Master,
        &["--metric", "name=m,collector=func,arg1=crash_symbol"],
    ),
    ("gateway", "gateway crash", Beside("spawned rsgi crash 1"), &[]),
    ("thread", "thread", Worker(""), &[]),
    ("loop", "loop engine crash", Worker(""), &["--loop", "crash"]),
    ("clock", "clock", Worker("/"), &["--clock", "crash"]),
    (
        "chunk",
        "log chunk crash",
        Worker("/"),
        &["--log-format", "%(uri) %(crash)"],
    ),
    ("action", "route action crash", Worker("/"), &["--route-run", "crash:"]),
    (
        "condition",
        "route condition crash",
        Worker("/"),
        &["--route-if", "crash:x addheader:X: y"],
    ),
    (
        "variable",
        "route variable crash",
        Worker("/"),
        &["--route-run", "addheader:X: ${crash[k]}"],
    ),
    (
        "after",
        "after-request-hook crash_after",
        Worker("/"),
        &["--after-request-hook", "crash_after"],
    ),
    ("transformation", "transformation", Worker("/transform"), &[]),
    (
        "exception",
        "exception handler crash",
        Worker("/exception"),
        &["--exception-handler", "crash"],
    ),
    (
        "offload_prepare",
        "offload engine crash",
        Worker("/offload"),
        &["--offload-threads", "1"],
    ),
    (
        "offload_event",
        "offload engine crash",
        Worker("/offload"),
        &["--offload-threads", "1"],
    ),
    ("alarm", "alarm crash", Master, &["--alarm", "a crash:x"]),
    (
        "core_loop",
        "thread of a loop engine",
        Worker(""),
        &["--loop", "threads", "--threads", "2"],
    ),
    ("exception_class", "hook exception_class", Worker("/exception"), &[]),
    ("exception_msg", "hook exception_msg", Worker("/exception"), &[]),
    ("exception_repr", "hook exception_repr", Worker("/exception"), &[]),
    ("backtrace", "hook backtrace", Worker("/exception"), &[]),
    ("exception_log", "hook exception_log", Worker("/exception"), &[]),
];

const WAYS: [&str; 5] = ["segv", "abort", "exit", "c-exit", "_exit"];

fn setup(case: &Case, way: &str) -> Setup {
    let (word, _, at, args) = *case;
    // a worker that is to serve first hears of it later
    let now = if matches!(at, Worker("/" | "/transform" | "/exception" | "/offload")) {
        "nothing yet".into()
    } else {
        format!("{word} {way}")
    };
    let setup = Setup::new()
        .file("crash", &now)
        .file("crash.h", include_str!("../c/crash.h"));
    build_plugin(setup.dir(), "crasher_kinds.c", include_str!("../c/crasher_kinds.c"));
    let file = setup.dir().join("crash").display().to_string();
    let setup = match word {
        "gateway" => setup.env("GATEWAY", "1"),
        "thread" => setup.env("THREAD", "1"),
        _ => setup,
    };
    let plugin = match word {
        "entry" => "./crasher_kinds_plugin.so|crash_entry",
        _ => "./crasher_kinds_plugin.so",
    };
    setup
        .env("CRASH", &file)
        .args(["--plugin", plugin, "--master", "-p", "2"])
        .args(["--http-socket", "127.0.0.1:0", "--http-socket-modifier1", "205"])
        .args(args.iter().copied())
}

/// What the log says.
fn line(named: &str, way: &str) -> String {
    let how = match way {
        "segv" => "segmentation fault",
        "abort" => "abort",
        "exit" => "exit(7)",
        "c-exit" => "exit()",
        "_exit" => "_exit(7)",
        _ => "over time",
    };
    format!("plugin kinds: {how} in its {named}")
}

/// Asks, whether there is an answer or not.
fn ask(port: u16, path: &str) {
    let mut stream = connect(port);
    let _ = write!(stream, "GET {path} HTTP/1.0\r\n\r\n");
    let _ = stream.read_to_end(&mut Vec::new());
}

fn serves(server: &mut Server) {
    server.wait_workers(2, &[]);
    for _ in 0..5 {
        assert_eq!(get(server.port(), "/").text(), "calm");
    }
    assert!(is_alive(server.pid()));
}

fn in_the_start(case: &Case, way: &str) {
    let ended = setup(case, way).run();
    let mut said = line(case.1, way);
    if case.0 == "entry" {
        // its struct was not looked at yet
        said = said.replacen("plugin kinds", "plugin crasher_kinds", 1);
    }
    let code = if way.ends_with("exit") { 7 } else { -1 };
    assert_eq!(ended.code, code, "{said}: {}", ended.output);
    assert_eq!(ended.output.matches(&said).count(), 1, "{said}: {}", ended.output);
    let last = ended.output.trim_end().lines().last().unwrap_or_default();
    let advice = match way {
        "exit" => "what it has said above tells why",
        _ => "leave the plugin out",
    };
    assert!(last.starts_with(&said) && last.contains(advice), "{}", ended.output);
}

fn in_the_master(case: &Case, way: &str) {
    let mut server = setup(case, way).start_unready();
    if case.0 == "alarm" {
        server.wait_workers(2, &[]);
        ask(server.port(), "/alarm");
    }
    let said = line(case.1, way);
    server.wait_log(&said, 1);
    assert_ne!(server.wait_exit().code(), Some(0), "{said}");
    assert_eq!(server.log().matches(&said).count(), 1, "{said}: {}", server.log());
}

fn in_a_worker(case: &Case, way: &str, path: &str) {
    let said = line(case.1, way);
    if path.is_empty() {
        let mut server = setup(case, way).start_unready();
        server.wait_log(&said, 1);
        if !["loop", "core_loop"].contains(&case.0) {
            serves(&mut server);
        }
        return;
    }
    let mut server = setup(case, way).start();
    let before = server.wait_workers(2, &[]);
    std::fs::write(server.dir().join("crash"), format!("{} {way}", case.0)).unwrap();
    ask(server.port(), path);
    server.wait_log(&said, 1);
    wait_for("another worker", || {
        let now = server.workers();
        (now.len() == 2 && now != before).then_some(())
    });
    let kept = server.workers().iter().filter(|now| before.contains(now)).count();
    assert_eq!(kept, 1, "{said}: {}", server.log());
    serves(&mut server);
    assert_eq!(server.log().matches(&said).count(), 1, "{said}: {}", server.log());
}

fn beside_workers(case: &Case, way: &str, again: &str) {
    let mut server = setup(case, way).start();
    server.wait_log(&line(case.1, way), 1);
    serves(&mut server);
    if case.0 == "gateway" {
        server.wait_log(again, 2);
    }
}

#[test]
fn a_function_that_goes_wrong_is_named_and_the_others_serve() {
    std::thread::scope(|scope| {
        for way in WAYS {
            scope.spawn(move || {
                for case in CASES {
                    match case.2 {
                        Start => in_the_start(case, way),
                        Master => in_the_master(case, way),
                        Worker(path) => in_a_worker(case, way, path),
                        Beside(again) => beside_workers(case, way, again),
                    }
                }
            });
        }
    });
}
