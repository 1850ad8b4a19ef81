//! Host of uWSGI-compatible plugins.

pub mod config;
