//! A profile: which plugins a build has, inside of the server or beside it. The files are uWSGI's (`buildconf/*.ini`):
//! its keys are understood, and those about parts that rsgi always has are named and passed over.

use std::path::{Path, PathBuf};

/// What is to be built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// Plugins as files beside the server: names of rsgi's own, sources, folders.
    pub plugins: Vec<String>,
    /// Plugins inside of the server.
    pub embedded: Vec<String>,
    /// The name of the server's file.
    pub bin_name: Option<String>,
    /// Where the server looks for plugins, and where they are installed.
    pub plugin_dir: Option<String>,
    /// The server as a library (librsgi) in place of a program.
    pub as_library: bool,
    /// Keys of uWSGI that decide nothing here, each with its place.
    pub unused: Vec<String>,
}

/// Why a profile cannot be used. One line each.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// No such file.
    #[error("no profile {name} ({looked}); there are {known}")]
    Missing {
        /// as it was asked for
        name: String,
        /// where it was looked for
        looked: String,
        /// those of the source tree
        known: String,
    },
    /// A line that is no line of a profile.
    #[error("{path}:{line}: {reason}", path = path.display())]
    Line {
        /// the file
        path: PathBuf,
        /// its line
        line: usize,
        /// what is wrong and what to do
        reason: String,
    },
    /// Templates that name each other.
    #[error("{path}: inherits itself", path = path.display())]
    Circle {
        /// the file
        path: PathBuf,
    },
}

/// Switches of uWSGI's build for what rsgi always has or never needs.
const UNUSED: &[&str] = &[
    "append_version",
    "blacklist",
    "cares",
    "coroae",
    "debug",
    "embed_files",
    "event",
    "execinfo",
    "file_monitor",
    "filemonitor",
    "ifaddrs",
    "json",
    "kernel",
    "locking",
    "malloc_implementation",
    "matheval",
    "pcre",
    "routing",
    "sctp",
    "spooler",
    "ssl",
    "timer",
    "tuntap",
    "uuid",
    "whitelist",
    "xml",
    "xml_implementation",
    "yaml",
    "zlib",
    "extras",
    "libxslt",
];

impl Profile {
    /// Reads a profile of the source tree by its name, or a file.
    ///
    /// # Errors
    /// See [`ProfileError`].
    pub fn read(name: &str, source: &Path) -> Result<Self, ProfileError> {
        let mut profile = Self::default();
        profile.add(&find(name, source, Path::new("."))?, source, &mut Vec::new())?;
        Ok(profile)
    }

    fn add(&mut self, path: &Path, source: &Path, above: &mut Vec<PathBuf>) -> Result<(), ProfileError> {
        if above.iter().any(|p| p == path) {
            return Err(ProfileError::Circle { path: path.into() });
        }
        above.push(path.to_path_buf());
        let wrong = |line: usize, reason: String| ProfileError::Line {
            path: path.into(),
            line,
            reason,
        };
        let text = std::fs::read_to_string(path).map_err(|e| wrong(0, e.to_string()))?;
        for (number, line) in text.lines().enumerate() {
            let (number, line) = (number + 1, line.trim());
            if line.is_empty() || line.starts_with([';', '#', '[']) {
                continue;
            }
            let Some((key, value)) = line.split_once('=').map(|(k, v)| (k.trim(), v.trim())) else {
                return Err(wrong(number, format!("\"{line}\" is no \"key = value\"")));
            };
            let names = value
                .split(',')
                .map(str::trim)
                .filter(|n| !n.is_empty() && *n != "null");
            let beside = path.parent().unwrap_or(Path::new("."));
            match key {
                "inherit" => {
                    let base = find(value, source, beside).map_err(|e| wrong(number, e.to_string()))?;
                    self.add(&base, source, above)?;
                }
                "plugins" | "main_plugin" => extend(&mut self.plugins, names, beside),
                "embedded_plugins" | "embed_plugins" => extend(&mut self.embedded, names, beside),
                "bin_name" => self.bin_name = Some(value.to_owned()),
                "as_shared_library" => self.as_library = matches!(value, "true" | "1" | "yes" | "on"),
                "plugin_dir" => self.plugin_dir = Some(value.to_owned()),
                key if UNUSED.contains(&key) => self.unused.push(format!("{}:{number}: {key}", path.display())),
                key => {
                    let known = "inherit, plugins, embedded_plugins, bin_name, plugin_dir, as_shared_library";
                    return Err(wrong(number, format!("rsgi's build has no key {key} (it has {known})")));
                }
            }
        }
        above.pop();
        self.plugins.retain(|plugin| !self.embedded.contains(plugin));
        Ok(())
    }
}

