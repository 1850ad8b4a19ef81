//! The configuration formats: which one a name asks for, and one entry to their parsers.

use super::directive::Directive;
use super::error::ConfigError;
use super::{ini, json, toml, xml, yaml};
use std::sync::Arc;

/// What a parser found of the asked section.
#[derive(Debug, Default)]
pub struct Parsed {
    /// In the order of the file.
    pub directives: Vec<Directive>,
    /// Whether the section exists.
    pub found: bool,
    /// The sections that the file has, for messages.
    pub sections: Vec<String>,
    /// The first line that stands above every section of an INI file.
    pub orphan: Option<u32>,
}

/// A configuration format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `key = value` lines.
    Ini,
    /// Elements of `<uwsgi>`.
    Xml,
    /// A mapping.
    Yaml,
    /// An object.
    Json,
    /// Tables.
    Toml,
}

/// The section that is read when none is named.
pub const DEFAULT_SECTION: &str = "uwsgi";
/// The section that is read when a file has not got that one.
const OWN_SECTION: &str = "rsgi";

impl Dialect {
    /// By the option that names the file: `ini`, `xml`, `yaml` …
    pub fn of_option(key: &str) -> Option<Self> {
        Some(match key {
            "ini" => Self::Ini,
            "xml" | "xmlconfig" => Self::Xml,
            "yaml" | "yml" => Self::Yaml,
            "json" | "js" => Self::Json,
            "toml" => Self::Toml,
            _ => return None,
        })
    }

    /// By the ending of a file name.
    pub fn of_name(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1 {
            ending @ ("ini" | "xml" | "yaml" | "yml" | "json" | "js" | "toml") => Self::of_option(ending),
            _ => None,
        }
    }

    /// As the log line and uWSGI spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ini => "INI",
            Self::Xml => "XML",
            Self::Yaml => "YAML",
            Self::Json => "JSON",
            Self::Toml => "TOML",
        }
    }

    /// Parses the text of `path`.
    pub fn parse(self, text: &str, section: Option<&str>, path: &Arc<str>) -> Result<Parsed, ConfigError> {
        let parsed = self.parse_section(text, section, section.unwrap_or(DEFAULT_SECTION), path)?;
        match section {
            None if !parsed.found && self != Self::Xml => self.parse_section(text, None, OWN_SECTION, path),
            _ => Ok(parsed),
        }
    }

    fn parse_section(
        self,
        text: &str,
        section: Option<&str>,
        name: &str,
        path: &Arc<str>,
    ) -> Result<Parsed, ConfigError> {
        match self {
            Self::Ini => ini::parse(text, name, path),
            Self::Xml => xml::parse(text, section, path),
            Self::Yaml => yaml::parse(text, name, path),
            Self::Json => json::parse(text, name, path),
            Self::Toml => toml::parse(text, name, path),
        }
    }
}
