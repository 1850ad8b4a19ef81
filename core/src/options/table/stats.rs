//! Statistics and metrics.

use super::values::pairs;
use crate::options::spec::ArgKind::Required;
use crate::options::spec::{Group, OptionSpec, flag, later, parsed, path, text};
use crate::settings::{MetricKind, MetricSettings};

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
    parsed(
        "metric",
        "a metric of your own: NAME, or name=NAME,type=gauge",
        |s, v| {
            let metric = metric(v)?;
            if s.stats.own_metrics.iter().any(|m| m.name == metric.name) {
                return Err(format!("there is a metric \"{}\" already", metric.name));
            }
            s.stats.own_metrics.push(metric);
            s.stats.metrics = true;
            Ok(())
        },
    )
    .master(),
    path("metrics-dir", "a directory with a file for each metric", |s, v| {
        s.stats.metrics_dir = Some(v.into());
        s.stats.metrics = true;
    })
    .aliases(&["metric-dir"])
    .master(),
    flag(
        "metrics-dir-restore",
        "begin with what the files of metrics-dir say",
        |s, on| s.stats.metrics_restore = on,
    )
    .aliases(&["metric-dir-restore"]),
];

/// `NAME` or `name=NAME,type=gauge,initial_value=0,oid=1.2`
fn metric(value: &str) -> Result<MetricSettings, String> {
    if !value.contains('=') {
        return Ok(MetricSettings {
            name: value.to_owned(),
            ..MetricSettings::default()
        });
    }
    let mut metric = MetricSettings::default();
    for (key, value) in pairs(value)? {
        match key.as_str() {
            "name" => metric.name = value,
            "oid" => metric.oid = value,
            "type" => {
                metric.kind = match value.as_str() {
                    "counter" => MetricKind::Counter,
                    "gauge" => MetricKind::Gauge,
                    "absolute" => MetricKind::Absolute,
                    other => return Err(format!("type: \"{other}\" is none of counter, gauge, absolute")),
                }
            }
            "initial_value" | "initial" => {
                metric.initial = value
                    .parse()
                    .map_err(|_| format!("{key}: \"{value}\" is no whole number"))?;
            }
            "collector" | "children" | "alias" | "arg1" | "arg1n" | "freq" | "reset_after_push" => {
                return Err(format!(
                    "{key}: metrics are not collected in this version: set them with uwsgi.metric_set() or from a plugin"
                ));
            }
            other => {
                return Err(format!(
                    "unknown key \"{other}\" of a metric: known are name, type, initial_value, oid"
                ));
            }
        }
    }
    match metric.name.is_empty() {
        true => Err("a metric needs a name: name=NAME".into()),
        false => Ok(metric),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_a_name_or_its_keys() {
        assert_eq!(metric("sold").unwrap().name, "sold");
        let read = metric("name=sold,type=gauge,initial_value=-3,oid=1.2").unwrap();
        assert_eq!(
            (read.kind, read.initial, read.oid.as_str()),
            (MetricKind::Gauge, -3, "1.2")
        );
        for (text, what) in [
            ("type=gauge", "needs a name"),
            ("name=a,type=b", "\"b\" is none of"),
            ("name=a,collector=sum", "not collected"),
            ("name=a,colour=red", "\"colour\""),
            ("name=a,initial_value=x", "no whole number"),
        ] {
            let said = metric(text).unwrap_err();
            assert!(said.contains(what), "{text}: {said}");
        }
    }
}
