//! `uwsgiconfig --plugin foobar.c`: builds `foobar_plugin.so` in the current folder.

mod man;

use std::path::Path;
use std::process::ExitCode;

pub(crate) const USAGE: &str = "\
usage: uwsgiconfig --plugin SOURCE [PROFILE [NAME]]

Builds a plugin for rsgi into NAME_plugin.so in the current folder.
SOURCE is a C or C++ file, or a folder with a uwsgiplugin.py.
PROFILE is accepted for compatibility and not used: rsgi has one profile.

  --plugin SOURCE, --extra-plugin SOURCE   build
  --cflags                                 print the compiler flags
  --dot-h                                  print uwsgi.h
  --man                                    print the manual page (roff)
  --version                                print the version

Environment: CC, CFLAGS, LDFLAGS, PYTHON.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["--plugin" | "-p" | "--extra-plugin" | "-x", source, ..] => build(source, &words[2..]),
        ["--cflags"] => print(&uwsgiconfig::cflags()),
        ["--dot-h"] => print(uwsgiconfig::HEADER.trim_end()),
        ["--version" | "-v"] => print(env!("CARGO_PKG_VERSION")),
        ["--man"] => print(&man::page()),
        ["--help" | "-h"] => print(USAGE),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::FAILURE
        }
    }
}

fn print(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

/// `SOURCE` may carry the new name behind a space, as uWSGI's `--build-plugin "x name"` does.
fn build(source: &str, rest: &[&str]) -> ExitCode {
    let (source, name) = match source.split_once(' ') {
        Some((source, name)) if !Path::new(source).as_os_str().is_empty() => (source, Some(name)),
        _ => (source, rest.get(1).copied()),
    };
    match uwsgiconfig::build(Path::new(source), name, Path::new(".")) {
        Ok(file) => print(&format!(
            "*** {} plugin built and available in {} ***",
            plugin_name(&file),
            file.display()
        )),
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
