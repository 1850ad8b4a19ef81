//! The folder of a build: our `uwsgi.h`, and the plugin's sources where `#include "../../uwsgi.h"` finds that one.
//!
//! Plugins of uWSGI's own tree include its header by that path. Where such a tree is around them, their folder and
//! its neighbours are shown to the compiler through links, so that the tree's header stays out of sight.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder that lives as long as the build.
pub struct Stage {
    folder: TempDir,
    /// The real folder of plugin folders that is shown at [`Stage::plugins`].
    shown: Option<PathBuf>,
}

impl Stage {
    /// For the source file or plugin folder that is to be built.
    pub fn new(target: &Path) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("uwsgi.h"), crate::HEADER)?;
        let mut stage = Self { folder, shown: None };
        std::fs::create_dir_all(stage.plugins().join("none"))?;
        let target = target.canonicalize()?;
        if target.is_dir()
            && target.join("../../uwsgi.h").is_file()
            && let Some(neighbours) = target.parent()
        {
            for neighbour in std::fs::read_dir(neighbours)? {
                stage.show(&neighbour?.path())?;
            }
            stage.shown = Some(neighbours.to_path_buf());
        }
        Ok(stage)
    }

    fn plugins(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }

    fn show(&self, folder: &Path) -> io::Result<()> {
        let (true, Some(name)) = (folder.is_dir(), folder.file_name()) else {
            return Ok(());
        };
        let shown = self.plugins().join(name);
        std::fs::create_dir(&shown)?;
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            symlink(entry.path(), shown.join(entry.file_name()))?;
        }
        Ok(())
    }

    /// Where the compiler is to read a source.
    pub fn place(&self, source: &Path) -> PathBuf {
        let place = || {
            let real = std::path::absolute(source).ok()?;
            let folder = real.parent()?.canonicalize().ok()?;
            let inside = folder.strip_prefix(self.shown.as_ref()?).ok()?;
            Some(self.plugins().join(inside).join(real.file_name()?))
        };
        place().unwrap_or_else(|| source.to_path_buf())
    }

    /// Adds a source of our own.
    pub fn write(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text)?;
        Ok(file)
    }

    /// The compiler's flags: `<uwsgi.h>` and `"../../uwsgi.h"` are ours, debug information names the real files.
    pub fn flags(&self) -> Vec<String> {
        let mut flags = vec!["-I".into(), self.folder.path().display().to_string()];
        flags.extend(["-I".into(), self.plugins().join("none").display().to_string()]);
        // the folder has another name each time, and the output none of them
        flags.push(format!("-ffile-prefix-map={}=rsgi", self.folder.path().display()));
        if let Some(shown) = &self.shown {
            let (from, to) = (self.plugins(), shown.display());
            flags.push(format!("-ffile-prefix-map={}={to}", from.display()));
        }
        flags
    }

    /// What the compiler said, with the real names of the files.
    pub fn real_names(&self, words: &str) -> String {
        match &self.shown {
            Some(shown) => words.replace(&self.plugins().display().to_string(), &shown.display().to_string()),
            None => words.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_in_a_tree_of_uwsgi_are_shown_beside_our_header() {
        let tree = tempfile::tempdir().unwrap();
        let plugin = tree.path().join("plugins/one");
        std::fs::create_dir_all(&plugin).unwrap();
        std::fs::create_dir_all(tree.path().join("plugins/two")).unwrap();
        std::fs::write(plugin.join("one.c"), "").unwrap();
        let source = plugin.join("one.c");
        let stage = Stage::new(&plugin).unwrap();
        assert_eq!(stage.place(&source), source, "no foreign header, no need");
        std::fs::write(tree.path().join("uwsgi.h"), "foreign").unwrap();
        let stage = Stage::new(&plugin).unwrap();
        let place = stage.place(&source);
        assert_ne!(place, source);
        let header = std::fs::read_to_string(place.parent().unwrap().join("../../uwsgi.h")).unwrap();
        assert_eq!(header, crate::HEADER);
        assert!(place.parent().unwrap().join("../two").is_dir());
        let said = stage.real_names(&format!("{}:1: error", place.display()));
        assert_eq!(said, format!("{}:1: error", source.canonicalize().unwrap().display()));
    }
}
