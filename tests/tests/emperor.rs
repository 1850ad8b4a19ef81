//! The emperor: vassals come, change and go with their files; what operators see of it, and what is left when it dies.

use rsgi_tests::{Server, Setup, build_plugin, http, is_alive, send, wait_for};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

const APP: &str = "
import os
def application(env, start_response):
    body = ('%s %d %d' % (os.environ.get('WHO', '?'), os.getpid(), os.getppid())).encode()
    start_response('200 OK', [('Content-Length', str(len(body)))])
    return [body]
";

/// Ports that were free a moment ago: a vassal's configuration must name them.
fn free_ports<const N: usize>() -> [u16; N] {
    let all: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").expect("a port is left"));
    all.map(|l| l.local_addr().expect("bound").port())
}

fn vassal(port: u16, more: &str) -> String {
    format!("[uwsgi]\nhttp-socket = 127.0.0.1:{port}\nwsgi-file = @DIR@/app.py\n{more}\n")
}

/// An emperor over the folder `v`, with a look every second.
fn emperor(vassals: &[(&str, String)], args: &[&str]) -> Server {
    let setup = Setup::new().file("app.py", APP);
    std::fs::create_dir(setup.dir().join("v")).expect("the folder is writable");
    let setup = vassals
        .iter()
        .fold(setup, |setup, (name, text)| setup.file(&format!("v/{name}"), text));
    let mut server = setup
        .args(["--emperor", "@DIR@/v", "--emperor-freq", "1"])
        .args(args.iter().copied())
        .start_unready();
    server.wait_log("*** starting rsgi Emperor ***", 1);
    server
}

fn write(server: &Server, name: &str, text: &str) {
    let text = text.replace("@DIR@", &server.dir().display().to_string());
    std::fs::write(server.dir().join("v").join(name), text).expect("the folder is writable");
}

/// The words of a vassal's answer: who, pid, parent's pid.
fn ask(port: u16) -> Option<Vec<String>> {
    use std::io::{Read, Write};
    // nothing here may panic: a vassal may be gone at any moment
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(rsgi_tests::PATIENCE)).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.contains(" 200 ")
        .then(|| body.split(' ').map(str::to_owned).collect())
}

fn answer(port: u16) -> Vec<String> {
    wait_for("an answer of the vassal", || ask(port))
}

#[test]
fn a_vassal_is_reloaded_in_place_when_its_file_changes() {
    let [port] = free_ports();
    let mut server = emperor(&[("a.ini", vassal(port, "env = WHO=one"))], &[]);
    let first = answer(port);
    assert_eq!(first[0], "one");
    server.wait_log("[emperor] vassal a.ini has been spawned", 1);
    server.wait_log("[emperor] vassal a.ini is ready to accept requests", 1);
    server.wait_log("[emperor] vassal a.ini is now loyal", 1);
    write(&server, "a.ini", &vassal(port, "env = WHO=two"));
    let second = wait_for("the new configuration", || ask(port).filter(|a| a[0] == "two"));
    assert_ne!(first[1], second[1], "another worker");
    assert_eq!(first[2], second[2], "the same master");
    assert!(server.log().contains("[emperor] reload the uwsgi instance a.ini"));
    std::fs::remove_file(server.dir().join("v/a.ini")).unwrap();
    server.wait_log("[emperor] stop the uwsgi instance a.ini", 1);
    server.wait_log("[emperor] removed uwsgi instance a.ini", 1);
    assert!(ask(port).is_none());
}

#[test]
fn a_broken_reload_leaves_the_vassal_as_it_was() {
    let [port] = free_ports();
    let mut server = emperor(&[("a.ini", vassal(port, "env = WHO=one"))], &[]);
    let first = answer(port);
    server.wait_log("[emperor] vassal a.ini has been spawned", 1);
    write(&server, "a.ini", "[uwsgi]\nstrict = true\nno-such-thing = 1\n");
    server.wait_log("reload refused: the trial failed", 1);
    assert_eq!(answer(port), first);
}

