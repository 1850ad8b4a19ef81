//! The plugins of this process: request plugins by modifier1, generic ones in order of loading.
//!
//! Filled by the master while it reads its configuration, only read afterwards; a fork copies it. The C view of it
//! (`uwsgi.p`, `uwsgi.gp`) is written here too, since the two must never disagree.

use super::elf::PluginFile;
use super::inside::{Brought, Inside, Place};
use super::loader::{self, LoadError, Opened};
use super::{embedded, search};
use crate::server;
use rsgi_plugin_api::abi::{NO_ARGUMENT, UwsgiOption, UwsgiPlugin};
use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

/// A plugin in its slot.
pub struct LoadedPlugin {
    /// Our copy of its struct; never moves.
    pub copy: &'static UwsgiPlugin,
    /// The address of its own struct.
    pub original: *mut UwsgiPlugin,
    /// Its file.
    pub path: PathBuf,
}

// SAFETY: the struct behind `original` is only read, and compared by address.
unsafe impl Send for LoadedPlugin {}

impl LoadedPlugin {
    /// `.name`
    pub fn name(&self) -> &'static str {
        loader::name_of(self.copy)
    }

    /// The rows of its option table as they are in memory now.
    pub fn options(&self) -> impl Iterator<Item = &'static UwsgiOption> {
        let mut row = self.copy.options.cast_const();
        std::iter::from_fn(move || {
            // SAFETY: a table is constant and ends with a row whose name is NULL, by the header.
            let current = unsafe { row.as_ref() }?;
            if current.name.is_null() {
                return None;
            }
            // SAFETY: `current` was not the last row.
            row = unsafe { row.add(1) };
            Some(current)
        })
    }
}

/// All plugins and where they are looked for.
#[derive(Default)]
pub struct PluginRegistry {
    plugins: Vec<LoadedPlugin>,
    folders: Vec<PathBuf>,
    catalogue: Option<Vec<(String, PluginFile)>>,
}

static REGISTRY: Mutex<PluginRegistry> = Mutex::new(PluginRegistry {
    plugins: Vec::new(),
    folders: Vec::new(),
    catalogue: None,
});

/// The registry of this process. No hook is called while it is held.
pub fn registry() -> MutexGuard<'static, PluginRegistry> {
    REGISTRY.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl PluginRegistry {
    /// A further folder to look in (`--plugins-dir`).
    pub fn add_folder(&mut self, folder: impl Into<PathBuf>) {
        self.folders.push(folder.into());
        self.catalogue = None;
    }

    /// The folders of `--plugins-dir`.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// The plugins in order of loading.
    pub fn plugins(&self) -> &[LoadedPlugin] {
        &self.plugins
    }

    /// The loadable plugins on disk.
    pub fn catalogue(&mut self) -> &[(String, PluginFile)] {
        let folders = &self.folders;
        self.catalogue.get_or_insert_with(|| search::catalogue(folders))
    }

    /// The plugin on disk that has an option, not loading anything.
    pub fn owner_of(&mut self, option: &str) -> Option<String> {
        self.catalogue()
            .iter()
            .find(|(_, file)| file.options.iter().any(|o| o.name == option))
            .map(|(name, _)| name.clone())
    }

    fn is_loaded(&self, name: &str) -> bool {
        let wanted = search::canonical(name);
        self.plugins.iter().any(|p| {
            let alias = p.copy.alias;
            p.name() == wanted
                || p.name() == name
                // SAFETY: an alias is a constant text by the header.
                || (!alias.is_null() && unsafe { CStr::from_ptr(alias) }.to_bytes() == name.as_bytes())
        })
    }

    /// The modifier1 of a plugin, by the address of its own struct or of our copy.
    pub fn modifier_of(&self, plugin: *const UwsgiPlugin) -> Option<u8> {
        self.plugins
            .iter()
            .find(|p| std::ptr::eq(p.original, plugin) || std::ptr::eq(p.copy, plugin))
            .map(|p| p.copy.modifier1)
    }
}

/// `[modifier1:]name[|function]`
fn parse_spec(spec: &str) -> Result<(Option<u8>, &str, Option<&str>), LoadError> {
    let (spec, function) = spec.split_once('|').map_or((spec, None), |(s, f)| (s, Some(f)));
    match spec.split_once(':') {
        Some((number, name)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => {
            let modifier = number.parse().map_err(|_| LoadError::BadModifier(number.into()))?;
            Ok((Some(modifier), name, function))
        }
        _ => Ok((None, spec, function)),
    }
}

/// Loads one plugin and calls its `on_load`; one that is loaded already, or built in, is fine.
///
/// # Errors
/// See [`LoadError`].
pub fn load(spec: &str) -> Result<(), LoadError> {
    let (modifier, name, function) = parse_spec(spec)?;
    if (!name.contains('/') && registry().is_loaded(name)) || search::is_built_in(name) {
        return Ok(());
    }
    let folders = registry().folders().to_vec();
    let Some(path) = search::find(name, &folders) else {
        return Err(missing(name, &folders));
    };
    load_file(&path, modifier, function)
}

fn missing(name: &str, folders: &[PathBuf]) -> LoadError {
    let all = search::candidates(name, folders);
    let path = all
        .iter()
        .find(|p| p.to_string_lossy().ends_with("_plugin.so"))
        .unwrap_or(&all[0])
        .clone();
    let is_source = [".c", ".cc", ".cpp"].iter().any(|ending| name.ends_with(ending));
    let looked = if is_source {
        format!("{name} is a source: build it with: uwsgiconfig --plugin {name}")
    } else if name.contains('/') {
        String::new()
    } else {
        let places: Vec<String> = search::folders(folders)
            .iter()
            .map(|f| f.display().to_string())
            .collect();
        format!(
            "plugin {name} was looked for in {}; name another folder with --plugins-dir",
            places.join(", ")
        )
    };
    LoadError::Missing { path, looked }
}

fn load_file(path: &Path, modifier: Option<u8>, function: Option<&str>) -> Result<(), LoadError> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    if registry().plugins.iter().any(|p| p.path == path) {
        return Ok(());
    }
    load_judged(PluginFile::read(&path)?, modifier, function)
}

