//! A trial of a reload: the same command line in a child that loads everything, binds nothing, and ends.

use super::reload::origin;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::process::{Child, Command, Stdio};

/// The variable that makes a process a trial.
pub const VARIABLE: &str = "RSGI_TRIAL";

/// The child. Its output goes to a file that is read when it fails.
pub struct Trial {
    child: Child,
    output: File,
}

impl Trial {
    /// Starts it, as the image after `reloads` reloads.
    ///
    /// # Errors
    /// The binary cannot be run.
    pub fn start(reloads: u64) -> io::Result<Self> {
        use std::os::unix::process::CommandExt;
        let origin = origin().ok_or(io::ErrorKind::NotFound)?;
        let output = File::from(memfd_create(c"rsgi-trial", MFdFlags::MFD_CLOEXEC)?);
        let child = Command::new(&origin.binary)
            .arg0(origin.args.first().map_or("rsgi".into(), OsString::clone))
            .args(origin.args.iter().skip(1))
            .env_clear()
            .envs(origin.env.iter().cloned())
            .env(VARIABLE, "1")
            .env(super::reload::COUNT, reloads.to_string())
            .current_dir(&origin.cwd)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?)
            .spawn()?;
        Ok(Self { child, output })
    }

    /// Its pid.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// What it printed.
    pub fn output(mut self) -> String {
        let mut text = Vec::new();
        let _ = self.output.rewind();
        let _ = self.output.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}