#[test]
fn a_vassal_that_cannot_live_is_tried_with_growing_pauses_and_its_last_words_are_said() {
    let [port] = free_ports();
    let args = ["--emperor-throttle", "100", "--emperor-max-throttle", "250"];
    let mut server = emperor(
        &[
            ("bad.ini", "[uwsgi]\nstrict = true\nno-such-thing = 1\n".into()),
            ("good.ini", vassal(port, "")),
        ],
        &args,
    );
    server.wait_log(
        "[emperor] unloyal bad behaving vassal found: bad.ini throttling it...",
        2,
    );
    server.wait_log("[emperor] maximum throttle level for vassal bad.ini reached !!!", 1);
    let log = server.log();
    let words = log.lines().find(|l| l.contains("vassal bad.ini (pid: ")).unwrap();
    assert!(
        words.contains("exit code 1") && words.contains("no-such-thing"),
        "{words}"
    );
    let good = answer(port);
    // put right, it starts at once, however long its pause had become
    let [other] = free_ports();
    write(&server, "bad.ini", &vassal(other, "env = WHO=better"));
    assert_eq!(answer(other)[0], "better");
    assert_eq!(answer(port), good, "the other one never noticed");
}

#[test]
fn a_vassal_that_asks_for_exile_is_left_alone_until_its_file_changes() {
    let mut server = emperor(
        &[("a.ini", "[uwsgi]\nhook-asap = exit:26\n".into())],
        &["--emperor-throttle", "10"],
    );
    server.wait_log("vassal a.ini asked not to be started again", 1);
    server.wait_log("its last line", 1);
    let [port] = free_ports();
    write(&server, "a.ini", &vassal(port, "env = WHO=back"));
    assert_eq!(answer(port)[0], "back");
    assert_eq!(server.log().matches("ended with exit code 26").count(), 1);
}

#[test]
fn a_killed_vassal_comes_back() {
    let [port] = free_ports();
    let _server = emperor(&[("a.ini", vassal(port, ""))], &[]);
    let first = answer(port);
    let master: i32 = first[2].parse().unwrap();
    send(master, libc::SIGKILL);
    let second = wait_for("its successor", || ask(port).filter(|a| a[2] != first[2]));
    assert_ne!(first[1], second[1]);
}

#[test]
fn vassals_end_with_their_emperor_however_it_ends() {
    for (signal, code) in [(libc::SIGTERM, Some(0)), (libc::SIGINT, Some(0)), (libc::SIGKILL, None)] {
        for more in ["", "--master"] {
            let [port] = free_ports();
            let args: Vec<&str> = (!more.is_empty()).then_some(more).into_iter().collect();
            let mut server = emperor(&[("a.ini", vassal(port, ""))], &args);
            let pids: Vec<i32> = answer(port)[1..].iter().map(|p| p.parse().unwrap()).collect();
            server.signal(signal);
            assert_eq!(server.wait_exit().code(), code, "{signal} {more}");
            wait_for("the vassal to end", || pids.iter().all(|p| !is_alive(*p)).then_some(()));
            if code == Some(0) {
                assert!(
                    server.log().contains("[emperor] removed uwsgi instance a.ini"),
                    "{signal} {more}"
                );
            }
        }
    }
}

#[test]
fn an_emperor_beside_workers_is_respawned_and_stays_over_a_reload() {
    let [port, own] = free_ports();
    let address = format!("127.0.0.1:{own}");
    let mut server = emperor(
        &[("a.ini", vassal(port, "env = WHO=vassal"))],
        &[
            "--http-socket",
            &address,
            "--wsgi-file",
            "@DIR@/app.py",
            "--emperor-pidfile",
            "@DIR@/e.pid",
        ],
    );
    let first = answer(port);
    let own_worker = answer(own);
    assert_eq!((first[0].as_str(), own_worker[0].as_str()), ("vassal", "?"));
    let pid = |server: &Server| {
        std::fs::read_to_string(server.dir().join("e.pid"))
            .ok()?
            .trim()
            .parse::<i32>()
            .ok()
    };
    let before = wait_for("the pidfile", || pid(&server));
    server.signal(libc::SIGHUP);
    wait_for("a new worker of the server's own", || {
        ask(own).filter(|a| a[1] != own_worker[1])
    });
    assert_eq!(
        (answer(port), pid(&server)),
        (first.clone(), Some(before)),
        "nobody touched the emperor"
    );
    send(before, libc::SIGKILL);
    server.wait_log("!!! Emperor died", 1);
    let after = wait_for("its successor's pidfile", || pid(&server).filter(|p| *p != before));
    assert!(is_alive(after));
    let second = wait_for("a new vassal", || ask(port).filter(|a| a[2] != first[2]));
    assert_ne!(first[1], second[1]);
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    assert!(!is_alive(after));
}

