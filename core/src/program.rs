//! The program from its arguments to its exit code: all that `rsgi` is, and what librsgi does inside of another one.

use crate::options::{self, Startup};
use crate::plugin::{host::Plugins, registry};
use crate::settings::Settings;
use crate::{cli, control, emperor, process, say, startup, top};
use std::ffi::OsString;

/// What is to be done after the configuration was read.
pub enum Program {
    /// Serve.
    Serve(Box<Settings>),
    /// Nothing is left: the exit code.
    Over(i32),
}

/// Reads the configuration, and does what needs no server. `all` begins with the program's name, `variables` are the
/// environment that counts.
pub fn set_up(
    all: impl IntoIterator<Item = OsString>,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Program {
    process::reload::begin();
    // a program around us may have its own
    let _ = env_logger::Builder::from_env(env_logger::Env::new().filter("RSGI_LOG"))
        .format_target(false)
        .try_init();
    let arguments = cli::arguments(all);
    if arguments.first().is_some_and(|first| first == "top") {
        return Program::Over(top::run(&arguments[1..]).into());
    }
    registry::load_embedded();
    let variables = variables.filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    match options::load(&arguments, variables, &mut Plugins) {
        Ok(Startup::Run(settings)) => Program::Serve(settings),
        Ok(Startup::Print(text)) => Program::Over(control::write(&text).into()),
        Ok(Startup::Checked) => Program::Over(0),
        Ok(Startup::Command(command)) => Program::Over(control::run(command).into()),
        Err(errors) => {
            say!("{errors}");
            Program::Over(1)
        }
    }
}

/// Serves to the end: the exit code. [`process::finish`] or [`process::exit`] comes next, in whichever process returns.
pub fn run(settings: Settings) -> i32 {
    emperor::link::recognise();
    let fallback = settings.paths.fallback_config.clone();
    match startup::run(settings) {
        Ok(code) => code,
        Err(error) => {
            say!("{error}");
            if let Some(config) = fallback.filter(|_| error.code == 1 && startup::may_fall_back()) {
                startup::fall_back(&config);
            }
            error.code
        }
    }
}
