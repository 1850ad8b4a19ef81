//! Attached programs: what starts them, keeps them, ends them, and which outlive the server.

use rsgi_tests::{Server, Setup, is_alive, send, wait_for};

/// Appends the shell's pid to a file, then stays.
const STAY: &str = "echo $$ >> @DIR@/pids; exec sleep 60";
const APP: &str = "def application(env, start_response):\n    start_response('200 OK', [])\n    return [b'x']\n";

fn serve(args: &[&str]) -> Server {
    Setup::new().wsgi(APP).args(args.iter().copied()).start()
}

fn text(server: &Server, name: &str) -> String {
    std::fs::read_to_string(server.dir().join(name)).unwrap_or_default()
}

/// Pids as the programs wrote them, once there are so many.
fn pids(server: &Server, count: usize) -> Vec<i32> {
    wait_for(&format!("{count} pids"), || {
        let all: Vec<i32> = text(server, "pids").lines().filter_map(|l| l.parse().ok()).collect();
        (all.len() >= count).then_some(all)
    })
}

fn wait_end(pid: i32) {
    wait_for("the end of the program", || (!is_alive(pid)).then_some(()));
}

/// A program that survives the test's server is ended with the test.
struct Survivor(i32);

impl Drop for Survivor {
    fn drop(&mut self) {
        send(self.0, libc::SIGKILL);
    }
}

#[test]
fn a_child_is_restarted_by_a_reload_and_ends_last() {
    let slow_to_end = "echo $$ >> @DIR@/pids; trap 'sleep 0.5; exit' TERM; while :; do sleep 0.05; done";
    let mut server = serve(&["-p", "1", "--attach-daemon", slow_to_end]);
    let first = pids(&server, 1)[0];
    let old = server.workers();
    server.signal(libc::SIGHUP);
    let second = pids(&server, 2)[1];
    assert!(!is_alive(first), "two of them at once");
    server.wait_workers(1, &[old[0].1]);
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    assert!(!is_alive(second));
    let log = server.log();
    let (worker, daemon) = (
        log.rfind("worker 1 killed"),
        log.rfind("[uwsgi-daemons] stopping daemon"),
    );
    assert!(worker.is_some() && worker < daemon, "the worker may have needed it");
}

#[test]
fn one_that_ends_at_once_is_throttled_and_one_that_ignores_its_end_is_killed() {
    let stubborn = "trap '' TERM; echo $$ >> @DIR@/pids; while :; do sleep 0.05; done";
    let mut server = serve(&[
        "--attach-daemon",
        "echo x >> @DIR@/short",
        "--attach-daemon",
        stubborn,
        "--reload-mercy",
        "1",
    ]);
    server.wait_log("[uwsgi-daemons] throttling \"echo x", 2);
    let tries = text(&server, "short").lines().count();
    assert!((2..5).contains(&tries), "{tries} tries");
    let pid = pids(&server, 1)[0];
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    assert!(!is_alive(pid));
    assert!(server.log().contains("daemon did not die in time, killing"));
}

#[test]
fn the_instance_ends_with_a_control_daemon() {
    let mut server = serve(&["--attach-control-daemon", STAY]);
    send(pids(&server, 1)[0], libc::SIGKILL);
    assert_eq!(server.wait_exit().code(), Some(0));
    assert!(server.log().contains("the instance ends with it"));
}

#[test]
fn keys_of_a_daemon_are_heeded() {
    let command = "cmd=trap 'echo usr1 >> @DIR@/said\\, exit' USR1; trap 'echo hup >> @DIR@/said; exit' HUP; \
                   pwd >> @DIR@/where; id -u >> @DIR@/where; echo $$ >> @DIR@/pids; while :; do sleep 0.05; done,\
                   stopsignal=usr1,reloadsignal=1,chdir=/,touch=@DIR@/t,max_throttle=1";
    let command = command.replace("@DIR@/said\\, exit", "@DIR@/said; exit");
    let mut server = serve(&["-p", "1", "--attach-daemon2", &command]);
    let first = pids(&server, 1)[0];
    std::fs::write(server.dir().join("t"), "").unwrap();
    server.wait_log("has been touched... reloading daemon", 1);
    wait_end(first);
    pids(&server, 2);
    server.signal(libc::SIGHUP);
    pids(&server, 3);
    server.wait_log("spawned rsgi worker 1", 2);
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    assert_eq!(text(&server, "said"), "usr1\nhup\nusr1\n");
    assert!(text(&server, "where").starts_with("/\n"));
}

