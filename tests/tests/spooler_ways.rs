//! The spooler's ways in and out: packets of other programs, applications that enqueue when they are loaded, tasks that
//! wait, urgent tasks.

use rsgi_tests::{Server, Setup, http, wait_for};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

const APP: &str = r#"
import os, time, uwsgi
def run(task):
    with open("@DIR@/notes", "a") as f:
        f.write(repr(sorted((k if isinstance(k, str) else k.decode(), v) for k, v in task.items()
                            if k != "spooler_task_name")) + "\n")
    if b"secs" in task: time.sleep(float(task[b"secs"]))
    if b"deadline" in task:
        if not os.path.exists("@DIR@/again"):
            open("@DIR@/again", "w").close()
            uwsgi.set_user_harakiri(1); time.sleep(60)
    if b"retry" in task and not os.path.exists("@DIR@/enough"): return uwsgi.SPOOL_RETRY
    return uwsgi.SPOOL_OK
uwsgi.spooler = run
def application(env, start_response):
    start_response("200 OK", [])
    task = dict(p.split("=") for p in env["QUERY_STRING"].split("&"))
    return [uwsgi.spool({k.encode(): v.encode() for k, v in task.items()})]
"#;

fn notes(server: &Server, what: &str, count: usize) -> Vec<String> {
    wait_for(&format!("{count} notes with {what}"), || {
        let text = std::fs::read_to_string(server.dir().join("notes")).unwrap_or_default();
        let all: Vec<String> = text.lines().filter(|l| l.contains(what)).map(str::to_owned).collect();
        (all.len() >= count).then_some(all)
    })
}

fn spool(server: &Server, query: &str) -> PathBuf {
    http::get(server.port(), &format!("/?{query}")).text().into()
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |d| d.as_secs_f64())
}

fn with(args: &[&str]) -> Setup {
    let spooler = ["--spooler", "@DIR@/sp"];
    Setup::new().wsgi(APP).args(spooler).args(args.iter().copied())
}

