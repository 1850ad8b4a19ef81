//! What a command line can ask for instead of serving.

/// An action that ends the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `--help [WORD]`
    Help,
    /// `--version`
    Version,
    /// `--dump-options`: the names, one a line.
    DumpOptions,
    /// `--explain NAME`: all about one option.
    Explain(String),
    /// `--man [PAGE]`: a manual page in roff.
    Man(Option<String>),
    /// `--completion SHELL`: what a shell reads to complete command lines.
    Completion(String),
    /// `--reference PAGE`: a page of the documentation in Markdown.
    Reference(String),
    /// `--check-config`: read, check, say all problems, end.
    CheckConfig,
    /// `--get NAME`: print its value.
    Get(String),
    /// `--stop PIDFILE`: SIGINT
    Stop(String),
    /// `--reload PIDFILE`: SIGHUP
    Reload(String),
    /// `--pause PIDFILE` (also `--suspend`, `--resume`): SIGTSTP
    Pause(String),
    /// `--signal ADDRESS,NUMBER`: send a uWSGI signal.
    Signal(String),
    /// `--ping ADDRESS`: whether a worker answers there within these seconds (`--ping-timeout`).
    Ping(String, u64),
    /// `--connect-and-read ADDRESS`
    ConnectAndRead(String),
    /// `--extract URI`: print any configuration source.
    Extract(String),
    /// `--cflags`: what a plugin is compiled with.
    Cflags,
    /// `--config-py`: `uwsgiconfig.py`, which stands for `uwsgiconfig`.
    ConfigPy,
    /// `--dot-h`: the header.
    DotH,
    /// `--plugin-info NAME`: what a plugin's file says of itself.
    PluginInfo(String),
    /// `--build-plugin DIRECTORY`
    BuildPlugin(String),
}
