//! The adaptive number of workers.

use crate::options::spec::ArgKind::{No, Required};
use crate::options::spec::{Group, OptionSpec, bytes, flag, later, number, text};

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
    text("cheaper-algo", "what decides: spare, backlog, manual", |s, v| {
        s.processes.cheaper_algo = v.into()
    }),
    number("cheaper-overload", "rounds or seconds of a decision", |s, n| {
        s.processes.cheaper_overload = n as u32
    }),
    later(
        "cheaper-idle",
        Required,
        "idle seconds before workers are stopped (spare2)",
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
    later(
        "cheaper-busyness-max",
        Required,
        "busyness in percent above which workers are added",
    ),
    later(
        "cheaper-busyness-min",
        Required,
        "busyness in percent below which workers are stopped",
    ),
    later(
        "cheaper-busyness-multiplier",
        Required,
        "cycles of low busyness before a worker is stopped",
    ),
    later(
        "cheaper-busyness-penalty",
        Required,
        "cycles added after a worker was stopped too early",
    ),
    later("cheaper-busyness-verbose", No, "say what the busyness algorithm sees"),
    later(
        "cheaper-busyness-backlog-alert",
        Required,
        "waiting connections that add workers at once",
    ),
    later(
        "cheaper-busyness-backlog-multiplier",
        Required,
        "cycles to keep workers that were added at once",
    ),
    later("cheaper-busyness-backlog-step", Required, "workers added at once"),
    later(
        "cheaper-busyness-backlog-nonzero",
        Required,
        "seconds of waiting connections that add a worker",
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
