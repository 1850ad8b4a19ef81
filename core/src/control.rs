//! Command lines that do something else than serve: talk to a running server, build a plugin, print what is asked.

mod connect;
mod ping;
mod signal;
pub use signal::deliver as deliver_signal;

use crate::config::system_message;
use crate::options::Command;
use crate::say;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Carries a command out.
pub fn run(command: Command) -> u8 {
    match command {
        Command::Stop(pidfile) => send(&pidfile, Signal::SIGINT),
        Command::Reload(pidfile) => send(&pidfile, Signal::SIGHUP),
        Command::Pause(pidfile) => send(&pidfile, Signal::SIGTSTP),
        Command::Cflags => print(&uwsgiconfig::cflags()),
        Command::ConfigPy => print(uwsgiconfig::wrapper(&beside("uwsgiconfig")).trim_end()),
        Command::DotH => print(uwsgiconfig::HEADER.trim_end()),
        Command::PluginInfo(name) => match crate::plugin::info::text(&name) {
            Ok(text) => print(&text),
            Err(why) => {
                say!("{why}");
                1
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
        | Command::Man(_)
        | Command::Completion(_)
        | Command::Reference(_)
        | Command::CheckConfig
        | Command::Get(_)
        | Command::Extract(_) => 0,
    }
}

/// A line or more that somebody asked for: the exit code.
pub fn print(text: &str) -> u8 {
    write(&format!("{text}\n"))
}

/// The same for a text that has its end. Who reads no more of it (`rsgi --help | head`) has seen enough.
pub fn write(text: &str) -> u8 {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            say!("cannot write to standard output: {}", system_message(&e));
            1
        }
        _ => 0,
    }
}

/// A program in the folder of this one.
fn beside(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.with_file_name(name)
}

/// `--connect-and-read`: everything that a server says of itself.
fn read(address: &str) -> u8 {
    let copied = connect::connect(address).and_then(|mut stream| {
        std::io::copy(&mut stream, &mut std::io::stdout().lock()).map_err(|e| system_message(&e))
    });
    match copied {
        Ok(_) => 0,
        Err(why) => {
            say!("cannot read from {address}: {why}");
            1
        }
    }
}

/// Sends a signal to the process that a pidfile names.
fn send(pidfile: &str, signal: Signal) -> u8 {
    let text = match std::fs::read_to_string(pidfile) {
        Ok(text) => text,
        Err(e) => {
            let why = system_message(&e);
            say!(
                "signal_pidfile(): cannot read {pidfile}: {why}; name the file of the server's pidfile or safe-pidfile"
            );
            return 1;
        }
    };
    let Some(pid) = text.trim().parse::<i32>().ok().filter(|p| *p > 0) else {
        say!("signal_pidfile(): {pidfile} does not hold a pid but {:?}", text.trim());
        return 1;
    };
    match kill(Pid::from_raw(pid), signal) {
        Ok(()) => 0,
        Err(e) => {
            let fix = match e {
                Errno::ESRCH => "; the server is gone, remove the file",
                Errno::EPERM => "; only root and the server's own user may",
                _ => "",
            };
            say!(
                "signal_pidfile(): {signal} to pid {pid} of {pidfile}: {}{fix}",
                e.desc()
            );
            1
        }
    }
}

/// `--build-plugin "SOURCE [NAME]"`
fn build(target: &str) -> u8 {
    let (source, name) = target.split_once(' ').map_or((target, None), |(s, n)| (s, Some(n)));
    match uwsgiconfig::build(Path::new(source), name, Path::new(".")) {
        Ok(file) => print(&format!("built {}", file.display())),
        Err(error) => {
            say!("{error}");
            1
        }
    }
}
