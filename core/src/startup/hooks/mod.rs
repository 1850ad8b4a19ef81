//! Operators' hooks: `--hook-PHASE action:argument`, `--exec-PHASE command`, `--call-PHASE function`. Run in the
//! process and at the moment that the phase names; what the actions are stands in [`actions`].

mod actions;
mod call;
mod mount;
mod on_signal;

use crate::options::table;
use crate::process::{self, Role};
use crate::say;
use crate::server::server;
use crate::settings::{Action, Hooks, Settings};
use crate::startup::StartupError;
pub use actions::OF_PLUGINS;
pub use call::{address as function_address, bare as call_bare};
pub use on_signal::{Reaction, reaction};
use std::process::Command;
use std::sync::OnceLock;

/// The shell of `exec` (`--binsh`); the first that is there.
static SHELL: OnceLock<String> = OnceLock::new();

/// A vassal that a hook is about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its pid; −1: it does not run.
    pub pid: i32,
    /// The owner of its file.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// Sees to it that no action is found to be wrong only when its moment comes. Once for the phase `asap`, and once for
/// all, when plugins have brought their own.
///
/// # Errors
/// An action that does not exist, or an argument that it cannot have; with the place.
pub fn check(settings: &Settings, only_asap: bool) -> Result<(), StartupError> {
    if let Some(shell) = settings.paths.binsh.iter().find(|s| std::path::Path::new(s).exists()) {
        let _ = SHELL.set(shell.clone());
    }
    let found = mistakes(settings, only_asap);
    if found.is_empty() {
        return Ok(());
    }
    Err(StartupError::new(found.join("\n")))
}

/// What [`check`] finds, one line each; also for `--check-config`.
pub fn mistakes(settings: &Settings, only_asap: bool) -> Vec<String> {
    let mut found = Vec::new();
    for ((key, value), place) in settings.exported.iter().zip(&settings.origins) {
        let value = value.as_deref().unwrap_or_default();
        let Some((kind, phase)) = key.split_once('-').filter(|_| table::find(key).is_some()) else {
            continue;
        };
        let action = match (kind, phase) {
            _ if only_asap && phase != "asap" => continue,
            ("hook", "touch") => value
                .trim()
                .split_once(char::is_whitespace)
                .map_or("", |(_, a)| a)
                .trim_start(),
            ("hook", _) => value,
            ("mount" | "umount", _) => &format!("{kind}:{value}"),
            _ => continue,
        };
        if let Err(why) = actions::check(action) {
            found.push(match place.is_command_line() {
                true => format!("--{key}: {why}"),
                false => format!("{place}: {key}: {why}"),
            });
        }
    }
    found
}

/// Runs the actions of a phase in order; one that fails ends the process, as uWSGI's do.
pub fn run(actions: &[Action]) {
    for action in actions.iter().filter(|a| is_for_this_process(a)) {
        if let Err(why) = one(action, None) {
            say!("{why}");
            process::exit(1);
        }
    }
}

/// The same in a vassal's process; the commands find what it is about in `UWSGI_VASSAL_CONFIG` and its like.
pub fn run_for_vassal(actions: &[Action], subject: &Subject<'_>) {
    about(subject, actions, |why| {
        say!("{why}");
        process::exit(1)
    });
}

/// The same in the emperor, which does not end because of one vassal.
pub fn try_for_vassal(actions: &[Action], subject: &Subject<'_>) {
    about(subject, actions, |why| say!("[emperor] vassal {}: {why}", subject.name));
}

fn about(subject: &Subject<'_>, actions: &[Action], failed: impl Fn(String)) {
    let variables = [
        ("UWSGI_VASSAL_CONFIG", subject.name.to_owned()),
        ("UWSGI_VASSAL_PID", subject.pid.to_string()),
        ("UWSGI_VASSAL_UID", subject.uid.to_string()),
        ("UWSGI_VASSAL_GID", subject.gid.to_string()),
    ];
    for action in actions {
        for (name, value) in &variables {
            // SAFETY: the emperor, and its child before the exec, have one thread.
            unsafe { std::env::set_var(name, value) };
        }
        if let Err(why) = one(action, Some(subject)) {
            failed(why);
        }
        for (name, _) in &variables {
            // SAFETY: as above.
            unsafe { std::env::remove_var(name) };
        }
    }
}

fn one(action: &Action, subject: Option<&Subject<'_>>) -> Result<(), String> {
    match action {
        Action::Hook(text) => actions::run(text),
        Action::Exec(command) => shell(command),
        Action::Call(function) => call::function(function),
        Action::CallAbout(count, function) => call::about(function, *count, subject),
    }
}

/// A trial loads applications in the surroundings that they will have, and touches nothing outside of itself.
fn is_for_this_process(action: &Action) -> bool {
    let local = |text: &String| ["putenv:", "chdir:", "cd:"].iter().any(|a| text.starts_with(a));
    process::role() != Role::Trial || matches!(action, Action::Hook(text) if local(text))
}

/// Runs one action while the server serves: a failure is said, nothing ends.
pub fn run_or_say(action: &str) {
    if let Err(why) = actions::run(action) {
        say!("{why}");
    }
}

/// The same for all actions of a phase.
pub fn run_all_or_say(all: &[Action]) {
    for action in all {
        if let Err(why) = one(action, None) {
            say!("{why}");
        }
    }
}

/// A program with the signals of a new process: ours are blocked in the master.
pub fn child(program: &str) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(program);
    // SAFETY: these calls are async-signal-safe and touch nothing of ours.
    unsafe {
        command.pre_exec(|| {
            crate::unix_signal::reset();
            crate::unix_signal::unblock();
            Ok(())
        })
    };
    command
}

/// The shell of commands.
pub fn shell_path() -> &'static str {
    SHELL.get().map_or("/bin/sh", String::as_str)
}

/// Runs a command and waits for it.
fn shell(command: &str) -> Result<(), String> {
    say!("running \"{command}\"...");
    let status = child(shell_path())
        .args(["-c", command])
        .status()
        .map_err(|e| format!("cannot run {command:?}: {e}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("command {command:?} failed: {status}")),
    }
}

/// The hooks of a worker that begins to take requests: of each and of worker 1, always and for the first time only.
pub fn accepting(hooks: &Hooks, id: usize) {
    let shared = &server().shared;
    // SAFETY: a record in shared memory, written by the master only.
    let first_time = unsafe { (*shared.worker(id)).respawn_count } <= 1;
    run(&hooks.accepting);
    if first_time {
        run(&hooks.accepting_once);
    }
    if id == 1 {
        run(&hooks.accepting1);
        if first_time {
            run(&hooks.accepting1_once);
        }
    }
}
