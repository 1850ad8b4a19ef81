//! Directories, environment, pidfiles, what the start waits for.

use crate::options::command::Command;
use crate::options::spec::ArgKind::Required;
use crate::options::spec::{Group, OptionSpec, command, flag, number, parsed, path};
use crate::settings::{EnvironmentChange, Settings, WaitFor, WaitKind};

pub static GROUP: Group = Group {
    title: "Directories, environment, pidfiles",
    rows: ROWS,
};

static ROWS: &[OptionSpec] = &[
    path(
        "chdir",
        "go to this directory before the application is loaded",
        |s, v| s.paths.chdir = Some(v.into()),
    ),
    path(
        "chdir2",
        "go to this directory after the application is loaded",
        |s, v| s.paths.chdir2 = Some(v.into()),
    ),
    path("force-cwd", "stay in this directory", |s, v| {
        s.paths.force_cwd = Some(v.into())
    })
    .later(),
    parsed("env", "set an environment variable: NAME=VALUE", |s, v| {
        let (name, value) = v.split_once('=').unwrap_or((v, ""));
        if name.trim().is_empty() {
            return Err(format!("invalid value \"{v}\": give NAME=VALUE"));
        }
        let change = EnvironmentChange::Set(name.trim().to_owned(), value.to_owned());
        s.paths.environment.push(change);
        Ok(())
    })
    .verbatim(),
    path("unenv", "remove an environment variable", |s, v| {
        s.paths.environment.push(EnvironmentChange::Unset(v.into()))
    }),
    path(
        "envdir",
        "set variables from a directory with a file for each",
        |s, v| s.paths.environment.push(EnvironmentChange::Directory(v.into())),
    ),
    path(
        "pidfile",
        "write the master's pid here, before privileges are dropped",
        |s, v| s.paths.pidfile = Some(v.into()),
    ),
    path(
        "pidfile2",
        "write the master's pid here, after privileges are dropped",
        |s, v| s.paths.pidfile2 = Some(v.into()),
    ),
    path("safe-pidfile", "as pidfile, once the workers are there", |s, v| {
        s.paths.safe_pidfile = Some(v.into())
    }),
    path("safe-pidfile2", "as pidfile2, once the workers are there", |s, v| {
        s.paths.safe_pidfile2 = Some(v.into())
    }),
    flag(
        "vacuum",
        "remove sockets and pidfiles at the end (on unless classic-defaults)",
        |s, on| s.paths.vacuum = on,
    )
    .negation("no-vacuum"),
    path("master-fifo", "a named pipe that takes commands", |s, v| {
        s.paths.master_fifo.push(v.into())
    })
    .master(),
    path("notify-socket", "a socket that takes notifications", |s, v| {
        s.paths.notify_socket = Some(v.into())
    })
    .master(),
    path("wait-for-fs", "wait until this path is there", |s, v| {
        wait(s, WaitKind::Path, v)
    }),
    path("wait-for-file", "wait until this file is there", |s, v| {
        wait(s, WaitKind::File, v)
    }),
    path("wait-for-dir", "wait until this directory is there", |s, v| {
        wait(s, WaitKind::Directory, v)
    }),
    path("wait-for-socket", "wait until this socket accepts", |s, v| {
        wait(s, WaitKind::Socket, v)
    }),
    path(
        "wait-for-mountpoint",
        "wait until something is mounted there",
        |s, v| wait(s, WaitKind::Mountpoint, v),
    ),
    path(
        "wait-for-interface",
        "wait until this network interface is there",
        |s, v| wait(s, WaitKind::Interface, v),
    )
    .aliases(&["wait-interface", "wait-for-iface", "wait-iface"]),
    number("wait-for-fs-timeout", "seconds to wait for each", |s, n| {
        s.paths.wait_for_timeout = n
    })
    .aliases(&[
        "wait-for-socket-timeout",
        "wait-for-interface-timeout",
        "wait-interface-timeout",
        "wait-for-iface-timeout",
        "wait-iface-timeout",
    ]),
    path("binsh", "the shell of exec commands", |s, v| {
        s.paths.binsh.push(v.into())
    }),
    command(
        "connect-and-read",
        Required,
        "print what an address sends and end",
        |v| Command::ConnectAndRead(v.unwrap_or_default().into()),
    ),
    path("flock", "lock this file, and end if another process has it", |s, v| {
        s.paths.flock.push(v.into())
    }),
    path(
        "flock-wait",
        "lock this file, and wait while another process has it",
        |s, v| s.paths.flock_wait.push(v.into()),
    ),
];

fn wait(settings: &mut Settings, kind: WaitKind, name: &str) {
    settings.paths.wait_for.push(WaitFor {
        kind,
        name: name.to_owned(),
    });
}
