//! The harness of the behaviour tests: starts the real binary on ports that the kernel chooses, reads its log, talks
//! to it over real sockets, and leaves no process behind.
//!
//! Build the workspace first (`make test` does): the binary and the plugins are taken from the target folder that
//! the test itself runs from.

pub mod certificate;
pub mod gunicorn;
pub mod http;
pub mod interpreters;
pub mod load;
pub mod pty;
pub mod python;
pub mod venv;
pub mod websocket;

use std::io::Read;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The folder with `rsgi`, `uwsgiconfig` and the plugins.
pub fn build_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("a running test has a file");
    let mut dir = exe.parent().expect("it lies in a folder");
    while !dir.join("rsgi").is_file() {
        dir = dir
            .parent()
            .expect("no rsgi in the target folder: run `cargo build --workspace` first (make test does)");
    }
    dir.to_path_buf()
}

/// A program of the build.
pub fn program(name: &str) -> PathBuf {
    build_dir().join(name)
}

/// Says that a test, or a part of it, is left out. The line is seen in the output of a run that passes, too.
pub fn skipped(why: &str) {
    use std::io::Write;
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    // not `eprintln!`, which the test runner keeps to itself
    let _ = writeln!(std::io::stderr(), "SKIPPED in {name}: {why}");
}

/// Polls until `ready` gives something.
///
/// # Panics
/// After [`PATIENCE`], with `what`.
pub fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(Instant::now() < end, "timed out waiting for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process lives (a zombie does not).
pub fn is_alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|s| s.rsplit_once(") ").map(|(_, rest)| !rest.starts_with('Z')))
        .unwrap_or(false)
}

/// A server to be started.
pub struct Setup {
    dir: TempDir,
    args: Vec<String>,
    env: Vec<(String, String)>,
    program: PathBuf,
    stdin: Stdio,
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

impl Setup {
    /// A server in a new folder.
    pub fn new() -> Self {
        Self {
            dir: tempfile::Builder::new()
                .prefix("rsgi-test")
                .tempdir()
                .expect("a temporary folder can be made"),
            args: Vec::new(),
            env: Vec::new(),
            program: program("rsgi"),
            stdin: Stdio::null(),
        }
    }

    /// The folder; also the server's current one.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file into the folder; `@DIR@` in it becomes the folder.
    pub fn file(self, name: &str, text: &str) -> Self {
        let folder = self.dir.path().join(name);
        std::fs::create_dir_all(folder.parent().expect("it has one")).expect("the folder is writable");
        let text = text.replace("@DIR@", &self.dir.path().display().to_string());
        std::fs::write(self.dir.path().join(name), text).expect("the folder is writable");
        self
    }

    /// Adds arguments; `@DIR@` becomes the folder.
    pub fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        let dir = self.dir.path().display().to_string();
        self.args.extend(args.into_iter().map(|a| a.replace("@DIR@", &dir)));
        self
    }

    /// Another binary than that of the build.
    pub fn program(mut self, program: PathBuf) -> Self {
        self.program = program;
        self
    }

    /// Another standard input than nothing.
    pub fn stdin(mut self, stdin: Stdio) -> Self {
        self.stdin = stdin;
        self
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// A Python application on `--http-socket`, and a port of the kernel's choice.
    pub fn wsgi(self, app: &str) -> Self {
        self.file("app.py", app)
            .args(["--http-socket", "127.0.0.1:0", "--wsgi-file", "@DIR@/app.py"])
    }

    fn spawn(self) -> Server {
        let log = self.dir.path().join("server.log");
        let file = std::fs::File::create(&log).expect("the folder is writable");
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .current_dir(self.dir.path())
            .stdin(self.stdin)
            .stdout(file.try_clone().expect("a descriptor is left"))
            .stderr(file)
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env_remove("VIRTUAL_ENV")
            .env_remove("PYTHONUNBUFFERED")
            .process_group(0);
        for (key, _) in std::env::vars().filter(|(k, _)| k.starts_with("UWSGI_") || k.starts_with("RSGI_")) {
            command.env_remove(key);
        }
        command.envs(self.env);
        let child = command.spawn().expect("the binary can be run");
        Server {
            child,
            dir: self.dir,
            log,
            status: None,
        }
    }

    /// Starts it and waits until every worker takes requests.
    pub fn start(self) -> Server {
        let workers = self.count_workers();
        let mut server = self.spawn();
        server.wait_ready(workers);
        server
    }

    /// Starts it without waiting.
    pub fn start_unready(self) -> Server {
        self.spawn()
    }

    /// Runs it to its end: exit code and output.
    pub fn run(self) -> Ended {
        let mut server = self.spawn();
        let status = server.wait_exit();
        Ended {
            code: status.code().unwrap_or(-1),
            output: server.log(),
        }
    }

    fn count_workers(&self) -> usize {
        let at = self
            .args
            .iter()
            .position(|a| ["-p", "--processes", "--workers"].contains(&a.as_str()));
        at.and_then(|i| self.args.get(i + 1))
            .and_then(|n| n.parse().ok())
            .unwrap_or(1)
    }
}

/// What a command that ended by itself left.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; −1: a signal.
    pub code: i32,
    /// All that it printed.
    pub output: String,
}

