//! Pages of the documentation in Markdown: all options, the C API, what is refused.

use super::header;
use crate::options::{ArgKind, PluginOption, default_value, table};
use std::fmt::Write;

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ")
}

/// Every option by subject.
pub fn options(plugins: &[PluginOption]) -> String {
    let mut out = String::from(
        "# Options\n\nEach is also a line of a configuration file (`name = value`) and a variable `RSGI_NAME`. `rsgi --explain NAME`\n\
         says more about one.\n",
    );
    for group in table::GROUPS {
        let _ = write!(
            out,
            "\n## {}\n\n| option | what | default |\n|---|---|---|\n",
            group.title
        );
        for row in group.rows {
            let mut names: Vec<String> = row.short.iter().map(|s| format!("`-{s}`")).collect();
            names.extend(row.names().map(|name| format!("`{name}`")));
            let default = default_value::of(row, false).filter(|v| !v.is_empty());
            let later = if row.is_later() { " (not in this version)" } else { "" };
            let _ = writeln!(
                out,
                "| {}{} | {}{later} | {} |",
                names.join(", "),
                value(row.arg),
                cell(row.help),
                default.map_or(String::new(), |v| format!("`{}`", cell(&v)))
            );
        }
    }
    let mut owner = "";
    for option in plugins {
        if option.plugin != owner {
            owner = &option.plugin;
            let _ = write!(out, "\n## Plugin {owner}\n\n| option | what |\n|---|---|\n");
        }
        let short = option.short.map_or(String::new(), |s| format!("`-{s}`, "));
        let _ = writeln!(
            out,
            "| {short}`{}`{} | {} |",
            option.name,
            value(option.arg),
            cell(&option.help)
        );
    }
    out
}

fn value(arg: ArgKind) -> &'static str {
    match arg {
        ArgKind::No => "",
        ArgKind::Required => " VALUE",
        ArgKind::Optional => " \\[VALUE\\]",
    }
}

/// The C API, section by section.
pub fn api() -> String {
    let mut out = String::from(
        "# The C API\n\nWhat `uwsgi.h` declares. Notes in brackets say where a function may be called: `[master]` the first process before\n\
         any worker exists, `[worker]` a worker, mule or spooler after its fork, `[gateway]`, `[core N]` a thread of requests,\n\
         `[request]` inside of the request hook, `[any]`.\n",
    );
    for section in header::sections(rsgi_plugin_api::HEADER) {
        let _ = write!(out, "\n## {}\n", section.title);
        if !section.text.is_empty() {
            let _ = write!(out, "\n{}\n", section.text.replace('<', "&lt;"));
        }
        for item in &section.items {
            let _ = write!(out, "\n```c\n{}\n```\n", item.code);
            if !item.text.is_empty() {
                let _ = write!(out, "\n{}\n", item.text.replace('<', "&lt;"));
            }
        }
    }
    out
}

/// Options of uWSGI that are refused, with the reason and what to do.
pub fn refused() -> String {
    let mut out = String::from("# Refused options\n\n| option | why | instead |\n|---|---|---|\n");
    for (names, refusal) in table::refused::all() {
        let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
        let (why, instead) = (cell(refusal.reason), cell(refusal.instead));
        let _ = writeln!(out, "| {} | {why} | {instead} |", names.join(" "));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_everything() {
        let (options, refused) = (options(&[]), refused());
        for name in table::names() {
            assert!(options.contains(&format!("`{name}`")), "{name}");
        }
        for name in ["legion", "fastrouter", "zergpool"] {
            assert!(refused.contains(&format!("`{name}`")), "{name}");
        }
        assert!(api().contains("```c\nvoid uwsgi_log(const char *format, ...);\n```\n\nprintf-like\n"));
    }
}
