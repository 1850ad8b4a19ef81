//! `--metrics-dir`: a file for each metric, which the master writes when the number has changed; and, if asked for, the
//! values that the files had when the server starts.

use crate::server::Server;
use crate::settings::Settings;
use crate::stats::metrics as built_in;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Whether the directory is one: a line for the operator if not.
pub(super) fn check(settings: &Settings) -> Result<(), String> {
    match &settings.stats.metrics_dir {
        Some(folder) if !Path::new(folder).is_dir() => Err(format!("metrics-dir: {folder} is no directory: create it")),
        _ => Ok(()),
    }
}

/// The value that a metric's file has, with `metrics-dir-restore`.
pub(super) fn restored(settings: &Settings, name: &str) -> Option<i64> {
    let folder = settings
        .stats
        .metrics_dir
        .as_ref()
        .filter(|_| settings.stats.metrics_restore)?;
    let text = std::fs::read_to_string(Path::new(folder).join(name)).ok()?;
    text.trim_matches(['\0', '\n', ' ']).parse().ok()
}

/// What the files say.
#[derive(Debug, Default)]
pub struct MetricFiles {
    written: HashMap<String, i64>,
    /// One that could not be written was said.
    has_failed: bool,
}

impl MetricFiles {
    /// Writes what has changed; by the master, each second.
    pub fn tick(&mut self, server: &Server, overloaded: u64) {
        let Some(folder) = &server.settings.stats.metrics_dir else {
            return;
        };
        let folder = Path::new(folder);
        built_in::each(server, overloaded, &mut |row| {
            self.mirror(folder, row.name, row.value as i64)
        });
        for metric in super::all() {
            self.mirror(folder, metric.name, metric.value());
        }
    }

    fn mirror(&mut self, folder: &Path, name: &str, value: i64) {
        if self.written.get(name) == Some(&value) {
            return;
        }
        match write(&folder.join(name), value) {
            Ok(()) => drop(self.written.insert(name.to_owned(), value)),
            Err(e) if !self.has_failed => {
                self.has_failed = true;
                crate::say!("metrics-dir: cannot write {}/{name}: {e}", folder.display());
            }
            Err(_) => {}
        }
    }
}

/// A reader sees the old or the new number, never an empty file.
fn write(path: &Path, value: i64) -> io::Result<()> {
    let file: File = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    let text = format!("{value}\n");
    file.write_all_at(text.as_bytes(), 0)?;
    file.set_len(text.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shorter_number_leaves_nothing_of_the_longer_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = MetricFiles::default();
        for (value, text) in [(-12345, "-12345\n"), (7, "7\n")] {
            files.mirror(folder.path(), "m", value);
            assert_eq!(std::fs::read_to_string(folder.path().join("m")).unwrap(), text);
        }
        std::fs::write(folder.path().join("m"), "untouched").unwrap();
        files.mirror(folder.path(), "m", 7);
        assert_eq!(std::fs::read_to_string(folder.path().join("m")).unwrap(), "untouched");
    }
}
