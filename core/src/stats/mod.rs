//! Statistics: what the master knows of the server, as JSON in uWSGI's schema, to whoever connects (`--stats`).

pub mod json;
pub mod server;
pub mod snapshot;

pub use snapshot::StatsSnapshot;
