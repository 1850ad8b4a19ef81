//! No option is silently without effect: what a row sets is read somewhere in the host, or the row says "later".

use super::*;
use crate::settings::Settings;
use std::collections::BTreeMap;
use std::path::Path;

/// Values of which every form of `Parsed` takes one.
const SAMPLES: [&str; 14] = [
    "x",
    ":80",
    "660",
    "1",
    "X: y",
    "/a=b",
    "A=1",
    "a:b",
    "1:2",
    "1 2",
    "/f 3",
    "sendfile",
    "http",
    "-1 -1 -1 -1 -1 c",
];

/// Nothing in the host acts on these; their fields are shown to C plugins or share their name with something else.
const PUBLISHED_ONLY: [&str; 5] = ["async", "loop", "cap", "stats-push", "write-errors-exception-only"];

/// `section.field` → text, read from the pretty debug form.
fn fields(settings: &Settings) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let (mut section, mut field) = (String::new(), String::new());
    for line in format!("{settings:#?}").lines() {
        let indent = line.len() - line.trim_start().len();
        let name = line.trim().split(':').next().unwrap_or("");
        match indent {
            4 if !line.trim().starts_with(['}', ']']) => (section, field) = (name.to_owned(), String::new()),
            8 if !line.trim().starts_with(['}', ']']) => field = name.to_owned(),
            _ => {}
        }
        let key = if field.is_empty() {
            section.clone()
        } else {
            field.clone()
        };
        *found.entry(format!("{section}.{key}")).or_default() += line;
    }
    found
}

/// Applies the row to both sets of defaults and gives the names of the fields that changed.
fn changed(row: &OptionSpec) -> Vec<String> {
    let mut names = Vec::new();
    let mut attempt = |apply: &dyn Fn(&mut Settings) -> bool| {
        for classic in [false, true] {
            let before = fields(&Settings::with_defaults(classic));
            let mut settings = Settings::with_defaults(classic);
            if apply(&mut settings) {
                let after = fields(&settings);
                let differs = after.iter().filter(|(key, text)| before.get(*key) != Some(*text));
                names.extend(differs.map(|(key, _)| key.rsplit('.').next().unwrap_or(key).to_owned()));
            }
        }
        !names.is_empty()
    };
    match row.apply {
        Apply::Flag(set) => {
            let _ = attempt(&|s| {
                set(s, true);
                true
            }) || attempt(&|s| {
                set(s, false);
                true
            });
        }
        Apply::Number { set, min, max } => {
            let _ = attempt(&|s| {
                set(s, 77.clamp(min, max));
                true
            });
        }
        Apply::Text(set) | Apply::Path(set) => {
            let _ = attempt(&|s| {
                set(s, "x y");
                true
            });
        }
        Apply::Optional(set) => {
            let _ = attempt(&|s| {
                set(s, Some("x"));
                true
            });
        }
        Apply::Parsed(set) => {
            let _ = SAMPLES.iter().any(|v| attempt(&|s| set(s, v).is_ok()));
        }
        Apply::Named(set) => {
            let _ = SAMPLES.iter().any(|v| {
                attempt(&|s| {
                    set(s, row.name, v);
                    true
                })
            });
        }
        Apply::OptionalParsed(set) => {
            let _ = SAMPLES.iter().any(|v| attempt(&|s| set(s, Some(v)).is_ok()));
        }
        _ => {}
    }
    names.sort();
    names.dedup();
    names
}

/// All sources of the host but those that only fill the settings.
fn host_sources(folder: &Path, out: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let name = entry.file_name().into_string().unwrap();
        if path.is_dir() {
            if !["config", "options", "settings"].contains(&name.as_str()) {
                host_sources(&path, out);
            }
        } else if name.ends_with(".rs") {
            out.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_option_has_an_effect_or_says_that_it_comes_later() {
    let mut sources = String::new();
    host_sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut sources);
    // read while the options are applied
    let is_read =
        |field: &String| ["strict", "autoload"].contains(&field.as_str()) || sources.contains(&format!(".{field}"));
    let mut silent = Vec::new();
    let mut premature = Vec::new();
    for row in table::rows() {
        let fields = changed(row);
        match (fields.is_empty(), fields.iter().any(is_read)) {
            (false, false) if !row.is_later() => silent.push(row.name),
            (false, true) if row.later => premature.push(row.name),
            _ => {}
        }
    }
    assert!(
        silent.is_empty(),
        "nothing reads what these set; mark them .later(): {}",
        silent.join(" ")
    );
    premature.retain(|name| !PUBLISHED_ONLY.contains(name));
    assert!(
        premature.is_empty(),
        "something reads what these set; take .later() away: {}",
        premature.join(" ")
    );
}
