//! The last words of a process that ends inside a plugin's function: handlers of crashes, of `exit()`, and of being over
//! time. All but the orderly exit run in signal handlers: no allocation, no lock.

use super::{INSIDE, Place, here, record};
use crate::process::{self, Role};
use std::ffi::{c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Signals of a crash.
pub const CRASHES: [c_int; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT];

/// What was done at them before; the default if nothing.
static BEFORE: OnceLock<Vec<(c_int, libc::sigaction)>> = OnceLock::new();

/// The start is over: a process that ends now is replaced.
static SERVES: AtomicBool = AtomicBool::new(false);

/// What is added while the server starts.
const ADVICE: &[u8] =
    b"; the server cannot start with it: leave the plugin out, or see where it fails with gdb --args rsgi ...";

/// The start is over, in this process and those it forks.
pub fn serves() {
    SERVES.store(true, Ordering::Relaxed);
}

/// From now on, and in all children, a thread that crashes or exits inside a function of a plugin says so first.
pub fn watch() {
    record::prepare();
    BEFORE.get_or_init(|| {
        let install = |signal: &c_int| {
            // SAFETY: a struct of integers; the handler makes async-signal-safe calls alone.
            unsafe {
                let (mut action, mut before): (libc::sigaction, libc::sigaction) = std::mem::zeroed();
                action.sa_sigaction = on_crash as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigaction(*signal, &action, &mut before);
                (*signal, before)
            }
        };
        // SAFETY: a function that lives as long as the process.
        unsafe { libc::atexit(on_exit) };
        CRASHES.iter().map(install).collect()
    });
}

extern "C" fn on_crash(signal: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    tell(signal);
    let before = BEFORE.get().and_then(|all| all.iter().find(|(s, _)| *s == signal));
    // SAFETY: async-signal-safe calls with what the system gave. What happened happens again when this returns, and the
    // action before takes it; a signal that somebody sent has to be sent again.
    unsafe {
        if here().is_some() && !SERVES.load(Ordering::Relaxed) {
            // the line above says what to do: no core file for each start
            libc::prctl(libc::PR_SET_DUMPABLE, 0);
        }
        match before {
            Some((_, action)) => drop(libc::sigaction(signal, action, std::ptr::null_mut())),
            None => drop(libc::signal(signal, libc::SIG_DFL)),
        }
        if (*info).si_code <= 0 && signal != libc::SIGABRT {
            libc::raise(signal);
        }
    }
}

/// In a signal handler: the function that this thread is inside, if a signal is about to end the process there.
pub fn tell(signal: c_int) {
    let what = match signal {
        libc::SIGSEGV => "segmentation fault",
        libc::SIGBUS => "bus error",
        libc::SIGILL => "illegal instruction",
        libc::SIGFPE => "arithmetic error",
        _ => "abort",
    };
    if let Some(place) = here() {
        say_last(place, what);
    }
    // that of another thread is not the cause
    record::leave();
}

/// In a signal handler: the same when the process has been asked for too long for a sign of life, of all its threads.
pub fn tell_over_time() {
    record::own().for_each(|place| say(place, "over time", b""));
}

/// Of a process that ends; while the server starts, with what to do.
fn say_last(place: Place, what: &str) {
    say(place, what, advice());
}

fn advice() -> &'static [u8] {
    match SERVES.load(Ordering::Relaxed) {
        true => b"",
        false => ADVICE,
    }
}

fn say(Place { plugin, function }: Place, what: &str, advice: &[u8]) {
    let (plugin, function) = (plugin.to_bytes(), function.to_bytes());
    write(&[
        b"plugin ",
        plugin,
        b": ",
        what.as_bytes(),
        b" in its ",
        function,
        advice,
    ]);
}

/// A plugin asks for an orderly end of the process. Mistakes of applications have their own words.
pub fn tell_exit(code: c_int) {
    let told = [0, crate::startup::NEED_APP, crate::startup::APP_LOAD];
    if let Some(Place { plugin, function }) = here().filter(|_| !told.contains(&code)) {
        let [plugin, function] = [plugin, function].map(std::ffi::CStr::to_string_lossy);
        // one that ends by itself says why
        let advice = match SERVES.load(Ordering::Relaxed) {
            true => "",
            false => "; the server cannot start with it: what it has said above tells why",
        };
        crate::say!("plugin {plugin}: exit({code}) in its {function}{advice}");
    }
    INSIDE.set(None);
    record::leave();
}

/// `_exit()` in the start or in the master. Of a child the master says it, and one that a plugin has forked is its own affair.
pub fn hard_exit(code: c_int) -> ! {
    let is_watched = !matches!(process::role(), Role::Master | Role::Trial) || !record::is_here();
    if let Some(Place { plugin, function }) = here().filter(|_| code != 0 && !is_watched) {
        let (plugin, function) = (plugin.to_bytes(), function.to_bytes());
        let mut digits = [0; 3];
        let code = decimal(code as u8, &mut digits);
        write(&[b"plugin ", plugin, b": _exit(", code, b") in its ", function, advice()]);
    }
    loop {
        // SAFETY: ends the process.
        unsafe { libc::syscall(libc::SYS_exit_group, code) };
    }
}

/// An exit code as text.
fn decimal(code: u8, digits: &mut [u8; 3]) -> &[u8] {
    *digits = [code / 100, code / 10 % 10, code % 10].map(|digit| b'0' + digit);
    let zeros = digits[..2].iter().take_while(|digit| **digit == b'0').count();
    &digits[zeros..]
}

/// `exit()` of the C library, which the server itself never calls.
extern "C" fn on_exit() {
    if let Some(place) = here() {
        say_last(place, "exit()");
    }
    record::leave();
}

/// A line with async-signal-safe calls alone, in one piece.
fn write(parts: &[&[u8]]) {
    let mut line = [0u8; 512];
    let mut len = 0;
    for part in parts {
        let room = &mut line[len..511];
        let taken = part.len().min(room.len());
        room[..taken].copy_from_slice(&part[..taken]);
        len += taken;
    }
    line[len] = b'\n';
    len += 1;
    // SAFETY: so many bytes of ours.
    unsafe { libc::write(crate::log::standard::of_this_process(), line.as_ptr().cast(), len) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_written_without_a_formatter() {
        for code in 0..=255u8 {
            assert_eq!(decimal(code, &mut [0; 3]), code.to_string().as_bytes());
        }
    }
}
