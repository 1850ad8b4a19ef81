//! rsgi(1): every option by subject, from the table.

use super::roff::{self, escape};
use crate::options::{ArgKind, OptionSpec, PluginOption, default_value, table};
use std::fmt::Write;

/// The page.
pub fn page(plugins: &[PluginOption]) -> String {
    let mut out = roff::title("RSGI", 1, "User Commands");
    out += ".SH NAME\nrsgi \\- application server that runs plugins and configurations of uWSGI\n";
    out += ".SH SYNOPSIS\n.B rsgi\n[\\fIOPTION\\fR]... [\\fIFILE\\fR]...\n.PP\n.B rsgi top\n\\fIADDRESS\\fR\n";
    out += ".SH DESCRIPTION\nEvery option may stand on the command line, in a configuration file\n";
    out += ".RB ( rsgi.ini (5))\nas a line\n.I name = value\nand in the environment as\n.BR RSGI_NAME .\n";
    out += "A flag is turned off by the values false, no, off and 0.\nThe last of several values counts.\n";
    out += ".PP\nCalled by a name\n.BI uwsgi_ NAME\n(a link), it loads the plugin\n.IR NAME ,\nas uWSGI does.\n";
    list(&mut out, "EXAMPLES", EXAMPLES);
    list(&mut out, "SIGNALS", SIGNALS);
    out += ".SH OPTIONS\n";
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
        out += &sentence(&option.help);
    }
    out += ".SH EXIT STATUS\n0 after a stop, 1 when the configuration or a socket is wrong,\n22 when need\\-app found no application,\n3 or 4 when no worker could ever start.\n";
    out += ".SH SEE ALSO\n.BR rsgi.ini (5),\n.BR rsgi\\-plugin (7),\n.BR uwsgiconfig (1)\n";
    out
}

/// What somebody in a hurry looks for, before two thousand lines of options.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "rsgi --http :8080 --module app:application --processes 4",
        "Serves a Python application over HTTP.",
    ),
    ("rsgi site.ini", "Serves what a file says."),
    (
        "rsgi --check-config site.ini",
        "Says every mistake of the file, with its line, and what differs from uWSGI.",
    ),
    (
        "rsgi --help socket",
        "The options about a word; rsgi --explain NAME tells all about one.",
    ),
    ("rsgi top site.ini", "Watches the server of a file that has stats."),
    (
        "rsgi --reload site.pid",
        "Reloads the server whose safe-pidfile that is; rsgi --stop site.pid stops it.",
    ),
];

/// What the master does at a signal.
const SIGNALS: &[(&str, &str)] = &[
    (
        "HUP",
        "Reload: new workers are ready before the old ones leave; what cannot start changes nothing.",
    ),
    (
        "USR2",
        "The same, with the binary that lies under the server's name now.",
    ),
    ("TERM", "Stop gracefully: what was accepted is served."),
    ("INT, QUIT", "Stop now."),
    ("TSTP", "Hold still, or go on."),
    ("TTIN, TTOU", "One worker more, one less, with cheaper."),
    ("USR1", "Configuration and figures into the log."),
];

fn list(out: &mut String, title: &str, entries: &[(&str, &str)]) {
    let _ = writeln!(out, ".SH {title}");
    for (head, text) in entries {
        let _ = write!(out, ".TP\n.B {}\n{}", escape(head), roff::line(text));
    }
}

fn entry(out: &mut String, row: &OptionSpec) {
    let names: Vec<&str> = row.names().filter(|n| Some(*n) != row.negation).collect();
    head(out, row.short, &names, row.arg);
    *out += &sentence(row.help);
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
    roff::line(&(text + "."))
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
                [
                    ".TH", ".ad", ".nh", ".SH", ".SS", ".TP", ".B", ".BI", ".I", ".IR", ".BR", ".RB", ".PP"
                ]
                .contains(&word),
                "{line}"
            );
        }
    }
}
