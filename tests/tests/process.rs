//! Master and workers: what clients and operators see of stop, reload, recycling and death.

use rsgi_tests::load::Load;
use rsgi_tests::{Server, Setup, is_alive, send, wait_for};
use std::time::{Duration, Instant};

const APP: &str = "
import os, time
def application(env, start_response):
    path = env['PATH_INFO']
    if path.startswith('/sleep/'):
        time.sleep(float(path[7:]))
    body = str(os.getpid()).encode()
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(body)))])
    return [body]
";

fn serve(args: &[&str]) -> Server {
    Setup::new().wsgi(APP).args(args.iter().copied()).start()
}

fn pids(server: &Server) -> Vec<i32> {
    server.workers().iter().map(|(_, pid)| *pid).collect()
}

#[test]
fn a_reload_under_load_loses_nothing_and_changes_the_code() {
    for keep in [false, true] {
        for args in [
            &["-p", "1"][..],
            &["-p", "2"],
            &["-p", "2", "--lazy-apps"],
            &["-p", "1", "--threads", "3"],
        ] {
            let mut server = serve(args);
            let old = pids(&server);
            let load = Load::start(server.port(), "/", 4, keep);
            load.wait_answers(30);
            server.signal(libc::SIGHUP);
            let new = server.wait_workers(old.len(), &old);
            wait_for("the old workers to leave", || {
                old.iter().all(|p| !is_alive(*p)).then_some(())
            });
            load.wait_answers(30);
            let seen = load.finish();
            assert_eq!(
                (seen.failures.as_slice(), seen.refused),
                (&[][..], 0),
                "{args:?} keep={keep}"
            );
            let last = seen.bodies.last().expect("answers");
            assert!(
                new.iter().any(|(_, p)| p.to_string() == *last),
                "{last} is none of {new:?}"
            );
        }
    }
}

#[test]
fn a_reload_keeps_the_pid_and_the_port_and_can_be_repeated() {
    let mut server = serve(&["-p", "1"]);
    let (pid, port) = (server.pid(), server.port());
    for _ in 0..3 {
        let old = pids(&server);
        server.signal(libc::SIGHUP);
        server.wait_workers(1, &old);
        wait_for("the old worker to leave", || {
            old.iter().all(|p| !is_alive(*p)).then_some(())
        });
        assert_eq!((server.pid(), server.get("/").status), (pid, 200));
        assert_eq!(server.port(), port);
    }
}

#[test]
fn a_reload_that_would_fail_changes_nothing() {
    let mut server = serve(&["-p", "1"]);
    let old = pids(&server);
    std::fs::write(server.dir().join("app.py"), "import no_such_module_at_all\n").unwrap();
    server.signal(libc::SIGHUP);
    server.wait_log("reload refused", 1);
    assert!(server.log().contains("no_such_module_at_all"));
    assert_eq!(pids(&server), old);
    assert_eq!(server.get("/").status, 200);
    // and the next one, mended, goes through
    std::fs::write(server.dir().join("app.py"), APP).unwrap();
    server.signal(libc::SIGHUP);
    server.wait_workers(1, &old);
}

#[test]
fn term_under_load_loses_nothing_and_ends_with_0() {
    for keep in [false, true] {
        for args in [&["-p", "1"][..], &["-p", "4"], &["-p", "1", "--threads", "3"]] {
            let mut server = serve(args);
            let load = Load::start(server.port(), "/", 4, keep);
            load.wait_answers(50);
            server.signal(libc::SIGTERM);
            assert_eq!(server.wait_exit().code(), Some(0));
            let seen = load.finish();
            assert_eq!(seen.failures, Vec::<String>::new(), "{args:?} keep={keep}");
        }
    }
}

