//! Master, workers and threads.

/// `master`, `processes`, `threads` …
#[derive(Debug, Clone, Default)]
pub struct Processes {
    /// Run the supervising process.
    pub master: bool,
    /// Number of workers; `cheaper` starts fewer.
    pub workers: u32,
    /// Request threads of each worker.
    pub threads: u32,
    /// Cores of the async mode of each worker; 0: off.
    pub async_cores: u32,
    /// The loop engine of the workers.
    pub loop_engine: Option<String>,
    /// Let the language create threads of its own.
    pub enable_threads: bool,
    /// Bytes; 0: the system's.
    pub thread_stack_size: usize,
    /// User locks beyond the first (`uwsgi.lock(n)`).
    pub locks: u32,
    /// Remote procedures that a process may register.
    pub rpc_max: u32,
    /// Workers end when their master is gone.
    pub no_orphans: bool,
    /// Load and end: no sockets are served.
    pub no_server: bool,
    /// CPUs given to each worker; 0: no affinity.
    pub cpu_affinity: u32,
    /// Nice level.
    pub prio: Option<i32>,
    /// Seconds to sleep when workers die too fast.
    pub forkbomb_delay: u32,
    /// Collect zombies after each request.
    pub reaper: bool,
    /// Skip exit handlers of the language.
    pub skip_atexit: bool,
    /// Skip the teardown of the interpreter.
    pub skip_atexit_teardown: bool,
    /// Titles of the processes.
    pub names: ProcessNames,
    /// Commands that take the place of the first workers.
    pub worker_exec: Vec<String>,
    /// As `worker_exec`, after `post_fork`.
    pub worker_exec2: Vec<String>,
    /// The fewest workers of the adaptive mode; 0: all always run.
    pub cheaper: u32,
    /// Workers at the start of the adaptive mode.
    pub cheaper_initial: u32,
    /// Workers added at once.
    pub cheaper_step: u32,
    /// Rounds without an idle worker before one is added.
    pub cheaper_overload: u32,
    /// Seconds with more idle workers than needed before one is stopped (`spare2`).
    pub cheaper_idle: u32,
    /// `cheaper-busyness-*`
    pub busyness: Busyness,
    /// `spare`, `spare2`, `backlog`, `busyness`.
    pub cheaper_algo: String,
    /// A source of time that a plugin brings.
    pub clock: Option<String>,
    /// Bytes of all workers together beyond which no worker is added.
    pub cheaper_rss_limit_soft: u64,
    /// Bytes of all workers together beyond which workers are stopped.
    pub cheaper_rss_limit_hard: u64,
    /// Start without workers, spawn them at the first connection.
    pub cheap: bool,
    /// Seconds without a request before all workers are stopped.
    pub idle: u32,
    /// End instead of going cheap after `idle`.
    pub die_on_idle: bool,
}

/// `cheaper-busyness-*`: when the share of time spent in requests calls for more workers, or less.
#[derive(Debug, Clone, Default)]
pub struct Busyness {
    /// Percent below which a worker may be stopped.
    pub min: u32,
    /// Percent above which workers are added.
    pub max: u32,
    /// Windows below the minimum that it takes to stop one.
    pub multiplier: u32,
    /// Windows added to that when one was stopped too early.
    pub penalty: u32,
    /// Say what is seen.
    pub verbose: bool,
    /// More connections than this waiting add workers at once; 0: off.
    pub backlog_alert: u32,
    /// Windows below the minimum that it takes to stop such a worker.
    pub backlog_multiplier: u32,
    /// Workers added so.
    pub backlog_step: u32,
    /// Seconds of any queue that add one worker; 0: off.
    pub backlog_nonzero: u32,
}

/// `procname*`
#[derive(Debug, Clone, Default)]
pub struct ProcessNames {
    /// "rsgi master", "rsgi worker 1" …
    pub auto: bool,
    /// For every process.
    pub name: Option<String>,
    /// For the master alone.
    pub master: Option<String>,
    /// In front.
    pub prefix: Option<String>,
    /// Behind.
    pub append: Option<String>,
}

impl Processes {
    pub(super) fn apply_defaults(&mut self, classic: bool) {
        self.master = !classic;
        self.no_orphans = !classic;
        self.enable_threads = !classic;
        self.workers = 1;
        self.threads = 1;
        self.forkbomb_delay = 2;
        self.rpc_max = 128;
        self.cheaper_step = 1;
        self.cheaper_overload = 3;
        self.cheaper_idle = 10;
        self.cheaper_algo = "spare".into();
        self.busyness = Busyness {
            min: 25,
            max: 50,
            multiplier: 10,
            penalty: 2,
            verbose: false,
            backlog_alert: 33,
            backlog_multiplier: 3,
            backlog_step: 1,
            backlog_nonzero: 60,
        };
    }
}
