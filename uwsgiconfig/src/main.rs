//! `uwsgiconfig`: builds plugins and servers. Reads the command line; the library does the work.

mod man;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use uwsgiconfig::server::{self, Order};

pub(crate) const USAGE: &str = "\
usage: uwsgiconfig --plugin SOURCE [PROFILE [NAME]]
       uwsgiconfig --build [PROFILE]

Builds plugins for rsgi, and rsgi itself with the plugins of a profile.

SOURCE is a C or C++ file, or a folder with a uwsgiplugin.py; NAME_plugin.so is made in the current folder.
PROFILE is a file (plugins = python, ./x.c; embedded_plugins = http; bin_name, plugin_dir, inherit), or one
of default, core, python, single in packaging/profiles; beside --plugin it is accepted and not used.

  --plugin SOURCE, --extra-plugin SOURCE   build a plugin
  --build [PROFILE]                        build the server (in its source tree)
  --source FOLDER                          the source tree, if it is not around the current folder
  --output FOLDER                          where the files are put (the current folder)
  --install                                install them beneath $DESTDIR, the server to $PREFIX/bin
  --from FOLDER                            take programs that were built before from this folder
  --target TRIPLE                          build for another machine
  --offline                                download nothing (make vendor brings the crates)
  --verbose                                show each command
  --cflags                                 print the compiler flags
  --dot-h                                  print uwsgi.h
  --man                                    print the manual page (roff)
  --version                                print the version

Environment: CC, AR, PKG_CONFIG, CFLAGS, LDFLAGS, OBJCOPY, CARGO, RUSTFLAGS, PYTHON, PREFIX, DESTDIR;
UWSGICONFIG_RUN_SCRIPTS=1 runs a uwsgiplugin.py that cannot be understood without, and its post_build, by $PYTHON.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match Task::read(&arguments) {
        Ok(Task::Print(text)) => {
            uwsgiconfig::tell(&text);
            ExitCode::SUCCESS
        }
        Ok(Task::Plugin { source, name, order }) => plugin(&source, name.as_deref(), &order),
        Ok(Task::Server { order, install }) => serve(&order, install),
        Err(problem) => {
            eprintln!("{problem} (uwsgiconfig --help tells what there is)");
            ExitCode::FAILURE
        }
    }
}

/// What the command line asks for.
#[derive(Debug)]
enum Task {
    Print(String),
    Plugin {
        source: String,
        name: Option<String>,
        order: Order,
    },
    Server {
        order: Order,
        install: bool,
    },
}

impl Task {
    fn read(arguments: &[String]) -> Result<Self, String> {
        let mut order = Order {
            profile: "default".into(),
            output: ".".into(),
            ..Order::default()
        };
        let (mut source, mut name, mut builds, mut install) = (None, None, false, false);
        let mut words = arguments.iter().map(String::as_str).peekable();
        while let Some(word) = words.next() {
            let mut value = || words.next().map(str::to_owned).ok_or(format!("{word} needs a value"));
            match word {
                "--plugin" | "-p" | "--extra-plugin" | "-x" => source = Some(value()?),
                "--build" | "-b" => {
                    builds = true;
                    if let Some(profile) = words.next_if(|next| !next.starts_with('-')) {
                        order.profile = profile.to_owned();
                    }
                }
                "--source" => order.source = Some(value()?.into()),
                "--output" | "-o" => order.output = value()?.into(),
                "--from" => order.from = Some(value()?.into()),
                "--target" => order.target = Some(value()?),
                "--install" => install = true,
                "--offline" => order.offline = true,
                "--verbose" | "-v" => order.verbose = true,
                "--cflags" => return Ok(Self::Print(uwsgiconfig::cflags())),
                "--dot-h" => return Ok(Self::Print(uwsgiconfig::HEADER.trim_end().into())),
                "--man" => return Ok(Self::Print(man::page())),
                "--version" => return Ok(Self::Print(env!("CARGO_PKG_VERSION").into())),
                "--help" | "-h" => return Ok(Self::Print(USAGE.into())),
                // behind --plugin SOURCE: a profile, then a name
                _ if source.is_some() && !word.starts_with('-') => {
                    if let Some(new) = words.next_if(|next| !next.starts_with('-')) {
                        name = Some(new.to_owned());
                    }
                }
                _ => return Err(format!("unknown argument {word}")),
            }
        }
        match source {
            Some(source) => Ok(Self::Plugin { source, name, order }),
            None if builds => Ok(Self::Server { order, install }),
            None => Err("nothing to do".into()),
        }
    }
}

/// `SOURCE` may carry the new name behind a space, as uWSGI's `--build-plugin "x name"` does.
fn plugin(source: &str, name: Option<&str>, order: &Order) -> ExitCode {
    let (source, name) = match source.split_once(' ') {
        Some((source, name)) if !source.is_empty() => (source, Some(name)),
        _ => (source, name),
    };
    match uwsgiconfig::compiler::build_loudly(Path::new(source), name, &order.output, order.verbose) {
        Ok(file) => {
            let name = plugin_name(&file);
            uwsgiconfig::tell(&format!(
                "*** {name} plugin built and available in {} ***",
                file.display()
            ));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(order: &Order, install: bool) -> ExitCode {
    let result = server::build(order).and_then(|built| {
        if !install {
            return Ok(built.files);
        }
        let variable = |name: &str, usual: &str| std::env::var(name).unwrap_or_else(|_| usual.into());
        server::install(&built, &variable("DESTDIR", ""), &variable("PREFIX", "/usr/local"))
    });
    match result {
        Ok(files) => {
            let names: Vec<String> = files.iter().map(|file: &PathBuf| file.display().to_string()).collect();
            uwsgiconfig::tell(&format!("*** rsgi is ready: {} ***", names.join(" ")));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn plugin_name(file: &Path) -> String {
    let stem = file.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
    stem.trim_end_matches("_plugin").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Task, String> {
        Task::read(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn plugins_may_get_a_profile_and_a_name() {
        for (line, expected) in [
            ("--plugin x.c", None),
            ("--plugin x.c core", None),
            ("--plugin x.c core other --verbose", Some("other")),
        ] {
            let Ok(Task::Plugin { source, name, .. }) = read(line) else {
                panic!("{line}");
            };
            assert_eq!((source.as_str(), name.as_deref()), ("x.c", expected), "{line}");
        }
    }

    #[test]
    fn a_build_takes_a_profile_and_options() {
        let Ok(Task::Server { order, install }) = read("--build core --offline --install -o out") else {
            panic!();
        };
        assert!(order.profile == "core" && order.offline && install && order.output == Path::new("out"));
        let Ok(Task::Server { order, .. }) = read("--build --verbose") else {
            panic!();
        };
        assert!(order.profile == "default" && order.verbose);
        for wrong in ["", "--bild", "--plugin", "--build core x"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
