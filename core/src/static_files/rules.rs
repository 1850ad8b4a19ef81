//! What the operator says of files: types, expiry, compressed neighbours. Parsed once, in the start.

use crate::settings::StaticFiles;
use pcre2::bytes::Regex;
use std::collections::HashMap;
use std::sync::OnceLock;

/// The options, understood.
#[derive(Default)]
struct Rules {
    types: HashMap<Vec<u8>, String>,
    /// By the file's path, by the URI.
    expires: Vec<(Regex, u64)>,
    expires_uri: Vec<(Regex, u64)>,
    /// By the type.
    expires_type: Vec<(String, u64)>,
    gzip: Vec<Regex>,
    gzip_all: bool,
}

static RULES: OnceLock<Rules> = OnceLock::new();

fn pattern(option: &str, text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|e| format!("{option}: \"{text}\" is no regular expression: {e}"))
}

/// `PATTERN SECONDS`
fn timed(option: &str, text: &str) -> Result<(Regex, u64), String> {
    let (regexp, seconds) = text
        .trim()
        .rsplit_once([' ', '='])
        .ok_or_else(|| format!("{option}: \"{text}\": give REGEXP SECONDS"))?;
    let seconds = seconds
        .trim()
        .parse()
        .map_err(|_| format!("{option}: \"{seconds}\" is no number of seconds"))?;
    Ok((pattern(option, regexp.trim())?, seconds))
}

/// Understands the options; before the first fork.
///
/// # Errors
/// The option and what is wrong with it.
pub fn install(settings: &StaticFiles) -> Result<(), String> {
    let mut rules = Rules {
        gzip_all: settings.gzip_all,
        ..Rules::default()
    };
    for file in &settings.mime_file {
        let text = std::fs::read_to_string(file)
            .map_err(|e| format!("mime-file: cannot read {file}: {}", crate::config::system_message(&e)))?;
        for line in text.lines().map(|line| line.split('#').next().unwrap_or_default()) {
            let mut words = line.split_whitespace();
            let Some(kind) = words.next() else { continue };
            for ending in words {
                let ending = ending.trim_start_matches('.').to_ascii_lowercase();
                rules.types.insert(ending.into_bytes(), kind.to_owned());
            }
        }
    }
    for text in &settings.expires {
        rules.expires.push(timed("static-expires", text)?);
    }
    for text in &settings.expires_uri {
        rules.expires_uri.push(timed("static-expires-uri", text)?);
    }
    for text in &settings.expires_type {
        let wrong = || format!("static-expires-type: \"{text}\": give TYPE=SECONDS");
        let (kind, seconds) = text.split_once('=').ok_or_else(wrong)?;
        let seconds = seconds.trim().parse().map_err(|_| wrong())?;
        rules.expires_type.push((kind.trim().to_owned(), seconds));
    }
    for text in &settings.gzip {
        rules.gzip.push(pattern("static-gzip", text)?);
    }
    let _ = RULES.set(rules);
    Ok(())
}

/// The type of `--mime-file` for an ending in lower case.
pub fn mime_type(ending: &[u8]) -> Option<&'static str> {
    RULES.get()?.types.get(ending).map(String::as_str)
}

/// Seconds after which a file expires.
pub fn expiry(path: &[u8], uri: &[u8], kind: Option<&str>) -> Option<u64> {
    let rules = RULES.get()?;
    let by = |rules: &[(Regex, u64)], text: &[u8]| {
        let rule = rules.iter().find(|(regexp, _)| regexp.is_match(text).unwrap_or(false));
        rule.map(|(_, seconds)| *seconds)
    };
    by(&rules.expires, path)
        .or_else(|| by(&rules.expires_uri, uri))
        .or_else(|| {
            let rule = rules.expires_type.iter().find(|(of, _)| Some(of.as_str()) == kind);
            rule.map(|(_, seconds)| *seconds)
        })
}

/// Whether the compressed neighbour of a file is to be preferred.
pub fn prefers_gzip(path: &[u8]) -> bool {
    RULES
        .get()
        .is_some_and(|r| r.gzip_all || r.gzip.iter().any(|regexp| regexp.is_match(path).unwrap_or(false)))
}
