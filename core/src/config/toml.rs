//! The TOML dialect: sections are tables, an array repeats the option, numbers stay as they are written.

use super::dialect::Parsed;
use super::directive::Origin;
use super::error::ConfigError;
use super::tree::{self, Node};
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Reads the directives of the table.
pub fn parse(text: &str, section: &str, path: &Arc<str>) -> Result<Parsed, ConfigError> {
    let failed = |line: u32, reason: String| ConfigError::Toml {
        place: Origin::File {
            path: Arc::clone(path),
            line,
        },
        reason,
    };
    let root = DeTable::parse(text).map_err(|e| {
        let line = e.span().map_or(0, |span| line_of(text, span.start));
        failed(line, e.message().to_owned())
    })?;
    let root = map(root.get_ref(), text);
    tree::directives(&root, section, path).map_err(|e| failed(e.line, e.reason))
}

/// The rows of a table in the order of the file; the parser keeps them by name.
fn map(table: &DeTable<'_>, text: &str) -> Node {
    let mut rows: Vec<_> = table.iter().collect();
    rows.sort_by_key(|(key, _)| key.span().start);
    let row = |(key, value): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
        let line = line_of(text, key.span().start);
        (key.get_ref().to_string(), node(value, text), line)
    };
    Node::Map(rows.into_iter().map(row).collect())
}

fn node(value: &Spanned<DeValue<'_>>, text: &str) -> Node {
    match value.get_ref() {
        DeValue::String(text) => Node::Scalar(text.to_string()),
        DeValue::Boolean(on) => Node::Scalar(on.to_string()),
        DeValue::Array(items) => Node::List(items.iter().map(|item| node(item, text)).collect()),
        DeValue::Table(table) => map(table, text),
        // 1_000 is the number 1000; a float and a date stay as they are written
        DeValue::Integer(number) if number.radix() == 10 => Node::Scalar(number.as_str().to_owned()),
        _ => Node::Scalar(written(text, value.span()).to_owned()),
    }
}

fn written(text: &str, span: Range<usize>) -> &str {
    text.get(span).unwrap_or("").trim()
}

fn line_of(text: &str, offset: usize) -> u32 {
    let before = text.as_bytes().iter().take(offset);
    before.filter(|byte| **byte == b'\n').count() as u32 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, String> {
        let parsed = parse(text, "uwsgi", &Arc::from("t.toml")).map_err(|e| e.to_string())?;
        let show = |d: &super::super::Directive| format!("{}={}@{}", d.key, d.text(), d.origin);
        Ok(parsed.directives.iter().map(show).collect())
    }

    #[test]
    fn tables_are_sections_and_arrays_repeat() {
        let text = "top = 1\n[other]\nz = 1\n[uwsgi]\nprocesses = 1_000\nmaster = true\n\"print\" = ['one', 1.50]\naaa = \"x # y\"\nchmod-socket = 0o660\n";
        assert_eq!(
            read(text).unwrap(),
            [
                "processes=1000@t.toml:5",
                "master=true@t.toml:6",
                "print=one@t.toml:7",
                "print=1.50@t.toml:7",
                "aaa=x # y@t.toml:8",
                "chmod-socket=0o660@t.toml:9"
            ]
        );
    }

    #[test]
    fn a_broken_file_and_a_wrong_shape_are_refused_with_their_line() {
        let error = read("[uwsgi]\na = \n").unwrap_err();
        assert!(error.starts_with("error parsing TOML data: t.toml:2: "), "{error}");
        assert!(
            read("[uwsgi]\na = 1\na = 2\n")
                .unwrap_err()
                .contains("t.toml:3: duplicate key")
        );
        assert!(read("[uwsgi]\n\n[uwsgi.a]\nb = 1\n").unwrap_err().contains("t.toml:3"));
        assert!(read("uwsgi = 1\n").is_err());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[a-z\\[\\]{}=\"',.0-9#\n é-]{0,60}") {
            let _ = read(&text);
        }
    }
}
