//! Who the processes are and what they see.

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
    /// Capabilities to keep, as named.
    pub cap: Vec<String>,
    /// Drop after the plugins are initialised.
    pub drop_after_init: bool,
    /// Drop after the applications are loaded.
    pub drop_after_apps: bool,
    /// The master stays root, workers drop.
    pub master_as_root: bool,
}

impl Privileges {
    /// Whether paths mean something else after the start than before.
    pub fn changes_root(&self) -> bool {
        self.chroot.is_some()
    }
}
