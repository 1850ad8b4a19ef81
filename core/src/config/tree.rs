//! What YAML, JSON and TOML have in common: a tree whose upper keys are sections and whose lists repeat an option.

use super::dialect::Parsed;
use super::directive::{Directive, Origin};
use std::sync::Arc;

/// A value of a YAML, JSON or TOML file; numbers and words stay as they are written.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// No value: a bare key.
    Null,
    /// A text, number or word.
    Scalar(String),
    /// The option is repeated for each.
    List(Vec<Node>),
    /// Keys in order, repeats kept, with the line of each key (0: unknown).
    Map(Vec<(String, Node, u32)>),
}

/// A shape without a meaning, with its line.
pub struct Meaningless {
    /// From 1; 0 when unknown.
    pub line: u32,
    /// What stands there and what should.
    pub reason: String,
}

/// The directives of the key `section` of the root.
pub fn directives(root: &Node, section: &str, path: &Arc<str>) -> Result<Parsed, Meaningless> {
    let mut parsed = Parsed::default();
    let Node::Map(sections) = root else {
        return Err(Meaningless {
            line: 1,
            reason: format!("the file must be a mapping with the key {section:?}"),
        });
    };
    parsed.sections.extend(sections.iter().map(|(key, ..)| key.clone()));
    for (_, body, line) in sections.iter().filter(|(key, ..)| key == section) {
        parsed.found = true;
        match body {
            Node::Map(rows) => {
                for (key, value, line) in rows {
                    push(&mut parsed.directives, key, value, *line, path)?;
                }
            }
            Node::Null => {}
            _ => {
                return Err(Meaningless {
                    line: *line,
                    reason: format!("{section:?} must hold option: value pairs"),
                });
            }
        }
    }
    Ok(parsed)
}

fn push(out: &mut Vec<Directive>, key: &str, value: &Node, line: u32, path: &Arc<str>) -> Result<(), Meaningless> {
    let origin = Origin::File {
        path: Arc::clone(path),
        line,
    };
    match value {
        Node::Null => out.push(Directive::flag(key, origin)),
        Node::Scalar(text) => out.push(Directive::new(key, text.as_str(), origin)),
        Node::List(items) => {
            for item in items {
                match item {
                    Node::Null | Node::Scalar(_) => push(out, key, item, line, path)?,
                    _ => return Err(nested(key, line)),
                }
            }
        }
        Node::Map(_) => return Err(nested(key, line)),
    }
    Ok(())
}

fn nested(key: &str, line: u32) -> Meaningless {
    Meaningless {
        line,
        reason: format!("{key:?} must be a text, a number or a list of them"),
    }
}
