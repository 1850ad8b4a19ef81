//! Turns sources of every dialect into one ordered list of directives: includes expanded, conditions decided,
//! magic variables replaced. Knows no option; [`crate::options::load()`] drives it once, in the first process.

use super::dialect::{DEFAULT_SECTION, Dialect, Parsed};
use super::directive::{Directive, Origin};
use super::error::ConfigError;
use super::logic::{self, Environment, Facts, Opening};
use super::magic::{self, FileContext};
use super::placeholder::{self, Names};
use super::scheme;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// What the reader asks of the options while it reads.
pub trait Observer {
    /// A line for the log: progress and warnings.
    fn say(&mut self, line: &str);
    /// Whether the name is an option (then it cannot be a placeholder).
    fn is_option(&mut self, name: &str) -> bool;
    /// Whether the plugin is loaded.
    fn has_plugin(&self, name: &str) -> bool;
    /// A directive was taken into the list; `value` is resolved with what is known so far.
    fn taken(&mut self, directive: &Directive, value: &str);
}

/// What was read.
#[derive(Debug, Default)]
pub struct Collected {
    /// In the order of their meaning.
    pub directives: Vec<Directive>,
    /// What could not be read or decided.
    pub problems: Vec<ConfigError>,
    /// Names that are no options on purpose: `set`, `set-ph`, `declare-option`.
    pub declared: HashSet<String>,
    /// Names that a condition, a loop or a file name asked for.
    pub consulted: HashSet<String>,
}

impl Collected {
    /// Whether the configuration itself uses a name: `%(name)` in a value, a condition, a loop.
    pub fn uses(&self, name: &str) -> bool {
        let mut values = self.directives.iter().filter_map(|d| d.value.as_deref());
        self.consulted.contains(name) || values.any(|value| super::mentions(value, name))
    }
}

/// Files in files in files: deeper, they include each other in a circle.
const MAX_DEPTH: usize = 32;
/// More directives than any honest configuration has (loops in loops).
const MAX_DIRECTIVES: usize = 200_000;

/// The state of one reading.
pub struct Reader<'a> {
    /// Answers and listens.
    pub observer: &'a mut dyn Observer,
    environment: &'a Environment,
    directives: Vec<Directive>,
    first: HashMap<String, usize>,
    problems: Vec<ConfigError>,
    outermost: Option<FileContext>,
    last_file: HashMap<&'static str, String>,
    templates: Vec<Directive>,
    macros: HashMap<String, Vec<(String, Option<String>)>>,
    inject_before: Vec<String>,
    inject_after: Vec<String>,
    declared: HashSet<String>,
    consulted: RefCell<HashSet<String>>,
    depth: usize,
}

impl<'a> Reader<'a> {
    /// Starts with nothing read.
    pub fn new(observer: &'a mut dyn Observer, environment: &'a Environment) -> Self {
        Self {
            observer,
            environment,
            directives: Vec::new(),
            first: HashMap::new(),
            problems: Vec::new(),
            outermost: None,
            last_file: HashMap::new(),
            templates: Vec::new(),
            macros: HashMap::new(),
            inject_before: Vec::new(),
            inject_after: Vec::new(),
            declared: HashSet::new(),
            consulted: RefCell::default(),
            depth: 0,
        }
    }

    /// Reads the templates named by `inherit`, which come after the rest, and gives everything.
    pub fn finish(mut self) -> Collected {
        let mut next = 0;
        while next < self.templates.len() && next < MAX_DEPTH {
            let template = self.templates[next].clone();
            self.include(&template);
            next += 1;
        }
        Collected {
            directives: self.directives,
            problems: self.problems,
            declared: self.declared,
            consulted: self.consulted.into_inner(),
        }
    }

    /// Reads lines that stand together: a file, the command line, the environment.
    pub fn run(&mut self, lines: &[Directive]) {
        self.lines(lines, None);
    }

