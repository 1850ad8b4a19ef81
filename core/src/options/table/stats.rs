//! Statistics and metrics.

use super::values::pairs;
use crate::options::parse;
use crate::options::spec::ArgKind::No;
use crate::options::spec::{Group, OptionSpec, flag, no_effect, number, parsed, path, text};
use crate::settings::{Collector, MetricKind, MetricSettings, ThresholdSettings};

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
    text(
        "stats-push",
        "push statistics to a sink: KIND:ADDRESS[,PREFIX] or file:PATH",
        |s, v| {
            s.stats.push.push(v.into());
            s.stats.metrics = true;
        },
    )
    .master(),
    number("stats-pusher-default-freq", "seconds between two pushes", |s, n| {
        s.stats.push_freq = Some(n)
    })
    .aliases(&["stats-pushers-default-freq"]),
    flag("statsd-all-gauges", "push counters as gauges, too", |s, on| {
        s.stats.statsd_all_gauges = on
    }),
    flag("statsd-no-workers", "push no metrics of single workers", |s, on| {
        s.stats.push_no_workers = on
    }),
    text("carbon", "push metrics to a carbon server: HOST:PORT", |s, v| {
        s.stats.carbon.push(v.into());
        s.stats.metrics = true;
    })
    .master(),
    number("carbon-freq", "seconds between two lots for carbon", |s, n| {
        s.stats.carbon_freq = Some(n)
    }),
    number("carbon-timeout", "seconds that a lot for carbon may take", |s, n| {
        s.stats.carbon_timeout = Some(n)
    }),
    number(
        "carbon-max-retry",
        "how often a lot that carbon did not take is sent again",
        |s, n| s.stats.carbon_max_retry = Some(n),
    ),
    number("carbon-retry-delay", "seconds before it is sent again", |s, n| {
        s.stats.carbon_retry_delay = Some(n)
    }),
    text("carbon-root", "first part of the names in carbon", |s, v| {
        s.stats.carbon_root = Some(v.into())
    }),
    text(
        "carbon-id",
        "the instance in the names of carbon, not its socket",
        |s, v| s.stats.carbon_id = Some(v.into()),
    ),
    text(
        "carbon-hostname-dots",
        "what stands for dots in the host's name in carbon, not an underscore",
        |s, v| s.stats.carbon_hostname_dots = Some(v.into()),
    ),
    flag("carbon-no-workers", "push no metrics of single workers", |s, on| {
        s.stats.push_no_workers = on
    }),
    no_effect("carbon-use-metrics", No, "nothing to do: carbon gets the metrics"),
    no_effect(
        "carbon-name-resolve",
        No,
        "nothing to do: names are looked up at the start",
    ),
    no_effect(
        "carbon-resolve-names",
        No,
        "nothing to do: names are looked up at the start",
    ),
    flag("metrics-no-cores", "no metrics of single cores", |s, on| {
        s.stats.metrics_no_cores = on
    }),
    parsed(
        "metric-threshold",
        "act when a metric reaches a value: key=NAME,value=N,alarm=NAME,rate=SECONDS,reset=N,msg=TEXT",
        |s, v| {
            s.stats.thresholds.push(threshold(v)?);
            s.stats.metrics = true;
            Ok(())
        },
    )
    .aliases(&["metric-alarm", "alarm-metric"])
    .master(),
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

fn whole(key: &str, value: &str) -> Result<i64, String> {
    value
        .parse()
        .map_err(|_| format!("{key}: \"{value}\" is no whole number"))
}

fn seconds(key: &str, value: &str) -> Result<u64, String> {
    value
        .parse()
        .map_err(|_| format!("{key}: \"{value}\" is no number of seconds"))
}

/// `key=NAME,value=N,alarm=NAME`
fn threshold(value: &str) -> Result<ThresholdSettings, String> {
    let mut new = ThresholdSettings::default();
    let mut limit = None;
    for (key, value) in pairs(value)? {
        match key.as_str() {
            "key" => new.key = value,
            "value" => limit = Some(whole(&key, &value)?),
            "alarm" => new.alarm = value,
            "rate" => new.rate = seconds(&key, &value)?,
            "reset" => new.reset = Some(whole(&key, &value)?),
            "msg" => new.message = value,
            other => {
                return Err(format!(
                    "unknown key \"{other}\" of a threshold: known are key, value, alarm, rate, reset, msg"
                ));
            }
        }
    }
    match (limit, new.key.is_empty()) {
        (Some(value), false) => Ok(ThresholdSettings { value, ..new }),
        _ => Err("a threshold needs a metric and a value: key=NAME,value=N".into()),
    }
}

