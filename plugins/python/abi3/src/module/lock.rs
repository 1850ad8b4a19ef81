//! `uwsgi.*`: the locks that all processes share, by number.

use crate::gil;
use crate::py::{self, Args, Py, PyResult};
use rsgi_plugin_api::abi::UwsgiLockItem;
use rsgi_plugin_api::sys;

super::functions! {
    lock;
    unlock;
    is_locked;
}

/// The lock of this number; the spooler has none.
fn numbered(args: &Args) -> PyResult<*mut UwsgiLockItem> {
    let number = args.int(0, 0)?;
    // SAFETY: reads of the published view, which does not change any more.
    unsafe {
        if sys::uwsgi.i_am_a_spooler != 0 {
            return Err(py::value_error("The spooler cannot lock/unlock resources"));
        }
        match usize::try_from(number) {
            Ok(n) if number <= sys::uwsgi.locks.into() => Ok(*sys::uwsgi.user_lock.add(n)),
            _ => Err(py::value_error("Invalid lock number")),
        }
    }
}

/// `lock([number])`: waits without the GIL.
fn lock(args: &Args) -> PyResult<Py> {
    let lock = numbered(args)?;
    // SAFETY: a record of the host.
    let mut rc = unsafe { sys::rsgi_lock(lock, 0) };
    if rc == -1 {
        // SAFETY: as above.
        rc = gil::released(|| unsafe { sys::rsgi_lock(lock, 1) });
    }
    match rc {
        0 => Ok(py::none()),
        _ => Err(py::runtime_error(
            "this thread holds the lock already: unlock() it before it is asked for again",
        )),
    }
}

/// `unlock([number])`: by the thread that has the lock.
fn unlock(args: &Args) -> PyResult<Py> {
    let lock = numbered(args)?;
    // SAFETY: a record of the host.
    unsafe { sys::uwsgi_unlock(lock) };
    Ok(py::none())
}

/// `is_locked([number])`
fn is_locked(args: &Args) -> PyResult<Py> {
    let lock = numbered(args)?;
    // SAFETY: a record of the host.
    Ok(py::boolean(unsafe { sys::uwsgi_lock_check(lock) } != 0))
}
