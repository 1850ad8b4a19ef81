//! The build tool for plugins: from a source file, or a folder with uWSGI's `uwsgiplugin.py`, to `NAME_plugin.so`.
//! Used by the command `uwsgiconfig` and by `rsgi --build-plugin`. It also builds the server of a profile, with cargo.

pub mod compiler;
pub mod metadata;
pub mod profile;
mod script;
pub mod server;
mod stage;
mod trusted;

pub use compiler::{BuildError, build, cflags};

use std::io::Write;

/// `uwsgiconfig.py`: what `rsgi --config-py` prints, with the place of the program that it stands for.
pub fn wrapper(program: &std::path::Path) -> String {
    include_str!("wrapper.py").replace("@PROGRAM@", &program.display().to_string())
}

/// The text of `uwsgi.h`.
pub const HEADER: &str = rsgi_plugin_api::HEADER;

/// A line on standard output; that nobody reads it is no error.
pub fn tell(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
