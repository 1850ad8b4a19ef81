//! Giving up root: chroot, groups, user. Before the workers' sockets are bound, as uWSGI does it.

use super::{StartupError, hooks};
use crate::say;
use crate::settings::Settings;
use nix::unistd::{Gid, Group, Uid, User, chroot, initgroups, setgid, setgroups, setuid};
use std::ffi::CString;

fn user(text: &str) -> Result<(Uid, Option<User>), StartupError> {
    if let Ok(number) = text.parse() {
        let uid = Uid::from_raw(number);
        return Ok((uid, User::from_uid(uid).ok().flatten()));
    }
    match User::from_name(text) {
        Ok(Some(user)) => Ok((user.uid, Some(user))),
        _ => Err(StartupError::new(format!("user {text} not found. (option uid)"))),
    }
}

fn group(text: &str) -> Result<Gid, StartupError> {
    if let Ok(number) = text.parse() {
        return Ok(Gid::from_raw(number));
    }
    match Group::from_name(text) {
        Ok(Some(group)) => Ok(group.gid),
        _ => Err(StartupError::new(format!("group {text} not found. (option gid)"))),
    }
}

/// `--immediate-uid` and `--immediate-gid`.
///
/// # Errors
/// Unknown names, or the system refuses.
pub fn immediate(settings: &Settings) -> Result<(), StartupError> {
    let p = &settings.privileges;
    if !Uid::effective().is_root() {
        return Ok(());
    }
    if let Some(name) = &p.immediate_gid {
        setgid(group(name)?)?;
    }
    if let Some(name) = &p.immediate_uid {
        setuid(user(name)?.0)?;
    }
    Ok(())
}

/// The jail and the user of the configuration.
///
/// # Errors
/// Unknown names, or the system refuses.
pub fn drop(settings: &Settings, trial: bool) -> Result<(), StartupError> {
    let p = &settings.privileges;
    if !trial {
        hooks::run(&settings.hooks.in_jail);
    }
    let is_root = Uid::effective().is_root();
    if let Some(root) = p.chroot.as_ref().filter(|_| is_root) {
        chroot(root.as_str())
            .map_err(|e| StartupError::new(format!("chroot(): {} ({root}; option chroot)", e.desc())))?;
        std::env::set_current_dir("/")?;
    }
    if !trial {
        hooks::run(&settings.hooks.as_root);
    }
    if is_root {
        if let Some(name) = &p.gid {
            let gid = group(name)?;
            say!("setgid() to {gid}");
            setgid(gid).map_err(|e| StartupError::new(format!("setgid(): {} (option gid)", e.desc())))?;
            let keeps = p.uid.is_some() && !p.no_initgroups;
            if !keeps {
                setgroups(&[])?;
            }
        }
        for name in &p.add_gid {
            let mut all = nix::unistd::getgroups()?;
            all.push(group(name)?);
            setgroups(&all)?;
        }
        if let Some(name) = &p.uid {
            let (uid, known) = user(name)?;
            if let (Some(user), Some(gid), false) = (&known, &p.gid, p.no_initgroups) {
                let mut all: Vec<Gid> = p.add_gid.iter().map(|g| group(g)).collect::<Result<_, _>>()?;
                let name = CString::new(user.name.as_str()).unwrap_or_default();
                initgroups(&name, group(gid)?)?;
                if !all.is_empty() {
                    all.extend(nix::unistd::getgroups()?);
                    setgroups(&all)?;
                }
            }
            say!("setuid() to {uid}");
            setuid(uid).map_err(|e| StartupError::new(format!("setuid(): {} (option uid)", e.desc())))?;
        }
        if p.uid.is_none() && !trial && !crate::process::reload::is_reload() && std::process::id() != 1 {
            say!("*** WARNING: you are running rsgi as root (use the --uid option) ***");
        }
    } else if (p.uid.is_some() || p.gid.is_some()) && !crate::process::reload::is_reload() {
        say!("options uid and gid have no effect: only root can change the user");
    }
    if !trial {
        hooks::run(&settings.hooks.as_user);
    }
    Ok(())
}
