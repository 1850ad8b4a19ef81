//! The command line: a clap command built from the option table and the plugins' options.
//! Gives ordered directives; knows what an option looks like, not what it does.

use crate::config::{Directive, Origin};
use crate::options::{ArgKind, PluginOption, suggestion, table};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::PathBuf;

/// What stands behind the program's name. A name `uwsgi_NAME` (a link) asks for the plugin NAME, as in uWSGI.
pub fn arguments(all: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut all = all.into_iter();
    let program = all.next().map(PathBuf::from).unwrap_or_default();
    let name = program.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let plugin = name.strip_prefix("uwsgi_").filter(|plugin| !plugin.is_empty());
    let wanted = plugin.map(|plugin| OsString::from(format!("--plugin={plugin}")));
    wanted.into_iter().chain(all).collect()
}

/// What was typed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// Options in their order.
    pub directives: Vec<Directive>,
    /// Everything that is no option: configuration files, applications.
    pub bare: Vec<String>,
}

/// Stands for "no value"; no argument can contain it.
const NO_VALUE: &str = "\u{0}";
/// The id of the bare arguments; no option name has a space.
const BARE: &str = "bare arguments";

/// One name as the command line knows it.
struct Known {
    name: String,
    short: Option<char>,
    arg: ArgKind,
}

/// Every name once: the core's first, then those of plugins and of `--declare-option`.
fn known(plugins: &[PluginOption], declared: &[String]) -> Vec<Known> {
    let mut names = HashSet::new();
    let mut letters = HashSet::new();
    let mut out = Vec::new();
    let core = table::rows().flat_map(|row| {
        row.names().map(move |name| Known {
            name: name.to_owned(),
            short: row.short.filter(|_| name == row.name),
            arg: row.arg,
        })
    });
    let plugins = plugins.iter().map(|option| Known {
        name: option.name.clone(),
        short: option.short,
        arg: option.arg,
    });
    // a plugin that is not here is said with its name, not as a mistake of the command line
    let absent = table::owners::all().map(|option| Known {
        name: option.name.to_owned(),
        short: option.short,
        arg: option.arg,
    });
    let declared = declared.iter().map(|name| Known {
        name: name.clone(),
        short: None,
        arg: ArgKind::Required,
    });
    for mut option in core.chain(plugins).chain(absent).chain(declared) {
        if option.name.is_empty() || !names.insert(option.name.clone()) {
            continue;
        }
        option.short = option.short.filter(|letter| letters.insert(*letter));
        out.push(option);
    }
    out
}

/// The name that an argument such as `--name=value` types; `None`: it is no long option.
pub fn long_name(argument: &str) -> Option<&str> {
    argument.strip_prefix("--")?.split('=').next()
}

impl Known {
    /// Whether any of the arguments can mean it, in full, abbreviated or by its letter.
    fn may_be_among(&self, arguments: &[OsString]) -> bool {
        arguments.iter().any(|argument| {
            let text = argument.to_string_lossy();
            match long_name(&text) {
                Some(name) => self.name.starts_with(name),
                None => text.starts_with('-') && self.short.is_some_and(|letter| text.contains(letter)),
            }
        })
    }
}

/// The command with the options that may be meant, of more than a thousand; values may begin with a dash, long names may
/// be abbreviated.
fn command(known: &[Known], arguments: &[OsString]) -> Command {
    let args = known
        .iter()
        .filter(|option| option.may_be_among(arguments))
        .map(|option| {
            let arg = Arg::new(option.name.clone())
                .long(option.name.clone())
                .action(ArgAction::Append)
                .value_parser(clap::value_parser!(OsString));
            let arg = match option.short {
                Some(letter) => arg.short(letter),
                None => arg,
            };
            match option.arg {
                ArgKind::Required => arg.num_args(1).allow_hyphen_values(true),
                // only `--name=value`: the next argument is another one
                ArgKind::No | ArgKind::Optional => {
                    arg.num_args(0..=1).require_equals(true).default_missing_value(NO_VALUE)
                }
            }
        });
    Command::new("rsgi")
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .infer_long_args(true)
        .args(args)
        .arg(
            Arg::new(BARE)
                .action(ArgAction::Append)
                .num_args(0..)
                .value_parser(clap::value_parser!(OsString)),
        )
}