    fn lines(&mut self, lines: &[Directive], current: Option<&str>) {
        let mut at = 0;
        while let Some(line) = lines.get(at) {
            let line = &bound(line, current);
            at += 1;
            if self.directives.len() > MAX_DIRECTIVES {
                return;
            }
            let Some(opening) = Opening::of(&line.key) else {
                let block = || logic::block(lines, at - 1);
                if logic::looks_like_opening(&line.key) && block().closed && !self.observer.is_option(&line.key) {
                    // its lines must neither count nor vanish: nobody knows which was meant
                    at = block().next;
                    let reason = "unknown condition or loop: rsgi --help if- and rsgi --help for- list them".to_owned();
                    self.fail(line, reason);
                } else if logic::is_closing(&line.key) || line.key == "else" {
                    let text = format!("{}: {} without a block above it is ignored", line.origin, line.key);
                    self.observer.say(&text);
                } else {
                    self.take(line);
                }
                continue;
            };
            let block = logic::block(lines, at - 1);
            if !block.closed {
                self.observer.say(&format!(
                    "{}: {} is not closed: write {} behind its lines",
                    line.origin,
                    line.key,
                    opening.closed_by()
                ));
            }
            at = block.next;
            let argument = self.resolve_now(line);
            match opening.evaluate(&argument, &*self) {
                Ok(Some(values)) => {
                    for value in &values {
                        self.lines(&lines[block.then.clone()], Some(value));
                    }
                }
                Ok(None) => self.lines(&lines[block.otherwise], Some(&argument)),
                Err(reason) => self.fail(line, reason),
            }
        }
    }

    /// Takes one directive into the list and does what cannot wait.
    fn take(&mut self, directive: &Directive) {
        let key = directive.key.as_str();
        if key.is_empty() {
            let text = format!("{}: a line without a name is ignored", directive.origin);
            return self.observer.say(&text);
        }
        if self.directives.len() == MAX_DIRECTIVES {
            self.fail(
                directive,
                format!("more than {MAX_DIRECTIVES} directives: endless loop?"),
            );
        }
        let index = self.directives.len();
        if index > MAX_DIRECTIVES {
            return;
        }
        self.first.entry(key.to_owned()).or_insert(index);
        self.directives.push(directive.clone());
        match key {
            "include" | "config" => self.include(directive),
            "inherit" => self.templates.push(directive.clone()),
            "set" | "set-ph" | "set-placeholder" => self.set(directive),
            "declare-option" | "declare-option2" => self.declare(directive),
            "inject-before" => {
                let file = self.resolve_now(directive);
                self.inject_before.push(file);
            }
            "inject-after" => {
                let file = self.resolve_now(directive);
                self.inject_after.push(file);
            }
            _ => match Dialect::of_option(key) {
                Some(dialect) => self.open(directive, dialect),
                None if self.macros.contains_key(key) => self.expand_macro(directive),
                None => {
                    let value = self.resolve_now(directive);
                    self.observer.taken(directive, &value);
                }
            },
        }
    }

    fn set(&mut self, directive: &Directive) {
        let value = directive.text();
        let (key, value) = match value.split_once('=') {
            Some((key, value)) => (key.trim(), Some(value.to_owned())),
            None => (value.trim(), None),
        };
        if key.is_empty() {
            return self.fail(directive, "give a name: name=value".into());
        }
        if directive.key != "set" && self.observer.is_option(key) {
            let reason = format!("you cannot use {key} as a placeholder, it is already available as an option");
            return self.fail(directive, reason);
        }
        let (key, origin) = (key.to_owned(), directive.origin.clone());
        self.declared.insert(key.clone());
        self.take(&Directive { key, value, origin });
    }

    /// `name=option=value;option` : a new option that stands for others.
    fn declare(&mut self, directive: &Directive) {
        let Some((name, body)) = directive.text().split_once('=') else {
            return self.fail(directive, "give name=option=value;option=value".into());
        };
        let rows = body.split(';').filter(|row| !row.trim().is_empty());
        let rows = rows.map(|row| match row.split_once('=') {
            Some((key, value)) => (key.trim().to_owned(), Some(value.to_owned())),
            None => (row.trim().to_owned(), None),
        });
        self.declared.insert(name.trim().to_owned());
        self.macros.insert(name.trim().to_owned(), rows.collect());
    }

