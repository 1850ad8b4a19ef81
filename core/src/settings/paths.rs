//! Directories, pidfiles, environment variables, and what the start waits for.

/// `env`, `unenv`, `envdir` in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvironmentChange {
    /// `NAME=value`; without `=` the value is empty.
    Set(String, String),
    /// Remove.
    Unset(String),
    /// A directory with one file per variable.
    Directory(String),
}

/// What must be there before the start goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitKind {
    /// Any path.
    Path,
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A socket that accepts.
    Socket,
    /// A directory with something mounted on it.
    Mountpoint,
    /// A network interface.
    Interface,
}

/// `wait-for-fs` …
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitFor {
    /// What it must be.
    pub kind: WaitKind,
    /// The path or address.
    pub name: String,
}

/// `chdir`, `pidfile`, `env` …
#[derive(Debug, Clone, Default)]
pub struct Paths {
    /// Before the application is loaded.
    pub chdir: Option<String>,
    /// After it is loaded.
    pub chdir2: Option<String>,
    /// Stay in this directory whatever else asks.
    pub force_cwd: Option<String>,
    /// Written before privileges are dropped.
    pub pidfile: Option<String>,
    /// Written after they are dropped.
    pub pidfile2: Option<String>,
    /// As `pidfile`, only when the workers are there.
    pub safe_pidfile: Option<String>,
    /// As `pidfile2`, only when the workers are there.
    pub safe_pidfile2: Option<String>,
    /// Remove sockets and pidfiles at the end.
    pub vacuum: bool,
    /// Changes of the environment in their order.
    pub environment: Vec<EnvironmentChange>,
    /// Named pipes that take commands.
    pub master_fifo: Vec<String>,
    /// Datagram socket that takes notifications.
    pub notify_socket: Option<String>,
    /// The file to execute at a reload.
    pub binary_path: Option<String>,
    /// Conditions of the start.
    pub wait_for: Vec<WaitFor>,
    /// Seconds to wait for each; 0: for ever.
    pub wait_for_timeout: u64,
    /// The configuration that takes over after exit code 1.
    pub fallback_config: Option<String>,
    /// Files to lock; a lock that another process has ends the start.
    pub flock: Vec<String>,
    /// Files to lock; a lock that another process has is waited for.
    pub flock_wait: Vec<String>,
    /// The shell of `exec-…` commands.
    pub binsh: Vec<String>,
}

impl Paths {
    pub(super) fn apply_defaults(&mut self, classic: bool) {
        self.vacuum = !classic;
        self.wait_for_timeout = 60;
    }
}
