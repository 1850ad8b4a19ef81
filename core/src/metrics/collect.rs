//! Metrics that are made of other metrics, of files and of functions, and limits of any metric. Computed by the master, once a
//! second or as seldom as the configuration says.

use super::{Change, Metric};
use crate::plugin::inside::Brought;
use crate::plugin::offered::Offered;
use crate::settings::{Collector, Settings, ThresholdSettings};
use crate::{alarm, say};
use rsgi_plugin_api::abi::UwsgiMetric;
use std::ffi::CString;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A function of a plugin or library.
pub type Function = unsafe extern "C" fn(*mut UwsgiMetric) -> i64;

/// A metric that is computed.
struct Collected {
    metric: Metric,
    collector: Collector,
    function: Option<Brought<Function>>,
    children: Vec<String>,
    every: Duration,
    due: Instant,
    /// It could not be computed, and that was said.
    has_failed: bool,
}

/// A limit.
struct Threshold {
    settings: ThresholdSettings,
    /// When its alarm was raised last.
    raised: Option<Instant>,
}

/// A number of a plugin, which its metric follows.
struct Pointer {
    metric: Metric,
    from: *const AtomicI64,
}

// SAFETY: the number lives as long as the process, and is read whole.
unsafe impl Send for Pointer {}

static POINTERS: Mutex<Vec<Pointer>> = Mutex::new(Vec::new());

/// A metric takes the value of a plugin's number each second; the number stays where it is, in the master or in memory that
/// all processes share.
pub fn follow(metric: Metric, from: *const AtomicI64) {
    let mut all = POINTERS.lock().unwrap_or_else(PoisonError::into_inner);
    all.push(Pointer { metric, from });
}

/// All that the master computes.
#[derive(Default)]
pub struct Collectors {
    metrics: Vec<Collected>,
    thresholds: Vec<Threshold>,
}

/// Whether every metric that another one or a limit looks at is there; once the server is known.
///
/// # Errors
/// One line: one is not, or a function is not.
pub fn check(settings: &Settings) -> Result<(), String> {
    let is_known = |name: &str| super::value(name, "").is_some();
    for metric in &settings.stats.own_metrics {
        if let Some(missing) = metric.children.iter().find(|name| !is_known(name)) {
            return Err(format!("metric {}: there is no metric \"{missing}\"", metric.name));
        }
        if let Some(Collector::Function(symbol)) = &metric.collector {
            find(symbol).ok_or_else(|| format!("metric {}: there is no function \"{symbol}\"", metric.name))?;
        }
    }
    for limit in &settings.stats.thresholds {
        if !is_known(&limit.key) {
            return Err(format!("metric-threshold: there is no metric \"{}\"", limit.key));
        }
        if !limit.alarm.is_empty() && !alarm::is_known(&limit.alarm) {
            return Err(format!("metric-threshold: there is no alarm \"{}\"", limit.alarm));
        }
    }
    Ok(())
}

/// Ways to compute that plugins bring.
pub static BROUGHT: Offered<Brought<Function>> = Offered::none();
/// Metrics that plugins want to be computed, with the seconds between two looks.
static WANTED: Mutex<Vec<(Metric, String, u64)>> = Mutex::new(Vec::new());

/// A metric of a plugin is to be computed.
pub fn compute(metric: Metric, collector: &str, freq: u64) {
    let mut wanted = WANTED.lock().unwrap_or_else(PoisonError::into_inner);
    wanted.push((metric, collector.to_owned(), freq));
}

fn find(symbol: &str) -> Option<Brought<Function>> {
    if let Some(function) = BROUGHT.find(symbol) {
        return Some(function);
    }
    let name = CString::new(symbol).ok()?;
    // SAFETY: a NUL-terminated name; the operator says that it is a function of this form.
    let found = unsafe {
        let found = libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr());
        std::mem::transmute::<*mut libc::c_void, Option<Function>>(found)
    };
    found.map(|function| Brought::new("metric collector", symbol, function))
}

fn word_of(path: &str, word: usize) -> Result<i64, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
    let found = text.split_whitespace().nth(word);
    let found = found.ok_or_else(|| format!("{path} has no word {word}"))?;
    found
        .parse()
        .map_err(|_| format!("{path}: \"{found}\" is no whole number"))
}

impl Collected {
    fn compute(&self) -> Result<i64, String> {
        let values = self.children.iter().map(|name| super::value(name, "").unwrap_or(0));
        let sum = || values.clone().fold(0i64, i64::wrapping_add);
        Ok(match &self.collector {
            Collector::File(path, word) => word_of(path, *word)?,
            Collector::Sum => sum(),
            Collector::Average => sum() / self.children.len().max(1) as i64,
            Collector::Accumulator => self.metric.value().wrapping_add(sum()),
            Collector::Adder(number) => sum().wrapping_add(*number),
            Collector::Multiplier(number) => sum().wrapping_mul(*number),
            Collector::Function(_) => match self.function {
                // SAFETY: found under the name that the operator gave, called with the metric's record.
                Some(function) => function.call(|function| unsafe { function(self.metric.item()) }),
                None => return Err("its function is gone".into()),
            },
        })
    }
}

