//! Actions of the phases.

use super::values::file_and_action;
use crate::options::spec::{Group, OptionSpec, parsed, text};
use crate::settings::Action::{Call, Exec, Hook};

pub static GROUP: Group = Group {
    title: "Hooks",
    rows: ROWS,
};

static ROWS: &[OptionSpec] = &[
    text(
        "hook-asap",
        "an action (exec:, write:, print: and so on) as soon as options are read",
        |s, v| s.hooks.asap.push(Hook(v.into())),
    ),
    text("hook-pre-jail", "an action before the jail", |s, v| {
        s.hooks.pre_jail.push(Hook(v.into()))
    }),
    text("hook-in-jail", "an action in the jail", |s, v| {
        s.hooks.in_jail.push(Hook(v.into()))
    }),
    text("hook-post-jail", "an action after the jail", |s, v| {
        s.hooks.post_jail.push(Hook(v.into()))
    }),
    text("hook-as-root", "an action before privileges are dropped", |s, v| {
        s.hooks.as_root.push(Hook(v.into()))
    }),
    text("hook-as-user", "an action after privileges are dropped", |s, v| {
        s.hooks.as_user.push(Hook(v.into()))
    }),
    text("hook-as-user-atexit", "an action at exit and reload", |s, v| {
        s.hooks.as_user_atexit.push(Hook(v.into()))
    }),
    text("hook-pre-app", "an action before applications are loaded", |s, v| {
        s.hooks.pre_app.push(Hook(v.into()))
    }),
    text("hook-post-app", "an action after applications are loaded", |s, v| {
        s.hooks.post_app.push(Hook(v.into()))
    }),
    text("hook-post-fork", "an action after each fork", |s, v| {
        s.hooks.post_fork.push(Hook(v.into()))
    }),
    text("hook-accepting", "an action when a worker accepts", |s, v| {
        s.hooks.accepting.push(Hook(v.into()))
    }),
    text("hook-accepting1", "an action when the first worker accepts", |s, v| {
        s.hooks.accepting1.push(Hook(v.into()))
    }),
    text(
        "hook-accepting-once",
        "an action when a worker accepts for the first time",
        |s, v| s.hooks.accepting_once.push(Hook(v.into())),
    ),
    text(
        "hook-accepting1-once",
        "an action when the first worker accepts for the first time",
        |s, v| s.hooks.accepting1_once.push(Hook(v.into())),
    ),
    text(
        "hook-master-start",
        "an action when the master's loop begins",
        |s, v| s.hooks.master_start.push(Hook(v.into())),
    ),
    text("hook-as-mule", "an action in each mule", |s, v| {
        s.hooks.as_mule.push(Hook(v.into()))
    })
    .later(),
    text("hook-as-gateway", "an action in each gateway", |s, v| {
        s.hooks.as_gateway.push(Hook(v.into()))
    }),
    parsed(
        "hook-touch",
        "an action when a file changes: FILE ACTION:ARGUMENT",
        |s, v| {
            let touch = file_and_action(v, "FILE ACTION:ARGUMENT")?;
            s.hooks.touch.push(touch);
            Ok(())
        },
    )
    .verbatim()
    .master(),
    text("exec-asap", "a command as soon as options are read", |s, v| {
        s.hooks.asap.push(Exec(v.into()))
    }),
    text("exec-pre-jail", "a command before the jail", |s, v| {
        s.hooks.pre_jail.push(Exec(v.into()))
    }),
    text("exec-in-jail", "a command in the jail", |s, v| {
        s.hooks.in_jail.push(Exec(v.into()))
    }),
    text("exec-post-jail", "a command after the jail", |s, v| {
        s.hooks.post_jail.push(Exec(v.into()))
    }),
    text("exec-as-root", "a command before privileges are dropped", |s, v| {
        s.hooks.as_root.push(Exec(v.into()))
    }),
    text("exec-as-user", "a command after privileges are dropped", |s, v| {
        s.hooks.as_user.push(Exec(v.into()))
    }),
    text("exec-as-user-atexit", "a command at exit and reload", |s, v| {
        s.hooks.as_user_atexit.push(Exec(v.into()))
    }),
    text("exec-pre-app", "a command before applications are loaded", |s, v| {
        s.hooks.pre_app.push(Exec(v.into()))
    }),
    text("exec-post-app", "a command after applications are loaded", |s, v| {
        s.hooks.post_app.push(Exec(v.into()))
    }),
    text("call-asap", "call a function as soon as options are read", |s, v| {
        s.hooks.asap.push(Call(v.into()))
    }),
    text("call-pre-jail", "call a function before the jail", |s, v| {
        s.hooks.pre_jail.push(Call(v.into()))
    }),
    text("call-in-jail", "call a function in the jail", |s, v| {
        s.hooks.in_jail.push(Call(v.into()))
    }),
    text("call-post-jail", "call a function after the jail", |s, v| {
        s.hooks.post_jail.push(Call(v.into()))
    }),
    text(
        "call-as-root",
        "call a function before privileges are dropped",
        |s, v| s.hooks.as_root.push(Call(v.into())),
    ),
    text(
        "call-as-user",
        "call a function after privileges are dropped",
        |s, v| s.hooks.as_user.push(Call(v.into())),
    ),
    text("call-as-user-atexit", "call a function at exit and reload", |s, v| {
        s.hooks.as_user_atexit.push(Call(v.into()))
    }),
    text(
        "call-pre-app",
        "call a function before applications are loaded",
        |s, v| s.hooks.pre_app.push(Call(v.into())),
    ),
    text(
        "call-post-app",
        "call a function after applications are loaded",
        |s, v| s.hooks.post_app.push(Call(v.into())),
    ),
    text("after-request-hook", "call a function after each request", |s, v| {
        s.hooks.after_request.push(Call(v.into()))
    })
    .aliases(&["after-request-call"]),
];
