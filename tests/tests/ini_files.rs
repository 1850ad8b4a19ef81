//! Configurations as people write them, in `tests/ini`: each starts and answers, or fails with a line that names the
//! cause. The first line of a file says which: `# expect: starts`, `warning PATTERN` (it starts and says so), `error
//! PATTERN` (refused by the check and by the start), `start-error PATTERN` (only a start can see it). `.*` in a
//! pattern stands for anything.

use rsgi_tests::{Server, Setup, http, program, wait_for};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the files lie.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ini")
}

/// What the first line announces.
enum Expect {
    Starts,
    Warning(String),
    Error(String),
    StartError(String),
}

impl Expect {
    fn of(text: &str, name: &str) -> Self {
        let first = text.lines().next().unwrap_or_default();
        let rest = first
            .split("expect: ")
            .nth(1)
            .unwrap_or_else(|| panic!("{name}: no expectation"));
        let rest = rest.trim_end_matches("-->").trim();
        match rest.split_once(' ') {
            None if rest == "starts" => Self::Starts,
            Some(("warning", pattern)) => Self::Warning(pattern.into()),
            Some(("error", pattern)) => Self::Error(pattern.into()),
            Some(("start-error", pattern)) => Self::StartError(pattern.into()),
            _ => panic!("{name}: unknown expectation {rest:?}"),
        }
    }
}

/// Whether the pieces of the pattern stand in the text one behind the other.
fn matches(text: &str, pattern: &str) -> bool {
    let mut rest = text;
    pattern.split(".*").all(|piece| match rest.find(piece) {
        Some(at) => {
            rest = &rest[at + piece.len()..];
            true
        }
        None => false,
    })
}

/// A folder with the site that the files speak of, and the file itself.
fn setup(file: &Path, text: &str, taken: &str) -> Setup {
    let setup = Setup::new();
    copy(&folder().join("site"), &setup.dir().join("site"), setup.dir());
    open_to_everybody(setup.dir());
    let name = file.file_name().and_then(|n| n.to_str()).expect("a name");
    setup.file(name, &text.replace("@TAKEN@", taken))
}

fn copy(from: &Path, to: &Path, dir: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        match path.is_dir() {
            true => copy(&path, &target, dir),
            false => {
                let text = std::fs::read_to_string(&path).unwrap();
                std::fs::write(target, text.replace("@DIR@", &dir.display().to_string())).unwrap();
            }
        }
    }
}

/// Files with `uid` make their sockets and logs there as another user.
fn open_to_everybody(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o777)).unwrap();
}

/// Checks one file; what is wrong, if anything.
fn check(file: &Path) -> Result<(), String> {
    let name = file.strip_prefix(folder()).unwrap_or(file).display().to_string();
    let text = std::fs::read_to_string(file).unwrap();
    let expect = Expect::of(&text, &name);
    // SAFETY: no arguments, no failure.
    let is_root = unsafe { libc::geteuid() } == 0;
    if !is_root && text.contains("\nchown-socket = ") && !matches!(expect, Expect::Error(_)) {
        rsgi_tests::skipped(&format!("{name} needs root"));
        return Ok(());
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|a| (taken, a.to_string())).unwrap();
    let ready = || setup(file, &text, &taken.1);
    let argument = format!("@DIR@/{}", file.file_name().and_then(|n| n.to_str()).expect("a name"));
    let say = |what: &str, log: &str| Err(format!("{name}: {what}:\n{log}"));

    let wanted = ready();
    let dir = wanted.dir().display().to_string();
    let checked = wanted.args(["--check-config", &argument]).run();
    let in_place = |pattern: &str| pattern.replace("@DIR@", &dir);
    match &expect {
        Expect::Error(pattern) if checked.code == 0 || !matches(&checked.output, &in_place(pattern)) => {
            return say("--check-config does not refuse it for that reason", &checked.output);
        }
        Expect::Error(_) => {}
        _ if checked.code != 0 => return say("--check-config refuses it", &checked.output),
        _ => {}
    }
    let wanted = ready();
    let dir = wanted.dir().display().to_string();
    let in_place = |pattern: &str| pattern.replace("@DIR@", &dir);
    let wanted = wanted.args([argument.as_str()]);
    match &expect {
        Expect::Error(pattern) | Expect::StartError(pattern) => {
            let ended = wanted.run();
            if ended.code == 0 || !matches(&ended.output, &in_place(pattern)) {
                return say(
                    &format!("the start gives {} and another reason", ended.code),
                    &ended.output,
                );
            }
        }
        // it leaves the terminal and the test's hands
        _ if text.contains("daemonize =") => {}
        Expect::Starts | Expect::Warning(_) => {
            let mut server = wanted.start_unready();
            answers(&mut server, &text);
            if let Expect::Warning(pattern) = &expect
                && !matches(&server.log(), &in_place(pattern))
            {
                return say("the warning is missing", &server.log());
            }
            server.signal(libc::SIGTERM);
        }
    }
    Ok(())
}

