//! Encoders: what `--log-encoder` and `--log-req-encoder` make of a line on its way to a logger. They are applied in their
//! order, by the process that delivers, each to what the one before has made.

use super::foreign::Foreign;
use super::json;
use super::msgpack::Packer;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use rsgi_plugin_api::logger::rfc3339;
use std::ffi::CString;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// The names of encoders, for those who mistyped one.
const KNOWN: &str = "prefix, suffix, nl, format, json, gzip, compress, msgpack";

/// One step.
#[derive(Debug)]
pub enum Encoder {
    /// Text in front.
    Prefix(Vec<u8>),
    /// Text behind, after the newline.
    Suffix(Vec<u8>),
    /// A newline behind.
    Newline,
    /// A template.
    Format(Template),
    /// A gzip member of its own.
    Gzip,
    /// A zlib stream of its own.
    Deflate,
    /// A MessagePack value.
    Msgpack(Packer),
    /// What a plugin makes of it.
    Foreign(Foreign),
    /// A JSON object; what is one already stays as it is (`--log-json`).
    Object(Template),
}

/// An encoder and the logger it is for.
#[derive(Debug)]
pub struct Rule {
    /// The name of the logger; `None`: all.
    pub logger: Option<String>,
    /// What it does.
    pub encoder: Encoder,
}

impl Rule {
    /// Reads `ENCODER[:LOGGER] ARGUMENT`.
    ///
    /// # Errors
    /// One line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (head, argument) = text.split_once(' ').unwrap_or((text, ""));
        let (name, logger) = match head.split_once(':') {
            Some((name, logger)) => (name, Some(logger.to_owned()).filter(|l| !l.is_empty())),
            None => (head, None),
        };
        let encoder = match name {
            "prefix" => Encoder::Prefix(argument.into()),
            "suffix" => Encoder::Suffix(argument.into()),
            "nl" => Encoder::Newline,
            "format" => Encoder::Format(Template::parse(argument, false)?),
            "json" => Encoder::Format(Template::parse(argument, true)?),
            "gzip" => Encoder::Gzip,
            "compress" => Encoder::Deflate,
            "msgpack" => Encoder::Msgpack(Packer::parse(argument)?),
            other => match Foreign::find(other, logger.as_deref(), argument) {
                Some(foreign) => Encoder::Foreign(foreign),
                None => {
                    return Err(format!(
                        "there is no encoder \"{other}\" (encoders: {KNOWN}); give ENCODER[:LOGGER] ARGUMENT"
                    ));
                }
            },
        };
        Ok(Self { logger, encoder })
    }
}

impl Encoder {
    /// The step of `--log-json` for lines that are no requests.
    pub fn object() -> Self {
        // a template of ours, which the test below reads
        let template = Template::parse(r#"{"time":"${iso}","message":"${msg}"}"#, true);
        Self::Object(template.unwrap_or_default())
    }

    /// What becomes of a line.
    pub fn encode(&self, line: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Prefix(text) => [text, line.as_slice()].concat(),
            Self::Suffix(text) => [line.as_slice(), text].concat(),
            Self::Newline => [line.as_slice(), b"\n"].concat(),
            Self::Format(template) => template.fill(&line),
            Self::Gzip => packed(
                GzEncoder::new(Vec::new(), Compression::default()),
                &line,
                GzEncoder::finish,
            ),
            Self::Deflate => packed(
                ZlibEncoder::new(Vec::new(), Compression::default()),
                &line,
                ZlibEncoder::finish,
            ),
            Self::Msgpack(packer) => packer.pack(&line),
            Self::Foreign(foreign) => foreign.encode(line),
            Self::Object(_) if json::is_object(&line) => line,
            Self::Object(template) => {
                let mut object = template.fill(&line);
                object.push(b'\n');
                object
            }
        }
    }
}

/// Writing into memory does not fail.
fn packed<W: Write>(mut packer: W, line: &[u8], finish: fn(W) -> std::io::Result<Vec<u8>>) -> Vec<u8> {
    let written = packer.write_all(line);
    written.and_then(|()| finish(packer)).unwrap_or_default()
}

