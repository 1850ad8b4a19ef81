//! What happens before a server serves: conditions, locks, limits, fallback; and modes that end by themselves.

use rsgi_tests::{Setup, is_alive, wait_for};

const APP: &str = "
import os, resource
def application(env, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    if env['PATH_INFO'] == '/as':
        return [str(resource.getrlimit(resource.RLIMIT_AS)[0] >> 20).encode()]
    return [os.environ.get('UWSGI_RELOADS', 'none').encode()]
print('IMPORTED', flush=True)
";

#[test]
fn a_file_and_a_folder_are_waited_for() {
    let setup = Setup::new()
        .wsgi(APP)
        .args(["--wait-for-file", "@DIR@/go", "--wait-for-dir", "@DIR@/d"]);
    let mut server = setup.start_unready();
    server.wait_log("waiting for ", 1);
    std::fs::create_dir(server.dir().join("go")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(400));
    assert!(!server.log().contains("IMPORTED"), "a folder is no file");
    std::fs::remove_dir(server.dir().join("go")).unwrap();
    std::fs::write(server.dir().join("go"), "").unwrap();
    server.wait_log("/d ...", 1);
    std::fs::create_dir(server.dir().join("d")).unwrap();
    server.wait_workers(1, &[]);
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn what_does_not_come_in_time_ends_the_start_and_refuses_a_reload() {
    let args = ["--wait-for-socket", "@DIR@/none.sock", "--wait-for-socket-timeout", "1"];
    let ended = Setup::new().wsgi(APP).args(args).run();
    assert_eq!(ended.code, 1);
    assert!(
        ended.output.contains("none.sock is not there after 1 seconds"),
        "{}",
        ended.output
    );

    let mut server = Setup::new()
        .file("f", "")
        .wsgi(APP)
        .args(["--wait-for-file", "@DIR@/f"])
        .start();
    std::fs::remove_file(server.dir().join("f")).unwrap();
    server.signal(libc::SIGHUP);
    server.wait_log("reload refused", 1);
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn a_lock_keeps_a_second_instance_away_and_stays_over_a_reload() {
    let mut server = Setup::new().wsgi(APP).args(["--flock", "@DIR@/lock"]).start();
    let lock = server.dir().join("lock").display().to_string();
    for round in 0..2 {
        let second = Setup::new().wsgi(APP).args(["--flock", &lock]).run();
        assert_eq!(second.code, 1, "{round}");
        assert!(
            second.output.contains("another process has the lock"),
            "{}",
            second.output
        );
        let old = server.workers()[0].1;
        server.signal(libc::SIGHUP);
        server.wait_workers(1, &[old]);
        wait_for("the old worker to leave", || (!is_alive(old)).then_some(()));
    }
}

#[test]
fn the_address_space_is_limited() {
    let server = Setup::new().wsgi(APP).args(["--limit-as", "900"]).start();
    assert_eq!(server.get("/as").text(), "900");
}

#[test]
fn reloads_are_counted_for_the_application() {
    let mut server = Setup::new().wsgi(APP).args(["--auto-procname"]).start();
    for count in 0..3 {
        assert_eq!(server.get("/").text(), count.to_string());
        let old = server.workers()[0].1;
        let title = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let is = |pid, wanted: &str| title(pid).trim_end_matches('\0') == wanted;
        wait_for("the titles", || {
            (is(server.pid(), "rsgi master") && is(old, "rsgi worker 1")).then_some(())
        });
        server.signal(libc::SIGHUP);
        server.wait_workers(1, &[old]);
        wait_for("the old worker to leave", || (!is_alive(old)).then_some(()));
    }
}

#[test]
fn no_server_loads_the_application_and_ends() {
    let ended = Setup::new().wsgi(APP).args(["--no-server"]).run();
    assert_eq!(ended.code, 0);
    assert!(
        ended.output.contains("IMPORTED") && !ended.output.contains("worker 1"),
        "{}",
        ended.output
    );
}

#[test]
fn the_fallback_takes_over_when_the_start_fails() {
    let fallback = "[uwsgi]\nhttp-socket = 127.0.0.1:0\nwsgi-file = @DIR@/app.py\n";
    let mut server = Setup::new()
        .file("app.py", APP)
        .file("f.ini", fallback)
        .args(["--socket", "/no/such/folder/x.sock", "--fallback-config", "@DIR@/f.ini"])
        .start();
    assert!(
        server
            .log()
            .contains(&format!("(pid: {}) exited with status 1 !!!", server.pid()))
    );
    server.wait_log("!!! Fallback config to ", 1);
    assert_eq!(server.get("/").text(), "0");
}

#[test]
fn a_server_without_a_request_plugin_says_so() {
    let warning = "no request plugin is loaded, you will not be able to manage requests.";
    let mut server = Setup::new().args(["--http-socket", "127.0.0.1:0"]).start();
    server.wait_log(warning, 1);
    let server = Setup::new()
        .args(["--http-socket", "127.0.0.1:0", "--static-map", "/=@DIR@"])
        .start();
    assert!(!server.log().contains(warning));
}

#[test]
fn lists_of_algorithms_and_loggers() {
    let ended = Setup::new()
        .args(["--cheaper-algo-list", "--logger-list", "--no-server"])
        .run();
    assert_eq!(ended.code, 0, "{}", ended.output);
    for line in [
        "*** rsgi loaded cheaper algorithms ***\nspare\n",
        "*** rsgi loaded loggers ***\n",
    ] {
        assert!(ended.output.contains(line), "{}", ended.output);
    }
}
