//! The emperor and its vassals.

use crate::options::spec::ArgKind::No;
use crate::options::spec::{Group, OptionSpec, flag, no_effect, number, parsed, path, text};

pub static GROUP: Group = Group {
    title: "Emperor and vassals",
    rows: ROWS,
};

/// Schemes of sources that only plugins of uWSGI know.
const FOREIGN: [&str; 6] = ["pg", "mongodb", "amqp", "zmq", "ldap", "docker"];

static ROWS: &[OptionSpec] = &[
    parsed(
        "emperor",
        "supervise one instance for each file of a folder or pattern",
        |s, v| {
            let scheme = v.split_once("://").map(|(scheme, _)| scheme);
            if let Some(scheme) = scheme.filter(|scheme| FOREIGN.contains(scheme)) {
                return Err(format!(
                    "no source of vassals is called {scheme}: give a folder, a pattern or a file"
                ));
            }
            if v.is_empty() {
                return Err("the folder is missing".into());
            }
            s.emperor.sources.push(v.to_owned());
            Ok(())
        },
    ),
    number("emperor-freq", "seconds between two looks for vassals", |s, n| {
        s.emperor.scan_every = n
    })
    .range(1, 86_400),
    flag(
        "emperor-nofollow",
        "the time of a link counts, not that of its target",
        |s, on| s.emperor.no_follow = on,
    ),
    text(
        "emperor-on-demand-extension",
        "ending of the file that names the socket that starts a vassal",
        |s, v| s.emperor.on_demand_extension = Some(v.into()),
    )
    .aliases(&["emperor-on-demand-ext"]),
    path(
        "emperor-on-demand-directory",
        "folder of sockets, named as the vassal, that start vassals",
        |s, v| s.emperor.on_demand_directory = Some(v.into()),
    )
    .aliases(&["emperor-on-demand-dir"]),
    text(
        "emperor-on-demand-exec",
        "a program that prints the socket that starts a vassal",
        |s, v| s.emperor.on_demand_exec = Some(v.into()),
    ),
    text(
        "emperor-extra-extension",
        "another ending of vassals' files, which are in the INI format",
        |s, v| s.emperor.extra_extensions.push(v.into()),
    )
    .aliases(&["emperor-extra-ext"]),
    flag(
        "emperor-magic-exec",
        "executable files of vassals are run and print the configuration",
        |s, on| s.emperor.magic_exec = on,
    ),
    path("emperor-pidfile", "where the emperor writes its pid", |s, v| {
        s.emperor.pidfile = Some(v.into())
    }),
    path("emperor-stats", "address of the emperor's statistics", |s, v| {
        s.emperor.stats_address = Some(v.into())
    })
    .aliases(&["emperor-stats-server"]),
    text("emperor-procname", "title of the emperor's process", |s, v| {
        s.emperor.process_name = Some(v.into())
    }),
    flag("emperor-tyrant", "vassals run as the owner of their file", |s, on| {
        s.emperor.tyrant = on
    }),
    flag(
        "emperor-tyrant-nofollow",
        "the owner of a link counts, not that of its target",
        |s, on| s.emperor.tyrant_no_follow = on,
    ),
    flag(
        "emperor-tyrant-initgroups",
        "vassals get the supplementary groups of the owner too",
        |s, on| s.emperor.tyrant_initgroups = on,
    ),
    number(
        "emperor-throttle",
        "milliseconds by which the pause of a failing vassal grows",
        |s, n| s.emperor.throttle = n,
    )
    .range(1, 86_400_000),
    number(
        "emperor-max-throttle",
        "milliseconds of the longest pause of a failing vassal",
        |s, n| s.emperor.max_throttle = n,
    )
    .range(1, 86_400_000),
    flag(
        "emperor-no-blacklist",
        "the pause of a failing vassal does not grow",
        |s, on| s.emperor.no_blacklist = on,
    ),
    number(
        "emperor-required-heartbeat",
        "seconds without a sign of life that a vassal may take",
        |s, n| s.emperor.required_heartbeat = n,
    )
    .range(1, 86_400),
    number(
        "emperor-curse-tolerance",
        "seconds that a vassal gets to end before it is killed",
        |s, n| s.emperor.curse_tolerance = n,
    )
    .range(1, 86_400),
    no_effect(
        "emperor-graceful-shutdown",
        No,
        "vassals always end gracefully when the emperor gets SIGTERM",
    ),
    path(
        "emperor-wrapper",
        "the program that starts vassals, in place of this one",
        |s, v| s.emperor.wrappers.push(v.into()),
    ),
    path(
        "emperor-wrapper-override",
        "a program that starts vassals, tried before the others",
        |s, v| s.emperor.wrappers.insert(0, v.into()),
    ),
    path(
        "emperor-wrapper-fallback",
        "a program that starts vassals when no other can",
        |s, v| s.emperor.wrapper_fallbacks.push(v.into()),
    ),
    flag(
        "imperial-monitor-list",
        "print the kinds of sources of vassals",
        |s, on| s.emperor.list_monitors = on,
    )
    .aliases(&["imperial-monitors-list"]),
    parsed(
        "vassals-set",
        "set this option or placeholder in every vassal: KEY=VALUE",
        |s, v| {
            if !v.contains('=') {
                return Err(format!("invalid value \"{v}\": give KEY=VALUE"));
            }
            s.emperor.set.push(v.to_owned());
            Ok(())
        },
    )
    .aliases(&["vassal-set"])
    .verbatim(),
    path("vassals-include", "a file that every vassal includes", |s, v| {
        s.emperor.include.push(v.into())
    }),
    path(
        "vassals-include-before",
        "the same, read before the vassal's own",
        |s, v| s.emperor.include_before.push(v.into()),
    ),
    path("vassals-inherit", "a template of every vassal", |s, v| {
        s.emperor.inherit.push(v.into())
    }),
    path(
        "vassals-inherit-before",
        "the same, read before the vassal's own",
        |s, v| s.emperor.inherit_before.push(v.into()),
    ),
    text(
        "vassals-start-hook",
        "a program that runs before a vassal starts, with its name",
        |s, v| s.emperor.start_hook = Some(v.into()),
    ),
    text(
        "vassals-stop-hook",
        "a program that runs after a vassal is gone, with its name",
        |s, v| s.emperor.stop_hook = Some(v.into()),
    ),
    number("heartbeat", "as a vassal: seconds between two signs of life", |s, n| {
        s.emperor.heartbeat = n
    }),
];
