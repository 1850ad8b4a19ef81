//! `--explain OPTION`: all that is known about one name, from the same rows as `--help` and the manual.

use super::plugin_host::PluginOption;
use super::spec::{Apply, ArgKind, Group, OptionSpec};
use super::{default_value, suggestion, table};
use std::fmt::Write;

/// More related names than this help nobody.
const MOST_RELATED: usize = 10;

/// The text about a name; the error is a line about a name that nobody knows.
pub fn text(name: &str, plugins: &[PluginOption]) -> Result<String, String> {
    let name = name.trim().trim_start_matches('-');
    if name.is_empty() {
        return Err("--explain: name an option: rsgi --explain harakiri".into());
    }
    if let Some(row) = find(name) {
        return Ok(of_core(name, row));
    }
    if let Some(option) = plugins.iter().find(|option| option.name == name) {
        return Ok(of_plugin(option, plugins));
    }
    if let Some(owned) = table::owners::find(name) {
        return Ok(of_absent(owned, plugins));
    }
    if let Some(refusal) = table::refused::find(name) {
        let mut out = format!("{name}: an option of uWSGI that rsgi does not have\n\n");
        line(&mut out, "status", "refused");
        line(&mut out, "why", refusal.reason);
        line(&mut out, "instead", refusal.instead);
        return Ok(out);
    }
    let others = plugins.iter().map(|option| option.name.as_str());
    let known = table::names().chain(others).chain(table::owners::all().map(|o| o.name));
    Err(match suggestion(name, known) {
        Some(near) => format!("--explain: unknown option \"{name}\": did you mean \"{near}\"?"),
        None => format!("--explain: unknown option \"{name}\" (rsgi --help WORD searches the options)"),
    })
}

/// A name or its letter.
fn find(name: &str) -> Option<&'static OptionSpec> {
    let mut letters = name.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) => table::rows().find(|row| row.short == Some(letter)),
        _ => table::find(name),
    }
}

fn line(out: &mut String, title: &str, text: &str) {
    let _ = writeln!(out, "  {title:<10}{text}");
}

fn of_core(name: &str, row: &'static OptionSpec) -> String {
    let mut out = format!("{}: {}\n\n", row.name, row.help);
    names(&mut out, row, name);
    line(&mut out, "value", &kind(row));
    if let Some(unit) = unit(row) {
        line(&mut out, "unit", unit);
    }
    line(&mut out, "default", &default_text(row));
    let group = table::GROUPS.iter().find(|g| g.rows.iter().any(|r| r.name == row.name));
    let subject = group.map_or("", |g| g.title);
    line(&mut out, "from", &format!("rsgi itself ({subject})"));
    line(&mut out, "status", &status(row));
    if row.needs_master {
        line(&mut out, "needs", "the master, which it turns on");
    }
    if let Some(group) = group {
        let related = related(row, group);
        if !related.is_empty() {
            line(&mut out, "related", &related.join(", "));
        }
    }
    line(&mut out, "example", &example(row));
    let variable = row.name.to_ascii_uppercase().replace('-', "_");
    match row.apply {
        Apply::Command(_) => {}
        _ if row.arg == ArgKind::No => line(&mut out, "also", &format!("--{}  RSGI_{variable}=true", row.name)),
        _ => line(
            &mut out,
            "also",
            &format!("--{} VALUE  RSGI_{variable}=VALUE", row.name),
        ),
    }
    out
}

fn names(out: &mut String, row: &OptionSpec, asked: &str) {
    let mut all: Vec<String> = row.short.iter().map(|letter| format!("-{letter}")).collect();
    all.extend(row.aliases.iter().map(|n| (*n).to_owned()));
    if !all.is_empty() {
        line(out, "aliases", &all.join(", "));
    }
    if let Some(negation) = row.negation {
        line(out, "off", negation);
    }
    if asked != row.name && asked.chars().count() > 1 {
        line(out, "asked", &format!("{asked} is another name of it"));
    }
}

