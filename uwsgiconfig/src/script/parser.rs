//! From words to statements.

use super::Trouble;
use super::lexer::{Kind, Token, tokens};

/// A statement and its line.
#[derive(Debug, Clone)]
pub struct Statement {
    pub line: usize,
    pub kind: StatementKind,
}

#[derive(Debug, Clone)]
pub enum StatementKind {
    /// `name = value`, `name += value`
    Assign {
        names: Vec<String>,
        adds: bool,
        value: Expr,
    },
    /// An expression for what it does.
    Do(Expr),
    /// `import a.b as c`, `from a import b as c`: what the name means.
    Import(String, String),
    /// The conditions and their blocks; the last may have none.
    If(Vec<(Option<Expr>, Vec<Statement>)>),
    /// A block, and what is done when it fails.
    Try(Vec<Statement>, Vec<Statement>),
    /// `for name in value`
    For(String, Expr, Vec<Statement>),
    /// A function; one that is more than parameters, assignments and conditions is known by its name alone.
    Function(String, Option<Body>),
    /// `return value`, inside a function.
    Return(Option<Expr>),
    /// Nothing.
    Pass,
}

/// A function's parameters and statements.
#[derive(Debug, Clone)]
pub struct Body {
    pub parameters: Vec<String>,
    pub statements: Vec<Statement>,
}

/// An expression and its line.
#[derive(Debug, Clone)]
pub struct Expr {
    pub line: usize,
    pub kind: ExprKind,
}

#[derive(Debug, Clone)]
pub enum ExprKind {
    Text(String),
    /// Texts and what is filled in between.
    Format(Vec<(String, Option<Expr>)>),
    Number(i64),
    Name(String),
    List(Vec<Expr>),
    Attribute(Box<Expr>, String),
    Call(Box<Expr>, Vec<Expr>, Vec<(String, Expr)>),
    Index(Box<Expr>, Box<Expr>),
    Slice(Box<Expr>, Option<Box<Expr>>, Option<Box<Expr>>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Either(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `[item for name in list if condition]`
    Each(Box<Expr>, String, Box<Expr>, Option<Box<Expr>>),
    /// Something that is understood only as far as its end.
    Opaque(&'static str),
}

/// Parses a script.
pub fn parse(tokens: &[Token]) -> Result<Vec<Statement>, Trouble> {
    let mut parser = Parser {
        tokens,
        at: 0,
        in_function: false,
    };
    let mut statements = Vec::new();
    while parser.at < tokens.len() {
        parser.statement(&mut statements)?;
    }
    Ok(statements)
}

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
    /// Whether `return` may stand here.
    in_function: bool,
}

type Parsed<T> = Result<T, Trouble>;

impl Parser<'_> {
    fn line(&self) -> usize {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |t| t.line)
    }

    fn wrong<T>(&self, what: &str) -> Parsed<T> {
        Err(Trouble {
            line: self.line(),
            what: what.to_owned(),
        })
    }

    fn peek(&self) -> Option<&Kind> {
        self.tokens.get(self.at).map(|t| &t.kind)
    }

