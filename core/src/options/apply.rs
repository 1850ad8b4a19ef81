//! Gives directives their meaning one by one: core option, plugin option, placeholder, or a mistake.

use super::parse::{self, without_comment};
use super::plugin_host::{PluginHost, PluginOption};
use super::resolve::Values;
use super::spec::{Apply, ArgKind, OptionSpec};
use super::{by_plugin, defaults, suggestion, table};
use crate::config::{Collected, Directive, Environment, Origin};
use crate::settings::Settings;
use rsgi_plugin_api::abi::{
    UWSGI_OPT_LAZY, UWSGI_OPT_LOG_MASTER, UWSGI_OPT_MASTER, UWSGI_OPT_MEMORY, UWSGI_OPT_METRICS,
    UWSGI_OPT_POST_BUFFERING, UWSGI_OPT_THREADS,
};
use std::collections::HashSet;

/// Bytes of a body in memory when an option of a plugin asks for post-buffering and nobody says how much (uWSGI: 4096).
const POST_BUFFERING: u64 = 4096;

/// The settings under construction.
pub struct Applier<'a> {
    collected: &'a Collected,
    values: Values<'a>,
    host: &'a mut dyn PluginHost,
    settings: Settings,
    problems: Vec<String>,
    /// The option that wants the master, if one does.
    master_for: Option<String>,
    /// What is said once: options without effect, files with comments behind values.
    said: HashSet<String>,
}

impl<'a> Applier<'a> {
    /// Starts from the defaults.
    pub fn new(
        collected: &'a Collected,
        environment: &'a Environment,
        host: &'a mut dyn PluginHost,
        settings: Settings,
    ) -> Self {
        Self {
            collected,
            values: Values::new(&collected.directives, environment),
            host,
            settings,
            problems: Vec::new(),
            master_for: None,
            said: HashSet::new(),
        }
    }

    /// The settings and everything that is wrong with them.
    pub fn finish(mut self) -> (Settings, Vec<String>) {
        if let Some(option) = self.master_for.filter(|_| !self.settings.processes.master) {
            if !self.settings.classic {
                self.host.say(&format!("{option} needs the master: it is turned on"));
            }
            self.settings.processes.master = true;
        }
        let host = self.host;
        self.problems.extend(self.settings.validate(&mut |line| host.say(line)));
        (self.settings, self.problems)
    }

    /// What the plugins make of their options: defaults for others, below what the user says.
    pub fn defaults(&mut self) {
        if !self.problems.is_empty() {
            return;
        }
        match defaults::gather(self.collected.directives.iter(), self.host) {
            Ok(directives) => directives.iter().for_each(|d| self.directive(d)),
            Err(error) => self.problems.push(error.to_string()),
        }
    }

    /// One directive.
    pub fn directive(&mut self, directive: &Directive) {
        let row = table::find(&directive.key);
        let Some(value) = self.resolved(directive, row) else {
            return;
        };
        let value = value.as_deref();
        self.settings
            .exported
            .push((directive.key.clone(), value.map(str::to_owned)));
        self.settings.origins.push(directive.origin.clone());
        let outcome = match row {
            Some(row) => self.known(row, directive, value),
            None => self.foreign(directive, value),
        };
        if let Err(reason) = outcome {
            self.wrong(directive, &reason);
        }
    }

    /// The value with everything resolved; `None` when that is impossible (reported).
    fn resolved(&mut self, directive: &Directive, row: Option<&OptionSpec>) -> Option<Option<String>> {
        let Some(value) = &directive.value else {
            return Some(None);
        };
        // definitions are resolved where they are used
        if row.is_some_and(|row| matches!(row.apply, Apply::Reader) && row.name != "print") {
            return Some(Some(value.clone()));
        }
        let has_own_signs = row.is_some_and(|row| row.template);
        match self.values.resolve(value) {
            Ok(resolved) => {
                for name in resolved.unknown.iter().filter(|_| !has_own_signs) {
                    let (place, key) = (&directive.origin, &directive.key);
                    self.host.say(&format!(
                        "{place}: {key}: unknown placeholder %({name}): it stays as it is"
                    ));
                }
                for expression in &resolved.ambiguous {
                    let (place, key) = (&directive.origin, &directive.key);
                    self.host.say(&format!(
                        "{place}: {key}: {expression} is computed from left to right: write parentheses to make it clear"
                    ));
                }
                Some(Some(resolved.text))
            }
            Err(_) if has_own_signs => Some(Some(value.clone())),
            Err(reason) => {
                self.wrong(directive, &reason);
                None
            }
        }
    }

