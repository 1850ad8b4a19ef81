//! The option table, one file per subject. A new option is one row in one of them.

mod apps;
mod background;
pub mod changes;
mod config;
mod emperor;
pub mod examples;
mod hooks;
mod http;
mod limits;
mod logging;
pub mod owners;
mod paths;
mod plugins;
mod privileges;
mod processes;
pub mod refused;
mod reload;
mod routing;
mod scaling;
mod sockets;
mod statics;
mod stats;
mod storage;
mod subscriptions;
mod values;

use super::spec::{Group, OptionSpec};
use std::collections::HashMap;
use std::sync::OnceLock;

/// All groups in the order of `--help`.
pub static GROUPS: &[&Group] = &[
    &config::GROUP,
    &sockets::GROUP,
    &processes::GROUP,
    &apps::GROUP,
    &plugins::GROUP,
    &http::GROUP,
    &limits::GROUP,
    &reload::GROUP,
    &scaling::GROUP,
    &logging::GROUP,
    &paths::GROUP,
    &privileges::GROUP,
    &hooks::GROUP,
    &statics::GROUP,
    &background::GROUP,
    &emperor::GROUP,
    &stats::GROUP,
    &subscriptions::GROUP,
    &routing::GROUP,
    &storage::GROUP,
];

/// All rows.
pub fn rows() -> impl Iterator<Item = &'static OptionSpec> {
    GROUPS.iter().flat_map(|group| group.rows)
}

/// All names: main ones, aliases and negations.
pub fn names<'a>() -> impl Iterator<Item = &'a str> {
    rows().flat_map(|row| row.names()).map(|name| name as &'a str)
}

/// The row of a name, an alias or a negation.
pub fn find(name: &str) -> Option<&'static OptionSpec> {
    static INDEX: OnceLock<HashMap<&'static str, &'static OptionSpec>> = OnceLock::new();
    let index = INDEX.get_or_init(|| {
        rows()
            .flat_map(|row| row.names().map(move |name| (name, row)))
            .collect()
    });
    index.get(name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_and_letters_are_unique() {
        let mut names = HashSet::new();
        let mut letters = HashSet::new();
        for row in rows() {
            for name in row.names() {
                assert!(names.insert(name), "{name} stands twice");
                assert!(refused::find(name).is_none(), "{name} is refused and known");
            }
            assert!(
                row.short.is_none_or(|s| letters.insert(s)),
                "-{:?} stands twice",
                row.short
            );
        }
    }

    #[test]
    fn helps_are_one_short_line() {
        for row in rows() {
            assert!(
                !row.help.is_empty() && row.help.len() < 100 && !row.help.contains('\n'),
                "{}",
                row.name
            );
            assert!(!row.help.ends_with('.'), "{}", row.name);
        }
    }
}
