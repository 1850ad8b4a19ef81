//! The log: what request lines say, which are written, and where they end.

use rsgi_tests::{Server, Setup, wait_for};

const APP: &str = "
import os, time, uwsgi
def application(env, start_response):
    path = env['PATH_INFO']
    if path == '/logvar':
        uwsgi.set_logvar('team', 'blue')
        uwsgi.set_logvar('team', 'green')
    if path == '/slow':
        time.sleep(0.3)
    start_response(path[1:4] + ' X' if path[1:4].isdigit() else '200 OK', [('Content-Type', 'text/plain')])
    if path == '/disconnect':
        yield b'before'
        uwsgi.disconnect()
        time.sleep(0.5)
        print('went on', flush=True)
        return
    yield {'/zero': b'', '/big': b'x' * 5000}.get(path, str(os.getpid()).encode())
";

fn start(args: &[&str]) -> Server {
    Setup::new().wsgi(APP).args(args.iter().copied()).start()
}

/// The line of one request by a template.
fn line(template: &str, args: &[&str], send: &str) -> (Server, String) {
    let mut server = start(&[&["--log-format", &format!("FMT {template} END")], args].concat());
    rsgi_tests::http::exchange(server.port(), send.as_bytes());
    server.wait_log(" END\n", 1);
    let log = server.log();
    let line = log.lines().find_map(|l| l.strip_prefix("FMT ")?.strip_suffix(" END"));
    let line = line.unwrap_or_else(|| panic!("{log}")).to_owned();
    (server, line)
}

