//! User, group, chroot, capabilities.

use crate::options::parse;
use crate::options::spec::ArgKind::No;
use crate::options::spec::{Group, OptionSpec, flag, no_effect, parsed, path};
use crate::settings::Privileges;

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
    parsed(
        "cap",
        "capabilities to keep after the change of the user, with commas",
        |s, v| {
            for name in v.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                if Privileges::capability(name).is_none() {
                    return Err(format!(
                        "unknown capability \"{name}\": give names like net_bind_service (capabilities(7))"
                    ));
                }
                s.privileges.cap.push(name.to_owned());
            }
            Ok(())
        },
    ),
    flag(
        "no-new-privs",
        "programs gain no privileges by their file (set-uid, capabilities)",
        |s, on| s.privileges.no_new_privs = on,
    ),
    no_effect(
        "drop-after-init",
        No,
        "nothing to do: privileges are always dropped after plugins are initialised",
    ),
    flag(
        "drop-after-apps",
        "drop privileges after applications are loaded",
        |s, on| s.privileges.drop_after_apps = on,
    ),
    flag(
        "master-as-root",
        "the master keeps its privileges, its children drop them",
        |s, on| s.privileges.master_as_root = on,
    ),
    parsed(
        "unshare",
        "new namespaces: ipc, uts, net, mount, pid, user, cgroup, fs, files, with commas",
        |s, v| kinds(v).map(|kinds| s.privileges.unshare.extend(kinds)),
    ),
    parsed(
        "unshare2",
        "new namespaces once the root directory has changed",
        |s, v| kinds(v).map(|kinds| s.privileges.unshare2.extend(kinds)),
    ),
    path(
        "setns",
        "join the namespace of a file: /proc/PID/ns/net, /run/netns/NAME",
        |s, v| s.privileges.setns.push(v.into()),
    ),
    path("cgroup", "enter this control group; its folder is made", |s, v| {
        s.privileges.cgroup.push(v.into())
    }),
    parsed(
        "cgroup-opt",
        "write a value to a file of the control groups: FILE=VALUE",
        |s, v| {
            let (file, value) = v
                .split_once('=')
                .ok_or_else(|| format!("invalid value \"{v}\": give FILE=VALUE"))?;
            s.privileges
                .cgroup_opt
                .push((file.trim().to_owned(), value.trim().to_owned()));
            Ok(())
        },
    ),
    parsed(
        "cgroup-dir-mode",
        "permission bits of the control group's folder, octal",
        |s, v| {
            s.privileges.cgroup_dir_mode = Some(parse::mode(v)?);
            Ok(())
        },
    ),
    parsed(
        "pivot-root",
        "change the root directory by its mounts: NEW OLD",
        |s, v| {
            let (new, old) = v
                .trim()
                .split_once(char::is_whitespace)
                .ok_or_else(|| format!("invalid value \"{v}\": give NEW OLD, two directories"))?;
            s.privileges.pivot_root = Some((new.to_owned(), old.trim().to_owned()));
            Ok(())
        },
    )
    .aliases(&["pivot_root"]),
];

/// Kinds of namespaces with commas.
fn kinds(value: &str) -> Result<Vec<String>, String> {
    let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
    names
        .map(|name| match Privileges::namespace(name) {
            Some(_) => Ok(name.to_owned()),
            None => Err(format!(
                "unknown kind of namespace \"{name}\": give ipc, uts, net, mount, pid, user, cgroup, fs or files"
            )),
        })
        .collect()
}
