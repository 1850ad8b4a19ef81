//! Configuration sources: every dialect yields ordered directives (key, value, place); nothing here knows an option.
//! [`Reader`] is the entry; the options ask it for the list and give the values their meaning.

mod dialect;
mod directive;
mod error;
mod expression;
mod ini;
mod json;
mod logic;
pub mod magic;
mod placeholder;
mod reader;
pub mod scheme;
mod toml;
mod tree;
mod xml;
mod yaml;

pub use dialect::{DEFAULT_SECTION, Dialect, Parsed};
pub use directive::{Directive, Origin};
pub use error::{ConfigError, system_message};
pub use logic::{Environment, Opening, is_closing};
pub use placeholder::{Names, Resolved, mentions, resolve};
pub use reader::{Collected, Observer, Reader};
pub use scheme::{read as read_source, split_section};
