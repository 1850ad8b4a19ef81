//! Files served without the application.

use crate::options::spec::ArgKind::Required;
use crate::options::spec::{Group, OptionSpec, flag, later, no_effect, number, parsed, path, text};
use crate::settings::{Settings, StaticMap};

pub static GROUP: Group = Group {
    title: "Static files",
    rows: ROWS,
};

static ROWS: &[OptionSpec] = &[
    parsed(
        "static-map",
        "serve a directory under a prefix: /PREFIX=DIRECTORY",
        |s, v| map(s, v, false),
    ),
    parsed(
        "static-map2",
        "the same, the whole path behind the directory",
        |s, v| map(s, v, true),
    ),
    path(
        "check-static",
        "serve matching files of this directory before the application is asked",
        |s, v| s.statics.check_static.push(v.into()),
    )
    .aliases(&["static-check"]),
    flag("check-static-docroot", "the same for DOCUMENT_ROOT", |s, on| {
        s.statics.check_static_docroot = on
    }),
    path("static-index", "a name that stands for a directory", |s, v| {
        s.statics.index.push(v.into())
    }),
    path("static-skip-ext", "an ending that is never served", |s, v| {
        s.statics.skip_ext.push(v.into())
    }),
    path("static-safe", "another directory that links may lead into", |s, v| {
        s.statics.safe.push(v.into())
    }),
    parsed(
        "file-serve-mode",
        "how files are sent: sendfile, x-sendfile, nginx (x-accel-redirect)",
        |s, v| {
            if ![
                "sendfile",
                "x-sendfile",
                "xsendfile",
                "nginx",
                "x-accel-redirect",
                "x-accel",
            ]
            .contains(&v)
            {
                return Err(format!("unknown mode \"{v}\": use sendfile, x-sendfile or nginx"));
            }
            s.statics.file_serve_mode = Some(v.to_owned());
            Ok(())
        },
    )
    .aliases(&["fileserve-mode"]),
    flag(
        "honour-range",
        "answer ranges of files (on unless classic-defaults)",
        |s, on| s.statics.honour_range = on,
    )
    .negation("no-honour-range"),
    no_effect(
        "static-cache-paths",
        Required,
        "nothing to do: a file is found by one system call",
    ),
    text("static-expires", "expiry by file name: REGEXP SECONDS", |s, v| {
        s.statics.expires.push(v.into())
    }),
    text("static-expires-uri", "expiry by URI: REGEXP SECONDS", |s, v| {
        s.statics.expires_uri.push(v.into())
    }),
    text("static-expires-type", "expiry by content type: TYPE=SECONDS", |s, v| {
        s.statics.expires_type.push(v.into())
    }),
    text(
        "static-gzip",
        "prefer the .gz neighbour where the expression matches",
        |s, v| s.statics.gzip.push(v.into()),
    ),
    flag("static-gzip-all", "prefer the .gz neighbour everywhere", |s, on| {
        s.statics.gzip_all = on
    }),
    path("mime-file", "a file of MIME types", |s, v| {
        s.statics.mime_file.push(v.into())
    })
    .aliases(&["mimefile"]),
    number(
        "offload-threads",
        "threads that send files in place of the worker",
        |s, n| s.statics.offload_threads = n as u32,
    )
    .aliases(&["offload-thread"])
    .range(0, 1024),
    flag(
        "disable-sendfile",
        "read and write files instead of sendfile",
        |s, on| s.statics.disable_sendfile = on,
    ),
    later(
        "static-cache-paths-name",
        Required,
        "the cache that remembers where files are",
    ),
];

fn map(settings: &mut Settings, value: &str, append_prefix: bool) -> Result<(), String> {
    match value.split_once('=') {
        Some((prefix, target)) if !target.trim().is_empty() => {
            settings.statics.maps.push(StaticMap {
                prefix: prefix.trim().to_owned(),
                target: target.trim().to_owned(),
                append_prefix,
            });
            Ok(())
        }
        _ => Err(format!("invalid mapping \"{value}\": give /PREFIX=DIRECTORY")),
    }
}
