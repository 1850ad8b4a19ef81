//! One row of the option table: names, kind of value, help, and what it does to the settings.

use super::command::Command;
use crate::settings::Settings;

/// Whether an option takes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgKind {
    /// `--name` (in a file also `name = true|false`)
    No,
    /// `--name VALUE`, `--name=VALUE`
    Required,
    /// `--name`, `--name=VALUE`
    Optional,
}

/// What an option does.
#[derive(Clone, Copy)]
pub enum Apply {
    /// On or off.
    Flag(fn(&mut Settings, bool)),
    /// A whole number within limits.
    Number {
        /// Takes the checked number.
        set: fn(&mut Settings, u64),
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
    },
    /// Any text.
    Text(fn(&mut Settings, &str)),
    /// A path, an address or a name: a ` ; comment` behind it is a mistake.
    Path(fn(&mut Settings, &str)),
    /// A text or nothing.
    Optional(fn(&mut Settings, Option<&str>)),
    /// A text with a form of its own; the error says what is wrong and what is expected. A ` ; comment` behind it is
    /// a mistake unless the row is `verbatim`.
    Parsed(fn(&mut Settings, &str) -> Result<(), String>),
    /// One of several options that differ in their names: gets the name, too. Taken as it is.
    Named(fn(&mut Settings, &str, &str)),
    /// The same, or nothing.
    OptionalParsed(fn(&mut Settings, Option<&str>) -> Result<(), String>),
    /// Instead of serving.
    Command(fn(Option<&str>) -> Command),
    /// Done while the configuration is read: files, blocks, placeholders, plugins.
    Reader,
    /// The subsystem comes with a later version: the value is kept, a line says so.
    Later,
    /// Accepted; why there is nothing to do.
    NoEffect(&'static str),
}

/// One option.
#[derive(Clone, Copy)]
pub struct OptionSpec {
    /// Without dashes.
    pub name: &'static str,
    /// One letter.
    pub short: Option<char>,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// A name that turns a flag off.
    pub negation: Option<&'static str>,
    /// Whether a value follows.
    pub arg: ArgKind,
    /// One line.
    pub help: &'static str,
    /// What it does.
    pub apply: Apply,
    /// It needs the master.
    pub needs_master: bool,
    /// Its value has `%(…)` of its own: unknown ones are no mistake.
    pub template: bool,
    /// ` ; text` belongs to the value: it is a command or free text.
    pub verbatim: bool,
    /// The value is kept and checked, but nothing uses it yet.
    pub later: bool,
}

impl OptionSpec {
    const fn new(name: &'static str, arg: ArgKind, help: &'static str, apply: Apply) -> Self {
        Self {
            name,
            short: None,
            aliases: &[],
            negation: None,
            arg,
            help,
            apply,
            needs_master: false,
            template: false,
            verbatim: false,
            later: false,
        }
    }

    /// Also known by a letter.
    pub const fn short(mut self, letter: char) -> Self {
        self.short = Some(letter);
        self
    }

    /// Also known by other names.
    pub const fn aliases(mut self, names: &'static [&'static str]) -> Self {
        self.aliases = names;
        self
    }

    /// A name that turns it off.
    pub const fn negation(mut self, name: &'static str) -> Self {
        self.negation = Some(name);
        self
    }

    /// Turns the master on.
    pub const fn master(mut self) -> Self {
        self.needs_master = true;
        self
    }

    /// Has `%(…)` of its own.
    pub const fn template(mut self) -> Self {
        self.template = true;
        self
    }

    /// Signs of comments belong to the value.
    pub const fn verbatim(mut self) -> Self {
        self.verbatim = true;
        self
    }

    /// Its subsystem is not in this version.
    pub const fn later(mut self) -> Self {
        self.later = true;
        self
    }

    /// Limits of a number.
    pub const fn range(mut self, least: u64, most: u64) -> Self {
        if let Apply::Number { set, .. } = self.apply {
            self.apply = Apply::Number {
                set,
                min: least,
                max: most,
            };
        }
        self
    }

