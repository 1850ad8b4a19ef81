//! Statistics that go out by themselves: `--stats-push count:WORD`.

use rsgi_plugin_api::{HookError, kind, log};

pub struct Count;

impl kind::StatsPusher for Count {
    const EVERY: i32 = 1;

    fn push(argument: &str, document: &[u8]) -> Result<(), HookError> {
        let metrics = kind::metrics();
        let requests = metrics.iter().find(|metric| metric.name == "worker.1.requests");
        let requests = requests.map_or(-1, |metric| metric.value);
        log::line(&format!("{argument} {requests} json {}", document.starts_with(b"{")));
        Ok(())
    }
}
