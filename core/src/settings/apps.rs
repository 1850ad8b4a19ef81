//! Applications and how they are found.

/// `mount = /prefix=app`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Starts with a slash; empty: the whole.
    pub prefix: String,
    /// A module, a file … as the language plugin understands it.
    pub app: String,
    /// Only in this worker (`worker-mount`).
    pub worker: Option<u32>,
}

/// `need-app`, `mount`, `lazy-apps` …
#[derive(Debug, Clone, Default)]
pub struct Apps {
    /// End when no application loads; `None`: when one was named.
    pub need_app: Option<bool>,
    /// Load in each worker instead of once before the fork.
    pub lazy_apps: bool,
    /// One interpreter for all applications.
    pub single_interpreter: bool,
    /// Applications by prefix, in order.
    pub mounts: Vec<Mount>,
    /// Split SCRIPT_NAME for mounted applications.
    pub manage_script_name: bool,
    /// Drop an incoming SCRIPT_NAME.
    pub ignore_script_name: bool,
    /// A prefix without an application is a 404, not the first application.
    pub no_default_app: bool,
    /// Request variables may name applications and directories.
    pub dynamic_apps: bool,
    /// The application is chosen by SERVER_NAME.
    pub vhost: bool,
    /// Most applications of one worker.
    pub max_apps: u32,
    /// A word of the user's own (`uwsgi.mode`).
    pub mode: Option<String>,
    /// Exceptions are shown by these handlers.
    pub exception_handlers: Vec<String>,
}

impl Apps {
    pub(super) fn apply_defaults(&mut self, classic: bool) {
        self.need_app = classic.then_some(false);
        self.single_interpreter = !classic;
        self.dynamic_apps = classic;
        self.max_apps = 64;
    }
}