fn kind(row: &OptionSpec) -> String {
    match row.apply {
        Apply::Flag(_) => "true or false; without a value true".into(),
        Apply::Number { min, max, .. } if max >= u64::from(u32::MAX) => format!("a whole number from {min} up"),
        Apply::Number { min, max, .. } => format!("a whole number from {min} to {max}"),
        Apply::Text(_) => "a text".into(),
        Apply::Path(_) => "a path, an address or a name".into(),
        Apply::Parsed(_) | Apply::Named(_) => "a text of the form that the example shows".into(),
        Apply::Optional(_) | Apply::OptionalParsed(_) => "a text, which may be left out".into(),
        _ => match row.arg {
            ArgKind::No => "none".into(),
            ArgKind::Required => "a text".into(),
            ArgKind::Optional => "a text, which may be left out".into(),
        },
    }
}

/// The unit of a number, as its help names it.
pub fn unit(row: &OptionSpec) -> Option<&'static str> {
    const UNITS: [&str; 9] = [
        "milliseconds",
        "microseconds",
        "seconds",
        "minutes",
        "kilobytes",
        "megabytes",
        "bytes",
        "percent",
        "octal",
    ];
    let counts = match row.apply {
        Apply::Number { .. } => true,
        Apply::Later => row.arg == ArgKind::Required,
        Apply::Parsed(_) | Apply::OptionalParsed(_) => row.help.contains("octal"),
        _ => false,
    };
    let words = || row.help.split(|c: char| !c.is_ascii_alphabetic());
    UNITS
        .into_iter()
        .find(|unit| counts && words().any(|word| word.eq_ignore_ascii_case(unit)))
}

fn default_text(row: &OptionSpec) -> String {
    let shown = |value: Option<String>| value.unwrap_or_else(|| "not set".to_owned());
    let (own, classic) = (
        shown(default_value::of(row, false)),
        shown(default_value::of(row, true)),
    );
    match own == classic {
        true => own,
        false => format!("{own} (with classic-defaults: {classic})"),
    }
}

fn status(row: &OptionSpec) -> String {
    match row.apply {
        Apply::NoEffect(why) => format!("accepted without effect: {why}"),
        _ if row.is_later() => "recognised; its subsystem is not in this version, the option has no effect yet".into(),
        _ => "works".into(),
    }
}

