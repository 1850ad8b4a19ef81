//! What a script's statements come to. Nothing of the script is run: the few questions that such files ask are answered
//! here, by name.

use super::parser::{Body, Expr, ExprKind, Statement, StatementKind};
use super::value::Value;
use super::{Outcome, Trouble};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs statements in order.
pub fn run(statements: &[Statement], folder: &Path) -> Result<Outcome, Trouble> {
    let mut state = State {
        names: HashMap::new(),
        functions: HashMap::new(),
        depth: 0,
        left_out: None,
        folder,
    };
    for (name, value) in [
        ("True", Value::Bool(true)),
        ("False", Value::Bool(false)),
        ("None", Value::None),
    ] {
        state.names.insert(name.into(), value);
    }
    let script = std::path::absolute(folder.join("uwsgiplugin.py")).unwrap_or_default();
    state
        .names
        .insert("__file__".into(), Value::Text(script.display().to_string()));
    state.block(statements).map_err(Stop::trouble)?;
    Ok(Outcome {
        names: state.names,
        left_out: state.left_out,
    })
}

/// Why a block does not go on.
enum Stop {
    /// Only running it would tell.
    Trouble(Trouble),
    /// Python would raise here.
    Raised(Trouble),
    /// A function has its result.
    Returned(Value),
}

impl Stop {
    fn trouble(self) -> Trouble {
        match self {
            Self::Trouble(trouble) | Self::Raised(trouble) => trouble,
            // no statement outside of a function does
            Self::Returned(_) => Trouble {
                line: 0,
                what: "return".into(),
            },
        }
    }
}

/// How deep functions may call each other.
const DEEPEST: usize = 16;

struct State<'f> {
    names: HashMap<String, Value>,
    functions: HashMap<&'f str, &'f Body>,
    /// Functions under way.
    depth: usize,
    /// The first statement that only does something, which is not done.
    left_out: Option<Trouble>,
    folder: &'f Path,
}

/// A value, unless Python would raise.
type Evaluated = Result<Value, Trouble>;

fn raise<T>(line: usize, what: impl Into<String>) -> Result<T, Trouble> {
    Err(Trouble {
        line,
        what: what.into(),
    })
}

impl<'f> State<'f> {
    fn block(&mut self, statements: &'f [Statement]) -> Result<(), Stop> {
        statements.iter().try_for_each(|statement| self.statement(statement))
    }

    fn statement(&mut self, statement: &'f Statement) -> Result<(), Stop> {
        match &statement.kind {
            StatementKind::Pass => {}
            StatementKind::Import(name, meant) => {
                self.names.insert(name.clone(), Value::Part(meant.clone()));
            }
            StatementKind::Function(name, body) => {
                let value = Value::unknown(statement.line, format!("the function {name}()"));
                self.names.insert(name.clone(), value);
                match body {
                    Some(body) => self.functions.insert(name, body),
                    None => self.functions.remove(name.as_str()),
                };
            }
            StatementKind::Return(value) => {
                let value = value.as_ref().map_or(Ok(Value::None), |value| self.value(value));
                return Err(Stop::Returned(value.map_err(Stop::Raised)?));
            }
            StatementKind::Assign { names, adds, value } => {
                let value = self.value(value).map_err(Stop::Raised)?;
                for name in names {
                    let new = match (adds, self.names.get(name)) {
                        (true, Some(before)) => add(statement.line, before.clone(), value.clone()),
                        (true, None) => {
                            return raise(statement.line, format!("{name} has no value yet")).map_err(Stop::Raised);
                        }
                        (false, _) => value.clone(),
                    };
                    self.functions.remove(name.as_str());
                    self.names.insert(name.clone(), new);
                }
            }
            StatementKind::Do(value) => self.act(value).map_err(Stop::Raised)?,
            StatementKind::If(arms) => {
                for (condition, body) in arms {
                    let is_so = match condition {
                        None => true,
                        Some(condition) => {
                            let value = self.value(condition).map_err(Stop::Raised)?;
                            match (value.truth(), value.trouble()) {
                                (Some(truth), None) => truth,
                                (_, Some(trouble)) => {
                                    return Err(Stop::Trouble(Trouble {
                                        line: condition.line,
                                        what: format!("a condition depends on {}", trouble.what),
                                    }));
                                }
                                _ => {
                                    return Err(Stop::Trouble(Trouble {
                                        line: condition.line,
                                        what: "a condition".into(),
                                    }));
                                }
                            }
                        }
                    };
                    if is_so {
                        return self.block(body);
                    }
                }
            }
            StatementKind::Try(body, caught) => match self.block(body) {
                Err(Stop::Raised(_)) => self.block(caught)?,
                other => other?,
            },
            StatementKind::For(name, list, body) => match self.value(list).map_err(Stop::Raised)? {
                Value::List(items) => {
                    for item in items {
                        self.names.insert(name.clone(), item);
                        self.block(body)?;
                    }
                }
                other => {
                    let what = other.trouble().map_or("no list".into(), |t| t.what.clone());
                    return Err(Stop::Trouble(Trouble {
                        line: list.line,
                        what: format!("a loop over {what}"),
                    }));
                }
            },
        }
        Ok(())
    }

