//! Applications.

use crate::options::spec::ArgKind::{No, Required};
use crate::options::spec::{Group, OptionSpec, flag, no_effect, number, parsed, text};
use crate::settings::Mount;

pub static GROUP: Group = Group {
    title: "Applications",
    rows: ROWS,
};

static ROWS: &[OptionSpec] = &[
    flag(
        "need-app",
        "end when no application can be loaded (on when one is named)",
        |s, on| s.apps.need_app = Some(on),
    )
    .negation("no-need-app"),
    parsed("mount", "an application under a prefix: /PREFIX=APP", |s, v| {
        let mount = mount(v)?;
        s.apps.mounts.push(mount);
        Ok(())
    }),
    flag(
        "manage-script-name",
        "split SCRIPT_NAME off for mounted applications",
        |s, on| s.apps.manage_script_name = on,
    ),
    flag(
        "ignore-script-name",
        "drop a SCRIPT_NAME that comes with the request",
        |s, on| s.apps.ignore_script_name = on,
    )
    .later(),
    flag("no-default-app", "404 where no application is mounted", |s, on| {
        s.apps.no_default_app = on
    }),
    flag("lazy-apps", "load the application in each worker", |s, on| {
        s.apps.lazy_apps = on
    })
    .negation("no-lazy-apps"),
    flag(
        "lazy",
        "as lazy-apps, and a reload replaces the workers only",
        |s, on| {
            s.reload.lazy = on;
            s.apps.lazy_apps = on;
        },
    ),
    flag(
        "single-interpreter",
        "one interpreter for all applications; those of Python always have one",
        |s, on| s.apps.single_interpreter = on,
    )
    .short('i')
    .negation("no-single-interpreter"),
    flag(
        "dynamic-apps",
        "request variables may name applications and directories (on with classic-defaults)",
        |s, on| s.apps.dynamic_apps = on,
    )
    .negation("no-dynamic-apps"),
    flag("vhost", "choose the application by server name", |s, on| {
        s.apps.vhost = on
    })
    .later(),
    number("max-apps", "most applications of one worker", |s, n| {
        s.apps.max_apps = n as u32
    })
    .range(1, 65535),
    text("exception-handler", "a handler of uncaught exceptions", |s, v| {
        s.apps.exception_handlers.push(v.into())
    }),
    no_effect("cgi-mode", No, "nothing to do: answers need no CGI form").short('c'),
    no_effect("vhost-host", No, "nothing to do: SERVER_NAME is used"),
    no_effect(
        "max-vars",
        Required,
        "nothing to do: the number of request variables has no fixed limit",
    )
    .short('v'),
    text("mode", "a word that the application reads as uwsgi.mode", |s, v| {
        s.apps.mode = Some(v.into())
    }),
];

fn mount(value: &str) -> Result<Mount, String> {
    match value.split_once('=') {
        Some((prefix, app)) if !app.trim().is_empty() => Ok(Mount {
            prefix: prefix.trim().to_owned(),
            app: app.trim().to_owned(),
            worker: None,
        }),
        _ => Err(format!("invalid mountpoint \"{value}\": give /PREFIX=APP")),
    }
}
