//! User, group, chroot, capabilities.

use crate::options::spec::{Group, OptionSpec, flag, path, text};

pub static GROUP: Group = Group {
    title: "User and isolation",
    rows: ROWS,
};

static ROWS: &[OptionSpec] = &[
    path("uid", "the user to become: name or number", |s, v| {
        s.privileges.uid = Some(v.into())
    }),
    path("gid", "the group to become: name or number", |s, v| {
        s.privileges.gid = Some(v.into())
    }),
    path("add-gid", "another group to belong to", |s, v| {
        s.privileges.add_gid.push(v.into())
    }),
    path("immediate-uid", "become this user while options are read", |s, v| {
        s.privileges.immediate_uid = Some(v.into())
    }),
    path("immediate-gid", "become this group while options are read", |s, v| {
        s.privileges.immediate_gid = Some(v.into())
    }),
    flag("no-initgroups", "without the user's other groups", |s, on| {
        s.privileges.no_initgroups = on
    }),
    path("chroot", "change the root directory", |s, v| {
        s.privileges.chroot = Some(v.into())
    }),
    text("cap", "capabilities to keep, with commas", |s, v| {
        s.privileges.cap.extend(v.split(',').map(|c| c.trim().to_owned()))
    })
    .later(),
    flag(
        "drop-after-init",
        "drop privileges after plugins are initialised",
        |s, on| s.privileges.drop_after_init = on,
    ),
    flag(
        "drop-after-apps",
        "drop privileges after applications are loaded",
        |s, on| s.privileges.drop_after_apps = on,
    ),
    flag("master-as-root", "the master keeps its privileges", |s, on| {
        s.privileges.master_as_root = on
    }),
];