    /// An expression for what it does: lists grow, everything else is of no concern.
    fn act(&mut self, expr: &Expr) -> Result<(), Trouble> {
        let ExprKind::Call(function, arguments, _) = &expr.kind else {
            return Ok(());
        };
        let ExprKind::Attribute(list, method) = &function.kind else {
            if let ExprKind::Name(name) = &function.kind
                && name != "print"
            {
                self.leave_out(expr.line, format!("{name}()"));
            }
            return Ok(());
        };
        let ExprKind::Name(name) = &list.kind else {
            return Ok(());
        };
        if !matches!(self.names.get(name), Some(Value::List(_))) {
            self.leave_out(expr.line, format!("{name}.{method}()"));
            return Ok(());
        }
        let mut values = arguments.iter().map(|a| self.value(a)).collect::<Result<Vec<_>, _>>()?;
        let unknown = || Value::unknown(expr.line, format!("what {method}() makes of {name}"));
        let Some(Value::List(items)) = self.names.get_mut(name) else {
            return Ok(());
        };
        match (method.as_str(), values.pop()) {
            ("append", Some(value)) => items.push(value),
            ("extend", Some(Value::List(more))) => items.extend(more),
            ("insert", Some(value)) if values == [Value::Number(0)] => items.insert(0, value),
            ("remove", Some(value)) => match items.iter().position(|item| *item == value) {
                Some(at) => drop(items.remove(at)),
                None => return raise(expr.line, "the item to remove is not there"),
            },
            _ => items.push(unknown()),
        }
        Ok(())
    }

    fn leave_out(&mut self, line: usize, what: String) {
        self.left_out.get_or_insert(Trouble { line, what });
    }

    /// What a function of the script makes of its arguments; the names that it sets are its own.
    fn result_of(&mut self, body: &'f Body, values: Vec<Value>) -> Evaluated {
        let names = self.names.clone();
        self.names.extend(body.parameters.iter().cloned().zip(values));
        self.depth += 1;
        let outcome = self.block(&body.statements);
        self.depth -= 1;
        self.names = names;
        match outcome {
            Ok(()) => Ok(Value::None),
            Err(Stop::Returned(value)) => Ok(value),
            Err(Stop::Trouble(trouble)) => Ok(Value::Unknown(trouble)),
            Err(Stop::Raised(trouble)) => Err(trouble),
        }
    }

