//! Statistics and metrics.

use crate::options::spec::ArgKind::Required;
use crate::options::spec::{Group, OptionSpec, flag, later, parsed, text};

pub static GROUP: Group = Group {
    title: "Statistics and metrics",
    rows: ROWS,
};

static ROWS: &[OptionSpec] = &[
    parsed("stats", "serve statistics in JSON on an address", |s, v| {
        super::sockets::check_address(v)?;
        s.stats.address.push(v.to_owned());
        Ok(())
    })
    .aliases(&["stats-server"])
    .master(),
    parsed(
        "health",
        "answer /health, /ready and /metrics on an address, also when all workers are busy",
        |s, v| {
            super::sockets::check_address(v)?;
            s.stats.health.push(v.to_owned());
            Ok(())
        },
    )
    .master(),
    flag("stats-http", "answer in HTTP", |s, on| s.stats.http = on),
    flag("stats-minified", "without line ends and indents", |s, on| {
        s.stats.minified = on
    })
    .aliases(&["stats-min"]),
    flag("stats-no-cores", "without the cores", |s, on| s.stats.no_cores = on),
    flag("stats-no-metrics", "without the metrics", |s, on| {
        s.stats.no_metrics = on
    }),
    text("stats-push", "push statistics to a sink", |s, v| {
        s.stats.push.push(v.into())
    })
    .master()
    .later(),
    later("carbon", Required, "push statistics to a carbon server"),
    later("carbon-root", Required, "first part of the names in carbon"),
    flag("enable-metrics", "show metrics in the statistics", |s, on| {
        s.stats.metrics = on
    })
    .master(),
    later("metric", Required, "a metric of your own"),
    later("metrics-dir", Required, "a directory with a file for each metric").aliases(&["metric-dir"]),
];
