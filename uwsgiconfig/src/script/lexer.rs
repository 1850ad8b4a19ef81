//! The words of a script, with its lines and indentations.

use super::Trouble;

/// A word.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A name or keyword.
    Name(String),
    /// A text; formatted ones carry `{...}` as it stands.
    Text {
        /// What stands between the quotes, escapes resolved.
        text: String,
        /// `f'...'`
        is_formatted: bool,
    },
    /// A number.
    Number(i64),
    /// Anything else.
    Sign(&'static str),
    /// The end of a statement.
    NewLine,
    /// A block begins.
    Indent,
    /// A block ends.
    Dedent,
}

/// A word and its line.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// From 1.
    pub line: usize,
    /// What it is.
    pub kind: Kind,
}

/// Longer ones first.
const SIGNS: [&str; 32] = [
    "**", "//", "+=", "-=", "==", "!=", "<=", ">=", "->", "+", "-", "*", "/", "%", "=", "<", ">", "(", ")", "[", "]",
    "{", "}", ",", ":", ".", ";", "@", "|", "&", "^", "~",
];

/// Cuts a text into words.
pub fn tokens(text: &str) -> Result<Vec<Token>, Trouble> {
    let mut lexer = Lexer {
        rest: text.strip_prefix('\u{feff}').unwrap_or(text),
        line: 1,
        depth: 0,
        indents: vec![0],
        tokens: Vec::new(),
    };
    lexer.run()?;
    Ok(lexer.tokens)
}

struct Lexer<'t> {
    rest: &'t str,
    line: usize,
    /// Open brackets: inside of them lines mean nothing.
    depth: usize,
    indents: Vec<usize>,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn wrong<T>(&self, what: &str) -> Result<T, Trouble> {
        Err(Trouble {
            line: self.line,
            what: what.to_owned(),
        })
    }

    fn put(&mut self, kind: Kind) {
        self.tokens.push(Token { line: self.line, kind });
    }

    fn run(&mut self) -> Result<(), Trouble> {
        let mut at_start = true;
        loop {
            if at_start && self.depth == 0 && !self.indentation()? {
                break;
            }
            at_start = false;
            self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\u{c}']);
            let Some(first) = self.rest.chars().next() else { break };
            match first {
                '#' => self.rest = self.rest.find('\n').map_or("", |at| &self.rest[at..]),
                '\n' => {
                    if self.depth == 0 {
                        self.end_line();
                        at_start = true;
                    }
                    self.skip(1);
                    self.line += 1;
                }
                '\\' if self.rest[1..].trim_start_matches('\r').starts_with('\n') => {
                    let at = self.rest.find('\n').unwrap_or(0);
                    self.skip(at + 1);
                    self.line += 1;
                }
                c if c.is_ascii_digit() => self.number()?,
                c if c.is_alphabetic() || c == '_' || c == '"' || c == '\'' => self.word()?,
                _ => self.sign()?,
            }
        }
        if self.depth > 0 {
            return self.wrong("a bracket is not closed");
        }
        self.end_line();
        for _ in 1..self.indents.len() {
            self.put(Kind::Dedent);
        }
        Ok(())
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn end_line(&mut self) {
        if !matches!(
            self.tokens.last().map(|t| &t.kind),
            None | Some(Kind::NewLine | Kind::Indent | Kind::Dedent)
        ) {
            self.put(Kind::NewLine);
        }
    }

    /// Blank lines and the space in front of the next one; `false`: nothing follows.
    fn indentation(&mut self) -> Result<bool, Trouble> {
        loop {
            let (line, behind) = match self.rest.split_once('\n') {
                Some((line, behind)) => (line, Some(behind)),
                None => (self.rest, None),
            };
            let bare = line.trim();
            if !bare.is_empty() && !bare.starts_with('#') {
                break;
            }
            match behind {
                Some(behind) => self.rest = behind,
                None => {
                    self.rest = "";
                    return Ok(false);
                }
            }
            self.line += 1;
        }
        let width = self.rest.len() - self.rest.trim_start_matches([' ', '\t']).len();
        let current = *self.indents.last().unwrap_or(&0);
        if width > current {
            self.indents.push(width);
            self.put(Kind::Indent);
        }
        while width < *self.indents.last().unwrap_or(&0) {
            self.indents.pop();
            self.put(Kind::Dedent);
        }
        match width == *self.indents.last().unwrap_or(&0) {
            true => Ok(true),
            false => self.wrong("the indentation fits no block"),
        }
    }

    fn number(&mut self) -> Result<(), Trouble> {
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_');
        let text = &self.rest[..end.unwrap_or(self.rest.len())];
        let Ok(number) = text.parse() else {
            return self.wrong(&format!("the number {text}"));
        };
        self.skip(text.len());
        self.put(Kind::Number(number));
        Ok(())
    }

    fn word(&mut self) -> Result<(), Trouble> {
        let end = self
            .rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(self.rest.len());
        let word = &self.rest[..end];
        let is_prefix = word.len() <= 2 && word.bytes().all(|b| b"rRbBuUfF".contains(&b));
        if is_prefix && self.rest[end..].starts_with(['"', '\'']) {
            let (raw, formatted) = (word.contains(['r', 'R']), word.contains(['f', 'F']));
            self.skip(end);
            return self.text(raw, formatted);
        }
        self.skip(end);
        self.put(Kind::Name(word.to_owned()));
        Ok(())
    }

    fn text(&mut self, is_raw: bool, is_formatted: bool) -> Result<(), Trouble> {
        let begun = self.line;
        let one = &self.rest[..1];
        let quote = if self.rest.starts_with(&one.repeat(3)) {
            one.repeat(3)
        } else {
            one.to_owned()
        };
        self.skip(quote.len());
        let mut text = String::new();
        loop {
            if self.rest.starts_with(&quote) {
                self.skip(quote.len());
                break;
            }
            let Some(c) = self.rest.chars().next() else {
                return self.wrong("a text is not closed");
            };
            self.skip(c.len_utf8());
            match c {
                '\n' if quote.len() == 1 => return self.wrong("a text is not closed"),
                '\n' => {
                    self.line += 1;
                    text.push(c);
                }
                '\\' => {
                    let Some(next) = self.rest.chars().next() else {
                        return self.wrong("a text is not closed");
                    };
                    self.skip(next.len_utf8());
                    match (is_raw, next) {
                        (true, _) => text.extend(['\\', next]),
                        (false, 'n') => text.push('\n'),
                        (false, 't') => text.push('\t'),
                        (false, 'r') => text.push('\r'),
                        (false, '\n') => self.line += 1,
                        (false, '\\' | '\'' | '"') => text.push(next),
                        (false, 'x' | 'u' | 'U' | 'N' | '0'..='7') => return self.wrong("a character by its number"),
                        (false, _) => text.extend(['\\', next]),
                    }
                }
                c => text.push(c),
            }
        }
        self.tokens.push(Token {
            line: begun,
            kind: Kind::Text { text, is_formatted },
        });
        Ok(())
    }

    fn sign(&mut self) -> Result<(), Trouble> {
        let Some(sign) = SIGNS.iter().find(|sign| self.rest.starts_with(**sign)) else {
            return self.wrong("a sign that is none of Python's");
        };
        match *sign {
            "(" | "[" | "{" => self.depth += 1,
            ")" | "]" | "}" => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.skip(sign.len());
        self.put(Kind::Sign(sign));
        Ok(())
    }
}
