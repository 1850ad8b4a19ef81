//! `rsgi top` and `rsgi --ping` against a running server.

use rsgi_tests::{Server, Setup, program, wait_for};
use std::process::{Command, Stdio};

const APP: &str = "
import time
def application(env, start_response):
    if env['PATH_INFO'] == '/sleep':
        time.sleep(30)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'hello']
";

fn rsgi(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(program("rsgi"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the binary can be run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text)
}

fn start(args: &[&str]) -> Server {
    Setup::new().wsgi(APP).args(args.iter().copied()).start()
}

fn stats_address(server: &Server) -> String {
    let log = server.log();
    let rest = log
        .split("Stats server enabled on ")
        .nth(1)
        .unwrap_or_else(|| panic!("{log}"));
    rest.split(' ').next().unwrap().to_owned()
}

#[test]
fn one_frame_shows_the_workers_over_every_kind_of_address() {
    let config = "[uwsgi]\nhttp-socket = 127.0.0.1:0\nwsgi-file = @DIR@/app.py\nprocesses = 2\nstats = @DIR@/s.sock\npidfile = @DIR@/pid\n";
    let mut server = Setup::new()
        .file("app.py", APP)
        .file("c.ini", config)
        .args(["@DIR@/c.ini"])
        .start_unready();
    server.wait_workers(2, &[]);
    for _ in 0..3 {
        server.get("/");
    }
    let dir = server.dir().display().to_string();
    for address in ["s.sock", "c.ini", "pid"] {
        let frame = wait_for("three requests", || {
            let (code, text) = rsgi(&["top", "--once", &format!("{dir}/{address}")]);
            assert_eq!(code, 0, "{text}");
            text.contains("requests 3 ").then_some(text)
        });
        assert!(
            frame.contains("workers 2: busy 0, idle 2") && frame.contains("STATUS"),
            "{frame}"
        );
        assert!(frame.contains(&server.pid().to_string()), "{frame}");
        for (_, pid) in server.workers() {
            assert!(frame.contains(&pid.to_string()), "{pid} in {frame}");
        }
    }
}

#[test]
fn statistics_over_http_and_what_is_being_served() {
    let server = start(&["--stats", "127.0.0.1:0", "--stats-http"]);
    let mut busy = server.connect(server.port());
    std::io::Write::write_all(&mut busy, b"GET /sleep HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let address = format!("http://{}", stats_address(&server));
    wait_for("the busy worker", || {
        let (code, text) = rsgi(&["top", "--once", &address]);
        assert_eq!(code, 0, "{text}");
        (text.contains("busy 1") && text.contains("GET /sleep")).then_some(())
    });
}

#[test]
fn wrong_addresses_are_said() {
    let server = start(&[]);
    for (address, said) in [
        (
            "127.0.0.1:1",
            "cannot read the statistics at 127.0.0.1:1: Connection refused",
        ),
        ("/no/such.sock", "cannot read the statistics"),
        (
            &format!("http://127.0.0.1:{}", server.port()),
            "is this the address of --stats?",
        ),
        (":0", "the server's log has it"),
    ] {
        let (code, text) = rsgi(&["top", "--once", address]);
        assert!(code == 1 && text.contains(said), "{address}: {code} {text}");
    }
    let (code, text) = rsgi(&["top"]);
    assert!(code == 1 && text.contains("usage: rsgi top"), "{text}");
    let (code, text) = rsgi(&["top", &server.port().to_string()]);
    assert_eq!(code, 1, "{text}");
}

#[test]
fn a_ping_is_answered_by_either_protocol_and_not_by_a_busy_worker() {
    let server = start(&["--socket", "127.0.0.1:0"]);
    for number in [0, 1] {
        let address = format!("127.0.0.1:{}", server.port_of_socket(number));
        let (code, text) = rsgi(&["--ping", &address]);
        assert!(code == 0 && text.contains("is alive"), "{number}: {text}");
    }
    assert_eq!(rsgi(&["--ping", "127.0.0.1:1"]).0, 1);
    let mut busy = server.connect(server.port());
    std::io::Write::write_all(&mut busy, b"GET /sleep HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let address = format!("127.0.0.1:{}", server.port_of_socket(1));
    let (code, text) = wait_for("the worker to be busy", || {
        Some(rsgi(&["--ping", &address, "--ping-timeout", "1"])).filter(|(code, _)| *code != 0)
    });
    assert!(code == 2 && text.contains("does not answer"), "{code} {text}");
    assert_eq!(rsgi(&["--ping", &address, "--ping-timeout", "x"]).0, 1);
}

/// A terminal: our end, and the other one for a program.
fn terminal() -> (std::fs::File, std::fs::File) {
    use std::os::fd::FromRawFd;
    let (mut ours, mut theirs) = (0, 0);
    let size = libc::winsize {
        ws_row: 30,
        ws_col: 200,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: the numbers and the size are ours; no name and no settings are asked for.
    let made = unsafe { libc::openpty(&mut ours, &mut theirs, std::ptr::null_mut(), std::ptr::null(), &size) };
    assert_eq!(made, 0, "a terminal can be made");
    // SAFETY: just made for us.
    unsafe { (std::fs::File::from_raw_fd(ours), std::fs::File::from_raw_fd(theirs)) }
}

#[test]
fn a_terminal_shows_frames_obeys_keys_and_is_given_back() {
    use std::io::{Read, Write};
    let server = start(&["--stats", "127.0.0.1:0", "-p", "2"]);
    let (mut ours, theirs) = terminal();
    let mut top = Command::new(program("rsgi"))
        .args(["top", "--interval", "0.2", &stats_address(&server)])
        .stdin(theirs.try_clone().unwrap())
        .stdout(theirs.try_clone().unwrap())
        .stderr(theirs)
        .spawn()
        .unwrap();
    let (sender, shown) = std::sync::mpsc::channel();
    let mut reader = ours.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(n @ 1..) = reader.read(&mut bytes) {
            let _ = sender.send(String::from_utf8_lossy(&bytes[..n]).into_owned());
        }
    });
    let mut all = String::new();
    let mut wait = |mark: &str| {
        wait_for(mark, || {
            all.extend(shown.try_iter());
            all.contains(mark).then_some(())
        });
    };
    wait("\u{1b}[?1049h");
    wait("+WID");
    ours.write_all(b"r").unwrap();
    wait("-REQ");
    server.get("/");
    wait("requests 1 ");
    ours.write_all(b"q").unwrap();
    wait("\u{1b}[?1049l");
    assert!(top.wait().unwrap().success());
}
