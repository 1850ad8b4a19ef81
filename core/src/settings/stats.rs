//! The statistics server.

/// `stats`, `stats-http` …
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// Addresses.
    pub address: Vec<String>,
    /// Addresses of the health endpoint.
    pub health: Vec<String>,
    /// Answer in HTTP.
    pub http: bool,
    /// Without line ends and indents.
    pub minified: bool,
    /// Without the cores.
    pub no_cores: bool,
    /// Show the metrics.
    pub metrics: bool,
    /// Without the metrics.
    pub no_metrics: bool,
    /// Sinks to push to: `KIND:ARGUMENT`.
    pub push: Vec<String>,
    /// Seconds between two pushes.
    pub push_freq: Option<u64>,
    /// Carbon servers.
    pub carbon: Vec<String>,
    /// Seconds between two lots for them.
    pub carbon_freq: Option<u64>,
    /// Seconds for a lot of carbon.
    pub carbon_timeout: Option<u64>,
    /// How often one that failed is tried again.
    pub carbon_max_retry: Option<u64>,
    /// Seconds before that.
    pub carbon_retry_delay: Option<u64>,
    /// The first part of names in carbon.
    pub carbon_root: Option<String>,
    /// The part of the instance.
    pub carbon_id: Option<String>,
    /// What stands for the dots of the host's name.
    pub carbon_hostname_dots: Option<String>,
    /// Without the metrics of single workers.
    pub push_no_workers: bool,
    /// Counters go to statsd as gauges.
    pub statsd_all_gauges: bool,
    /// Without the metrics of single cores.
    pub metrics_no_cores: bool,
    /// Limits of metrics.
    pub thresholds: Vec<ThresholdSettings>,
    /// Metrics of the operator.
    pub own_metrics: Vec<MetricSettings>,
    /// A directory with a file for each metric.
    pub metrics_dir: Option<String>,
    /// Metrics begin with what their files say.
    pub metrics_restore: bool,
}

/// What kind of number a metric is, by uWSGI's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum MetricKind {
    /// It grows.
    #[default]
    Counter = 0,
    /// It goes up and down.
    Gauge = 1,
    /// It is set anew each time.
    Absolute = 2,
    /// Another one's value.
    Alias = 3,
}

/// Where the value of a metric comes from, when nobody sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Collector {
    /// The n-th word of a file.
    File(String, usize),
    /// All children together.
    Sum,
    /// Their average.
    Average,
    /// All children are added to the value again and again.
    Accumulator,
    /// All children and a number.
    Adder(i64),
    /// All children, times a number.
    Multiplier(i64),
    /// A function of a library or plugin, by its symbol.
    Function(String),
}

/// `metric-threshold`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ThresholdSettings {
    /// The metric.
    pub key: String,
    /// It is reached from this value on.
    pub value: i64,
    /// The metric becomes this then.
    pub reset: Option<i64>,
    /// The alarm that is raised; empty: a line of the log.
    pub alarm: String,
    /// Seconds in which it is not raised again.
    pub rate: u64,
    /// Its message; empty: one of the server.
    pub message: String,
}

/// `metric`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MetricSettings {
    /// Its name.
    pub name: String,
    /// Its object identifier; empty: none.
    pub oid: String,
    /// What kind of number it is.
    pub kind: MetricKind,
    /// What it begins with.
    pub initial: i64,
    /// Where its value comes from.
    pub collector: Option<Collector>,
    /// The metrics that the collector looks at.
    pub children: Vec<String>,
    /// Seconds between two looks; 0: each second.
    pub freq: u64,
    /// It begins anew when it was pushed.
    pub reset_after_push: bool,
}