    /// An option of the core. A plugin that declares the same one was written for a server without it, and hears of it too.
    fn known(&mut self, row: &OptionSpec, directive: &Directive, value: Option<&str>) -> Result<(), String> {
        let shared = self.plugin_option(&directive.key);
        if shared.is_none() || !(row.is_later() || matches!(row.apply, Apply::NoEffect(_))) {
            self.core(row, directive, value)?;
        }
        match shared {
            Some(option) => self.plugin(&option, directive, value),
            None => Ok(()),
        }
    }

    fn core(&mut self, row: &OptionSpec, directive: &Directive, value: Option<&str>) -> Result<(), String> {
        let is_empty_variable = matches!(directive.origin, Origin::Environment(_)) && value == Some("");
        if is_empty_variable && row.arg == ArgKind::Required {
            return Ok(());
        }
        if row.is_later() {
            self.say_once(
                directive,
                "its subsystem is not in this version; the option has no effect",
            );
        }
        if row.needs_master && !self.is_off(row, value) {
            self.master_for.get_or_insert_with(|| directive.key.clone());
        }
        let sockets = (self.settings.sockets.bind.len(), self.settings.sockets.shared.len());
        self.set(row, directive, value)?;
        for socket in &mut self.settings.sockets.bind[sockets.0..] {
            socket.origin = directive.origin.clone();
        }
        for socket in &mut self.settings.sockets.shared[sockets.1..] {
            socket.origin = directive.origin.clone();
        }
        Ok(())
    }

    fn set(&mut self, row: &OptionSpec, directive: &Directive, value: Option<&str>) -> Result<(), String> {
        match row.apply {
            Apply::Flag(set) => {
                let on = self.switch(directive, value) != (Some(directive.key.as_str()) == row.negation);
                set(&mut self.settings, on);
            }
            Apply::Number { set, min, max } => {
                let text = self.without_comment(directive, needed(value)?);
                set(&mut self.settings, parse::number(text, min, max)?);
            }
            Apply::Text(set) => set(&mut self.settings, needed(value)?),
            Apply::Path(set) => {
                let text = self.without_comment(directive, needed(value)?);
                set(&mut self.settings, text);
            }
            Apply::Optional(set) => set(&mut self.settings, value),
            Apply::Parsed(set) => {
                let text = match row.verbatim {
                    true => needed(value)?,
                    false => self.without_comment(directive, needed(value)?),
                };
                if row.name == "env" {
                    self.values.set_variable(text);
                }
                set(&mut self.settings, text)?;
            }
            Apply::Named(set) => set(&mut self.settings, &directive.key, needed(value)?),
            Apply::OptionalParsed(set) => {
                let value = value.map(|value| self.without_comment(directive, value));
                set(&mut self.settings, value)?;
            }
            Apply::Reader => match row.name {
                "print" => self.host.say(value.unwrap_or("")),
                "plugin" | "need-plugin" => self.settings.plugins.loaded.push(value.unwrap_or("").to_owned()),
                "plugins-dir" => self.settings.plugins.directories.push(value.unwrap_or("").to_owned()),
                _ => {}
            },
            Apply::Later => {
                if row.arg == ArgKind::Required {
                    needed(value)?;
                }
            }
            Apply::NoEffect(why) => self.say_once(directive, why),
            // taken up when everything is known
            Apply::Command(_) => {}
        }
        Ok(())
    }

    fn is_off(&self, row: &OptionSpec, value: Option<&str>) -> bool {
        match row.apply {
            Apply::Flag(_) => value.is_some_and(|v| parse::boolean(without_comment(v).value) == Some(false)),
            Apply::Number { .. } => value == Some("0"),
            _ => false,
        }
    }