/// `NAME`, or pairs such as `name=NAME,type=gauge,collector=sum,children=a;b`.
fn metric(value: &str) -> Result<MetricSettings, String> {
    if !value.contains('=') {
        return Ok(MetricSettings {
            name: value.to_owned(),
            ..MetricSettings::default()
        });
    }
    let mut metric = MetricSettings::default();
    let (mut collector, mut argument, mut number) = (None, None, None);
    for (key, value) in pairs(value)? {
        match key.as_str() {
            "name" => metric.name = value,
            "oid" => metric.oid = value,
            "type" => {
                metric.kind = match value.as_str() {
                    "counter" => MetricKind::Counter,
                    "gauge" => MetricKind::Gauge,
                    "absolute" => MetricKind::Absolute,
                    "alias" => MetricKind::Alias,
                    other => {
                        return Err(format!("type: \"{other}\" is none of counter, gauge, absolute, alias"));
                    }
                }
            }
            "initial_value" | "initial" => metric.initial = whole(&key, &value)?,
            "collector" => collector = Some(value),
            "children" => metric.children = value.split(';').map(|n| n.trim().to_owned()).collect(),
            "alias" => {
                metric.kind = MetricKind::Alias;
                metric.children = vec![value];
            }
            "arg1" => argument = Some(value),
            "arg1n" => number = Some(whole(&key, &value)?),
            "freq" => metric.freq = seconds(&key, &value)?,
            "reset_after_push" => {
                metric.reset_after_push =
                    parse::boolean(&value).ok_or_else(|| format!("{key}: \"{value}\" is neither true nor false"))?
            }
            other => {
                return Err(format!(
                    "unknown key \"{other}\" of a metric: known are name, type, initial_value, oid, collector, children, alias, arg1, arg1n, freq, reset_after_push"
                ));
            }
        }
    }
    if metric.name.is_empty() {
        return Err("a metric needs a name: name=NAME".into());
    }
    let text = |what: &str| {
        argument
            .clone()
            .ok_or_else(|| format!("this collector needs {what}: arg1=..."))
    };
    metric.collector = match collector.as_deref() {
        None if metric.kind == MetricKind::Alias => Some(Collector::Sum),
        // its value is written by whoever holds the pointer
        None | Some("ptr") => None,
        Some("file") => {
            let word =
                usize::try_from(number.unwrap_or(0)).map_err(|_| "arg1n: words are counted from 0".to_owned())?;
            Some(Collector::File(text("a file")?, word))
        }
        Some("sum") => Some(Collector::Sum),
        Some("avg") => Some(Collector::Average),
        Some("accumulator") => Some(Collector::Accumulator),
        Some("adder") => Some(Collector::Adder(number.unwrap_or(0))),
        Some("multiplier") => Some(Collector::Multiplier(number.unwrap_or(0))),
        Some("func") => Some(Collector::Function(text("the name of a function")?)),
        Some(name) if crate::metrics::collect::BROUGHT.find(name).is_some() => {
            Some(Collector::Function(name.to_owned()))
        }
        Some(other) => {
            return Err(format!(
                "collector: \"{other}\" is none of ptr, file, sum, avg, accumulator, adder, multiplier, func"
            ));
        }
    };
    let needs_children = !matches!(
        metric.collector,
        None | Some(Collector::File(..) | Collector::Function(_))
    );
    match needs_children && metric.children.is_empty() {
        true => Err("this collector needs metrics to look at: children=NAME;NAME".into()),
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
            ("name=a,collector=sum", "children="),
            ("name=a,collector=file", "needs a file"),
            ("name=a,collector=magic", "\"magic\""),
            ("name=a,collector=file,arg1=/x,arg1n=-1", "from 0"),
            ("name=a,colour=red", "\"colour\""),
            ("name=a,initial_value=x", "no whole number"),
        ] {
            let said = metric(text).unwrap_err();
            assert!(said.contains(what), "{text}: {said}");
        }
    }

    #[test]
    fn collectors_and_thresholds_are_pairs() {
        let read = metric("name=a,collector=adder,children=b; c,arg1n=-4,freq=5,reset_after_push=1").unwrap();
        assert_eq!(read.collector, Some(Collector::Adder(-4)));
        assert_eq!(
            (read.children.as_slice(), read.freq, read.reset_after_push),
            (&["b".to_owned(), "c".to_owned()][..], 5, true)
        );
        assert_eq!(metric("name=a,alias=b").unwrap().kind, MetricKind::Alias);
        let read = threshold("key=a.b,value=-5,alarm=x,rate=30,reset=0,msg=too\\, many").unwrap();
        assert_eq!(
            (read.value, read.reset, read.rate, read.message.as_str()),
            (-5, Some(0), 30, "too, many")
        );
        for (text, what) in [
            ("key=a", "key=NAME,value=N"),
            ("value=1", "key=NAME"),
            ("key=a,value=x", "whole number"),
        ] {
            assert!(threshold(text).unwrap_err().contains(what), "{text}");
        }
    }
}
