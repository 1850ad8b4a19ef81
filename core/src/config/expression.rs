//! Arithmetic inside `%(…)`: `+ - * / ++ --`, parentheses, and concatenation of neighbours.
//! Without parentheses it runs from left to right, as existing files expect.

/// Why an expression has no value.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// This name has no value (yet).
    Unknown(String),
    /// It can never have a value.
    Wrong(String),
}

/// A value and what the author should know about it.
#[derive(Debug, PartialEq, Eq)]
pub struct Value {
    /// The result.
    pub text: String,
    /// `*` or `/` stood behind `+` or `-` without parentheses.
    pub precedence_matters: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Operator(&'static str),
    Word(String),
}

const OPERATORS: [&str; 6] = ["++", "--", "+", "-", "*", "/"];

/// Whether the text of a `%(…)` is more than a name.
pub fn is_expression(text: &str) -> bool {
    let text = text.trim();
    text.contains(['(', '+', '*', '/']) || text.contains(char::is_whitespace) || text.ends_with("--")
}

/// Computes the text between the parentheses; `lookup` gives the value of a name.
pub fn evaluate(text: &str, lookup: &mut dyn FnMut(&str) -> Option<String>) -> Result<Value, Failure> {
    let mut parser = Parser {
        tokens: tokens(text, lookup),
        next: 0,
        lookup,
        precedence_matters: false,
    };
    let text = parser.sequence(0)?;
    match parser.peek() {
        None => Ok(Value {
            text,
            precedence_matters: parser.precedence_matters,
        }),
        Some(_) => Err(Failure::Wrong("a ) too many".into())),
    }
}

fn tokens(text: &str, lookup: &mut dyn FnMut(&str) -> Option<String>) -> Vec<Token> {
    let mut out = Vec::new();
    // `%(` inside an expression is only a parenthesis
    let spaced = text.replace("%(", "(").replace('(', " ( ").replace(')', " ) ");
    for piece in spaced.split_whitespace() {
        match piece {
            "(" => out.push(Token::Open),
            ")" => out.push(Token::Close),
            _ => split_piece(piece, lookup, &mut out),
        }
    }
    out
}

/// A piece without spaces: one token, or several like `a+2`; a `-` inside a name belongs to the name.
fn split_piece(piece: &str, lookup: &mut dyn FnMut(&str) -> Option<String>, out: &mut Vec<Token>) {
    if lookup(piece).is_some() {
        out.push(Token::Word(piece.to_owned()));
        return;
    }
    let mut rest = piece;
    let mut word = 0;
    while word < rest.len() {
        let operator = OPERATORS.iter().find(|o| rest[word..].starts_with(**o));
        let operator = operator.filter(|o| {
            !o.starts_with('-') || word == 0 || is_number(&rest[..word]) || lookup(&rest[..word]).is_some()
        });
        match operator {
            Some(operator) => {
                if word > 0 {
                    out.push(Token::Word(rest[..word].to_owned()));
                }
                let after = &rest[word + operator.len()..];
                // a sign: "-3" at the start or behind an operator
                let signed = *operator == "-"
                    && word == 0
                    && is_number(after)
                    && !matches!(out.last(), Some(Token::Word(_) | Token::Close));
                if signed {
                    out.push(Token::Word(rest.to_owned()));
                    return;
                }
                out.push(Token::Operator(operator));
                rest = after;
                word = 0;
            }
            None => word += rest[word..].chars().next().map_or(1, char::len_utf8),
        }
    }
    if !rest.is_empty() {
        out.push(Token::Word(rest.to_owned()));
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

struct Parser<'a> {
    tokens: Vec<Token>,
    next: usize,
    lookup: &'a mut dyn FnMut(&str) -> Option<String>,
    precedence_matters: bool,
}

/// Deeper than anybody writes; keeps the recursion off the end of the stack.
const MAX_DEPTH: usize = 64;

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn take(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.next).cloned();
        self.next += 1;
        token
    }

    /// Terms and operators up to a `)` or the end.
    fn sequence(&mut self, depth: usize) -> Result<String, Failure> {
        if depth > MAX_DEPTH {
            return Err(Failure::Wrong("nested too deeply".into()));
        }
        let mut value = self.term(depth)?;
        let mut added = false;
        loop {
            match self.peek() {
                None | Some(Token::Close) => return Ok(value),
                Some(Token::Operator(operator)) => {
                    let operator = *operator;
                    self.next += 1;
                    self.precedence_matters |= added && matches!(operator, "*" | "/");
                    added |= matches!(operator, "+" | "-");
                    value = match operator {
                        "++" => compute(&value, "+", "1")?,
                        "--" => compute(&value, "-", "1")?,
                        _ => {
                            let right = self.term(depth)?;
                            compute(&value, operator, &right)?
                        }
                    };
                }
                Some(_) => value += &self.term(depth)?,
            }
        }
    }

