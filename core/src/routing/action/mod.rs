//! What rules do: the table of actions, one file for each subject, and those that plugins bring.

mod answer;
mod auth;
pub mod cache;
mod files;
mod flow;
mod proxy;
mod request;
mod rewrite;

use super::plugin::{self, Record};
use super::rule::Verdict;
use super::template::Template;
use crate::request::Core;

/// What a rule does with a request.
pub type Run = Box<dyn Fn(&mut Core) -> Verdict + Send + Sync>;
type Build = fn(&str) -> Result<Run, String>;
/// The names of an action, and what makes it of its arguments.
type Row = (&'static [&'static str], Build);

fn tables() -> impl Iterator<Item = &'static Row> {
    [
        flow::ACTIONS,
        request::ACTIONS,
        answer::ACTIONS,
        rewrite::ACTIONS,
        files::ACTIONS,
        auth::ACTIONS,
        cache::ACTIONS,
        proxy::ACTIONS,
    ]
    .into_iter()
    .flatten()
}

/// Parses `NAME:ARGUMENTS`.
///
/// # Errors
/// Nobody knows the name, or the arguments are wrong; one line.
pub fn parse(text: &str, record: &Record) -> Result<Run, String> {
    let (name, arguments) = text.split_once(':').unwrap_or((text, ""));
    if let Some((_, build)) = tables().find(|(names, _)| names.contains(&name)) {
        return build(arguments).map_err(|e| format!("action {name}: {e}"));
    }
    plugin::action(name, arguments, record).unwrap_or_else(|| {
        let nearest = tables()
            .flat_map(|(names, _)| names.iter())
            .max_by(|a, b| strsim::jaro(name, a).total_cmp(&strsim::jaro(name, b)));
        Err(format!(
            "there is no action \"{name}\"; the nearest is \"{}\" (a plugin may bring it: load it with --plugin)",
            nearest.copied().unwrap_or_default()
        ))
    })
}

/// Does nothing.
pub fn nothing() -> Run {
    Box::new(|_| Verdict::Next)
}

/// An action with one text of the request's making.
fn with_text(arguments: &str, run: fn(&mut Core, &[u8]) -> Verdict) -> Result<Run, String> {
    let text = Template::parse(arguments)?;
    Ok(Box::new(move |core| {
        let text = text.fill(core);
        run(core, &text)
    }))
}

/// An action with a name and a text behind a separator.
fn with_pair(arguments: &str, separator: char, run: fn(&mut Core, &[u8], &[u8]) -> Verdict) -> Result<Run, String> {
    let (name, text) = arguments
        .split_once(separator)
        .ok_or_else(|| format!("\"{arguments}\": give NAME{separator}VALUE"))?;
    let (name, text) = (Template::parse(name.trim())?, Template::parse(text)?);
    Ok(Box::new(move |core| {
        let (name, text) = (name.fill(core), text.fill(core));
        run(core, &name, &text)
    }))
}

/// `key=value,key=value`; a comma in a value is written `\,`.
fn keys<'a>(arguments: &'a str, known: &[&str]) -> Result<Vec<(&'a str, String)>, String> {
    let mut pairs = Vec::new();
    let mut rest = arguments;
    while !rest.is_empty() {
        let mut end = rest.len();
        let mut before = '\0';
        for (at, c) in rest.char_indices() {
            if c == ',' && before != '\\' {
                end = at;
                break;
            }
            before = c;
        }
        let part = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        let (key, value) = part
            .split_once('=')
            .ok_or_else(|| format!("\"{part}\": give KEY=VALUE"))?;
        if !known.contains(&key.trim()) {
            return Err(format!("unknown key \"{key}\": there are {}", known.join(", ")));
        }
        pairs.push((key.trim(), value.replace("\\,", ",")));
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values() {
        let known = ["a", "b"];
        assert_eq!(
            keys("a=1,b=x\\,y", &known).unwrap(),
            [("a", "1".to_owned()), ("b", "x,y".to_owned())]
        );
        assert!(keys("a", &known).is_err());
        assert!(keys("c=1", &known).unwrap_err().contains("there are a, b"));
        assert_eq!(keys("", &known).unwrap(), []);
    }

    #[test]
    fn a_name_stands_once_in_the_table() {
        let mut names: Vec<&str> = tables().flat_map(|(names, _)| names.iter().copied()).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    proptest::proptest! {
        #[test]
        fn any_arguments_are_read_or_refused(
            arguments in "([a-z_]{1,10}[=,:;/?]|[ -~]|\\$\\{|é){0,20}", condition in "[a-z]{1,8}:?[ -~]{0,20}") {
            for (names, _) in tables() {
                let _ = parse(&format!("{}:{arguments}", names[0]), &Record::default());
            }
            let _ = crate::routing::condition::parse(&condition);
        }
    }

    #[test]
    fn an_unknown_one_gets_the_nearest_name() {
        let why = parse("redirekt:/x", &Record::default()).err().unwrap();
        assert!(why.contains("\"redirect\""), "{why}");
    }
}