    /// Whether nothing uses the value yet.
    pub const fn is_later(&self) -> bool {
        self.later || matches!(self.apply, Apply::Later)
    }

    /// Every name, the main one first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name)
            .chain(self.aliases.iter().copied())
            .chain(self.negation)
    }
}

/// On or off.
pub const fn flag(name: &'static str, help: &'static str, set: fn(&mut Settings, bool)) -> OptionSpec {
    OptionSpec::new(name, ArgKind::No, help, Apply::Flag(set))
}

/// On or off, by a value that must be written.
pub const fn demanded_flag(name: &'static str, help: &'static str, set: fn(&mut Settings, bool)) -> OptionSpec {
    OptionSpec::new(name, ArgKind::Required, help, Apply::Flag(set))
}

/// A whole number.
pub const fn number(name: &'static str, help: &'static str, set: fn(&mut Settings, u64)) -> OptionSpec {
    let apply = Apply::Number {
        set,
        min: 0,
        max: u32::MAX as u64,
    };
    OptionSpec::new(name, ArgKind::Required, help, apply)
}

/// A whole number of bytes.
pub const fn bytes(name: &'static str, help: &'static str, set: fn(&mut Settings, u64)) -> OptionSpec {
    number(name, help, set).range(0, i64::MAX as u64)
}

/// Any text.
pub const fn text(name: &'static str, help: &'static str, set: fn(&mut Settings, &str)) -> OptionSpec {
    OptionSpec::new(name, ArgKind::Required, help, Apply::Text(set))
}

/// A path, an address or a name.
pub const fn path(name: &'static str, help: &'static str, set: fn(&mut Settings, &str)) -> OptionSpec {
    OptionSpec::new(name, ArgKind::Required, help, Apply::Path(set))
}

/// A text or nothing.
pub const fn optional(name: &'static str, help: &'static str, set: fn(&mut Settings, Option<&str>)) -> OptionSpec {
    OptionSpec::new(name, ArgKind::Optional, help, Apply::Optional(set))
}

/// A text with a form of its own.
pub const fn parsed(
    name: &'static str,
    help: &'static str,
    set: fn(&mut Settings, &str) -> Result<(), String>,
) -> OptionSpec {
    OptionSpec::new(name, ArgKind::Required, help, Apply::Parsed(set))
}

/// One of several options that differ in their names.
pub const fn named(name: &'static str, help: &'static str, set: fn(&mut Settings, &str, &str)) -> OptionSpec {
    OptionSpec::new(name, ArgKind::Required, help, Apply::Named(set))
}

/// A text with a form of its own, or nothing.
pub const fn optional_parsed(
    name: &'static str,
    help: &'static str,
    set: fn(&mut Settings, Option<&str>) -> Result<(), String>,
) -> OptionSpec {
    OptionSpec::new(name, ArgKind::Optional, help, Apply::OptionalParsed(set))
}

/// Done instead of serving.
pub const fn command(
    name: &'static str,
    arg: ArgKind,
    help: &'static str,
    make: fn(Option<&str>) -> Command,
) -> OptionSpec {
    OptionSpec::new(name, arg, help, Apply::Command(make))
}

/// Done while the configuration is read.
pub const fn reader(name: &'static str, arg: ArgKind, help: &'static str) -> OptionSpec {
    OptionSpec::new(name, arg, help, Apply::Reader)
}

/// The subsystem comes later.
pub const fn later(name: &'static str, arg: ArgKind, help: &'static str) -> OptionSpec {
    OptionSpec::new(name, arg, help, Apply::Later)
}

/// There is nothing to do, and why.
pub const fn no_effect(name: &'static str, arg: ArgKind, why: &'static str) -> OptionSpec {
    OptionSpec::new(name, arg, why, Apply::NoEffect(why))
}

/// Options about one subject.
pub struct Group {
    /// Heading in `--help`.
    pub title: &'static str,
    /// In the order of `--help`.
    pub rows: &'static [OptionSpec],
}