/// Parses the arguments behind the program's name; every problem is one line, what is left without them is given too.
/// `declared` are names of `--declare-option`; `owner_of` knows the plugin of an option that is not among `plugins`.
pub fn parse(
    arguments: &[OsString],
    plugins: &[PluginOption],
    declared: &[String],
    owner_of: &dyn Fn(&str) -> Option<String>,
) -> (CommandLine, Vec<String>) {
    let known = known(plugins, declared);
    let mut arguments = getopt_spelling(arguments, &known);
    let command = command(&known, &arguments);
    let mut problems = Vec::new();
    // one round per wrong argument, each taken out, so that all are reported
    loop {
        match command.clone().try_get_matches_from(&arguments) {
            Ok(matches) => {
                let line = ordered(&matches, &known, &mut problems);
                return (line, problems);
            }
            Err(error) => {
                let wrong = offending(&error);
                problems.push(describe(&error, &wrong, &arguments, &known, owner_of));
                let index = arguments.iter().position(|a| is_argument(a, &wrong));
                match index {
                    Some(index) if wrong.starts_with('-') => arguments.remove(index),
                    _ => return (CommandLine::default(), problems),
                };
            }
        }
    }
}

/// The options in the order in which they were typed.
fn ordered(matches: &ArgMatches, known: &[Known], problems: &mut Vec<String>) -> CommandLine {
    let mut found: Vec<(usize, &Known, Option<String>)> = Vec::new();
    for option in known {
        // those that cannot be meant are not even asked for
        let Ok(Some(values)) = matches.try_get_many::<OsString>(&option.name) else {
            continue;
        };
        for (index, value) in matches.indices_of(&option.name).into_iter().flatten().zip(values) {
            let Some(value) = value.to_str() else {
                problems.push(format!("option '--{}': the value is not UTF-8", option.name));
                continue;
            };
            let value = Some(value.to_owned()).filter(|v| v != NO_VALUE);
            if option.arg == ArgKind::No && value.as_deref().is_some_and(|v| !is_word(v)) {
                problems.push(format!("option '--{}' doesn't allow an argument", option.name));
            }
            found.push((index, option, value));
        }
    }
    let mut bare = Vec::new();
    for value in matches.get_many::<OsString>(BARE).into_iter().flatten() {
        match value.to_str() {
            Some(value) => bare.push(value.to_owned()),
            None => problems.push(format!("argument {value:?} is not UTF-8")),
        }
    }
    found.sort_by_key(|(index, ..)| *index);
    let directives = found.into_iter().map(|(_, option, value)| Directive {
        key: option.name.clone(),
        value,
        origin: Origin::CommandLine,
    });
    CommandLine {
        directives: directives.collect(),
        bare,
    }
}

/// `--master=false` is understood, `--master=2` is not.
fn is_word(value: &str) -> bool {
    ["true", "false", "yes", "no", "on", "off", "1", "0"].contains(&value)
}

/// The two spellings of getopt that clap does not read: `-C660` (clap wants `-C=660` where a value may be left out)
/// and an abbreviation that one name shares with longer ones that begin with it.
fn getopt_spelling(arguments: &[OsString], known: &[Known]) -> Vec<OsString> {
    let mut arguments = arguments.iter();
    let mut out = Vec::with_capacity(arguments.len());
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            out.push(argument.clone());
            break;
        }
        let (spelt, takes_next) = match argument.to_str() {
            Some(text) if text.starts_with("--") => long_spelling(text, known),
            Some(text) if text.starts_with('-') => short_spelling(text, known),
            _ => (None, false),
        };
        out.push(spelt.map_or_else(|| argument.clone(), OsString::from));
        // a value is never an option, whatever it looks like
        out.extend(takes_next.then(|| arguments.next().cloned()).flatten());
    }
    out.extend(arguments.cloned());
    out
}

