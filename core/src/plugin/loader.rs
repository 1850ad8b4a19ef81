//! Opening one plugin file: judged by its stamp, then `dlopen`ed, its struct copied into one of ours.

use super::elf::PluginFile;
use super::inside::{Inside, Place, record};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use rsgi_plugin_api::abi::{AbiStamp, UwsgiPlugin};
use std::error::Error as _;
use std::ffi::CStr;
use std::io;
use std::path::{Path, PathBuf};

/// Why a plugin is not loaded. One line each: file, what was found, what is wanted, what to do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No such file in any of the places.
    #[error("{path}: cannot open shared object file: No such file or directory", path = path.display())]
    Missing {
        /// the last place looked at
        path: PathBuf,
        /// where else it was looked for, as a sentence, or empty
        looked: String,
    },
    /// It cannot be read.
    #[error("{path}: cannot be read: {source}", path = path.display())]
    Unreadable {
        /// the file
        path: PathBuf,
        /// the system's word
        source: io::Error,
    },
    /// Some other kind of file.
    #[error("{path}: not an ELF file, so no plugin; build one with: uwsgiconfig --plugin x.c", path = path.display())]
    NotElf {
        /// the file
        path: PathBuf,
    },
    /// Made for another processor, or an executable.
    #[error("{path}: not a shared object for this machine ({arch}); build it here with: uwsgiconfig --plugin x.c", path = path.display(), arch = std::env::consts::ARCH)]
    WrongMachine {
        /// the file
        path: PathBuf,
    },
    /// Built against something else than our header.
    #[error("{path}: carries no rsgi stamp, so it was not built with rsgi's uwsgi.h (a binary made for uWSGI cannot be loaded; its source can): rebuild it with: uwsgiconfig --plugin x.c", path = path.display())]
    NoStamp {
        /// the file
        path: PathBuf,
    },
    /// Objects of different headers linked together.
    #[error("{path}: its objects were built against different versions of uwsgi.h; rebuild all of them with: uwsgiconfig --plugin x.c", path = path.display())]
    MixedStamps {
        /// the file
        path: PathBuf,
    },
    /// Another major version of the ABI.
    #[error("{path}: built for plugin ABI {found}, this rsgi has ABI {have}; rebuild it with: uwsgiconfig --plugin x.c", path = path.display(), have = AbiStamp::CURRENT.major)]
    WrongMajor {
        /// the file
        path: PathBuf,
        /// its major
        found: u32,
    },
    /// No plugin struct.
    #[error("{path}: undefined symbol: {first} (export a `struct uwsgi_plugin` of one of these names: {all})", path = path.display(), first = wanted.iter().find(|w| w.ends_with("_plugin")).map_or("*_plugin", |s| s), all = wanted.join(", "))]
    NoEntry {
        /// the file
        path: PathBuf,
        /// the names looked for
        wanted: Vec<String>,
    },
    /// Several plugin structs and none named like the file.
    #[error("{path}: exports several *_plugin structs and none is named like the file; rename the file or the struct", path = path.display())]
    ManyEntries {
        /// the file
        path: PathBuf,
    },
    /// The dynamic linker refused.
    #[error("{text}")]
    Open {
        /// its words; they begin with the file
        text: String,
    },
    /// `--plugin name|function` without that function.
    #[error("{path}: has no function {function} (asked for by --plugin name|{function})", path = path.display())]
    NoFunction {
        /// the file
        path: PathBuf,
        /// the function's name
        function: String,
    },
    /// A Rust plugin whose structs differ from ours.
    #[error("{path}: compiled with other layouts of the plugin structs; rebuild it against this rsgi-plugin-api. {report}", path = path.display())]
    Layout {
        /// the file
        path: PathBuf,
        /// the differences
        report: String,
    },
    /// `.name` is NULL.
    #[error("the loaded plugin ({path}) has no .name attribute; give its struct a name", path = path.display())]
    NoName {
        /// the file
        path: PathBuf,
    },
    /// A plugin that it requires is not there.
    #[error("{path}: requires the plugin {name}, which cannot be loaded: {reason}", path = path.display())]
    Requires {
        /// the file
        path: PathBuf,
        /// what it requires
        name: String,
        /// why that failed
        reason: String,
    },
    /// Two request plugins want one number.
    #[error("{path}: its modifier1 {modifier1} is taken by the plugin {owner}; give it another one: --plugin N:{name}", path = path.display())]
    ModifierTaken {
        /// the file
        path: PathBuf,
        /// its name
        name: String,
        /// the number
        modifier1: u8,
        /// who has it
        owner: String,
    },
    /// `--plugin 300:foo`
    #[error("bad modifier1 {0:?}: give a number from 0 to 255")]
    BadModifier(String),
}

