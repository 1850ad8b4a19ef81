//! The worker override: with `KINDS_WORKER` in the environment a worker counts instead of serving.

use rsgi_plugin_api::{HookError, log};

pub fn run() -> Result<bool, HookError> {
    let Some(word) = std::env::var_os("KINDS_WORKER") else {
        return Ok(false);
    };
    log::line(&format!("a worker of its own: {}", word.display()));
    std::thread::sleep(std::time::Duration::from_secs(60));
    Ok(true)
}