/// A running server; killed with all its processes when dropped.
pub struct Server {
    child: Child,
    dir: TempDir,
    log: PathBuf,
    status: Option<ExitStatus>,
}

impl Server {
    /// The master's pid.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The log so far.
    pub fn log(&self) -> String {
        let mut text = Vec::new();
        if let Ok(mut file) = std::fs::File::open(&self.log) {
            let _ = file.read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Waits for a text in the log, `count` times.
    ///
    /// # Panics
    /// It does not come, or the server ends first.
    pub fn wait_log(&mut self, text: &str, count: usize) {
        let end = Instant::now() + PATIENCE;
        while self.log().matches(text).count() < count {
            let ended = self.ended();
            assert!(
                Instant::now() < end && (!ended || self.log().matches(text).count() >= count),
                "no {text:?} ({count} times) in the log{}:\n{}",
                if ended { " (the server has ended)" } else { "" },
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn wait_ready(&mut self, workers: usize) {
        self.wait_log("spawned rsgi worker", workers);
        // listening is not enough: the workers must have their handlers, or an early signal would find none
        let pids = self.workers();
        wait_for("the workers' signal handlers", || {
            pids.iter().all(|(_, pid)| handles_term(*pid)).then_some(())
        });
    }

    fn ended(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status.is_some()
    }

    /// The port that the `number`th worker socket got.
    pub fn port_of_socket(&self, number: usize) -> u16 {
        let mark = format!("rsgi socket {number} bound to TCP address ");
        self.port_behind(&mark)
    }

    /// The port of the first worker socket.
    pub fn port(&self) -> u16 {
        self.port_of_socket(0)
    }

    /// The port that a gateway got.
    pub fn gateway_port(&self) -> u16 {
        self.port_behind("rsgi gateway bound on ")
    }

    /// Both ways in: the worker's own socket, and the gateway.
    pub fn ports(&self) -> [u16; 2] {
        [self.port(), self.gateway_port()]
    }

    fn port_behind(&self, mark: &str) -> u16 {
        let log = self.log();
        let rest = log
            .split(mark)
            .nth(1)
            .unwrap_or_else(|| panic!("no {mark:?} in the log:\n{log}"));
        let address = rest.split_whitespace().next().unwrap_or_default();
        address
            .rsplit(':')
            .next()
            .and_then(|p| p.parse().ok())
            .unwrap_or_else(|| panic!("no port in {address:?}"))
    }

    /// Worker ids and pids by the log, the newest per id, living ones only.
    pub fn workers(&self) -> Vec<(u32, i32)> {
        let mut all: Vec<(u32, i32)> = Vec::new();
        for line in self.log().lines() {
            let Some(rest) = line.split("pawned rsgi worker ").nth(1) else {
                continue;
            };
            let mut words = rest.split(|c: char| !c.is_ascii_digit()).filter(|w| !w.is_empty());
            if let (Some(Ok(id)), Some(Ok(pid))) = (words.next().map(str::parse), words.next().map(str::parse)) {
                all.retain(|(i, _)| *i != id);
                all.push((id, pid));
            }
        }
        all.retain(|(_, pid)| is_alive(*pid));
        all
    }

    /// Waits for `count` living workers with none of `but`.
    pub fn wait_workers(&mut self, count: usize, but: &[i32]) -> Vec<(u32, i32)> {
        wait_for(&format!("{count} new workers"), || {
            let now = self.workers();
            (now.len() == count && now.iter().all(|(_, p)| !but.contains(p))).then_some(now)
        })
    }

    /// Sends a signal to the master.
    pub fn signal(&self, signal: i32) {
        send(self.pid(), signal);
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// It does not end.
    pub fn wait_exit(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        while !self.ended() {
            assert!(Instant::now() < end, "the server does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        self.status.expect("it has ended")
    }

    /// A connection to a port.
    pub fn connect(&self, port: u16) -> TcpStream {
        http::connect(port)
    }

    /// GET on the first socket, one connection.
    pub fn get(&self, path: &str) -> http::Response {
        http::get(self.port(), path)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of the server:\n{}", self.log());
        }
        // the group and whatever left it: workers of a daemonized server carry the folder's name in their arguments
        // SAFETY: a signal to a group that we made.
        unsafe { libc::kill(-self.pid(), libc::SIGKILL) };
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process.
pub fn send(pid: i32, signal: i32) {
    // SAFETY: a plain signal to a process of the test.
    unsafe { libc::kill(pid, signal) };
}

fn handles_term(pid: i32) -> bool {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) else {
        return true;
    };
    let caught = status.lines().find_map(|l| l.strip_prefix("SigCgt:")).unwrap_or("0");
    u64::from_str_radix(caught.trim(), 16).is_ok_and(|bits| bits & (1 << (libc::SIGTERM - 1)) != 0)
}

/// Builds a C plugin with `uwsgiconfig --plugin` in a folder: its path.
///
/// # Panics
/// It cannot be built.
pub fn build_plugin(dir: &Path, file: &str, source: &str) -> PathBuf {
    std::fs::write(dir.join(file), source).expect("the folder is writable");
    let output = Command::new(program("uwsgiconfig"))
        .args(["--plugin", file])
        .current_dir(dir)
        .output()
        .expect("uwsgiconfig can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let name = file.split('.').next().unwrap_or_default();
    dir.join(format!("{name}_plugin.so"))
}