#[test]
fn texts_of_the_request() {
    let (_server, line) = line(
        r#"%(method) %(uri) %(proto) %(host) %(addr) [%(user)] "%(referer)" "%(uagent)" %(var.HTTP_X_TAG) %(var.NONE) %(none)%"#,
        &[],
        "GET /a?b=c HTTP/1.1\r\nHost: h\r\nX-Tag: t\r\nUser-Agent: ua (x)\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(line, r#"GET /a?b=c HTTP/1.1 h 127.0.0.1 [-] "-" "ua (x)" t - -%"#);
}

#[test]
fn figures_of_the_request() {
    let (server, line) = line(
        "%(status) %(rsize) %(hsize) %(size) %(headers) %(cl) %(wid) %(core) %(pid) %(msecs) %(micros) %(tmsecs) %(tmicros) %(time) %(epoch) %(ioerr)",
        &[],
        "POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
    );
    let n: Vec<u64> = line
        .split(' ')
        .map(|n| n.parse().unwrap_or_else(|_| panic!("{line}")))
        .collect();
    let pid = server.workers()[0].1;
    assert_eq!((n[0], n[3], n[4], n[5]), (200, n[1] + n[2], 1, 2), "{line}");
    assert_eq!(n[1], pid.to_string().len() as u64);
    assert_eq!((n[6], n[7], n[8]), (1, 0, pid as u64));
    assert!(n[9] >= 300 && n[9] == n[10] / 1000, "{line}");
    assert!(
        n[11] == n[12] / 1000 && n[13] == n[11] / 1000 && n[14] >= n[13],
        "{line}"
    );
    assert_eq!(n[15], 0);
}

#[test]
fn memory_is_told_when_it_is_measured() {
    const SEND: &str = "GET / HTTP/1.0\r\n\r\n";
    let (_server, with) = line("%(rssM) %(vszM)", &["--memory-report"], SEND);
    assert!(with.split(' ').all(|n| n.parse::<u64>().unwrap() > 0), "{with}");
    assert_eq!(line("%(rssM) %(vszM)", &[], SEND).1, "0 0");
}

#[test]
fn log_variables_are_of_one_request_and_the_last_value_counts() {
    let mut server = start(&["--log-format", "%(uri)=%(team)."]);
    server.get("/logvar");
    server.get("/other");
    server.wait_log("/other=-.\n", 1);
    assert!(server.log().contains("/logvar=green.\n"));
}

#[test]
fn a_client_cannot_forge_a_line() {
    let mut server = start(&["--log-format", "%(var.HTTP_X) %(uagent)|"]);
    rsgi_tests::http::exchange(
        server.port(),
        b"GET / HTTP/1.0\r\nUser-Agent: a\tb\x1b[2J\r\nX: \tc\td\r\n\r\n",
    );
    // either the head is refused or the characters are escaped
    wait_for("a line", || {
        (server.log().contains("|\n") || server.log().contains("400")).then_some(())
    });
    assert!(
        !server.log().contains('\x1b') && !server.log().contains("a\tb"),
        "{}",
        server.log()
    );
    server.get("/");
    server.wait_log("|\n", 1);
}

#[test]
fn dates_are_of_the_requests_start_and_log_date_leaves_request_lines_alone() {
    const SEND: &str = "GET / HTTP/1.0\r\n\r\n";
    let (server, line) = line(
        "%(ftime) %(ltime)",
        &["--log-date=%Y/%m", "--log-format-strftime"],
        SEND,
    );
    let (date, local) = line.split_once(' ').unwrap();
    assert_eq!(date.len(), 7, "{line}");
    assert!(server.log().contains(&format!("{date} - spawned rsgi worker 1 ")));
    assert!(
        local.ends_with(" +0000") && local.matches(['/', ':']).count() == 5,
        "{line}"
    );
}

#[test]
fn filters_choose_what_is_logged() {
    for (filter, logged) in [
        (&["--log-zero"][..], "/zero"),
        (&["--log-big", "1000"], "/big"),
        (&["--log-slow", "200"], "/slow"),
        (&["--log-4xx"], "/404"),
        (&["--log-5xx"], "/500"),
    ] {
        let mut server = start(&[&["--disable-logging"], filter].concat());
        for path in ["/404", "/500", "/zero", "/big", "/slow", "/", logged] {
            server.get(path);
        }
        server.wait_log(&format!("GET {logged} =>"), 2);
        assert_eq!(
            server.log().matches(" => generated ").count(),
            2,
            "{filter:?}\n{}",
            server.log()
        );
    }
}

#[test]
fn disconnect_ends_the_connection_and_the_request_goes_on() {
    let mut server = start(&[]);
    let begun = std::time::Instant::now();
    let answer = server.get("/disconnect");
    assert_eq!(answer.body, b"before");
    assert!(begun.elapsed() < std::time::Duration::from_millis(450));
    server.wait_log("went on", 1);
    assert_eq!(server.get("/").status, 200);
}

fn logs(server: &Server) -> Vec<String> {
    let names = std::fs::read_dir(server.dir()).unwrap().flatten();
    names
        .map(|e| e.file_name().into_string().unwrap())
        .filter(|n| n.starts_with("l.") || n == "old")
        .collect()
}

/// A server whose log goes to `log` in its folder: the harness' own log stays empty, so that file and the port are what
/// is waited for.
fn start_quietly(log: &str, args: &[&str]) -> (Server, u16) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let server = Setup::new()
        .file("app.py", APP)
        .args([
            "--http-socket",
            &format!("127.0.0.1:{port}"),
            "--wsgi-file",
            "@DIR@/app.py",
        ])
        .args(args.iter().copied())
        .start_unready();
    // it listens before the master has looked at the files that it watches
    let log = server.dir().join(log);
    wait_for("the server", || {
        let started = std::fs::read_to_string(&log).ok()?.contains("spawned rsgi worker 1");
        (started && std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).then_some(())
    });
    (server, port)
}

fn start_with_file(args: &[&str]) -> (Server, u16) {
    start_quietly("l", &[&["--logto", "@DIR@/l"], args].concat())
}

