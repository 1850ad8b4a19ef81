//! Texts of rules with what a request fills in: `$1` (a group of the pattern), `${NAME}` (a variable of the request),
//! `${kind[key]}` (something computed). Parsed once, so that what a client sends is never read as a template.

use super::{plugin, value};
use crate::request::Core;
use crate::request::vars;

/// Computes `${kind[key]}`: writes the value for a key.
pub type Compute = fn(&mut Core, &[u8], &mut Vec<u8>);

#[derive(Debug, Clone)]
enum Part {
    Text(Vec<u8>),
    Group(usize),
    Variable(Template),
    Computed(Compute, Template),
    /// A plugin's kind.
    Foreign(plugin::Variable, Template),
}

/// A parsed text.
#[derive(Debug, Clone, Default)]
pub struct Template(Vec<Part>);

impl Template {
    /// Parses a text.
    ///
    /// # Errors
    /// `${kind[` names no kind, or a brace is not closed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((first, tail)) = rest.split_first() {
            let special = match (first, tail.first()) {
                (b'$', Some(digit @ b'0'..=b'9')) => Some((Part::Group(usize::from(digit - b'0')), &tail[1..])),
                (b'$', Some(b'{')) => {
                    let end = closing(&tail[1..]).ok_or_else(|| format!("\"{text}\": a ${{ is not closed"))?;
                    let inner = std::str::from_utf8(&tail[1..=end]).map_err(|e| e.to_string())?;
                    Some((Self::parse_braces(inner)?, &tail[end + 2..]))
                }
                _ => None,
            };
            match special {
                Some((part, after)) => {
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(part);
                    rest = after;
                }
                None => {
                    plain.push(*first);
                    rest = tail;
                }
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }

    fn parse_braces(inner: &str) -> Result<Part, String> {
        let Some((kind, key)) = inner.strip_suffix(']').and_then(|i| i.split_once('[')) else {
            return Ok(Part::Variable(Self::parse(inner)?));
        };
        let key = Self::parse(key)?;
        if let Some(compute) = value::find(kind) {
            return Ok(Part::Computed(compute, key));
        }
        match plugin::variable(kind) {
            Some(variable) => Ok(Part::Foreign(variable, key)),
            None => Err(format!(
                "\"${{{inner}}}\": there is no \"{kind}\" (there are {})",
                value::names()
            )),
        }
    }

    /// Whether it is no text at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text for a request.
    pub fn fill(&self, core: &mut Core) -> Vec<u8> {
        let mut out = Vec::new();
        self.fill_into(core, &mut out);
        out
    }

    /// The same, behind what is there.
    pub fn fill_into(&self, core: &mut Core, out: &mut Vec<u8>) {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Group(n) => out.extend_from_slice(core.routing.group(*n)),
                Part::Variable(name) => {
                    let name = name.fill(core);
                    out.extend_from_slice(vars::find(core.raw(), &name).unwrap_or_default());
                }
                Part::Computed(compute, key) => {
                    let key = key.fill(core);
                    compute(core, &key, out);
                }
                Part::Foreign(variable, key) => {
                    let key = key.fill(core);
                    variable.compute(core, &key, out);
                }
            }
        }
    }
}

/// Where the brace that is open at the start closes.
fn closing(text: &[u8]) -> Option<usize> {
    let mut depth = 0;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for wrong in ["${", "x ${A", "${nosuch[key]}", "${cookie[${A]}"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
        for fine in ["", "$", "$x", "{}", "$1$2", "${A}", "${cookie[a]}-${qs[$1]}", "${}"] {
            assert!(Template::parse(fine).is_ok(), "{fine}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "[a-z${}\\[\\]0-9é ]{0,40}") {
            let _ = Template::parse(&text);
        }
    }
}
