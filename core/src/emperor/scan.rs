//! Looking for vassals: which files of which folders and patterns are vassals now, and whose they are.

use crate::config::Dialect;
use crate::settings::Emperor;
use std::ffi::{CStr, CString, OsStr};
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What tells one state of a file from another: time of the last change, and which file it is.
pub type Stamp = (i64, i64, u64);

/// A file that asks for a vassal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name: that of the file in a folder, the path in a pattern.
    pub id: String,
    /// Which of [`Emperor::sources`] it comes from.
    pub source: usize,
    /// Where it lies; `None`: the path in `id` says it.
    pub folder: Option<PathBuf>,
    /// The whole path.
    pub file: PathBuf,
    /// Its state.
    pub stamp: Stamp,
    /// Time of the last change, seconds since the epoch.
    pub modified: i64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Executable by its owner.
    pub executable: bool,
    /// A plugin asks for it: the name says nothing about where the file lies.
    pub is_brought: bool,
}

/// How one source is to be read now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A folder that is there.
    Folder(PathBuf),
    /// A pattern, or a file that is there.
    Pattern(String),
    /// Nothing is there (yet).
    Missing(String),
    /// What a plugin knows.
    Plugin(String),
}

impl Source {
    /// By the text of the option.
    pub fn of(text: &str) -> Self {
        if let Some(pattern) = text.strip_prefix("glob://") {
            return Self::Pattern(pattern.to_owned());
        }
        if super::monitor::is_known(text) {
            return Self::Plugin(text.to_owned());
        }
        let (path, is_folder) = text.strip_prefix("dir://").map_or((text, false), |path| (path, true));
        if Path::new(path).is_dir() {
            return Self::Folder(path.into());
        }
        let has_wildcards = path.contains(['*', '?', '[']);
        if !is_folder && (has_wildcards || Path::new(path).exists()) {
            return Self::Pattern(path.to_owned());
        }
        Self::Missing(path.to_owned())
    }
}

/// Whether the name is one of a vassal.
pub fn is_vassal(settings: &Emperor, name: &str) -> bool {
    let is_extra = |ending: &String| name.len() > ending.len() && name.ends_with(ending.as_str());
    name.len() < 255 && (Dialect::of_name(name).is_some() || settings.extra_extensions.iter().any(is_extra))
}

/// The vassals that a source asks for now, by name.
pub fn look(settings: &Emperor, number: usize, source: &Source) -> Vec<Found> {
    let mut found: Vec<Found> = match source {
        Source::Folder(folder) => {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let names = entries.filter_map(|e| e.file_name().into_string().ok());
            names
                .filter_map(|name| one(settings, number, folder.join(&name), name, Some(folder)))
                .collect()
        }
        Source::Pattern(pattern) => matches(pattern)
            .into_iter()
            .filter_map(|path| one(settings, number, path.clone(), path.to_str()?.to_owned(), None))
            .collect(),
        Source::Missing(_) | Source::Plugin(_) => Vec::new(),
    };
    found.sort_by(|a, b| a.id.cmp(&b.id));
    found
}

fn one(settings: &Emperor, source: usize, file: PathBuf, id: String, folder: Option<&PathBuf>) -> Option<Found> {
    if !is_vassal(settings, &id) {
        return None;
    }
    let target = std::fs::metadata(&file).ok().filter(Metadata::is_file)?;
    let own = std::fs::symlink_metadata(&file).ok()?;
    let time = if settings.no_follow { &own } else { &target };
    let owner = if settings.tyrant_no_follow { &own } else { &target };
    Some(Found {
        stamp: (time.mtime(), time.mtime_nsec(), time.ino()),
        modified: time.mtime(),
        uid: owner.uid(),
        gid: owner.gid(),
        executable: target.mode() & 0o100 != 0,
        folder: folder.map(|f| std::path::absolute(f).unwrap_or_else(|_| f.clone())),
        id,
        source,
        file,
        is_brought: false,
    })
}