    fn value(&mut self, expr: &Expr) -> Evaluated {
        let line = expr.line;
        Ok(match &expr.kind {
            ExprKind::Text(text) => Value::Text(text.clone()),
            ExprKind::Number(n) => Value::Number(*n),
            ExprKind::Opaque(what) => Value::unknown(line, *what),
            ExprKind::Name(name) => match self.names.get(name) {
                Some(value) => value.clone(),
                None => Value::unknown(line, format!("the name {name}")),
            },
            ExprKind::List(items) => Value::List(items.iter().map(|i| self.value(i)).collect::<Result<_, _>>()?),
            ExprKind::Format(parts) => {
                let mut text = String::new();
                for (plain, expression) in parts {
                    text.push_str(plain);
                    if let Some(expression) = expression {
                        match self.value(expression)? {
                            Value::Unknown(trouble) => return Ok(Value::Unknown(trouble)),
                            value => text.push_str(&value.text()),
                        }
                    }
                }
                Value::Text(text)
            }
            ExprKind::Attribute(of, name) => match self.value(of)? {
                Value::Part(part) => attribute(line, &format!("{part}.{name}")),
                Value::Unknown(trouble) => Value::Unknown(trouble),
                _ => Value::unknown(line, format!("the attribute {name}")),
            },
            ExprKind::Call(function, arguments, named) => self.call(line, function, arguments, named)?,
            ExprKind::Index(of, index) => {
                let (of, index) = (self.value(of)?, self.value(index)?);
                element(line, of, &index)?
            }
            ExprKind::Slice(of, from, to) => {
                let of = self.value(of)?;
                let mut bound = |end: &Option<Box<Expr>>| match end {
                    None => Ok(None),
                    Some(end) => self.value(end).map(Some),
                };
                let (from, to) = (bound(from)?, bound(to)?);
                slice(line, of, from, to)
            }
            ExprKind::Not(value) => match self.value(value)? {
                Value::Unknown(trouble) => Value::Unknown(trouble),
                value => value
                    .truth()
                    .map_or(Value::unknown(line, "a condition"), |t| Value::Bool(!t)),
            },
            ExprKind::Either(condition, yes, no) => match self.value(condition)? {
                Value::Unknown(trouble) => Value::Unknown(trouble),
                value if value.truth() == Some(true) => self.value(yes)?,
                _ => self.value(no)?,
            },
            ExprKind::Binary(operator, left, right) => self.binary(line, operator, left, right)?,
            ExprKind::Each(item, name, list, condition) => match self.value(list)? {
                Value::List(items) => {
                    let before = self.names.get(name).cloned();
                    let mut made = Vec::new();
                    for value in items {
                        self.names.insert(name.clone(), value);
                        let wanted = match condition {
                            Some(condition) => self.value(condition)?,
                            None => Value::Bool(true),
                        };
                        match wanted.truth() {
                            Some(true) => made.push(self.value(item)?),
                            Some(false) => {}
                            None => return Ok(Value::unknown(line, "a condition")),
                        }
                    }
                    match before {
                        Some(before) => self.names.insert(name.clone(), before),
                        None => self.names.remove(name),
                    };
                    Value::List(made)
                }
                Value::Unknown(trouble) => Value::Unknown(trouble),
                _ => Value::unknown(line, "a loop over no list"),
            },
        })
    }

