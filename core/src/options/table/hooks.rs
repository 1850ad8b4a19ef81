//! Actions of the phases.

use super::values::file_and_action;
use crate::options::spec::{Group, OptionSpec, parsed, text};
use crate::settings::Action::{Call, CallAbout, Exec, Hook};

pub static GROUP: Group = Group {
    title: "Hooks",
    rows: ROWS,
};

/// A row that appends an action to a phase.
macro_rules! action {
    ($name:literal, $phase:ident, $make:expr, $help:literal) => {
        text($name, $help, |s, v| s.hooks.$phase.push($make(v)))
    };
}

static ROWS: &[OptionSpec] = &[
    action!("hook-asap", asap, hook, "an action as soon as the options are read"),
    action!("hook-pre-jail", pre_jail, hook, "an action before the jail"),
    action!(
        "hook-post-jail",
        post_jail,
        hook,
        "an action right after a plugin made a jail, in it"
    ),
    action!("hook-in-jail", in_jail, hook, "an action in the jail"),
    action!("hook-as-root", as_root, hook, "an action before privileges are dropped"),
    action!("hook-as-user", as_user, hook, "an action after privileges are dropped"),
    action!(
        "hook-as-user-atexit",
        as_user_atexit,
        hook,
        "an action at exit and reload"
    ),
    action!(
        "hook-pre-app",
        pre_app,
        hook,
        "an action before applications are loaded"
    ),
    action!(
        "hook-post-app",
        post_app,
        hook,
        "an action after applications are loaded"
    ),
    action!("hook-post-fork", post_fork, hook, "an action after each fork"),
    action!("hook-accepting", accepting, hook, "an action when a worker accepts"),
    action!("hook-accepting1", accepting1, hook, "an action when worker 1 accepts"),
    action!(
        "hook-accepting-once",
        accepting_once,
        hook,
        "an action when a worker accepts for the first time"
    ),
    action!(
        "hook-accepting1-once",
        accepting1_once,
        hook,
        "an action when worker 1 accepts for the first time"
    ),
    action!(
        "hook-master-start",
        master_start,
        hook,
        "an action when the master's loop begins"
    ),
    action!("hook-as-gateway", as_gateway, hook, "an action in each gateway"),
    action!(
        "hook-as-vassal-before-drop",
        as_vassal_before_drop,
        hook,
        "an action in a vassal's process, before it changes its user"
    ),
    action!(
        "hook-as-emperor-before-vassal",
        as_emperor_before_vassal,
        hook,
        "an action in the emperor, before a vassal starts"
    ),
    action!(
        "hook-as-on-demand-vassal",
        as_on_demand_vassal,
        hook,
        "an action in the emperor, when it waits for a vassal's first connection"
    ),
    action!(
        "hook-emperor-start",
        emperor_start,
        hook,
        "an action of a vassal, when its master begins"
    ),
    action!(
        "hook-emperor-stop",
        emperor_stop,
        hook,
        "an action of a vassal, when the emperor stops it"
    ),
    action!(
        "hook-emperor-reload",
        emperor_reload,
        hook,
        "an action of a vassal, when the emperor reloads it"
    ),
    action!(
        "hook-emperor-lost",
        emperor_lost,
        hook,
        "an action of a vassal, when its emperor is gone"
    ),
    action!(
        "hook-as-vassal",
        as_vassal,
        hook,
        "an action in a vassal's process, before its exec"
    ),
    action!(
        "hook-as-emperor",
        as_emperor,
        hook,
        "an action in the emperor, after a vassal was started"
    ),
    action!("hook-as-mule", as_mule, hook, "an action in each mule"),
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
    action!("exec-asap", asap, exec, "a command as soon as the options are read"),
    action!("exec-pre-jail", pre_jail, exec, "a command before the jail"),
    action!(
        "exec-post-jail",
        post_jail,
        exec,
        "a command right after a plugin made a jail, in it"
    ),
    action!("exec-in-jail", in_jail, exec, "a command in the jail"),
    action!("exec-as-root", as_root, exec, "a command before privileges are dropped"),
    action!("exec-as-user", as_user, exec, "a command after privileges are dropped"),
    action!(
        "exec-as-user-atexit",
        as_user_atexit,
        exec,
        "a command at exit and reload"
    ),
    action!(
        "exec-pre-app",
        pre_app,
        exec,
        "a command before applications are loaded"
    ),
    action!(
        "exec-post-app",
        post_app,
        exec,
        "a command after applications are loaded"
    ),
    action!(
        "exec-as-vassal",
        as_vassal,
        exec,
        "a command in a vassal's process, before its exec"
    ),
    action!(
        "exec-as-emperor",
        as_emperor,
        exec,
        "a command in the emperor, after a vassal was started"
    ),
    action!(
        "call-asap",
        asap,
        call,
        "call a function as soon as the options are read"
    ),
    action!("call-pre-jail", pre_jail, call, "call a function before the jail"),
    action!(
        "call-post-jail",
        post_jail,
        call,
        "call a function right after a plugin made a jail, in it"
    ),
    action!("call-in-jail", in_jail, call, "call a function in the jail"),
    action!(
        "call-as-root",
        as_root,
        call,
        "call a function before privileges are dropped"
    ),
    action!(
        "call-as-user",
        as_user,
        call,
        "call a function after privileges are dropped"
    ),
    action!(
        "call-as-user-atexit",
        as_user_atexit,
        call,
        "call a function at exit and reload"
    ),
    action!(
        "call-pre-app",
        pre_app,
        call,
        "call a function before applications are loaded"
    ),
    action!(
        "call-post-app",
        post_app,
        call,
        "call a function after applications are loaded"
    ),
    action!(
        "call-as-vassal",
        as_vassal,
        |v: &str| CallAbout(0, v.into()),
        "call f() in a vassal's process, before its exec"
    ),
    action!(
        "call-as-vassal1",
        as_vassal,
        |v: &str| CallAbout(1, v.into()),
        "call f(name) in a vassal's process, before its exec"
    ),
    action!(
        "call-as-vassal3",
        as_vassal,
        |v: &str| CallAbout(3, v.into()),
        "call f(name, uid, gid) in a vassal's process, before its exec"
    ),
    action!(
        "call-as-emperor",
        as_emperor,
        |v: &str| CallAbout(0, v.into()),
        "call f() in the emperor, after a vassal was started"
    ),
    action!(
        "call-as-emperor1",
        as_emperor,
        |v: &str| CallAbout(1, v.into()),
        "call f(name) in the emperor, after a vassal was started"
    ),
    action!(
        "call-as-emperor2",
        as_emperor,
        |v: &str| CallAbout(2, v.into()),
        "call f(name, pid) in the emperor, after a vassal was started"
    ),
    action!(
        "call-as-emperor4",
        as_emperor,
        |v: &str| CallAbout(4, v.into()),
        "call f(name, pid, uid, gid) in the emperor, after a vassal was started"
    ),
    action!(
        "mount-asap",
        asap,
        mount,
        "mount TYPE WHAT WHERE [FLAGS] as soon as the options are read"
    ),
    action!(
        "mount-pre-jail",
        pre_jail,
        mount,
        "mount TYPE WHAT WHERE [FLAGS] before the jail"
    ),
    action!(
        "mount-post-jail",
        post_jail,
        mount,
        "mount TYPE WHAT WHERE [FLAGS] right after a plugin made a jail, in it"
    ),
    action!(
        "mount-in-jail",
        in_jail,
        mount,
        "mount TYPE WHAT WHERE [FLAGS] in the jail"
    ),
    action!(
        "mount-as-root",
        as_root,
        mount,
        "mount TYPE WHAT WHERE [FLAGS] before privileges are dropped"
    ),
    action!(
        "mount-as-vassal",
        as_vassal,
        mount,
        "mount TYPE WHAT WHERE [FLAGS] in a vassal's process, before its exec"
    ),
    action!(
        "mount-as-emperor",
        as_emperor,
        mount,
        "mount TYPE WHAT WHERE [FLAGS] in the emperor, after a vassal was started"
    ),
    action!(
        "umount-asap",
        asap,
        umount,
        "unmount WHERE [FLAGS] as soon as the options are read"
    ),
    action!(
        "umount-pre-jail",
        pre_jail,
        umount,
        "unmount WHERE [FLAGS] before the jail"
    ),
    action!(
        "umount-post-jail",
        post_jail,
        umount,
        "unmount WHERE [FLAGS] right after a plugin made a jail, in it"
    ),
    action!("umount-in-jail", in_jail, umount, "unmount WHERE [FLAGS] in the jail"),
    action!(
        "umount-as-root",
        as_root,
        umount,
        "unmount WHERE [FLAGS] before privileges are dropped"
    ),
    action!(
        "umount-as-vassal",
        as_vassal,
        umount,
        "unmount WHERE [FLAGS] in a vassal's process, before its exec"
    ),
    action!(
        "umount-as-emperor",
        as_emperor,
        umount,
        "unmount WHERE [FLAGS] in the emperor, after a vassal was started"
    ),
    action!(
        "after-request-hook",
        after_request,
        call,
        "call a function after each request"
    )
    .aliases(&["after-request-call"]),
];

fn hook(text: &str) -> crate::settings::Action {
    Hook(text.into())
}

fn exec(command: &str) -> crate::settings::Action {
    Exec(command.into())
}

fn call(function: &str) -> crate::settings::Action {
    Call(function.into())
}

fn mount(text: &str) -> crate::settings::Action {
    Hook(format!("mount:{text}"))
}

fn umount(text: &str) -> crate::settings::Action {
    Hook(format!("umount:{text}"))
}
