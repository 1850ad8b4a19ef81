//! One configuration line of any dialect, and where it stands.

use std::fmt;
use std::sync::Arc;

/// Where a directive was written; shown in every message about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// An argument of the command line.
    CommandLine,
    /// The environment variable of this name.
    Environment(Arc<str>),
    /// A line of a configuration file.
    File {
        /// The file as the user named it.
        path: Arc<str>,
        /// From 1; 0 when the dialect cannot tell.
        line: u32,
    },
}

impl Origin {
    /// Whether the directive was typed on the command line.
    pub fn is_command_line(&self) -> bool {
        matches!(self, Self::CommandLine)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => f.write_str("command line"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::File { path, line: 0 } => f.write_str(path),
            Self::File { path, line } => write!(f, "{path}:{line}"),
        }
    }
}

/// A key with its value; `None` is a key without a value, which means "true".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// The option or placeholder name, without leading dashes.
    pub key: String,
    /// The text as written, before any `%(x)` is resolved.
    pub value: Option<String>,
    /// Where it was written.
    pub origin: Origin,
}

impl Directive {
    /// A directive with a value.
    pub fn new(key: impl Into<String>, value: impl Into<String>, origin: Origin) -> Self {
        Self {
            key: key.into(),
            value: Some(value.into()),
            origin,
        }
    }

    /// A directive without a value.
    pub fn flag(key: impl Into<String>, origin: Origin) -> Self {
        Self {
            key: key.into(),
            value: None,
            origin,
        }
    }

    /// The value, a missing one as the empty text.
    pub fn text(&self) -> &str {
        self.value.as_deref().unwrap_or("")
    }
}