    fn binary(&mut self, line: usize, operator: &str, left: &Expr, right: &Expr) -> Evaluated {
        let left = self.value(left)?;
        // the right side may be of no concern
        match (operator, left.truth()) {
            ("and", Some(false)) | ("or", Some(true)) => return Ok(left),
            ("and" | "or", Some(_)) => return self.value(right),
            _ => {}
        }
        let right = self.value(right)?;
        if let Some(trouble) = left.trouble().or(right.trouble()).filter(|_| operator != "+") {
            return Ok(Value::Unknown(trouble.clone()));
        }
        let is_in = |item: &Value, all: &Value| match (item, all) {
            (item, Value::List(items)) => Some(items.contains(item)),
            (Value::Text(part), Value::Text(text)) => Some(text.contains(part.as_str())),
            (Value::Text(name), Value::Part(part)) if part == "os.environ" => Some(std::env::var_os(name).is_some()),
            _ => None,
        };
        let truth = match (operator, &left, &right) {
            ("+", _, _) => return Ok(add(line, left, right)),
            ("%", Value::Text(form), _) => return Ok(percent(line, form, right)),
            ("-", Value::Number(a), Value::Number(b)) => return Ok(Value::Number(a - b)),
            ("*", Value::Number(a), Value::Number(b)) => return Ok(Value::Number(a * b)),
            ("==" | "is", a, b) => Some(a == b),
            ("!=" | "is not", a, b) => Some(a != b),
            ("in", a, b) => is_in(a, b),
            ("not in", a, b) => is_in(a, b).map(|t| !t),
            ("<", Value::Number(a), Value::Number(b)) => Some(a < b),
            (">", Value::Number(a), Value::Number(b)) => Some(a > b),
            ("<=", Value::Number(a), Value::Number(b)) => Some(a <= b),
            (">=", Value::Number(a), Value::Number(b)) => Some(a >= b),
            _ => None,
        };
        Ok(truth.map_or_else(
            || Value::unknown(line, format!("the operator {operator} here")),
            Value::Bool,
        ))
    }

    fn call(&mut self, line: usize, function: &Expr, arguments: &[Expr], named: &[(String, Expr)]) -> Evaluated {
        let values = arguments.iter().map(|a| self.value(a)).collect::<Result<Vec<_>, _>>()?;
        // shell=True, stderr=...: of no concern for what is asked here, but they may be unknown names
        for (_, value) in named {
            self.value(value)?;
        }
        if let ExprKind::Attribute(of, method) = &function.kind {
            let of = self.value(of)?;
            match of {
                Value::Part(part) => return self.ask(line, &format!("{part}.{method}"), &values),
                Value::Unknown(trouble) => return Ok(Value::Unknown(trouble)),
                of => return Ok(method_of(line, of, method, &values)),
            }
        }
        let ExprKind::Name(name) = &function.kind else {
            return Ok(Value::unknown(line, "a call"));
        };
        if let Some(body) = self.functions.get(name.as_str()).copied()
            && body.parameters.len() == values.len()
            && named.is_empty()
            && self.depth < DEEPEST
        {
            return self.result_of(body, values);
        }
        match self.names.get(name).cloned() {
            Some(Value::Part(part)) => self.ask(line, &part, &values),
            Some(Value::Unknown(trouble)) => Ok(Value::Unknown(trouble)),
            _ => Ok(built_in(line, name, &values)),
        }
    }

