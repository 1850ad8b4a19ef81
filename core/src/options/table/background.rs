//! Daemons, crons, mules, spoolers, signals.

use super::values::pairs;
use crate::options::command::Command;
use crate::options::parse;
use crate::options::spec::ArgKind::Required;
use crate::options::spec::{Group, OptionSpec, bytes, command, flag, number, optional, parsed, path};
use crate::settings::{Cron, Daemon, Mule, Settings};
use crate::signal::cron as schedule;

pub static GROUP: Group = Group {
    title: "Beside the workers",
    rows: ROWS,
};

static ROWS: &[OptionSpec] = &[
    parsed(
        "attach-daemon",
        "a command that lives and dies with the instance",
        |s, v| daemon(s, Daemon::child(v)),
    )
    .verbatim()
    .master(),
    parsed(
        "attach-control-daemon",
        "the same; the instance ends with it",
        |s, v| {
            daemon(
                s,
                Daemon {
                    controls: true,
                    ..Daemon::child(v)
                },
            )
        },
    )
    .verbatim()
    .master(),
    parsed(
        "attach-daemon2",
        "a command with settings: cmd=COMMAND,freq=3,pidfile=FILE",
        |s, v| daemon(s, keyed_daemon(v)?),
    )
    .verbatim()
    .master(),
    parsed(
        "smart-attach-daemon",
        "a command that goes to the background by itself: PIDFILE COMMAND",
        |s, v| smart(s, v, false),
    )
    .verbatim()
    .master(),
    parsed(
        "smart-attach-daemon2",
        "a command that is put into the background: PIDFILE COMMAND",
        |s, v| smart(s, v, true),
    )
    .verbatim()
    .master(),
    flag(
        "daemons-honour-stdin",
        "attached commands get the standard input of the server",
        |s, on| s.background.daemons_honour_stdin = on,
    ),
    parsed(
        "cron",
        "a command on schedule: MINUTE HOUR DAY MONTH WEEKDAY COMMAND (-1 any, -N every N)",
        |s, v| cron(s, v, false),
    )
    .verbatim()
    .master(),
    parsed("unique-cron", "the same, never two at once", |s, v| cron(s, v, true))
        .verbatim()
        .master(),
    parsed(
        "cron2",
        "a command on schedule with settings: minute=0,unique=1 COMMAND",
        |s, v| {
            let cron = keyed_cron(v)?;
            s.background.crons.push(cron);
            Ok(())
        },
    )
    .verbatim()
    .master(),
    number("mules", "this many processes for background work", |s, n| {
        s.background.mules.extend((0..n).map(|_| Mule { script: None }))
    })
    .range(0, 1024)
    .master(),
    optional(
        "mule",
        "a process for background work, with a script of its own",
        |s, v| {
            let script = v.filter(|v| !v.is_empty() && *v != "true").map(str::to_owned);
            s.background.mules.push(Mule { script })
        },
    )
    .master(),
    parsed("farm", "a group of mules: NAME:MULE,MULE", |s, v| {
        match v.split_once(':') {
            Some((name, mules)) if !name.is_empty() && !mules.is_empty() => s.background.farms.push(v.to_owned()),
            _ => {
                return Err(format!(
                    "invalid farm value ({v}) must be in the form name:mule[,muleN]"
                ));
            }
        }
        Ok(())
    })
    .master(),
    bytes("mule-msg-size", "bytes of a mule's queue", |s, n| {
        s.background.mule_msg_size = n
    }),
    path("spooler", "a directory of tasks", |s, v| {
        s.background.spoolers.push(v.into())
    })
    .short('Q')
    .master(),
    number("spooler-processes", "processes of each spooler", |s, n| {
        s.background.spooler_processes = n as u32
    }),
    number(
        "spooler-frequency",
        "seconds between two looks into the directory",
        |s, n| s.background.spooler_frequency = n,
    )
    .aliases(&["spooler-freq"]),
    number(
        "spooler-max-tasks",
        "tasks after which a spooler is replaced",
        |s, n| s.background.spooler_max_tasks = n,
    ),
    flag(
        "spooler-cheap",
        "processes of spoolers only while there is something to do",
        |s, on| s.background.spooler_cheap = on,
    ),
    flag(
        "spooler-signal-as-task",
        "a uWSGI signal that a spooler handles counts for spooler-max-tasks",
        |s, on| s.background.spooler_signal_as_task = on,
    ),
    flag("spooler-ordered", "tasks in the order of their names", |s, on| {
        s.background.spooler_ordered = on
    }),
    flag("spooler-quiet", "fewer lines about tasks", |s, on| {
        s.background.spooler_quiet = on
    }),
    flag(
        "spooler-fsync",
        "a task is on the disk, whatever happens, when spool() returns",
        |s, on| s.background.spooler_fsync = on,
    ),
    path("spooler-chdir", "where tasks run", |s, v| {
        s.background.spooler_chdir = Some(v.into())
    }),
    parsed(
        "timer",
        "raise a uWSGI signal again and again: SIGNAL SECONDS",
        |s, v| {
            let timer = timer(v)?;
            s.background.timers.push(timer);
            Ok(())
        },
    )
    .aliases(&["signal-timer"])
    .master(),
    parsed("rbtimer", "the same, counted by the master itself", |s, v| {
        let timer = timer(v)?;
        s.background.rb_timers.push(timer);
        Ok(())
    })
    .aliases(&["signal-rbtimer"])
    .master(),
    parsed(
        "fs-signal",
        "raise a uWSGI signal at any event of a path: PATH SIGNAL",
        |s, v| {
            let wrong = || format!("invalid value \"{v}\": give PATH SIGNAL");
            let (path, signal) = v.trim().rsplit_once(char::is_whitespace).ok_or_else(wrong)?;
            let signal = parse::number(signal, 0, 255)? as u8;
            s.background.file_monitors.push((path.trim_end().to_owned(), signal));
            Ok(())
        },
    )
    .master(),
    bytes(
        "signal-bufsize",
        "pending signals that a queue holds, from 131072",
        |s, n| s.background.signal_bufsize = n,
    )
    .aliases(&["signals-bufsize"]),
    parsed(
        "signal-coalesce",
        "raise a uWSGI signal once while it waits, for each receiver: SIGNAL (may be repeated)",
        |s, v| {
            let signal = parse::number(v, 0, 255)? as u8;
            s.background.coalesced.push(signal);
            Ok(())
        },
    )
    .master(),
    command(
        "signal",
        Required,
        "send a uWSGI signal to an instance and end: ADDRESS,NUMBER",
        |v| Command::Signal(v.unwrap_or_default().into()),
    ),
    path(
        "spooler-external",
        "a directory of tasks that another instance runs",
        |s, v| s.background.external_spoolers.push(v.into()),
    ),
];

