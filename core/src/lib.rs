//! Host of uWSGI-compatible plugins.

pub mod cli;
pub mod config;
pub mod options;
pub mod settings;
