//! The plugin ABI of rsgi, and a safe way to write plugins in Rust.
//!
//! [`abi`] mirrors the C structs, [`sys`] declares the host's functions; C authors read `include/uwsgi.h`, which
//! says the same. Rust authors implement [`Plugin`], list the hooks they have in [`export_plugin!`], and never see
//! a raw pointer:
//!
//! ```ignore
//! use rsgi_plugin_api::{HookError, Outcome, Plugin, Request, export_plugin};
//!
//! struct Hello;
//! impl Plugin for Hello {
//!     fn request(req: &mut Request<'_>) -> Result<Outcome, HookError> {
//!         req.start("200 OK")?;
//!         req.header("Content-Type", "text/plain")?;
//!         req.write_last(&[b"hello\n"])?;
//!         Ok(Outcome::Done)
//!     }
//! }
//! export_plugin! { hello_plugin: Hello, name: c"hello", modifier1: 200, hooks: [request] }
//! ```
//!
//! Every hook runs inside one [`guard`]: an error becomes a log line and a negative result, and a panic stops there.

pub mod abi;
pub mod cache;
pub mod export;
pub mod guard;
pub mod kind;
#[cfg(feature = "layout-check")]
pub mod layout;

pub mod lock;
pub mod log;
pub mod logger;
pub mod metric;
pub mod mule;
pub mod net;
pub mod option;
mod plugin;
pub mod process;
pub mod queue;
mod request;
pub mod rpc;
pub mod signal;
pub mod sys;
mod text;

pub use option::{OptionRow, OptionTable};
pub use plugin::{Outcome, Plugin};
pub use request::{BodyRead, Request};

/// The text of `uwsgi.h`, for `--dot-h` and the build tool.
pub const HEADER: &str = include_str!("../include/uwsgi.h");

/// Why a hook failed; the host logs the text with the plugin's and the hook's name.
#[derive(Debug)]
pub struct HookError(String);

impl HookError {
    /// An error with this text: cause, place, fix, one line.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Display for HookError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HookError {}

impl From<std::io::Error> for HookError {
    fn from(e: std::io::Error) -> Self {
        Self(e.to_string())
    }
}

impl From<String> for HookError {
    fn from(e: String) -> Self {
        Self(e)
    }
}
