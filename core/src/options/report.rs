//! The report of `--check-config`: for each option of a configuration whether it means the same as in uWSGI, something
//! else, nothing, or is refused, and which defaults differ for it.

use super::plugin_host::PluginHost;
use super::spec::Apply;
use super::table::changes::{self, Kind};
use super::{suggestion, table};
use crate::config::{Collected, Directive};
use crate::settings::Settings;
use std::fmt::Write;

/// How long a line of names may be.
const WIDTH: usize = 96;

/// What became of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Same,
    Changed,
    Needless,
    Later,
    Refused,
    Unknown,
}

/// The report, ready to be printed.
pub fn text(collected: &Collected, settings: &Settings, host: &dyn PluginHost) -> String {
    let mut found: Vec<(&Directive, Fate, String)> = Vec::new();
    for directive in &collected.directives {
        if let Some((fate, why)) = fate(directive, collected, settings, host) {
            found.push((directive, fate, why));
        }
    }
    let mut out = String::new();
    let of = |wanted: Fate| found.iter().filter(move |(_, fate, _)| *fate == wanted);
    let mut same: Vec<&str> = of(Fate::Same).map(|(directive, ..)| directive.key.as_str()).collect();
    same.dedup();
    if !same.is_empty() {
        let _ = write!(out, "the same as in uWSGI ({}):", same.len());
        let mut column = WIDTH;
        for name in same {
            if column + name.len() + 1 > WIDTH {
                out += "\n   ";
                column = 3;
            }
            let _ = write!(out, " {name}");
            column += name.len() + 1;
        }
        out.push('\n');
    }
    for (fate, title) in [
        (Fate::Changed, "means something else"),
        (Fate::Needless, "can be left out"),
        (Fate::Later, "not in this version"),
        (Fate::Refused, "refused"),
        (Fate::Unknown, "unknown"),
    ] {
        let count = of(fate).count();
        if count > 0 {
            let _ = writeln!(out, "{title} ({count}):");
        }
        for (directive, _, why) in of(fate) {
            let _ = writeln!(out, "    {}: {}: {why}", directive.origin, directive.key);
        }
    }
    if !settings.classic {
        let is_named = |name: &str| collected.directives.iter().any(|d| d.key == name);
        let defaults: String = changes::defaults(is_named)
            .map(|text| format!("    {text}\n"))
            .collect();
        if !defaults.is_empty() {
            let _ = write!(
                out,
                "defaults that differ (classic-defaults brings uWSGI's back):\n{defaults}"
            );
        }
    }
    out
}

/// `None`: it belongs to the configuration itself, as blocks and files do.
fn fate(
    directive: &Directive,
    collected: &Collected,
    settings: &Settings,
    host: &dyn PluginHost,
) -> Option<(Fate, String)> {
    let key = directive.key.as_str();
    let row = table::find(key);
    if let Some(row) = row {
        match row.apply {
            Apply::Command(_) => return None,
            Apply::Reader if row.name != "plugin" => return None,
            Apply::NoEffect(why) => return Some((Fate::Needless, why.to_owned())),
            _ if row.is_later() => return Some((Fate::Later, "the value is kept, nothing uses it".to_owned())),
            _ => {}
        }
    }
    let is_plugins = || {
        host.options()
            .into_iter()
            .chain(host.catalogue())
            .any(|o| o.name == key)
    };
    if row.is_some() || is_plugins() {
        let name = row.map_or(key, |row| row.name);
        let value = directive.value.as_deref().unwrap_or("true");
        let change = changes::find(key, value).or_else(|| changes::find(name, value).filter(|_| is_plain(row, key)));
        return Some(match change.filter(|_| !settings.classic) {
            Some(change) if change.kind == Kind::Changed => (Fate::Changed, change.text.to_owned()),
            Some(change) => (Fate::Needless, change.text.to_owned()),
            None => (Fate::Same, String::new()),
        });
    }
    if collected.declared.contains(key) {
        return None;
    }
    if let Some(refusal) = table::refused::find(key) {
        return Some((Fate::Refused, format!("{}; {}", refusal.reason, refusal.instead)));
    }
    if let Some(owned) = table::owners::find(key) {
        let why = format!("it belongs to the plugin {}, which is not installed", owned.plugin);
        return Some((Fate::Refused, why));
    }
    if collected.uses(key) {
        return None;
    }
    let near = suggestion(key, table::names().chain(table::owners::all().map(|o| o.name)));
    let why = match near {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "a name that nothing uses".to_owned(),
    };
    Some((Fate::Unknown, why))
}

/// Not the name that turns a flag off.
fn is_plain(row: Option<&super::spec::OptionSpec>, key: &str) -> bool {
    row.is_none_or(|row| row.negation != Some(key))
}
