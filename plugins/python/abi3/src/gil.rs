//! Who holds the GIL. Rule of the whole plugin: outside of our hooks it is free, so that threads of the application
//! run in every process that has Python; each hook takes it through [`with`], each call of the host that may block
//! gives it away through [`released`]. With `--no-enable-threads` it is never given away and all of this is free.

use pyo3_ffi::{PyEval_RestoreThread, PyEval_SaveThread, PyGILState_Ensure, PyThreadState};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether threads are wanted; settled before Python starts.
static THREADS: AtomicBool = AtomicBool::new(true);

/// The process has one thread that ever runs Python: it keeps the GIL from here on.
pub fn without_threads() {
    THREADS.store(false, Ordering::Relaxed);
    ATTACHED.set(true);
}

/// Whether threads beside the main one may run Python.
pub fn has_threads() -> bool {
    THREADS.load(Ordering::Relaxed)
}

thread_local! {
    /// The Python thread state of this OS thread while it is detached.
    static STATE: Cell<*mut PyThreadState> = const { Cell::new(std::ptr::null_mut()) };
    /// Whether this OS thread is inside [`with`] and holds the GIL.
    static ATTACHED: Cell<bool> = const { Cell::new(false) };
}

/// Takes the GIL back or gives it away when dropped, also when a panic passes.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Attaches this thread; its state is made at the first call and kept.
pub fn enter() {
    if ATTACHED.get() {
        return;
    }
    let state = STATE.get();
    if state.is_null() {
        // SAFETY: Python runs, and this thread has no state of ours yet.
        unsafe { PyGILState_Ensure() };
    } else {
        // SAFETY: the state that `leave` saved on this very thread.
        unsafe { PyEval_RestoreThread(state) };
    }
    ATTACHED.set(true);
}

/// Detaches this thread.
pub fn leave() {
    if !THREADS.load(Ordering::Relaxed) {
        return;
    }
    ATTACHED.set(false);
    // SAFETY: called by a thread that `enter` (or the start of Python) attached.
    STATE.set(unsafe { PyEval_SaveThread() });
}

/// Runs `body` with the GIL; nested calls are free.
pub fn with<R>(body: impl FnOnce() -> R) -> R {
    if ATTACHED.get() {
        return body();
    }
    enter();
    let _leave = OnDrop(leave);
    body()
}

/// Runs `body` without the GIL; the caller holds it, on whatever thread.
pub fn released<R>(body: impl FnOnce() -> R) -> R {
    if !THREADS.load(Ordering::Relaxed) {
        return body();
    }
    let was = ATTACHED.replace(false);
    // SAFETY: the caller holds the GIL.
    let state = unsafe { PyEval_SaveThread() };
    let before = STATE.replace(state);
    let _back = OnDrop(|| {
        STATE.set(before);
        // SAFETY: the state saved above, on this thread.
        unsafe { PyEval_RestoreThread(state) };
        ATTACHED.set(was);
    });
    body()
}
