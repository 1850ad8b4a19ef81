//! The compiler's command line, its run, and what to say when it cannot do its work.

use crate::metadata::Metadata;
use crate::stage::Stage;
use crate::trusted;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why a plugin was not built. One line each; what the compiler says stands before it, unchanged.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Neither file nor folder.
    #[error("{path}: no such source file or folder", path = path.display())]
    NoSource {
        /// what was named
        path: PathBuf,
    },
    /// A folder without description.
    #[error("{path}: missing; a plugin folder needs one (NAME = 'x', GCC_LIST = ['x'])", path = path.display())]
    NoScript {
        /// the file that is missing
        path: PathBuf,
    },
    /// A description without NAME.
    #[error("{path}: sets no NAME", path = path.display())]
    NoName {
        /// the file
        path: PathBuf,
    },
    /// A description that only running it would tell.
    #[error("{path}:{line}: {what} cannot be told without running the file; if you trust it, set UWSGICONFIG_RUN_SCRIPTS=1", path = path.display())]
    MustRun {
        /// the file
        path: PathBuf,
        /// where, from 1
        line: usize,
        /// what stands there
        what: String,
    },
    /// A description that must be run, and no Python to run it.
    #[error("{path}: computes its flags, and {python} cannot run it ({reason}); install it with: apt-get install python3", path = path.display())]
    NoPython {
        /// the file
        path: PathBuf,
        /// the interpreter
        python: String,
        /// the system's word
        reason: String,
    },
    /// A description that raised.
    #[error("{path}: failed (its words stand above)", path = path.display())]
    ScriptFailed {
        /// the file
        path: PathBuf,
    },
    /// What a description does behind the compiler.
    #[error("{path}:{line}: post_build failed (its words stand above)", path = path.display())]
    PostBuild {
        /// the file
        path: PathBuf,
        /// where, from 1
        line: usize,
    },
    /// No compiler.
    #[error("no C compiler: {compiler} cannot be run ({reason}); install one with: apt-get install gcc libc6-dev")]
    NoCompiler {
        /// its name
        compiler: String,
        /// the system's word
        reason: String,
    },
    /// gcc is there, its part for C++ is not.
    #[error("{name}: not built: no C++ compiler; install one with: apt-get install g++")]
    NoCpp {
        /// the plugin
        name: String,
    },
    /// The compiler refused the source.
    #[error("{name}: not built: the compiler reports errors (above)")]
    Refused {
        /// the plugin
        name: String,
    },
    /// The compiler misses a header of some package.
    #[error("{name}: not built: the header {header} is missing; install it with: apt-get install {package}")]
    NoHeader {
        /// the plugin
        name: String,
        /// the header
        header: String,
        /// the Debian package that has it
        package: String,
    },
    /// A flag that a shell would not take.
    #[error("{path}: the flag {flag} has an open quote", path = path.display())]
    BadFlag {
        /// the description
        path: PathBuf,
        /// the flag
        flag: String,
    },
    /// The folder for the header cannot be made.
    #[error("cannot write the header for the build: {0}")]
    Header(#[from] io::Error),
}

/// Debian's packages of headers that plugins include.
const PACKAGES: &[(&str, &str)] = &[
    ("Python.h", "python3-dev"),
    ("amqp.h", "librabbitmq-dev"),
    ("avahi", "libavahi-client-dev"),
    ("curl/", "libcurl4-openssl-dev"),
    ("hiredis/", "libhiredis-dev"),
    ("jansson.h", "libjansson-dev"),
    ("lauxlib.h", "liblua5.4-dev"),
    ("ldap.h", "libldap-dev"),
    ("libpq-fe.h", "libpq-dev"),
    ("libssh2", "libssh2-1-dev"),
    ("lua.h", "liblua5.4-dev"),
    ("openssl/", "libssl-dev"),
    ("pcre.h", "libpcre3-dev"),
    ("pcre2.h", "libpcre2-dev"),
    ("ruby.h", "ruby-dev"),
    ("sqlite3.h", "libsqlite3-dev"),
    ("sys/apparmor.h", "libapparmor-dev"),
    ("sys/capability.h", "libcap-dev"),
    ("uuid/", "uuid-dev"),
    ("yajl/", "libyajl-dev"),
    ("zlib.h", "zlib1g-dev"),
    ("zmq.h", "libzmq3-dev"),
    // the C library itself
    ("", "libc6-dev"),
];

