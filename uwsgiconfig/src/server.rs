//! `--build`: the server of a profile, from its source tree, with plugins beside it and inside of it.

use crate::compiler::{self, BuildError};
use crate::profile::{Profile, ProfileError};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What inside of the server's file holds a plugin: the host looks for sections of such names.
const SECTION: &str = ".rsgi.plugin/";

/// What inside of a plugin's file holds a further one of its files: the plugin looks for it.
const PART: &str = ".rsgi.part/";

/// How a server is built.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// The profile's name or file.
    pub profile: String,
    /// The source tree, if it is not around the current folder.
    pub source: Option<PathBuf>,
    /// Where the files are put.
    pub output: PathBuf,
    /// Programs that were built before; nothing is compiled then but sources of plugins.
    pub from: Option<PathBuf>,
    /// Another machine, as cargo names it.
    pub target: Option<String>,
    /// Nothing is downloaded.
    pub offline: bool,
    /// Each command is shown.
    pub verbose: bool,
}

/// Why a server was not built. One line each; what cargo says stands before it.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Not called in the source tree.
    #[error("{place}: no source tree of rsgi here or above; name it with --source FOLDER", place = place.display())]
    NoSource {
        /// the current folder
        place: PathBuf,
    },
    /// The profile is wrong.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// A plugin of no known name.
    #[error("the profile's plugin {name} is neither one of rsgi's ({known}) nor a source file or folder")]
    NoPlugin {
        /// as the profile spells it
        name: String,
        /// those of the tree
        known: String,
    },
    /// Nothing would load them.
    #[error("a library cannot carry plugins: move embedded_plugins to plugins, or leave as_shared_library out")]
    LibraryWithPlugins,
    /// A program of the build cannot be run.
    #[error("{program} cannot be run ({reason}){fix}")]
    NoProgram {
        /// its name
        program: String,
        /// the system's word
        reason: String,
        /// what to do
        fix: &'static str,
    },
    /// A program of the build failed.
    #[error("{program} failed: its words stand above")]
    Failed {
        /// its name
        program: String,
    },
    /// A plugin's source is wrong.
    #[error(transparent)]
    Plugin(#[from] BuildError),
    /// A file of the build is not where it should be, or cannot be written.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// the file
        path: PathBuf,
        /// the system's word
        reason: io::Error,
    },
}

/// What was made.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Built {
    /// The server first, then plugins.
    pub files: Vec<PathBuf>,
    /// Where the server looks for its plugins.
    pub plugin_dir: String,
    /// Where in the prefix the server belongs.
    folder: &'static str,
}

/// Builds the server of a profile.
///
/// # Errors
/// See [`ServerError`].
pub fn build(order: &Order) -> Result<Built, ServerError> {
    let source = source_tree(order)?;
    let profile = Profile::read(&order.profile, &source)?;
    for unused in profile.unused.iter().filter(|_| order.verbose) {
        crate::tell(&format!("{unused}: decides nothing here"));
    }
    let plugin_dir = profile
        .plugin_dir
        .clone()
        .unwrap_or_else(|| "/usr/lib/rsgi/plugins".into());
    let binaries = match &order.from {
        Some(folder) => folder.clone(),
        None => compile(order, &source, &profile, &plugin_dir)?,
    };
    std::fs::create_dir_all(&order.output).map_err(|e| file_error(&order.output, e))?;
    if profile.as_library && !profile.embedded.is_empty() {
        return Err(ServerError::LibraryWithPlugins);
    }
    let (made, usual) = match profile.as_library {
        true => ("librsgi.so", "librsgi.so.1"),
        false => ("rsgi", "rsgi"),
    };
    let server = order.output.join(profile.bin_name.as_deref().unwrap_or(usual));
    copy(&binaries.join(made), &server)?;
    let mut built = Built {
        files: vec![server.clone()],
        plugin_dir,
        folder: if profile.as_library { "lib" } else { "bin" },
    };
    for plugin in &profile.plugins {
        built
            .files
            .extend(place(plugin, order, &source, &binaries, &order.output)?);
    }
    let inside = tempfile::tempdir().map_err(|e| file_error(Path::new("a temporary folder"), e))?;
    let mut embedded = Vec::new();
    for plugin in &profile.embedded {
        let mut files = place(plugin, order, &source, &binaries, inside.path())?.into_iter();
        if let Some(file) = files.next() {
            carry(&file, PART, &files.collect::<Vec<_>>(), order.verbose)?;
            embedded.push(file);
        }
    }
    carry(&server, SECTION, &embedded, order.verbose)?;
    Ok(built)
}

