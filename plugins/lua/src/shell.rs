//! `--lua-shell`: an interactive Lua on the operator's terminal, in worker 1 and in place of its loop; with
//! `--lua-shell-oneshot` once.

use crate::{app, options};
use rsgi_plugin_api::{HookError, log, process};
use std::io::IsTerminal;
use std::os::fd::AsFd;

/// Shows the shell, if this is the worker for it. Whether the worker ends after it; its successor shows the next one.
///
/// # Errors
/// There is no Lua state, or no terminal to write to.
pub fn has_ended() -> Result<bool, HookError> {
    let Some(once) = options::get().shell else {
        return Ok(false);
    };
    let is_first = process::records().get(1).is_some_and(|me| me.respawn_count <= 1);
    if process::worker_id() != 1 || (once && !is_first) {
        return Ok(false);
    }
    if !std::io::stdin().is_terminal() {
        log::line("--lua-shell: there is no terminal on standard input; worker 1 serves");
        return Ok(false);
    }
    // a start that waits for this worker goes on
    crate::worker::accepting(true);
    let state = app::state()?;
    let shown = on_terminal(|| state.lua.load(include_str!("shell.lua")).set_name("=lua-shell").exec())?;
    shown.map_err(|e| HookError::new(e.to_string()))?;
    Ok(!once)
}

/// What is shown and typed goes to the terminal, not into the log.
fn on_terminal<T>(body: impl FnOnce() -> T) -> Result<T, HookError> {
    let failed = |e: std::io::Error| HookError::new(format!("lua-shell: cannot write to the terminal: {e}"));
    let (out, err) = (std::io::stdout(), std::io::stderr());
    let kept = [
        (1, out.as_fd().try_clone_to_owned().map_err(failed)?),
        (2, err.as_fd().try_clone_to_owned().map_err(failed)?),
    ];
    for (fd, _) in &kept {
        // SAFETY: all three are open.
        unsafe { libc::dup2(0, *fd) };
    }
    let result = body();
    for (fd, before) in &kept {
        use std::os::fd::AsRawFd;
        // SAFETY: both are open.
        unsafe { libc::dup2(before.as_raw_fd(), *fd) };
    }
    Ok(result)
}
