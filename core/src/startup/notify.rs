//! Telling systemd (`NOTIFY_SOCKET`) how the server is doing; in the master.

use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};

static SAID_READY: AtomicBool = AtomicBool::new(false);

fn send(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let Ok(socket) = UnixDatagram::unbound() else {
        return;
    };
    let name = path.to_string_lossy();
    let _ = match name.strip_prefix('@') {
        Some(name) => {
            use std::os::linux::net::SocketAddrExt;
            std::os::unix::net::SocketAddr::from_abstract_name(name)
                .and_then(|a| socket.send_to_addr(state.as_bytes(), &a))
        }
        None => socket.send_to(state.as_bytes(), &*name),
    };
}

/// The master's loop begins; nothing is promised yet.
pub fn started() {
    send("STATUS=rsgi starts its workers");
}

/// Every worker takes requests; said once per image.
pub fn ready() {
    if !SAID_READY.swap(true, Ordering::Relaxed) {
        send(&format!(
            "READY=1\nMAINPID={}\nSTATUS=rsgi is ready",
            std::process::id()
        ));
    }
}

/// The end has begun.
pub fn stopping() {
    send("STOPPING=1\nSTATUS=rsgi is stopping");
}