/// The paths that match a shell pattern.
fn matches(pattern: &str) -> Vec<PathBuf> {
    let Ok(pattern) = CString::new(pattern) else {
        return Vec::new();
    };
    // SAFETY: the result is zeroed first, filled by glob(3), read within its own count, and freed once.
    unsafe {
        let mut result: libc::glob_t = std::mem::zeroed();
        let mut found = Vec::new();
        if libc::glob(pattern.as_ptr(), libc::GLOB_NOSORT, None, &mut result) == 0 {
            for at in 0..result.gl_pathc {
                let path = CStr::from_ptr(*result.gl_pathv.add(at));
                found.push(OsStr::from_bytes(path.to_bytes()).into());
            }
        }
        libc::globfree(&mut result);
        found
    }
}

/// The folders whose events may mean a change of this source.
pub fn watched_folders(source: &Source) -> Vec<PathBuf> {
    match source {
        Source::Folder(folder) => vec![folder.clone()],
        Source::Pattern(pattern) => {
            let parent = Path::new(pattern).parent().filter(|p| !p.as_os_str().is_empty());
            matches(parent.and_then(Path::to_str).unwrap_or("."))
        }
        Source::Plugin(_) => Vec::new(),
        // its coming into being is an event of the folder above
        Source::Missing(path) => {
            let parent = Path::new(path).parent().filter(|p| !p.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new("."));
            if parent.is_dir() {
                vec![parent.into()]
            } else {
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(found: &[Found]) -> Vec<&str> {
        found.iter().map(|f| f.id.as_str()).collect()
    }

    #[test]
    fn a_folder_gives_the_files_with_the_endings_of_configurations() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "b.ini",
            "a.yml",
            "x.skel",
            "c.ini.disabled",
            "d.json",
            "e.conf",
            "f.xml",
        ] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        std::fs::create_dir(dir.path().join("folder.ini")).unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("broken.ini")).unwrap();
        let mut settings = Emperor::default();
        let source = Source::of(dir.path().to_str().unwrap());
        assert_eq!(ids(&look(&settings, 0, &source)), ["a.yml", "b.ini", "d.json", "f.xml"]);
        settings.extra_extensions.push(".conf".into());
        assert_eq!(look(&settings, 0, &source).len(), 5);
    }

    #[test]
    fn a_pattern_gives_paths_and_a_missing_folder_is_noticed_when_it_appears() {
        let dir = tempfile::tempdir().unwrap();
        let name = |n: &str| dir.path().join(n).to_str().unwrap().to_owned();
        std::fs::write(name("a.ini"), "").unwrap();
        std::fs::write(name("b.ini"), "").unwrap();
        let settings = Emperor::default();
        let pattern = Source::of(&name("[a]*.ini"));
        assert_eq!(ids(&look(&settings, 0, &pattern)), [name("a.ini")]);
        assert_eq!(watched_folders(&pattern), [dir.path()]);
        assert_eq!(ids(&look(&settings, 0, &Source::of(&name("b.ini")))), [name("b.ini")]);
        let missing = name("later");
        assert_eq!(Source::of(&missing), Source::Missing(missing.clone()));
        assert_eq!(watched_folders(&Source::of(&missing)), [dir.path()]);
        std::fs::create_dir(&missing).unwrap();
        assert_eq!(Source::of(&missing), Source::Folder(missing.clone().into()));
    }

    #[test]
    fn a_replaced_file_has_another_stamp_even_with_an_old_time() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.ini");
        std::fs::write(&file, "").unwrap();
        let stamp = |f: &Path| {
            one(&Emperor::default(), 0, f.into(), "a.ini".into(), None)
                .unwrap()
                .stamp
        };
        let before = stamp(&file);
        let other = dir.path().join("other");
        std::fs::write(&other, "").unwrap();
        let time = std::fs::metadata(&file).unwrap().modified().unwrap();
        std::fs::File::open(&other).unwrap().set_modified(time).unwrap();
        std::fs::rename(&other, &file).unwrap();
        assert_ne!(stamp(&file), before);
    }
}
