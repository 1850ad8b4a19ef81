//! `--lua-worker-override`: a script in place of a worker's request loop, and the orders that such a worker gets.

use crate::app;
use mlua::Table;
use rsgi_plugin_api::{HookError, process, sys};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

/// The master wants this worker to finish what it does, then end.
static LEAVES: AtomicBool = AtomicBool::new(false);
/// Wakes who waits when it is told so; 0: nobody has asked yet, and such an order ends the process at once.
static BELL: AtomicI32 = AtomicI32::new(0);

/// The life of a worker: whatever the script does.
///
/// # Errors
/// There is no Lua state, or the script failed; the log has said why.
pub fn run(script: &Path) -> Result<bool, HookError> {
    let state = app::state()?;
    let set = || {
        let uwsgi: Table = state.lua.globals().get("uwsgi")?;
        uwsgi.set("sockets", sockets())
    };
    set().map_err(|e| HookError::new(e.to_string()))?;
    match app::run_file(&state.lua, script) {
        Ok(()) => Ok(true),
        // a worker that serves by itself instead would hide the mistake
        // SAFETY: an orderly end of this worker, in its main thread.
        Err(_) => unsafe { sys::uwsgi_exit(1) },
    }
}

/// The descriptors of the listening sockets.
pub fn sockets() -> Vec<i32> {
    let mut all = Vec::new();
    // SAFETY: the host's list, which does not change while a hook runs.
    unsafe {
        let mut socket = sys::uwsgi.sockets;
        while let Some(s) = socket.as_ref() {
            all.extend((s.fd >= 0).then_some(s.fd));
            socket = s.next;
        }
    }
    all
}

/// This worker serves, or no longer does: a reload waits for it.
pub fn accepting(flag: bool) {
    let me = usize::try_from(process::worker_id()).unwrap_or(0);
    // SAFETY: the host's array of numproc + 1 records in shared memory; a worker writes its own alone.
    unsafe {
        if me > 0 && !sys::uwsgi.workers.is_null() {
            (*sys::uwsgi.workers.add(me)).accepting = i32::from(flag);
        }
    }
}

extern "C" fn told(_: libc::c_int) {
    LEAVES.store(true, Ordering::Release);
    let one = 1u64;
    // SAFETY: write() is async-signal-safe; an event descriptor takes eight bytes.
    unsafe { libc::write(BELL.load(Ordering::Acquire), (&raw const one).cast(), size_of::<u64>()) };
}

/// Whether the master wants this worker to end. Who has asked once is no longer ended at once by such an order.
pub fn leaves() -> bool {
    bell();
    LEAVES.load(Ordering::Acquire)
}

/// The descriptor that is readable when this worker is to end.
fn bell() -> i32 {
    let known = BELL.load(Ordering::Acquire);
    if known > 0 {
        return known;
    }
    // SAFETY: a new descriptor that stays open; the handler makes async-signal-safe calls alone.
    unsafe {
        let new = libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
        BELL.store(new, Ordering::Release);
        for order in [libc::SIGHUP, libc::SIGTERM] {
            libc::signal(order, told as extern "C" fn(libc::c_int) as libc::sighandler_t);
        }
        new
    }
}

/// Waits for a client on any of the sockets: its connection; `None`: the time is over, or the worker is to end.
pub fn accept(limit: Option<Duration>) -> Option<i32> {
    let end = limit.and_then(|limit| Instant::now().checked_add(limit));
    let bell = bell();
    let sockets = sockets();
    let mut all: Vec<libc::pollfd> = sockets
        .iter()
        .chain([&bell])
        .map(|fd| libc::pollfd {
            fd: *fd,
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    while !leaves() {
        for fd in &sockets {
            // SAFETY: nothing is asked about the peer.
            let client = unsafe {
                libc::accept4(
                    *fd,
                    std::ptr::null_mut(),
                    std::ptr::null_mut(),
                    libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
                )
            };
            if client >= 0 {
                return Some(client);
            }
        }
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return None;
        }
        let left = left.map_or(-1, |left| i32::try_from(left.as_millis() + 1).unwrap_or(i32::MAX));
        // SAFETY: so many entries of ours.
        unsafe { libc::poll(all.as_mut_ptr(), all.len() as libc::nfds_t, left) };
    }
    None
}
