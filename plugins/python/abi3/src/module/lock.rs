//! `uwsgi.*`: the locks that all processes share, by number. The host knows which thread has one; greenlets of one
//! thread are told apart here, so that one that holds a lock may wait while another asks for it.

use crate::py::{self, Args, Py, PyResult, told};
use crate::{gil, green};
use rsgi_plugin_api::lock::{self as host, Taken};
use std::cell::RefCell;
use std::collections::HashMap;

super::functions! {
    lock;
    unlock;
    is_locked;
}

/// The first and the longest pause of a greenlet between two looks at a lock, in seconds.
const PAUSES: [f64; 2] = [0.0005, 0.02];

thread_local! {
    /// The greenlets that hold locks, by the numbers of these.
    static HOLDERS: RefCell<HashMap<i64, usize>> = RefCell::default();
}

/// `lock([number])`: waits without the GIL, or while other greenlets run.
fn lock(args: &Args) -> PyResult<Py> {
    let number = args.int(0, 0)?;
    if green::is_on() {
        return lock_in_greenlet(number);
    }
    let mut taken = told(host::lock(number, false))?;
    if taken == Taken::Busy {
        taken = told(gil::released(|| host::lock(number, true)))?;
    }
    match taken {
        Taken::Yes => Ok(py::none()),
        _ => Err(held_already()),
    }
}

fn held_already() -> py::Raised {
    py::runtime_error("this thread holds the lock already: unlock() it before it is asked for again")
}

fn lock_in_greenlet(number: i64) -> PyResult<Py> {
    let me = green::current();
    let [mut pause, longest] = PAUSES;
    loop {
        let taken = told(host::lock(number, false))?;
        let holder = HOLDERS.with_borrow(|all| all.get(&number).copied());
        match taken {
            Taken::Yes => {
                HOLDERS.with_borrow_mut(|all| all.insert(number, me));
                return Ok(py::none());
            }
            Taken::Ours if holder.is_none_or(|holder| holder == me) => return Err(held_already()),
            Taken::Ours | Taken::Busy => green::sleep(&py::float(pause)?)?,
        }
        pause = longest.min(pause * 2.0);
    }
}

/// `unlock([number])`: by the thread that has the lock.
fn unlock(args: &Args) -> PyResult<Py> {
    let number = args.int(0, 0)?;
    HOLDERS.with_borrow_mut(|all| all.remove(&number));
    told(host::unlock(number)).map(|()| py::none())
}

/// `is_locked([number])`
fn is_locked(args: &Args) -> PyResult<Py> {
    told(host::is_locked(args.int(0, 0)?)).map(py::boolean)
}
