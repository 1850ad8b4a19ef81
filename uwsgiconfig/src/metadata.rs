//! What is to be built: a single source, or a folder that `uwsgiplugin.py` describes (NAME, CFLAGS, LDFLAGS, LIBS,
//! GCC_LIST, REQUIRES). Files that only assign literals, as nearly all do, are read without Python; others are run.

use crate::compiler::BuildError;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A plugin's sources and flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The plugin's name: the output is `NAME_plugin.so`.
    pub name: String,
    /// Further compiler flags.
    pub cflags: Vec<String>,
    /// Further linker flags, before the libraries.
    pub ldflags: Vec<String>,
    /// Libraries.
    pub libs: Vec<String>,
    /// Sources and objects, with their paths.
    pub sources: Vec<PathBuf>,
    /// Plugins that must be loaded with it.
    pub requires: Vec<String>,
}

impl Metadata {
    /// Looks at what the user named.
    ///
    /// # Errors
    /// It does not exist, or its `uwsgiplugin.py` cannot be understood.
    pub fn of(target: &Path) -> Result<Self, BuildError> {
        if target.is_dir() {
            return Self::of_folder(target);
        }
        if !target.is_file() {
            return Err(BuildError::NoSource { path: target.into() });
        }
        let file = target.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let name = file.split('.').next().unwrap_or(file).to_owned();
        Ok(Self {
            name,
            sources: vec![target.into()],
            ..Self::default()
        })
    }

    fn of_folder(folder: &Path) -> Result<Self, BuildError> {
        let script = folder.join("uwsgiplugin.py");
        let text = std::fs::read_to_string(&script).map_err(|_| BuildError::NoScript { path: script.clone() })?;
        let values = match literals(&text) {
            Some(values) => values,
            None => evaluate(folder, &script)?,
        };
        let list = |key: &str| {
            values
                .iter()
                .find(|(k, _)| k == key)
                .map(|(_, v)| v.clone())
                .unwrap_or_default()
        };
        let name = list("NAME")
            .into_iter()
            .next()
            .ok_or_else(|| BuildError::NoName { path: script.clone() })?;
        let flags = |key: &str| -> Result<Vec<String>, BuildError> {
            let split = list(key).into_iter().map(|flag| match shlex::split(&flag) {
                Some(words) => Ok(words),
                None => Err(BuildError::BadFlag {
                    path: script.clone(),
                    flag,
                }),
            });
            Ok(split.collect::<Result<Vec<_>, _>>()?.concat())
        };
        Ok(Self {
            name,
            cflags: flags("CFLAGS")?,
            ldflags: flags("LDFLAGS")?,
            libs: flags("LIBS")?,
            sources: list("GCC_LIST").iter().map(|s| source(folder, s)).collect(),
            requires: list("REQUIRES"),
        })
    }
}

/// An entry of GCC_LIST: relative to the folder; without a suffix it is a C source.
fn source(folder: &Path, entry: &str) -> PathBuf {
    let known = [".c", ".cc", ".cpp", ".cxx", ".m", ".o", ".a", ".go", ".s", ".S"];
    match known.iter().any(|suffix| entry.ends_with(suffix)) {
        true => folder.join(entry),
        false => folder.join(format!("{entry}.c")),
    }
}

/// A key and its value, a plain string as a list of one.
type Values = Vec<(String, Vec<String>)>;

/// Reads `KEY = 'text'` and `KEY = ['a', 'b']` lines; `None` when the file has anything else in it.
pub fn literals(text: &str) -> Option<Values> {
    let mut values = Values::new();
    let mut rest = text;
    loop {
        rest = skip_blank(rest);
        if rest.is_empty() {
            return Some(values);
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
        let key = &rest[..end];
        rest = rest[end..].trim_start_matches([' ', '\t']).strip_prefix('=')?;
        rest = rest.trim_start_matches([' ', '\t']);
        let (value, after) = value(rest)?;
        if key.is_empty() {
            return None;
        }
        values.retain(|(k, _)| k != key);
        values.push((key.to_owned(), value));
        let after = after.trim_start_matches([' ', '\t', ';']);
        if !(after.is_empty() || after.starts_with('\n') || after.starts_with('\r') || after.starts_with('#')) {
            return None;
        }
        rest = after;
    }
}

fn skip_blank(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        match text.strip_prefix('#') {
            Some(comment) => text = comment.split_once('\n').map_or("", |(_, rest)| rest),
            None => return text,
        }
    }
}

