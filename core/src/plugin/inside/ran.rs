//! Which plugins have run since this worker serves: what is wrong with the process as a whole, one of them has done.

use std::ffi::{CStr, c_char};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The plugin that ran last, which mostly runs again.
static LAST: AtomicPtr<c_char> = AtomicPtr::new(null_mut());
/// Names of those that ran; further ones are left out.
static ALL: [AtomicPtr<c_char>; 16] = [const { AtomicPtr::new(null_mut()) }; 16];

/// A plugin runs; its name lives as long as the process.
#[inline]
pub fn note(name: *const c_char) {
    if !std::ptr::eq(LAST.load(Ordering::Relaxed), name) {
        add(name.cast_mut());
    }
}

#[cold]
fn add(name: *mut c_char) {
    LAST.store(name, Ordering::Relaxed);
    for known in &ALL {
        let free = known.compare_exchange(null_mut(), name, Ordering::Relaxed, Ordering::Relaxed);
        match free {
            Err(other) if !std::ptr::eq(other, name) => {}
            _ => return,
        }
    }
}

/// From now on: what ran before is forgotten.
pub fn begin() {
    LAST.store(null_mut(), Ordering::Relaxed);
    ALL.iter().for_each(|known| known.store(null_mut(), Ordering::Relaxed));
}

/// The plugins that ran.
pub fn names() -> Vec<String> {
    let all = ALL.iter().map(|known| known.load(Ordering::Relaxed));
    let mut names: Vec<String> = all
        .filter(|name| !name.is_null())
        // SAFETY: names live as long as the process.
        .map(|name| unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_named_once() {
        begin();
        let [a, b] = [c"ran-a", c"ran-b"];
        for name in [b, a, b, b, a] {
            note(name.as_ptr());
        }
        let ran: Vec<String> = names().into_iter().filter(|name| name.starts_with("ran-")).collect();
        assert_eq!(ran, ["ran-a", "ran-b"]);
    }
}
