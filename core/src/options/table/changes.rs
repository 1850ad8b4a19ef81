//! What an option of uWSGI's configurations means otherwise here, or need not be said any more: for the report of
//! `--check-config`. Options that mean the same have no line.

use crate::plugin::search;

/// How the meaning differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It does something else, or more.
    Changed,
    /// What it asks for is so anyway.
    Needless,
}

/// A difference.
pub struct Change {
    /// Which.
    pub kind: Kind,
    /// What is so here.
    pub text: &'static str,
    /// The options, with spaces.
    names: &'static str,
    /// Only with values like this.
    when: fn(&str) -> bool,
}

fn always(_: &str) -> bool {
    true
}

fn is_on(value: &str) -> bool {
    !["false", "no", "off", "0"].contains(&value.trim())
}

/// The difference that an option with this value makes.
pub fn find(name: &str, value: &str) -> Option<&'static Change> {
    let names = |change: &&Change| change.names.split_whitespace().any(|known| known == name);
    CHANGES.iter().filter(names).find(|change| (change.when)(value))
}

/// Every option that has a line.
#[cfg(test)]
pub fn names() -> impl Iterator<Item = &'static str> {
    CHANGES.iter().flat_map(|change| change.names.split_whitespace())
}

/// Plugins that nobody needs to name.
fn comes_with_rsgi(value: &str) -> bool {
    let known = ["python", "lua", "http"];
    let mut names = value.split(',').map(str::trim);
    names.all(|name| search::is_built_in(name) || known.contains(&search::canonical(name)))
}

const fn changed(names: &'static str, text: &'static str) -> Change {
    Change {
        kind: Kind::Changed,
        text,
        names,
        when: always,
    }
}

const fn needless(names: &'static str, text: &'static str) -> Change {
    Change {
        kind: Kind::Needless,
        text,
        names,
        when: is_on,
    }
}

const fn only(change: Change, when: fn(&str) -> bool) -> Change {
    Change { when, ..change }
}

static CHANGES: &[Change] = &[
    only(
        changed(
            "stats",
            "listens on 127.0.0.1 alone; write 0.0.0.0:PORT for every address",
        ),
        |value| value.trim().starts_with(':'),
    ),
    only(
        changed(
            "listen",
            "a number above the system's limit is cut to it, and ends no start",
        ),
        |value| value.trim().parse::<u32>().is_ok_and(|n| n > 128),
    ),
    changed(
        "touch-reload touch-workers-reload py-autoreload fs-reload",
        "new workers are ready before old ones leave; a reload that would fail changes nothing",
    ),
    changed(
        "max-requests max-requests-delta max-worker-lifetime reload-on-rss reload-on-as",
        "the replacement is ready first, and workers are replaced one at a time",
    ),
    changed(
        "buffer-size",
        "larger heads of HTTP requests are answered with 431 in place of a closed connection",
    ),
    changed(
        "harakiri",
        "the stacks of all Python threads are in the log before the process is killed",
    ),
    changed("mount", "all applications share one interpreter"),
    changed(
        "enable-proxy-protocol http-enable-proxy-protocol",
        "counts from trusted peers (trusted-proxy, http-trusted-proxies; loopback is trusted)",
    ),
    needless(
        "die-on-term",
        "TERM always stops gracefully; INT and QUIT always stop at once",
    ),
    needless("master", "is on (no-master turns it off)"),
    needless("enable-threads", "is on (no-enable-threads turns it off)"),
    needless(
        "need-app",
        "is on when an application is named (no-need-app turns it off)",
    ),
    needless("single-interpreter", "is on"),
    needless("vacuum no-orphans", "is on"),
    needless(
        "ignore-sigpipe ignore-write-errors disable-write-exception",
        "is on: clients that go away make no noise",
    ),
    needless("honour-range", "is on for static files"),
    needless("http-keepalive", "connections are kept anyway"),
    needless(
        "wsgi-manage-chunked-input http-chunked-input",
        "applications read chunked bodies from wsgi.input anyway",
    ),
    needless(
        "py-call-osafterfork py-call-uwsgi-fork-hooks",
        "Python is told about every fork anyway",
    ),
    only(
        needless(
            "plugin plugins",
            "is part of rsgi, or is loaded by itself when one of its options is used",
        ),
        comes_with_rsgi,
    ),
];

/// A default that differs, for those who say nothing about it.
pub struct Default {
    /// What is so here.
    pub text: &'static str,
    /// Whoever names one of these has decided.
    decided_by: &'static str,
}

/// The defaults that hold for a configuration, as it names none of their options.
pub fn defaults(is_named: impl Fn(&str) -> bool) -> impl Iterator<Item = &'static str> {
    let silent = move |default: &&Default| !default.decided_by.split_whitespace().any(&is_named);
    DEFAULTS.iter().filter(silent).map(|default| default.text)
}

static DEFAULTS: &[Default] = &[
    Default {
        text: "SIGTERM stops gracefully (uWSGI: a brutal reload)",
        decided_by: "die-on-term hook-master-start",
    },
    Default {
        text: "there is a master (no-master)",
        decided_by: "master no-master",
    },
    Default {
        text: "Python's threads run (no-enable-threads)",
        decided_by: "enable-threads no-enable-threads threads",
    },
    Default {
        text: "without an application the start fails with exit code 22 (no-need-app)",
        decided_by: "need-app no-need-app",
    },
    Default {
        text: "applications share one interpreter",
        decided_by: "single-interpreter",
    },
    Default {
        text: "sockets and pidfiles are removed at the end (no-vacuum)",
        decided_by: "vacuum no-vacuum",
    },
    Default {
        text: "HTTP connections are kept for 65 seconds (keep-alive)",
        decided_by: "keep-alive http-keepalive socket uwsgi-socket",
    },
    Default {
        text: "up to 4096 connections may wait, as the system allows (listen)",
        decided_by: "listen",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::table;

    #[test]
    fn names_are_options_and_stand_once() {
        let mut seen = std::collections::HashSet::new();
        for name in names() {
            assert!(
                table::find(name).is_some() || table::owners::find(name).is_some(),
                "{name}: no option"
            );
            assert!(seen.insert(name), "{name} stands twice");
        }
        for default in DEFAULTS {
            for name in default.decided_by.split_whitespace() {
                assert!(
                    table::find(name).is_some() || table::owners::find(name).is_some(),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn values_decide() {
        assert!(find("plugins", "python3, router_static").is_some() && find("plugin", "mine").is_none());
        assert!(find("stats", ":9191").is_some() && find("stats", "127.0.0.1:9191").is_none());
        assert_eq!(find("master", "true").map(|c| c.kind), Some(Kind::Needless));
        assert!(find("master", "false").is_none() && find("processes", "4").is_none());
    }
}