#[test]
fn a_connection_starts_a_vassal_on_demand_and_its_rest_sends_it_back() {
    let [port] = free_ports();
    let text = "[uwsgi]\nprotocol = http\nwsgi-file = @DIR@/app.py\nenv = WHO=demand\n";
    let mut server = emperor(
        &[("a.ini", text.into()), ("a.ini.socket", format!("127.0.0.1:{port}\n"))],
        &["--emperor-on-demand-extension", ".socket"],
    );
    let waits =
        format!("a.ini -> \"on demand\" instance detected, waiting for connections on socket \"127.0.0.1:{port}\"");
    server.wait_log(&waits, 1);
    assert!(!server.log().contains("vassal a.ini has been spawned"));
    let first = http::get(port, "/");
    assert!(first.text().starts_with("demand "), "{}", first.text());
    server.wait_log("[emperor] vassal a.ini has been spawned", 1);
    let master: i32 = first.text().split(' ').nth(2).unwrap().parse().unwrap();
    // over a reload of the vassal the socket stays
    send(master, libc::SIGHUP);
    server.wait_log("[emperor] vassal a.ini is ready to accept requests", 2);
    assert!(http::get(port, "/").text().starts_with("demand "));
    send(master, libc::SIGTERM);
    server.wait_log("a.ini -> back to \"on demand\" mode", 1);
    let second = http::get(port, "/");
    assert!(second.text().starts_with("demand "));
    assert_ne!(second.text().split(' ').nth(2).unwrap(), master.to_string());
}

#[test]
fn what_is_common_to_vassals_reaches_each_of_them() {
    let [port, other] = free_ports();
    let setup = Setup::new()
        .file("app.py", APP)
        .file("common.ini", "[uwsgi]\nenv = WHO=%n-%(place)\n")
        .file("one.ini", &vassal(port, ""))
        .file(
            "two.yml",
            &format!("uwsgi:\n  http-socket: 127.0.0.1:{other}\n  wsgi-file: @DIR@/app.py\n"),
        );
    let mut server = setup
        .args([
            "--emperor",
            "@DIR@/[ot]*[a-z].[iy]*",
            "--vassals-include",
            "@DIR@/common.ini",
        ])
        .args(["--vassal-set", "place=here"])
        .env("UWSGI_VASSAL_PROCESSES", "2")
        .start_unready();
    server.wait_log("*** starting rsgi Emperor ***", 1);
    assert!(answer(port)[0].ends_with("-here"), "{:?}", answer(port));
    assert!(answer(other)[0].ends_with("-here"));
    server.wait_log("spawned rsgi worker 2 (", 2);
}

#[test]
fn hooks_of_vassals_know_which_vassal_they_are_about() {
    let [port] = free_ports();
    let setup = Setup::new()
        .file("app.py", APP)
        .file("start", "#!/bin/sh\necho \"start $1\" >> @DIR@/hooks\n")
        .file("stop", "#!/bin/sh\necho \"stop $1\" >> @DIR@/hooks\n");
    for name in ["start", "stop"] {
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(setup.dir().join(name), executable).unwrap();
    }
    std::fs::create_dir(setup.dir().join("v")).unwrap();
    let more = "hook-emperor-stop = appendn:@DIR@/hooks told-to-stop\nhook-emperor-start = appendn:@DIR@/hooks begun";
    let mut server = setup
        .file("v/a.ini", &vassal(port, more))
        .args([
            "--emperor",
            "@DIR@/v",
            "--vassals-start-hook",
            "@DIR@/start",
            "--vassals-stop-hook",
            "@DIR@/stop",
        ])
        .args([
            "--exec-as-emperor",
            "echo emperor $UWSGI_VASSAL_CONFIG $UWSGI_VASSAL_PID >> @DIR@/emperors",
        ])
        .args(["--exec-as-vassal", "echo vassal $UWSGI_VASSAL_CONFIG >> @DIR@/hooks"])
        .start_unready();
    server.wait_log("*** starting rsgi Emperor ***", 1);
    let master = answer(port)[2].clone();
    std::fs::remove_file(server.dir().join("v/a.ini")).unwrap();
    let dir = server.dir().to_path_buf();
    let hooks = wait_for("the stop hook", || {
        let text = std::fs::read_to_string(dir.join("hooks")).unwrap_or_default();
        text.contains("stop a.ini").then_some(text)
    });
    assert_eq!(hooks, "start a.ini\nvassal a.ini\nbegun\ntold-to-stop\nstop a.ini\n");
    let emperors = std::fs::read_to_string(dir.join("emperors")).unwrap();
    assert_eq!(emperors, format!("emperor a.ini {master}\n"));
}

