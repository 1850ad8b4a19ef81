//! Operators' hooks: `--hook-PHASE action:argument`, `--exec-PHASE command`; and hook actions of plugins.

use crate::process::{self, Role};
use crate::say;
use crate::server::server;
use crate::settings::{Action, Hooks};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::Ordering;

/// Runs the actions of a phase in order; one that fails ends the process, as uWSGI's do.
pub fn run(actions: &[Action]) {
    for action in actions.iter().filter(|a| is_for_this_process(a)) {
        let done = match action {
            Action::Hook(text) => hook(text),
            Action::Exec(command) => shell(command),
            Action::Call(function) => call(function),
        };
        if let Err(why) = done {
            say!("{why}");
            process::exit(1);
        }
    }
}

/// A trial loads applications in the surroundings that they will have, and touches nothing outside of itself.
fn is_for_this_process(action: &Action) -> bool {
    let local = |text: &String| ["putenv:", "chdir:", "cd:"].iter().any(|a| text.starts_with(a));
    process::role() != Role::Trial || matches!(action, Action::Hook(text) if local(text))
}

/// Runs one action while the server serves: a failure is said, nothing ends.
pub fn run_or_say(action: &str) {
    if let Err(why) = hook(action) {
        say!("{why}");
    }
}

/// Actions that end the start when they are unknown, so that a typo is not found in production.
const KNOWN: &[&str] = &[
    "exec",
    "safeexec",
    "create",
    "creat",
    "exit",
    "print",
    "log",
    "write",
    "writen",
    "append",
    "appendn",
    "mkdir",
    "putenv",
    "chdir",
    "chmod",
    "chown",
    "unlink",
    "rename",
    "unix_signal",
    "call",
];

fn hook(text: &str) -> Result<(), String> {
    let (name, argument) = text.split_once(':').unwrap_or((text, ""));
    if !KNOWN.contains(&name) {
        return Err(format!("hook action not found: {name}"));
    }
    let failed = |e: io::Error| format!("hook {text}: {e}");
    let (first, rest) = argument.split_once(' ').unwrap_or((argument, ""));
    match name {
        "exec" => shell(argument),
        "safeexec" => {
            if let Err(why) = shell(argument) {
                say!("{why}");
            }
            Ok(())
        }
        "call" => call(argument),
        "exit" => process::exit(argument.trim().parse().unwrap_or(0)),
        "print" | "log" => {
            say!("{argument}");
            Ok(())
        }
        "create" | "creat" => OpenOptions::new()
            .create(true)
            .append(true)
            .open(argument)
            .map(drop)
            .map_err(failed),
        "write" | "writen" => put(first, rest, name == "writen", false).map_err(failed),
        "append" | "appendn" => put(first, rest, name == "appendn", true).map_err(failed),
        "mkdir" => std::fs::create_dir_all(argument).map_err(failed),
        "chdir" => std::env::set_current_dir(argument).map_err(failed),
        "unlink" => std::fs::remove_file(argument).map_err(failed),
        "rename" => std::fs::rename(first, rest).map_err(failed),
        "chmod" => {
            let mode = u32::from_str_radix(rest.trim(), 8).map_err(|_| format!("hook {text}: bad mode {rest:?}"))?;
            std::fs::set_permissions(first, std::fs::Permissions::from_mode(mode)).map_err(failed)
        }
        "chown" => {
            let (uid, gid) = crate::net::listener::owner(&rest.replace(' ', ":"))?;
            std::os::unix::fs::chown(first, uid, gid).map_err(failed)
        }
        "putenv" => {
            let (key, value) = argument
                .split_once('=')
                .ok_or_else(|| format!("hook {text}: write putenv:NAME=VALUE"))?;
            // SAFETY: hooks run in the start, or first thing in a worker: one thread.
            unsafe { std::env::set_var(key, value) };
            Ok(())
        }
        "unix_signal" => Ok(()),
        _ => Err(format!("hook action not found: {name}")),
    }
}

fn put(file: &str, text: &str, newline: bool, append: bool) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .create(true)
        .append(append)
        .write(true)
        .truncate(!append)
        .open(file)?;
    let mut text = text.to_owned();
    if newline {
        text.push('\n');
    }
    file.write_all(text.as_bytes())
}

fn shell(command: &str) -> Result<(), String> {
    say!("running \"{command}\"...");
    let status = Command::new("/bin/sh")
        .args(["-c", command])
        .status()
        .map_err(|e| format!("cannot run {command:?}: {e}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("command {command:?} failed: {status}")),
    }
}

/// A function of a loaded plugin or library, by name.
fn call(name: &str) -> Result<(), String> {
    let (function, argument) = name.split_once(' ').unwrap_or((name, ""));
    let symbol = std::ffi::CString::new(function).unwrap_or_default();
    // SAFETY: looks a name up in what is loaded.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, symbol.as_ptr()) };
    if address.is_null() {
        return Err(format!(
            "unable to call function {function:?}: no loaded plugin or library has it"
        ));
    }
    let argument = crate::server::keep(argument);
    // SAFETY: uWSGI's contract of `call`: void f(char *).
    unsafe {
        let f: unsafe extern "C" fn(*mut std::ffi::c_char) = std::mem::transmute(address);
        f(argument);
    }
    Ok(())
}

/// The hooks of a worker that begins to take requests: for each, for the first one, for the first time only.
pub fn accepting(hooks: &Hooks, id: usize) {
    let shared = &server().shared;
    // SAFETY: a record in shared memory, written by the master only.
    let first_time = unsafe { (*shared.worker(id)).respawn_count } <= 1;
    run(&hooks.accepting);
    if first_time {
        run(&hooks.accepting_once);
    }
    let first = shared
        .worker_slot(0)
        .ready
        .compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire)
        .is_ok();
    if first {
        run(&hooks.accepting1);
        run(&hooks.accepting1_once);
    }
}