fn value(text: &str) -> Option<(Vec<String>, &str)> {
    let Some(closing) = text
        .strip_prefix('[')
        .map(|_| ']')
        .or(text.strip_prefix('(').map(|_| ')'))
    else {
        let (one, rest) = string(text)?;
        return Some((vec![one], rest));
    };
    let mut rest = &text[1..];
    let mut list = Vec::new();
    loop {
        rest = skip_blank(rest);
        if let Some(rest) = rest.strip_prefix(closing) {
            return Some((list, rest));
        }
        let (item, after) = string(rest)?;
        list.push(item);
        rest = skip_blank(after);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with(closing) => {}
            None => return None,
        }
    }
}

fn string(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| *c == '"' || *c == '\'')?;
    if text.starts_with("\"\"\"") || text.starts_with("'''") {
        return None;
    }
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Some((out, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                c @ ('\\' | '\'' | '"') => out.push(c),
                _ => return None,
            },
            '\n' => return None,
            c => out.push(c),
        }
    }
    None
}

const EVALUATE: &str = r"
import os, subprocess, sys, types
folder, script = sys.argv[1:3]
def spcall(command):
    try:
        return subprocess.run(command, shell=True, check=True, stdout=subprocess.PIPE).stdout.decode().strip()
    except subprocess.CalledProcessError:
        return None
sys.modules['uwsgiconfig'] = types.ModuleType('uwsgiconfig')
sys.modules['uwsgiconfig'].spcall = spcall
sys.path.insert(0, folder)
os.chdir(folder)
names = {'__file__': script, '__name__': 'uwsgiplugin'}
exec(compile(open(script).read(), script, 'exec'), names)
for key in ('NAME', 'CFLAGS', 'LDFLAGS', 'LIBS', 'GCC_LIST', 'REQUIRES'):
    value = names.get(key)
    if value is None:
        continue
    for item in ([value] if isinstance(value, str) else list(value)):
        if item is not None: print('\x01%s\x02%s' % (key, item))
";

/// Runs the script with Python, for the few that compute their flags (pg_config, pkg-config ...).
fn evaluate(folder: &Path, script: &Path) -> Result<Values, BuildError> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let absolute = |p: &Path| std::path::absolute(p).unwrap_or_else(|_| p.to_path_buf());
    let output = Command::new(&python)
        .args(["-c", EVALUATE])
        .arg(absolute(folder))
        .arg(absolute(script))
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|e| BuildError::NoPython {
            path: script.into(),
            python: python.clone(),
            reason: e.to_string(),
        })?;
    if !output.status.success() {
        return Err(BuildError::ScriptFailed { path: script.into() });
    }
    let mut values = Values::new();
    for line in String::from_utf8_lossy(&output.stdout).split('\x01').skip(1) {
        let Some((key, item)) = line.trim_end_matches('\n').split_once('\x02') else {
            continue;
        };
        match values.iter_mut().find(|(k, _)| k == key) {
            Some((_, list)) => list.push(item.to_owned()),
            None => values.push((key.to_owned(), vec![item.to_owned()])),
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_scripts_are_read_without_python() {
        let values = literals(
            "# a comment\nNAME='dirplug'\nCFLAGS = ['-DA=1', \"-I/x y\"]\nLDFLAGS=[]\nLIBS=[\n  '-lm', # math\n]\nGCC_LIST = ('one', 'two.cc')\n",
        )
        .unwrap();
        let get = |k: &str| values.iter().find(|(n, _)| n == k).map(|(_, v)| v.join("|"));
        assert_eq!(get("NAME").as_deref(), Some("dirplug"));
        assert_eq!(get("CFLAGS").as_deref(), Some("-DA=1|-I/x y"));
        assert_eq!(get("LDFLAGS").as_deref(), Some(""));
        assert_eq!(get("LIBS").as_deref(), Some("-lm"));
        assert_eq!(get("GCC_LIST").as_deref(), Some("one|two.cc"));
    }

    #[test]
    fn anything_computed_needs_python() {
        for text in [
            "import os\nNAME='x'\n",
            "NAME='x'\nCFLAGS=os.popen('a').read().split()\n",
            "NAME='a' + 'b'\n",
            "if 1: NAME='x'",
        ] {
            assert_eq!(literals(text), None, "{text}");
        }
    }

    #[test]
    fn sources_without_suffix_are_c() {
        assert_eq!(source(Path::new("p"), "one"), PathBuf::from("p/one.c"));
        assert_eq!(source(Path::new("p"), "two.cpp"), PathBuf::from("p/two.cpp"));
    }
}
