//! Lines to the host's log, from plugins written in Rust.

use crate::sys;

/// Writes one line, whole, to the host's log; the newline is added.
pub fn line(text: &str) {
    let mut bytes = Vec::with_capacity(text.len() + 1);
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(b'\n');
    // SAFETY: pointer and length describe `bytes`, which the host copies before it returns.
    unsafe { sys::uwsgi_log_str(bytes.as_ptr().cast(), bytes.len()) }
}

struct Forward;

impl log::Log for Forward {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }
    fn log(&self, record: &log::Record<'_>) {
        line(&format!("{}: {}", record.target(), record.args()));
    }
    fn flush(&self) {}
}

/// Forwards this shared object's `log` records to the host; each cdylib has a `log` of its own, which is mute
/// otherwise. `export_plugin!` calls it.
pub fn forward() {
    if log::set_logger(&Forward).is_ok() {
        log::set_max_level(log::LevelFilter::Info);
    }
}