    fn takes(&mut self, sign: &str) -> bool {
        let is_it = matches!(self.peek(), Some(Kind::Sign(s)) if *s == sign);
        self.at += usize::from(is_it);
        is_it
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is_it = self.is_word(word);
        self.at += usize::from(is_it);
        is_it
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Kind::Name(n)) if n == word)
    }

    fn needs(&mut self, sign: &str) -> Parsed<()> {
        match self.takes(sign) {
            true => Ok(()),
            false => self.wrong(&format!("\"{sign}\" is missing")),
        }
    }

    fn name(&mut self) -> Parsed<String> {
        match self.peek() {
            Some(Kind::Name(name)) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            _ => self.wrong("a name is missing"),
        }
    }

    fn dotted(&mut self) -> Parsed<String> {
        let mut name = self.name()?;
        while self.takes(".") {
            name = format!("{name}.{}", self.name()?);
        }
        Ok(name)
    }

    /// The statements of a block, behind its colon.
    fn block(&mut self) -> Parsed<Vec<Statement>> {
        self.needs(":")?;
        let mut statements = Vec::new();
        if self.peek() != Some(&Kind::NewLine) {
            self.statement(&mut statements)?;
            return Ok(statements);
        }
        self.at += 1;
        if self.peek() != Some(&Kind::Indent) {
            return self.wrong("an indented block is missing");
        }
        self.at += 1;
        while self.peek() != Some(&Kind::Dedent) {
            if self.peek().is_none() {
                return self.wrong("a block has no end");
            }
            self.statement(&mut statements)?;
        }
        self.at += 1;
        Ok(statements)
    }

    /// What stands behind a function's name.
    fn body(&mut self) -> Parsed<Body> {
        self.needs("(")?;
        let mut parameters = Vec::new();
        while !self.takes(")") {
            parameters.push(self.name()?);
            if !self.takes(",") {
                self.needs(")")?;
                break;
            }
        }
        let statements = self.block()?;
        Ok(Body { parameters, statements })
    }

    fn statement(&mut self, into: &mut Vec<Statement>) -> Parsed<()> {
        let line = self.line();
        let mut put = |kind| into.push(Statement { line, kind });
        if self.takes_word("if") {
            let mut arms = vec![(Some(self.expression()?), self.block()?)];
            while self.takes_word("elif") {
                arms.push((Some(self.expression()?), self.block()?));
            }
            if self.takes_word("else") {
                arms.push((None, self.block()?));
            }
            put(StatementKind::If(arms));
            return Ok(());
        }
        if self.takes_word("try") {
            let body = self.block()?;
            let (mut caught, mut more) = (Vec::new(), Vec::new());
            while self.takes_word("except") {
                while !matches!(self.peek(), Some(Kind::Sign(":")) | None) {
                    self.at += 1;
                }
                let block = self.block()?;
                if caught.is_empty() {
                    caught = block;
                }
            }
            for word in ["else", "finally"] {
                if self.takes_word(word) {
                    more.extend(self.block()?);
                }
            }
            put(StatementKind::Try(body, caught));
            into.extend(more);
            return Ok(());
        }
        if self.takes_word("for") {
            let name = self.name()?;
            if !self.takes_word("in") {
                return self.wrong("a loop over more than one name");
            }
            let list = self.expression()?;
            let body = self.block()?;
            put(StatementKind::For(name, list, body));
            return Ok(());
        }
        if self.takes_word("def") {
            let name = self.name()?;
            let begin = self.at;
            let was_inside = std::mem::replace(&mut self.in_function, true);
            let body = self.body();
            self.in_function = was_inside;
            if body.is_err() {
                self.at = begin;
                while !matches!(self.peek(), Some(Kind::NewLine) | None) {
                    self.at += 1;
                }
                self.skip_block();
            }
            put(StatementKind::Function(name, body.ok()));
            return Ok(());
        }
        for word in [
            "class", "while", "with", "raise", "global", "async", "lambda", "return", "del",
        ] {
            if self.is_word(word) && !(self.in_function && word == "return") {
                return self.wrong(&format!("\"{word}\""));
            }
        }
        loop {
            self.simple(into)?;
            if !self.takes(";") {
                break;
            }
            if self.peek() == Some(&Kind::NewLine) {
                break;
            }
        }
        match self.peek() {
            Some(Kind::NewLine) => {
                self.at += 1;
                Ok(())
            }
            Some(Kind::Dedent) | None => Ok(()),
            _ => self.wrong("a statement that is not understood"),
        }
    }

    /// The rest of a definition whose body is nobody's concern.
    fn skip_block(&mut self) {
        self.at += 1;
        if self.peek() != Some(&Kind::Indent) {
            return;
        }
        let mut depth = 0;
        while let Some(kind) = self.peek() {
            match kind {
                Kind::Indent => depth += 1,
                Kind::Dedent => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }

    fn simple(&mut self, into: &mut Vec<Statement>) -> Parsed<()> {
        let line = self.line();
        let mut put = |kind| into.push(Statement { line, kind });
        if self.takes_word("pass") {
            put(StatementKind::Pass);
            return Ok(());
        }
        if self.in_function && self.takes_word("return") {
            let value = match self.peek() {
                Some(Kind::NewLine | Kind::Dedent) | None => None,
                _ => Some(self.expression()?),
            };
            put(StatementKind::Return(value));
            return Ok(());
        }
        if self.takes_word("import") {
            loop {
                let module = self.dotted()?;
                let name = match self.takes_word("as") {
                    true => self.name()?,
                    false => module.split('.').next().unwrap_or(&module).to_owned(),
                };
                let meant = if name == module || !module.contains('.') {
                    module
                } else {
                    name.clone()
                };
                put(StatementKind::Import(name, meant));
                if !self.takes(",") {
                    return Ok(());
                }
            }
        }
        if self.takes_word("from") {
            let module = self.dotted()?;
            if !self.takes_word("import") {
                return self.wrong("\"import\" is missing");
            }
            if self.takes("*") {
                return Ok(());
            }
            let bracket = self.takes("(");
            loop {
                let part = self.name()?;
                let name = if self.takes_word("as") {
                    self.name()?
                } else {
                    part.clone()
                };
                put(StatementKind::Import(name, format!("{module}.{part}")));
                if !self.takes(",") {
                    break;
                }
            }
            if bracket {
                self.needs(")")?;
            }
            return Ok(());
        }
        // as Python 2 had it
        if self.is_word("print") && matches!(self.tokens.get(self.at + 1).map(|t| &t.kind), Some(Kind::Text { .. })) {
            self.at += 1;
        }
        let mut names = Vec::new();
        let mut value = self.expression_list()?;
        loop {
            let adds = self.takes("+=");
            if !adds && !self.takes("=") {
                break;
            }
            let ExprKind::Name(name) = &value.kind else {
                // an element, or an attribute: nobody asks for those
                let kind = StatementKind::Do(Expr {
                    line,
                    kind: ExprKind::Opaque("an assignment to a part"),
                });
                self.expression_list()?;
                put(kind);
                return Ok(());
            };
            names.push(name.clone());
            value = self.expression_list()?;
            if adds {
                let adds = true;
                put(StatementKind::Assign { names, adds, value });
                return Ok(());
            }
        }
        put(match names.is_empty() {
            true => StatementKind::Do(value),
            false => StatementKind::Assign {
                names,
                adds: false,
                value,
            },
        });
        Ok(())
    }

    /// `a, b` without brackets.
    fn expression_list(&mut self) -> Parsed<Expr> {
        let first = self.expression()?;
        if !matches!(self.peek(), Some(Kind::Sign(","))) {
            return Ok(first);
        }
        let line = first.line;
        let mut items = vec![first];
        while self.takes(",") {
            if matches!(self.peek(), Some(Kind::NewLine) | None) {
                break;
            }
            items.push(self.expression()?);
        }
        Ok(Expr {
            line,
            kind: ExprKind::List(items),
        })
    }

    fn expression(&mut self) -> Parsed<Expr> {
        let line = self.line();
        let value = self.binary(0)?;
        if !self.takes_word("if") {
            return Ok(value);
        }
        let condition = self.binary(0)?;
        if !self.takes_word("else") {
            return self.wrong("\"else\" is missing");
        }
        let other = self.expression()?;
        Ok(Expr {
            line,
            kind: ExprKind::Either(condition.into(), value.into(), other.into()),
        })
    }

    /// The operator that stands here, if it binds as tightly as this level.
    fn operator(&mut self, level: usize) -> Option<&'static str> {
        const LEVELS: [&[&str]; 5] = [
            &["or"],
            &["and"],
            &["==", "!=", "<=", ">=", "<", ">", "not in", "in", "is not", "is"],
            &["+", "-"],
            &["*", "/", "//", "%"],
        ];
        for operator in LEVELS[level] {
            let before = self.at;
            let is_it = match operator.split_once(' ') {
                Some((one, two)) => self.takes_word(one) && self.takes_word(two),
                None if operator.chars().all(char::is_alphabetic) => self.takes_word(operator),
                None => self.takes(operator),
            };
            if is_it {
                return Some(operator);
            }
            self.at = before;
        }
        None
    }

    fn binary(&mut self, level: usize) -> Parsed<Expr> {
        if level == 5 {
            return self.unary();
        }
        let line = self.line();
        if level == 2 && self.takes_word("not") {
            let kind = ExprKind::Not(self.binary(2)?.into());
            return Ok(Expr { line, kind });
        }
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = self.operator(level) {
            let right = self.binary(level + 1)?;
            let kind = ExprKind::Binary(operator, left.into(), right.into());
            left = Expr { line, kind };
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let line = self.line();
        if self.takes("-") {
            let value = self.unary()?;
            let kind = match value.kind {
                ExprKind::Number(n) => ExprKind::Number(-n),
                _ => ExprKind::Opaque("a sign in front of what is no number"),
            };
            return Ok(Expr { line, kind });
        }
        let mut value = self.atom()?;
        loop {
            let kind = if self.takes(".") {
                ExprKind::Attribute(value.into(), self.name()?)
            } else if self.takes("(") {
                self.call(value)?
            } else if self.takes("[") {
                self.subscript(value)?
            } else {
                return Ok(value);
            };
            value = Expr { line, kind };
        }
    }

    fn call(&mut self, function: Expr) -> Parsed<ExprKind> {
        let (mut values, mut named) = (Vec::new(), Vec::new());
        while !self.takes(")") {
            if self.takes("*") || self.takes("**") {
                self.expression()?;
                values.push(Expr {
                    line: self.line(),
                    kind: ExprKind::Opaque("arguments of a list"),
                });
            } else {
                let is_named = matches!(self.tokens.get(self.at + 1).map(|t| &t.kind), Some(Kind::Sign("=")));
                match is_named {
                    true => {
                        let name = self.name()?;
                        self.needs("=")?;
                        named.push((name, self.expression()?));
                    }
                    false => values.push(self.item_or_each(")")?),
                }
            }
            if !self.takes(",") {
                self.needs(")")?;
                break;
            }
        }
        Ok(ExprKind::Call(function.into(), values, named))
    }

    fn subscript(&mut self, value: Expr) -> Parsed<ExprKind> {
        let ends = |p: &Self| matches!(p.peek(), Some(Kind::Sign(":" | "]")));
        let from = if ends(self) {
            None
        } else {
            Some(Box::new(self.expression()?))
        };
        if let Some(index) = from.clone().filter(|_| !matches!(self.peek(), Some(Kind::Sign(":")))) {
            self.needs("]")?;
            return Ok(ExprKind::Index(value.into(), index));
        }
        self.needs(":")?;
        let to = if ends(self) {
            None
        } else {
            Some(Box::new(self.expression()?))
        };
        self.needs("]")?;
        Ok(ExprKind::Slice(value.into(), from, to))
    }

    /// An item, or `item for name in list`.
    fn item_or_each(&mut self, _closing: &str) -> Parsed<Expr> {
        let item = self.expression()?;
        if !self.takes_word("for") {
            return Ok(item);
        }
        let line = item.line;
        let name = self.name()?;
        if !self.takes_word("in") {
            return self.wrong("a loop over more than one name");
        }
        let list = self.binary(0)?;
        let condition = if self.takes_word("if") {
            Some(Box::new(self.binary(0)?))
        } else {
            None
        };
        let kind = ExprKind::Each(item.into(), name, list.into(), condition);
        Ok(Expr { line, kind })
    }

    fn atom(&mut self) -> Parsed<Expr> {
        let line = self.line();
        let kind = match self.peek().cloned() {
            Some(Kind::Number(n)) => {
                self.at += 1;
                ExprKind::Number(n)
            }
            Some(Kind::Text { .. }) => self.text()?,
            Some(Kind::Name(name)) if name == "lambda" => return self.wrong("\"lambda\""),
            Some(Kind::Name(_)) => ExprKind::Name(self.name()?),
            Some(Kind::Sign("(")) => return self.bracket(")"),
            Some(Kind::Sign("[")) => return self.bracket("]"),
            Some(Kind::Sign("{")) => {
                let mut depth = 0;
                loop {
                    match self.peek() {
                        Some(Kind::Sign("{")) => depth += 1,
                        Some(Kind::Sign("}")) => depth -= 1,
                        None => return self.wrong("a bracket is not closed"),
                        _ => {}
                    }
                    self.at += 1;
                    if depth == 0 {
                        break ExprKind::Opaque("a dictionary");
                    }
                }
            }
            _ => return self.wrong("an expression that is not understood"),
        };
        Ok(Expr { line, kind })
    }

    fn bracket(&mut self, closing: &str) -> Parsed<Expr> {
        let line = self.line();
        self.at += 1;
        let mut items = Vec::new();
        let mut is_list = closing == "]";
        while !self.takes(closing) {
            let item = self.item_or_each(closing)?;
            if matches!(item.kind, ExprKind::Each(..)) {
                self.needs(closing)?;
                return Ok(item);
            }
            items.push(item);
            if self.takes(",") {
                is_list = true;
            } else {
                self.needs(closing)?;
                break;
            }
        }
        if !is_list && items.len() == 1 {
            return Ok(items.remove(0));
        }
        Ok(Expr {
            line,
            kind: ExprKind::List(items),
        })
    }

    /// Texts that stand beside each other are one.
    fn text(&mut self) -> Parsed<ExprKind> {
        let mut parts: Vec<(String, Option<Expr>)> = Vec::new();
        let mut plain = String::new();
        while let Some(Kind::Text { text, is_formatted }) = self.peek().cloned() {
            self.at += 1;
            if !is_formatted {
                plain.push_str(&text);
                continue;
            }
            let mut rest = text.as_str();
            while let Some(open) = rest.find(['{', '}']) {
                plain.push_str(&rest[..open]);
                let sign = &rest[open..=open];
                rest = &rest[open + 1..];
                if let Some(behind) = rest.strip_prefix(sign) {
                    plain.push_str(sign);
                    rest = behind;
                    continue;
                }
                let Some((inner, behind)) = rest.split_once('}') else {
                    return self.wrong("a bracket in a text is not closed");
                };
                let tokens = tokens(inner)?;
                let mut parser = Parser {
                    tokens: &tokens,
                    at: 0,
                    in_function: false,
                };
                let mut expression = parser.expression()?;
                if !matches!(parser.peek(), Some(Kind::NewLine) | None) {
                    expression.kind = ExprKind::Opaque("a form in a text");
                }
                expression.line = self.line();
                parts.push((std::mem::take(&mut plain), Some(expression)));
                rest = behind;
            }
            plain.push_str(rest);
        }
        if parts.is_empty() {
            return Ok(ExprKind::Text(plain));
        }
        parts.push((plain, None));
        Ok(ExprKind::Format(parts))
    }
}
