//! `--plugin-info FILE`: what a plugin is, has and needs, read from the file with nothing of it executed.

use super::elf::{Details, PluginFile};
use super::loader::LoadError;
use super::{registry, search};
use rsgi_plugin_api::abi::{AbiStamp, NO_ARGUMENT, OPTIONAL_ARGUMENT};
use std::collections::HashSet;
use std::fmt::Write;
use std::path::Path;
use std::sync::LazyLock;

/// The functions of this server.
static EXPORTS: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("../../exports.txt").lines().map(str::trim).collect());

/// What a plugin is by the hooks that it has.
const BY_HOOK: &[(&str, &str)] = &[
    ("worker", "worker loop"),
    ("hijack_worker", "worker loop"),
    ("mule", "mule"),
    ("mule_msg", "mule"),
    ("spooler", "spooler"),
    ("jail", "jail"),
    ("vassal", "emperor"),
];

/// What it is by the functions that it calls.
const BY_CALL: &[(&str, &str)] = &[
    ("register_gateway", "gateway"),
    ("rsgi_events_begin", "event loop"),
    ("uwsgi_register_alarm", "alarm"),
    ("uwsgi_register_cheaper_algo", "cheaper algorithm"),
    ("uwsgi_register_clock", "clock"),
    ("uwsgi_register_exception_handler", "exception handler"),
    ("uwsgi_register_hook", "hook action"),
    ("uwsgi_register_imperial_monitor", "emperor monitor"),
    ("uwsgi_register_log_encoder", "log encoder"),
    ("uwsgi_register_logchunk", "log variable"),
    ("uwsgi_register_logger", "logger"),
    ("uwsgi_register_loop", "loop engine"),
    ("uwsgi_register_metric_collector", "metric collector"),
    ("uwsgi_register_protocol", "protocol"),
    ("uwsgi_register_route_condition", "routing condition"),
    ("uwsgi_register_route_var", "routing variable"),
    ("uwsgi_register_router", "routing action"),
    ("uwsgi_register_rpc", "procedures"),
    ("uwsgi_register_stats_pusher", "stats pusher"),
    ("uwsgi_add_transformation", "transformation"),
];

/// The text about a plugin, given by name or path.
///
/// # Errors
/// There is none, or it cannot be loaded here; one line.
pub fn text(name: &str) -> Result<String, LoadError> {
    let folders = registry::registry().folders().to_vec();
    let found = search::find(name, &folders);
    let path = found.unwrap_or_else(|| name.into());
    let (file, details) = PluginFile::inspect(&path)?;
    Ok(describe(&path, &file, &details))
}

/// Functions of the server that the plugin wants and this server lacks.
fn lacking(details: &Details) -> Vec<&str> {
    let names = details.imports.iter().map(String::as_str);
    // what has other names comes from libraries, as far as the dynamic linker is concerned
    names
        .filter(|name| (name.starts_with("uwsgi") || name.starts_with("rsgi_")) && !EXPORTS.contains(name))
        .collect()
}

fn kinds(details: &Details) -> String {
    let mut kinds = Vec::new();
    if details.hooks.contains(&"request") {
        kinds.push(format!("request (modifier1 {})", details.modifier1));
    }
    let by_hook = BY_HOOK.iter().filter(|(hook, _)| details.hooks.contains(hook));
    let by_call = BY_CALL
        .iter()
        .filter(|(call, _)| details.imports.iter().any(|i| i == call));
    for (_, kind) in by_hook.chain(by_call) {
        if !kinds.iter().any(|known| known == kind) {
            kinds.push((*kind).to_owned());
        }
    }
    if kinds.is_empty() {
        "generic".into()
    } else {
        kinds.join(", ")
    }
}

fn list(words: &[impl AsRef<str>]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    if words.is_empty() {
        "none".into()
    } else {
        words.join(" ")
    }
}

fn describe(path: &Path, file: &PluginFile, details: &Details) -> String {
    let stamp = |s: &AbiStamp| {
        format!(
            "{}.{} (plugin {}, server {} bytes)",
            s.major, s.minor, s.plugin_size, s.server_size
        )
    };
    let mut text = String::new();
    let mut line = |what: &str, value: &str| {
        let _ = writeln!(text, "  {what:<11}{value}");
    };
    line("name", file.name.as_deref().unwrap_or("not constant"));
    line("kind", &kinds(details));
    line(
        "written in",
        if details.is_rust {
            "Rust, with rsgi-plugin-api"
        } else {
            "C, or by C's rules"
        },
    );
    line("entry", &file.entry);
    line("stamp", &stamp(&details.stamp));
    line("this rsgi", &stamp(&AbiStamp::CURRENT));
    line("hooks", &list(&details.hooks));
    line("requires", &list(&file.requires));
    line("libraries", &list(&details.libraries));
    let calls: Vec<&String> = details
        .imports
        .iter()
        .filter(|name| EXPORTS.contains(name.as_str()))
        .collect();
    line("calls", &list(&calls));
    let lacking = lacking(details);
    line(
        "verdict",
        &match (
            lacking.is_empty(),
            details.stamp.plugin_size > AbiStamp::CURRENT.plugin_size,
        ) {
            (false, _) => format!("cannot be loaded: this rsgi has no {}", lacking.join(", ")),
            (true, true) => "can be loaded; made for a newer rsgi, whose hooks stay unused".into(),
            (true, false) => "can be loaded".into(),
        },
    );
    line("options", if file.options.is_empty() { "none" } else { "" });
    for option in &file.options {
        let value = match option.kind {
            NO_ARGUMENT => "",
            OPTIONAL_ARGUMENT => "[=VALUE]",
            _ => " VALUE",
        };
        let _ = writeln!(text, "    --{:<34}{}", format!("{}{value}", option.name), option.help);
    }
    // a heading without a value ends with spaces otherwise
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    format!("{}\n{}", path.display(), lines.join("\n"))
}