    fn expand_macro(&mut self, directive: &Directive) {
        if self.depth == MAX_DEPTH {
            return self.fail(directive, "the declared option stands for itself".into());
        }
        let rows = self.macros.get(&directive.key).cloned().unwrap_or_default();
        let text = self.resolve_now(directive);
        let words: Vec<&str> = text.split_whitespace().collect();
        self.depth += 1;
        for (key, value) in rows {
            let value = value.map(|v| with_words(&v, &words));
            let origin = directive.origin.clone();
            self.take(&Directive { key, value, origin });
        }
        self.depth -= 1;
    }

    fn include(&mut self, directive: &Directive) {
        let name = self.resolve_now(directive);
        let (file, _) = scheme::split_section(&name);
        match Dialect::of_name(file) {
            Some(dialect) => self.open(directive, dialect),
            None => self.problems.push(ConfigError::UnknownFormat { name }),
        }
    }

    /// Reads a file at the place where its option stands.
    fn open(&mut self, directive: &Directive, dialect: Dialect) {
        let named = self.resolve_now(directive);
        let (file, section) = scheme::split_section(&named);
        let file = match (file, self.last_file.get(dialect.name())) {
            ("", Some(last)) => last.clone(),
            ("", None) => return self.fail(directive, "name a file".into()),
            (file, _) => file.to_owned(),
        };
        if self.depth == MAX_DEPTH {
            return self.fail(directive, format!("{file} includes itself"));
        }
        match self.read(dialect, &file, section) {
            Ok(()) => {}
            Err(ConfigError::Read { name, reason }) if name == file && !directive.origin.is_command_line() => {
                let reason = format!("unable to read configuration {name}: {reason}");
                self.fail(directive, reason);
            }
            Err(ConfigError::Section { name, section, known }) if !directive.origin.is_command_line() => {
                let reason = format!("{name} has no section \"{section}\": {known}");
                self.fail(directive, reason);
            }
            Err(problem) => self.problems.push(problem),
        }
    }

    fn read(&mut self, dialect: Dialect, file: &str, section: Option<&str>) -> Result<(), ConfigError> {
        let format = dialect.name();
        self.observer
            .say(&format!("[rsgi] getting {format} configuration from {file}"));
        let (text, replaced) = scheme::read(file)?;
        if replaced {
            self.observer
                .say(&format!("{file}: not UTF-8; its foreign bytes were replaced"));
        }
        let path: Arc<str> = Arc::from(file);
        let parsed = match dialect {
            Dialect::Ini => self.parse_with_injections(&text, section, &path),
            _ => dialect.parse(&text, section, &path),
        };
        if let Err(ConfigError::Xml { .. }) = parsed {
            self.observer.say(&format!("[rsgi] could not parse file {file}."));
        }
        let parsed = parsed?;
        if let (true, Some(line)) = (parsed.found, parsed.orphan) {
            self.observer.say(&format!(
                "{file}:{line}: what stands above the first section is ignored"
            ));
        }
        if !parsed.found {
            self.section_missing(&parsed, format, file, section)?;
        }
        self.last_file.insert(format, file.to_owned());
        let context = FileContext::new(file, section);
        let outermost = self.outermost.get_or_insert_with(|| context.clone()).clone();
        let mut lines = parsed.directives;
        for line in &mut lines {
            if let Some(value) = &mut line.value {
                *value = magic::substitute(value, &context, &outermost);
            }
        }
        self.depth += 1;
        self.lines(&lines, None);
        self.depth -= 1;
        Ok(())
    }

