//! What `route-if` asks: files, comparisons of texts and numbers, addresses, and what plugins offer.

use super::action::cache;
use super::plugin;
use super::template::Template;
use crate::request::Core;
use pcre2::bytes::RegexBuilder;
use rsgi_protocol::allow::AllowList;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Whether a condition holds for a request.
pub type Holds = Box<dyn Fn(&mut Core) -> bool + Send + Sync>;
type Build = fn(&str) -> Result<Holds, String>;

static CONDITIONS: &[(&[&str], Build)] = &[
    (&["exists"], |a| file(a, |_| true)),
    (&["isfile"], |a| file(a, Metadata::is_file)),
    (&["isdir"], |a| file(a, Metadata::is_dir)),
    (&["isexec"], |a| file(a, |m| m.permissions().mode() & 0o111 != 0)),
    (&["islink"], |a| {
        let path = Template::parse(a)?;
        Ok(Box::new(move |core| {
            let path = path.fill(core);
            Path::new(OsStr::from_bytes(&path)).is_symlink()
        }))
    }),
    (&["empty"], |a| {
        let text = Template::parse(a)?;
        Ok(Box::new(move |core| text.fill(core).is_empty()))
    }),
    (&["equal", "isequal", "eq", "=="], |a| texts(a, |a, b| a == b)),
    (&["startswith"], |a| texts(a, |a, b| a.starts_with(b))),
    (&["endswith"], |a| texts(a, |a, b| a.ends_with(b))),
    (&["contains", "contain"], |a| {
        texts(a, |a, b| b.is_empty() || a.windows(b.len()).any(|w| w == b))
    }),
    (&["ishigher", ">"], |a| numbers(a, |a, b| a > b)),
    (&["ishigherequal", ">="], |a| numbers(a, |a, b| a >= b)),
    (&["islower", "<"], |a| numbers(a, |a, b| a < b)),
    (&["islowerequal", "<="], |a| numbers(a, |a, b| a <= b)),
    (&["regexp", "re"], regexp),
    (&["ipv4in", "ipv6in"], network),
    (&["incache"], cache::is_there),
];

/// Parses `NAME:ARGUMENTS`.
///
/// # Errors
/// Nobody knows the name, or the arguments are wrong.
pub fn parse(text: &str) -> Result<Holds, String> {
    let (name, arguments) = text.split_once(':').unwrap_or((text, ""));
    let own = CONDITIONS.iter().find(|(names, _)| names.contains(&name));
    if let Some((_, build)) = own {
        return build(arguments).map_err(|e| format!("condition {name}: {e}"));
    }
    plugin::condition(name, arguments).unwrap_or_else(|| {
        let known: Vec<&str> = CONDITIONS.iter().map(|(names, _)| names[0]).collect();
        Err(format!(
            "there is no condition \"{name}\" (there are {})",
            known.join(", ")
        ))
    })
}

fn file(path: &str, is: fn(&Metadata) -> bool) -> Result<Holds, String> {
    let path = Template::parse(path)?;
    Ok(Box::new(move |core| {
        let path = path.fill(core);
        std::fs::metadata(OsStr::from_bytes(&path)).is_ok_and(|m| is(&m))
    }))
}

fn two(arguments: &str) -> Result<(Template, Template), String> {
    let (a, b) = arguments
        .split_once(';')
        .ok_or_else(|| format!("\"{arguments}\": give two texts with a ; between them"))?;
    Ok((Template::parse(a)?, Template::parse(b)?))
}

fn texts(arguments: &str, is: fn(&[u8], &[u8]) -> bool) -> Result<Holds, String> {
    let (a, b) = two(arguments)?;
    Ok(Box::new(move |core| {
        let (a, b) = (a.fill(core), b.fill(core));
        is(&a, &b)
    }))
}

fn numbers(arguments: &str, is: fn(i64, i64) -> bool) -> Result<Holds, String> {
    let (a, b) = two(arguments)?;
    let number = |text: Vec<u8>| std::str::from_utf8(&text).ok().and_then(|t| t.trim().parse().ok());
    Ok(Box::new(move |core| {
        // what is no number counts as 0, as in C
        let (a, b) = (number(a.fill(core)), number(b.fill(core)));
        is(a.unwrap_or(0), b.unwrap_or(0))
    }))
}

fn regexp(arguments: &str) -> Result<Holds, String> {
    let (text, pattern) = arguments
        .split_once(';')
        .ok_or_else(|| format!("\"{arguments}\": give TEXT;PATTERN"))?;
    let text = Template::parse(text)?;
    let pattern = RegexBuilder::new()
        .jit_if_available(true)
        .build(pattern)
        .map_err(|e| format!("\"{pattern}\" is no regular expression: {e}"))?;
    Ok(Box::new(move |core| {
        pattern.is_match(&text.fill(core)).unwrap_or(false)
    }))
}

fn network(arguments: &str) -> Result<Holds, String> {
    let (address, networks) = arguments
        .split_once(';')
        .ok_or_else(|| format!("\"{arguments}\": give ADDRESS;NETWORK/BITS"))?;
    let address = Template::parse(address)?;
    let mut list = AllowList::default();
    list.add(networks).map_err(|e| e.to_string())?;
    Ok(Box::new(move |core| {
        let address = address.fill(core);
        std::str::from_utf8(&address).is_ok_and(|a| list.names(a))
    }))
}
