//! `--help [WORD]`: the options by subject, or those about a word.

use super::plugin_host::PluginOption;
use super::spec::{ArgKind, OptionSpec};
use super::table;
use std::fmt::Write;

/// Column where the explanations begin.
const COLUMN: usize = 34;

/// The help text; with words only the options whose names or explanations contain each.
pub fn text(words: &[String], plugins: &[PluginOption]) -> String {
    let words: Vec<String> = words.iter().map(|w| w.to_ascii_lowercase()).collect();
    let wanted = |names: &[&str], help: &str| {
        let found = |word: &String| {
            names.iter().any(|n| n.contains(word.as_str())) || help.to_ascii_lowercase().contains(word.as_str())
        };
        words.iter().all(found)
    };
    let mut out = String::new();
    if words.is_empty() {
        out += "Usage: rsgi [OPTION...] [FILE...]\n       rsgi top ADDRESS\n\nFILE is a configuration (.ini .xml .yml .json .toml, FILE:SECTION) or an application.\n";
        out += "Every option is also a line of a configuration file and a variable RSGI_NAME.\n";
    }
    for group in table::GROUPS {
        let mut lines = String::new();
        for row in group.rows {
            let names: Vec<&str> = row.names().collect();
            if wanted(&names, row.help) {
                core_line(&mut lines, row);
            }
        }
        if !lines.is_empty() {
            let _ = write!(out, "\n{}:\n{lines}", group.title);
        }
    }
    let mut owners: Vec<&str> = plugins.iter().map(|o| o.plugin.as_str()).collect();
    owners.sort_unstable();
    owners.dedup();
    for owner in owners {
        let mut lines = String::new();
        for option in plugins.iter().filter(|o| o.plugin == owner) {
            if wanted(&[&option.name, owner], &option.help) {
                line(&mut lines, &option.name, option.short, option.arg, &option.help);
            }
        }
        if !lines.is_empty() {
            let _ = write!(out, "\nPlugin {owner}:\n{lines}");
        }
    }
    if words.is_empty() {
        out += "\nrsgi --help WORD shows the options about a word, rsgi --explain NAME tells all about one,\n\
                rsgi --check-config FILE checks a file, rsgi top ADDRESS watches a server; see also: man rsgi\n";
    }
    match out.is_empty() {
        true => format!("no option is about {}\n", words.join(" ")),
        false => out,
    }
}

fn core_line(out: &mut String, row: &OptionSpec) {
    let mut help = row.help.to_owned();
    let others: Vec<String> = row.names().skip(1).map(|n| format!("--{n}")).collect();
    if !others.is_empty() {
        help += &format!(" ({})", others.join(", "));
    }
    if row.is_later() {
        help += " [not in this version]";
    }
    line(out, row.name, row.short, row.arg, &help);
}

fn line(out: &mut String, name: &str, short: Option<char>, arg: ArgKind, help: &str) {
    let letter = short.map_or_else(|| "    ".to_owned(), |s| format!("-{s}, "));
    let value = match arg {
        ArgKind::No => "",
        ArgKind::Required => " VALUE",
        ArgKind::Optional => "[=VALUE]",
    };
    let left = format!("  {letter}--{name}{value}");
    let _ = match left.len() + 1 < COLUMN {
        true => writeln!(out, "{left:COLUMN$}{help}"),
        false => writeln!(out, "{left}\n{:COLUMN$}{help}", ""),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugins() -> Vec<PluginOption> {
        vec![PluginOption {
            name: "wsgi-file".into(),
            short: None,
            arg: ArgKind::Required,
            help: "load this file".into(),
            flags: 0,
            plugin: "python".into(),
            index: 0,
        }]
    }

    #[test]
    fn everything_is_listed_by_subject() {
        let text = text(&[], &plugins());
        for row in table::rows() {
            assert!(text.contains(&format!("--{}", row.name)), "{}", row.name);
        }
        assert!(text.contains("\nSockets:\n") && text.contains("Plugin python:\n      --wsgi-file VALUE"));
    }

    #[test]
    fn words_search_names_and_explanations() {
        let found = text(&["pidfile".into()], &plugins());
        assert!(found.contains("--safe-pidfile") && found.contains("--stop") && !found.contains("--threads"));
        assert!(text(&["python".into()], &plugins()).contains("--wsgi-file"));
        assert_eq!(text(&["xyzzy".into()], &plugins()), "no option is about xyzzy\n");
    }
}