#[test]
fn term_lets_a_running_request_finish() {
    let mut server = serve(&["-p", "1"]);
    let port = server.port();
    let slow = std::thread::spawn(move || rsgi_tests::http::get(port, "/sleep/1"));
    std::thread::sleep(Duration::from_millis(300));
    server.signal(libc::SIGTERM);
    assert_eq!(slow.join().unwrap().status, 200);
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn int_and_quit_stop_fast_also_with_a_busy_worker() {
    for signal in [libc::SIGINT, libc::SIGQUIT] {
        let mut server = serve(&["-p", "2"]);
        let port = server.port();
        let busy = std::thread::spawn(move || {
            use std::io::{Read, Write};
            let mut stream = rsgi_tests::http::connect(port);
            stream.write_all(b"GET /sleep/15 HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        });
        std::thread::sleep(Duration::from_millis(300));
        let began = Instant::now();
        server.signal(signal);
        assert_eq!(server.wait_exit().code(), Some(0));
        assert!(began.elapsed() < Duration::from_secs(5));
        busy.join().unwrap();
    }
}

#[test]
fn a_killed_worker_is_respawned_and_its_neighbours_notice_nothing() {
    let mut server = serve(&["-p", "3"]);
    let load = Load::start(server.port(), "/", 3, false);
    load.wait_answers(50);
    let all = server.workers();
    for (_, pid) in &all {
        send(*pid, libc::SIGKILL);
        wait_for("the worker's end", || (!is_alive(*pid)).then_some(()));
        load.wait_answers(30);
    }
    server.wait_workers(3, &all.iter().map(|(_, p)| *p).collect::<Vec<_>>());
    let seen = load.finish();
    // each kill may cut the one request that the killed worker was serving
    assert!(seen.failures.len() <= 3, "{:?}", seen.failures);
    assert_eq!(seen.refused, 0);
    server.wait_log("died, killed by signal 9 :( trying respawn ...", 3);
}

#[test]
fn recycling_spawns_the_replacement_first() {
    let server = serve(&["-p", "2", "--max-requests", "25", "--min-worker-lifetime", "0"]);
    let load = Load::start(server.port(), "/", 3, true);
    load.wait_answers(300);
    let seen = load.finish();
    assert_eq!((seen.failures, seen.refused), (vec![], 0));
    let mut lives = seen.bodies.clone();
    lives.sort();
    lives.dedup();
    assert!(lives.len() >= 4, "{lives:?}");
}

#[test]
fn workers_end_when_the_master_is_killed() {
    let server = serve(&["-p", "2"]);
    let workers = pids(&server);
    assert_eq!(server.get("/").status, 200);
    send(server.pid(), libc::SIGKILL);
    wait_for("the workers' end", || {
        workers.iter().all(|p| !is_alive(*p)).then_some(())
    });
}

#[test]
fn no_master_means_one_process_that_serves_and_stops() {
    let mut server = serve(&["--no-master"]);
    assert_eq!(server.get("/").text(), server.pid().to_string());
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn a_second_server_on_the_port_is_refused_with_the_reason() {
    let server = serve(&[]);
    let address = format!("127.0.0.1:{}", server.port());
    let ended = Setup::new().args(["--http-socket", &address]).run();
    assert_eq!(ended.code, 1);
    assert!(
        ended
            .output
            .contains("probably another instance of rsgi is running on the same address"),
        "{}",
        ended.output
    );
}

#[test]
fn an_application_that_cannot_be_imported_ends_the_start_with_22() {
    let ended = Setup::new().wsgi("import nothing_of_that_name\n").run();
    assert_eq!(ended.code, 22, "{}", ended.output);
    assert!(ended.output.contains("nothing_of_that_name"));
}

#[test]
fn pidfiles_and_unix_sockets_are_removed_at_the_end() {
    let mut server = Setup::new()
        .file("app.py", APP)
        .args([
            "--socket",
            "@DIR@/s.sock",
            "--chmod-socket=660",
            "--wsgi-file",
            "@DIR@/app.py",
            "--pidfile",
            "@DIR@/pid",
        ])
        .start();
    let dir = server.dir().to_path_buf();
    assert_eq!(
        std::fs::read_to_string(dir.join("pid")).unwrap().trim(),
        server.pid().to_string()
    );
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(
        std::fs::metadata(dir.join("s.sock")).unwrap().permissions().mode() & 0o777,
        0o660
    );
    server.signal(libc::SIGTERM);
    server.wait_exit();
    assert!(!dir.join("pid").exists() && !dir.join("s.sock").exists());
}

#[test]
fn a_worker_that_cannot_live_is_tried_with_growing_pauses() {
    let mut server = Setup::new()
        .file("app.py", "import os\nos._exit(7)\n")
        .args([
            "--http-socket",
            "127.0.0.1:0",
            "--wsgi-file",
            "@DIR@/app.py",
            "--lazy-apps",
        ])
        .start_unready();
    server.wait_log("died with exit code 7 :( trying respawn ...", 3);
    server.wait_log("next try in", 3);
    let tries = server.log().matches("died with exit code 7").count();
    assert!(tries < 10, "{tries} tries at once");
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn memory_does_not_grow_with_the_limit_of_descriptors() {
    let resident = |limit: &str| {
        let server = serve(&["-p", "1", "--max-fd", limit]);
        assert_eq!(server.get("/").status, 200);
        let of = |pid: i32| -> u64 {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            // without the pages of files, which come and go
            let field = |name: &str| -> u64 {
                let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap();
                line.trim().trim_end_matches(" kB").parse().unwrap()
            };
            field("RssAnon:") + field("RssShmem:")
        };
        (of(server.pid()), of(pids(&server)[0]))
    };
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the place is ours.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    let (few, many) = (resident("1024"), resident(&limit.rlim_max.min(1 << 20).to_string()));
    let near = |a: u64, b: u64| a.abs_diff(b) < 4096;
    assert!(near(few.0, many.0) && near(few.1, many.1), "{few:?} and {many:?} kB");
}

#[test]
fn touch_reload_reloads() {
    let mut server = serve(&["-p", "1", "--touch-reload", "@DIR@/touch"]);
    assert!(server.log().contains("unable to stat()"));
    let old = pids(&server);
    std::fs::write(server.dir().join("touch"), "").unwrap();
    server.wait_log("has been touched... grace them all", 1);
    server.wait_workers(1, &old);
}

#[test]
fn fs_reload_sees_what_is_written_inside_a_folder() {
    let setup = Setup::new().file("page.html", "1");
    let folder = setup.dir().join("code");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.py"), "1").unwrap();
    let mut server = setup.wsgi(APP).args(["--fs-reload", "@DIR@/code"]).start();
    let old = pids(&server);
    // neighbours mean nothing
    std::fs::write(server.dir().join("page.html"), "2").unwrap();
    std::fs::write(folder.join("a.py"), "2").unwrap();
    server.wait_log("code has been touched... grace them all", 1);
    server.wait_workers(1, &old);
    assert!(!server.log().contains("page.html"));
}

#[test]
fn titles_tell_what_processes_do() {
    let mut server = serve(&["-p", "1", "--auto-procname"]);
    let worker = pids(&server)[0];
    let title = |pid: i32| {
        let text = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&text).trim_end_matches('\0').to_owned()
    };
    wait_for("the idle worker", || (title(worker) == "rsgi worker 1").then_some(()));
    assert_eq!(title(server.pid()), "rsgi master");
    let port = server.port();
    let client = std::thread::spawn(move || rsgi_tests::http::get(port, "/sleep/1").status);
    wait_for("the busy worker", || {
        (title(worker) == "rsgi worker 1 (busy)").then_some(())
    });
    server.signal(libc::SIGTERM);
    wait_for("the leaving master", || {
        (title(server.pid()) == "rsgi master (leaving)").then_some(())
    });
    assert_eq!(client.join().unwrap(), 200);
    server.wait_exit();
}

#[test]
fn attached_programs_live_and_die_with_the_server() {
    let mut server = serve(&["--attach-daemon", "echo $$ >> pids; exec sleep 60"]);
    let read = |server: &Server| -> Vec<i32> {
        let text = std::fs::read_to_string(server.dir().join("pids")).unwrap_or_default();
        text.lines().filter_map(|l| l.parse().ok()).collect()
    };
    let first = wait_for("the program", || read(&server).first().copied());
    send(first, libc::SIGKILL);
    server.wait_log("[uwsgi-daemons] respawning", 1);
    let second = wait_for("its successor", || read(&server).get(1).copied());
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    wait_for("the successor's end", || (!is_alive(second)).then_some(()));
}

#[test]
fn rare_requests_reach_all_workers() {
    let mut server = serve(&["-p", "3"]);
    let workers = server.wait_workers(3, &[]);
    let mut seen = std::collections::BTreeSet::new();
    wait_for("an answer of each worker", || {
        // one that has just served goes to the end of the line after a while
        seen.insert(server.get("/pid").text());
        (seen.len() == workers.len()).then_some(())
    });
}
