//! `pipe:COMMAND`: lines go to the standard input of a program, which is started by a shell and again when it has ended.

use crate::startup::hooks;
use rsgi_plugin_api::logger::{Logger, LoggerError};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A program that ended sooner is not started again before.
const PAUSE: Duration = Duration::from_secs(1);

/// The logger.
pub struct Program {
    command: String,
    child: Option<Child>,
    started: Option<Instant>,
}

impl Logger for Program {
    fn open(argument: &str) -> Result<Self, String> {
        if argument.trim().is_empty() {
            return Err("no command: give pipe:COMMAND".into());
        }
        Ok(Self {
            command: argument.to_owned(),
            child: None,
            started: None,
        })
    }

    fn write(&mut self, message: &[u8]) -> Result<(), LoggerError> {
        if self.child.is_none() {
            if self.started.is_some_and(|at| at.elapsed() < PAUSE) {
                return Err(LoggerError::Again(format!("\"{}\" has ended", self.command)));
            }
            self.started = Some(Instant::now());
            // a group of its own: the signals of the terminal are for the server
            let mut command = hooks::child(hooks::shell_path());
            command
                .args(["-c", &self.command])
                .process_group(0)
                .stdin(Stdio::piped());
            self.child = Some(command.spawn()?);
        }
        let input = self.child.as_mut().and_then(|child| child.stdin.as_mut());
        match input.map(|input| input.write_all(message)) {
            Some(Err(e)) => {
                if let Some(mut ended) = self.child.take() {
                    drop(ended.stdin.take());
                    let _ = ended.try_wait();
                }
                Err(LoggerError::Again(format!("\"{}\": {e}", self.command)))
            }
            _ => Ok(()),
        }
    }
}
