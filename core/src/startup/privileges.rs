//! Giving up root: groups, user, capabilities. Names are looked up before the root directory changes; the workers'
//! sockets are bound afterwards, as uWSGI does it. Runs in the first process, and with `master-as-root` in each child.

use super::{StartupError, hooks, isolation, preflight};
use crate::say;
use crate::settings::{Privileges, Settings};
use caps::{CapSet, Capability, CapsHashSet};
use nix::unistd::{Gid, Group, Uid, User, getgrouplist, setgid, setgroups, setuid};
use std::ffi::CString;

/// Who the processes will be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Identity {
    uid: Option<Uid>,
    gid: Option<Gid>,
    /// All supplementary groups; `None`: they stay.
    groups: Option<Vec<Gid>>,
}

impl Identity {
    fn of(settings: &Settings) -> Result<Self, StartupError> {
        let p = &settings.privileges;
        let place = |option: &str| preflight::place(settings, option);
        let user = p.uid.as_ref().map(|name| user(name, &place("uid"))).transpose()?;
        let gid = p.gid.as_ref().map(|name| group(name, &place("gid"))).transpose()?;
        let more: Vec<Gid> = p
            .add_gid
            .iter()
            .map(|name| group(name, &place("add-gid")))
            .collect::<Result<_, _>>()?;
        let own = match &user {
            Some((_, Some(user))) if !p.no_initgroups => {
                let name = CString::new(user.name.as_str()).unwrap_or_default();
                getgrouplist(&name, gid.unwrap_or(Gid::effective())).ok()
            }
            _ => None,
        };
        let groups = match own {
            Some(groups) => Some(groups),
            // another group and none of root's
            None if gid.is_some() => Some(Vec::new()),
            None if !more.is_empty() => Some(nix::unistd::getgroups()?),
            None => None,
        };
        let groups = groups.map(|mut all| {
            for gid in more {
                if !all.contains(&gid) {
                    all.push(gid);
                }
            }
            all
        });
        Ok(Self {
            uid: user.map(|(uid, _)| uid),
            gid,
            groups,
        })
    }
}

fn user(text: &str, place: &str) -> Result<(Uid, Option<User>), StartupError> {
    if let Ok(number) = text.parse() {
        let uid = Uid::from_raw(number);
        return Ok((uid, User::from_uid(uid).ok().flatten()));
    }
    match User::from_name(text) {
        Ok(Some(user)) => Ok((user.uid, Some(user))),
        _ => Err(StartupError::new(format!("user {text} not found. ({place})"))),
    }
}

fn group(text: &str, place: &str) -> Result<Gid, StartupError> {
    if let Ok(number) = text.parse() {
        return Ok(Gid::from_raw(number));
    }
    match Group::from_name(text) {
        Ok(Some(group)) => Ok(group.gid),
        _ => Err(StartupError::new(format!("group {text} not found. ({place})"))),
    }
}

/// The numbers of the user and group that the server becomes, as far as they are configured.
///
/// # Errors
/// There is no such user or group.
pub fn future_owner(settings: &Settings) -> Result<(Option<u32>, Option<u32>), StartupError> {
    let identity = Identity::of(settings)?;
    Ok((identity.uid.map(Uid::as_raw), identity.gid.map(Gid::as_raw)))
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
        let gid = group(name, &preflight::place(settings, "immediate-gid"))?;
        setgroups(&[gid])?;
        setgid(gid)?;
    }
    if let Some(name) = &p.immediate_uid {
        setuid(user(name, &preflight::place(settings, "immediate-uid"))?.0)?;
    }
    Ok(())
}

/// The jail and the user of the configuration.
///
/// # Errors
/// Unknown names, or the system refuses.
pub fn drop(settings: &Settings, trial: bool) -> Result<(), StartupError> {
    let p = &settings.privileges;
    let is_root = Uid::effective().is_root();
    // before the root directory changes: the jail may know no users
    let identity = Identity::of(settings)?;
    if !trial {
        isolation::enter(settings)?;
        hooks::run(&settings.hooks.in_jail);
    }
    if is_root {
        isolation::change_root(settings)?;
    }
    if !trial {
        isolation::after_root(settings)?;
        hooks::run(&settings.hooks.as_root);
    }
    if is_root && p.master_as_root && !trial {
        say!("the master stays root; its children become the user of the configuration (master-as-root)");
    } else if is_root {
        become_user(&identity, p)?;
        if p.uid.is_none() && !trial && !crate::process::reload::is_reload() && std::process::id() != 1 {
            say!("*** WARNING: you are running rsgi as root (use the --uid option) ***");
        }
    } else if !crate::process::reload::is_reload() {
        say_without_effect(settings, &identity);
    }
    if p.no_new_privs {
        nix::sys::prctl::set_no_new_privs()
            .map_err(|e| StartupError::new(format!("no-new-privs: prctl(): {}", e.desc())))?;
    }
    if !trial {
        hooks::run(&settings.hooks.as_user);
    }
    Ok(())
}