/// Adds names once each; paths are beside the profile.
fn extend<'a>(list: &mut Vec<String>, names: impl Iterator<Item = &'a str>, beside: &Path) {
    for name in names {
        let name = match name.contains(['/', '.']) {
            true => beside
                .join(name)
                .components()
                .collect::<PathBuf>()
                .display()
                .to_string(),
            false => name.to_owned(),
        };
        if !list.contains(&name) {
            list.push(name);
        }
    }
}

/// A file as it is named, beside the one that names it, or a profile of the source tree.
fn find(name: &str, source: &Path, beside: &Path) -> Result<PathBuf, ProfileError> {
    let own = source.join("packaging/profiles");
    let with_ending = format!("{}.ini", name.trim_end_matches(".ini"));
    let places = [beside.join(name), beside.join(&with_ending), own.join(&with_ending)];
    if let Some(path) = places.iter().find(|path| path.is_file()) {
        return Ok(path.clone());
    }
    let mut known: Vec<String> = std::fs::read_dir(&own)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|file| file.file_name().to_str()?.strip_suffix(".ini").map(str::to_owned))
        .collect();
    known.sort();
    Err(ProfileError::Missing {
        name: name.to_owned(),
        looked: places.map(|path| path.display().to_string()).join(", "),
        known: known.join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("packaging/profiles")).unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join("packaging/profiles").join(name), text).unwrap();
        }
        dir
    }

    #[test]
    fn keys_of_uwsgi_are_understood() {
        let dir = tree(&[
            (
                "base.ini",
                "[uwsgi]\nplugins = python, http\nxml = auto\nplugin_dir = /p\nas_shared_library = true\n",
            ),
            (
                "mine.ini",
                "; mine\ninherit = base\nembedded_plugins = http, ./x.c\nbin_name = app-server\nplugins =\n",
            ),
        ]);
        let profile = Profile::read("mine", dir.path()).unwrap();
        let source = dir.path().join("packaging/profiles/x.c").display().to_string();
        assert_eq!(profile.plugins, ["python"]);
        assert_eq!(profile.embedded, ["http".to_owned(), source]);
        assert_eq!(profile.bin_name.as_deref(), Some("app-server"));
        assert_eq!(profile.plugin_dir.as_deref(), Some("/p"));
        assert!(profile.as_library);
        assert!(profile.unused[0].ends_with("base.ini:3: xml"));
    }

    #[test]
    fn mistakes_have_a_place() {
        let dir = tree(&[
            ("a.ini", "inherit = a\n"),
            ("b.ini", "\nplugin = x\n"),
            ("c.ini", "x\n"),
        ]);
        let error = |name: &str| Profile::read(name, dir.path()).unwrap_err().to_string();
        assert!(error("a").ends_with("a.ini: inherits itself"), "{}", error("a"));
        assert!(error("b").contains("b.ini:2: rsgi's build has no key plugin (it has inherit"));
        assert!(error("c").contains("c.ini:1: \"x\" is no"));
        assert!(error("nothing").ends_with("; there are a, b, c"));
    }

    #[test]
    fn profiles_of_the_tree_can_be_read() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for name in ["default", "core", "python", "single"] {
            let profile = Profile::read(name, &source).unwrap();
            for plugin in profile.plugins.iter().chain(&profile.embedded) {
                assert!(source.join("plugins").join(plugin).is_dir(), "{name}: {plugin}");
            }
        }
    }
}
