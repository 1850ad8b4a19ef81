//! The locks of applications (`--locks`) for plugins written in Rust, by number; 0 is always there.

use crate::abi::UwsgiLockItem;
use crate::{HookError, sys};

fn numbered(number: i64) -> Result<*mut UwsgiLockItem, HookError> {
    // SAFETY: reads of the published view, which does not change any more.
    unsafe {
        if sys::uwsgi.i_am_a_spooler != 0 {
            return Err(HookError::new("The spooler cannot lock/unlock resources"));
        }
        let last = sys::uwsgi.locks;
        match usize::try_from(number) {
            Ok(n) if number <= last.into() => Ok(*sys::uwsgi.user_lock.add(n)),
            _ => Err(HookError::new(format!(
                "Invalid lock number {number}: there are 0 to {last} (see locks)"
            ))),
        }
    }
}

/// How an attempt to take a lock ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is this thread's now.
    Yes,
    /// Somebody else has it.
    Busy,
    /// This thread had it already: it is to be unlocked before it is asked for again.
    Ours,
}

/// Takes a lock; `wait`: however long somebody else has it.
///
/// # Errors
/// There is no such lock.
pub fn lock(number: i64, wait: bool) -> Result<Taken, HookError> {
    // SAFETY: a record of the host.
    Ok(match unsafe { sys::rsgi_lock(numbered(number)?, wait.into()) } {
        0 => Taken::Yes,
        -1 => Taken::Busy,
        _ => Taken::Ours,
    })
}

/// Gives a lock back, in the thread that has it.
///
/// # Errors
/// There is no such lock.
pub fn unlock(number: i64) -> Result<(), HookError> {
    // SAFETY: a record of the host.
    unsafe { sys::uwsgi_unlock(numbered(number)?) };
    Ok(())
}

/// Whether somebody has a lock.
///
/// # Errors
/// There is no such lock.
pub fn is_locked(number: i64) -> Result<bool, HookError> {
    // SAFETY: a record of the host.
    Ok(unsafe { sys::uwsgi_lock_check(numbered(number)?) } != 0)
}
