//! Options of the host that a plugin sets while one of its own is applied (`uwsgi_opt_add_mule()` and its kin). The
//! first process collects them here and takes them up right after.

use std::sync::{Mutex, PoisonError};

static WAITING: Mutex<Vec<(String, Option<String>)>> = Mutex::new(Vec::new());

/// One more option, to be applied as if the configuration had it.
pub fn set(key: &str, value: Option<&str>) {
    let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    waiting.push((key.to_owned(), value.map(str::to_owned)));
}

/// Those that were set since the last time.
pub fn take() -> Vec<(String, Option<String>)> {
    std::mem::take(&mut WAITING.lock().unwrap_or_else(PoisonError::into_inner))
}
