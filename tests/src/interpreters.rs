//! The Pythons of this machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every Python: PATH, pyenv, /usr.
pub fn all() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let pyenv = std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".pyenv/versions"));
    for version in pyenv
        .iter()
        .filter_map(|d| std::fs::read_dir(d).ok())
        .flatten()
        .flatten()
    {
        found.push(version.path().join("bin/python3"));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/bin".into(), "/usr/local/bin".into()]);
    found.extend(folders.map(|d| d.join("python3")));
    found.retain(|p| p.is_file());
    found
}

/// What an interpreter answers, or `None` when it does not run.
pub fn ask(python: &Path, question: &str) -> Option<String> {
    let output = Command::new(python).args(["-c", question]).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The Pythons that can be embedded, one of each minor version of 3: its number and its home.
pub fn embeddable() -> BTreeMap<u32, PathBuf> {
    let question = "import sys, sysconfig; v = sys.version_info; \
        print(v[1], sys.base_prefix) if v >= (3, 9) and sysconfig.get_config_var('Py_ENABLE_SHARED') else None";
    let mut found = BTreeMap::new();
    for python in all() {
        let Some(answer) = ask(&python, question) else { continue };
        if let Some((minor, home)) = answer.split_once(' ')
            && let Ok(minor) = minor.parse()
        {
            found.entry(minor).or_insert_with(|| PathBuf::from(home));
        }
    }
    found
}
