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
}
