//! Defaults that plugins add to the configuration in their `configure` hook: what the user says wins over them.
//! Used by the first process between the last directive and the settings.

use super::plugin_host::{PluginError, PluginHost};
use super::table;
use crate::config::{Directive, Origin};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// The time in which plugins may offer defaults.
#[derive(Debug, Default)]
struct Session {
    given: HashSet<String>,
    of_plugins: HashSet<String>,
    /// The values of `env`.
    variables: Vec<String>,
    taken: Vec<Directive>,
}

impl Session {
    fn take(&mut self, name: &str, value: Option<&str>, origin: &str) {
        self.taken.push(Directive {
            key: name.to_owned(),
            value: value.map(str::to_owned),
            origin: Origin::File {
                path: origin.into(),
                line: 0,
            },
        });
    }
}

static SESSION: Mutex<Option<Session>> = Mutex::new(None);

/// One name for an option, its aliases and negations.
fn canonical(name: &str) -> &str {
    table::find(name).map_or(name, |row| row.name)
}

/// Options that take any number of values side by side: a default does not compete with what the user gave.
const ADDITIVE: &[&str] = &["touch-reload", "trusted-proxy", "pythonpath"];

/// A default of a plugin: whether it counts; `None`: there is no such option, or it is not the time for defaults.
pub fn offer(name: &str, value: Option<&str>, unless: &str, origin: &str) -> Option<bool> {
    let mut session = SESSION.lock().unwrap_or_else(PoisonError::into_inner);
    let session = session.as_mut()?;
    if table::find(name).is_none() && !session.of_plugins.contains(name) {
        return None;
    }
    if ADDITIVE.contains(&name) {
        session.take(name, value, origin);
        return Some(true);
    }
    if name == "env" {
        // each variable is a matter of its own
        let variable = |text: &str| text.split('=').next().unwrap_or_default().to_owned();
        let own = variable(value.unwrap_or_default());
        let is_new = !session.variables.iter().any(|given| variable(given) == own);
        if is_new {
            session.take(name, value, origin);
        }
        return Some(is_new);
    }
    let mut others = unless.split(',').map(str::trim).chain([name]);
    if others.any(|other| session.given.contains(canonical(other))) {
        return Some(false);
    }
    session.take(name, value, origin);
    Some(true)
}

/// Lets the plugins offer defaults; those that count.
///
/// # Errors
/// A plugin refused the configuration; it has said why.
pub fn gather<'a>(
    given: impl Iterator<Item = &'a Directive> + Clone,
    host: &mut dyn PluginHost,
) -> Result<Vec<Directive>, PluginError> {
    let session = Session {
        given: given.clone().map(|d| canonical(&d.key).to_owned()).collect(),
        of_plugins: host.options().into_iter().map(|o| o.name).collect(),
        variables: given.filter(|d| d.key == "env").map(|d| d.text().to_owned()).collect(),
        taken: Vec::new(),
    };
    *SESSION.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
    let outcome = host.configure();
    let session = SESSION.lock().unwrap_or_else(PoisonError::into_inner).take();
    outcome.map(|()| session.unwrap_or_default().taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plugins that offer three defaults.
    struct Offering;
    impl PluginHost for Offering {
        fn add_directory(&mut self, _: &str) {}
        fn load(&mut self, _: &str, _: bool, _: &Origin) -> Result<(), PluginError> {
            Ok(())
        }
        fn is_loaded(&self, _: &str) -> bool {
            false
        }
        fn options(&self) -> Vec<super::super::PluginOption> {
            Vec::new()
        }
        fn apply(&mut self, _: usize, _: &str, _: Option<&str>) -> Result<(), PluginError> {
            Ok(())
        }
        fn owner_of(&self, _: &str) -> Option<String> {
            None
        }
        fn catalogue(&self) -> Vec<super::super::PluginOption> {
            Vec::new()
        }
        fn configure(&mut self) -> Result<(), PluginError> {
            assert_eq!(
                offer("workers", Some("7"), "", "conf.py"),
                Some(false),
                "an alias of processes"
            );
            assert_eq!(offer("threads", Some("2"), "", "conf.py"), Some(true));
            assert_eq!(offer("http-socket", Some(":1"), "socket, http", "conf.py"), Some(false));
            assert_eq!(offer("env", Some("A=2"), "", "conf.py"), Some(false));
            assert_eq!(offer("env", Some("B=2"), "", "conf.py"), Some(true));
            assert_eq!(offer("no-such-option", None, "", "conf.py"), None);
            Ok(())
        }
    }

    #[test]
    fn what_the_user_says_wins() {
        let given = [("processes", "1"), ("http", ":80"), ("env", "A=1")]
            .map(|(key, value)| Directive::new(key, value, Origin::CommandLine));
        let taken = gather(given.iter(), &mut Offering).unwrap();
        assert_eq!(taken.len(), 2);
        assert_eq!(taken[1].text(), "B=2");
        assert_eq!((taken[0].key.as_str(), taken[0].text()), ("threads", "2"));
        assert_eq!(taken[0].origin.to_string(), "conf.py");
        assert_eq!(offer("threads", None, "", ""), None, "the time is over");
    }
}