    /// The text of an INI file between those of `inject-before` and `inject-after`, read as one.
    fn parse_with_injections(&self, text: &str, section: Option<&str>, path: &Arc<str>) -> Result<Parsed, ConfigError> {
        if self.inject_before.is_empty() && self.inject_after.is_empty() {
            return Dialect::Ini.parse(text, section, path);
        }
        let mut parts: Vec<(Arc<str>, String)> = Vec::new();
        for name in &self.inject_before {
            parts.push((Arc::from(name.as_str()), scheme::read(name)?.0));
        }
        parts.push((Arc::clone(path), text.to_owned()));
        for name in &self.inject_after {
            parts.push((Arc::from(name.as_str()), scheme::read(name)?.0));
        }
        let whole: String = parts
            .iter()
            .flat_map(|(_, text)| text.lines())
            .fold(String::new(), |whole, line| whole + line + "\n");
        let mut parsed = Dialect::Ini.parse(&whole, section, path)?;
        for directive in &mut parsed.directives {
            directive.origin = origin_in_parts(&directive.origin, &parts);
        }
        Ok(parsed)
    }

    /// A section that was named must be there; the usual one may be absent from a file that is only a marker.
    fn section_missing(
        &mut self,
        parsed: &Parsed,
        format: &str,
        file: &str,
        section: Option<&str>,
    ) -> Result<(), ConfigError> {
        let asked = section.unwrap_or(DEFAULT_SECTION);
        self.observer.say(&format!(
            "*** WARNING: Can't find section \"{asked}\" in {format} configuration file {file} ***"
        ));
        if let Some(line) = parsed.orphan {
            return Err(ConfigError::Ini {
                place: Origin::File {
                    path: Arc::from(file),
                    line,
                },
                reason: format!("this line belongs to no section: write [{asked}] above it"),
            });
        }
        let known = match parsed.sections.as_slice() {
            [] => "it has none".to_owned(),
            names => format!("it has {}; name one of them: {file}:{}", names.join(", "), names[0]),
        };
        match section {
            Some(section) => Err(ConfigError::Section {
                name: file.to_owned(),
                section: section.to_owned(),
                known,
            }),
            None => {
                if !parsed.sections.is_empty() {
                    self.observer
                        .say(&format!("{file} has no section \"{asked}\": {known}"));
                }
                Ok(())
            }
        }
    }

    /// The value with what is known so far; what is unknown stays.
    fn resolve_now(&mut self, directive: &Directive) -> String {
        let value = directive.text();
        if !value.contains(['%', '$', '@']) {
            return value.to_owned();
        }
        // `@(…)` runs commands: it must not be read twice, so only what cannot wait resolves it
        let cannot_wait = Opening::of(&directive.key).is_some()
            || Dialect::of_option(&directive.key).is_some()
            || matches!(directive.key.as_str(), "include" | "config" | "inherit");
        if value.contains("@(") && !cannot_wait {
            return value.to_owned();
        }
        match placeholder::resolve(value, &*self) {
            Ok(resolved) => resolved.text,
            Err(reason) if cannot_wait => {
                self.fail(directive, reason);
                value.to_owned()
            }
            Err(_) => value.to_owned(),
        }
    }

    fn fail(&mut self, directive: &Directive, reason: String) {
        self.problems.push(ConfigError::Directive {
            place: directive.origin.clone(),
            key: directive.key.clone(),
            reason,
        });
    }
}

impl Names for Reader<'_> {
    fn placeholder(&self, name: &str) -> Option<String> {
        let directive = &self.directives[*self.first.get(name)?];
        self.consulted.borrow_mut().insert(name.to_owned());
        Some(directive.value.clone().unwrap_or_else(|| "true".to_owned()))
    }
    fn variable(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }
}

impl Facts for Reader<'_> {
    fn option(&self, name: &str) -> Option<String> {
        Names::placeholder(self, name)
    }
    fn variable(&self, name: &str) -> Option<String> {
        Names::variable(self, name)
    }
    fn plugin(&self, name: &str) -> bool {
        self.observer.has_plugin(name)
    }
}

/// Which of several joined texts a line belongs to, and its number there.
fn origin_in_parts(origin: &Origin, parts: &[(Arc<str>, String)]) -> Origin {
    let Origin::File { line, .. } = origin else {
        return origin.clone();
    };
    let mut line = *line;
    for (path, text) in parts {
        let lines = text.lines().count() as u32;
        if line <= lines {
            let path = Arc::clone(path);
            return Origin::File { path, line };
        }
        line -= lines;
    }
    origin.clone()
}