/// A line without its newline.
pub(super) fn bare(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// The time now.
pub(super) fn now() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[derive(Debug)]
enum Part {
    Text(Vec<u8>),
    Message,
    MessageWithNewline,
    Seconds,
    Micros,
    Iso,
    Strftime(CString),
}

/// A text with `${msg}`, `${unix}` and so on.
#[derive(Debug, Default)]
pub struct Template {
    parts: Vec<Part>,
    is_json: bool,
}

impl Template {
    fn parse(text: &str, is_json: bool) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, behind) = after
                .split_once('}')
                .ok_or_else(|| format!("\"${{{after}\": the bracket is not closed"))?;
            if !before.is_empty() {
                parts.push(Part::Text(before.into()));
            }
            parts.push(match name.split_once(':') {
                None if name == "msg" => Part::Message,
                None if name == "msgnl" => Part::MessageWithNewline,
                None if name == "unix" => Part::Seconds,
                None if name == "micros" => Part::Micros,
                None if name == "iso" => Part::Iso,
                Some(("strftime", form)) => {
                    Part::Strftime(CString::new(form).map_err(|_| "strftime: a NUL in the form".to_owned())?)
                }
                _ => {
                    return Err(format!(
                        "unknown \"${{{name}}}\": known are ${{msg}}, ${{msgnl}}, ${{unix}}, ${{micros}}, ${{iso}}, ${{strftime:FORM}}"
                    ));
                }
            });
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        Ok(Self { parts, is_json })
    }

    fn text(&self, out: &mut Vec<u8>, text: &[u8]) {
        match self.is_json {
            true => json::escape(out, text),
            false => out.extend_from_slice(text),
        }
    }

    fn fill(&self, line: &[u8]) -> Vec<u8> {
        let now = now();
        let mut out = Vec::with_capacity(line.len() + 64);
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Message => self.text(&mut out, bare(line)),
                Part::MessageWithNewline => self.text(&mut out, line),
                Part::Seconds => drop(write!(out, "{}", now.as_secs())),
                Part::Micros => drop(write!(out, "{}", now.as_micros())),
                Part::Iso => rfc3339(&mut out, now.as_secs() as i64, now.subsec_micros()),
                Part::Strftime(form) => self.text(&mut out, super::strftime(form, now.as_secs() as i64).as_bytes()),
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read;

    fn encode(rule: &str, line: &str) -> Vec<u8> {
        Rule::parse(rule).unwrap().encoder.encode(line.into())
    }

    #[test]
    fn texts_around_a_line() {
        assert_eq!(encode("prefix P>", "a\n"), b"P>a\n");
        // behind the newline, as uWSGI has it
        assert_eq!(encode("suffix S", "a\n"), b"a\nS");
        assert_eq!(encode("nl", "a"), b"a\n");
        assert_eq!(encode("format [x ${msg} y] ${msgnl}", "a\n"), b"[x a y] a\n");
        assert_eq!(encode("format ${strftime:%%}$", "a\n"), b"%$");
        let rule = Rule::parse("prefix:errors two words").unwrap();
        assert!(
            rule.logger.as_deref() == Some("errors") && matches!(rule.encoder, Encoder::Prefix(t) if t == b"two words")
        );
    }

    #[test]
    fn packed_lines_are_read_by_others() {
        let mut text = String::new();
        let packed = encode("gzip", "hello\n");
        flate2::read::GzDecoder::new(packed.as_slice())
            .read_to_string(&mut text)
            .unwrap();
        let packed = encode("compress", "hello\n");
        flate2::read::ZlibDecoder::new(packed.as_slice())
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "hello\nhello\n");
    }

    #[test]
    fn mistakes_are_said() {
        for (rule, said) in [
            ("jsonn {}", "no encoder \"jsonn\""),
            ("json {${msg", "not closed"),
            ("format ${unknown}", "unknown \"${unknown}\""),
            ("msgpack wrong", "\"wrong\""),
        ] {
            let error = Rule::parse(rule).unwrap_err();
            assert!(error.contains(said), "{rule}: {error}");
        }
    }

    proptest! {
        #[test]
        fn json_is_json_whatever_the_line_is(line in proptest::collection::vec(any::<u8>(), 0..60)) {
            let rule = Rule::parse(r#"json {"u":${unix},"m":"${msg}","n":"${msgnl}"}"#).unwrap();
            for encoder in [rule.encoder, Encoder::object()] {
                let out = encoder.encode(line.clone());
                let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
                prop_assert!(read.is_object());
            }
        }
    }
}
