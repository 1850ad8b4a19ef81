//! Telling systemd (`NOTIFY_SOCKET`, sd_notify(3)) how the server is doing; in the master, or in an emperor without one.

use crate::net::address::Address;
use nix::time::{ClockId, clock_gettime};
use std::os::unix::net::UnixDatagram;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

static SAID_READY: AtomicBool = AtomicBool::new(false);

/// What `systemd` was last told of our health.
static LAST_ALIVE: Mutex<Option<Instant>> = Mutex::new(None);

fn send(state: &str) {
    if let Some(path) = std::env::var_os("NOTIFY_SOCKET") {
        let _ = send_to(&path.to_string_lossy(), state);
    }
}

fn send_to(name: &str, state: &str) -> std::io::Result<usize> {
    let socket = UnixDatagram::unbound()?;
    match Address::parse(name, false) {
        Ok(Address::Abstract(name)) => {
            use std::os::linux::net::SocketAddrExt;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            socket.send_to_addr(state.as_bytes(), &address)
        }
        _ => socket.send_to(state.as_bytes(), name),
    }
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

/// A new image is about to take over; it says when it is ready.
pub fn reloading() {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |t| t.tv_sec() * 1_000_000 + t.tv_nsec() / 1000);
    send(&format!("RELOADING=1\nMONOTONIC_USEC={now}\nSTATUS=rsgi reloads"));
}

/// The same image goes on with new workers.
pub fn reloaded() {
    if SAID_READY.load(Ordering::Relaxed) {
        send("READY=1\nSTATUS=rsgi is ready");
    }
}

/// The reload did not come about; what ran goes on.
pub fn reload_failed() {
    if SAID_READY.load(Ordering::Relaxed) {
        send("READY=1\nSTATUS=rsgi is ready; the last reload failed");
    }
}

/// A sign of life for the watchdog, if one watches this process; about once a second, sent twice per period.
pub fn alive() {
    let Some(period) = watchdog_period() else { return };
    let mut last = LAST_ALIVE.lock().unwrap_or_else(PoisonError::into_inner);
    if last.is_none_or(|at| at.elapsed() + Duration::from_millis(500) >= period / 2) {
        *last = Some(Instant::now());
        send("WATCHDOG=1");
    }
}

/// What `WATCHDOG_USEC` says, if it is meant for this process.
fn watchdog_period() -> Option<Duration> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let period = number("WATCHDOG_USEC").filter(|usec| *usec > 0)?;
    let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    is_ours.then_some(Duration::from_micros(period))
}

/// The end has begun.
pub fn stopping() {
    send("STOPPING=1\nSTATUS=rsgi is stopping");
}
