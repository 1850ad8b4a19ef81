//! What the `http-*` options say, collected while the master reads its configuration, checked before the gateways start.
//! Pure data; the option rows are in `options`, the running gateway gets a `gateway::Config` made from this.

use std::time::Duration;

/// Why an option's value is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not a number in its range.
    #[error("{0:?} is not a number from {1} to {2}")]
    Number(String, u64, u64),
    /// No `KEY=VALUE`.
    #[error("{0:?} is not of the form KEY=VALUE")]
    Variable(String),
}

/// Everything the options can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen, as written.
    pub addresses: Vec<String>,
    /// Backends of `http-to`, as written; without any, the workers of this server.
    pub backends: Vec<String>,
    /// Modifiers of the packets.
    pub modifiers: (u8, u8),
    /// How long a kept connection may be idle; `None`: connections are not kept.
    pub keep_alive: Option<Duration>,
    /// How long neither side may be silent while a request is served.
    pub timeout: Duration,
    /// How long a request head may take.
    pub headers_timeout: Duration,
    /// How long connecting to a backend may take.
    pub connect_timeout: Duration,
    /// Gateway processes.
    pub processes: u64,
    /// Variables added to every request.
    pub vars: Vec<(String, String)>,
    /// Announced bodies beyond this get 413 instead of 100 (`http-manage-expect`).
    pub expect_limit: Option<u64>,
    /// SERVER_NAME is the Host.
    pub name_from_host: bool,
    /// Failed backends are not logged.
    pub quiet: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            backends: Vec::new(),
            modifiers: (0, 0),
            keep_alive: Some(Duration::from_secs(65)),
            timeout: Duration::from_secs(60),
            headers_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(5),
            processes: 1,
            vars: Vec::new(),
            expect_limit: None,
            name_from_host: false,
            quiet: false,
        }
    }
}

/// A number of an option, within its range.
pub fn number(text: &str, least: u64, most: u64) -> Result<u64, SettingsError> {
    let parsed = text.trim().parse().ok().filter(|n| (least..=most).contains(n));
    parsed.ok_or_else(|| SettingsError::Number(text.to_owned(), least, most))
}

/// Seconds of an option, from one to a year.
pub fn seconds(text: &str) -> Result<Duration, SettingsError> {
    number(text, 1, 365 * 86400).map(Duration::from_secs)
}

/// `KEY=VALUE` of `http-var`.
pub fn variable(text: &str) -> Result<(String, String), SettingsError> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(SettingsError::Variable(text.to_owned())),
    }
}

/// `http-keepalive[=SECONDS]`: zero turns it off, no value leaves the default.
pub fn keep_alive(text: Option<&str>) -> Result<Option<Duration>, SettingsError> {
    match text.map(str::trim) {
        None | Some("") | Some("1" | "true" | "yes" | "on") => Ok(Settings::default().keep_alive),
        Some("0" | "false" | "no" | "off") => Ok(None),
        Some(text) => seconds(text).map(Some),
    }
}

/// Whether a flag with a value means yes.
pub fn is_on(text: Option<&str>) -> bool {
    !matches!(text.map(str::trim), Some("0" | "false" | "no" | "off"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        assert_eq!(number(" 7 ", 0, 255), Ok(7));
        for bad in ["256", "-1", "x", ""] {
            assert!(number(bad, 0, 255).is_err(), "{bad}");
        }
        assert_eq!(seconds("2"), Ok(Duration::from_secs(2)));
        assert!(seconds("0").is_err());
        assert_eq!(variable("A=b=c"), Ok(("A".into(), "b=c".into())));
        assert!(variable("=b").is_err() && variable("A").is_err());
        assert_eq!(keep_alive(None), Ok(Some(Duration::from_secs(65))));
        assert_eq!(keep_alive(Some("2")), Ok(Some(Duration::from_secs(2))));
        assert_eq!(keep_alive(Some("0")), Ok(None));
        assert!(keep_alive(Some("soon")).is_err());
        assert!(is_on(None) && is_on(Some("true")) && !is_on(Some("0")));
    }
}
