//! Plugins: what the file says before it is opened, where to look for it, how it is loaded, and the calls of its
//! hooks. Used by the master before the first fork; afterwards the registry is only read.

pub mod elf;
mod embedded;
pub mod hooks;
pub mod host;
pub mod info;
pub mod inside;
pub mod loader;
mod mapped;
pub mod offered;
pub mod registry;
pub mod search;

pub use elf::{PluginFile, StaticOption};
pub use loader::LoadError;
