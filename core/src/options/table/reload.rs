//! Reload, stop, and what makes them happen.

use super::values::file_and_action;
use crate::options::command::Command;
use crate::options::parse;
use crate::options::spec::ArgKind::{No, Required};
use crate::options::spec::{Group, OptionSpec, command, flag, later, number, parsed, path};
use crate::settings::{ReloadStrategy, TouchSignal};

pub static GROUP: Group = Group {
    title: "Reload and stop",
    rows: ROWS,
};

static ROWS: &[OptionSpec] = &[
    command("stop", Required, "stop the instance of a pidfile and end", |v| {
        Command::Stop(v.unwrap_or_default().into())
    }),
    command("reload", Required, "reload the instance of a pidfile and end", |v| {
        Command::Reload(v.unwrap_or_default().into())
    }),
    command(
        "pause",
        Required,
        "pause or resume the instance of a pidfile and end",
        |v| Command::Pause(v.unwrap_or_default().into()),
    )
    .aliases(&["suspend", "resume"]),
    flag("die-on-term", "SIGTERM stops at once and SIGQUIT reloads", |s, on| {
        s.reload.die_on_term = on
    }),
    flag("exit-on-reload", "end instead of reloading", |s, on| {
        s.reload.exit_on_reload = on
    }),
    parsed(
        "reload-strategy",
        "rolling (new workers first), chain (workers one by one, no new image), stop-start (uWSGI's order)",
        |s, v| {
            s.reload.strategy = match v {
                "rolling" => ReloadStrategy::Rolling,
                "chain" => ReloadStrategy::Chain,
                "stop-start" => ReloadStrategy::StopStart,
                other => return Err(format!("{other}: there are rolling, chain and stop-start")),
            };
            Ok(())
        },
    )
    .master(),
    number("reload-mercy", "seconds that stop and reload wait", |s, n| {
        s.reload.reload_mercy = n
    }),
    number("worker-reload-mercy", "seconds that a worker gets to finish", |s, n| {
        s.reload.worker_reload_mercy = n
    }),
    number("mule-reload-mercy", "seconds that a mule gets to finish", |s, n| {
        s.reload.mule_reload_mercy = n
    }),
    path("touch-reload", "reload when this file changes", |s, v| {
        s.reload.touch_reload.push(v.into())
    })
    .master(),
    path(
        "touch-workers-reload",
        "reload the workers when this file changes",
        |s, v| s.reload.touch_workers_reload.push(v.into()),
    )
    .master(),
    path(
        "touch-chain-reload",
        "reload the workers one by one when this file changes",
        |s, v| s.reload.touch_chain_reload.push(v.into()),
    )
    .master(),
    path(
        "touch-mules-reload",
        "reload the mules when this file changes",
        |s, v| s.reload.touch_mules_reload.push(v.into()),
    )
    .master(),
    path(
        "touch-spoolers-reload",
        "reload the spoolers when this file changes",
        |s, v| s.reload.touch_spoolers_reload.push(v.into()),
    )
    .master(),
    path(
        "touch-gracefully-stop",
        "stop gracefully when this file changes",
        |s, v| s.reload.touch_gracefully_stop.push(v.into()),
    )
    .master(),
    path("touch-logrotate", "rotate the log when this file changes", |s, v| {
        s.reload.touch_logrotate.push(v.into());
        s.logging.log_master = true;
    })
    .master(),
    path("touch-logreopen", "open the log anew when this file changes", |s, v| {
        s.reload.touch_logreopen.push(v.into());
        s.logging.log_master = true;
    })
    .master(),
    parsed(
        "touch-exec",
        "run a command when a file changes: FILE COMMAND",
        |s, v| {
            let touch = file_and_action(v, "FILE COMMAND")?;
            s.hooks.touch_exec.push(touch);
            Ok(())
        },
    )
    .verbatim()
    .master(),
    parsed(
        "touch-signal",
        "raise a uWSGI signal when a file changes: FILE SIGNAL",
        |s, v| {
            let touch = file_and_action(v, "FILE SIGNAL")?;
            let signal = parse::number(touch.action.trim(), 0, 255)? as u8;
            s.hooks.touch_signal.push(TouchSignal {
                file: touch.file,
                signal,
            });
            Ok(())
        },
    )
    .master(),
    path("fs-reload", "reload at any event of this path", |s, v| {
        s.reload.fs_reload.push(v.into())
    })
    .master(),
    path(
        "fs-brutal-reload",
        "reload at once at any event of this path",
        |s, v| s.reload.fs_brutal_reload.push(v.into()),
    )
    .master(),
    later("die-on-no-workers", No, "end when no worker is left"),
];
