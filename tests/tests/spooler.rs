//! The spooler: tasks are run once and not lost when their process is killed.

use rsgi_tests::{Server, Setup, http, send, wait_for};

const APP: &str = r#"
import os, time, uwsgi
def run(task):
    n = task[b"n"].decode()
    with open("@DIR@/notes", "a") as f:
        f.write("begin %s %d\n" % (n, os.getpid()))
    time.sleep(float(task.get(b"secs", b"0")))
    with open("@DIR@/notes", "a") as f:
        f.write("end %s\n" % n)
    return uwsgi.SPOOL_OK
uwsgi.spooler = run
def application(env, start_response):
    start_response("200 OK", [])
    n, _, secs = env["QUERY_STRING"].partition("=")
    return [uwsgi.spool({b"n": n.encode(), b"secs": secs.encode() or b"0"})]
"#;

fn lines(server: &Server, start: &str, count: usize) -> Vec<String> {
    wait_for(&format!("{count} notes of {start}"), || {
        let text = std::fs::read_to_string(server.dir().join("notes")).unwrap_or_default();
        let all: Vec<String> = text
            .lines()
            .filter(|l| l.starts_with(start))
            .map(str::to_owned)
            .collect();
        (all.len() >= count).then_some(all)
    })
}

fn spool(server: &Server, what: &str) -> String {
    http::get(server.port(), &format!("/?{what}")).text()
}

#[test]
fn a_task_whose_process_is_killed_is_run_again_and_every_task_once() {
    let args = ["--spooler", "@DIR@/sp", "--spooler-processes", "3"];
    let server = Setup::new().wsgi(APP).args(args).start();
    let path = spool(&server, "slow=1");
    let begun = lines(&server, "begin slow", 1);
    let pid: i32 = begun[0].rsplit(' ').next().and_then(|p| p.parse().ok()).expect("a pid");
    assert!(std::path::Path::new(&path).exists(), "{path}");
    send(pid, libc::SIGKILL);
    lines(&server, "begin slow", 2);
    lines(&server, "end slow", 1);
    wait_for("the end of the task", || {
        (!std::path::Path::new(&path).exists()).then_some(())
    });
    for n in 0..30 {
        spool(&server, &format!("n{n}"));
    }
    wait_for("an empty directory", || {
        let left = std::fs::read_dir(server.dir().join("sp")).ok()?;
        (left.count() == 0).then_some(())
    });
    let mut done = lines(&server, "end n", 30);
    assert_eq!(done.len(), 30, "a task ran twice");
    done.sort();
    done.dedup();
    assert_eq!(done.len(), 30, "a task is missing");
}