/// The flags that a plugin is compiled with, beside the include path.
pub const CFLAGS: &[&str] = &[
    "-O2",
    "-g",
    "-Wall",
    "-fPIC",
    "-D_LARGEFILE_SOURCE",
    "-D_FILE_OFFSET_BITS=64",
    "-DUWSGI_LOCK_USE_MUTEX",
    "-DUWSGI_EVENT_USE_EPOLL",
    "-DUWSGI_EVENT_TIMER_USE_TIMERFD",
    "-DUWSGI_EVENT_FILEMONITOR_USE_INOTIFY",
    "-DUWSGI_HAS_IFADDRS",
    concat!("-DRSGI_VERSION=\"", env!("CARGO_PKG_VERSION"), "\""),
    concat!("-DUWSGI_VERSION=\"", env!("CARGO_PKG_VERSION"), "\""),
];

/// The flags as one line for a shell or Makefile (`--cflags`).
pub fn cflags() -> String {
    let quoted = CFLAGS.iter().map(|f| match f.contains('"') {
        true => format!("'{f}'"),
        false => (*f).to_owned(),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// Builds `target` into `NAME_plugin.so` in `output`; `name` overrides the name. The file that was made.
///
/// # Errors
/// See [`BuildError`].
pub fn build(target: &Path, name: Option<&str>, output: &Path) -> Result<PathBuf, BuildError> {
    build_loudly(target, name, output, false)
}

/// The same; `loud` shows the compiler's command line.
///
/// # Errors
/// See [`BuildError`].
pub fn build_loudly(target: &Path, name: Option<&str>, output: &Path, loud: bool) -> Result<PathBuf, BuildError> {
    let mut plugin = Metadata::of(target)?;
    let mut renamed = Vec::new();
    if let Some(name) = name
        && name != plugin.name
    {
        renamed.push(format!("-D{}_plugin={}_plugin", symbol(&plugin.name), symbol(name)));
        plugin.name = name.to_owned();
    }
    let stage = Stage::new(target)?;
    for source in &mut plugin.sources {
        *source = stage.place(source);
    }
    for (number, (symbol, file)) in plugin.binaries.iter().enumerate() {
        let file = std::path::absolute(file)?;
        let source = stage.write(&format!("binary-{number}.s"), &binary_source(symbol, &file))?;
        plugin.sources.push(source);
    }
    if !plugin.requires.is_empty() {
        plugin
            .sources
            .push(stage.write("requires.c", &requires_source(&plugin.requires))?);
    }
    let file = output.join(format!("{}_plugin.so", plugin.name));
    let compiler = compiler();
    let mut command = Command::new(&compiler[0]);
    command.args(&compiler[1..]);
    command
        .arg("-shared")
        .arg("-o")
        .arg(&file)
        .args(CFLAGS)
        .args(stage.flags());
    command.args(from_env("CFLAGS")).args(&plugin.cflags).args(renamed);
    command
        .args(&plugin.sources)
        .args(from_env("LDFLAGS"))
        .args(&plugin.ldflags)
        .args(&plugin.libs);
    if plugin.sources.iter().any(|s| is_cpp(s)) {
        command.arg("-lstdc++");
    }
    command.args(libraries_at_hand(&compiler));
    if loud {
        crate::tell(&format!("{command:?}"));
    }
    run(command, &compiler[0], &plugin.name, &stage)?;
    if let Some(line) = plugin.post_build {
        after(&target.join("uwsgiplugin.py"), line, output)?;
    }
    Ok(file)
}

/// Libraries that are part of uWSGI's server, so that plugins written for it use them without naming them. Those that
/// are installed are offered to the linker, which takes what the plugin does use.
fn libraries_at_hand(compiler: &[String]) -> Vec<String> {
    let mut flags = vec!["-Wl,--push-state,--as-needed".to_owned()];
    for name in ["m", "z", "pcre", "cap", "uuid", "yaml", "yajl", "ssl", "crypto", "xml2"] {
        let file = format!("lib{name}.so");
        let asked = Command::new(&compiler[0])
            .args(&compiler[1..])
            .arg(format!("-print-file-name={file}"))
            .stderr(Stdio::null())
            .output();
        // what the compiler does not know it says as it was asked
        if asked.is_ok_and(|found| found.status.success() && found.stdout.trim_ascii() != file.as_bytes()) {
            flags.push(format!("-l{name}"));
        }
    }
    flags.push("-Wl,--pop-state".to_owned());
    flags
}

/// What the description wants done when the plugin is there.
fn after(script: &Path, line: usize, output: &Path) -> Result<(), BuildError> {
    if trusted::allowed() {
        return trusted::post_build(script, line, output);
    }
    eprintln!(
        "{}:{line}: post_build is not run; if you trust the file, set {}=1 and build again",
        script.display(),
        trusted::PERMISSION
    );
    Ok(())
}

/// Runs the compiler; its words pass through as they are, and are looked at for a missing header.
fn run(mut command: Command, compiler: &str, name: &str, stage: &Stage) -> Result<(), BuildError> {
    let output = command
        .env("LC_ALL", "C")
        .stdout(Stdio::inherit())
        .stderr(Stdio::piped())
        .output()
        .map_err(|e| BuildError::NoCompiler {
            compiler: compiler.to_owned(),
            reason: e.to_string(),
        })?;
    let words = stage.real_names(&String::from_utf8_lossy(&output.stderr));
    eprint!("{words}");
    if output.status.success() {
        return Ok(());
    }
    if words.contains("cannot execute") && words.contains("cc1plus") {
        return Err(BuildError::NoCpp { name: name.to_owned() });
    }
    match missing_header(&words) {
        Some(header) => {
            let package = PACKAGES
                .iter()
                .find(|(prefix, _)| header.starts_with(prefix))
                .map_or("", |(_, p)| p);
            Err(BuildError::NoHeader {
                name: name.to_owned(),
                header,
                package: package.to_owned(),
            })
        }
        None => Err(BuildError::Refused { name: name.to_owned() }),
    }
}

/// The header of "fatal error: X: No such file or directory", when it is an installed one that is missing.
fn missing_header(words: &str) -> Option<String> {
    words
        .lines()
        .filter(|l| !l.contains("cannot execute"))
        .find_map(|line| {
            let (_, rest) = line.split_once("fatal error: ")?;
            let header = rest
                .strip_suffix(": No such file or directory")
                .or(rest.strip_suffix("' file not found"))?;
            Some(header.trim_start_matches('\'').to_owned())
        })
}

/// A file as it is, between two symbols.
fn binary_source(symbol: &str, file: &Path) -> String {
    let name = file.display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        ".section .rodata\n.balign 16\n.global {symbol}_start\n{symbol}_start:\n.incbin \"{name}\"\n\
         .global {symbol}_end\n{symbol}_end:\n.byte 0\n.section .note.GNU-stack,\"\",%progbits\n"
    )
}

fn requires_source(names: &[String]) -> String {
    let text: String = names.iter().map(|n| format!("requires={n}\\n")).collect();
    format!("static const char rsgi_requires[] __attribute__((section(\"uwsgi\"), used)) = \"{text}\";\n")
}

fn is_cpp(source: &Path) -> bool {
    ["cc", "cpp", "cxx"]
        .iter()
        .any(|e| source.extension() == Some(OsStr::new(e)))
}

/// A plugin's name as part of a C symbol.
fn symbol(name: &str) -> String {
    name.replace('-', "_")
}

fn from_env(name: &str) -> Vec<String> {
    std::env::var(name)
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

/// `$CC`, else the first of gcc, cc, clang on the PATH.
fn compiler() -> Vec<String> {
    let given = from_env("CC");
    if !given.is_empty() {
        return given;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = ["gcc", "cc", "clang"]
        .iter()
        .find(|n| std::env::split_paths(&path).any(|p| p.join(n).is_file()));
    vec![(*found.unwrap_or(&"gcc")).to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_header_is_recognised() {
        let words = "x.c:1:10: fatal error: curl/curl.h: No such file or directory\n    1 | #include\n";
        assert_eq!(missing_header(words).as_deref(), Some("curl/curl.h"));
        assert_eq!(missing_header("x.c:1: error: expected ';'"), None);
        let no_part = "gcc: fatal error: cannot execute 'cc1obj': execvp: No such file or directory";
        assert_eq!(missing_header(no_part), None);
        let package = |h: &str| PACKAGES.iter().find(|(p, _)| h.starts_with(p)).unwrap().1;
        assert_eq!(package("curl/curl.h"), "libcurl4-openssl-dev");
        assert_eq!(package("stdio.h"), "libc6-dev");
    }

    #[test]
    fn flags_survive_a_shell() {
        assert!(cflags().contains("'-DRSGI_VERSION=\""));
    }
}