/// Seconds between two starts of a daemon whose pidfile names no process.
const DAEMON_FREQ: u64 = 10;

impl Daemon {
    fn child(command: &str) -> Self {
        Self {
            command: command.to_owned(),
            freq: DAEMON_FREQ,
            stop_signal: libc::SIGTERM,
            ..Self::default()
        }
    }
}

fn daemon(settings: &mut Settings, daemon: Daemon) -> Result<(), String> {
    if daemon.command.trim().is_empty() {
        return Err("the command is missing".into());
    }
    settings.background.daemons.push(daemon);
    Ok(())
}

fn smart(settings: &mut Settings, value: &str, daemonize: bool) -> Result<(), String> {
    let wrong = || format!("invalid value \"{value}\": give PIDFILE COMMAND");
    let (pidfile, command) = value.trim().split_once(char::is_whitespace).ok_or_else(wrong)?;
    daemon(
        settings,
        Daemon {
            pidfile: Some(pidfile.to_owned()),
            daemonize,
            ..Daemon::child(command.trim_start())
        },
    )
}

/// `attach-daemon2 = cmd=COMMAND,key=value`
fn keyed_daemon(value: &str) -> Result<Daemon, String> {
    let mut daemon = Daemon::child("");
    for (key, value) in pairs(value)? {
        let wrong = |why: String| format!("{key}: {why}");
        let number = |most: u64| parse::number(&value, 0, most).map_err(wrong);
        let switch = || parse::boolean(&value).ok_or_else(|| wrong(format!("\"{value}\" is neither true nor false")));
        match key.as_str() {
            "cmd" | "command" | "exec" => daemon.command = value,
            "pidfile" => daemon.pidfile = Some(value),
            "freq" => daemon.freq = number(u64::from(u32::MAX))?.max(1),
            "control" => daemon.controls = switch()?,
            "daemonize" | "daemon" => daemon.daemonize = switch()?,
            "touch" => daemon.touch = value.split(';').filter(|f| !f.is_empty()).map(str::to_owned).collect(),
            "stopsignal" | "stop_signal" => daemon.stop_signal = signal_number(&value).map_err(wrong)?,
            "reloadsignal" | "reload_signal" => daemon.reload_signal = Some(signal_number(&value).map_err(wrong)?),
            "stdin" => daemon.stdin = switch()?,
            "uid" => daemon.uid = Some(value),
            "gid" => daemon.gid = Some(value),
            "ns_pid" => daemon.new_pids = switch()?,
            "chdir" => daemon.chdir = Some(value),
            "max_throttle" => daemon.max_throttle = number(u64::from(u32::MAX))?,
            "notifypid" => daemon.notify = switch()?,
            "legion" => return Err("legions are not in rsgi: leave legion out".into()),
            _ => {
                return Err(format!(
                    "unknown key \"{key}\": there are cmd, pidfile, freq, control, daemonize, touch, stopsignal, \
                     reloadsignal, stdin, uid, gid, ns_pid, chdir, max_throttle, notifypid"
                ));
            }
        }
    }
    if daemon.command.is_empty() {
        return Err("the key cmd is missing".into());
    }
    if daemon.daemonize && daemon.pidfile.is_none() {
        return Err("daemonize needs pidfile: how else would it be found again".into());
    }
    Ok(daemon)
}

