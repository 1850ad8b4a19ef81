//! `--man`: the manual page, written from the option table so that it cannot grow old.

use super::plugin_host::PluginOption;
use super::spec::{ArgKind, OptionSpec};
use super::{default_value, table};
use std::fmt::Write;

/// The page rsgi(1) in roff.
pub fn page(plugins: &[PluginOption]) -> String {
    let mut out = String::new();
    let version = env!("CARGO_PKG_VERSION");
    let _ = writeln!(out, ".TH RSGI 1 \"\" \"rsgi {version}\" \"User Commands\"");
    out += ".SH NAME\nrsgi \\- application server that runs plugins and configurations of uWSGI\n";
    out += ".SH SYNOPSIS\n.B rsgi\n[\\fIOPTION\\fR]... [\\fIFILE\\fR]...\n.PP\n.B rsgi top\n\\fIADDRESS\\fR\n";
    out += ".SH DESCRIPTION\nEvery option may stand on the command line, in a configuration file as a line\n";
    out += ".I name = value\nand in the environment as\n.BR RSGI_NAME .\n";
    out +=
        "A flag is turned off by the values false, no, off and 0.\nThe last of several values counts.\n.SH OPTIONS\n";
    for group in table::GROUPS {
        let _ = writeln!(out, ".SS \"{}\"", escape(group.title));
        for row in group.rows {
            entry(&mut out, row);
        }
    }
    let mut owner = "";
    for option in plugins {
        if option.plugin != owner {
            owner = &option.plugin;
            let _ = writeln!(out, ".SS \"Plugin {}\"", escape(owner));
        }
        head(&mut out, option.short, &[&option.name], option.arg);
        let _ = writeln!(out, "{}", sentence(&option.help));
    }
    out += ".SH EXIT STATUS\n0 after a stop, 1 when the configuration or a socket is wrong, 22 when need-app found no application.\n";
    out
}

fn entry(out: &mut String, row: &OptionSpec) {
    let names: Vec<&str> = row.names().filter(|n| Some(*n) != row.negation).collect();
    head(out, row.short, &names, row.arg);
    let _ = writeln!(out, "{}", sentence(row.help));
    if let Some(negation) = row.negation {
        let _ = writeln!(out, "Turned off by \\fB\\-\\-{}\\fR.", escape(negation));
    }
    let value = |classic| default_value::of(row, classic).filter(|v| !v.is_empty());
    if let (Some(own), classic) = (value(false), value(true)) {
        let own = escape(&own);
        let _ = match classic.filter(|c| escape(c) != own) {
            Some(classic) => writeln!(out, "Default: {own} (classic\\-defaults: {}).", escape(&classic)),
            None => writeln!(out, "Default: {own}."),
        };
    }
    if row.is_later() {
        out.push_str("The value is kept; nothing uses it in this version.\n");
    }
}

fn head(out: &mut String, short: Option<char>, names: &[&str], arg: ArgKind) {
    let value = match arg {
        ArgKind::No => "",
        ArgKind::Required => " \\fIVALUE\\fR",
        ArgKind::Optional => "[=\\fIVALUE\\fR]",
    };
    let letter = short.map(|s| format!("\\fB\\-{s}\\fR"));
    let names = names.iter().map(|n| format!("\\fB\\-\\-{}\\fR", escape(n)));
    let all: Vec<String> = letter.into_iter().chain(names).collect();
    let _ = writeln!(out, ".TP\n{}{value}", all.join(", "));
}

fn sentence(help: &str) -> String {
    let mut chars = help.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    let text: String = first.into_iter().chain(chars).collect();
    let text = escape(&text);
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}."),
        false => format!("{text}."),
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_option_and_no_stray_control_line() {
        let page = page(&[]);
        for row in table::rows() {
            assert!(page.contains(&escape(row.name)), "{}", row.name);
        }
        for line in page.lines().filter(|l| l.starts_with(['.', '\''])) {
            let word = line.split(' ').next().unwrap();
            assert!(
                [".TH", ".SH", ".SS", ".TP", ".B", ".I", ".BR", ".PP"].contains(&word),
                "{line}"
            );
        }
    }
}
