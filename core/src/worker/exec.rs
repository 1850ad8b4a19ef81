//! `--worker-exec`: a command takes the place of a worker after its fork, with the first socket as its standard input
//! (as FastCGI programs want it). The master goes on looking after the process.

use crate::server::Server;
use crate::unix_signal::Order;
use crate::{process, say, unix_signal};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Becomes the last of `commands`, if there is one; does not return then.
pub fn replace(server: &'static Server, id: usize, option: &str, commands: &[String]) {
    let Some(command) = commands.last() else {
        return;
    };
    let stdin = server.sockets.first().map(|socket| socket.listener.as_fd());
    let stdin = stdin.and_then(|fd| {
        // a program that accepts on its standard input waits there
        let _ = fcntl(fd, FcntlArg::F_SETFL(OFlag::empty()));
        fd.try_clone_to_owned().ok()
    });
    // it cannot say so itself
    super::ready(server, id);
    unix_signal::reset();
    // from here on a signal ends the process; one that came before would be forgotten with our handlers
    if unix_signal::order() != Order::Serve {
        process::exit(0)
    }
    let error = Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .stdin(stdin.map_or_else(Stdio::null, Stdio::from))
        .exec();
    say!("worker {id}: --{option}: cannot run {command}: {error}");
    process::exit(1)
}
