//! rsgi, the server: parse, load, run, exit code. Nothing else lives here.

use rsgi_core::options::{self, Startup};
use rsgi_core::plugin::host::Plugins;
use rsgi_core::{control, process, say, startup, top};
use std::process::ExitCode;

fn main() -> ExitCode {
    process::reload::begin();
    env_logger::Builder::from_env(env_logger::Env::new().filter("RSGI_LOG"))
        .format_target(false)
        .init();
    rsgi_core::plugin::inside::watch();
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "top") {
        return top::run(&arguments[1..]);
    }
    let variables = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    match options::load(&arguments, variables, &mut Plugins) {
        Ok(Startup::Run(settings)) => {
            rsgi_core::emperor::link::recognise();
            let fallback = settings.paths.fallback_config.clone();
            match startup::run(*settings) {
                Ok(code) => process::exit(code),
                Err(error) => {
                    say!("{error}");
                    if let Some(config) = fallback.filter(|_| error.code == 1 && startup::may_fall_back()) {
                        startup::fall_back(&config);
                    }
                    process::exit(error.code)
                }
            }
        }
        Ok(Startup::Print(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Startup::Checked) => ExitCode::SUCCESS,
        Ok(Startup::Command(command)) => control::run(command),
        Err(errors) => {
            say!("{errors}");
            process::exit(1)
        }
    }
}
