//! Resolves the values of all directives, once they are all known: the first definition of a name counts.

use crate::config::{Directive, Environment, Names, Resolved, resolve};
use std::collections::HashMap;

/// What placeholders and variables mean while options are applied.
pub struct Values<'a> {
    directives: &'a [Directive],
    first: HashMap<&'a str, usize>,
    environment: &'a Environment,
    /// `env` options applied so far.
    overlay: Environment,
    /// Placeholders that plugins define.
    defined: HashMap<String, String>,
}

impl<'a> Values<'a> {
    /// Of these directives.
    pub fn new(directives: &'a [Directive], environment: &'a Environment) -> Self {
        let mut first = HashMap::new();
        for (index, directive) in directives.iter().enumerate() {
            first.entry(directive.key.as_str()).or_insert(index);
        }
        Self {
            directives,
            first,
            environment,
            overlay: Environment::new(),
            defined: HashMap::new(),
        }
    }

    /// The text of a value.
    pub fn resolve(&self, value: &str) -> Result<Resolved, String> {
        match value.contains(['%', '$', '@']) {
            true => resolve(value, self),
            false => Ok(Resolved {
                text: value.to_owned(),
                ..Resolved::default()
            }),
        }
    }

    /// A placeholder for later values, unless the configuration has it.
    pub fn define(&mut self, name: &str, value: &str) {
        self.defined.insert(name.to_owned(), value.to_owned());
    }

    /// `env = NAME=value`: later values see it unless the process has the variable itself.
    pub fn set_variable(&mut self, value: &str) {
        if let Some((name, value)) = value.split_once('=') {
            self.overlay.insert(name.trim().to_owned(), value.to_owned());
        }
    }
}

impl Names for Values<'_> {
    fn placeholder(&self, name: &str) -> Option<String> {
        let Some(first) = self.first.get(name) else {
            return self.defined.get(name).cloned();
        };
        let directive = &self.directives[*first];
        Some(directive.value.clone().unwrap_or_else(|| "true".to_owned()))
    }
    fn variable(&self, name: &str) -> Option<String> {
        self.environment.get(name).or_else(|| self.overlay.get(name)).cloned()
    }
}
