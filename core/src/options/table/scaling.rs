//! The adaptive number of workers.

use crate::options::spec::{Group, OptionSpec, bytes, flag, number, text};

pub static GROUP: Group = Group {
    title: "Adaptive number of workers",
    rows: ROWS,
};

static ROWS: &[OptionSpec] = &[
    number(
        "cheaper",
        "fewest workers; more up to processes are started under load",
        |s, n| s.processes.cheaper = n as u32,
    )
    .master(),
    number("cheaper-initial", "workers at the start", |s, n| {
        s.processes.cheaper_initial = n as u32
    }),
    number("cheaper-step", "workers added at once", |s, n| {
        s.processes.cheaper_step = n as u32
    }),
    text(
        "cheaper-algo",
        "what decides: spare, spare2, backlog, busyness, manual",
        |s, v| s.processes.cheaper_algo = v.into(),
    ),
    number("cheaper-overload", "rounds or seconds of a decision", |s, n| {
        s.processes.cheaper_overload = n as u32
    }),
    number(
        "cheaper-idle",
        "idle seconds before workers are stopped (spare2)",
        |s, n| s.processes.cheaper_idle = n as u32,
    ),
    bytes(
        "cheaper-rss-limit-soft",
        "bytes of all workers beyond which none is added",
        |s, n| s.processes.cheaper_rss_limit_soft = n,
    ),
    bytes(
        "cheaper-rss-limit-hard",
        "bytes of all workers beyond which some are stopped",
        |s, n| s.processes.cheaper_rss_limit_hard = n,
    ),
    number(
        "cheaper-busyness-max",
        "busyness in percent above which workers are added",
        |s, n| s.processes.busyness.max = n as u32,
    ),
    number(
        "cheaper-busyness-min",
        "busyness in percent below which workers are stopped",
        |s, n| s.processes.busyness.min = n as u32,
    ),
    number(
        "cheaper-busyness-multiplier",
        "windows of low busyness before a worker is stopped",
        |s, n| s.processes.busyness.multiplier = n as u32,
    ),
    number(
        "cheaper-busyness-penalty",
        "windows added after a worker was stopped too early",
        |s, n| s.processes.busyness.penalty = n as u32,
    ),
    flag(
        "cheaper-busyness-verbose",
        "say what the busyness algorithm sees",
        |s, on| s.processes.busyness.verbose = on,
    ),
    number(
        "cheaper-busyness-backlog-alert",
        "waiting connections that add workers at once",
        |s, n| s.processes.busyness.backlog_alert = n as u32,
    ),
    number(
        "cheaper-busyness-backlog-multiplier",
        "windows of low busyness before such a worker is stopped",
        |s, n| s.processes.busyness.backlog_multiplier = n as u32,
    ),
    number("cheaper-busyness-backlog-step", "workers added at once", |s, n| {
        s.processes.busyness.backlog_step = n as u32
    }),
    number(
        "cheaper-busyness-backlog-nonzero",
        "seconds of waiting connections that add a worker",
        |s, n| s.processes.busyness.backlog_nonzero = n as u32,
    ),
    flag("cheap", "start without workers until the first connection", |s, on| {
        s.processes.cheap = on
    })
    .master(),
    number(
        "idle",
        "seconds without a request before all workers are stopped",
        |s, n| s.processes.idle = n as u32,
    )
    .master(),
    flag("die-on-idle", "end instead of stopping the workers", |s, on| {
        s.processes.die_on_idle = on
    }),
];
