//! The supervision of other instances (vassals), one per configuration file.

/// `emperor`, `emperor-freq`, `vassals-set`, `heartbeat` …
#[derive(Debug, Clone, Default, Hash)]
pub struct Emperor {
    /// Folders, patterns and files that name the vassals.
    pub sources: Vec<String>,
    /// Seconds between two looks; events of the system come in addition.
    pub scan_every: u64,
    /// The time of a link's own change counts.
    pub no_follow: bool,
    /// `file` + this ending holds the address of the socket that starts the vassal.
    pub on_demand_extension: Option<String>,
    /// A vassal's socket is made in this folder.
    pub on_demand_directory: Option<String>,
    /// A program that prints the address of a vassal's socket.
    pub on_demand_exec: Option<String>,
    /// Further endings of vassals' files.
    pub extra_extensions: Vec<String>,
    /// Executable files print their configuration.
    pub magic_exec: bool,
    /// Where the emperor writes its pid.
    pub pidfile: Option<String>,
    /// Address of the emperor's statistics.
    pub stats_address: Option<String>,
    /// Title of the emperor's process.
    pub process_name: Option<String>,
    /// Vassals run as the owner of their file.
    pub tyrant: bool,
    /// The owner of a link counts, not that of its target.
    pub tyrant_no_follow: bool,
    /// The supplementary groups of the owner too.
    pub tyrant_initgroups: bool,
    /// Milliseconds by which the pause before the next try grows.
    pub throttle: u64,
    /// Milliseconds of the longest pause.
    pub max_throttle: u64,
    /// Pauses do not grow.
    pub no_blacklist: bool,
    /// Seconds without a sign of life that are tolerated.
    pub required_heartbeat: u64,
    /// Seconds that a vassal gets to end.
    pub curse_tolerance: u64,
    /// Programs that start a vassal instead of this one; tried before it.
    pub wrappers: Vec<String>,
    /// The same, tried after it.
    pub wrapper_fallbacks: Vec<String>,
    /// `set` for every vassal.
    pub set: Vec<String>,
    /// `inherit` for every vassal.
    pub inherit: Vec<String>,
    /// The same, read before the vassal's file.
    pub inherit_before: Vec<String>,
    /// `include` for every vassal.
    pub include: Vec<String>,
    /// The same, read before the vassal's file.
    pub include_before: Vec<String>,
    /// Runs before a vassal starts, with its name.
    pub start_hook: Option<String>,
    /// Runs after a vassal is gone, with its name.
    pub stop_hook: Option<String>,
    /// Print the kinds of sources.
    pub list_monitors: bool,
    /// As a vassal: seconds between two signs of life.
    pub heartbeat: u64,
}

impl Emperor {
    pub(super) fn apply_defaults(&mut self) {
        self.scan_every = 3;
        self.throttle = 1000;
        self.max_throttle = 180_000;
        self.required_heartbeat = 30;
        self.curse_tolerance = 30;
    }
}
