//! What the master knows of the server, to whoever asks: JSON in uWSGI's schema and Prometheus text (`--stats`), liveness
//! and readiness (`--health`).

pub mod answer;
pub mod histogram;
pub mod json;
pub mod metrics;
mod prometheus;
pub mod push;
pub mod server;
pub mod snapshot;

pub use snapshot::StatsSnapshot;
