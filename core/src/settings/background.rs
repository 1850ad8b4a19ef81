//! What runs beside the workers: daemons, crons, mules, spoolers, timers.

use crate::signal::receiver::Shape;

/// `attach-daemon` and its kin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Daemon {
    /// For the shell.
    pub command: String,
    /// Where its pid is found: it lives on when the server ends. `None`: it is a child and ends with it.
    pub pidfile: Option<String>,
    /// Seconds between two starts of one whose pidfile names no process.
    pub freq: u64,
    /// The server puts it into the background and writes its pidfile.
    pub daemonize: bool,
    /// The instance ends with it (`attach-control-daemon`).
    pub controls: bool,
    /// Files whose touch starts it anew.
    pub touch: Vec<String>,
    /// What ends it.
    pub stop_signal: i32,
    /// What ends it at a reload; `None`: the same.
    pub reload_signal: Option<i32>,
    /// It gets the standard input of the server.
    pub stdin: bool,
    /// User, name or number.
    pub uid: Option<String>,
    /// Group, name or number.
    pub gid: Option<String>,
    /// In a pid namespace of its own.
    pub new_pids: bool,
    /// Where it runs.
    pub chdir: Option<String>,
    /// Seconds of the longest pause before it is started again.
    pub max_throttle: u64,
    /// It is told of reload and end although it lives on.
    pub notify: bool,
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
    /// Seconds that it may run; `None`: `cron-harakiri`.
    pub harakiri: Option<u64>,
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
    /// Attached daemons get the standard input of the server.
    pub daemons_honour_stdin: bool,
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
    /// Directories whose tasks another instance runs.
    pub external_spoolers: Vec<String>,
    /// Processes of each spooler.
    pub spooler_processes: u32,
    /// Seconds between two scans.
    pub spooler_frequency: u64,
    /// Tasks after which a spooler is replaced.
    pub spooler_max_tasks: u64,
    /// Processes only while there is something to do.
    pub spooler_cheap: bool,
    /// A signal that a spooler handles counts as a task.
    pub spooler_signal_as_task: bool,
    /// In the order of their names.
    pub spooler_ordered: bool,
    /// Fewer lines.
    pub spooler_quiet: bool,
    /// A task survives a power cut as soon as it is accepted.
    pub spooler_fsync: bool,
    /// Where tasks run.
    pub spooler_chdir: Option<String>,
    /// `signal seconds`
    pub timers: Vec<(u8, u64)>,
    /// `signal seconds`, counted by the master itself.
    pub rb_timers: Vec<(u8, u64)>,
    /// `fs-signal`: path and signal.
    pub file_monitors: Vec<(String, u8)>,
    /// Pending signals that a queue holds; the usual number is the least.
    pub signal_bufsize: u64,
    /// Signals that are raised once for each receiver while they wait there.
    pub coalesced: Vec<u8>,
}

impl Background {
    /// Who there is to receive uWSGI signals, beside so many workers with so many cores each.
    pub fn receivers(&self, workers: usize, cores: usize) -> Shape {
        let name = |farm: &String| farm.split(':').next().unwrap_or_default().to_owned();
        Shape {
            workers,
            mule_count: self.mules.len(),
            farm_names: self.farms.iter().map(name).collect(),
            has_spooler: !self.spoolers.is_empty(),
            takers: workers * cores + self.mules.len() + self.spoolers.len() * self.spooler_processes.max(1) as usize,
        }
    }
}
