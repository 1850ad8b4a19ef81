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
    /// Sinks to push to.
    pub push: Vec<String>,
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
}