    /// A function of a module.
    fn ask(&self, line: usize, function: &str, values: &[Value]) -> Evaluated {
        let texts: Vec<String> = values.iter().map(Value::text).collect();
        let first = texts.first().map_or("", String::as_str);
        let path = || self.folder.join(first);
        let text = |path: PathBuf| Value::Text(path.display().to_string());
        if let Some(trouble) = values.iter().find_map(Value::trouble) {
            return Ok(Value::Unknown(trouble.clone()));
        }
        let short = function.rsplit('.').next().unwrap_or(function);
        Ok(match function {
            "os.environ.get" | "os.getenv" => match std::env::var(first) {
                Ok(value) => Value::Text(value),
                Err(_) => values.get(1).cloned().unwrap_or(Value::None),
            },
            "os.popen" | "os.popen2" => match self.asked(line, &words(first)) {
                Ok(output) => Value::Output(output),
                Err(trouble) => Value::Unknown(trouble),
            },
            "subprocess.getoutput" | "commands.getoutput" => match self.asked(line, &words(first)) {
                Ok(output) => Value::Text(output.unwrap_or_default().trim_end().into()),
                Err(trouble) => Value::Unknown(trouble),
            },
            "uwsgiconfig.spcall" => match self.asked(line, &words(first)) {
                Ok(Some(output)) => Value::Text(output.trim().into()),
                Ok(None) => Value::None,
                Err(trouble) => Value::Unknown(trouble),
            },
            "subprocess.check_output" => {
                let words = match values.first() {
                    Some(Value::List(_)) => texts_of(&values[0]),
                    _ => words(first),
                };
                match self.asked(line, &words) {
                    Ok(Some(output)) => Value::Text(output),
                    Ok(None) => return raise(line, format!("{} failed", words.join(" "))),
                    Err(trouble) => Value::Unknown(trouble),
                }
            }
            "os.uname" => Value::List(
                ["-s", "-n", "-r", "-v", "-m"]
                    .map(|flag| Value::Text(uname(flag)))
                    .into(),
            ),
            "platform.system" => Value::Text(uname("-s")),
            "platform.machine" => Value::Text(uname("-m")),
            "os.getcwd" => text(std::path::absolute(self.folder).unwrap_or_default()),
            "os.path.join" => text(texts.iter().collect()),
            "os.path.abspath" | "os.path.normpath" => text(std::path::absolute(path()).unwrap_or_default()),
            "os.path.realpath" => text(path().canonicalize().unwrap_or_else(|_| path())),
            "os.path.dirname" => text(Path::new(first).parent().unwrap_or(Path::new("")).into()),
            "os.path.basename" => text(Path::new(first).file_name().unwrap_or_default().into()),
            "os.path.exists" => Value::Bool(path().exists()),
            "os.path.isfile" => Value::Bool(path().is_file()),
            "os.path.isdir" => Value::Bool(path().is_dir()),
            "shlex.split" => Value::List(words(first).into_iter().map(Value::Text).collect()),
            _ if ["get_python_inc", "get_config_var", "get_path", "get_python_lib"].contains(&short)
                && function.contains("sysconfig") =>
            {
                of_python(line, short, first)
            }
            _ => Value::unknown(line, format!("{function}()")),
        })
    }

    /// Asks a tool that is known to answer about flags; `None`: it failed. Another program is not run.
    fn asked(&self, line: usize, words: &[String]) -> Result<Option<String>, Trouble> {
        let program = words.first().map_or("", String::as_str);
        let is_tool = ["pkg-config", "pkgconf", "uname", "echo", "true", "false"].contains(&program)
            || (program.contains("config") && !program.contains('/'));
        let is_plain = |word: &String| !word.contains(['|', ';', '&', '<', '>', '`', '$', '(', ')', '*', '?']);
        if !is_tool || !words.iter().all(is_plain) {
            return raise(line, format!("the command {}", words.join(" ")));
        }
        let output = Command::new(program)
            .args(&words[1..])
            .current_dir(self.folder.canonicalize().unwrap_or_else(|_| "/".into()))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        let output = output.ok().filter(|output| output.status.success());
        Ok(output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()))
    }
}

/// The words of a command; what only silences it is left out.
fn words(text: &str) -> Vec<String> {
    let words = shlex::split(text).unwrap_or_else(|| vec![text.to_owned()]);
    words.into_iter().filter(|word| word != "2>/dev/null").collect()
}

fn texts_of(value: &Value) -> Vec<String> {
    value.list().unwrap_or_default()
}

fn uname(flag: &str) -> String {
    let output = Command::new("uname").arg(flag).output();
    output.map_or_else(
        |_| String::new(),
        |o| String::from_utf8_lossy(&o.stdout).trim().to_owned(),
    )
}