/// Loads the plugins that are inside of this program, in the order in which they were put there.
pub fn load_embedded() {
    let all = embedded::all().unwrap_or_else(|e| {
        crate::say!("the plugins inside of this program cannot be read: {e}");
        Vec::new()
    });
    for plugin in all {
        let loaded = PluginFile::read_as(&plugin.path, Path::new(&plugin.name));
        if let Err(error) = loaded.and_then(|file| load_judged(file, None, None)) {
            crate::say!("!!! UNABLE to load the embedded plugin {}: {error} !!!", plugin.name);
        }
    }
}

fn load_judged(file: PluginFile, modifier: Option<u8>, function: Option<&str>) -> Result<(), LoadError> {
    let path = file.path.clone();
    for name in &file.requires {
        load(name).map_err(|e| LoadError::Requires {
            path: path.clone(),
            name: name.clone(),
            reason: e.to_string(),
        })?;
    }
    let Opened {
        library,
        mut copy,
        original,
    } = loader::open(&file, function)?;
    if registry().is_loaded(loader::name_of(&copy)) {
        // a second file with a plugin of the same name counts as the same plugin
        return Ok(());
    }
    if let Some(number) = modifier {
        copy.modifier1 = number;
        if file.writable {
            // SAFETY: the struct lies in a writable segment of the file, and no code of the plugin runs now.
            unsafe { (*original).modifier1 = number };
        }
    }
    let copy: &'static UwsgiPlugin = Box::leak(copy);
    place(copy, &file)?;
    std::mem::forget(library); // never unloaded: hooks, names and tables are used for the life of the process
    registry().plugins.push(LoadedPlugin { copy, original, path });
    if let Some(on_load) = copy.on_load {
        let _inside = Inside::enter(Place::new(copy, c"hook on_load"));
        // SAFETY: the hook's contract: master, single-threaded, nothing held.
        unsafe { on_load() };
    }
    Ok(())
}

/// Puts the plugin where C code looks for it.
fn place(copy: &'static UwsgiPlugin, file: &PluginFile) -> Result<(), LoadError> {
    // SAFETY: single-threaded start; the published view is only written by the master here.
    unsafe {
        let view = server::view();
        if copy.request.is_some() {
            let slot = &mut (*view).p[usize::from(copy.modifier1)];
            if !slot.is_null() && (**slot).request.is_some() {
                return Err(LoadError::ModifierTaken {
                    path: file.path.clone(),
                    name: loader::name_of(copy).into(),
                    modifier1: copy.modifier1,
                    owner: loader::name_of(&**slot).into(),
                });
            }
            *slot = std::ptr::from_ref(copy).cast_mut();
        } else if let Some(slot) = (*view).gp.get_mut((*view).gp_cnt as usize) {
            *slot = std::ptr::from_ref(copy).cast_mut();
            (*view).gp_cnt += 1;
        }
    }
    Ok(())
}

/// The name of the request plugin behind a modifier1, for log lines.
pub fn name_of_modifier(modifier1: u8) -> String {
    registry()
        .plugins()
        .iter()
        .find(|p| p.copy.request.is_some() && p.copy.modifier1 == modifier1)
        .map_or_else(|| format!("of modifier1 {modifier1}"), |p| p.name().to_owned())
}

/// The value of an option, kept for the life of the process since setters keep the pointer.
fn keep(text: &str) -> *mut std::ffi::c_char {
    CString::new(text.replace('\0', "")).unwrap_or_default().into_raw()
}

/// Calls the setter of an option row of a plugin.
pub fn apply_option(plugin: &'static UwsgiPlugin, row: &'static UwsgiOption, value: Option<&str>) {
    let Some(func) = row.func else { return };
    // SAFETY: names of rows are constant texts by the header.
    let name = unsafe { CStr::from_ptr(row.name) };
    let setter = Brought::named(plugin, "option", name.to_bytes(), func);
    let value = value.filter(|_| row.kind != NO_ARGUMENT || value != Some("true"));
    let value = value.map_or(std::ptr::null_mut(), keep);
    // SAFETY: the row's own name and data, a value that lives as long as the process; master, single-threaded.
    setter.call(|func| unsafe { func(row.name, value, row.data) });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs() {
        assert_eq!(parse_spec("foo").unwrap(), (None, "foo", None));
        assert_eq!(parse_spec("7:foo|init").unwrap(), (Some(7), "foo", Some("init")));
        assert_eq!(parse_spec("./a:b.so").unwrap(), (None, "./a:b.so", None));
        assert!(parse_spec("300:foo").is_err());
    }
}
