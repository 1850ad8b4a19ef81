//! The XML dialect: the elements of `<uwsgi>` are directives, `<uwsgi id="x">` is the section x.

use super::dialect::Parsed;
use super::directive::{Directive, Origin};
use super::error::ConfigError;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use std::sync::Arc;

/// One open element.
enum Open {
    /// `<uwsgi>`; whether it is the asked section.
    Section(bool),
    /// A directive of the asked section: key, text so far, line.
    Directive(String, String, u32),
    /// Anything else.
    Other,
}

/// Reads the directives of the `<uwsgi>` elements whose id is `section` (`None`: those without an id).
pub fn parse(text: &str, section: Option<&str>, path: &Arc<str>) -> Result<Parsed, ConfigError> {
    let mut reader = Reader::from_str(text);
    let mut parsed = Parsed::default();
    let mut open: Vec<Open> = Vec::new();
    let mut seen_root = false;
    let mut line = Line::new(text);
    loop {
        let at = |line: &mut Line<'_>, offset: u64| Origin::File {
            path: Arc::clone(path),
            line: line.at(offset),
        };
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(e) => {
                return Err(ConfigError::Xml {
                    place: at(&mut line, reader.error_position()),
                    reason: e.to_string(),
                });
            }
        };
        let position = reader.buffer_position();
        match event {
            Event::Start(element) => {
                seen_root = true;
                let number = line.at(position);
                open.push(opened(&element, section, open.last(), number));
                parsed.found |= matches!(open.last(), Some(Open::Section(true)));
                parsed.sections.extend(section_id(&element));
            }
            Event::Empty(element) => {
                seen_root = true;
                let number = line.at(position);
                match opened(&element, section, open.last(), number) {
                    Open::Directive(key, _, _) => parsed.directives.push(Directive::flag(key, at(&mut line, position))),
                    Open::Section(true) => parsed.found = true,
                    _ => {}
                }
            }
            Event::End(_) => {
                if let Some(Open::Directive(key, value, line)) = open.pop() {
                    let path = Arc::clone(path);
                    let origin = Origin::File { path, line };
                    parsed.directives.push(match value.trim() {
                        "" => Directive::flag(key, origin),
                        value => Directive::new(key, value, origin),
                    });
                }
            }
            Event::Text(chunk) => append(&mut open, &chunk),
            Event::CData(chunk) => append(&mut open, &chunk),
            Event::GeneralRef(entity) => {
                let name = entity.to_string();
                match entity.resolve_char_ref() {
                    Ok(Some(c)) => append(&mut open, c.encode_utf8(&mut [0; 4])),
                    _ => match resolve_predefined_entity(&name) {
                        Some(text) => append(&mut open, text),
                        None => {
                            return Err(ConfigError::Xml {
                                place: at(&mut line, position),
                                reason: format!("unknown entity &{name};"),
                            });
                        }
                    },
                }
            }
            Event::Eof if open.is_empty() && seen_root => return Ok(parsed),
            Event::Eof => {
                let reason = match seen_root {
                    true => "the file ends inside an element",
                    false => "no element found",
                };
                return Err(ConfigError::Xml {
                    place: at(&mut line, position),
                    reason: reason.into(),
                });
            }
            _ => {}
        }
    }
}

/// What an opening tag means where it stands.
fn opened(element: &BytesStart<'_>, section: Option<&str>, parent: Option<&Open>, line: u32) -> Open {
    let name = element.name().as_ref().to_owned();
    if name == "uwsgi" || name == "rsgi" {
        let id = section_id(element);
        // the root counts also when it has a name and none is asked for
        let is_root = parent.is_none() && section.is_none();
        return Open::Section(is_root || id.as_deref() == section);
    }
    match parent {
        Some(Open::Section(true)) => Open::Directive(name, String::new(), line),
        _ => Open::Other,
    }
}

/// The id of a `<uwsgi>`.
fn section_id(element: &BytesStart<'_>) -> Option<String> {
    let id = element.attributes().flatten().find(|a| a.key.as_ref() == "id");
    id.map(|a| a.value.into_owned())
}

fn append(open: &mut [Open], text: &str) {
    if let Some(Open::Directive(_, value, _)) = open.last_mut() {
        value.push_str(text);
    }
}

/// Line numbers of growing offsets, counted once over the text.
struct Line<'a> {
    text: &'a [u8],
    offset: usize,
    line: u32,
}

impl<'a> Line<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            offset: 0,
            line: 1,
        }
    }

    fn at(&mut self, offset: u64) -> u32 {
        let end = usize::try_from(offset).map_or(self.text.len(), |o| o.min(self.text.len()));
        if end > self.offset {
            let passed = self.text[self.offset..end].iter().filter(|b| **b == b'\n');
            self.line += passed.count() as u32;
            self.offset = end;
        }
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, section: Option<&str>) -> Result<Vec<(String, Option<String>)>, ConfigError> {
        let parsed = parse(text, section, &Arc::from("t.xml"))?;
        Ok(parsed.directives.into_iter().map(|d| (d.key, d.value)).collect())
    }

    #[test]
    fn elements_are_directives_in_order() {
        let text = "<?xml version=\"1.0\"?>\n<uwsgi>\n <!-- c -->\n <a> x </a>\n <m/>\n <e></e>\n <a>y &amp; &#65;<![CDATA[<z>]]></a>\n</uwsgi>\n";
        let expected = [
            ("a".into(), Some("x".into())),
            ("m".into(), None),
            ("e".into(), None),
            ("a".into(), Some("y & A<z>".into())),
        ];
        assert_eq!(read(text, None).unwrap(), expected);
    }

    #[test]
    fn sections_have_an_id_and_may_be_nested() {
        let text = "<r><uwsgi><a>1</a><uwsgi id=\"b\"><a>2</a></uwsgi></uwsgi><uwsgi id=\"c\"><a>3</a></uwsgi></r>";
        assert_eq!(read(text, None).unwrap(), [("a".into(), Some("1".into()))]);
        assert_eq!(read(text, Some("b")).unwrap(), [("a".into(), Some("2".into()))]);
        assert_eq!(read(text, Some("c")).unwrap(), [("a".into(), Some("3".into()))]);
    }

    #[test]
    fn a_named_root_is_read_without_its_name() {
        let text = "<uwsgi id=\"z\"><a>1</a><uwsgi id=\"y\"><a>2</a></uwsgi></uwsgi>";
        assert_eq!(read(text, None).unwrap(), [("a".into(), Some("1".into()))]);
        assert_eq!(read(text, Some("y")).unwrap(), [("a".into(), Some("2".into()))]);
    }

    #[test]
    fn a_broken_file_is_refused_with_its_line() {
        let error = read("<uwsgi>\n<a>x</uwsgi>", None).unwrap_err().to_string();
        assert!(error.starts_with("t.xml:2: not well-formed XML"), "{error}");
        assert!(read("<uwsgi><a>x</a>", None).is_err());
        assert!(read("", None).is_err());
        assert!(read("<uwsgi><a>&nope;</a></uwsgi>", None).is_err());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[<>/a-z&;\"= \n!-]{0,80}") {
            let _ = parse(&text, None, &Arc::from("t.xml"));
        }
    }
}