#[test]
fn the_log_is_rotated_when_it_has_grown_and_goes_on_over_a_reload() {
    let (server, port) = start_with_file(&["--log-maxsize", "4000", "--log-backupname", "@DIR@/old"]);
    let read = |name: &str| std::fs::read_to_string(server.dir().join(name)).unwrap_or_default();
    for _ in 0..40 {
        rsgi_tests::http::get(port, "/");
    }
    wait_for("the rotation", || (!logs(&server).is_empty()).then_some(()));
    wait_for("the reason", || {
        read("old").contains("triggering rotation to").then_some(())
    });
    rsgi_tests::http::get(port, "/after-rotation");
    wait_for("the new file", || {
        read("l").contains("GET /after-rotation").then_some(())
    });
    server.signal(libc::SIGHUP);
    wait_for("the reload", || {
        read("l").contains("spawned rsgi worker 1").then_some(())
    });
    rsgi_tests::http::get(port, "/after-reload");
    wait_for("a line after the reload", || {
        read("l").contains("GET /after-reload").then_some(())
    });
}

#[test]
fn touch_logreopen_follows_a_rename() {
    let (server, port) = start_with_file(&["--touch-logreopen", "@DIR@/t"]);
    let path = |name: &str| server.dir().join(name);
    std::fs::rename(path("l"), path("l.moved")).unwrap();
    std::fs::write(path("t"), "").unwrap();
    wait_for("the new file", || path("l").exists().then_some(()));
    rsgi_tests::http::get(port, "/renamed");
    let read = |name: &str| std::fs::read_to_string(path(name)).unwrap_or_default();
    wait_for("the line", || read("l").contains("GET /renamed").then_some(()));
    assert!(!read("l.moved").contains("GET /renamed"));
}

#[test]
fn lines_of_old_workers_are_not_lost_in_a_reload_with_log_master() {
    let mut server = start(&["--log-master", "-p", "1"]);
    let (old, port) = (server.workers()[0].1, server.port());
    let slow = std::thread::spawn(move || rsgi_tests::http::get(port, "/slow"));
    std::thread::sleep(std::time::Duration::from_millis(50));
    server.signal(libc::SIGHUP);
    server.wait_workers(1, &[old]);
    assert_eq!(slow.join().unwrap().status, 200);
    server.get("/new");
    server.wait_log("GET /new => generated", 1);
    server.wait_log("GET /slow => generated", 1);
}

#[test]
fn request_lines_have_loggers_of_their_own_and_files_follow_a_rename() {
    let (server, port) = start_quietly(
        "all",
        &["--logger", "file:@DIR@/all", "--req-logger", "file:@DIR@/requests"],
    );
    let get = |path: &str| assert_eq!(rsgi_tests::http::get(port, path).status, 200);
    let path = |name: &str| server.dir().join(name);
    let read = |name: &str| std::fs::read_to_string(path(name)).unwrap_or_default();
    get("/one");
    wait_for("the request line", || {
        read("requests").contains("GET /one =>").then_some(())
    });
    assert!(read("all").contains("spawned rsgi worker 1"));
    assert!(!read("all").contains("GET /one") && !read("requests").contains("spawned"));
    std::fs::rename(path("requests"), path("moved")).unwrap();
    get("/two");
    wait_for("the new file", || {
        read("requests").contains("GET /two =>").then_some(())
    });
    let old = server.pid();
    server.signal(libc::SIGHUP);
    wait_for("the reload", || {
        (read("all").matches("spawned rsgi worker 1").count() == 2).then_some(())
    });
    get("/three");
    wait_for("a line after the reload", || {
        read("requests").contains("GET /three =>").then_some(())
    });
    assert_eq!(server.pid(), old);
}

#[test]
fn a_socket_logger_sends_one_datagram_a_line() {
    let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(rsgi_tests::PATIENCE)).unwrap();
    let address = receiver.local_addr().unwrap();
    let server = start(&["--req-logger", &format!("socket:{address}")]);
    server.get("/one");
    server.get("/two");
    for path in ["/one", "/two"] {
        let mut line = [0u8; 2048];
        let n = receiver.recv(&mut line).unwrap();
        let line = String::from_utf8_lossy(&line[..n]).into_owned();
        assert!(
            line.contains(&format!("GET {path} =>")) && line.ends_with('\n'),
            "{line}"
        );
        assert_eq!(line.lines().count(), 1);
    }
    assert!(!server.log().contains("GET /one"));
}