/// `--max-req` is max-requests, although max-requests-delta begins so too. Also whether the next argument is its value.
fn long_spelling(text: &str, known: &[Known]) -> (Option<String>, bool) {
    let typed = long_name(text).unwrap_or_default();
    let rest = &text[2 + typed.len()..];
    let takes_next = |option: &Known| option.arg == ArgKind::Required && rest.is_empty();
    if let Some(option) = known.iter().find(|option| option.name == typed) {
        return (None, takes_next(option));
    }
    let candidates = || known.iter().filter(|option| option.name.starts_with(typed));
    match candidates().min_by_key(|option| option.name.len()) {
        Some(shortest) if candidates().all(|option| option.name.starts_with(&shortest.name)) => {
            (Some(format!("--{}{rest}", shortest.name)), takes_next(shortest))
        }
        _ => (None, false),
    }
}

/// A cluster of letters. Also whether the next argument is the value of the last one.
fn short_spelling(text: &str, known: &[Known]) -> (Option<String>, bool) {
    for (at, letter) in text.char_indices().skip(1) {
        let end = at + letter.len_utf8();
        match known
            .iter()
            .find(|option| option.short == Some(letter))
            .map(|option| option.arg)
        {
            Some(ArgKind::No) => {}
            Some(ArgKind::Optional) if end < text.len() && !text[end..].starts_with('=') => {
                return (Some(format!("{}={}", &text[..end], &text[end..])), false);
            }
            Some(ArgKind::Required) => return (None, end == text.len()),
            _ => return (None, false),
        }
    }
    (None, false)
}

/// What clap could not understand: `--name`, `-x`, or empty.
fn offending(error: &clap::Error) -> String {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(text)) => {
            let end = text.find([' ', '=']).unwrap_or(text.len());
            text[..end].trim_end_matches('[').to_owned()
        }
        _ => String::new(),
    }
}

/// Whether an argument is the one that clap named.
fn is_argument(argument: &OsString, wrong: &str) -> bool {
    let Some(text) = argument.to_str() else {
        return false;
    };
    match wrong.strip_prefix("--") {
        Some(_) => text == wrong || text.strip_prefix(wrong).is_some_and(|rest| rest.starts_with('=')),
        None => text.starts_with('-') && !text.starts_with("--") && wrong.len() > 1 && text.contains(&wrong[1..]),
    }
}

