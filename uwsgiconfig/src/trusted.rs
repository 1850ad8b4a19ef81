//! A `uwsgiplugin.py` that its user trusts is run, by Python: for values that only running it tells, and for its
//! `post_build` once the plugin is there.

use crate::compiler::BuildError;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Set to 1 by whoever trusts the scripts that they build with.
pub const PERMISSION: &str = "UWSGICONFIG_RUN_SCRIPTS";

const PROGRAM: &str = include_str!("trusted.py");

/// A key and its value, a plain string as a list of one.
pub type Values = Vec<(String, Vec<String>)>;

/// Whether the user has said that scripts may be run.
pub fn allowed() -> bool {
    std::env::var(PERMISSION).is_ok_and(|value| value == "1")
}

/// What the script sets, and the line of its `post_build`.
///
/// # Errors
/// There is no Python, or the script fails.
pub fn values(folder: &Path, script: &Path) -> Result<Values, BuildError> {
    let output = python(script, |command| {
        command
            .args(["values".as_ref(), absolute(folder).as_os_str()])
            .arg(absolute(script))
            .stderr(Stdio::inherit())
            .output()
    })?;
    if !output.status.success() {
        return Err(BuildError::ScriptFailed { path: script.into() });
    }
    let mut values = Values::new();
    for line in String::from_utf8_lossy(&output.stdout).split('\x01').skip(1) {
        let Some((key, item)) = line.trim_end_matches('\n').split_once('\x02') else {
            continue;
        };
        match values.iter_mut().find(|(k, _)| k == key) {
            Some((_, list)) => list.push(item.to_owned()),
            None => values.push((key.to_owned(), vec![item.to_owned()])),
        }
    }
    Ok(values)
}

/// Calls the script's `post_build` in the current folder, as uWSGI's build does behind the compiler, with an object
/// that has the attributes of uWSGI's profile: `get("plugin_dir")` is where the plugin has been put.
///
/// # Errors
/// There is no Python, or the function fails: with an exception, or by the end of the process that it runs in.
pub fn post_build(script: &Path, line: usize, plugin_dir: &Path) -> Result<(), BuildError> {
    let folder = script.parent().unwrap_or(Path::new("."));
    let status = python(script, |command| {
        command
            .args(["post_build".as_ref(), absolute(folder).as_os_str()])
            .args([absolute(script), absolute(plugin_dir)])
            .arg(crate::cflags())
            .status()
    })?;
    match status.success() {
        true => Ok(()),
        false => Err(BuildError::PostBuild {
            path: script.into(),
            line,
        }),
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Runs our program in `$PYTHON`, for a script.
fn python<T>(script: &Path, run: impl FnOnce(&mut Command) -> std::io::Result<T>) -> Result<T, BuildError> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    run(Command::new(&python).args(["-c", PROGRAM])).map_err(|e| BuildError::NoPython {
        path: script.into(),
        python,
        reason: e.to_string(),
    })
}
