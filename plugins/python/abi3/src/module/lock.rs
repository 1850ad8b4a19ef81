//! `uwsgi.*`: the locks that all processes share, by number.

use crate::gil;
use crate::py::{self, Args, Py, PyResult, told};
use rsgi_plugin_api::lock::{self as host, Taken};

super::functions! {
    lock;
    unlock;
    is_locked;
}

/// `lock([number])`: waits without the GIL.
fn lock(args: &Args) -> PyResult<Py> {
    let number = args.int(0, 0)?;
    let mut taken = told(host::lock(number, false))?;
    if taken == Taken::Busy {
        taken = told(gil::released(|| host::lock(number, true)))?;
    }
    match taken {
        Taken::Yes => Ok(py::none()),
        _ => Err(py::runtime_error(
            "this thread holds the lock already: unlock() it before it is asked for again",
        )),
    }
}

/// `unlock([number])`: by the thread that has the lock.
fn unlock(args: &Args) -> PyResult<Py> {
    told(host::unlock(args.int(0, 0)?)).map(|()| py::none())
}

/// `is_locked([number])`
fn is_locked(args: &Args) -> PyResult<Py> {
    told(host::is_locked(args.int(0, 0)?)).map(py::boolean)
}