/// A signal by its number, or by its name with or without `SIG`.
fn signal_number(text: &str) -> Result<i32, String> {
    use nix::sys::signal::Signal;
    let name = text.trim().to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    let by_number = name.parse::<i32>().ok().and_then(|n| Signal::try_from(n).ok());
    let by_name = || format!("SIG{name}").parse::<Signal>().ok();
    let found = by_number.or_else(by_name);
    found
        .map(|signal| signal as i32)
        .ok_or_else(|| format!("\"{text}\" is no signal: give a number or a name as TERM"))
}

fn cron(settings: &mut Settings, value: &str, unique: bool) -> Result<(), String> {
    let wrong = || format!("invalid schedule \"{value}\": give MINUTE HOUR DAY MONTH WEEKDAY COMMAND, -1 for any");
    let mut when = [0; 5];
    let mut rest = value.trim_start();
    for slot in &mut when {
        let (word, after) = rest.split_once(char::is_whitespace).ok_or_else(wrong)?;
        *slot = word.parse().map_err(|_| wrong())?;
        rest = after.trim_start();
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    schedule::check(when)?;
    settings.background.crons.push(Cron {
        when,
        command: rest.to_owned(),
        unique,
        harakiri: None,
    });
    Ok(())
}

/// `cron2 = minute=0,hour=3,unique=1 COMMAND`; what is not named is any.
fn keyed_cron(value: &str) -> Result<Cron, String> {
    let mut cron = Cron {
        when: [-1; 5],
        command: value.trim().to_owned(),
        unique: false,
        harakiri: None,
    };
    if let Some((keys, command)) = value.trim().split_once(char::is_whitespace)
        && keys.contains('=')
    {
        cron.command = command.trim_start().to_owned();
        for (key, value) in pairs(keys)? {
            let wrong = |why: String| format!("{key}: {why}");
            let names = ["minute", "hour", "day", "month", "week"];
            match (names.iter().position(|name| *name == key), key.as_str()) {
                (Some(at), _) => {
                    cron.when[at] = value
                        .trim()
                        .parse()
                        .map_err(|_| wrong(format!("\"{value}\" is no number")))?;
                }
                (None, "unique") => {
                    let switch = parse::boolean(&value);
                    cron.unique = switch.ok_or_else(|| wrong(format!("\"{value}\" is neither true nor false")))?;
                }
                (None, "harakiri") => {
                    cron.harakiri = Some(parse::number(&value, 0, u64::from(u32::MAX)).map_err(wrong)?);
                }
                _ => {
                    return Err(format!(
                        "unknown key \"{key}\": there are minute, hour, day, month, week, unique, harakiri"
                    ));
                }
            }
        }
    }
    if cron.command.is_empty() || (cron.command.contains('=') && !cron.command.contains(char::is_whitespace)) {
        return Err(format!(
            "invalid schedule \"{value}\": give minute=0,hour=3,unique=1 COMMAND"
        ));
    }
    schedule::check(cron.when)?;
    Ok(cron)
}

fn timer(value: &str) -> Result<(u8, u64), String> {
    let wrong = || "invalid signal timer syntax, must be: <signal> <seconds>".to_owned();
    let (signal, seconds) = parse::number_and_rest(value).ok_or_else(wrong)?;
    let signal = u8::try_from(signal).map_err(|_| wrong())?;
    let seconds: u64 = seconds.trim().parse().map_err(|_| wrong())?;
    match seconds {
        0 => Err("the period of a timer must be more than zero seconds".into()),
        seconds => Ok((signal, seconds)),
    }
}
