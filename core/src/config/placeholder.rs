//! Resolves `$(ENV)`, then `@(source)`, then `%(name)` inside a value.
//! What is unknown stays in the text and is reported, so that the caller can warn.

use super::expression::{self, Failure};
use super::scheme;

/// What `%(name)` and `$(NAME)` mean.
pub trait Names {
    /// The unresolved value of an option or placeholder; the first one wins.
    fn placeholder(&self, name: &str) -> Option<String>;
    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<String>;
}

/// A resolved value.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// The text to use.
    pub text: String,
    /// Names without a value, which stand in the text unresolved.
    pub unknown: Vec<String>,
    /// Expressions whose meaning depends on the order of evaluation.
    pub ambiguous: Vec<String>,
}

/// Placeholders in placeholders, at most this deep: beyond, they go in a circle.
const MAX_DEPTH: usize = 32;

/// Resolves one value; the error says what can never be resolved.
pub fn resolve(value: &str, names: &dyn Names) -> Result<Resolved, String> {
    let mut resolved = Resolved::default();
    let mut resolver = Resolver {
        names,
        out: &mut resolved,
    };
    let text = resolver.value(value, 0)?;
    resolved.text = text;
    Ok(resolved)
}

/// Whether a value refers to the placeholder `name`.
pub fn mentions(value: &str, name: &str) -> bool {
    groups(value, "%(").any(|inner| {
        inner.trim() == name
            || inner
                .split(|c: char| c.is_whitespace() || "()+*/".contains(c))
                .any(|word| word == name)
    })
}

/// Puts the value of the innermost loop or condition for `%(_)` and for `_` in expressions.
pub fn bind(value: &str, current: &str) -> String {
    replace(value, "%(", &mut |inner| {
        if inner.trim() == "_" {
            return Ok(Some(current.to_owned()));
        }
        let words: Vec<&str> = inner.split_whitespace().collect();
        if !words.contains(&"_") {
            return Ok(None);
        }
        let words: Vec<&str> = words.iter().map(|w| if *w == "_" { current } else { w }).collect();
        Ok(Some(format!("%({})", words.join(" "))))
    })
    .unwrap_or_else(|_: std::convert::Infallible| value.to_owned())
}

struct Resolver<'a> {
    names: &'a dyn Names,
    out: &'a mut Resolved,
}