/// Makes files sections of another, each named by the prefix and its own name.
fn carry(whole: &Path, prefix: &str, parts: &[PathBuf], verbose: bool) -> Result<(), ServerError> {
    if parts.is_empty() {
        return Ok(());
    }
    let mut objcopy = Command::new(tool("OBJCOPY", "objcopy"));
    for part in parts {
        let name = part.file_name().unwrap_or_default().to_string_lossy();
        objcopy
            .arg("--add-section")
            .arg(format!("{prefix}{name}={}", part.display()));
    }
    let fix = "; install it with: apt-get install binutils";
    run(objcopy.arg(whole), verbose, fix)
}

/// The tree that is named, else the one around the current folder.
fn source_tree(order: &Order) -> Result<PathBuf, ServerError> {
    let is_tree = |folder: &Path| folder.join("core/exports.txt").is_file();
    let place = match &order.source {
        Some(folder) => folder.clone(),
        None => std::env::current_dir().unwrap_or_else(|_| ".".into()),
    };
    let found = match order.source {
        Some(_) => Some(place.as_path()).filter(|folder| is_tree(folder)),
        None => place.ancestors().find(|folder| is_tree(folder)),
    };
    found.map(Path::to_path_buf).ok_or(ServerError::NoSource { place })
}

/// The plugins of the tree.
fn own_plugins(source: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(source.join("plugins"))
        .into_iter()
        .flatten()
        .flatten();
    let mut names: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Runs cargo; the folder with the programs.
fn compile(order: &Order, source: &Path, profile: &Profile, plugin_dir: &str) -> Result<PathBuf, ServerError> {
    let own = own_plugins(source);
    let mut cargo = Command::new(tool("CARGO", "cargo"));
    cargo.current_dir(source);
    let server = if profile.as_library { "librsgi" } else { "rsgi-core" };
    cargo.args(["build", "--release", "--locked", "-p", server]);
    for plugin in profile
        .plugins
        .iter()
        .chain(&profile.embedded)
        .filter(|p| own.contains(p))
    {
        cargo.args(["-p", &format!("rsgi-plugin-{plugin}")]);
        if plugin == "python" {
            cargo.args(["-p", "rsgi-plugin-python-abi3"]);
        }
    }
    if order.offline {
        cargo.arg("--offline");
    }
    if order.verbose {
        cargo.arg("--verbose");
    }
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| source.join("target"), PathBuf::from);
    let mut programs = folder;
    if let Some(target) = &order.target {
        cargo.args(["--target", target]);
        programs.push(target);
    }
    if let Some(linker) = std::env::var("CC").ok().filter(|cc| !cc.trim().is_empty()) {
        for (name, value) in compiler_variables(&linker, order.target.as_deref()) {
            cargo.env(name, value);
        }
    }
    cargo.env("RSGI_PLUGIN_DIR", plugin_dir);
    let renamed = renamed_folders(source);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", rust_flags(&renamed));
    cargo.env("CFLAGS", c_flags(&renamed));
    run(&mut cargo, order.verbose, "; install Rust from your distribution")?;
    programs.push("release");
    Ok(programs)
}

/// `$CC` also links, and compiles the C parts for the machine that is meant; `$AR` and `$PKG_CONFIG` go through as they are.
fn compiler_variables(cc: &str, target: Option<&str>) -> Vec<(String, String)> {
    let target = match target {
        Some(target) => target.to_owned(),
        None => format!("{}-unknown-linux-gnu", std::env::consts::ARCH),
    };
    let linker = cc.split_whitespace().next_back().unwrap_or(cc);
    let upper = target.to_ascii_uppercase().replace('-', "_");
    vec![
        (format!("CARGO_TARGET_{upper}_LINKER"), linker.to_owned()),
        (format!("CC_{}", target.replace('-', "_")), cc.to_owned()),
        ("PKG_CONFIG_ALLOW_CROSS".to_owned(), "1".to_owned()),
    ]
}

/// Folders of this machine, and the names that stand for them in what is built: two builds of one source are the same
/// wherever they happen.
fn renamed_folders(source: &Path) -> Vec<(PathBuf, &'static str)> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let source = source.canonicalize().unwrap_or_else(|_| source.to_path_buf());
    let home = home.map(|home| (home, "cargo"));
    std::iter::once((source, "rsgi")).chain(home).collect()
}