    fn term(&mut self, depth: usize) -> Result<String, Failure> {
        match self.take() {
            Some(Token::Open) => {
                let value = self.sequence(depth + 1)?;
                match self.take() {
                    Some(Token::Close) => Ok(value),
                    _ => Err(Failure::Wrong("a ) is missing".into())),
                }
            }
            Some(Token::Word(word)) => {
                if let Some(value) = (self.lookup)(&word) {
                    return Ok(value);
                }
                match word.parse::<i64>() {
                    Ok(_) => Ok(word),
                    Err(_) => Err(Failure::Unknown(word)),
                }
            }
            Some(Token::Operator(operator)) => Err(Failure::Wrong(format!("a value is missing before {operator}"))),
            Some(Token::Close) | None => Err(Failure::Wrong("a value is missing at the end".into())),
        }
    }
}

fn compute(left: &str, operator: &str, right: &str) -> Result<String, Failure> {
    let number = |text: &str| {
        let parsed = text.trim().parse::<i64>();
        parsed.map_err(|_| Failure::Wrong(format!("{text:?} is not a number")))
    };
    let (l, r) = (number(left)?, number(right)?);
    let result = match operator {
        "+" => l.checked_add(r),
        "-" => l.checked_sub(r),
        "*" => l.checked_mul(r),
        _ if r == 0 => return Err(Failure::Wrong(format!("{l} is divided by zero"))),
        _ => l.checked_div(r),
    };
    match result {
        Some(result) => Ok(result.to_string()),
        None => Err(Failure::Wrong("the result is too large".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn known(name: &str) -> Option<String> {
        match name {
            "a" => Some("1".into()),
            "b-c" => Some("20".into()),
            "name" => Some("foo".into()),
            _ => None,
        }
    }

    fn value(text: &str) -> Result<String, Failure> {
        evaluate(text, &mut known).map(|v| v.text)
    }

    #[test]
    fn runs_from_left_to_right_and_says_where_that_matters() {
        assert_eq!(value("a + 2 * 3").unwrap(), "9");
        assert!(evaluate("a + 2 * 3", &mut known).unwrap().precedence_matters);
        assert!(!evaluate("2 * 3 + a", &mut known).unwrap().precedence_matters);
        assert!(!evaluate("a + (2 * 3)", &mut known).unwrap().precedence_matters);
    }

    #[test]
    fn nests_increments_and_concatenates() {
        assert_eq!(value("(2 * 2) + 1").unwrap(), "5");
        assert_eq!(value("((2 * 2) + 1) * (a + 1)").unwrap(), "10");
        assert_eq!(value("%(2 * 2) + 1").unwrap(), "5");
        assert_eq!(value("a ++").unwrap(), "2");
        assert_eq!(value("a - 3").unwrap(), "-2");
        assert_eq!(value("a - -3").unwrap(), "4");
        assert_eq!(value("a --").unwrap(), "0");
        assert_eq!(value("name a").unwrap(), "foo1");
        assert_eq!(value("7 / 2").unwrap(), "3");
    }

    #[test]
    fn spaces_may_be_left_out_and_names_keep_their_dashes() {
        assert_eq!(value("a+2").unwrap(), "3");
        assert_eq!(value("2*2").unwrap(), "4");
        assert_eq!(value("b-c + 1").unwrap(), "21");
        assert_eq!(value("b-c+1").unwrap(), "21");
        assert_eq!(value("a-1").unwrap(), "0");
        assert_eq!(value("b-d").unwrap_err(), Failure::Unknown("b-d".into()));
    }

    #[test]
    fn wrong_ones_are_said() {
        let wrong = |t: &str| matches!(value(t), Err(Failure::Wrong(_)));
        assert!(wrong("a / 0") && wrong("(a + 1") && wrong("a + 1)") && wrong("a +") && wrong("* 2"));
        assert!(wrong("name + 1") && wrong("9223372036854775807 + 1"));
        assert_eq!(value("zed + 1").unwrap_err(), Failure::Unknown("zed".into()));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a-c0-9+*/() -]{0,40}|.{0,30}") {
            let _ = value(&text);
        }

        #[test]
        fn agrees_with_rust_on_parenthesised_sums(x in -1000i64..1000, y in -1000i64..1000, z in 1i64..1000) {
            prop_assert_eq!(value(&format!("({x} + {y}) * {z}")).unwrap(), ((x + y) * z).to_string());
            prop_assert_eq!(value(&format!("{x} * ({y} - {z})")).unwrap(), (x * (y - z)).to_string());
            prop_assert_eq!(value(&format!("{x} / {z}")).unwrap(), (x / z).to_string());
        }
    }
}
