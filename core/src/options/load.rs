//! From the command line, the environment and the configuration files to the settings, in numbered steps.
//! Every problem is collected; the caller prints them and ends with exit code 1.

use super::apply::Applier;
use super::command::Command;
use super::plugin_host::{PluginHost, PluginOption};
use super::spec::{Apply, OptionSpec};
use super::{environment, explain, help, parse, report, table};
use crate::cli;
use crate::config::{Collected, Dialect, Directive, Environment, Observer, Origin, Reader, read_source};
use crate::manual;
use crate::settings::Settings;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;

/// What the command line asks for.
#[derive(Debug)]
pub enum Startup {
    /// Serve with these settings.
    Run(Box<Settings>),
    /// Print this text to standard output and end with 0.
    Print(String),
    /// The configuration has no mistake (`--check-config`): end with 0.
    Checked,
    /// Do this instead of serving.
    Command(Command),
}

/// Everything that is wrong, one line each (a line feed inside only where uWSGI's log line has one).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    /// In the order of their discovery.
    pub problems: Vec<String>,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

impl std::error::Error for ConfigErrors {}

/// Reads the whole configuration. `arguments` are those behind the program's name.
pub fn load(
    arguments: &[OsString],
    variables: impl IntoIterator<Item = (String, String)>,
    host: &mut dyn PluginHost,
) -> Result<Startup, ConfigErrors> {
    let environment: Environment = variables.into_iter().collect();
    // 1. plugins that the command line names bring options that the command line may use
    let mut plugins = PluginDirectives::new(host);
    let autoload = !mentions(arguments, "--classic-defaults") || mentions(arguments, "--autoload");
    plugins.scan(arguments);
    // 2. the command line
    let known = known_options(plugins.host, autoload, arguments);
    let owner_of = |name: &str| plugins.host.owner_of(name);
    let (typed, mistyped) = cli::parse(arguments, &known, &declared_options(arguments), &owner_of);
    // a check goes on: it says what is wrong in the files too
    if !mistyped.is_empty() && !typed.directives.iter().any(|d| d.key == "check-config") {
        return Err(ConfigErrors { problems: mistyped });
    }
    if let Some(startup) = immediate(&typed, &known)? {
        return Ok(startup);
    }
    // 3. every source in order: environment, command line with its files, bare files, templates
    let mut reader = Reader::new(&mut plugins, &environment);
    reader.run(&environment::directives(&environment));
    reader.run(&typed.directives);
    let mut unclaimed = Vec::new();
    for bare in &typed.bare {
        match bare_argument(bare) {
            Some(directive) => reader.run(&[directive]),
            None => unclaimed.push(bare),
        }
    }
    let collected = reader.finish();
    // 4. the options get their meaning
    let mut problems = mistyped;
    problems.extend(collected.problems.iter().map(ToString::to_string));
    problems.append(&mut plugins.problems);
    if asks_for_check(&collected) {
        problems.append(&mut plugins.missing);
    }
    let host = plugins.host;
    let settings = apply(&collected, &environment, host, &mut problems);
    for name in unclaimed {
        // options first: a plugin judges the file with its own options known
        if !host.magic(name) {
            let error = crate::config::ConfigError::UnknownFormat { name: name.clone() };
            problems.push(error.to_string());
        }
    }
    // 5. the result
    if given(&collected, "show-config") {
        show(&settings, host);
    }
    if asks_for_check(&collected) {
        problems.append(&mut host.preflight(&settings));
        problems.extend(crate::startup::hooks::mistakes(&settings, false));
        for line in report::text(&collected, &settings, host).lines() {
            host.say(line);
        }
    }
    if !problems.is_empty() {
        return Err(ConfigErrors { problems });
    }
    match late_command(&collected, &settings) {
        Some(Startup::Checked) => {
            let is_alone = collected.directives.iter().all(|d| d.key == "check-config");
            host.say(match is_alone {
                true => "there is no configuration to check: rsgi --check-config FILE",
                false => "the configuration has no mistake",
            });
            Ok(Startup::Checked)
        }
        Some(startup) => Ok(startup),
        None => Ok(Startup::Run(Box::new(settings))),
    }
}

/// The options that `--declare-option` makes on the command line itself.
fn declared_options(arguments: &[OsString]) -> Vec<String> {
    let mut names = Vec::new();
    let mut arguments = arguments.iter().filter_map(|a| a.to_str());
    while let Some(argument) = arguments.next() {
        let definition = match argument.strip_prefix("--declare-option") {
            Some("") => arguments.next(),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        };
        names.extend(
            definition
                .and_then(|d| d.split_once('='))
                .map(|(name, _)| name.trim().to_owned()),
        );
    }
    names
}

/// Whether an argument stands on the command line as it is.
fn mentions(arguments: &[OsString], name: &str) -> bool {
    arguments.iter().any(|a| a == name)
}