    fn switch(&mut self, directive: &Directive, value: Option<&str>) -> bool {
        let Some(value) = value else {
            return true;
        };
        let text = self.without_comment(directive, value);
        parse::boolean(text).unwrap_or_else(|| {
            let (place, key) = (&directive.origin, &directive.key);
            self.host.say(&format!(
                "{place}: {key}: \"{text}\" is neither true nor false: taken as true"
            ));
            true
        })
    }

    /// The value alone, if somebody wrote a comment behind it.
    fn without_comment<'v>(&mut self, directive: &Directive, value: &'v str) -> &'v str {
        let trimmed = without_comment(value);
        let file = match &directive.origin {
            Origin::File { path, .. } => path.to_string(),
            place => place.to_string(),
        };
        if let Some(comment) = trimmed.comment
            && self.said.insert(format!("comments of {file}"))
        {
            let (place, key) = (&directive.origin, &directive.key);
            self.host.say(&format!(
                "{place}: {key}: \"{comment}\" behind the value is taken as a comment: give comments a line of their own"
            ));
        }
        trimmed.value
    }

    /// A plugin's option gets its value as it is: only the author can know what was meant.
    fn warn_of_comment(&mut self, directive: &Directive, value: Option<&str>) {
        let trimmed = without_comment(value.unwrap_or(""));
        if let Some(comment) = trimmed.comment
            && !trimmed.value.contains(char::is_whitespace)
        {
            let (place, key) = (&directive.origin, &directive.key);
            self.host.say(&format!(
                "{place}: {key}: \"{comment}\" belongs to the value: give a comment a line of its own"
            ));
        }
    }

    /// No option of the core: a plugin's, a placeholder, or a mistake.
    fn foreign(&mut self, directive: &Directive, value: Option<&str>) -> Result<(), String> {
        let key = directive.key.as_str();
        if let Some(option) = self.plugin_option(key) {
            self.warn_of_comment(directive, value);
            return self.plugin(&option, directive, value);
        }
        if self.collected.declared.contains(key) {
            return Ok(());
        }
        if self.settings.autoload
            && let Some(owner) = self.host.owner_of(key)
        {
            self.host
                .load(&owner, true, &directive.origin)
                .map_err(|e| format!("the option belongs to the plugin {owner}, which cannot be loaded: {e}"))?;
            self.warn_of_comment(directive, value);
            return match self.plugin_option(key) {
                Some(option) => self.plugin(&option, directive, value),
                None => Err(format!(
                    "the plugin {owner} does not bring the option that it announces"
                )),
            };
        }
        if let Some(refusal) = table::refused::find(key) {
            return Err(format!("{}; {}", refusal.reason, refusal.instead));
        }
        if let Some(owned) = table::owners::find(key) {
            return self.without_owner(owned.plugin, directive);
        }
        self.unknown(directive);
        Ok(())
    }

    /// An option of a plugin of ours that is not here, or has not got the option yet.
    fn without_owner(&mut self, plugin: &str, directive: &Directive) -> Result<(), String> {
        let is_here = self.host.is_loaded(plugin) || self.host.catalogue().iter().any(|o| o.plugin == plugin);
        if is_here && (self.settings.autoload || self.host.is_loaded(plugin)) {
            let what = format!("the plugin {plugin} does not have it in this version; the option has no effect");
            self.say_once(directive, &what);
            return Ok(());
        }
        if is_here {
            self.unknown(directive);
            return Ok(());
        }
        let why = format!(
            "it belongs to the plugin {plugin}, which is not installed: install rsgi's plugin {plugin}, or name the \
             folder of {plugin}_plugin.so with plugins-dir"
        );
        if let Origin::Environment(_) = directive.origin {
            // a container sets many variables for many programs
            self.say_once(directive, &why);
            return Ok(());
        }
        Err(why)
    }

    fn plugin_option(&self, name: &str) -> Option<PluginOption> {
        self.host.options().into_iter().find(|option| option.name == name)
    }

    fn plugin(&mut self, option: &PluginOption, directive: &Directive, value: Option<&str>) -> Result<(), String> {
        if option.flags & UWSGI_OPT_MASTER != 0 {
            self.master_for.get_or_insert_with(|| option.name.clone());
        }
        let value = match option.arg {
            ArgKind::Required => Some(needed(value)?),
            ArgKind::No if value.and_then(parse::boolean) == Some(false) => return Ok(()),
            _ => value,
        };
        let settings = &mut self.settings;
        for (flag, switch) in [
            (UWSGI_OPT_LOG_MASTER, &mut settings.logging.log_master),
            (UWSGI_OPT_THREADS, &mut settings.processes.enable_threads),
            (UWSGI_OPT_MEMORY, &mut settings.limits.memory_report),
            (UWSGI_OPT_LAZY, &mut settings.apps.lazy_apps),
            (UWSGI_OPT_METRICS, &mut settings.stats.metrics),
        ] {
            *switch |= option.flags & flag != 0;
        }
        if option.flags & UWSGI_OPT_POST_BUFFERING != 0 && settings.limits.post_buffering == 0 {
            settings.limits.post_buffering = POST_BUFFERING;
        }
        self.host
            .apply(option.index, &option.name, value)
            .map_err(|e| e.to_string())?;
        for (key, value) in by_plugin::take() {
            self.by_plugin(key, value, directive);
        }
        Ok(())
    }

    /// An option of the host that a plugin has set while its own was applied.
    fn by_plugin(&mut self, key: String, value: Option<String>, directive: &Directive) {
        let (key, value) = match (key.as_str(), value) {
            ("set-placeholder", Some(definition)) => match definition.split_once('=') {
                Some((name, value)) => {
                    self.values.define(name.trim(), value);
                    let entry = (name.trim().to_owned(), Some(value.to_owned()));
                    return self.settings.exported.push(entry);
                }
                None => return self.wrong(directive, "give NAME=VALUE"),
            },
            (_, value) => (key, value),
        };
        self.directive(&Directive {
            key,
            value,
            origin: directive.origin.clone(),
        });
    }

    fn unknown(&mut self, directive: &Directive) {
        let key = directive.key.as_str();
        let candidates = self.host.options().into_iter().chain(self.host.catalogue());
        let names: Vec<String> = candidates.map(|option| option.name).collect();
        let absent = table::owners::all().map(|owned| owned.name);
        let near = suggestion(
            key,
            table::names().chain(names.iter().map(String::as_str)).chain(absent),
        );
        let hint = match (self.host.owner_of(key), near) {
            (Some(owner), _) => format!(": it belongs to the plugin {owner}, which is not loaded"),
            (None, Some(near)) => format!(": did you mean \"{near}\"?"),
            (None, None) => String::new(),
        };
        let place = &directive.origin;
        if place.is_command_line() {
            return self.problems.push(format!("unrecognized option '--{key}'{hint}"));
        }
        let from_environment = matches!(place, Origin::Environment(_));
        if self.settings.strict && !from_environment {
            let text = format!("[strict-mode] unknown config directive: {key} ({place}){hint}");
            return self.problems.push(text);
        }
        // a container sets many variables: only a likely slip is worth a line
        if self.collected.uses(key) || (from_environment && near.is_none()) {
            return;
        }
        let hint = match hint.is_empty() {
            true => ": it has no effect",
            false => &hint,
        };
        self.host.say(&format!("{place}: unknown option \"{key}\"{hint}"));
    }

    fn say_once(&mut self, directive: &Directive, what: &str) {
        if self.said.insert(directive.key.clone()) {
            let (place, key) = (&directive.origin, &directive.key);
            self.host.say(&format!("option {key} ({place}): {what}"));
        }
    }

    fn wrong(&mut self, directive: &Directive, reason: &str) {
        self.problems.push(match &directive.origin {
            Origin::CommandLine => format!("--{}: {reason}", directive.key),
            place => format!("{place}: {}: {reason}", directive.key),
        });
    }
}

/// The value of an option that needs one.
fn needed(value: Option<&str>) -> Result<&str, String> {
    value.ok_or_else(|| "a value is missing".to_owned())
}
