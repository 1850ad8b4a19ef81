//! What the processes see of the machine: namespaces, control groups, another root directory. Entered while the
//! process is still root, before it becomes another user; a reload finds itself inside already.

use super::{StartupError, preflight};
use crate::process::reload;
use crate::say;
use crate::settings::{Privileges, Settings};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{chroot, pivot_root};
use std::fs::{DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::path::Path;

/// Namespaces of others, new ones, control groups.
///
/// # Errors
/// The system refuses, or a file of a control group is not there.
pub fn enter(settings: &Settings) -> Result<(), StartupError> {
    if reload::is_reload() {
        return Ok(());
    }
    let p = &settings.privileges;
    for path in &p.setns {
        join(path, &preflight::place(settings, "setns"))?;
    }
    split(&p.unshare, &preflight::place(settings, "unshare"))?;
    for group in &p.cgroup {
        control_group(group, settings)?;
    }
    Ok(())
}

/// `--pivot-root`, `--chroot`.
///
/// # Errors
/// The system refuses.
pub fn change_root(settings: &Settings) -> Result<(), StartupError> {
    let p = &settings.privileges;
    // the image before has done it, and the paths mean nothing here
    if reload::is_reload() {
        return Ok(());
    }
    if let Some((new, old)) = &p.pivot_root {
        let place = preflight::place(settings, "pivot-root");
        pivot_root(new.as_str(), old.as_str()).map_err(|e| {
            StartupError::new(format!(
                "pivot_root(): {} ({new} {old}; {place}): both must be mount points' folders in a mount namespace of our own (unshare = mount)",
                e.desc()
            ))
        })?;
        std::env::set_current_dir("/")?;
    }
    if let Some(root) = &p.chroot {
        let place = preflight::place(settings, "chroot");
        chroot(root.as_str()).map_err(|e| {
            StartupError::new(format!(
                "chroot(): {} ({root}; {place}): name an existing directory",
                e.desc()
            ))
        })?;
        std::env::set_current_dir("/")?;
    }
    Ok(())
}

/// `--unshare2`: new namespaces once the root directory has changed.
///
/// # Errors
/// The system refuses.
pub fn after_root(settings: &Settings) -> Result<(), StartupError> {
    match reload::is_reload() {
        true => Ok(()),
        false => split(&settings.privileges.unshare2, &preflight::place(settings, "unshare2")),
    }
}

fn split(kinds: &[String], place: &str) -> Result<(), StartupError> {
    let wanted: CloneFlags = kinds.iter().filter_map(|name| Privileges::namespace(name)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let names = kinds.join(", ");
    unshare(wanted).map_err(|e| {
        StartupError::new(format!(
            "unshare(): {} ({names}; {place}): new namespaces need root or CAP_SYS_ADMIN",
            e.desc()
        ))
    })?;
    say!("new namespaces: {names}");
    Ok(())
}

/// Joins the namespace of a file like /proc/PID/ns/net or /run/netns/NAME.
fn join(path: &str, place: &str) -> Result<(), StartupError> {
    let failed = |why: &str, fix: &str| StartupError::new(format!("setns {path}: {why} ({place}): {fix}"));
    if std::fs::metadata(path).is_ok_and(|meta| meta.file_type().is_socket()) {
        return Err(failed(
            "a socket",
            "rsgi joins namespaces by their file: /proc/PID/ns/net, /run/netns/NAME",
        ));
    }
    let file = File::open(path).map_err(|e| failed(&super::os_text(&e), "name the file of a namespace"))?;
    setns(file, CloneFlags::empty()).map_err(|e| failed(e.desc(), "it needs root and the file of a namespace"))
}

/// Puts this process, and so all that it starts, into a control group; its folder is made.
fn control_group(folder: &str, settings: &Settings) -> Result<(), StartupError> {
    let p = &settings.privileges;
    let place = preflight::place(settings, "cgroup");
    let failed = |what: &Path, e: &std::io::Error, fix: &str| {
        StartupError::new(format!(
            "cgroup {}: {} ({place}): {fix}",
            what.display(),
            super::os_text(e)
        ))
    };
    let folder = Path::new(folder);
    match DirBuilder::new()
        .mode(p.cgroup_dir_mode.unwrap_or(0o700))
        .create(folder)
    {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(e) => {
            return Err(failed(
                folder,
                &e,
                "name a folder below /sys/fs/cgroup that may be made",
            ));
        }
    }
    for (file, value) in &p.cgroup_opt {
        let file = folder.join(file);
        std::fs::write(&file, format!("{value}\n")).map_err(|e| {
            failed(
                &file,
                &e,
                "the controller may be missing in cgroup.subtree_control (cgroup-opt)",
            )
        })?;
    }
    // version 2, else version 1
    let list = match folder.join("cgroup.procs") {
        list if list.exists() => list,
        _ => folder.join("tasks"),
    };
    std::fs::write(&list, format!("{}\n", std::process::id()))
        .map_err(|e| failed(&list, &e, "name a control group that rsgi may enter"))?;
    say!("assigned process {} to cgroup {}", std::process::id(), folder.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_no_namespace() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let error = join(path.to_str().unwrap(), "a.ini:1, option setns")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("/run/netns/NAME") && error.contains("a.ini:1"),
            "{error}"
        );
        assert!(join("/no/such", "x").unwrap_err().to_string().contains("No such file"));
    }

    #[test]
    fn a_control_group_gets_its_values_and_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let group = dir.path().join("app");
        let mut settings = Settings::with_defaults(false);
        settings.privileges.cgroup_opt = vec![("memory.max".into(), "1M".into())];
        control_group(group.to_str().unwrap(), &settings).unwrap();
        assert_eq!(std::fs::read_to_string(group.join("memory.max")).unwrap(), "1M\n");
        let pid = std::fs::read_to_string(group.join("tasks")).unwrap();
        assert_eq!(pid.trim(), std::process::id().to_string());
        assert!(control_group("/no/such/group", &settings).is_err());
    }
}
