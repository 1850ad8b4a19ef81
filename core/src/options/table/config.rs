//! Configuration files, blocks, placeholders, and what is printed instead of serving.

use crate::options::command::Command;
use crate::options::spec::ArgKind::{No, Optional, Required};
use crate::options::spec::{Group, OptionSpec, command, flag, no_effect, path, reader};

pub static GROUP: Group = Group {
    title: "Configuration",
    rows: ROWS,
};

static ROWS: &[OptionSpec] = &[
    reader(
        "ini",
        Required,
        "read an INI file (FILE, FILE:SECTION, :SECTION of the same file)",
    ),
    reader("xml", Required, "read an XML file")
        .short('x')
        .aliases(&["xmlconfig"]),
    reader("yaml", Required, "read a YAML file")
        .short('y')
        .aliases(&["yml"]),
    reader("json", Required, "read a JSON file").short('j').aliases(&["js"]),
    reader("toml", Required, "read a TOML file"),
    reader(
        "config",
        Required,
        "read a configuration file, its format told by its ending",
    ),
    reader(
        "include",
        Required,
        "read another configuration file here, whatever its format",
    ),
    reader(
        "inherit",
        Required,
        "read another configuration file behind everything else, as a template",
    ),
    reader("set", Required, "set a placeholder or an option: NAME=VALUE").short('S'),
    reader("set-placeholder", Required, "set a placeholder: NAME=VALUE").aliases(&["set-ph"]),
    reader(
        "declare-option",
        Required,
        "make an option that stands for others: NAME=OPTION=$1;OPTION=$2",
    )
    .aliases(&["declare-option2"]),
    reader(
        "inject-before",
        Required,
        "put the text of this file in front of every INI file read below",
    ),
    reader(
        "inject-after",
        Required,
        "put the text of this file behind every INI file read below",
    ),
    reader(
        "if-env",
        Required,
        "lines up to endif count if the variable is set: NAME or NAME=VALUE",
    )
    .aliases(&["ifenv"]),
    reader(
        "if-not-env",
        Required,
        "lines up to endif count unless the variable is set",
    ),
    reader(
        "if-opt",
        Required,
        "lines up to endif count if the option stands above: NAME or NAME=VALUE",
    )
    .aliases(&["ifopt"]),
    reader(
        "if-not-opt",
        Required,
        "lines up to endif count unless the option stands above",
    ),
    reader("if-file", Required, "lines up to endif count if this is a regular file").aliases(&["iffile"]),
    reader(
        "if-not-file",
        Required,
        "lines up to endif count unless this is a regular file",
    ),
    reader("if-dir", Required, "lines up to endif count if this is a directory").aliases(&["ifdir", "if-directory"]),
    reader(
        "if-not-dir",
        Required,
        "lines up to endif count unless this is a directory",
    )
    .aliases(&["if-not-directory"]),
    reader("if-exists", Required, "lines up to endif count if this path exists").aliases(&["ifexists"]),
    reader(
        "if-not-exists",
        Required,
        "lines up to endif count unless this path exists",
    ),
    reader(
        "if-hostname",
        Required,
        "lines up to endif count if the machine has this name",
    ),
    reader(
        "if-not-hostname",
        Required,
        "lines up to endif count unless the machine has this name",
    ),
    reader(
        "if-hostname-match",
        Required,
        "lines up to endif count if the machine's name matches this expression",
    ),
    reader(
        "if-not-hostname-match",
        Required,
        "lines up to endif count unless the machine's name matches this expression",
    ),
    reader(
        "if-plugin",
        Required,
        "lines up to endif count if this plugin is loaded",
    )
    .aliases(&["ifplugin"]),
    reader(
        "if-not-plugin",
        Required,
        "lines up to endif count unless this plugin is loaded",
    ),
    reader(
        "if-reload",
        Optional,
        "lines up to endif count if the start is a reload",
    )
    .aliases(&["ifreload"]),
    reader(
        "if-not-reload",
        Optional,
        "lines up to endif count unless the start is a reload",
    ),
    reader("else", Optional, "begin the lines that count otherwise"),
    reader("endif", Optional, "end the lines of an if").aliases(&["end-if"]),
    reader(
        "for",
        Required,
        "repeat the lines up to endfor for each word, which is %(_)",
    ),
    reader(
        "for-glob",
        Required,
        "repeat the lines up to endfor for each matching path",
    ),
    reader("for-times", Required, "repeat the lines up to endfor this often"),
    reader(
        "for-readline",
        Required,
        "repeat the lines up to endfor for each line of a file",
    ),
    reader("endfor", Optional, "end the lines of a for").aliases(&["end-for"]),
    reader("print", Required, "print a text while the configuration is read").aliases(&["iprint"]),
    flag(
        "strict",
        "treat unknown names in configuration files as errors",
        |s, on| s.strict = on,
    )
    .negation("no-strict"),
    reader(
        "classic-defaults",
        No,
        "begin with the defaults of uWSGI instead of rsgi's",
    ),
    flag(
        "autoload",
        "load the plugin that owns an unknown option (on unless classic-defaults)",
        |s, on| s.autoload = on,
    )
    .negation("no-autoload"),
    path(
        "fallback-config",
        "start with this configuration when this one ends with exit code 1",
        |s, v| s.paths.fallback_config = Some(v.into()),
    ),
    reader("show-config", No, "print the options in use, each with its place"),
    command(
        "check-config",
        No,
        "read and check the configuration, report every problem, and end",
        |_| Command::CheckConfig,
    ),
    command("get", Required, "print the value of one option and end", |v| {
        Command::Get(v.unwrap_or_default().into())
    }),
    command(
        "help",
        Optional,
        "print the options, or those about a word: --help socket",
        |_| Command::Help,
    )
    .short('h')
    .aliases(&["usage"]),
    command(
        "explain",
        Required,
        "print all about one option (names, value, default, status, example) and end",
        |v| Command::Explain(v.unwrap_or_default().into()),
    ),
    command(
        "ping",
        Required,
        "ask whether a worker answers on a uwsgi or HTTP socket, and end: 0 if so",
        |v| Command::Ping(v.unwrap_or_default().into(), 3),
    ),
    reader("ping-timeout", Required, "seconds that --ping waits for an answer (3)"),
    command("version", No, "print the version and end", |_| Command::Version),
    command("dump-options", No, "print the names of all options and end", |_| {
        Command::DumpOptions
    }),
    command(
        "man",
        Optional,
        "print a manual page (roff) and end: rsgi, rsgi.ini or rsgi-plugin",
        |v| Command::Man(v.map(Into::into)),
    ),
    command(
        "completion",
        Required,
        "print the completion of a shell (bash, zsh, fish) and end",
        |v| Command::Completion(v.unwrap_or_default().into()),
    ),
    command(
        "reference",
        Required,
        "print a page of the documentation (options, api, refused) and end",
        |v| Command::Reference(v.unwrap_or_default().into()),
    ),
    command(
        "extract",
        Required,
        "print a configuration source (file, exec://, http://) and end",
        |v| Command::Extract(v.unwrap_or_default().into()),
    ),
    no_effect("skip-zero", No, "nothing to do: descriptor 0 is checked without harm"),
];
