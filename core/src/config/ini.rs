//! The INI dialect: `key = value` lines of one section, in order, repeats allowed.
//! Quotes and backslashes are literal, a comment fills a whole line, a key without `=` means "true".

use super::dialect::Parsed;
use super::directive::{Directive, Origin};
use std::sync::Arc;

/// Reads the directives of `section`; a section that stands twice is read twice.
pub fn parse(text: &str, section: &str, path: &Arc<str>) -> Parsed {
    let mut parsed = Parsed::default();
    let mut inside = false;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with([';', '#']) {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            let name = header.split(']').next().unwrap_or(header);
            inside = name == section;
            parsed.found |= inside;
            if !parsed.sections.iter().any(|known| known == name) {
                parsed.sections.push(name.to_owned());
            }
            continue;
        }
        if !inside {
            continue;
        }
        let origin = Origin::File {
            path: Arc::clone(path),
            line: number,
        };
        parsed.directives.push(match line.split_once('=') {
            Some((key, value)) => Directive::new(key.trim_end(), value.trim_start(), origin),
            None => Directive::flag(line, origin),
        });
    }
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(text: &str, section: &str) -> Vec<(String, Option<String>)> {
        let parsed = parse(text, section, &Arc::from("t.ini"));
        parsed.directives.into_iter().map(|d| (d.key, d.value)).collect()
    }

    fn some(key: &str, value: &str) -> (String, Option<String>) {
        (key.into(), Some(value.into()))
    }

    #[test]
    fn reads_only_the_asked_section_and_merges_its_parts() {
        let text = "a = 0\n[uwsgi]\na = 1\n[other]\na = 2\n[uwsgi]\na = 3\n";
        assert_eq!(pairs(text, "uwsgi"), [some("a", "1"), some("a", "3")]);
        assert_eq!(pairs(text, "other"), [some("a", "2")]);
    }

    #[test]
    fn keeps_inner_signs_and_drops_outer_space_and_line_ends() {
        let text = "  [uwsgi]  \r\n\t a  =   x=y;z#q   \r\nbare\r\n; c\n# c\nlast = \"v\\n\"";
        assert_eq!(
            pairs(text, "uwsgi"),
            [some("a", "x=y;z#q"), ("bare".into(), None), some("last", "\"v\\n\"")]
        );
    }

    #[test]
    fn says_whether_the_section_exists_and_where_a_line_stands() {
        let parsed = parse("[uwsgi]\n\na=1", "uwsgi", &Arc::from("t.ini"));
        assert_eq!(parsed.directives[0].origin.to_string(), "t.ini:3");
        assert!(parsed.found);
        assert!(!parse("[uwsgi]\n", "nope", &Arc::from("t.ini")).found);
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*", section in ".{0,5}") {
            parse(&text, &section, &Arc::from("t.ini"));
        }

        #[test]
        fn gives_back_what_was_written(rows in prop::collection::vec(("[a-z][a-z0-9-]{0,9}", "[!-~][ -~]{0,20}[!-~]"), 0..20)) {
            let mut text = String::from("[uwsgi]\n");
            for (key, value) in &rows {
                text += &format!("{key} = {value}\n");
            }
            let expected: Vec<_> = rows.iter().map(|(k, v)| some(k, v)).collect();
            prop_assert_eq!(pairs(&text, "uwsgi"), expected);
        }
    }
}
