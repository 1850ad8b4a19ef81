//! Programs that outlive the server: whether they run is known from their pidfile.

use crate::say;
use nix::sys::signal::kill;
use nix::unistd::Pid;

/// The pidfile of a program, and what was last seen in it.
#[derive(Debug)]
pub(super) struct Pidfile {
    path: String,
    /// The process that it named, if that ran.
    pub pid: Option<i32>,
    /// Looks in a row that found nothing.
    missing: u64,
}

impl Pidfile {
    pub(super) fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            pid: None,
            missing: 0,
        }
    }

    /// Reads it: whether it names a process that runs.
    pub(super) fn look(&mut self) -> bool {
        self.pid = std::fs::read_to_string(&self.path)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .filter(|pid| *pid > 0 && is_running(*pid));
        self.pid.is_some()
    }

    /// The look of a second: whether the program has been missing for `patience` looks.
    pub(super) fn check(&mut self, command: &str, patience: u64) -> bool {
        let before = self.pid;
        if self.look() {
            if let (Some(old), Some(new)) = (before, self.pid)
                && old != new
            {
                say!("[uwsgi-daemons] found changed pid for \"{command}\" (old_pid: {old} new_pid: {new})");
            }
            self.missing = 0;
            return false;
        }
        self.missing += 1;
        let is_over = self.missing >= patience;
        if is_over {
            self.missing = 0;
        }
        is_over
    }
}

/// A process that may not be signalled runs too.
fn is_running(pid: i32) -> bool {
    kill(Pid::from_raw(pid), None) != Err(nix::Error::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pidfile_counts_as_long_as_its_process_runs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        let mut pidfile = Pidfile::new(path.to_str().unwrap());
        assert!(!pidfile.look());
        assert_eq!([1, 2, 3].map(|_| pidfile.check("x", 3)), [false, false, true]);
        std::fs::write(&path, format!("{}\n", std::process::id())).unwrap();
        assert!(pidfile.look() && pidfile.pid == Some(std::process::id() as i32));
        std::fs::write(&path, "0").unwrap();
        assert!(!pidfile.look());
        std::fs::write(&path, "no number").unwrap();
        assert!(!pidfile.check("x", 2) && pidfile.check("x", 2) && !pidfile.check("x", 2));
    }
}