/// The line with the current loop value in it.
fn bound(line: &Directive, current: Option<&str>) -> Directive {
    let mut line = line.clone();
    if let Some(current) = current {
        line.key = placeholder::bind(&line.key, current);
        line.value = line.value.map(|v| placeholder::bind(&v, current));
    }
    line
}

/// Puts `$1` … `$9` of a declared option.
fn with_words(text: &str, words: &[&str]) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let digit = after.bytes().next().filter(|b| (b'1'..=b'9').contains(b));
        match digit.and_then(|d| words.get(usize::from(d - b'1'))) {
            Some(word) => {
                out.push_str(word);
                rest = &after[1..];
            }
            None => {
                out.push('$');
                rest = after;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Noted(Vec<String>);
    impl Observer for Noted {
        fn say(&mut self, line: &str) {
            self.0.push(line.to_owned());
        }
        fn is_option(&mut self, name: &str) -> bool {
            name == "processes"
        }
        fn has_plugin(&self, name: &str) -> bool {
            name == "python"
        }
        fn taken(&mut self, _: &Directive, _: &str) {}
    }

    struct Read {
        lines: Vec<String>,
        problems: Vec<String>,
        said: Vec<String>,
    }

    fn read(args: &[(&str, &str)], files: &[(&str, &str)]) -> Read {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let text = text.replace("@DIR@", dir.path().to_str().unwrap());
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let place = |v: &str| v.replace("@DIR@", dir.path().to_str().unwrap());
        let lines: Vec<_> = args
            .iter()
            .map(|(k, v)| Directive::new(*k, place(v), Origin::CommandLine))
            .collect();
        let environment = Environment::from([("IFV".to_owned(), "abc".to_owned())]);
        let mut noted = Noted::default();
        let mut reader = Reader::new(&mut noted, &environment);
        reader.run(&lines);
        let Collected {
            directives, problems, ..
        } = reader.finish();
        let config = ["ini", "xml", "yaml", "json", "include", "inherit"];
        Read {
            lines: directives
                .iter()
                .filter(|d| !config.contains(&d.key.as_str()))
                .map(|d| format!("{}={}", d.key, d.value.as_deref().unwrap_or("-")))
                .collect(),
            problems: problems.iter().map(ToString::to_string).collect(),
            said: noted.0,
        }
    }

    fn body(text: &str) -> Read {
        read(&[("ini", "@DIR@/c.ini")], &[("c.ini", &format!("[uwsgi]\n{text}"))])
    }

    #[test]
    fn includes_are_expanded_in_place_and_templates_come_last() {
        let found = read(
            &[("ini", "@DIR@/a.ini")],
            &[
                (
                    "a.ini",
                    "[uwsgi]\ninherit=@DIR@/t.ini\np=1\nini=@DIR@/b.ini\np=4\nini=:more\n[more]\np=mine",
                ),
                ("b.ini", "[uwsgi]\np=2\ninclude=@DIR@/c.json\n[more]\np=theirs"),
                ("c.json", "{\"uwsgi\":{\"p\":3}}"),
                ("t.ini", "[uwsgi]\np=template"),
            ],
        );
        assert_eq!(found.lines, ["p=1", "p=2", "p=3", "p=4", "p=theirs", "p=template"]);
        assert_eq!(found.problems, [""; 0]);
    }

    #[test]
    fn conditions_and_loops_nest() {
        let found = body(
            "if-env=IFV\nfor=a b\nif-opt=x\np=no\nelse=\np=%(_)\nendif=\nendfor=\nelse\np=never\nendif=\nif-env=NO\np=never\nelse\np=else\nendif\nfor-times=2\nq=%(_ + 1)\nendfor\n",
        );
        assert_eq!(found.lines, ["p=x", "p=x", "p=else", "q=%(1 + 1)", "q=%(2 + 1)"]);
    }

    #[test]
    fn loop_words_may_come_from_a_placeholder() {
        let found = body("list=a b\nfor=%(list)\np=%(_)\nendfor\n");
        assert_eq!(found.lines, ["list=a b", "p=a", "p=b"]);
    }

    #[test]
    fn set_makes_placeholders_and_options() {
        let found = body("set=a=1\nset-ph=b=2\nset-ph=processes=4\n");
        assert_eq!(found.lines[1], "a=1");
        assert!(found.lines.contains(&"b=2".to_owned()));
        assert!(found.problems[0].contains("c.ini:4: set-ph: you cannot use processes as a placeholder"));
    }

    #[test]
    fn declared_options_expand_with_their_words() {
        let found = body("declare-option=hello=p=hi $1;p=bye $2 $9\nhello=ann bob\n");
        assert_eq!(found.lines[1..], ["hello=ann bob", "p=hi ann", "p=bye bob $9"]);
        assert!(body("declare-option=x=x=1\nx=1\n").problems[0].contains("stands for itself"));
    }

    #[test]
    fn problems_are_collected_with_their_place() {
        let found = body("ini=@DIR@/none.ini\ninclude=x.conf\nfor-times=x\nendfor\nif-env=IFV\n");
        assert!(found.problems[0].ends_with("none.ini: No such file or directory"));
        assert!(found.problems[1].contains("unable to load configuration from x.conf"));
        assert!(found.problems[2].contains("c.ini:4: for-times: invalid number"));
        assert!(found.said.last().unwrap().contains("c.ini:6: if-env is not closed"));
    }

    #[test]
    fn a_circle_of_includes_ends() {
        let found = read(&[("ini", "@DIR@/a.ini")], &[("a.ini", "[uwsgi]\nini=@DIR@/a.ini\n")]);
        assert!(found.problems[0].contains("includes itself"));
    }

    #[test]
    fn injected_texts_are_read_with_the_file_and_keep_their_places() {
        let files = [
            ("b.ini", "[uwsgi]\np=before\n"),
            ("z.ini", "p=after\nfor-times=nope\nendfor\n"),
            ("a.ini", "p=own\n[other]\np=no\n[uwsgi]\n"),
        ];
        let args = [
            ("inject-before", "@DIR@/b.ini"),
            ("inject-after", "@DIR@/z.ini"),
            ("ini", "@DIR@/a.ini"),
        ];
        let found = read(&args, &files);
        assert_eq!(found.lines[2..], ["p=before", "p=own", "p=after"]);
        assert!(found.problems[0].contains("z.ini:2: for-times"), "{:?}", found.problems);
    }

    #[test]
    fn an_unknown_condition_is_an_error_and_its_lines_do_not_count() {
        let found = body("if-moon=full\np=1\nelse\np=2\nendif\np=3\n");
        assert_eq!(found.lines, ["p=3"]);
        // without an end it is a name of somebody's own
        assert_eq!(body("for-mail=x\np=%(for-mail)\n").problems, [""; 0]);
        assert!(
            found.problems[0].contains("c.ini:2: if-moon: unknown condition"),
            "{:?}",
            found.problems
        );
    }

    #[test]
    fn toml_and_the_section_of_our_own_name_are_read() {
        let found = read(
            &[("include", "@DIR@/a.toml"), ("ini", "@DIR@/b.ini")],
            &[
                ("a.toml", "[uwsgi]\np = [1, 2]\n"),
                ("b.ini", "[x]\np=no\n[rsgi]\np=3\n"),
            ],
        );
        assert_eq!(found.lines[found.lines.len() - 3..], ["p=1", "p=2", "p=3"]);
        assert_eq!(found.said.iter().filter(|l| l.contains("WARNING")).count(), 0);
    }

    #[test]
    fn a_missing_section_is_said() {
        let found = read(&[("ini", "@DIR@/a.ini:nope")], &[("a.ini", "[uwsgi]\np=1\n")]);
        assert!(found.lines.is_empty());
        assert!(
            found.problems[0].ends_with("a.ini:uwsgi")
                && found.problems[0].contains("has no section \"nope\": it has uwsgi"),
            "{:?}",
            found.problems
        );
        let warning = found.said.last().unwrap();
        assert!(
            warning.starts_with("*** WARNING: Can't find section \"nope\" in INI configuration file "),
            "{warning}"
        );
    }
}