fn describe(
    error: &clap::Error,
    wrong: &str,
    arguments: &[OsString],
    known: &[Known],
    owner_of: &dyn Fn(&str) -> Option<String>,
) -> String {
    match (error.kind(), wrong.strip_prefix("--")) {
        (ErrorKind::UnknownArgument, Some(name)) => {
            let typed = arguments
                .iter()
                .find(|a| is_argument(a, wrong))
                .and_then(|a| a.to_str());
            let mut text = format!("unrecognized option '{}'", typed.unwrap_or(wrong));
            let beginning: Vec<&str> = known
                .iter()
                .map(|o| o.name.as_str())
                .filter(|n| n.starts_with(name))
                .collect();
            match beginning[..] {
                [] => {
                    if let Some(owner) = owner_of(name) {
                        text += &format!(": it belongs to the plugin {owner}, add --plugin {owner}");
                    } else if let Some(refusal) = table::refused::find(name) {
                        text += &format!(": {}; {}", refusal.reason, refusal.instead);
                    } else if let Some(near) = suggestion(name, known.iter().map(|o| o.name.as_str())) {
                        text += &format!(": did you mean '--{near}'?");
                    } else {
                        text += " (rsgi --help WORD searches the options)";
                    }
                }
                _ => text += &format!(": it may stand for --{}", beginning.join(", --")),
            }
            text
        }
        (ErrorKind::UnknownArgument, None) => match wrong.strip_prefix('-') {
            Some(letter) => format!("invalid option -- '{letter}'"),
            None => error.to_string().lines().next().unwrap_or_default().to_owned(),
        },
        (ErrorKind::InvalidValue | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues, _)
            if !wrong.is_empty() =>
        {
            format!("option '{wrong}' requires an argument")
        }
        _ => error.to_string().lines().next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(name: &str, short: Option<char>, arg: ArgKind) -> PluginOption {
        PluginOption {
            name: name.into(),
            short,
            arg,
            help: "h".into(),
            flags: 0,
            plugin: "python".into(),
            index: 0,
        }
    }

    fn line(text: &str) -> Result<CommandLine, Vec<String>> {
        let plugins = [
            plugin("wsgi-file", None, ArgKind::Required),
            plugin("module", Some('w'), ArgKind::Required),
            plugin("master", Some('M'), ArgKind::Required),
            plugin("py-tracebacker", None, ArgKind::Optional),
        ];
        let arguments: Vec<OsString> = text.split_whitespace().map(OsString::from).collect();
        match parse(&arguments, &plugins, &[], &|_| None) {
            (line, problems) if problems.is_empty() => Ok(line),
            (_, problems) => Err(problems),
        }
    }

    fn options(text: &str) -> Vec<String> {
        let found = line(text).unwrap();
        let show = |d: Directive| match d.value {
            Some(value) => format!("{}={value}", d.key),
            None => d.key,
        };
        found.directives.into_iter().map(show).collect()
    }

    #[test]
    fn the_programs_name_may_ask_for_a_plugin() {
        let of = |words: &[&str]| arguments(words.iter().map(OsString::from));
        assert_eq!(
            of(&["/usr/bin/uwsgi_python3", "--master"]),
            ["--plugin=python3", "--master"]
        );
        assert_eq!(of(&["/x/uwsgi", "top"]), ["top"]);
        assert_eq!(of(&["uwsgi_"]), [""; 0]);
    }

    #[test]
    fn every_spelling_of_uwsgi_is_understood() {
        assert_eq!(
            options("-p 4 -p4 --processes=4 --workers 3"),
            ["processes=4", "processes=4", "processes=4", "workers=3"]
        );
        assert_eq!(
            options("-MT -C660 --chmod-socket --chmod-socket=664 -Cxx"),
            [
                "master",
                "enable-threads",
                "chmod-socket=660",
                "chmod-socket",
                "chmod-socket=664",
                "chmod-socket=xx"
            ]
        );
        assert_eq!(
            options("-MC660 -TC -Mp4"),
            [
                "master",
                "chmod-socket=660",
                "enable-threads",
                "chmod-socket",
                "master",
                "processes=4"
            ]
        );
        assert_eq!(
            options("--env -x --http-socket :9090 -w app"),
            ["env=-x", "http-socket=:9090", "module=app"]
        );
        assert_eq!(
            options("--lazy-ap --disable-log --wsgi-f a.py"),
            ["lazy-apps", "disable-logging", "wsgi-file=a.py"]
        );
        assert_eq!(
            options("--max-req 5 --cheaper-rss-limit-s=1"),
            ["max-requests=5", "cheaper-rss-limit-soft=1"]
        );
        assert_eq!(
            options("--env -C660 -p4 --env -- -M"),
            ["env=-C660", "processes=4", "env=--", "master"]
        );
        assert_eq!(options("--master=false --ini -"), ["master=false", "ini=-"]);
    }

    #[test]
    fn order_is_kept_between_options_and_bare_arguments_are_apart() {
        let found = line("a.ini --print 1 --ini b.ini b.xml --print 2").unwrap();
        assert_eq!(
            options("--print 1 --ini b.ini --print 2"),
            ["print=1", "ini=b.ini", "print=2"]
        );
        assert_eq!(found.bare, ["a.ini", "b.xml"]);
    }

    #[test]
    fn all_wrong_arguments_are_reported() {
        let problems = line("--proceses 4 -Z --no-such-thing=3 --master=2 --legion x").unwrap_err();
        assert_eq!(
            problems[0],
            "unrecognized option '--proceses': did you mean '--processes'?"
        );
        assert_eq!(problems[1], "invalid option -- 'Z'");
        assert!(
            problems[2].starts_with("unrecognized option '--no-such-thing=3'"),
            "{}",
            problems[2]
        );
        assert!(
            problems[3].contains("'--legion': legions are not in rsgi"),
            "{}",
            problems[3]
        );
        assert_eq!(
            line("--processes").unwrap_err(),
            ["option '--processes' requires an argument"]
        );
        assert_eq!(line("-p").unwrap_err(), ["option '--processes' requires an argument"]);
        assert_eq!(
            line("--master=2").unwrap_err(),
            ["option '--master' doesn't allow an argument"]
        );
        assert!(line("--log").unwrap_err()[0].contains("may stand for --log"));
    }

    #[test]
    fn the_first_owner_of_a_name_or_letter_keeps_it() {
        assert_eq!(options("-M --master"), ["master", "master"]);
    }
}
