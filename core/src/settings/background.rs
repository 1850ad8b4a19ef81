//! What runs beside the workers: daemons, crons, mules, spoolers, timers.

/// `attach-daemon` and its kin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    /// The command, or the `key=value,…` text of the `…2` forms.
    pub command: String,
    /// Where its pid is found; `None`: it stays a child.
    pub pidfile: Option<String>,
    /// It goes to the background by itself (`smart-attach-daemon2`).
    pub daemonizes: bool,
    /// `command` is `key=value,…` (`attach-daemon2`).
    pub keyed: bool,
    /// It is stopped only when everything else has ended (`attach-control-daemon` stops the instance with it).
    pub controls: bool,
}

/// `cron = minute hour day month weekday command`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    /// Minute, hour, day, month, weekday; −1 any, −N every N.
    pub when: [i32; 5],
    /// For the shell.
    pub command: String,
    /// Never two at once.
    pub unique: bool,
    /// The `key=value,…` text of `cron2`, without its command.
    pub options: Option<String>,
}

/// One mule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mule {
    /// The script or hook it runs; `None`: it waits for messages and signals.
    pub script: Option<String>,
}

/// `attach-daemon`, `cron`, `mule`, `spooler`, `timer` …
#[derive(Debug, Clone, Default)]
pub struct Background {
    /// In order.
    pub daemons: Vec<Daemon>,
    /// In order.
    pub crons: Vec<Cron>,
    /// In order.
    pub mules: Vec<Mule>,
    /// `name:mule,mule`
    pub farms: Vec<String>,
    /// Bytes of a mule's queue; 0: the system's.
    pub mule_msg_size: u64,
    /// Directories.
    pub spoolers: Vec<String>,
    /// Processes of each spooler.
    pub spooler_processes: u32,
    /// Seconds between two scans.
    pub spooler_frequency: u64,
    /// Tasks after which a spooler is replaced.
    pub spooler_max_tasks: u64,
    /// In the order of their names.
    pub spooler_ordered: bool,
    /// Fewer lines.
    pub spooler_quiet: bool,
    /// Where tasks run.
    pub spooler_chdir: Option<String>,
    /// `signal seconds`
    pub timers: Vec<(u8, u64)>,
    /// `signal seconds`, counted by the master itself.
    pub rb_timers: Vec<(u8, u64)>,
    /// `fs-signal`: path and signal.
    pub file_monitors: Vec<(String, u8)>,
    /// Bytes of the signal socket; 0: the system's.
    pub signal_bufsize: u64,
}