#[test]
fn a_silent_vassal_is_replaced() {
    let [port] = free_ports();
    let app = "
import os, time
def application(env, start_response):
    if env['PATH_INFO'] == '/hang':
        time.sleep(60)
    start_response('200 OK', [])
    return [('x %d %d' % (os.getpid(), os.getppid())).encode()]
";
    let setup = Setup::new().file("app.py", app);
    std::fs::create_dir(setup.dir().join("v")).unwrap();
    let mut server = setup
        .file("v/a.ini", &vassal(port, "heartbeat = 1"))
        .args([
            "--emperor",
            "@DIR@/v",
            "--emperor-freq",
            "1",
            "--emperor-required-heartbeat",
            "2",
        ])
        .args(["--emperor-stats", "@DIR@/stats.sock"])
        .start_unready();
    server.wait_log("[emperor] vassal a.ini is now loyal", 1);
    let path = server.dir().join("stats.sock");
    let text = wait_for("a heartbeat in the statistics", || {
        use std::io::Read;
        let mut text = String::new();
        let mut stream = std::os::unix::net::UnixStream::connect(&path).ok()?;
        stream.read_to_string(&mut text).ok()?;
        (!text.contains("\"last_heartbeat\":0")).then_some(text)
    });
    for part in [
        "\"id\":\"a.ini\"",
        "\"loyal\":1",
        "\"accepting\":1",
        "\"blacklist\":[]",
        "\"respawns\":0",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let first = answer(port);
    let mut stuck = server.connect(port);
    use std::io::Write;
    stuck.write_all(b"GET /hang HTTP/1.0\r\n\r\n").unwrap();
    server.wait_log("vassal a.ini sent no heartbeat in last", 1);
    wait_for("a new vassal", || ask(port).filter(|a| a[2] != first[2]));
}

#[test]
fn an_emperor_may_be_a_vassal_and_a_missing_folder_is_waited_for() {
    let [port] = free_ports();
    let mut server = emperor(
        &[("sub.ini", "[uwsgi]\nemperor = @DIR@/later\nemperor-freq = 1\n".into())],
        &[],
    );
    server.wait_log("*** starting rsgi sub-Emperor ***", 1);
    server.wait_log("/later does not exist; waiting for it", 1);
    server.wait_log("[emperor] vassal sub.ini is now loyal", 1);
    let folder = server.dir().join("later");
    std::fs::create_dir(&folder).unwrap();
    let text = vassal(port, "").replace("@DIR@", &server.dir().display().to_string());
    std::fs::write(folder.join("deep.ini"), text).unwrap();
    let pids: Vec<i32> = answer(port)[1..].iter().map(|p| p.parse().unwrap()).collect();
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    assert!(pids.iter().all(|p| !is_alive(*p)));
}

#[test]
fn wrong_settings_of_an_emperor_are_refused_with_their_place() {
    let wrong = |text: &str| {
        let setup = Setup::new().file("e.ini", &format!("[uwsgi]\n{text}\n"));
        let ended = setup.args(["--ini", "@DIR@/e.ini"]).run();
        assert_eq!(ended.code, 1, "{}", ended.output);
        ended.output
    };
    let output = wrong("emperor = pg://host/db");
    assert!(output.contains("e.ini:2") && output.contains("pg"), "{output}");
    assert!(wrong("emperor = /v\nvassals-set = nothing").contains("KEY=VALUE"));
    assert!(wrong("emperor = /v\nemperor-stats = 127.0.0.1:99999").contains("emperor-stats"));
}

#[test]
fn a_tyrant_runs_vassals_as_the_owners_of_their_files_and_never_as_root() {
    // SAFETY: takes nothing, cannot fail.
    if unsafe { libc::getuid() } != 0 {
        return rsgi_tests::skipped("only root can start vassals as other users");
    }
    let [port] = free_ports();
    let app = "
import os
def application(env, start_response):
    start_response('200 OK', [])
    return [('%d:%d:%s %d %d' % (os.getuid(), os.getgid(), os.getgroups(), os.getpid(), os.getppid())).encode()]
";
    let setup = Setup::new().file("app.py", app);
    std::fs::set_permissions(setup.dir(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir(setup.dir().join("v")).unwrap();
    let setup = setup
        .file("v/mine.ini", &vassal(port, ""))
        .file("v/roots.ini", "[uwsgi]\nprint = never read\n");
    let own = setup.dir().join("v/mine.ini");
    std::os::unix::fs::chown(&own, Some(65534), Some(65534)).unwrap();
    let mut server = setup
        .args(["--emperor", "@DIR@/v", "--emperor-tyrant", "--emperor-freq", "1"])
        .start_unready();
    server.wait_log("[emperor-tyrant] invalid permissions for vassal roots.ini", 1);
    let first = answer(port);
    assert_eq!(first[0], "65534:65534:[]");
    std::os::unix::fs::chown(&own, Some(65533), Some(65534)).unwrap();
    server.wait_log("permissions of vassal mine.ini changed", 1);
    let second = wait_for("the new owner's vassal", || ask(port).filter(|a| a[0] != first[0]));
    assert_eq!(second[0], "65533:65534:[]");
    server.signal(libc::SIGKILL);
    server.wait_exit();
    // what a change of user takes away must be there for its end, too
    let master: i32 = second[2].parse().unwrap();
    wait_for("the vassal's end", || (!is_alive(master)).then_some(()));
    assert!(!server.log().contains("never read"));
    assert_eq!(server.log().matches("invalid permissions").count(), 1, "said once");
}

#[test]
fn sockets_of_vassals_are_named_by_a_folder_or_a_program() {
    let text = "[uwsgi]\nprotocol = http\nwsgi-file = @DIR@/app.py\nenv = WHO=demand\n";
    let mut server = emperor(&[("a.ini", text.into())], &["--emperor-on-demand-dir", "@DIR@"]);
    server.wait_log("a.ini -> \"on demand\" instance detected", 1);
    let path = server.dir().join("a.ini.socket");
    let answer = {
        use std::io::{Read, Write};
        let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    assert!(answer.contains("demand "), "{answer}");
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    assert!(!path.exists());

    let [port] = free_ports();
    let setup = Setup::new().file("app.py", APP);
    std::fs::create_dir(setup.dir().join("v")).unwrap();
    let setup = setup.file("v/a.ini", text).file(
        "which",
        &format!("#!/bin/sh\necho $1 >> @DIR@/asked; echo 127.0.0.1:{port}\n"),
    );
    std::fs::set_permissions(setup.dir().join("which"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut server = setup
        .args([
            "--emperor",
            "dir://@DIR@/v",
            "--emperor-on-demand-exec",
            "@DIR@/which",
            "--emperor-freq",
            "1",
        ])
        .start_unready();
    server.wait_log(&format!("waiting for connections on socket \"127.0.0.1:{port}\""), 1);
    assert!(http::get(port, "/").text().starts_with("demand "));
    let asked = std::fs::read_to_string(server.dir().join("asked")).unwrap();
    assert_eq!(asked, "a.ini\n", "a program is asked once, not at each look");
}

#[test]
fn a_vassal_without_a_master_is_stopped_and_reloaded_by_signals() {
    let [port] = free_ports();
    let mut server = emperor(&[("a.ini", vassal(port, "no-master = true\nenv = WHO=one"))], &[]);
    let first = answer(port);
    assert_eq!(first[0], "one");
    server.wait_log("[emperor] vassal a.ini is ready to accept requests", 1);
    write(&server, "a.ini", &vassal(port, "no-master = true\nenv = WHO=two"));
    wait_for("the new configuration", || ask(port).filter(|a| a[0] == "two"));
    std::fs::remove_file(server.dir().join("v/a.ini")).unwrap();
    server.wait_log("[emperor] removed uwsgi instance a.ini", 1);
    assert!(!server.log().contains("NO MERCY"));
}

#[test]
fn a_vassal_cannot_daemonize_away_from_its_emperor() {
    let [port] = free_ports();
    let mut server = emperor(&[("a.ini", vassal(port, "daemonize = @DIR@/vassal.log"))], &[]);
    let master: i32 = answer(port)[2].parse().unwrap();
    server.wait_log("[emperor] vassal a.ini has been spawned", 1);
    let own_log = server.dir().join("vassal.log");
    wait_for("its lines in its own log", || {
        let log = std::fs::read_to_string(&own_log).ok()?;
        log.contains("spawned rsgi worker 1").then_some(())
    });
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    assert!(!is_alive(master));
}

#[test]
fn plugins_of_the_emperor_take_part_in_the_start_of_vassals() {
    let source = "#include <uwsgi.h>\n\
        static void after_fork(struct uwsgi_instance *i) { uwsgi_log(\"FORKED %d\\n\", i != NULL); }\n\
        static void before_exec(struct uwsgi_instance *i) { uwsgi_log(\"BEFORE EXEC %d\\n\", i != NULL); }\n\
        struct uwsgi_plugin midwife_plugin = {\n\
            .name = \"midwife\", .vassal = after_fork, .vassal_before_exec = before_exec };\n";
    let [port] = free_ports();
    let setup = Setup::new().file("app.py", APP);
    let plugin = build_plugin(setup.dir(), "midwife.c", source);
    std::fs::create_dir(setup.dir().join("v")).unwrap();
    let mut server = setup
        .file("v/a.ini", &vassal(port, ""))
        .args(["--emperor", "@DIR@/v", "--plugin", plugin.to_str().unwrap()])
        .args([
            "--hook-as-emperor",
            "unlink:/no/such/file",
            "--hook-as-emperor",
            "print:it goes on",
        ])
        .start_unready();
    answer(port);
    let log = server.log();
    let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("no {text:?} in {log}"));
    assert!(at("FORKED 1") < at("BEFORE EXEC 1"));
    // one vassal's trouble is not the emperor's end
    assert!(at("[emperor] vassal a.ini: hook unlink:/no/such/file") < at("it goes on"));
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn a_talkative_vassal_is_neither_stuck_nor_in_the_way_of_others() {
    let [port] = free_ports();
    let lines = 40_000;
    let setup = Setup::new().file("app.py", APP).file(
        "talk.py",
        &format!("for i in range({lines}):\n    print('x' * 100, flush=True)\nprint('ALL SAID', flush=True)\n"),
    );
    std::fs::create_dir(setup.dir().join("v")).unwrap();
    let mut server = setup
        .file(
            "v/talk.ini",
            "[uwsgi]\nexec-asap = python3 @DIR@/talk.py\nhook-as-user = exit:26\n",
        )
        .file("v/quiet.ini", &vassal(port, ""))
        .args(["--emperor", "@DIR@/v"])
        .start_unready();
    answer(port);
    server.wait_log("ALL SAID", 1);
    assert_eq!(server.log().matches(&"x".repeat(100)).count(), lines);
}

#[test]
fn vassals_may_be_programs_have_other_endings_and_be_started_by_wrappers() {
    let [printed, other] = free_ports();
    let setup = Setup::new().file("app.py", APP).file(
        "wrap",
        "#!/bin/sh\necho \"wrapped $2\" >> @DIR@/wraps\nWHO=wrapped exec \"$RSGI_BINARY\" \"$@\"\n",
    );
    std::fs::create_dir(setup.dir().join("v")).unwrap();
    let script = format!("#!/bin/sh\ncat <<X\n{}X\n", vassal(printed, ""));
    let setup = setup
        .file("v/printed.ini", &script)
        .file(
            "v/other.conf",
            &vassal(other, "").replace("[uwsgi]\n", "[uwsgi]\nenv = ENDING=conf\n"),
        )
        .file("v/ignored.cfg", "[uwsgi]\nprint = never\n");
    for name in ["wrap", "v/printed.ini"] {
        std::fs::set_permissions(setup.dir().join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let binary = rsgi_tests::program("rsgi").display().to_string();
    let mut server = setup
        .env("RSGI_BINARY", &binary)
        .args([
            "--emperor",
            "@DIR@/v",
            "--emperor-magic-exec",
            "--emperor-extra-ext",
            ".conf",
        ])
        .args(["--emperor-wrapper", "@DIR@/wrap"])
        .start_unready();
    assert_eq!(answer(printed)[0], "wrapped");
    assert_eq!(answer(other)[0], "wrapped");
    let wraps = std::fs::read_to_string(server.dir().join("wraps")).unwrap();
    assert!(
        wraps.contains("wrapped exec://") && wraps.contains("wrapped other.conf"),
        "{wraps}"
    );
    assert!(!server.log().contains("never"));
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn the_emperor_reloads_all_and_looks_at_once_when_told_to() {
    let [port, late] = free_ports();
    let more = "hook-emperor-reload = appendn:@DIR@/said reload\nhook-emperor-lost = appendn:@DIR@/said lost";
    let mut server = emperor(
        &[("a.ini", vassal(port, more))],
        &[
            "--emperor-freq",
            "600",
            "--emperor-pidfile",
            "@DIR@/e.pid",
            "--master-fifo",
            "@DIR@/fifo",
        ],
    );
    let first = answer(port);
    server.wait_log("[emperor] vassal a.ini is ready to accept requests", 1);
    let text = std::fs::read_to_string(server.dir().join("e.pid")).unwrap();
    let pid: i32 = text.trim().parse().unwrap();
    assert_ne!(pid, server.pid(), "the FIFO wants a master");
    send(pid, libc::SIGHUP);
    wait_for("new workers of the vassal", || ask(port).filter(|a| a[1] != first[1]));
    let said = || std::fs::read_to_string(server.dir().join("said")).unwrap_or_default();
    assert_eq!(said(), "reload\n");
    // a link is made without any event of a file being written; the events of its folder tell of it all the same
    let elsewhere = server.dir().join("late.ini");
    let config = vassal(late, "env = WHO=late").replace("@DIR@", &server.dir().display().to_string());
    std::fs::write(&elsewhere, config).unwrap();
    std::os::unix::fs::symlink(&elsewhere, server.dir().join("v/late.ini")).unwrap();
    assert_eq!(answer(late)[0], "late");
    // its target's changes are no events of the folder: the letter E makes the emperor look
    let changed = vassal(late, "env = WHO=later").replace("@DIR@", &server.dir().display().to_string());
    std::fs::write(&elsewhere, changed).unwrap();
    std::fs::write(server.dir().join("fifo"), "E").unwrap();
    wait_for("the changed target", || ask(late).filter(|a| a[0] == "later"));
    send(pid, libc::SIGUSR1);
    wait_for("the list of vassals", || {
        server
            .log()
            .contains("The Emperor is governing 2 vassals")
            .then_some(())
    });
}

#[test]
fn a_program_that_only_inherits_the_variable_is_no_vassal() {
    for number in ["9", "0", "x"] {
        let server = Setup::new().env("UWSGI_EMPEROR_FD", number).wsgi(APP).start();
        let log = server.log();
        assert!(
            log.contains("is no socket of an emperor") && !log.contains("has_emperor"),
            "{log}"
        );
        assert_eq!(server.get("/").status, 200);
    }
}

#[test]
fn a_change_while_a_broken_one_is_tried_is_not_lost() {
    let [port] = free_ports();
    let mut server = emperor(&[("a.ini", vassal(port, "env = WHO=one"))], &[]);
    let slow = "import os, time\nopen('@DIR@/tried', 'w').close()\nwhile not os.path.exists('@DIR@/go'):\n    time.sleep(0.01)\nraise ValueError('broken')\n";
    let slow = slow.replace("@DIR@", &server.dir().display().to_string());
    std::fs::write(server.dir().join("slow.py"), slow).unwrap();
    answer(port);
    server.wait_log("[emperor] vassal a.ini is ready to accept requests", 1);
    write(&server, "a.ini", &vassal(port, "").replace("/app.py", "/slow.py"));
    let tried = server.dir().join("tried");
    wait_for("the trial to load the application", || tried.exists().then_some(()));
    write(&server, "a.ini", &vassal(port, "env = WHO=two"));
    server.wait_log("[emperor] reload the uwsgi instance a.ini", 2);
    // the second order is in the vassal's hands; now the first trial may fail
    std::fs::write(server.dir().join("go"), "").unwrap();
    wait_for("the later configuration", || ask(port).filter(|a| a[0] == "two"));
    assert!(server.log().contains("ValueError: broken"));
}
