//! Sources of time that plugins bring (`--clock NAME`), for all that asks `uwsgi_now()` and `uwsgi_micros()`.

use crate::plugin::inside::Brought;
use rsgi_plugin_api::abi::UwsgiClock;
use std::ffi::CStr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The names of the system's own clock.
const OWN: [&str; 2] = ["unix", "realtime"];

/// The record of a plugin.
struct Known(*mut UwsgiClock);

// SAFETY: records stay, and are only read.
unsafe impl Send for Known {}

static KNOWN: Mutex<Vec<Known>> = Mutex::new(Vec::new());
static USED: AtomicPtr<UwsgiClock> = AtomicPtr::new(std::ptr::null_mut());

/// One more clock.
///
/// # Safety
/// `clock` is NULL or a record that stays, with a NUL-terminated name.
pub unsafe fn register(clock: *mut UwsgiClock) {
    // SAFETY: by the contract.
    if !clock.is_null() && !unsafe { (*clock).name.is_null() } {
        KNOWN.lock().unwrap_or_else(PoisonError::into_inner).push(Known(clock));
    }
}

/// Takes the clock that is asked for; in the start.
///
/// # Errors
/// One line: nobody brings it.
pub fn install(name: Option<&str>) -> Result<(), String> {
    let Some(name) = name else { return Ok(()) };
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: names are NUL-terminated and stay.
    let name_of = |clock: &Known| unsafe { CStr::from_ptr((*clock.0).name) }.to_string_lossy();
    match known.iter().find(|clock| name_of(clock) == name) {
        Some(clock) => USED.store(clock.0, Ordering::Release),
        None if OWN.contains(&name) => {}
        None => {
            let names = known.iter().map(|clock| name_of(clock).into_owned());
            let names: Vec<String> = OWN.map(str::to_owned).into_iter().chain(names).collect();
            return Err(format!("clock: there is no \"{name}\" (clocks: {})", names.join(", ")));
        }
    }
    Ok(())
}

/// Time since the epoch by the clock that is used.
pub fn now() -> Duration {
    let used = USED.load(Ordering::Acquire);
    if !used.is_null() {
        // SAFETY: a record that stays; its functions may be called anywhere, by the header.
        unsafe {
            if let Some(microseconds) = (*used).microseconds {
                let now = Brought::of(c"clock", microseconds).call(|microseconds| microseconds());
                return Duration::from_micros(now);
            }
            if let Some(seconds) = (*used).seconds {
                let now = Brought::of(c"clock", seconds).call(|seconds| seconds());
                return Duration::from_secs(now.max(0).unsigned_abs());
            }
        }
    }
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
