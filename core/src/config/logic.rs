//! `if-…`/`else`/`endif` and `for…`/`endfor`: which lines belong to a block, and whether or how often they count.

use super::directive::Directive;
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::path::Path;

/// Environment variables as the process got them.
pub type Environment = HashMap<String, String>;

/// What conditions ask the rest of the program.
pub trait Facts {
    /// The first value of an option or placeholder above this line.
    fn option(&self, name: &str) -> Option<String>;
    /// An environment variable.
    fn variable(&self, name: &str) -> Option<String>;
    /// Whether the plugin is loaded.
    fn plugin(&self, name: &str) -> bool;
}

/// The lines that open a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// A condition; `true` counts the lines when it does not hold.
    If(Condition, bool),
    /// A loop.
    For(Loop),
}

/// What an `if-…` looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// An environment variable.
    Env,
    /// An option above this line.
    Opt,
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// Any path.
    Exists,
    /// The machine's name.
    Hostname,
    /// An expression that the machine's name matches.
    HostnameMatch,
    /// A loaded plugin.
    Plugin,
    /// Starting through a reload.
    Reload,
}

/// What a `for…` walks over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loop {
    /// Words.
    Words,
    /// Matching paths.
    Glob,
    /// Numbers from 1.
    Times,
    /// Lines of a file.
    Lines,
}

impl Opening {
    /// By the key of a line.
    pub fn of(key: &str) -> Option<Self> {
        let looped = match key {
            "for" => Some(Loop::Words),
            "for-glob" => Some(Loop::Glob),
            "for-times" => Some(Loop::Times),
            "for-readline" => Some(Loop::Lines),
            _ => None,
        };
        if let Some(looped) = looped {
            return Some(Self::For(looped));
        }
        let rest = key.strip_prefix("if-").or_else(|| match key {
            "ifenv" | "ifdir" | "ifexists" | "ifplugin" | "ifopt" | "iffile" | "ifreload" => key.strip_prefix("if"),
            _ => None,
        })?;
        let (negated, subject) = match rest.strip_prefix("not-") {
            Some(subject) => (true, subject),
            None => (false, rest),
        };
        let condition = match subject {
            "env" => Condition::Env,
            "opt" => Condition::Opt,
            "file" => Condition::File,
            "dir" | "directory" => Condition::Dir,
            "exists" => Condition::Exists,
            "hostname" => Condition::Hostname,
            "hostname-match" => Condition::HostnameMatch,
            "plugin" => Condition::Plugin,
            "reload" => Condition::Reload,
            _ => return None,
        };
        Some(Self::If(condition, negated))
    }

    /// The values of `%(_)` for which the block counts; `None`: the `else` part counts.
    pub fn evaluate(self, argument: &str, facts: &dyn Facts) -> Result<Option<Vec<String>>, String> {
        match self {
            Self::For(walk) => walk.values(argument).map(Some),
            Self::If(condition, negated) => {
                let found = condition.test(argument, facts)?;
                Ok(match (found, negated) {
                    (Some(value), false) => Some(vec![value]),
                    (None, true) => Some(vec![argument.to_owned()]),
                    _ => None,
                })
            }
        }
    }

    /// The line that closes it, for messages.
    pub fn closed_by(self) -> &'static str {
        match self {
            Self::If(..) => "endif",
            Self::For(_) => "endfor",
        }
    }
}

/// Whether the key begins like one that opens a block.
pub fn looks_like_opening(key: &str) -> bool {
    ["if-", "for-"].iter().any(|start| key.starts_with(start))
}

/// Whether the key closes a block.
pub fn is_closing(key: &str) -> bool {
    matches!(key, "endif" | "end-if" | "endfor" | "end-for" | "end")
}

impl Condition {
    /// The value of `%(_)` when the condition holds.
    fn test(self, argument: &str, facts: &dyn Facts) -> Result<Option<String>, String> {
        let path = |test: fn(&Path) -> bool| test(Path::new(argument)).then(|| argument.to_owned());
        let hostname = || nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned());
        Ok(match self {
            Self::Env => compared(argument, |name| facts.variable(name)),
            Self::Opt => compared(argument, |name| facts.option(name)),
            Self::File => path(Path::is_file),
            Self::Dir => path(Path::is_dir),
            Self::Exists => path(Path::exists),
            Self::Hostname => hostname().ok().filter(|name| name == argument),
            Self::HostnameMatch => {
                let name = hostname().unwrap_or_default();
                is_match(argument, &name)?.then_some(name)
            }
            Self::Plugin => facts.plugin(argument).then(|| argument.to_owned()),
            Self::Reload => facts.variable("UWSGI_RELOADS"),
        })
    }
}

