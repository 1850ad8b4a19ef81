//! `unix_signal:NUMBER FUNCTION`: what the master does when the operating system's signal comes, named by the function
//! that does it in uWSGI, or by one of a loaded plugin.

use super::call;
use crate::plugin::inside::Brought;
use std::ffi::c_int;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a signal makes the master do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// Stop gracefully.
    Stop,
    /// Stop now.
    FastStop,
    /// Reload.
    Reload,
    /// Stop, exec, start, at once.
    FastReload,
    /// Print the figures.
    Status,
    /// A function of a plugin or library: its address.
    Call(usize),
}

const NAMED: [(&str, Reaction); 5] = [
    ("gracefully_kill_them_all", Reaction::Stop),
    ("kill_them_all", Reaction::FastStop),
    ("grace_them_all", Reaction::Reload),
    ("reap_them_all", Reaction::FastReload),
    ("stats", Reaction::Status),
];

const SIGNALS: usize = 65;

/// By signal: 0 nothing, 1… a place in [`NAMED`], else the address of a function.
static REACTIONS: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];

fn parse(argument: &str) -> Result<(usize, usize), String> {
    let (number, function) = argument
        .trim()
        .split_once(char::is_whitespace)
        .unwrap_or((argument, ""));
    let known = |n: &usize| {
        crate::unix_signal::MASTER
            .iter()
            .any(|s| *s as usize == *n && *n != libc::SIGCHLD as usize)
    };
    let Some(signal) = number.trim().parse().ok().filter(known) else {
        let numbers: Vec<String> = crate::unix_signal::MASTER
            .iter()
            .map(|s| *s as i32)
            .filter(|n| *n != libc::SIGCHLD)
            .map(|n| n.to_string())
            .collect();
        return Err(format!(
            "{number:?} is no signal that the master takes: {}",
            numbers.join(", ")
        ));
    };
    let function = function.trim();
    let named = NAMED.iter().position(|(name, _)| *name == function);
    let reaction = match named {
        Some(at) => at + 1,
        None => call::address(function)? as usize,
    };
    Ok((signal, reaction))
}

/// Whether the argument makes sense.
pub(super) fn check(argument: &str) -> Result<(), String> {
    parse(argument).map(drop)
}

/// Takes it up.
pub(super) fn set(argument: &str) -> Result<(), String> {
    let (signal, reaction) = parse(argument)?;
    REACTIONS[signal].store(reaction, Ordering::Release);
    Ok(())
}

/// What an operator wants a signal to do, if anything other than usual.
pub fn reaction(signal: i32) -> Option<Reaction> {
    let stored = REACTIONS.get(usize::try_from(signal).ok()?)?.load(Ordering::Acquire);
    match stored {
        0 => None,
        at if at <= NAMED.len() => Some(NAMED[at - 1].1),
        address => Some(Reaction::Call(address)),
    }
}

impl Reaction {
    /// Calls the function of [`Reaction::Call`] with the signal.
    pub fn call(address: usize, signal: i32) {
        // SAFETY: an address that dlsym gave; uWSGI's contract: void f(int).
        unsafe {
            let f: unsafe extern "C" fn(c_int) = std::mem::transmute(address);
            Brought::of(c"function for a signal", f).call(|f| f(signal));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_keeps_its_meaning_until_it_is_given_another() {
        assert_eq!(reaction(libc::SIGWINCH), None);
        set("28 grace_them_all").unwrap();
        assert_eq!(reaction(libc::SIGWINCH), Some(Reaction::Reload));
        set("28 abs").unwrap();
        assert!(matches!(reaction(libc::SIGWINCH), Some(Reaction::Call(a)) if a > 100));
        assert!(set("17 grace_them_all").unwrap_err().contains("17"));
        assert!(set("x grace_them_all").unwrap_err().contains("15"));
        assert_eq!((reaction(-1), reaction(9999)), (None, None));
    }
}
