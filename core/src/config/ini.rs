//! The INI dialect: `key = value` lines of one section, in order, repeats allowed.
//! Quotes and backslashes are literal, a comment fills a whole line, a key without `=` means "true".

use super::dialect::Parsed;
use super::directive::{Directive, Origin};
use super::error::ConfigError;
use std::sync::Arc;

/// Reads the directives of `section`; a section that stands twice is read twice.
///
/// # Errors
/// A `[` without its `]`: everything below would belong to the wrong section.
pub fn parse(text: &str, section: &str, path: &Arc<str>) -> Result<Parsed, ConfigError> {
    let mut parsed = Parsed::default();
    let mut inside = false;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with([';', '#']) {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            let Some((name, _)) = header.split_once(']') else {
                return Err(ConfigError::Ini {
                    place: Origin::File {
                        path: Arc::clone(path),
                        line: number,
                    },
                    reason: format!("{line} begins a section and does not end: write {line}]"),
                });
            };
            inside = name == section;
            parsed.found |= inside;
            if !parsed.sections.iter().any(|known| known == name) {
                parsed.sections.push(name.to_owned());
            }
            continue;
        }
        if !inside {
            if parsed.sections.is_empty() {
                parsed.orphan.get_or_insert(number);
            }
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
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(text: &str, section: &str) -> Vec<(String, Option<String>)> {
        let parsed = parse(text, section, &Arc::from("t.ini")).unwrap();
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
        let parsed = parse("[uwsgi]\n\na=1", "uwsgi", &Arc::from("t.ini")).unwrap();
        assert_eq!(parsed.directives[0].origin.to_string(), "t.ini:3");
        assert!(parsed.found);
        assert!(!parse("[uwsgi]\n", "nope", &Arc::from("t.ini")).unwrap().found);
        assert_eq!(
            parse("\na=1\n[x]\nb=1", "x", &Arc::from("t.ini")).unwrap().orphan,
            Some(2)
        );
    }

    #[test]
    fn a_section_without_its_end_is_refused() {
        let error = parse("\n[uwsgi\na=1", "uwsgi", &Arc::from("t.ini")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "error parsing INI data: t.ini:2: [uwsgi begins a section and does not end: write [uwsgi]"
        );
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*", section in ".{0,5}") {
            let _ = parse(&text, &section, &Arc::from("t.ini"));
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
