//! What raises uWSGI signals by itself: timers, crons, file monitors, touched files.

use rsgi_tests::{Server, Setup, send, wait_for};
use std::path::PathBuf;
use std::time::Duration;

const APP: &str = r#"
import os, time, uwsgi
from urllib.parse import unquote
def note(text):
    fd = os.open("@DIR@/notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(fd, (text + "\n").encode()); os.close(fd)
def hit(n): note("%d %.4f" % (n, time.time()))
for n in range(1, 6): uwsgi.register_signal(n, "worker", hit)
def application(env, start):
    start("200 OK", [])
    try: return [repr(eval(unquote(env["QUERY_STRING"]))).encode()]
    except Exception as e: return [(type(e).__name__ + ": " + str(e)).encode()]
"#;

fn serve(args: &[&str], more: &str) -> Server {
    Setup::new()
        .wsgi(&format!("{APP}{more}"))
        .args(args.iter().copied())
        .start()
}

fn eval(server: &Server, code: &str) -> String {
    server.get(&format!("/?{code}")).text()
}

/// When a signal was handled, each time.
fn times(server: &Server, signal: u8) -> Vec<f64> {
    let text = std::fs::read_to_string(server.dir().join("notes")).unwrap_or_default();
    let own = text.lines().filter_map(|l| l.strip_prefix(&format!("{signal} ")));
    own.filter_map(|t| t.parse().ok()).collect()
}

fn wait_times(server: &Server, signal: u8, count: usize) -> Vec<f64> {
    wait_for(&format!("{count} signals {signal}"), || {
        Some(times(server, signal)).filter(|all| all.len() >= count)
    })
}

#[test]
fn timers_keep_their_beat_and_iterations_end() {
    let server = serve(
        &["-p", "1"],
        "uwsgi.add_timer(1, 0.1)\nuwsgi.add_rb_timer(2, 0.05, 3)\nuwsgi.add_ms_timer(3, 40, 1)\n",
    );
    let all = wait_times(&server, 1, 20);
    let (first, last) = (all[0], all[19]);
    assert!(
        (last - first - 1.9).abs() < 0.09,
        "20 beats of 0.1 s took {}",
        last - first
    );
    assert_eq!(times(&server, 2).len(), 3);
    assert_eq!(times(&server, 3).len(), 1);
    assert_eq!(eval(&server, "uwsgi.del_timer(1)"), "None");
    let settled = wait_for("the timer to stand still", || {
        let before = times(&server, 1).len();
        std::thread::sleep(Duration::from_millis(250));
        (times(&server, 1).len() == before).then_some(before)
    });
    assert!(settled >= 20);
}

#[test]
fn a_timer_of_a_worker_is_one_for_all_and_ends_with_the_last_that_wants_it() {
    let mut server = serve(&["-p", "3", "--lazy-apps"], "uwsgi.add_timer(1, 0.2)\n");
    let workers = server.wait_workers(3, &[]);
    let all = wait_times(&server, 1, 8);
    let span = all[7] - all[0];
    assert!(span > 1.2, "eight signals in {span} s: there are several timers");
    send(workers[0].1, libc::SIGKILL);
    server.wait_log("Respawned rsgi worker", 1);
    let before = times(&server, 1).len();
    wait_times(&server, 1, before + 3);
}

#[test]
fn a_timer_made_in_a_request_ends_with_its_worker() {
    let mut server = serve(&["-p", "1"], "");
    assert_eq!(eval(&server, "uwsgi.add_timer(1,0.05)"), "None");
    wait_times(&server, 1, 3);
    send(server.workers()[0].1, libc::SIGKILL);
    server.wait_log("Respawned rsgi worker 1", 1);
    wait_for("an answer", || (server.get("/?1").status == 200).then_some(()));
    let before = times(&server, 1).len();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(times(&server, 1).len(), before);
}

fn file(server: &Server, name: &str) -> PathBuf {
    server.dir().join(name)
}

#[test]
fn files_raise_signals_by_option_and_by_call() {
    let setup = Setup::new()
        .wsgi(APP)
        .file("watched", "")
        .file("touched", "")
        .file("called", "");
    let dir = setup.dir().to_owned();
    let mut server = setup
        .args([
            "-p",
            "1",
            "--fs-signal",
            &format!("{}/watched 1", dir.display()),
            "--touch-signal",
            &format!("{}/touched 2", dir.display()),
        ])
        .start();
    server.wait_log("registered monitor for", 1);
    assert_eq!(
        eval(
            &server,
            &format!("uwsgi.add_file_monitor(3,'{}')", file(&server, "called").display())
        ),
        "None"
    );
    server.wait_log("registered monitor for", 2);
    for (name, signal) in [("watched", 1), ("touched", 2), ("called", 3)] {
        assert_eq!(times(&server, signal).len(), 0, "{name}");
        std::fs::write(file(&server, name), "new").unwrap();
        wait_times(&server, signal, 1);
    }
    std::fs::write(file(&server, "tmp"), "other").unwrap();
    let before = times(&server, 3).len();
    std::fs::rename(file(&server, "tmp"), file(&server, "called")).unwrap();
    wait_times(&server, 3, before + 1);
    assert_eq!(eval(&server, "uwsgi.del_file_monitor(3)"), "None");
}

#[test]
fn a_cron_of_every_minute_fires_at_once_and_impossible_ones_are_refused() {
    let mut server = serve(&["-p", "1"], "uwsgi.add_cron(1, -1, -1, -1, -1, -1)\n");
    wait_times(&server, 1, 1);
    server.wait_log("[uwsgi-cron] routing signal 1", 1);
    for wrong in ["60,0,1,1,1", "0,24,1,1,1", "0,0,32,1,1", "0,0,1,13,1", "0,0,1,1,8"] {
        let words = eval(&server, &format!("uwsgi.add_cron(1,{wrong})"));
        assert!(words.starts_with("ValueError: unable to add cron: "), "{words}");
    }
}

#[test]
fn commands_on_schedule_run_unique_ones_once_and_long_ones_not_for_ever() {
    let server = serve(
        &[
            "-p",
            "1",
            "--cron",
            "-1 -1 -1 -1 -1 echo $$ >> @DIR@/plain",
            "--unique-cron",
            "-1 -1 -1 -1 -1 echo $$ >> @DIR@/unique; exec sleep 90",
            "--cron2",
            "minute=-1,harakiri=1 echo $$ >> @DIR@/killed; sleep 90; echo survived >> @DIR@/killed",
        ],
        "",
    );
    let pids = |name: &str| -> Vec<i32> {
        let text = std::fs::read_to_string(file(&server, name)).unwrap_or_default();
        text.lines().filter_map(|l| l.parse().ok()).collect()
    };
    let first = |name: &str| wait_for(&format!("the command of {name}"), || pids(name).first().copied());
    first("plain");
    let stays = first("unique");
    let killed = first("killed");
    wait_for("the end of the long command", || {
        (!rsgi_tests::is_alive(killed)).then_some(())
    });
    assert!(server.log().contains("CRON HARAKIRI"));
    assert!(rsgi_tests::is_alive(stays), "only the one with a limit is killed");
    assert_eq!(pids("unique").len(), 1);
}

#[test]
fn wrong_schedules_are_said_with_their_place() {
    for (option, wrong) in [
        ("cron", "60 0 1 1 -1 true"),
        ("cron", "0 0 1 1 true"),
        ("cron2", "minute=61 true"),
        ("cron2", "minutes=1 true"),
        ("cron2", "minute=1"),
        ("timer", "17"),
        ("timer", "17 0"),
        ("touch-signal", "/tmp/x 256"),
        ("fs-signal", "/tmp 300"),
    ] {
        let setup = Setup::new().file("bad.ini", &format!("[uwsgi]\nmaster = true\n{option} = {wrong}\n"));
        let ended = setup.args(["--ini", "@DIR@/bad.ini"]).run();
        assert_ne!(ended.code, 0, "{option} = {wrong}");
        assert!(
            ended.output.contains("bad.ini:3"),
            "{option} = {wrong}: {}",
            ended.output
        );
    }
}