/// Options of loaded plugins first, then of those on disk, if there is need to look there.
fn known_options(host: &dyn PluginHost, autoload: bool, arguments: &[OsString]) -> Vec<PluginOption> {
    let mut known = host.options();
    if autoload && !arguments.iter().all(|argument| is_plain(argument, &known)) {
        known.extend(host.catalogue());
    }
    let mut seen = std::collections::HashSet::new();
    known.retain(|option| seen.insert(option.name.clone()));
    known
}

/// Whether an argument is understood without the plugins on disk: it is no option, or one of the core or of a loaded
/// plugin by its full name. Commands may show the options of all plugins.
fn is_plain(argument: &OsString, known: &[PluginOption]) -> bool {
    let text = argument.to_string_lossy();
    let is_command = |row: &OptionSpec| matches!(row.apply, Apply::Command(_));
    if let Some(name) = cli::long_name(&text) {
        return match table::find(name) {
            Some(row) => !is_command(row),
            None => known.iter().any(|option| option.name == name),
        };
    }
    match text
        .strip_prefix('-')
        .map(|rest| (rest.chars().next(), rest.chars().count()))
    {
        None | Some((None, _)) => true,
        Some((letter, 1)) => {
            let mut rows = table::rows().filter(|row| row.short == letter);
            rows.next().is_some_and(|row| !is_command(row))
        }
        Some(_) => false,
    }
}

/// Commands that need no configuration; the first one counts.
fn immediate(typed: &cli::CommandLine, plugins: &[PluginOption]) -> Result<Option<Startup>, ConfigErrors> {
    for directive in &typed.directives {
        let Some(Apply::Command(make)) = table::find(&directive.key).map(|row| row.apply) else {
            continue;
        };
        let text = match make(directive.value.as_deref()) {
            Command::CheckConfig | Command::Get(_) => continue,
            Command::Help => {
                let words: Vec<String> = directive.value.iter().chain(&typed.bare).cloned().collect();
                help::text(&words, plugins)
            }
            Command::Explain(name) => or_problem(explain::text(&name, plugins))?,
            Command::Version => format!("{}\n", env!("CARGO_PKG_VERSION")),
            Command::Man(page) => or_problem(manual::page(page.as_deref().or(first_word(typed)), plugins))?,
            Command::Completion(shell) => or_problem(manual::completion(&shell, plugins))?,
            Command::Reference(page) => or_problem(manual::reference(&page, plugins))?,
            Command::DumpOptions => {
                let all = table::names().chain(plugins.iter().map(|o| o.name.as_str()));
                all.fold(String::new(), |text, name| text + name + "\n")
            }
            Command::Extract(name) => match read_source(&name) {
                Ok((text, _)) => text,
                Err(error) => {
                    let problems = vec![error.to_string()];
                    return Err(ConfigErrors { problems });
                }
            },
            Command::Ping(address, usual) => {
                let seconds = match typed.directives.iter().rfind(|d| d.key == "ping-timeout") {
                    Some(given) => parse::number(given.text(), 1, 3600).map_err(|e| ConfigErrors {
                        problems: vec![format!("--ping-timeout: {e}")],
                    })?,
                    None => usual,
                };
                return Ok(Some(Startup::Command(Command::Ping(address, seconds))));
            }
            command => return Ok(Some(Startup::Command(command))),
        };
        return Ok(Some(Startup::Print(text)));
    }
    Ok(None)
}

/// The first argument that is no option.
fn first_word(typed: &cli::CommandLine) -> Option<&str> {
    typed.bare.first().map(String::as_str)
}

fn or_problem(text: Result<String, String>) -> Result<String, ConfigErrors> {
    text.map_err(|problem| ConfigErrors {
        problems: vec![problem],
    })
}

/// `--check-config`: then every problem is wanted at once.
fn asks_for_check(collected: &Collected) -> bool {
    given(collected, "check-config")
}

/// Commands about the finished configuration.
fn late_command(collected: &Collected, settings: &Settings) -> Option<Startup> {
    collected
        .directives
        .iter()
        .find_map(|directive| match table::find(&directive.key)?.apply {
            Apply::Command(make) => match make(directive.value.as_deref()) {
                Command::CheckConfig => Some(Startup::Checked),
                Command::Get(name) => Some(Startup::Print(
                    settings.values(&name).map(|value| format!("{value}\n")).collect(),
                )),
                _ => None,
            },
            _ => None,
        })
}

/// A bare argument: a configuration by its ending or scheme, an application by its ending; `None`: for a plugin to say.
fn bare_argument(text: &str) -> Option<Directive> {
    let (name, _) = crate::config::split_section(text);
    let key = match Dialect::of_name(name) {
        Some(_) => "include",
        None if name.ends_with(".wsgi") || name.ends_with(".py") => "wsgi-file",
        None if name.ends_with(".lua") || name.ends_with(".ws") => "lua",
        None if name.contains("://") || name == "-" => "include",
        None => return None,
    };
    Some(Directive::new(key, text, Origin::CommandLine))
}