/// `name` holds when it has a value, `name=value` when it has that one.
fn compared(argument: &str, lookup: impl Fn(&str) -> Option<String>) -> Option<String> {
    match argument.split_once('=') {
        Some((name, wanted)) => lookup(name).filter(|value| value == wanted),
        None => lookup(argument),
    }
}

/// Whether the text matches an extended regular expression.
fn is_match(expression: &str, text: &str) -> Result<bool, String> {
    let wrong = || format!("invalid expression {expression:?}: give an extended regular expression like ^web[0-9]+$");
    let (Ok(c_expression), Ok(text)) = (CString::new(expression), CString::new(text)) else {
        return Err(wrong());
    };
    // SAFETY: regex_t is a plain C struct, filled by regcomp before anything reads it.
    let mut compiled: libc::regex_t = unsafe { std::mem::zeroed() };
    // SAFETY: the expression is NUL-terminated, the struct lives until regfree.
    let read = unsafe {
        libc::regcomp(
            &mut compiled,
            c_expression.as_ptr(),
            libc::REG_EXTENDED | libc::REG_NOSUB,
        )
    };
    if read != 0 {
        return Err(wrong());
    }
    // SAFETY: compiled above; no places of matches are asked for.
    let found = unsafe { libc::regexec(&compiled, text.as_ptr(), 0, std::ptr::null_mut(), 0) } == 0;
    // SAFETY: compiled above, not used again.
    unsafe { libc::regfree(&mut compiled) };
    Ok(found)
}

/// More rounds than any honest loop has.
const MAX_ROUNDS: usize = 100_000;

impl Loop {
    fn values(self, argument: &str) -> Result<Vec<String>, String> {
        match self {
            Self::Words => Ok(argument.split_whitespace().map(str::to_owned).collect()),
            Self::Glob => glob(argument),
            Self::Times => match argument.trim().parse::<usize>() {
                Ok(times) if times <= MAX_ROUNDS => Ok((1..=times).map(|n| n.to_string()).collect()),
                Ok(_) => Err(format!("more than {MAX_ROUNDS} rounds")),
                Err(_) => Err(format!(
                    "invalid number {argument:?}: give how often the lines are repeated"
                )),
            },
            Self::Lines => {
                let (text, _) = super::scheme::read(argument).map_err(|e| e.to_string())?;
                Ok(text.lines().map(str::to_owned).collect())
            }
        }
    }
}

/// The paths that match a shell pattern, sorted.
pub fn glob(pattern: &str) -> Result<Vec<String>, String> {
    let c_pattern = CString::new(pattern).map_err(|_| "the pattern contains a NUL".to_owned())?;
    // SAFETY: glob_t is a plain C struct for which all zeroes is valid before the call.
    let mut found: libc::glob_t = unsafe { std::mem::zeroed() };
    // SAFETY: the pattern is NUL-terminated and `found` lives until globfree.
    let result = unsafe { libc::glob(c_pattern.as_ptr(), 0, None, &mut found) };
    let mut paths = Vec::new();
    if result == 0 {
        for index in 0..found.gl_pathc {
            // SAFETY: after success gl_pathv holds gl_pathc NUL-terminated strings.
            let path = unsafe { CStr::from_ptr(*found.gl_pathv.add(index)) };
            paths.push(path.to_string_lossy().into_owned());
        }
    }
    // SAFETY: filled by glob above (it is valid to free it after an error too).
    unsafe { libc::globfree(&mut found) };
    match result {
        0 | libc::GLOB_NOMATCH => Ok(paths),
        _ => Err(format!("unable to search {pattern:?}")),
    }
}

/// A block: indices into the lines that contain it.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// The lines that count when the condition holds.
    pub then: std::ops::Range<usize>,
    /// The lines behind `else`.
    pub otherwise: std::ops::Range<usize>,
    /// The first line behind the block.
    pub next: usize,
    /// Whether a closing line was found.
    pub closed: bool,
}

/// The block that line `start` opens. A misspelt `if-…` inside counts as a block if that leaves an end for each.
pub fn block(lines: &[Directive], start: usize) -> Block {
    let known = |key: &str| Opening::of(key).is_some();
    let block = ends(lines, start, &|key| known(key) || looks_like_opening(key));
    match block.closed {
        true => block,
        false => ends(lines, start, &known),
    }
}

