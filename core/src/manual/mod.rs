//! The pages that describe the server: manual pages (`--man`), completions of shells (`--completion`) and the
//! reference of the documentation (`--reference`). All are written from the option table and from `uwsgi.h`, so that
//! they cannot grow old.

mod completion;
mod file;
mod header;
mod plugin;
mod program;
mod reference;
mod roff;

use crate::options::PluginOption;

/// The manual pages, the usual one first.
const PAGES: &str = "rsgi, rsgi.ini, rsgi-plugin";

/// A manual page in roff.
///
/// # Errors
/// There is none of this name; one line.
pub fn page(name: Option<&str>, plugins: &[PluginOption]) -> Result<String, String> {
    match name.unwrap_or("rsgi") {
        "rsgi" => Ok(program::page(plugins)),
        "rsgi.ini" => Ok(file::page()),
        "rsgi-plugin" => Ok(plugin::page()),
        other => Err(format!("--man: there is no page \"{other}\" (there are {PAGES})")),
    }
}

/// The completion of a shell.
///
/// # Errors
/// Another shell than bash, zsh and fish; one line.
pub fn completion(shell: &str, plugins: &[PluginOption]) -> Result<String, String> {
    let words = completion::words(plugins);
    match shell {
        "bash" => Ok(completion::bash(&words)),
        "zsh" => Ok(completion::zsh(&words)),
        "fish" => Ok(completion::fish(&words)),
        other => Err(format!(
            "--completion: no completion for \"{other}\" (there are bash, zsh, fish)"
        )),
    }
}

/// A page of the documentation in Markdown.
///
/// # Errors
/// There is none of this name; one line.
pub fn reference(name: &str, plugins: &[PluginOption]) -> Result<String, String> {
    match name {
        "options" => Ok(reference::options(plugins)),
        "api" => Ok(reference::api()),
        "refused" => Ok(reference::refused()),
        other => Err(format!(
            "--reference: there is no page \"{other}\" (there are options, api, refused)"
        )),
    }
}
