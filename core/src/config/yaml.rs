//! The YAML dialect: sections are top-level keys, a sequence repeats the option, scalars stay as written.

use super::dialect::Parsed;
use super::directive::Origin;
use super::error::ConfigError;
use super::tree::{self, Node};
use saphyr_parser::{Event, Parser, Span};
use std::collections::HashMap;
use std::sync::Arc;

/// More values than any honest configuration has; aliases of aliases reach it quickly.
const MAX_NODES: usize = 100_000;
/// Deeper than any honest configuration nests.
const MAX_DEPTH: usize = 64;

/// Reads the directives of the section.
pub fn parse(text: &str, section: &str, path: &Arc<str>) -> Result<Parsed, ConfigError> {
    let mut builder = Builder {
        events: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
    };
    let failed = |line: u32, reason: String| ConfigError::Yaml {
        place: Origin::File {
            path: Arc::clone(path),
            line,
        },
        reason,
    };
    let root = builder.document().map_err(|e| failed(e.line, e.reason))?;
    tree::directives(&root, section, path).map_err(|e| failed(e.line, e.reason))
}

use super::tree::Meaningless as Failure;

struct Builder<'a> {
    events: Parser<'a, saphyr_parser::StrInput<'a>>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<(Event<'a>, u32), Failure> {
        match self.events.next() {
            Some(Ok((event, span))) => Ok((event, line_of(span))),
            Some(Err(error)) => Err(Failure {
                line: u32::try_from(error.marker().line()).unwrap_or(0),
                reason: error.info().to_owned(),
            }),
            None => Ok((Event::StreamEnd, 0)),
        }
    }

    /// The first document of the stream.
    fn document(&mut self) -> Result<Node, Failure> {
        loop {
            let (event, line) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
                Event::StreamEnd => return Ok(Node::Null),
                event => return self.node(event, line, 0),
            }
        }
    }

    fn node(&mut self, event: Event<'a>, line: u32, depth: usize) -> Result<Node, Failure> {
        let before = self.nodes;
        self.count(1, line)?;
        if depth > MAX_DEPTH {
            return Err(fail(line, "nested too deeply"));
        }
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == saphyr_parser::ScalarStyle::Plain;
                let node = match text.as_ref() {
                    "" | "~" if plain => Node::Null,
                    _ => Node::Scalar(text.into_owned()),
                };
                (node, anchor)
            }
            Event::Alias(id) => {
                let (node, size) = match self.anchors.get(&id) {
                    Some(known) => known.clone(),
                    None => return Err(fail(line, "unknown alias")),
                };
                self.count(size, line)?;
                (node, 0)
            }
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, line) => items.push(self.node(event, line, depth + 1)?),
                    }
                }
                (Node::List(items), anchor)
            }
            Event::MappingStart(anchor, _) => (Node::Map(self.pairs(depth)?), anchor),
            _ => return Err(fail(line, "unexpected end")),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before));
        }
        Ok(node)
    }

    fn pairs(&mut self, depth: usize) -> Result<Vec<(String, Node, u32)>, Failure> {
        let mut rows = Vec::new();
        loop {
            let (key, line) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(rows),
                (Event::Scalar(key, ..), line) => (key.into_owned(), line),
                (_, line) => return Err(fail(line, "a key must be a plain text")),
            };
            let (event, value_line) = self.next()?;
            let value = self.node(event, value_line, depth + 1)?;
            match (key.as_str(), value) {
                // `<<: *base`: the rows of another mapping
                ("<<", Node::Map(base)) => rows.extend(base),
                (_, value) => rows.push((key, value, line)),
            }
        }
    }

    fn count(&mut self, more: usize, line: u32) -> Result<(), Failure> {
        self.nodes += more;
        match self.nodes > MAX_NODES {
            true => Err(fail(line, "too many values (aliases of aliases?)")),
            false => Ok(()),
        }
    }
}

fn line_of(span: Span) -> u32 {
    u32::try_from(span.start.line()).unwrap_or(0)
}

fn fail(line: u32, reason: &str) -> Failure {
    Failure {
        line,
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, section: &str) -> Result<Vec<String>, String> {
        let parsed = parse(text, section, &Arc::from("t.yml")).map_err(|e| e.to_string())?;
        let show =
            |d: &super::super::Directive| format!("{}={}@{}", d.key, d.value.as_deref().unwrap_or("-"), d.origin);
        Ok(parsed.directives.iter().map(show).collect())
    }

    #[test]
    fn scalars_stay_as_written_and_lists_repeat() {
        let text = "uwsgi:\n  # c\n  chmod-socket: 0660\n  master: yes\n  endif:\n  print:\n    - 'one'\n    - 1.10\nother:\n  a: 1\n";
        assert_eq!(
            read(text, "uwsgi").unwrap(),
            [
                "chmod-socket=0660@t.yml:3",
                "master=yes@t.yml:4",
                "endif=-@t.yml:5",
                "print=one@t.yml:6",
                "print=1.10@t.yml:6"
            ]
        );
        assert_eq!(read(text, "other").unwrap(), ["a=1@t.yml:10"]);
    }

    #[test]
    fn repeated_keys_anchors_and_merges_are_kept_in_order() {
        let text = "base: &b\n  a: 1\nuwsgi:\n  <<: *b\n  a: 2\n  a: 3\n";
        assert_eq!(
            read(text, "uwsgi").unwrap(),
            ["a=1@t.yml:2", "a=2@t.yml:5", "a=3@t.yml:6"]
        );
    }

    #[test]
    fn wrong_shapes_and_floods_are_refused_with_their_line() {
        assert!(
            read("uwsgi:\n  a:\n    b: 1\n", "uwsgi")
                .unwrap_err()
                .contains("t.yml:2")
        );
        assert!(read("uwsgi: [1", "uwsgi").unwrap_err().contains("t.yml:"));
        let mut flood = String::from("l0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for i in 1..9 {
            let p = format!("*a{}", i - 1);
            flood += &format!("l{i}: &a{i} [{}]\n", [p.as_str(); 10].join(","));
        }
        assert!(read(&flood, "uwsgi").unwrap_err().contains("too many values"));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[a-z:&*<{}\\[\\]\n '\"#-]{0,60}") {
            let _ = parse(&text, "uwsgi", &Arc::from("t.yml"));
        }
    }
}