/// Options of the same subject that share the first word of the name.
fn related(row: &OptionSpec, group: &'static Group) -> Vec<&'static str> {
    let words = |name: &'static str| name.split('-').filter(|word| word.len() > 2 && *word != "for");
    let own: Vec<&str> = words(row.name).collect();
    let mut ranked: Vec<(usize, &'static str)> = group
        .rows
        .iter()
        .filter(|other| other.name != row.name)
        .map(|other| {
            let shared = words(other.name).filter(|word| own.contains(word)).count();
            (shared, other.name)
        })
        .filter(|(shared, _)| *shared > 0)
        .collect();
    ranked.sort_by_key(|(shared, _)| std::cmp::Reverse(*shared));
    ranked.into_iter().map(|(_, name)| name).take(MOST_RELATED).collect()
}

/// A line of a configuration file.
fn example(row: &OptionSpec) -> String {
    let name = row.name;
    if let Apply::Command(_) = row.apply {
        return match (row.arg, table::examples::find(name)) {
            (ArgKind::No, _) => format!("rsgi --{name}"),
            (_, Some(value)) => format!("rsgi --{name} {value}"),
            _ => format!("rsgi --{name} VALUE"),
        };
    }
    if let Some(value) = table::examples::find(name) {
        return format!("{name} = {value}");
    }
    match row.apply {
        Apply::Flag(_) => match (row.negation, default_value::of(row, false).as_deref()) {
            (Some(negation), Some("true")) => format!("{negation} = true"),
            (None, Some("true")) => format!("{name} = false"),
            _ => format!("{name} = true"),
        },
        Apply::Number { min, max, .. } => {
            let usual = match unit(row) {
                Some("seconds") => 30,
                Some("bytes") => 1 << 20,
                Some("megabytes" | "kilobytes") => 512,
                Some("percent") => 50,
                _ => 10,
            };
            format!("{name} = {}", usual.clamp(min, max))
        }
        _ if row.arg == ArgKind::Required && unit(row).is_some() => format!("{name} = 30"),
        _ if row.arg == ArgKind::Required => format!("{name} = VALUE"),
        _ => format!("{name} = true"),
    }
}

fn of_plugin(option: &PluginOption, plugins: &[PluginOption]) -> String {
    let mut out = format!("{}: {}\n\n", option.name, option.help);
    let same = plugins
        .iter()
        .filter(|o| o.plugin == option.plugin && o.help == option.help && o.name != option.name);
    let letter = option.short.iter().map(|letter| format!("-{letter}"));
    let aliases: Vec<String> = letter.chain(same.map(|o| o.name.clone())).collect();
    if !aliases.is_empty() {
        line(&mut out, "aliases", &aliases.join(", "));
    }
    let value = match option.arg {
        ArgKind::No => "true or false; without a value true",
        ArgKind::Required => "a text",
        ArgKind::Optional => "a text, which may be left out",
    };
    line(&mut out, "value", value);
    line(&mut out, "default", "not set; the plugin decides");
    line(&mut out, "from", &format!("the plugin {}", option.plugin));
    line(
        &mut out,
        "status",
        "works; the plugin is loaded when the option is used (with classic-defaults it must be named)",
    );
    let value = table::examples::find(&option.name).unwrap_or(match option.arg {
        ArgKind::No => "true",
        _ => "VALUE",
    });
    line(&mut out, "example", &format!("{} = {value}", option.name));
    out
}

/// An option of a plugin that is not here, or does not have it yet.
fn of_absent(owned: table::owners::Owned, plugins: &[PluginOption]) -> String {
    let mut out = format!("{}: an option of the plugin {}\n\n", owned.name, owned.plugin);
    line(&mut out, "from", &format!("the plugin {}", owned.plugin));
    match plugins.iter().any(|option| option.plugin == owned.plugin) {
        true => line(
            &mut out,
            "status",
            "recognised; the plugin does not have it in this version",
        ),
        false => {
            line(&mut out, "status", "the plugin is not installed");
            let fix = format!(
                "install it, or name the folder of {}_plugin.so with plugins-dir",
                owned.plugin
            );
            line(&mut out, "instead", &fix);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin() -> Vec<PluginOption> {
        ["wsgi-file", "file"]
            .map(|name| PluginOption {
                name: name.into(),
                short: None,
                arg: ArgKind::Required,
                help: "load this file".into(),
                flags: 0,
                plugin: "python".into(),
                index: 0,
            })
            .into()
    }

    #[test]
    fn a_core_option_is_told_in_full() {
        let text = text("harakiri", &[]).unwrap();
        for part in [
            "harakiri: ",
            "aliases   -t",
            "unit      seconds",
            "default   0",
            "status    works",
            "related   ",
            "example   harakiri = 30",
            "RSGI_HARAKIRI=VALUE",
        ] {
            assert!(text.contains(part), "{part}:\n{text}");
        }
        let text = super::text("--no-master", &[]).unwrap();
        assert!(text.contains("true (with classic-defaults: false)") && text.contains("no-master is another name"));
    }

    #[test]
    fn every_name_is_told_and_each_kind_says_what_it_is() {
        for name in table::names().chain(table::owners::all().map(|o| o.name)) {
            assert!(text(name, &[]).is_ok(), "{name}");
        }
        assert!(text("legion", &[]).unwrap().contains("status    refused"));
        assert!(text("wsgi-file", &plugin()).unwrap().contains("aliases   file"));
        assert!(text("wsgi-file", &[]).unwrap().contains("the plugin is not installed"));
        assert!(text("p", &[]).unwrap().starts_with("processes: "));
    }

    #[test]
    fn an_unknown_name_gets_a_suggestion() {
        assert!(
            text("harakari", &[])
                .unwrap_err()
                .contains("did you mean \"harakiri\"?")
        );
        assert!(text("nothing-like-it", &[]).unwrap_err().contains("--help WORD"));
        assert!(text("", &[]).is_err());
    }
}
