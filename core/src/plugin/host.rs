//! The plugins as the configuration sees them: loaded when an option asks for them, found on disk when an option is
//! theirs.

use super::elf::StaticOption;
use super::loader::{LoadError, name_of};
use super::registry::{self, registry};
use crate::config::Origin;
use crate::options::{ArgKind, PluginError, PluginHost, PluginOption};
use crate::say;
use crate::settings::Settings;
use rsgi_plugin_api::abi::{NO_ARGUMENT, OPTIONAL_ARGUMENT, UwsgiOption, UwsgiPlugin};
use std::ffi::CStr;

/// The registry of this process, behind the options' trait.
pub struct Plugins;

fn kind(getopt: i32) -> ArgKind {
    match getopt {
        NO_ARGUMENT => ArgKind::No,
        OPTIONAL_ARGUMENT => ArgKind::Optional,
        _ => ArgKind::Required,
    }
}

fn letter(shortcut: i32) -> Option<char> {
    u8::try_from(shortcut).ok().filter(u8::is_ascii_graphic).map(char::from)
}

fn of_file(plugin: &str, option: &StaticOption) -> PluginOption {
    PluginOption {
        name: option.name.clone(),
        short: letter(option.shortcut),
        arg: kind(option.kind),
        help: option.help.clone(),
        flags: option.flags,
        plugin: plugin.to_owned(),
        index: 0,
    }
}

/// Every row of every loaded plugin, in order: its place is the index that the options hand back.
fn rows() -> Vec<(&'static UwsgiPlugin, &'static UwsgiOption)> {
    registry()
        .plugins()
        .iter()
        .flat_map(|p| p.options().map(|row| (p.copy, row)))
        .collect()
}

impl PluginHost for Plugins {
    fn say(&mut self, line: &str) {
        crate::log::line(line);
    }

    fn add_directory(&mut self, directory: &str) {
        registry().add_folder(directory);
    }

    fn load(&mut self, spec: &str, need: bool, origin: &Origin) -> Result<(), PluginError> {
        let Err(error) = registry::load(spec) else {
            return Ok(());
        };
        match &error {
            LoadError::NoName { .. } => say!("{error}"),
            LoadError::Missing { looked, .. } => {
                say!("!!! UNABLE to load rsgi plugin: {error} !!!");
                if !looked.is_empty() {
                    say!("{looked}");
                }
            }
            _ => say!("!!! UNABLE to load rsgi plugin: {error} !!!"),
        }
        match need {
            true => Err(PluginError(format!(
                "unable to load plugin \"{spec}\" ({origin}; the reason stands above)"
            ))),
            false => Err(PluginError(error.to_string())),
        }
    }

    fn is_loaded(&self, name: &str) -> bool {
        registry().plugins().iter().any(|p| p.name() == name)
    }

    fn options(&self) -> Vec<PluginOption> {
        let text = |p: *const std::ffi::c_char| match p.is_null() {
            true => String::new(),
            // SAFETY: names and helps of a row are constant texts by the header.
            false => unsafe { CStr::from_ptr(p) }.to_string_lossy().into_owned(),
        };
        rows()
            .into_iter()
            .enumerate()
            .map(|(index, (plugin, row))| PluginOption {
                name: text(row.name),
                short: letter(row.shortcut),
                arg: kind(row.kind),
                help: text(row.help),
                flags: row.flags,
                plugin: name_of(plugin).to_owned(),
                index,
            })
            .collect()
    }

    fn apply(&mut self, index: usize, name: &str, value: Option<&str>) -> Result<(), PluginError> {
        let Some((plugin, row)) = rows().get(index).copied() else {
            return Err(PluginError(format!("option {name}: its plugin is not loaded")));
        };
        registry::apply_option(plugin, row, value);
        Ok(())
    }

    fn magic(&mut self, argument: &str) -> bool {
        // SAFETY: a new text that lives as long as the process.
        super::hooks::magic(unsafe { CStr::from_ptr(crate::server::keep(argument)) })
    }

    fn preflight(&self, settings: &Settings) -> Vec<String> {
        for hint in crate::startup::preflight::hints(settings) {
            crate::log::line(&hint);
        }
        crate::startup::preflight::problems(settings)
    }

    fn configure(&mut self) -> Result<(), PluginError> {
        super::hooks::configure().map_err(|refused| PluginError(refused.to_string()))
    }

    fn owner_of(&self, option: &str) -> Option<String> {
        registry().owner_of(option)
    }

    fn catalogue(&self) -> Vec<PluginOption> {
        registry()
            .catalogue()
            .iter()
            .flat_map(|(name, file)| file.options.iter().map(move |o| of_file(name, o)))
            .collect()
    }
}