/// What Python knows of its own installation; our question, not the script's.
fn of_python(line: usize, function: &str, argument: &str) -> Value {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let question = match function {
        "get_config_var" => "import sys, sysconfig; print(sysconfig.get_config_var(sys.argv[1]) or '')",
        "get_python_inc" => "import sysconfig; print(sysconfig.get_path('include'))",
        "get_path" => "import sys, sysconfig; print(sysconfig.get_path(sys.argv[1]))",
        _ => "import sysconfig; print(sysconfig.get_path('purelib'))",
    };
    let output = Command::new(&python).args(["-I", "-c", question, argument]).output();
    match output.ok().filter(|output| output.status.success()) {
        Some(output) => Value::Text(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        None => Value::unknown(line, format!("{function}() of {python}")),
    }
}

fn attribute(line: usize, part: &str) -> Value {
    match part {
        "sys.platform" => Value::Text("linux".into()),
        "os.name" => Value::Text("posix".into()),
        "os.sep" | "os.path.sep" => Value::Text("/".into()),
        "sys.executable" => Value::unknown(line, part),
        _ => Value::Part(part.to_owned()),
    }
}

fn add(line: usize, left: Value, right: Value) -> Value {
    match (left, right) {
        (Value::Text(a), Value::Text(b)) => Value::Text(a + &b),
        (Value::Number(a), Value::Number(b)) => Value::Number(a + b),
        (Value::List(mut a), Value::List(b)) => {
            a.extend(b);
            Value::List(a)
        }
        // what is known stays, and what is not is found when the list is asked for
        (Value::List(mut a), Value::Unknown(trouble)) => {
            a.push(Value::Unknown(trouble));
            Value::List(a)
        }
        (Value::Unknown(trouble), _) | (_, Value::Unknown(trouble)) => Value::Unknown(trouble),
        _ => Value::unknown(line, "a sum of different things"),
    }
}

fn percent(line: usize, form: &str, values: Value) -> Value {
    let mut values = match values {
        Value::List(items) => items,
        one => vec![one],
    }
    .into_iter();
    let mut text = String::new();
    let mut rest = form;
    while let Some((before, behind)) = rest.split_once('%') {
        text.push_str(before);
        rest = behind;
        let Some(kind) = rest.chars().next() else { break };
        rest = &rest[kind.len_utf8()..];
        match (kind, values.size_hint().0) {
            ('%', _) => text.push('%'),
            ('s' | 'd' | 'i', 1..) => text.push_str(&values.next().map(|v| v.text()).unwrap_or_default()),
            _ => return Value::unknown(line, "the form of a text"),
        }
    }
    Value::Text(text + rest)
}

fn element(line: usize, of: Value, index: &Value) -> Evaluated {
    Ok(match (of, index) {
        (Value::Part(part), Value::Text(name)) if part == "os.environ" => match std::env::var(name) {
            Ok(value) => Value::Text(value),
            Err(_) => return raise(line, format!("the environment has no {name}")),
        },
        (Value::List(items), Value::Number(n)) => {
            let at = if *n < 0 { items.len() as i64 + n } else { *n };
            match usize::try_from(at).ok().and_then(|at| items.get(at)) {
                Some(item) => item.clone(),
                None => return raise(line, "a list is shorter"),
            }
        }
        (Value::Unknown(trouble), _) => Value::Unknown(trouble),
        _ => Value::unknown(line, "an element"),
    })
}

fn slice(line: usize, of: Value, from: Option<Value>, to: Option<Value>) -> Value {
    let bound = |value: Option<Value>, len: usize, otherwise: usize| match value {
        None => Some(otherwise),
        Some(Value::Number(n)) => {
            let at = if n < 0 { len as i64 + n } else { n };
            Some(at.clamp(0, len as i64) as usize)
        }
        Some(_) => None,
    };
    let len = match &of {
        Value::List(items) => items.len(),
        Value::Text(text) => text.chars().count(),
        _ => return Value::unknown(line, "a part"),
    };
    let (Some(from), Some(to)) = (bound(from, len, 0), bound(to, len, len)) else {
        return Value::unknown(line, "a part");
    };
    let count = to.saturating_sub(from);
    match of {
        Value::List(items) => Value::List(items.into_iter().skip(from).take(count).collect()),
        of => Value::Text(of.text().chars().skip(from).take(count).collect()),
    }
}

fn method_of(line: usize, of: Value, method: &str, values: &[Value]) -> Value {
    let unknown = || Value::unknown(line, format!("{method}()"));
    if let Some(trouble) = values.iter().find_map(Value::trouble) {
        return Value::Unknown(trouble.clone());
    }
    let argument = |at: usize| match values.get(at) {
        Some(Value::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    let lines = |text: &str| Value::List(text.lines().map(|l| Value::Text(l.to_owned())).collect());
    let text = match of {
        Value::Output(output) => {
            let has_failed = output.is_none();
            let text = output.unwrap_or_default();
            return match method {
                "read" => Value::Text(text),
                "readline" => Value::Text(text.lines().next().map(|l| format!("{l}\n")).unwrap_or_default()),
                "readlines" => lines(&text),
                "close" if has_failed => Value::Number(256),
                "close" => Value::None,
                _ => unknown(),
            };
        }
        Value::Text(text) => text,
        _ => return unknown(),
    };
    let set: Vec<char> = argument(0).map_or_else(|| " \t\r\n\u{b}\u{c}".chars().collect(), |a| a.chars().collect());
    Value::Text(match method {
        "strip" => text.trim_matches(&set[..]).into(),
        "rstrip" => text.trim_end_matches(&set[..]).into(),
        "lstrip" => text.trim_start_matches(&set[..]).into(),
        "lower" => text.to_lowercase(),
        "upper" => text.to_uppercase(),
        "decode" | "encode" => text,
        "replace" => match (argument(0), argument(1)) {
            (Some(old), Some(new)) => text.replace(old, new),
            _ => return unknown(),
        },
        "join" => match values.first() {
            Some(list @ Value::List(_)) => texts_of(list).join(&text),
            _ => return unknown(),
        },
        "format" => match formatted(&text, values) {
            Some(text) => text,
            None => return unknown(),
        },
        "split" => {
            let parts: Vec<&str> = match argument(0) {
                Some(separator) if values.len() == 1 => text.split(separator).collect(),
                None if values.is_empty() => text.split_whitespace().collect(),
                _ => return unknown(),
            };
            return Value::List(parts.into_iter().map(|p| Value::Text(p.to_owned())).collect());
        }
        "splitlines" => return lines(&text),
        "startswith" => return argument(0).map_or_else(unknown, |a| Value::Bool(text.starts_with(a))),
        "endswith" => return argument(0).map_or_else(unknown, |a| Value::Bool(text.ends_with(a))),
        _ => return unknown(),
    })
}

/// `'{} {1}'.format(...)`
fn formatted(form: &str, values: &[Value]) -> Option<String> {
    let (mut text, mut rest, mut next) = (String::new(), form, 0);
    while let Some(open) = rest.find(['{', '}']) {
        text.push_str(&rest[..open]);
        let sign = &rest[open..=open];
        rest = &rest[open + 1..];
        if let Some(behind) = rest.strip_prefix(sign) {
            text.push_str(sign);
            rest = behind;
            continue;
        }
        let (inner, behind) = rest.split_once('}')?;
        let at = match inner {
            "" => next,
            number => number.parse().ok()?,
        };
        next = at + 1;
        text.push_str(&values.get(at)?.text());
        rest = behind;
    }
    Some(text + rest)
}

fn built_in(line: usize, name: &str, values: &[Value]) -> Value {
    match (name, values) {
        ("str", [value]) if value.trouble().is_none() => Value::Text(value.text()),
        ("list" | "tuple", [list @ Value::List(_)]) => list.clone(),
        ("list" | "tuple", []) => Value::List(Vec::new()),
        ("len", [Value::List(items)]) => Value::Number(items.len() as i64),
        ("int", [Value::Text(text)]) => text.trim().parse().map_or(Value::unknown(line, "int()"), Value::Number),
        ("print", _) => Value::None,
        _ => Value::unknown(line, format!("{name}()")),
    }
}
