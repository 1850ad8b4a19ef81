//! Mules: their programs and messages, their respawn, their deadline, and how they change hands at a reload.

use rsgi_tests::{Server, Setup, http, is_alive, send, wait_for};

/// Notes who does what; the mule's hook, and requests that send `?message` to a mule or a farm.
const APP: &str = r#"
import os, time, uwsgi
def note(*words):
    with open("@DIR@/notes", "a") as f:
        f.write(" ".join(map(str, words)) + "\n")
def hook(message):
    if message == b"hang": note("hangs", os.getpid()); time.sleep(60)
    if message == b"slow": note("slow", os.getpid()); time.sleep(1)
    note("got", uwsgi.mule_id(), message.decode(), os.getpid())
uwsgi.mule_msg_hook = hook
def fork():
    if uwsgi.mule_id(): note("mule", uwsgi.mule_id(), os.getpid())
uwsgi.post_fork_hook = fork
def application(env, start_response):
    start_response("200 OK", [])
    target, _, message = env["QUERY_STRING"].partition("=")
    target = int(target) if target.isdigit() else target
    return [str(uwsgi.mule_msg(message.encode(), target)).encode()]
"#;

fn serve(args: &[&str]) -> Server {
    Setup::new().wsgi(APP).args(args.iter().copied()).start()
}

fn notes(server: &Server, start: &str, count: usize) -> Vec<Vec<String>> {
    wait_for(&format!("{count} notes of {start}"), || {
        let text = std::fs::read_to_string(server.dir().join("notes")).unwrap_or_default();
        let lines = text.lines().filter(|l| l.starts_with(start));
        let all: Vec<Vec<String>> = lines.map(|l| l.split(' ').map(str::to_owned).collect()).collect();
        (all.len() >= count).then_some(all)
    })
}

fn message(server: &Server, target: &str, text: &str) -> String {
    http::get(server.port(), &format!("/?{target}={text}")).text()
}

fn pid(note: &[String]) -> i32 {
    note.last().and_then(|pid| pid.parse().ok()).expect("a note with a pid")
}

#[test]
fn messages_reach_one_mule_of_those_that_are_meant() {
    let server = serve(&["--mules", "3", "--farm", "crew:2,3"]);
    for n in 0..6 {
        assert_eq!(message(&server, "crew", &format!("f{n}")), "True");
    }
    assert_eq!(message(&server, "1", "own"), "True");
    let got = notes(&server, "got", 7);
    let of_farm = got.iter().filter(|n| n[2].starts_with('f'));
    assert!(of_farm.clone().all(|n| n[1] != "1"), "{got:?}");
    assert_eq!(of_farm.count(), 6);
    assert!(got.iter().any(|n| n[1] == "1" && n[2] == "own"));
}

#[test]
fn a_killed_mule_comes_again_and_one_over_time_is_ended() {
    let mut server = serve(&["--mule", "--mule-harakiri", "1"]);
    let first = pid(&notes(&server, "mule 1", 1)[0]);
    send(first, libc::SIGKILL);
    server.wait_log("DAMN ! mule 1", 1);
    let second = pid(&notes(&server, "mule 1", 2)[1]);
    assert_ne!(first, second);
    message(&server, "1", "hang");
    server.wait_log("HARAKIRI ON MULE 1", 1);
    notes(&server, "mule 1", 3);
    assert!(!is_alive(second));
    message(&server, "1", "after");
    notes(&server, "got 1 after", 1);
}

#[test]
fn a_reload_brings_new_mules_and_the_old_one_finishes_its_message() {
    let mut server = serve(&["-p", "1", "--mule"]);
    let old = pid(&notes(&server, "mule 1", 1)[0]);
    message(&server, "1", "slow");
    notes(&server, "slow", 1);
    message(&server, "1", "waits");
    server.signal(libc::SIGHUP);
    let new = pid(&notes(&server, "mule 1", 2)[1]);
    assert_ne!(old, new);
    assert_eq!(pid(&notes(&server, "got 1 slow", 1)[0]), old, "it was cut off");
    notes(&server, "got 1 waits", 1);
    wait_for("the end of the old mule", || (!is_alive(old)).then_some(()));
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    assert!(!is_alive(new));
}

#[test]
fn a_script_that_never_looks_up_is_no_obstacle_to_the_end() {
    let script = "import time\nopen('@DIR@/runs', 'w').close()\nwhile True: time.sleep(60)\n";
    let setup = Setup::new().wsgi(APP).file("brain.py", script);
    let mut server = setup.args(["--mule=@DIR@/brain.py"]).start();
    wait_for("the script", || server.dir().join("runs").exists().then_some(()));
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn a_farm_of_mules_that_are_not_there_ends_the_start_with_its_place() {
    let ended = Setup::new()
        .wsgi(APP)
        .file("app.ini", "[uwsgi]\nmule =\nfarm = crew:5\n")
        .args(["--ini", "@DIR@/app.ini"])
        .run();
    assert_eq!(ended.code, 1, "{}", ended.output);
    assert!(ended.output.contains("invalid mule id: 5"), "{}", ended.output);
    assert!(ended.output.contains("app.ini:3"), "{}", ended.output);
}

#[test]
fn a_mule_runs_a_function_of_a_module() {
    let brain = "\
import time, uwsgi
def think():
    with open('@DIR@/notes', 'a') as f: f.write('thinks %d\\n' % uwsgi.mule_id())
    time.sleep(60)
";
    let setup = Setup::new().file("brain.py", brain).wsgi(APP);
    let server = setup.args(["--pythonpath", "@DIR@", "--mule=brain:think"]).start();
    assert_eq!(notes(&server, "thinks", 1)[0][1], "1");
}
