//! What can be wrong with a configuration source; each is one line with its place.

use super::directive::Origin;
use thiserror::Error;

/// A configuration that cannot be read or evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The file, URL or descriptor cannot be read.
    #[error("unable to read configuration {name}: {reason}")]
    Read {
        /// As the user named it.
        name: String,
        /// The system's words.
        reason: String,
    },
    /// The name's ending tells no dialect.
    #[error(
        "unable to load configuration from {name}: its ending tells no format; use .ini, .xml, .yml, .yaml, .json or .toml, or say --ini {name}"
    )]
    UnknownFormat {
        /// As the user named it.
        name: String,
    },
    /// Not INI.
    #[error("error parsing INI data: {place}: {reason}")]
    Ini {
        /// file:line
        place: Origin,
        /// What stands there.
        reason: String,
    },
    /// Not well-formed XML.
    #[error("{place}: not well-formed XML: {reason}")]
    Xml {
        /// file:line
        place: Origin,
        /// What the parser found.
        reason: String,
    },
    /// Not JSON.
    #[error("error parsing JSON data: {place}: {reason}")]
    Json {
        /// file:line
        place: Origin,
        /// What the parser found.
        reason: String,
    },
    /// Not YAML, or a YAML shape that has no meaning here.
    #[error("error parsing YAML data: {place}: {reason}")]
    Yaml {
        /// file:line
        place: Origin,
        /// What the parser found.
        reason: String,
    },
    /// Not TOML, or a TOML shape that has no meaning here.
    #[error("error parsing TOML data: {place}: {reason}")]
    Toml {
        /// file:line
        place: Origin,
        /// What the parser found.
        reason: String,
    },
    /// A section that was asked for by name.
    #[error("{name} has no section \"{section}\": {known}")]
    Section {
        /// The file as the user named it.
        name: String,
        /// The section asked for.
        section: String,
        /// The sections it has.
        known: String,
    },
    /// Anything that concerns one directive.
    #[error("{place}: {key}: {reason}")]
    Directive {
        /// file:line
        place: Origin,
        /// Its key.
        key: String,
        /// What is wrong and how to repair it.
        reason: String,
    },
}

/// The system's message without Rust's "(os error N)".
pub fn system_message(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
