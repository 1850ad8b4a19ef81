//! Options from the environment: `UWSGI_PROCESSES=4` and `RSGI_PROCESSES=4` are `processes = 4`.

use crate::config::{Directive, Environment, Origin};
use std::sync::Arc;

/// Variables of this prefix pass state between images of the server and are no options.
pub const INTERNAL_PREFIX: &str = "RSGI_INTERNAL_";

/// Variables that uWSGI and rsgi set or read for other purposes.
const NOT_OPTIONS: [&str; 14] = [
    "UWSGI_RELOADS",
    "UWSGI_VASSALS",
    "UWSGI_VASSAL",
    "UWSGI_EMPEROR_FD",
    "UWSGI_EMPEROR_FD_CONFIG",
    "UWSGI_EMPEROR_PROXY",
    "UWSGI_BROODLORD_NUM",
    "UWSGI_JAIL_PID",
    "UWSGI_ORIGINAL_PROC_NAME",
    "UWSGI_FORK_SERVER",
    "UWSGI_FORK_SOCKET",
    "RSGI_LOG",
    "RSGI_HANDOVER",
    "RSGI_TRIAL",
];

fn is_internal(name: &str) -> bool {
    let classic = || name.strip_prefix("RSGI_").map(|rest| format!("UWSGI_{rest}"));
    name.starts_with(INTERNAL_PREFIX)
        || NOT_OPTIONS.contains(&name)
        || classic().is_some_and(|name| NOT_OPTIONS.contains(&name.as_str()))
}

/// The directives of the environment, ordered by name; rsgi's own names come after uWSGI's, so that they win.
pub fn directives(environment: &Environment) -> Vec<Directive> {
    let mut found: Vec<(bool, &str, &str, &str)> = environment
        .iter()
        .filter(|(name, _)| !is_internal(name))
        .filter(|(name, _)| crate::emperor::spawn::for_vassals(name).is_none())
        .filter_map(|(name, value)| {
            let (own, option) = match name.strip_prefix("UWSGI_") {
                Some(option) => (false, option),
                None => (true, name.strip_prefix("RSGI_")?),
            };
            // both name the same option: rsgi's own counts, also where values would add up
            if !own && environment.contains_key(&format!("RSGI_{option}")) {
                return None;
            }
            (!option.is_empty()).then_some((own, name.as_str(), option, value.as_str()))
        })
        .collect();
    found.sort_unstable();
    let make = |(_, name, option, value): (bool, &str, &str, &str)| {
        let key = option.to_ascii_lowercase().replace('_', "-");
        Directive::new(key, value, Origin::Environment(Arc::from(name)))
    };
    found.into_iter().map(make).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_options_and_internal_ones_do_not() {
        let pairs = [
            ("UWSGI_MAX_FD", "1"),
            ("RSGI_PROCESSES", "2"),
            ("UWSGI_PROCESSES", "3"),
            ("UWSGI_RELOADS", "1"),
            ("UWSGI_VASSAL_THREADS", "4"),
            ("RSGI_INTERNAL_STATE", "x"),
            ("RSGI_RELOADS", "1"),
            ("RSGI_LOG", "debug"),
            ("UWSGI_", "x"),
            ("HOME", "/"),
        ];
        let environment = pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let found: Vec<_> = directives(&environment)
            .into_iter()
            .map(|d| format!("{}={}", d.key, d.text()))
            .collect();
        assert_eq!(found, ["max-fd=1", "processes=2"]);
    }
}
