//! A way to compute metrics: `--metric name=ANY,collector=answer`.

use rsgi_plugin_api::{HookError, kind};

pub struct Answer;

impl kind::MetricCollector for Answer {
    fn collect(metric: &str) -> Result<i64, HookError> {
        Ok(42 + metric.len() as i64)
    }
}
