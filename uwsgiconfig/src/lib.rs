//! The build tool for plugins: from a source file, or a folder with uWSGI's `uwsgiplugin.py`, to `NAME_plugin.so`.
//! Used by the command `uwsgiconfig` and by `rsgi --build-plugin`; it runs the C compiler and nothing else.

pub mod compiler;
pub mod metadata;
mod stage;

pub use compiler::{BuildError, build, cflags};

/// The text of `uwsgi.h`.
pub const HEADER: &str = rsgi_plugin_api::HEADER;
