//! Who the processes are and what they see.

use caps::Capability;
use nix::sched::CloneFlags;

/// `uid`, `gid`, `chroot` …
#[derive(Debug, Clone, Default)]
pub struct Privileges {
    /// Name or number.
    pub uid: Option<String>,
    /// Name or number.
    pub gid: Option<String>,
    /// Switch while the options are read.
    pub immediate_uid: Option<String>,
    /// Switch while the options are read.
    pub immediate_gid: Option<String>,
    /// More groups, names or numbers.
    pub add_gid: Vec<String>,
    /// No groups of the user's own.
    pub no_initgroups: bool,
    /// New root directory.
    pub chroot: Option<String>,
    /// New root directory by a change of mounts, and where the old one goes.
    pub pivot_root: Option<(String, String)>,
    /// Capabilities to keep, as named.
    pub cap: Vec<String>,
    /// Programs that are started gain nothing by their file.
    pub no_new_privs: bool,
    /// Drop after the applications are loaded.
    pub drop_after_apps: bool,
    /// The master stays root, workers drop.
    pub master_as_root: bool,
    /// Kinds of namespaces to make anew.
    pub unshare: Vec<String>,
    /// The same, once the root directory has changed.
    pub unshare2: Vec<String>,
    /// Files of namespaces to join.
    pub setns: Vec<String>,
    /// Control groups to enter.
    pub cgroup: Vec<String>,
    /// Files to write in them: (name, value).
    pub cgroup_opt: Vec<(String, String)>,
    /// Permission bits of their folders.
    pub cgroup_dir_mode: Option<u32>,
}

impl Privileges {
    /// Whether paths mean something else after the start than before.
    pub fn changes_root(&self) -> bool {
        self.chroot.is_some() || self.pivot_root.is_some() || !self.unshare.is_empty() || !self.setns.is_empty()
    }

    /// A capability by uWSGI's name for it: `net_bind_service`, `CAP_NET_RAW`.
    pub fn capability(name: &str) -> Option<Capability> {
        let name = name.trim().to_ascii_uppercase();
        format!("CAP_{}", name.strip_prefix("CAP_").unwrap_or(&name))
            .parse()
            .ok()
    }

    /// A kind of namespace as uWSGI spells it.
    pub fn namespace(name: &str) -> Option<CloneFlags> {
        Some(match name.trim() {
            "files" => CloneFlags::CLONE_FILES,
            "fs" => CloneFlags::CLONE_FS,
            "sysvsem" => CloneFlags::CLONE_SYSVSEM,
            "ipc" | "newipc" => CloneFlags::CLONE_NEWIPC,
            "uts" | "newuts" => CloneFlags::CLONE_NEWUTS,
            "net" | "newnet" => CloneFlags::CLONE_NEWNET,
            "ns" | "newns" | "mount" => CloneFlags::CLONE_NEWNS,
            "pid" | "newpid" => CloneFlags::CLONE_NEWPID,
            "user" | "newuser" => CloneFlags::CLONE_NEWUSER,
            "cgroup" | "newcgroup" => CloneFlags::CLONE_NEWCGROUP,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_have_uwsgis_names() {
        assert_eq!(Privileges::namespace("net"), Privileges::namespace("newnet"));
        assert_eq!(Privileges::namespace(" mount "), Some(CloneFlags::CLONE_NEWNS));
        assert_eq!(Privileges::namespace("moon"), None);
    }

    #[test]
    fn capabilities_have_uwsgis_names() {
        assert_eq!(
            Privileges::capability("net_bind_service"),
            Some(Capability::CAP_NET_BIND_SERVICE)
        );
        assert_eq!(Privileges::capability(" CAP_KILL"), Some(Capability::CAP_KILL));
        assert_eq!(Privileges::capability("fly"), None);
    }
}
