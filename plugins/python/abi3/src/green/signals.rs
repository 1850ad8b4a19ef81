//! `uwsgi.signal_wait()` in a greenlet. The host takes signals in the worker's loop and tells us of each; the first
//! greenlet that waits for it goes on.

use crate::exchange;
use crate::py::{self, PyResult};
use std::cell::{Cell, RefCell};
use std::ffi::c_int;

/// A greenlet that waits.
struct Waiter {
    /// `None`: any signal will do.
    wanted: Option<u8>,
    /// What the engine knows it by: negative, since requests are known by their addresses.
    key: i64,
}

thread_local! {
    static WAITERS: RefCell<Vec<Waiter>> = const { RefCell::new(Vec::new()) };
    /// What woken greenlets were woken with; `None`: the worker leaves.
    static WOKEN: RefCell<Vec<(i64, Option<u8>)>> = const { RefCell::new(Vec::new()) };
    static LAST_KEY: Cell<i64> = const { Cell::new(0) };
    /// The last signal that a greenlet without a request waited for.
    static RECEIVED: Cell<i32> = const { Cell::new(-1) };
}

/// Waits for a signal while others run.
pub fn wait(wanted: Option<u8>) -> PyResult<()> {
    let key = LAST_KEY.get() - 1;
    LAST_KEY.set(key);
    note(-1);
    WAITERS.with_borrow_mut(|all| all.push(Waiter { wanted, key }));
    let outcome = loop {
        if let Err(raised) = super::park(key) {
            break Err(raised);
        }
        let woken = WOKEN.with_borrow_mut(|all| {
            let at = all.iter().position(|(k, _)| *k == key)?;
            Some(all.swap_remove(at).1)
        });
        if let Some(with) = woken {
            break Ok(with);
        }
    };
    WAITERS.with_borrow_mut(|all| all.retain(|waiter| waiter.key != key));
    WOKEN.with_borrow_mut(|all| all.retain(|(k, _)| *k != key));
    match outcome? {
        Some(signal) => {
            note(signal.into());
            Ok(())
        }
        None => Err(py::system_error("waiting for a signal ended: the process is leaving")),
    }
}

fn note(signal: i32) {
    match exchange::current() {
        Some(exchange) => exchange.signal.set(signal),
        None => RECEIVED.set(signal),
    }
}

/// The signal that this greenlet's last [`wait`] ended with, -1: none; `None` outside of greenlets.
pub fn received() -> Option<i32> {
    super::is_on().then(|| exchange::current().map_or(RECEIVED.get(), |exchange| exchange.signal.get()))
}

/// The host took a signal; whether somebody waited for it. `handled` -1: the worker leaves.
pub unsafe extern "C" fn seen(signal: u8, handled: c_int) -> c_int {
    crate::guarded("signal", 0, || wake(signal, handled))
}

fn wake(signal: u8, handled: c_int) -> c_int {
    let woken = WAITERS.with_borrow_mut(|all| {
        if handled < 0 {
            return std::mem::take(all);
        }
        let first = all
            .iter()
            .position(|waiter| waiter.wanted.is_none_or(|wanted| wanted == signal));
        first.map(|at| all.remove(at)).into_iter().collect()
    });
    for waiter in &woken {
        WOKEN.with_borrow_mut(|all| all.push((waiter.key, (handled >= 0).then_some(signal))));
        super::unpark(waiter.key);
    }
    c_int::from(!woken.is_empty())
}