/// Whether a flag stands anywhere and was not turned off.
fn given(collected: &Collected, name: &str) -> bool {
    let last = collected.directives.iter().rfind(|d| d.key == name);
    last.is_some_and(|d| parse::boolean(d.text()) != Some(false))
}

fn apply(
    collected: &Collected,
    environment: &Environment,
    host: &mut dyn PluginHost,
    problems: &mut Vec<String>,
) -> Settings {
    let mut settings = Settings::with_defaults(given(collected, "classic-defaults"));
    settings.strict = given(collected, "strict");
    if given(collected, "autoload") {
        settings.autoload = true;
    }
    let mut applier = Applier::new(collected, environment, host, settings);
    for directive in &collected.directives {
        applier.directive(directive);
    }
    applier.defaults();
    let (settings, mut found) = applier.finish();
    problems.append(&mut found);
    settings
}

/// `--show-config`: lines that are a configuration file again, each below its place.
fn show(settings: &Settings, host: &mut dyn PluginHost) {
    host.say("");
    host.say(";uWSGI instance configuration");
    host.say("[uwsgi]");
    for ((key, value), origin) in settings.exported.iter().zip(&settings.origins) {
        host.say(&format!("; {origin}"));
        host.say(&format!("{key} = {}", value.as_deref().unwrap_or("true")));
    }
    host.say(";end of configuration");
    host.say("");
}

/// Does what plugin options ask for at the moment they are read.
struct PluginDirectives<'a> {
    host: &'a mut dyn PluginHost,
    /// What the scan of the command line has already done, and how often.
    done: HashMap<(String, String), usize>,
    problems: Vec<String>,
    /// Plugins that the start goes on without; a problem for who asks for a check.
    missing: Vec<String>,
}

impl<'a> PluginDirectives<'a> {
    fn new(host: &'a mut dyn PluginHost) -> Self {
        Self {
            host,
            done: HashMap::new(),
            problems: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// Looks for plugin options before the command line can be parsed as a whole.
    fn scan(&mut self, arguments: &[OsString]) {
        let mut arguments = arguments.iter().filter_map(|a| a.to_str());
        while let Some(argument) = arguments.next() {
            let Some(option) = argument.strip_prefix("--") else {
                continue;
            };
            let (key, value) = match option.split_once('=') {
                Some((key, value)) if is_plugin_option(key) => (key, value),
                None if is_plugin_option(option) => match arguments.next() {
                    Some(value) => (option, value),
                    None => return,
                },
                _ => continue,
            };
            self.obey(key, value, &Origin::CommandLine);
            *self.done.entry((key.to_owned(), value.to_owned())).or_insert(0) += 1;
        }
    }

    fn obey(&mut self, key: &str, value: &str, origin: &Origin) {
        let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
        match key {
            "plugins-dir" | "plugin-dir" => self.host.add_directory(value),
            "plugin" | "plugins" => {
                for name in names {
                    // the host has said what is wrong; it goes on without
                    let is_lost = self.host.load(name, false, origin).is_err();
                    // a file may name plugins that are here and there, as those of uWSGI do; a path means one file
                    if is_lost && (*origin == Origin::CommandLine || name.contains('/')) {
                        self.missing.push(format!(
                            "unable to load plugin \"{name}\" ({origin}): the reason stands above; a start goes on without it"
                        ));
                    }
                }
            }
            _ => {
                for name in names {
                    if self.host.load(name, true, origin).is_err() {
                        self.problems.push(format!(
                            "unable to load plugin \"{name}\" ({origin}): the reason stands above"
                        ));
                    }
                }
            }
        }
    }
}

fn is_plugin_option(key: &str) -> bool {
    matches!(
        key,
        "plugins-dir" | "plugin-dir" | "plugin" | "plugins" | "need-plugin" | "need-plugins"
    )
}

impl Observer for PluginDirectives<'_> {
    fn say(&mut self, line: &str) {
        self.host.say(line);
    }

    fn is_option(&mut self, name: &str) -> bool {
        table::find(name).is_some() || self.host.options().iter().any(|o| o.name == name)
    }

    fn has_plugin(&self, name: &str) -> bool {
        self.host.is_loaded(name)
    }

    fn taken(&mut self, directive: &Directive, value: &str) {
        if !is_plugin_option(&directive.key) {
            return;
        }
        let done = (directive.key.clone(), value.to_owned());
        match self.done.get_mut(&done) {
            Some(times) if *times > 0 && directive.origin.is_command_line() => *times -= 1,
            _ => self.obey(&directive.key, value, &directive.origin),
        }
    }
}
