//! What systemd sees: readiness, reloads, the end, the watchdog, sockets that it passes; and `--notify-socket`.

use rsgi_tests::{Server, Setup, http, wait_for};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

const APP: &str = "
import os
def application(env, start_response):
    start_response('200 OK', [])
    return [str(os.getpid()).encode()]
";

/// Collects what a server tells systemd.
struct Manager {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Manager {
    fn new(dir: &Path) -> Self {
        let socket = UnixDatagram::bind(dir.join("notify")).expect("the folder is writable");
        socket.set_nonblocking(true).expect("it is a socket");
        Self {
            socket,
            heard: Vec::new(),
        }
    }

    fn listen(&mut self) {
        let mut bytes = [0u8; 4096];
        while let Ok(n) = self.socket.recv(&mut bytes) {
            self.heard.push(String::from_utf8_lossy(&bytes[..n]).into_owned());
        }
    }

    /// Waits until a message with `text` has come `count` times.
    fn wait(&mut self, text: &str, count: usize) {
        wait_for(&format!("{text:?} ({count} times)"), || {
            self.listen();
            (self.heard.iter().filter(|m| m.contains(text)).count() >= count).then_some(())
        });
    }

    fn at(&self, text: &str) -> usize {
        self.heard.iter().position(|m| m.contains(text)).expect("it was heard")
    }
}

fn serve(app: &str, more: &[&str], env: &[(&str, &str)]) -> (Server, Manager) {
    let setup = Setup::new();
    let manager = Manager::new(setup.dir());
    let path = setup.dir().join("notify").display().to_string();
    let setup = env.iter().fold(setup, |setup, (k, v)| setup.env(k, v));
    let setup = setup.env("NOTIFY_SOCKET", &path).wsgi(app).args(more.iter().copied());
    (setup.start(), manager)
}

#[test]
fn a_reload_is_announced_and_ready_is_said_again() {
    let (mut server, mut manager) = serve(APP, &["-p", "2"], &[]);
    manager.wait("READY=1", 1);
    server.signal(libc::SIGHUP);
    manager.wait("RELOADING=1", 1);
    manager.wait("READY=1", 2);
    let reloading = &manager.heard[manager.at("RELOADING=1")];
    let stamp = reloading
        .lines()
        .find_map(|l| l.strip_prefix("MONOTONIC_USEC="))
        .expect("systemd wants it");
    assert!(stamp.parse::<u64>().is_ok_and(|usec| usec > 1_000_000), "{stamp}");
    std::fs::write(server.dir().join("app.py"), "import nothing_of_that_name\n").unwrap();
    server.signal(libc::SIGHUP);
    manager.wait("RELOADING=1", 2);
    manager.wait("READY=1", 3);
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    manager.wait("STOPPING=1", 1);
    assert_eq!(manager.heard.last().map(|m| m.starts_with("STOPPING=1")), Some(true));
}

#[test]
fn ready_waits_for_applications_of_lazy_workers() {
    let slow = format!("import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.01)\n{APP}");
    let (mut server, mut manager) = serve(&slow, &["--lazy-apps"], &[]);
    manager.wait("STATUS=", 1);
    server.wait_log("spawned rsgi worker 1", 1);
    manager.listen();
    assert!(
        !manager.heard.iter().any(|m| m.contains("READY=1")),
        "{:?}",
        manager.heard
    );
    std::fs::write(server.dir().join("go"), "").unwrap();
    manager.wait("READY=1", 1);
}

#[test]
fn a_watchdog_gets_signs_of_life_if_it_asks_for_them() {
    let (_server, mut manager) = serve(APP, &[], &[("WATCHDOG_USEC", "2000000")]);
    manager.wait("WATCHDOG=1", 3);
    // one that watches another process does not
    let (_server, mut manager) = serve(APP, &[], &[("WATCHDOG_USEC", "2000000"), ("WATCHDOG_PID", "1")]);
    manager.wait("READY=1", 1);
    manager.listen();
    assert!(!manager.heard.iter().any(|m| m.contains("WATCHDOG")));
}

/// A server with a socket as descriptor 3, as systemd starts it.
struct Activated {
    child: std::process::Child,
    dir: tempfile::TempDir,
}

impl Activated {
    fn start(listener: &TcpListener) -> Self {
        let dir = tempfile::tempdir().expect("a folder can be made");
        std::fs::write(dir.path().join("app.py"), APP).expect("the folder is writable");
        let log = std::fs::File::create(dir.path().join("log")).expect("the folder is writable");
        let fd = listener.as_raw_fd();
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"", "sh"])
            .arg(rsgi_tests::program("rsgi"))
            .args(["--protocol", "http", "--wsgi-file", "app.py", "-p", "1"])
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor is left"))
            .stderr(log)
            .process_group(0);
        // SAFETY: async-signal-safe calls; by way of another number, in case it is 3 already and closes on exec.
        unsafe {
            command.pre_exec(
                move || match libc::dup2(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 10), 3) {
                    3 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                },
            )
        };
        let child = command.spawn().expect("the binary can be run");
        Self { child, dir }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Activated {
    fn drop(&mut self) {
        // SAFETY: a signal to a group that we made.
        unsafe { libc::kill(-(self.child.id() as i32), libc::SIGKILL) };
        let _ = self.child.wait();
    }
}

#[test]
fn a_socket_of_systemd_is_served_and_survives_reloads() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is left");
    let port = listener.local_addr().expect("bound").port();
    let server = Activated::start(&listener);
    // only the server's copy is left: were it lost, nobody could connect
    drop(listener);
    let mut before = wait_for("the first answer", || {
        Some(http::get(port, "/").text()).filter(|t| !t.is_empty())
    });
    assert!(server.log().contains("- SystemD socket activation detected -"));
    for _ in 0..2 {
        rsgi_tests::send(server.child.id() as i32, libc::SIGHUP);
        before = wait_for("an answer of the new image", || {
            Some(http::get(port, "/").text()).filter(|now| *now != before)
        });
    }
}

#[test]
fn what_others_send_to_the_notify_socket_is_logged() {
    let setup = Setup::new().wsgi(APP).args(["-p", "1", "--notify-socket", "@DIR@/n"]);
    let mut server = setup.start();
    server.wait_log("notification socket enabled on", 1);
    let sender = UnixDatagram::unbound().unwrap();
    let path = server.dir().join("n");
    sender.send_to(b"hello there\n", &path).unwrap();
    server.wait_log("[notify-socket] hello there", 1);
    let old = server.workers();
    server.signal(libc::SIGHUP);
    server.wait_workers(1, &[old[0].1]);
    sender.send_to(b"after the reload", &path).unwrap();
    server.wait_log("[notify-socket] after the reload", 1);
    server.signal(libc::SIGTERM);
    server.wait_exit();
    assert!(!path.exists());
}
