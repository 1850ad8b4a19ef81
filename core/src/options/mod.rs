//! Options: the table of everything that can be configured, and the way from directives to [`Settings`].
//! [`load()`] is the entry, called once by the first process before anything is started.

mod apply;
pub mod by_plugin;
pub mod command;
pub(crate) mod default_value;
pub mod defaults;
mod environment;
mod explain;
mod help;
mod load;
pub(crate) mod parse;
mod plugin_host;
mod report;
mod resolve;
mod spec;
mod suggest;
pub mod table;

pub use command::Command;
pub use environment::INTERNAL_PREFIX;
pub use load::{ConfigErrors, Startup, load};
pub use plugin_host::{PluginError, PluginHost, PluginOption};
pub use spec::{Apply, ArgKind, Group, OptionSpec};
pub use suggest::suggestion;

#[doc(no_inline)]
pub use crate::settings::Settings;

#[cfg(test)]
mod effect_tests;
#[cfg(test)]
mod load_tests;
#[cfg(test)]
mod names_tests;
