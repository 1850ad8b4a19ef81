//! The JSON dialect: sections are top-level keys, an array repeats the option; repeated keys stay in order.

use super::dialect::Parsed;
use super::directive::Origin;
use super::error::ConfigError;
use super::tree::{self, Node};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::sync::Arc;

/// Reads the directives of the section.
pub fn parse(text: &str, section: &str, path: &Arc<str>) -> Result<Parsed, ConfigError> {
    let failed = |line: u32, reason: String| ConfigError::Json {
        place: Origin::File {
            path: Arc::clone(path),
            line,
        },
        reason,
    };
    let root: Node = serde_json::from_str(text).map_err(|e| {
        let text = e.to_string();
        let reason = text.rfind(" at line").map_or(text.as_str(), |end| &text[..end]);
        failed(
            u32::try_from(e.line()).unwrap_or(0),
            format!("{reason} (column {})", e.column()),
        )
    })?;
    tree::directives(&root, section, path).map_err(|e| failed(e.line, e.reason))
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Build)
    }
}

/// Builds a [`Node`]; numbers and booleans become their text.
struct Build;

impl<'de> Visitor<'de> for Build {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }
    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut rows = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Node>()? {
            rows.push((key, value, 0));
        }
        Ok(Node::Map(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, Option<String>)>, String> {
        let parsed = parse(text, "uwsgi", &Arc::from("t.json")).map_err(|e| e.to_string())?;
        Ok(parsed.directives.into_iter().map(|d| (d.key, d.value)).collect())
    }

    #[test]
    fn values_become_texts_and_repeats_are_kept() {
        let rows = read(r#"{"uwsgi": {"p": ["a", 2, true], "m": false, "p": "b", "endif": null, "f": 1.5}}"#);
        let texts: Vec<_> = rows
            .unwrap()
            .into_iter()
            .map(|(k, v)| format!("{k}={}", v.unwrap_or("-".into())))
            .collect();
        assert_eq!(texts, ["p=a", "p=2", "p=true", "m=false", "p=b", "endif=-", "f=1.5"]);
    }

    #[test]
    fn a_broken_file_names_line_and_column() {
        let error = read("{\"uwsgi\": {\n\"print\": \"P:x\",,}}").unwrap_err();
        assert!(error.starts_with("error parsing JSON data: t.json:2: "), "{error}");
        assert!(read("[]").is_err());
        assert!(read(r#"{"uwsgi": {"a": {"b": 1}}}"#).is_err());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[\\[\\]{}\":,a-z0-9 ]{0,60}") {
            let _ = read(&text);
        }
    }
}