/// A child of a master that stays root becomes the user of the configuration; others are that already.
///
/// # Errors
/// As for [`drop`].
pub fn drop_in_child(settings: &Settings) -> Result<(), StartupError> {
    let p = &settings.privileges;
    if !p.master_as_root || !Uid::effective().is_root() {
        return Ok(());
    }
    become_user(&Identity::of(settings)?, p)
}

/// Options that only root can obey, given by somebody who is not.
fn say_without_effect(settings: &Settings, identity: &Identity) {
    let p = &settings.privileges;
    let is_other = identity.uid.is_some_and(|uid| uid != Uid::effective())
        || identity.gid.is_some_and(|gid| gid != Gid::effective());
    if is_other {
        say!("options uid and gid have no effect: only root can change the user");
    }
    if !p.cap.is_empty() {
        let place = preflight::place(settings, "cap");
        say!("{place}: no effect: only root can keep capabilities");
    }
}

/// Groups, user, capabilities, in the only order that works.
fn become_user(identity: &Identity, p: &Privileges) -> Result<(), StartupError> {
    let failed = |call: &str, e: nix::Error, option: &str| {
        StartupError::new(format!("{call}(): {} (option {option})", e.desc()))
    };
    if let Some(groups) = &identity.groups {
        setgroups(groups).map_err(|e| failed("setgroups", e, "gid, add-gid"))?;
    }
    if let Some(gid) = identity.gid {
        say!("setgid() to {gid}");
        setgid(gid).map_err(|e| failed("setgid", e, "gid"))?;
    }
    let keep: CapsHashSet = p.cap.iter().filter_map(|name| Privileges::capability(name)).collect();
    if let Some(uid) = identity.uid {
        if !keep.is_empty() {
            capability(caps::securebits::set_keepcaps(true))?;
        }
        say!("setuid() to {uid}");
        setuid(uid).map_err(|e| failed("setuid", e, "uid"))?;
        if identity.gid.is_none() && Gid::effective().as_raw() == 0 {
            say!("the group is still root's (0): add the option gid");
        }
    }
    match keep.is_empty() {
        true => Ok(()),
        false => keep_capabilities(&keep),
    }
}

/// Exactly these, also over the exec of a reload (ambient).
fn keep_capabilities(keep: &CapsHashSet) -> Result<(), StartupError> {
    // what is effective must be permitted: down first, up last
    capability(caps::set(None, CapSet::Effective, &CapsHashSet::new()))?;
    for set in [
        CapSet::Permitted,
        CapSet::Inheritable,
        CapSet::Ambient,
        CapSet::Effective,
    ] {
        capability(caps::set(None, set, keep))?;
    }
    let mut names: Vec<String> = keep.iter().map(|c| short_name(*c)).collect();
    names.sort();
    say!("capabilities kept: {}", names.join(", "));
    Ok(())
}

fn capability<T>(done: Result<T, caps::errors::CapsError>) -> Result<T, StartupError> {
    done.map_err(|e| StartupError::new(format!("cap: {e} (option cap)")))
}

/// `CAP_NET_RAW` → `net_raw`
fn short_name(capability: Capability) -> String {
    capability.to_string().trim_start_matches("CAP_").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(change: impl Fn(&mut Privileges)) -> Settings {
        let mut settings = Settings::with_defaults(false);
        change(&mut settings.privileges);
        settings
    }

    #[test]
    fn names_and_numbers_are_resolved_once() {
        let identity = Identity::of(&settings(|p| {
            p.uid = Some("root".into());
            p.gid = Some("65534".into());
            p.add_gid = vec!["7".into(), "7".into(), "root".into()];
        }))
        .unwrap();
        assert_eq!(
            (identity.uid, identity.gid),
            (Some(Uid::from_raw(0)), Some(Gid::from_raw(65534)))
        );
        let groups = identity.groups.unwrap();
        for wanted in [7, 0, 65534] {
            let count = groups.iter().filter(|gid| gid.as_raw() == wanted).count();
            assert_eq!(count, 1, "{wanted} in {groups:?}");
        }
    }

    #[test]
    fn a_group_alone_leaves_no_group_of_root() {
        let identity = Identity::of(&settings(|p| p.gid = Some("65534".into()))).unwrap();
        assert_eq!(identity.groups, Some(Vec::new()));
        let identity = Identity::of(&settings(|_| {})).unwrap();
        assert_eq!(identity, Identity::default());
    }

    #[test]
    fn unknown_names_are_errors() {
        let error = Identity::of(&settings(|p| p.uid = Some("no-such-user".into()))).unwrap_err();
        assert!(error.to_string().starts_with("user no-such-user not found."));
        assert!(Identity::of(&settings(|p| p.add_gid = vec!["no-such-group".into()])).is_err());
    }
}
