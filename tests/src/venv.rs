//! The virtualenv of the tests: in the target folder, made once, with packages of PyPI as they are. What cannot be
//! installed (no network) makes its tests say that they are skipped.

use crate::{build_dir, skipped};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;

/// pip, and the check for what is there, one at a time in this process; between processes the lock file counts.
static ONE: Mutex<()> = Mutex::new(());

/// The virtualenv, if it has these packages, by the names that pip knows.
pub fn with(packages: &[&str]) -> Option<PathBuf> {
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let dir = build_dir().join("test-venv");
    let file = File::create(build_dir().join("test-venv.lock")).ok()?;
    // SAFETY: a descriptor of our own; the lock goes with it.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) } != 0 {
        return None;
    }
    let python = dir.join("bin/python");
    if !python.is_file() {
        let bases = ["/usr/bin/python3", "python3"];
        bases.iter().find(|base| {
            let made = Command::new(base).args(["-m", "venv"]).arg(&dir).output();
            made.is_ok_and(|o| o.status.success())
        })?;
    }
    for package in missing(&python, packages) {
        eprintln!("installing {package} into {}", dir.display());
        let _ = pip(&python, &package);
    }
    match missing(&python, packages).as_slice() {
        [] => Some(dir),
        left => {
            skipped(&format!("{} cannot be installed here", left.join(", ")));
            None
        }
    }
}

/// The folder of the virtualenv as an argument of a command line.
pub fn argument(dir: &Path) -> &str {
    dir.to_str().expect("the build's folder has a name of text")
}

fn missing(python: &Path, packages: &[&str]) -> Vec<String> {
    const CHECK: &str = "import importlib.metadata as m, sys\n\
        for p in sys.argv[1:]:\n    try: m.version(p)\n    except m.PackageNotFoundError: print(p)";
    match Command::new(python).args(["-c", CHECK]).args(packages).output() {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            text.lines().map(str::to_owned).collect()
        }
        _ => packages.iter().map(|&p| p.to_owned()).collect(),
    }
}

fn pip(python: &Path, package: &str) -> std::io::Result<Output> {
    let options = ["install", "-q", "--timeout", "10", "--retries", "1"];
    Command::new(python)
        .args(["-m", "pip"])
        .args(options)
        .arg(package)
        .output()
}
