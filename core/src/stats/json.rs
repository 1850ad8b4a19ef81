//! JSON written in order, member by member: indented by tabs as uWSGI does, or on one line (`--stats-minified`).

use std::fmt::Write;

/// A document under way.
pub struct Json {
    out: String,
    minified: bool,
    depth: usize,
    /// Nothing was written yet in the innermost object or list.
    is_first: bool,
}

impl Json {
    /// An empty document.
    pub fn new(minified: bool) -> Self {
        Self {
            out: String::with_capacity(4096),
            minified,
            depth: 0,
            is_first: true,
        }
    }

    /// The document.
    pub fn finish(mut self) -> Vec<u8> {
        if !self.minified {
            self.out.push('\n');
        }
        self.out.into_bytes()
    }

    fn next(&mut self) {
        if !self.is_first {
            self.out.push(',');
        }
        self.is_first = false;
        self.indent();
    }

    fn indent(&mut self) {
        if !self.minified && self.depth > 0 {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n('\t', self.depth));
        }
    }

    fn key(&mut self, key: &str) {
        self.next();
        self.quote(key);
        self.out.push(':');
    }

    fn quote(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                c if c < ' ' || c == '\u{7f}' => {
                    let _ = write!(self.out, "\\u{:04x}", c as u32);
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn block(&mut self, ends: [char; 2], inside: impl FnOnce(&mut Self)) {
        self.out.push(ends[0]);
        self.depth += 1;
        self.is_first = true;
        inside(self);
        let is_empty = self.is_first;
        self.depth -= 1;
        self.is_first = false;
        if !is_empty {
            // the outermost bracket stands on a line of its own too
            if !self.minified && self.depth == 0 {
                self.out.push('\n');
            }
            self.indent();
        }
        self.out.push(ends[1]);
    }

    /// An object: the document itself, or an element of a list.
    pub fn object(&mut self, inside: impl FnOnce(&mut Self)) {
        if self.depth > 0 {
            self.next();
        }
        self.block(['{', '}'], inside);
    }

    /// A member that is an object.
    pub fn object_member(&mut self, key: &str, inside: impl FnOnce(&mut Self)) {
        self.key(key);
        self.block(['{', '}'], inside);
    }

    /// A member that is a list.
    pub fn list(&mut self, key: &str, inside: impl FnOnce(&mut Self)) {
        self.key(key);
        self.block(['[', ']'], inside);
    }

    /// A member that is a number.
    pub fn number(&mut self, key: &str, value: impl std::fmt::Display) {
        self.key(key);
        let _ = write!(self.out, "{value}");
    }

    /// A member that is a text.
    pub fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        self.quote(value);
    }

    /// A text as an element of a list.
    pub fn item(&mut self, value: &str) {
        self.next();
        self.quote(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(minified: bool) -> String {
        let mut json = Json::new(minified);
        json.object(|j| {
            j.text("a", "x");
            j.list("none", |_| {});
            j.list("l", |j| {
                j.object(|j| j.number("n", -1));
                j.item("t");
            });
        });
        String::from_utf8(json.finish()).unwrap()
    }

    #[test]
    fn both_forms_say_the_same() {
        assert_eq!(sample(true), r#"{"a":"x","none":[],"l":[{"n":-1},"t"]}"#);
        assert_eq!(
            sample(false),
            "{\n\t\"a\":\"x\",\n\t\"none\":[],\n\t\"l\":[\n\t\t{\n\t\t\t\"n\":-1\n\t\t},\n\t\t\"t\"\n\t]\n}\n"
        );
    }

    proptest! {
        #[test]
        fn any_text_survives(key in ".*", value in ".*") {
            let mut json = Json::new(false);
            json.object(|j| j.text(&key, &value));
            let read: serde_json::Value = serde_json::from_slice(&json.finish()).unwrap();
            prop_assert_eq!(read[&key].as_str(), Some(value.as_str()));
        }
    }
}