impl Resolver<'_> {
    fn value(&mut self, value: &str, depth: usize) -> Result<String, String> {
        if depth > MAX_DEPTH {
            return Err("the placeholders refer to each other in a circle".into());
        }
        let text = replace(value, "$(", &mut |name| Ok::<_, String>(self.names.variable(name)))?;
        let text = replace(&text, "@(", &mut |name| {
            if name.trim().is_empty() {
                return Ok(None);
            }
            let (text, _) = scheme::read(name).map_err(|e| e.to_string())?;
            Ok::<_, String>(Some(text.trim_end_matches(['\n', '\r']).to_owned()))
        })?;
        replace(&text, "%(", &mut |inner| self.placeholder(inner, depth))
    }

    fn placeholder(&mut self, inner: &str, depth: usize) -> Result<Option<String>, String> {
        if let Some(value) = self.names.placeholder(inner.trim()) {
            return self.value(&value, depth + 1).map(Some);
        }
        if let Some(value) = self.composed(inner, depth)? {
            return Ok(Some(value));
        }
        if !expression::is_expression(inner) {
            let computed = inner.parse::<i64>().is_ok().then(|| inner.to_owned());
            if computed.is_none() {
                self.unknown(inner);
            }
            return Ok(computed);
        }
        let mut failed = None;
        let computed = expression::evaluate(inner, &mut |name| {
            let value = self.names.placeholder(name)?;
            match self.value(&value, depth + 1) {
                Ok(value) => Some(value),
                Err(error) => {
                    failed.get_or_insert(error);
                    None
                }
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        match computed {
            Ok(value) => {
                if value.precedence_matters {
                    self.out.ambiguous.push(format!("%({inner})"));
                }
                Ok(Some(value.text))
            }
            Err(Failure::Unknown(name)) => {
                self.unknown(&name);
                Ok(None)
            }
            Err(Failure::Wrong(reason)) => Err(format!("%({inner}): {reason}")),
        }
    }

    /// `%(db_%(stage))`: the name itself is composed, if that gives the name of something.
    fn composed(&mut self, inner: &str, depth: usize) -> Result<Option<String>, String> {
        if !inner.contains("%(") {
            return Ok(None);
        }
        let unknown = self.out.unknown.len();
        let name = self.value(inner, depth + 1)?;
        // what is unknown in it is said when it is read as an expression
        self.out.unknown.truncate(unknown);
        match self.names.placeholder(name.trim()) {
            Some(value) => self.value(&value, depth + 1).map(Some),
            None => Ok(None),
        }
    }

    fn unknown(&mut self, name: &str) {
        if !self.out.unknown.iter().any(|known| known == name) {
            self.out.unknown.push(name.to_owned());
        }
    }
}

/// Replaces each `open…)` by what `with` gives; `None` leaves it as it is.
fn replace<E>(text: &str, open: &str, with: &mut dyn FnMut(&str) -> Result<Option<String>, E>) -> Result<String, E> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(open) {
        let inner = start + open.len();
        out.push_str(&rest[..start]);
        let Some(length) = closing(&rest[inner..]) else {
            out.push_str(open);
            rest = &rest[inner..];
            continue;
        };
        let end = inner + length + 1;
        match with(&rest[inner..inner + length])? {
            Some(value) => out.push_str(&value),
            None => out.push_str(&rest[start..end]),
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    Ok(out)
}

/// The texts between `open` and its `)`.
fn groups<'a>(text: &'a str, open: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(open).filter_map(move |(at, _)| {
        let inner = &text[at + open.len()..];
        closing(inner).map(|length| &inner[..length])
    })
}

/// Where the `)` of an already open parenthesis stands; the first one when they do not match.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' if depth == 0 => return Some(at),
            b')' => depth -= 1,
            _ => {}
        }
    }
    text.find(')')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Fixed;
    impl Names for Fixed {
        fn placeholder(&self, name: &str) -> Option<String> {
            let value = match name {
                "a" => "1",
                "b" => "%(a)2",
                "c" => "%(b)3",
                "loop" => "%(loop2)",
                "loop2" => "%(loop)",
                "env" => "$(HOME)/x",
                "stage" => "env",
                "x_env" => "composed",
                _ => return None,
            };
            Some(value.to_owned())
        }
        fn variable(&self, name: &str) -> Option<String> {
            (name == "HOME").then(|| "/home/u".to_owned())
        }
    }

    fn text(value: &str) -> String {
        resolve(value, &Fixed).unwrap().text
    }

    #[test]
    fn placeholders_nest_and_reach_the_environment_and_files() {
        assert_eq!(text("x%(c)y"), "x123y");
        assert_eq!(text("%(env) $(HOME)"), "/home/u/x /home/u");
        assert_eq!(text("@(exec://echo out)!"), "out!");
        assert_eq!(text("@(data://(x))@()"), "(x)@()");
        assert_eq!(text("%(a + 1) %((b * 2) + 1)"), "2 25");
        assert_eq!(text("%(x_%(stage)) %(%(stage)) %(%(a) + 1)"), "composed /home/u/x 2");
    }

    #[test]
    fn the_unknown_stays_and_is_reported() {
        let resolved = resolve("%(nope) $(NOPE) %(zed + 1) %(open", &Fixed).unwrap();
        assert_eq!(resolved.text, "%(nope) $(NOPE) %(zed + 1) %(open");
        assert_eq!(resolved.unknown, ["nope", "zed"]);
    }

    #[test]
    fn what_cannot_be_resolved_is_an_error() {
        assert!(resolve("%(loop)", &Fixed).unwrap_err().contains("circle"));
        assert!(resolve("%(loop + 1)", &Fixed).unwrap_err().contains("circle"));
        assert!(resolve("%(a / 0)", &Fixed).unwrap_err().contains("divided by zero"));
        assert!(
            resolve("@(/no/absent)", &Fixed)
                .unwrap_err()
                .contains("absent: No such file")
        );
    }

    #[test]
    fn the_current_value_is_bound_also_in_expressions() {
        assert_eq!(bind("p%(_) %(_ + 8000) %(x) %(a_b)", "3"), "p3 %(3 + 8000) %(x) %(a_b)");
    }

    #[test]
    fn mentions_are_found_in_expressions_too() {
        assert!(mentions("x %(foo)", "foo") && mentions("%(foo+1)", "foo") && mentions("%((foo * 2) + 1)", "foo"));
        assert!(!mentions("%(food) foo", "foo"));
    }

    proptest! {
        #[test]
        fn never_panics(value in "[%$(){}_a-c+/ 0-9]{0,40}|[^@]{0,40}") {
            let _ = resolve(&value, &Fixed);
            let _ = bind(&value, "1");
        }

        #[test]
        fn a_text_without_signs_is_untouched(value in "[^%$@]{0,40}") {
            prop_assert_eq!(text(&value), value);
        }
    }
}