#[test]
fn a_daemon_may_have_another_user_and_pids_of_its_own() {
    // SAFETY: takes nothing, cannot fail.
    if unsafe { libc::getuid() } != 0 {
        return rsgi_tests::skipped("only root can change the user and make namespaces");
    }
    let setup = Setup::new().wsgi(APP);
    for name in ["ids", "pids"] {
        std::fs::write(setup.dir().join(name), "").unwrap();
        let all = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        std::fs::set_permissions(setup.dir().join(name), all).unwrap();
    }
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(setup.dir(), open).unwrap();
    let command = "cmd=echo $(id -u):$(id -g):$$ >> @DIR@/ids; exec sleep 60,uid=nobody,gid=65534,ns_pid=1";
    let mut server = setup.args(["--attach-daemon2", command]).start();
    let ids = wait_for("the program's words", || {
        Some(text(&server, "ids")).filter(|t| t.contains('\n'))
    });
    assert_eq!(ids, "65534:65534:1\n");
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn one_with_a_pidfile_outlives_the_server_and_is_found_again() {
    let command = "pidfile=@DIR@/d.pid,daemonize=1,freq=1,cmd=echo $$ >> @DIR@/pids; exec sleep 60";
    let mut server = serve(&["-p", "1", "--attach-daemon2", command, "--stats", "@DIR@/stats"]);
    let first = pids(&server, 1)[0];
    let _survivor = Survivor(first);
    assert_eq!(text(&server, "d.pid").trim(), first.to_string());
    let old = server.workers();
    server.signal(libc::SIGHUP);
    server.wait_workers(1, &[old[0].1]);
    server.wait_log("found valid/active pidfile for", 1);
    let path = server.dir().join("stats");
    let stats = wait_for("statistics of the program", || {
        use std::io::Read;
        let mut text = String::new();
        let mut stream = std::os::unix::net::UnixStream::connect(&path).ok()?;
        stream.read_to_string(&mut text).ok()?;
        text.contains("\"daemons\"").then_some(text)
    });
    assert!(stats.contains(&format!("\"pid\":{first}")), "{stats}");
    send(first, libc::SIGKILL);
    let second = pids(&server, 2)[1];
    let _second = Survivor(second);
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    assert!(is_alive(second), "it is not the server's to end");
}

#[test]
fn one_that_backgrounds_itself_is_watched_by_its_pidfile_and_told_what_happens() {
    let script = "(trap 'echo told >> said' HUP; echo $$ > d.pid; sh -c 'echo $PPID' > d.pid; cat d.pid >> pids; \
                  while :; do sleep 0.05; done) </dev/null & sleep 0.3";
    let setup = Setup::new().wsgi(APP).file("run.sh", script);
    let mut server = setup
        .args([
            "-p",
            "1",
            "--attach-daemon2",
            "pidfile=@DIR@/d.pid,notifypid=1,cmd=sh @DIR@/run.sh",
        ])
        .start();
    let pid = pids(&server, 1)[0];
    let _survivor = Survivor(pid);
    let old = server.workers();
    server.signal(libc::SIGHUP);
    server.wait_workers(1, &[old[0].1]);
    wait_for("the program's words", || {
        text(&server, "said").contains("told").then_some(())
    });
    assert!(is_alive(pid));
    assert_eq!(text(&server, "pids").lines().count(), 1, "it was started only once");
}

#[test]
fn wrong_settings_of_daemons_are_refused_with_their_place() {
    let wrong = |value: &str, expected: &str| {
        let setup = Setup::new().file("d.ini", &format!("[uwsgi]\nhttp-socket = 127.0.0.1:0\n{value}\n"));
        let ended = setup.args(["--ini", "@DIR@/d.ini"]).run();
        assert_eq!(ended.code, 1, "{}", ended.output);
        assert!(ended.output.contains(expected), "{expected} in {}", ended.output);
    };
    wrong(
        "attach-daemon2 = cmd=sleep 1,frq=3",
        "d.ini:3: attach-daemon2: unknown key \"frq\"",
    );
    wrong("attach-daemon2 = freq=3", "the key cmd is missing");
    wrong("attach-daemon2 = cmd=x,stopsignal=NOPE", "\"NOPE\" is no signal");
    wrong("attach-daemon2 = cmd=x,daemonize=1", "daemonize needs pidfile");
    wrong("smart-attach-daemon = /only-a-pidfile", "give PIDFILE COMMAND");
    wrong("attach-daemon2 = cmd=x,uid=no-such-user-here", "no-such-user-here");
    wrong("legion-attach-daemon = l x", "legion");
}
