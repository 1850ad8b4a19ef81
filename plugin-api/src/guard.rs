//! The one wrapper round every hook of a Rust plugin, and round every call the host makes into one: a panic never
//! crosses the C boundary.

use crate::HookError;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a hook; an error or a panic is logged as `plugin: hook: text` and becomes `failed`.
pub fn hook<T>(plugin: &str, hook: &str, failed: T, body: impl FnOnce() -> Result<T, HookError>) -> T {
    let text = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => return value,
        Ok(Err(error)) => error.to_string(),
        Err(panic) => format!("panicked: {}", panic_text(panic.as_ref())),
    };
    crate::log::line(&format!("{plugin}: {hook}: {text}"));
    failed
}

/// The message of a caught panic.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