fn answer(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the socket listens");
    stream.write_all(bytes).expect("the server reads");
    stream.shutdown(std::net::Shutdown::Write).expect("it is open");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

#[test]
fn a_packet_of_another_program_is_a_task() {
    let server = with(&["--socket", "127.0.0.1:0"]).start();
    let port = server.port_of_socket(1);
    let packet = http::uwsgi_packet(17, &[("key", "over the wire")]);
    assert_eq!(answer(port, &packet), [255, 0, 0, 1]);
    assert_eq!(notes(&server, "wire", 1), ["[('key', b'over the wire')]"]);
    let mut with_body = http::uwsgi_packet(17, &[("key", "two"), ("CONTENT_LENGTH", "4")]);
    with_body.extend(b"BODY");
    assert_eq!(answer(port, &with_body), [255, 0, 0, 1]);
    let noted = notes(&server, "two", 1);
    assert_eq!(
        noted,
        ["[('CONTENT_LENGTH', b'4'), ('body', b'BODY'), ('key', b'two')]"]
    );
    // half a body is no task, and where there is no such spooler nobody says yes
    with_body.truncate(with_body.len() - 1);
    assert_eq!(answer(port, &with_body), [255, 0, 0, 0]);
    let elsewhere = http::uwsgi_packet(17, &[("spooler", "/no/such")]);
    assert_eq!(answer(port, &elsewhere), [255, 0, 0, 0]);
    let none = Setup::new().wsgi(APP).args(["--socket", "127.0.0.1:0"]).start();
    assert_eq!(answer(none.port_of_socket(1), &packet), [255, 0, 0, 0]);
}

#[test]
fn an_application_that_enqueues_when_it_is_loaded_can_be_reloaded() {
    let app = format!("{APP}\nuwsgi.spool({{b'loaded': str(os.getpid()).encode()}})\n");
    let setup = Setup::new().wsgi(&app);
    let mut server = setup
        .args(["--spooler", "@DIR@/sp", "--spooler-processes", "2"])
        .start();
    notes(&server, "loaded", 1);
    server.signal(libc::SIGHUP);
    server.wait_log("spawned rsgi worker 1", 2);
    // once by the image that came, never by its trial
    let loaded = notes(&server, "loaded", 2);
    spool(&server, "n=after");
    notes(&server, "after", 1);
    assert_eq!(notes(&server, "loaded", 2).len(), 2, "{loaded:?}");
    assert!(!server.log().contains("unable to spool"), "{}", server.log());
}

#[test]
fn a_task_waits_for_its_time_and_others_do_not() {
    let server = with(&["--spooler-frequency", "60", "--spooler-processes", "2"]).start();
    let at = now() as u64 + 2;
    spool(&server, &format!("at={at}&n=later"));
    // whoever has seen it is busy when its time comes
    spool(&server, "n=slow&secs=5");
    notes(&server, "slow", 1);
    notes(&server, "later", 1);
    let late = now() - at as f64;
    assert!((0.0..1.5).contains(&late), "{late} seconds late");
}

#[test]
fn a_task_that_is_set_back_is_tried_again_at_the_frequency() {
    let server = with(&["--spooler-frequency", "2", "--spooler-processes", "3"]).start();
    // before the first try: a note may be seen late, but no try comes early
    let began = Instant::now();
    let path = spool(&server, "retry=1");
    notes(&server, "retry", 1);
    for n in 0..5 {
        // what wakes them is not what lets them try
        notes(&server, &format!("'n', b'{n}'"), usize::from(n > 0));
        spool(&server, &format!("n={}", n + 1));
    }
    notes(&server, "retry", 3);
    let seconds = began.elapsed().as_secs_f64();
    assert!((2.9..9.0).contains(&seconds), "{seconds}");
    std::fs::write(server.dir().join("enough"), "").expect("the folder is writable");
    wait_for("the end of the task", || (!path.exists()).then_some(()));
    assert!(notes(&server, "retry", 3).len() <= 5);
}

#[test]
fn urgent_tasks_go_first_and_new_urgencies_are_noticed() {
    let server = with(&["--spooler-ordered", "--spooler-frequency", "60"]).start();
    spool(&server, "n=busy&secs=1");
    notes(&server, "busy", 1);
    for query in ["n=c", "n=d", "priority=10&n=b", "priority=2&n=a"] {
        let path = spool(&server, query);
        assert_eq!(
            path.parent().is_some_and(|p| p.ends_with("sp")),
            !query.contains("priority")
        );
    }
    let text = |n: &str| format!("'n', b'{n}'");
    notes(&server, &text("d"), 1);
    let all = std::fs::read_to_string(server.dir().join("notes")).unwrap_or_default();
    let places: Vec<_> = ["busy", "a", "b", "c", "d"].map(|n| all.find(&text(n))).into();
    assert!(places.is_sorted() && places[0].is_some(), "{all}");
    // a directory that did not exist when the server began to wait
    std::fs::create_dir(server.dir().join("sp/7")).expect("the folder is writable");
    let hidden = server.dir().join("hidden");
    std::fs::write(&hidden, http::uwsgi_packet(17, &[("n", "new")])).expect("the folder is writable");
    let name = "sp/7/uwsgi_spoolfile_on_x_1_1_1_1_1";
    std::fs::rename(&hidden, server.dir().join(name)).expect("the same file system");
    notes(&server, &text("new"), 1);
}

#[test]
fn a_task_may_set_its_own_deadline() {
    let mut server = with(&[]).start();
    spool(&server, "deadline=1");
    server.wait_log("HARAKIRI ON THE SPOOLER", 1);
    notes(&server, "deadline", 2);
}

#[test]
fn signals_count_as_tasks_when_they_are_to() {
    let app =
        format!("{APP}\nuwsgi.register_signal(9, 'spooler', lambda n: open('@DIR@/notes', 'a').write('signal\\n'))\n");
    let mut server = Setup::new()
        .wsgi(&app)
        .args([
            "--spooler",
            "@DIR@/sp",
            "--spooler-max-tasks",
            "2",
            "--spooler-signal-as-task",
        ])
        .args(["--timer", "9 1"])
        .start();
    notes(&server, "signal", 2);
    server.wait_log("maximum number of tasks reached (2) recycling", 1);
}

#[test]
fn a_cheap_spooler_is_there_while_there_is_something_to_do() {
    let args = [
        "--spooler-cheap",
        "--spooler-frequency",
        "1",
        "--spooler-processes",
        "2",
    ];
    let mut server = with(&args).start();
    let spawned = |server: &Server| server.log().matches("spawned the rsgi spooler").count();
    assert_eq!(spawned(&server), 0);
    spool(&server, &format!("at={}&n=later", now() as u64 + 2));
    let late = notes(&server, "later", 1);
    // the master may say so only after the task is done
    server.wait_log("spawned the rsgi spooler", 2);
    assert_eq!((late.len(), spawned(&server)), (1, 2));
    let log = server.log();
    let pids = log
        .lines()
        .filter_map(|l| l.split_once("spawned the rsgi spooler on dir")?.1.rsplit_once(' '));
    let pids: Vec<i32> = pids.filter_map(|(_, pid)| pid.parse().ok()).collect();
    wait_for("the end of idle spoolers", || {
        (pids.len() == 2 && pids.iter().all(|pid| !rsgi_tests::is_alive(*pid))).then_some(())
    });
    spool(&server, "n=again");
    notes(&server, "again", 1);
    server.wait_log("spawned the rsgi spooler", 4);
}