/// A request over HTTP, or a sign of life over the uwsgi protocol.
fn answers(server: &mut Server, text: &str) {
    // its log may go elsewhere, its address is known
    let path = text
        .split("\nsocket = @DIR@/")
        .nth(1)
        .and_then(|rest| rest.lines().next());
    if let Some(path) = path.filter(|path| !path.contains('%')) {
        let address = server.dir().join(path).display().to_string();
        return wait_for("a sign of life", || is_alive(&address).then_some(()));
    }
    // a gateway in front of foreign backends has no workers of its own
    let ready = if text.contains("http-to") {
        "rsgi gateway bound on "
    } else {
        "spawned rsgi worker 1"
    };
    server.wait_log(ready, 1);
    let log = server.log();
    if log.contains("rsgi gateway bound on ") {
        let status = http::get(server.gateway_port(), "/").status;
        let expected = if text.contains("http-to") { 502..=504 } else { 200..=200 };
        assert!(expected.contains(&status), "{status}");
    } else if text.contains("http-socket") && !text.contains("[::1]") {
        let port = match log.contains("rsgi socket 0 bound to TCP address ") {
            true => server.port(),
            // =0: the shared one
            false => panic!("no TCP socket in the log"),
        };
        let path = match text {
            text if text.contains("mount = /one=") => "/one",
            text if text.contains("static-map = /=") => "/style.css",
            _ => "/",
        };
        assert_eq!(http::get(port, path).status, 200);
    } else {
        let address = log.split("rsgi socket 0 bound to ").nth(1).expect("a socket");
        let address = address
            .split("address ")
            .nth(1)
            .and_then(|a| a.split(' ').next())
            .expect("an address");
        wait_for("a sign of life", || is_alive(address).then_some(()));
    }
}

fn is_alive(address: &str) -> bool {
    let asked = Command::new(program("rsgi")).args(["--ping", address]).output();
    asked.is_ok_and(|o| o.status.success())
}

/// A check that fails in the harness does not keep the other files from being checked.
fn attempt(file: &Path) -> Result<(), String> {
    std::panic::catch_unwind(|| check(file)).unwrap_or_else(|panic| {
        let why = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        Err(format!("{}: {why}", file.display()))
    })
}

/// Checks every file of a folder; all that is wrong is said at once.
fn check_all(name: &str) {
    let entries = std::fs::read_dir(folder().join(name)).unwrap();
    let mut files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    files.sort();
    let wrong: Vec<String> = files.iter().filter_map(|file| attempt(file).err()).collect();
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        files.len(),
        wrong.join("\n----\n")
    );
}

#[test]
fn plain() {
    check_all("plain");
}

#[test]
fn django() {
    check_all("django");
}

#[test]
fn flask() {
    check_all("flask");
}

#[test]
fn docker() {
    check_all("docker");
}

#[test]
fn nginx() {
    check_all("nginx");
}

#[test]
fn sections() {
    check_all("sections");
}

#[test]
fn placeholders() {
    check_all("placeholders");
}

#[test]
fn logic() {
    check_all("logic");
}

#[test]
fn production() {
    check_all("production");
}

#[test]
fn plugins() {
    check_all("plugins");
}

#[test]
fn there_are_enough_of_them() {
    let folders = std::fs::read_dir(folder()).unwrap().flatten();
    let count: usize = folders
        .filter(|entry| entry.file_name() != "site")
        .map(|entry| std::fs::read_dir(entry.path()).unwrap().count())
        .sum();
    assert!(count >= 150, "{count}");
}
