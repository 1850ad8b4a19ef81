//! Command lines that do something else than serve: talk to a running server, build a plugin, print what is asked.

mod connect;
mod ping;
mod signal;
pub use signal::deliver as deliver_signal;

use crate::options::Command;
use crate::say;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Carries a command out.
pub fn run(command: Command) -> ExitCode {
    match command {
        Command::Stop(pidfile) => send(&pidfile, Signal::SIGINT),
        Command::Reload(pidfile) => send(&pidfile, Signal::SIGHUP),
        Command::Pause(pidfile) => send(&pidfile, Signal::SIGTSTP),
        Command::Cflags => print(&uwsgiconfig::cflags()),
        Command::DotH => print(uwsgiconfig::HEADER.trim_end()),
        Command::PluginInfo(name) => match crate::plugin::info::text(&name) {
            Ok(text) => print(&text),
            Err(why) => {
                say!("{why}");
                ExitCode::FAILURE
            }
        },
        Command::BuildPlugin(target) => build(&target),
        Command::Version => print(env!("CARGO_PKG_VERSION")),
        Command::Ping(address, seconds) => ping::run(&address, Duration::from_secs(seconds)),
        Command::Signal(target) => signal::run(&target),
        Command::ConnectAndRead(address) => read(&address),
        // answered where the option table is
        Command::Help
        | Command::DumpOptions
        | Command::Explain(_)
        | Command::Man
        | Command::CheckConfig
        | Command::Get(_)
        | Command::Extract(_) => ExitCode::SUCCESS,
    }
}

fn print(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

/// `--connect-and-read`: everything that a server says of itself.
fn read(address: &str) -> ExitCode {
    let copied = connect::connect(address).and_then(|mut stream| {
        std::io::copy(&mut stream, &mut std::io::stdout().lock()).map_err(|e| crate::config::system_message(&e))
    });
    match copied {
        Ok(_) => ExitCode::SUCCESS,
        Err(why) => {
            say!("cannot read from {address}: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Sends a signal to the process that a pidfile names.
fn send(pidfile: &str, signal: Signal) -> ExitCode {
    let text = match std::fs::read_to_string(pidfile) {
        Ok(text) => text,
        Err(e) => {
            say!("signal_pidfile(): cannot read {pidfile}: {e}");
            return ExitCode::FAILURE;
        }
    };
    let Some(pid) = text.trim().parse::<i32>().ok().filter(|p| *p > 0) else {
        say!("signal_pidfile(): {pidfile} does not hold a pid but {:?}", text.trim());
        return ExitCode::FAILURE;
    };
    match kill(Pid::from_raw(pid), signal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            say!("signal_pidfile(): {signal} to pid {pid} of {pidfile}: {}", e.desc());
            ExitCode::FAILURE
        }
    }
}

/// `--build-plugin "SOURCE [NAME]"`
fn build(target: &str) -> ExitCode {
    let (source, name) = target.split_once(' ').map_or((target, None), |(s, n)| (s, Some(n)));
    match uwsgiconfig::build(Path::new(source), name, Path::new(".")) {
        Ok(file) => print(&format!("built {}", file.display())),
        Err(error) => {
            say!("{error}");
            ExitCode::FAILURE
        }
    }
}