fn ends(lines: &[Directive], start: usize, opens: &dyn Fn(&str) -> bool) -> Block {
    let mut depth = 0;
    let mut middle = None;
    for (at, line) in lines.iter().enumerate().skip(start + 1) {
        if opens(&line.key) {
            depth += 1;
        } else if line.key == "else" && depth == 0 {
            middle.get_or_insert(at);
        } else if is_closing(&line.key) {
            if depth == 0 {
                return made(start, middle, at, at + 1, true);
            }
            depth -= 1;
        }
    }
    made(start, middle, lines.len(), lines.len(), false)
}

fn made(start: usize, middle: Option<usize>, end: usize, next: usize, closed: bool) -> Block {
    Block {
        then: start + 1..middle.unwrap_or(end),
        otherwise: middle.map_or(end..end, |m| m + 1..end),
        next,
        closed,
    }
}

#[cfg(test)]
mod tests {
    use super::super::directive::Origin;
    use super::*;

    struct Fixed;
    impl Facts for Fixed {
        fn option(&self, name: &str) -> Option<String> {
            (name == "zed").then(|| "1".to_owned())
        }
        fn variable(&self, name: &str) -> Option<String> {
            (name == "IFV").then(|| "abc".to_owned())
        }
        fn plugin(&self, name: &str) -> bool {
            name == "python"
        }
    }

    fn test(key: &str, argument: &str) -> Option<Vec<String>> {
        Opening::of(key).unwrap().evaluate(argument, &Fixed).unwrap()
    }

    #[test]
    fn conditions_hold_or_not() {
        assert_eq!(test("if-env", "IFV"), Some(vec!["abc".into()]));
        assert_eq!(test("ifenv", "IFV=abc"), Some(vec!["abc".into()]));
        assert_eq!(test("if-env", "IFV=x"), None);
        assert_eq!(test("if-not-env", "NO"), Some(vec!["NO".into()]));
        assert_eq!(test("if-opt", "zed=1"), Some(vec!["1".into()]));
        assert_eq!(test("if-not-opt", "zed"), None);
        assert_eq!(test("if-dir", "/"), Some(vec!["/".into()]));
        assert_eq!(test("if-file", "/"), None);
        assert_eq!(test("if-not-exists", "/no/such"), Some(vec!["/no/such".into()]));
        assert!(test("if-plugin", "python").is_some() && test("if-not-plugin", "python").is_none());
        assert!(test("if-reload", "").is_none());
        assert!(test("if-hostname-match", "^.+$").is_some() && test("if-not-hostname-match", ".").is_none());
        assert!(test("if-hostname-match", "^no such host$").is_none());
        let wrong = Opening::of("if-hostname-match").unwrap().evaluate("(", &Fixed);
        assert!(wrong.unwrap_err().contains("invalid expression"));
    }

    #[test]
    fn loops_give_their_values() {
        assert_eq!(test("for", " a  b "), Some(vec!["a".into(), "b".into()]));
        assert_eq!(test("for-times", "2"), Some(vec!["1".into(), "2".into()]));
        assert_eq!(test("for-readline", "data://x\ny"), Some(vec!["x".into(), "y".into()]));
        assert_eq!(test("for-glob", "/et[c]"), Some(vec!["/etc".into()]));
        assert_eq!(test("for-glob", "/no/such/*"), Some(vec![]));
        let times = Opening::of("for-times").unwrap();
        assert!(times.evaluate("x", &Fixed).is_err() && times.evaluate("1000000", &Fixed).is_err());
    }

    #[test]
    fn blocks_nest() {
        let keys = ["if-env", "a", "for", "b", "endfor", "else", "c", "endif", "d"];
        let lines: Vec<_> = keys.iter().map(|k| Directive::flag(*k, Origin::CommandLine)).collect();
        let found = block(&lines, 0);
        assert_eq!(
            (found.then, found.otherwise, found.next, found.closed),
            (1..5, 6..7, 8, true)
        );
        assert_eq!(block(&lines, 2).then, 3..4);
        let keys = ["if-env", "if-moon", "a", "endif", "b", "endif", "c"];
        let lines: Vec<_> = keys.iter().map(|k| Directive::flag(*k, Origin::CommandLine)).collect();
        assert_eq!(block(&lines, 0).next, 6);
        let keys = ["if-env", "for-mail", "endif", "b", "if-env", "endif"];
        let own: Vec<_> = keys.iter().map(|k| Directive::flag(*k, Origin::CommandLine)).collect();
        assert_eq!(block(&own, 0).next, 3, "a name of somebody's own is no block");
        let keys = ["if-env", "a", "for", "b", "endfor", "else", "c", "endif", "d"];
        let lines: Vec<_> = keys.iter().map(|k| Directive::flag(*k, Origin::CommandLine)).collect();
        let open = block(&lines[..4], 0);
        assert!(!open.closed && open.next == 4);
    }
}
