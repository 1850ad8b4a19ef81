//! Plugins: loading and building.

use crate::options::command::Command;
use crate::options::spec::ArgKind::{No, Required};
use crate::options::spec::{Group, OptionSpec, command, flag, path, reader};

pub static GROUP: Group = Group {
    title: "Plugins",
    rows: ROWS,
};

static ROWS: &[OptionSpec] = &[
    reader(
        "plugin",
        Required,
        "load plugins: names or paths, with commas; a missing one is reported",
    )
    .aliases(&["plugins"]),
    reader(
        "need-plugin",
        Required,
        "load plugins, and end when one cannot be loaded",
    )
    .aliases(&["need-plugins"]),
    reader("plugins-dir", Required, "another folder to look for plugins").aliases(&["plugin-dir"]),
    path("dlopen", "open a library with all its symbols", |s, v| {
        s.plugins.dlopen.push(v.into())
    }),
    flag("plugins-list", "print the loaded plugins", |s, on| {
        s.plugins.plugins_list = on
    })
    .aliases(&["plugin-list"]),
    flag("logger-list", "print the known loggers", |s, on| {
        s.plugins.logger_list = on
    })
    .aliases(&["loggers-list"]),
    flag("cheaper-algo-list", "print the known cheaper algorithms", |s, on| {
        s.plugins.cheaper_algo_list = on
    })
    .aliases(&["cheaper-algos-list", "cheaper-list"]),
    command(
        "plugin-info",
        Required,
        "print what a plugin is, has and needs, without loading it, and end",
        |v| Command::PluginInfo(v.unwrap_or_default().into()),
    ),
    command(
        "build-plugin",
        Required,
        "build the plugin in this folder and end",
        |v| Command::BuildPlugin(v.unwrap_or_default().into()),
    ),
    command("cflags", No, "print what a plugin is compiled with and end", |_| {
        Command::Cflags
    }),
    command(
        "config-py",
        No,
        "print uwsgiconfig.py, which stands for uwsgiconfig, and end",
        |_| Command::ConfigPy,
    ),
    command("dot-h", No, "print the header for plugins and end", |_| Command::DotH),
    path("binary-path", "the program to execute at a reload", |s, v| {
        s.paths.binary_path = Some(v.into())
    }),
];