/// `$CARGO_ENCODED_RUSTFLAGS` or `$RUSTFLAGS`, and the names of folders.
fn rust_flags(renamed: &[(PathBuf, &str)]) -> OsString {
    let mut flags: Vec<String> = match std::env::var("CARGO_ENCODED_RUSTFLAGS") {
        Ok(encoded) => encoded
            .split('\x1f')
            .filter(|f| !f.is_empty())
            .map(str::to_owned)
            .collect(),
        Err(_) => words("RUSTFLAGS"),
    };
    let names = renamed.iter().map(|(folder, name)| (folder.display(), name));
    flags.extend(names.map(|(folder, name)| format!("--remap-path-prefix={folder}={name}")));
    flags.join("\x1f").into()
}

/// `$CFLAGS` for the C parts, and the names of folders.
fn c_flags(renamed: &[(PathBuf, &str)]) -> String {
    let mut flags = words("CFLAGS");
    let names = renamed.iter().map(|(folder, name)| (folder.display(), name));
    flags.extend(names.map(|(folder, name)| format!("-ffile-prefix-map={folder}={name}")));
    flags.join(" ")
}

fn words(variable: &str) -> Vec<String> {
    let text = std::env::var(variable).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// Puts a plugin's files into a folder: those of the tree from the binaries, sources from their compiler.
fn place(
    plugin: &str,
    order: &Order,
    source: &Path,
    binaries: &Path,
    folder: &Path,
) -> Result<Vec<PathBuf>, ServerError> {
    let known = own_plugins(source);
    if !known.iter().any(|name| name == plugin) {
        return match Path::new(plugin).exists() {
            true => Ok(vec![compiler::build_loudly(
                Path::new(plugin),
                None,
                folder,
                order.verbose,
            )?]),
            false => Err(ServerError::NoPlugin {
                name: plugin.to_owned(),
                known: known.join(", "),
            }),
        };
    }
    let mut files = vec![format!("{plugin}_plugin.so")];
    if plugin == "python" {
        files.push("python_abi3.so".into());
    }
    files
        .into_iter()
        .map(|name| {
            let to = folder.join(&name);
            copy(&binaries.join(format!("lib{name}")), &to)?;
            Ok(to)
        })
        .collect()
}

fn copy(from: &Path, to: &Path) -> Result<(), ServerError> {
    // a running server keeps its file
    let _ = std::fs::remove_file(to);
    std::fs::copy(from, to).map_err(|e| file_error(from, e)).map(drop)
}

/// Copies what was built beneath `$DESTDIR`: the server to `PREFIX/bin`, plugins to their folder.
///
/// # Errors
/// A file cannot be written.
pub fn install(built: &Built, destination: &str, prefix: &str) -> Result<Vec<PathBuf>, ServerError> {
    let place = |folder: &str| PathBuf::from(format!("{destination}{folder}"));
    let mut installed = Vec::new();
    for (number, file) in built.files.iter().enumerate() {
        let folder = match number {
            0 => place(&format!("{prefix}/{}", built.folder)),
            _ => place(&built.plugin_dir),
        };
        std::fs::create_dir_all(&folder).map_err(|e| file_error(&folder, e))?;
        let to = folder.join(file.file_name().unwrap_or_default());
        copy(file, &to)?;
        installed.push(to);
    }
    Ok(installed)
}

fn file_error(path: &Path, reason: io::Error) -> ServerError {
    ServerError::File {
        path: path.into(),
        reason,
    }
}

fn tool(variable: &str, usual: &str) -> OsString {
    std::env::var_os(variable).unwrap_or_else(|| usual.into())
}

fn run(command: &mut Command, verbose: bool, fix: &'static str) -> Result<(), ServerError> {
    let program = command.get_program().to_string_lossy().into_owned();
    if verbose {
        crate::tell(&format!("{command:?}"));
    }
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(ServerError::Failed { program }),
        Err(e) => Err(ServerError::NoProgram {
            program,
            reason: e.to_string(),
            fix,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_for_another_machine_links_for_it() {
        let all = compiler_variables("ccache aarch64-linux-gnu-gcc", Some("aarch64-unknown-linux-gnu"));
        let get = |name: &str| all.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        assert_eq!(
            get("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER"),
            Some("aarch64-linux-gnu-gcc")
        );
        assert_eq!(
            get("CC_aarch64_unknown_linux_gnu"),
            Some("ccache aarch64-linux-gnu-gcc")
        );
    }

    #[test]
    fn paths_of_this_machine_become_names() {
        let renamed = [(PathBuf::from("/src/rsgi"), "rsgi")];
        let flags = rust_flags(&renamed).into_string().unwrap();
        assert!(flags.ends_with("--remap-path-prefix=/src/rsgi=rsgi"), "{flags}");
        assert!(c_flags(&renamed).ends_with("-ffile-prefix-map=/src/rsgi=rsgi"));
        assert_eq!(renamed_folders(Path::new("/"))[0], (PathBuf::from("/"), "rsgi"));
    }
}