impl Collectors {
    /// Those of the configuration.
    pub fn configured(settings: &Settings) -> Self {
        let collected = settings.stats.own_metrics.iter().filter_map(|wanted| {
            let collector = wanted.collector.clone()?;
            let function = match &collector {
                Collector::Function(symbol) => find(symbol),
                _ => None,
            };
            Some(Collected {
                metric: super::find(&wanted.name, "")?,
                collector,
                function,
                children: wanted.children.clone(),
                every: Duration::from_secs(wanted.freq.max(1)),
                due: Instant::now(),
                has_failed: false,
            })
        });
        let wanted = WANTED.lock().unwrap_or_else(PoisonError::into_inner);
        let of_plugins = wanted.iter().map(|(metric, collector, freq)| Collected {
            metric: *metric,
            collector: Collector::Function(collector.clone()),
            function: find(collector),
            children: Vec::new(),
            every: Duration::from_secs((*freq).max(1)),
            due: Instant::now(),
            has_failed: false,
        });
        let limit = |settings: &ThresholdSettings| Threshold {
            settings: settings.clone(),
            raised: None,
        };
        Self {
            metrics: collected.chain(of_plugins).collect(),
            thresholds: settings.stats.thresholds.iter().map(limit).collect(),
        }
    }

    /// Computes what is due and looks at the limits.
    pub fn tick(&mut self) {
        let now = Instant::now();
        for pointer in POINTERS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // SAFETY: the header asks for an aligned number that is never freed.
            let value = unsafe { (*pointer.from).load(Ordering::Relaxed) };
            pointer.metric.change(Change::Set, value);
        }
        for collected in self.metrics.iter_mut().filter(|c| c.due <= now) {
            // the master's second is a little longer than one
            collected.due = now + collected.every - Duration::from_millis(500);
            match collected.compute() {
                Ok(value) => {
                    collected.metric.change(Change::Set, value);
                    collected.has_failed = false;
                }
                Err(why) if !collected.has_failed => {
                    collected.has_failed = true;
                    say!("metric {}: {why}", collected.metric.name);
                }
                Err(_) => {}
            }
        }
        self.thresholds.iter_mut().for_each(Threshold::look);
    }
}

impl Threshold {
    fn look(&mut self) {
        let limit = &self.settings;
        let Some(value) = super::value(&limit.key, "").filter(|value| *value >= limit.value) else {
            return;
        };
        if let (Some(reset), Some(metric)) = (limit.reset, super::find(&limit.key, "")) {
            metric.change(Change::Set, reset);
        }
        let is_quiet = |raised: Instant| limit.rate > 0 && raised.elapsed() < Duration::from_secs(limit.rate);
        if self.raised.is_some_and(is_quiet) {
            return;
        }
        self.raised = Some(Instant::now());
        let message = match limit.message.is_empty() {
            true => format!("metric {} has reached {value} (limit {})", limit.key, limit.value),
            false => limit.message.clone(),
        };
        if limit.alarm.is_empty() {
            say!("{message}");
        } else if let Err(why) = alarm::trigger(&limit.alarm, message.as_bytes()) {
            say!("metric-threshold: {why}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::register;
    use super::*;
    use crate::settings::MetricKind;

    #[test]
    fn collectors_compute() {
        for (name, value) in [("collect.a", 4), ("collect.b", 6), ("collect.own", 100)] {
            register(name, "", MetricKind::Gauge, value).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f").display().to_string();
        std::fs::write(&file, "load 7 x\n").unwrap();
        for (collector, value) in [
            (Collector::Sum, Ok(10)),
            (Collector::Average, Ok(5)),
            (Collector::Accumulator, Ok(110)),
            (Collector::Adder(-3), Ok(7)),
            (Collector::Multiplier(3), Ok(30)),
            (Collector::File(file.clone(), 1), Ok(7)),
            (
                Collector::File(file.clone(), 2),
                Err(format!("{file}: \"x\" is no whole number")),
            ),
            (Collector::File(file.clone(), 3), Err(format!("{file} has no word 3"))),
        ] {
            let collected = Collected {
                metric: crate::metrics::find("collect.own", "").unwrap(),
                collector,
                function: None,
                children: vec!["collect.a".into(), "collect.b".into()],
                every: Duration::ZERO,
                due: Instant::now(),
                has_failed: false,
            };
            assert_eq!(collected.compute(), value);
        }
    }
}