impl LoadError {
    /// For a file that `open` or `read` refused.
    pub fn unreadable(path: &Path, e: &io::Error) -> Self {
        if e.kind() == io::ErrorKind::NotFound {
            return Self::Missing {
                path: path.into(),
                looked: String::new(),
            };
        }
        let source = e
            .raw_os_error()
            .map_or_else(|| io::Error::from(e.kind()), io::Error::from_raw_os_error);
        Self::Unreadable {
            path: path.into(),
            source,
        }
    }
}

/// An opened plugin.
pub struct Opened {
    /// Keeps the file mapped; plugins are never unloaded once they are registered.
    pub library: Library,
    /// Our own copy of the struct.
    pub copy: Box<UwsgiPlugin>,
    /// The plugin's own struct, which it may pass back to us.
    pub original: *mut UwsgiPlugin,
}

/// What to do about the words of the dynamic linker.
fn advice(words: &str) -> &'static str {
    match words.rsplit_once("undefined symbol: ") {
        Some((_, name)) if name.starts_with("uwsgi") || name.starts_with("rsgi") => {
            "; this rsgi has no such function or field (rsgi --reference api tells all of them)"
        }
        Some(_) => "; link the library that has it: LIBS in uwsgiplugin.py, or LDFLAGS",
        None if words.contains("cannot open shared object file") => "; install the package that has this library",
        None => "",
    }
}

/// Opens a judged file; `function` is called right after, before the struct is looked at.
///
/// # Errors
/// See [`LoadError`].
pub fn open(file: &PluginFile, function: Option<&str>) -> Result<Opened, LoadError> {
    let plugin = record::kept(record::name_of_file(&file.path.to_string_lossy()));
    let constructors = Inside::enter(Place {
        plugin,
        function: c"file as it is loaded",
    });
    // SAFETY: the stamp says that the file was built against our header; its constructors are its author's to keep
    // harmless, as with any library.
    let library = unsafe { Library::open(Some(&file.path), RTLD_NOW | RTLD_GLOBAL) }.map_err(|e| {
        let words = e.source().map_or_else(|| e.to_string(), ToString::to_string);
        LoadError::Open {
            text: format!("{words}{}", advice(&words)),
        }
    })?;
    drop(constructors);
    check_layout(&library, file)?;
    if let Some(function) = function {
        // SAFETY: uWSGI's contract: a function without arguments or result.
        unsafe {
            let call = library
                .get::<unsafe extern "C" fn()>(function.as_bytes())
                .map_err(|_| LoadError::NoFunction {
                    path: file.path.clone(),
                    function: function.to_owned(),
                })?;
            let _inside = Inside::enter(Place {
                plugin,
                function: record::text("function", function.as_bytes()),
            });
            call();
        }
    }
    // SAFETY: the entry was found in the file as a data object.
    let original = unsafe { library.get::<*mut UwsgiPlugin>(file.entry.as_bytes()) }
        .map(|s| s.as_raw_ptr().cast::<UwsgiPlugin>())
        .map_err(|e| LoadError::Open { text: e.to_string() })?;
    let copy = copy_struct(original, file);
    if copy.name.is_null() {
        return Err(LoadError::NoName {
            path: file.path.clone(),
        });
    }
    Ok(Opened {
        library,
        copy,
        original,
    })
}

/// Rust plugins tell the layouts that they were compiled with; C plugins have no such function.
fn check_layout(library: &Library, file: &PluginFile) -> Result<(), LoadError> {
    use rsgi_plugin_api::layout;
    // SAFETY: the symbol is ours to define: `export_plugin!` adds it with this signature.
    unsafe {
        let Ok(own) = library.get::<extern "C" fn() -> *const std::ffi::c_void>(layout::SYMBOL.as_bytes()) else {
            return Ok(());
        };
        layout::check(own()).map_err(|report| LoadError::Layout {
            path: file.path.clone(),
            report,
        })
    }
}

/// Copies as much as both sides know into a zeroed struct: an older plugin's missing hooks read as NULL.
fn copy_struct(original: *mut UwsgiPlugin, file: &PluginFile) -> Box<UwsgiPlugin> {
    let mut copy = Box::new(rsgi_plugin_api::export::EMPTY);
    let theirs = file.struct_size;
    let size = theirs.min(size_of::<UwsgiPlugin>());
    // SAFETY: the file says how large their struct is; ours is at least `size` long.
    unsafe {
        std::ptr::copy_nonoverlapping(original.cast::<u8>(), std::ptr::from_mut(&mut *copy).cast(), size);
        let tail = std::slice::from_raw_parts(original.cast::<u8>().add(size), theirs - size);
        if tail.iter().any(|b| *b != 0) {
            crate::log::line(&format!(
                "{}: built for a newer rsgi; its hooks that this one does not know stay unused",
                file.path.display()
            ));
        }
    }
    copy
}

/// The name in a struct, which outlives the process's use of it.
pub fn name_of(plugin: &UwsgiPlugin) -> &str {
    if plugin.name.is_null() {
        return "?";
    }
    // SAFETY: plugins are never unloaded and `name` is a constant text by the header.
    unsafe { CStr::from_ptr(plugin.name) }.to_str().unwrap_or("?")
}
