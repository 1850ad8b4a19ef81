//! What the options need of the plugins: their folders, loading, the options they bring.
//! The plugin loader of the host implements it; all calls come from the first process before anything is started.

use super::spec::ArgKind;
use crate::config::Origin;
use crate::settings::Settings;

/// An option that a plugin brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginOption {
    /// Without dashes.
    pub name: String,
    /// One letter.
    pub short: Option<char>,
    /// Whether a value follows.
    pub arg: ArgKind,
    /// One line.
    pub help: String,
    /// `UWSGI_OPT_*`
    pub flags: u64,
    /// The plugin.
    pub plugin: String,
    /// Given back to [`PluginHost::apply`]; without meaning in the catalogue.
    pub index: usize,
}

/// A plugin that could not be loaded, or an option it refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PluginError(pub String);

/// The plugins as the options see them.
pub trait PluginHost {
    /// A line for the log: progress and warnings, in their order. It comes before the log is opened.
    fn say(&mut self, line: &str) {
        eprintln!("{line}");
    }

    /// `plugins-dir`: another folder to search.
    fn add_directory(&mut self, directory: &str);

    /// `plugin`, `need-plugin`: load one plugin now, as the user spelt it (a name, a path, `0:name`). The host says
    /// itself why a plugin cannot be loaded; the error ends the start when `need` is set and is dropped otherwise.
    fn load(&mut self, spec: &str, need: bool, origin: &Origin) -> Result<(), PluginError>;

    /// Whether a plugin of this name is loaded.
    fn is_loaded(&self, name: &str) -> bool;

    /// The options of all loaded plugins.
    fn options(&self) -> Vec<PluginOption>;

    /// Calls the setter of a loaded plugin's option.
    fn apply(&mut self, index: usize, name: &str, value: Option<&str>) -> Result<(), PluginError>;

    /// A bare argument that is neither a configuration nor an application by its name: whether a plugin takes it.
    fn magic(&mut self, argument: &str) -> bool {
        let _ = argument;
        false
    }

    /// All options are set: the plugins look at theirs and may offer defaults for others.
    ///
    /// # Errors
    /// A plugin does not let the server start; it has said why.
    fn configure(&mut self) -> Result<(), PluginError> {
        Ok(())
    }

    /// The plugin on disk that has this option; looked up without loading.
    fn owner_of(&self, option: &str) -> Option<String>;

    /// What the machine has against these settings, one line each: `--check-config`.
    fn preflight(&self, settings: &Settings) -> Vec<String> {
        let _ = settings;
        Vec::new()
    }

    /// The options of all plugins on disk, without loading them.
    fn catalogue(&self) -> Vec<PluginOption>;
}
