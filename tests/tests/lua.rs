//! The Lua plugin: uWSGI signals from Lua, beside requests and in threads.

use rsgi_tests::{Server, Setup, wait_for};

const APP: &str = r#"
local function note(text)
  local f = io.open("@DIR@/notes", "a")
  f:write(text, "\n")
  f:close()
end
function hello_signal(sig)
  uwsgi.log("i am the signal " .. sig)
  note("signal " .. sig)
end
uwsgi.register_signal(17, "worker", hello_signal)
uwsgi.register_signal(18, "worker", function(sig) note("ran"); error("boom in the handler") end)
uwsgi.add_timer(19, 0.05, 3)
uwsgi.register_signal(19, "", hello_signal)
return function(env)
  local ok, what = pcall(load("return " .. env.QUERY_STRING:gsub("%%20", " ")))
  return 200, {}, coroutine.wrap(function() coroutine.yield(tostring(what)) end)
end
"#;

fn serve(args: &[&str]) -> Server {
    Setup::new()
        .file("app.lua", APP)
        .args(["--master", "--lua", "@DIR@/app.lua", "--http-socket", "127.0.0.1:0"])
        .args(["--http-socket-modifier1", "6"])
        .args(args.iter().copied())
        .start()
}

fn eval(server: &Server, code: &str) -> String {
    server.get(&format!("/?{}", code.replace(' ', "%20"))).text()
}

fn wait_notes(server: &Server, what: &str, count: usize) {
    wait_for(&format!("{count} times \"{what}\""), || {
        let notes = std::fs::read_to_string(server.dir().join("notes")).unwrap_or_default();
        (notes.lines().filter(|line| *line == what).count() == count).then_some(())
    });
}

#[test]
fn handlers_run_and_a_timer_ends_after_its_iterations() {
    let server = serve(&["-p", "2"]);
    assert_eq!(eval(&server, "uwsgi.signal(17)"), "nil");
    wait_notes(&server, "signal 17", 1);
    wait_notes(&server, "signal 19", 3);
    assert!(server.log().contains("i am the signal 17"));
    assert_eq!(eval(&server, "uwsgi.signal_registered(17)"), "true");
    assert_eq!(eval(&server, "uwsgi.signal_registered(77)"), "false");
}

#[test]
fn each_thread_runs_the_handler_of_its_own_state() {
    let server = serve(&["-p", "1", "--threads", "3"]);
    for count in 1..=20 {
        eval(&server, "uwsgi.signal(17)");
        wait_notes(&server, "signal 17", count);
    }
    // each state runs the file, but the timer is asked for once
    wait_notes(&server, "signal 19", 3);
}

#[test]
fn an_error_in_a_handler_is_told_and_harms_nobody() {
    let server = serve(&["-p", "1"]);
    for count in 1..=3 {
        assert_eq!(eval(&server, "uwsgi.signal(18)"), "nil");
        wait_notes(&server, "ran", count);
    }
    assert_eq!(eval(&server, "1 + 1"), "2");
    assert!(server.log().contains("boom in the handler"), "{}", server.log());
    assert!(server.log().contains("stack traceback"), "{}", server.log());
}

#[test]
fn a_request_waits_for_a_signal_and_handlers_run_meanwhile() {
    let server = serve(&["-p", "1"]);
    let answer = eval(&server, "uwsgi.signal(17), uwsgi.signal(33), uwsgi.signal_wait(33)");
    assert_eq!(answer, "nil");
    wait_notes(&server, "signal 17", 1);
    assert_eq!(eval(&server, "uwsgi.signal_received()"), "33");
}

#[test]
fn wrong_calls_say_why() {
    let server = serve(&["-p", "1"]);
    for (call, why) in [
        ("uwsgi.register_signal(20, 'bogus', print)", "active-workers"),
        ("uwsgi.register_signal(256, '', print)", "out of range"),
        ("uwsgi.add_timer(1, -1)", "the period -1"),
        ("uwsgi.add_timer(1, 0)", "more than zero"),
        ("uwsgi.add_cron(1, 2, 3)", "weekday"),
        ("uwsgi.add_file_monitor(1, '/does/not/exist')", "/does/not/exist"),
        ("uwsgi.signal(1, '127.0.0.1:1')", "unable to deliver signal 1"),
        ("uwsgi.unregister_signal(99)", "not registered"),
    ] {
        let answer = eval(&server, call);
        assert!(answer.contains(why), "{call}: {answer}");
    }
}
