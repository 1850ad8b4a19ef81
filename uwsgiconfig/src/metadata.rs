//! What is to be built: a single source, or a folder that `uwsgiplugin.py` describes (NAME, CFLAGS, LDFLAGS, LIBS,
//! GCC_LIST, REQUIRES, BINARY_LIST). The file is read, not run, unless the user says that it may be.

use crate::compiler::BuildError;
use crate::script::{self, Trouble, Value};
use crate::trusted::{self, Values};
use std::path::{Path, PathBuf};

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
    /// The line of a `post_build` function, which is run for those who trust it.
    pub post_build: Option<usize>,
    /// Files that become part of it, each with the symbol that its bytes begin at (`SYMBOL_start`, `SYMBOL_end`).
    pub binaries: Vec<(String, PathBuf)>,
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
        let may_run = trusted::allowed();
        let (values, trouble) = match understood(&text, folder) {
            // what a script does beside telling may be what makes a source
            Ok((values, left_out)) => {
                let matters = may_run || lacks_source(&values, folder);
                (values, left_out.filter(|_| matters))
            }
            Err(trouble) => (Values::new(), Some(trouble)),
        };
        let values = match trouble {
            None => values,
            Some(_) if may_run => trusted::values(folder, &script)?,
            Some(trouble) => {
                return Err(BuildError::MustRun {
                    path: script,
                    line: trouble.line,
                    what: trouble.what,
                });
            }
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
            let words = split.collect::<Result<Vec<_>, _>>()?.concat();
            Ok(words.iter().map(|word| placed(folder, word)).collect())
        };
        Ok(Self {
            name,
            cflags: flags("CFLAGS")?,
            ldflags: flags("LDFLAGS")?,
            libs: flags("LIBS")?,
            sources: list("GCC_LIST").iter().map(|s| source(folder, s)).collect(),
            requires: list("REQUIRES").into_iter().filter(|name| !name.is_empty()).collect(),
            post_build: list("post_build").first().and_then(|line| line.parse().ok()),
            binaries: list("BINARY_LIST")
                .chunks_exact(2)
                .map(|pair| (pair[0].clone(), folder.join(&pair[1])))
                .collect(),
        })
    }
}

/// An entry of GCC_LIST: relative to the folder; without a suffix it is a C source.
fn source(folder: &Path, entry: &str) -> PathBuf {
    let known = [".c", ".cc", ".cpp", ".cxx", ".m", ".o", ".a", ".go", ".s", ".S"];
    match known.iter().any(|suffix| entry.ends_with(suffix)) {
        // an archive may be named from where the build is begun
        true if entry.ends_with(".a") && !folder.join(entry).is_file() && Path::new(entry).is_file() => entry.into(),
        true => folder.join(entry),
        false => folder.join(format!("{entry}.c")),
    }
}

fn lacks_source(values: &Values, folder: &Path) -> bool {
    let listed = values.iter().filter(|(key, _)| key == "GCC_LIST");
    listed
        .flat_map(|(_, entries)| entries)
        .any(|entry| !source(folder, entry).is_file())
}

/// A flag that names a place beneath the folder (`-Iinclude`, `-Llib`, `part.o`) as seen from there, unless it is good from
/// where the build is begun.
fn placed(folder: &Path, flag: &str) -> String {
    let (option, place) = match flag {
        _ if flag.starts_with("-I") || flag.starts_with("-L") => flag.split_at(2),
        _ if !flag.starts_with('-') && (flag.ends_with(".o") || flag.ends_with(".a")) => ("", flag),
        _ => return flag.to_owned(),
    };
    let there = folder.join(place);
    match !place.is_empty() && !Path::new(place).exists() && there.exists() {
        true => format!("{option}{}", there.display()),
        false => flag.to_owned(),
    }
}

/// What of a script counts.
const KEYS: [&str; 7] = [
    "NAME",
    "CFLAGS",
    "LDFLAGS",
    "LIBS",
    "GCC_LIST",
    "REQUIRES",
    "BINARY_LIST",
];

/// What a script says, without running it, and the first thing that it would do.
fn understood(text: &str, folder: &Path) -> Result<(Values, Option<Trouble>), Trouble> {
    let outcome = script::read(text, folder)?;
    let known = KEYS.iter().filter_map(|key| {
        let value = outcome.names.get(*key)?;
        Some(value.list().map(|list| ((*key).to_owned(), list)))
    });
    let mut values: Values = known.collect::<Result<_, _>>()?;
    if let Some(function) = outcome.names.get("post_build").and_then(Value::trouble) {
        values.push(("post_build".into(), vec![function.line.to_string()]));
    }
    Ok((values, outcome.left_out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_read_as_far_as_somebody_asks() {
        let text = "import os\nNAME='dirplug'\nCFLAGS = ['-DA=1', \"-I/x y\"]\nLDFLAGS=[]\nLIBS=os.environ.get('NO_SUCH', '-lm').split()\nGCC_LIST = ('one', 'two.cc')\nBINARY_LIST=[('logo', 'logo.png')]\nos.system('touch x')\n";
        let (values, left_out) = understood(text, Path::new(".")).unwrap();
        assert_eq!(left_out.map(|t| t.line), Some(8));
        let get = |k: &str| values.iter().find(|(n, _)| n == k).map(|(_, v)| v.join("|"));
        assert_eq!(get("NAME").as_deref(), Some("dirplug"));
        assert_eq!(get("CFLAGS").as_deref(), Some("-DA=1|-I/x y"));
        assert_eq!(get("LDFLAGS").as_deref(), Some(""));
        assert_eq!(get("LIBS").as_deref(), Some("-lm"));
        assert_eq!(get("GCC_LIST").as_deref(), Some("one|two.cc"));
        assert_eq!(get("BINARY_LIST").as_deref(), Some("logo|logo.png"));
        let trouble = understood("NAME='x'\nCFLAGS=compute()\n", Path::new(".")).unwrap_err();
        assert_eq!((trouble.line, trouble.what.as_str()), (2, "compute()"));
    }

    #[test]
    fn sources_without_suffix_are_c() {
        assert_eq!(source(Path::new("p"), "one"), PathBuf::from("p/one.c"));
        assert_eq!(source(Path::new("p"), "two.cpp"), PathBuf::from("p/two.cpp"));
    }

    #[test]
    fn places_are_seen_from_the_folder_if_they_are_there() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("include-of-it")).unwrap();
        std::fs::write(folder.path().join("part-of-it.a"), "").unwrap();
        let inside = |name: &str| folder.path().join(name).display().to_string();
        assert_eq!(
            placed(folder.path(), "-Iinclude-of-it"),
            format!("-I{}", inside("include-of-it"))
        );
        assert_eq!(placed(folder.path(), "part-of-it.a"), inside("part-of-it.a"));
        for same in ["-I/usr/include", "-Inowhere", "-lm", "-L", "-DA=part-of-it.a"] {
            assert_eq!(placed(folder.path(), same), same);
        }
        let values = |name: &str| vec![("GCC_LIST".to_owned(), vec![name.to_owned()])];
        assert!(lacks_source(&values("one"), folder.path()));
        assert!(!lacks_source(&values("part-of-it.a"), folder.path()));
    }
}
