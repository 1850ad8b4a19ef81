//! Algorithms of `--cheaper-algo` that plugins bring. Registered in the start, asked by the master once a second.

use rsgi_plugin_api::abi::UwsgiCheaperFn;
use std::sync::{Mutex, PoisonError};

static KNOWN: Mutex<Vec<(Vec<u8>, UwsgiCheaperFn)>> = Mutex::new(Vec::new());

/// An algorithm by its name.
pub fn register(name: &[u8], func: UwsgiCheaperFn) {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.retain(|(other, _)| other != name);
    known.push((name.to_vec(), func));
}

/// The algorithm of this name.
pub fn find(name: &str) -> Option<UwsgiCheaperFn> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known
        .iter()
        .find(|(other, _)| other == name.as_bytes())
        .map(|(_, func)| *func)
}

/// The names, for lists.
pub fn names() -> Vec<String> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known
        .iter()
        .map(|(name, _)| String::from_utf8_lossy(name).into_owned())
        .collect()
}
