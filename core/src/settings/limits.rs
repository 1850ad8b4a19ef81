//! Sizes, deadlines, and when a worker is replaced.

/// `buffer-size`, `harakiri`, `max-requests` …
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// Bytes of a request's header block.
    pub buffer_size: usize,
    /// Largest request body, bytes.
    pub limit_post: u64,
    /// Bodies beyond these bytes are spooled to disk before the application runs.
    pub post_buffering: u64,
    /// Bytes read at once while a body is spooled.
    pub post_buffering_bufsize: usize,
    /// Largest answer header block, bytes.
    pub response_headers_limit: u64,
    /// Largest chunk of a request body, bytes.
    pub chunked_input_limit: u64,
    /// Seconds to wait for a chunk.
    pub chunked_input_timeout: u64,

    /// Seconds of a request, after which its worker is killed.
    pub harakiri: u64,
    /// Say more about what the killed worker did.
    pub harakiri_verbose: bool,
    /// Seconds between the soft signal and the kill.
    pub harakiri_graceful_timeout: u64,
    /// The soft signal's number; 0: none.
    pub harakiri_graceful_signal: i32,
    /// Kill only when the accept queue holds more than this.
    pub harakiri_queue_threshold: u64,
    /// The deadline ends before the `after_request` hooks.
    pub harakiri_no_arh: bool,
    /// SIGABRT instead of SIGKILL at worker faults.
    pub use_abort: bool,
    /// Seconds of a task in a spooler.
    pub spooler_harakiri: u64,
    /// Seconds of a message in a mule.
    pub mule_harakiri: u64,
    /// Seconds of a scheduled command.
    pub cron_harakiri: u64,

    /// Requests after which a worker is replaced.
    pub max_requests: u64,
    /// Added once per worker number.
    pub max_requests_delta: u64,
    /// Random share added per life.
    pub max_requests_jitter: u64,
    /// Seconds that a worker lives at least before it is replaced.
    pub min_worker_lifetime: u64,
    /// Seconds after which a worker is replaced.
    pub max_worker_lifetime: u64,
    /// Added once per worker number.
    pub max_worker_lifetime_delta: u64,
    /// Random share added per life.
    pub max_worker_lifetime_jitter: u64,
    /// Seconds without a sign of life after which a worker is replaced.
    pub worker_heartbeat: u64,
    /// Seconds in which a worker must become ready; 0: any time.
    pub worker_boot_timeout: u64,
    /// Megabytes of resident memory.
    pub reload_on_rss: u64,
    /// Megabytes of address space.
    pub reload_on_as: u64,
    /// Megabytes of unshared memory.
    pub reload_on_uss: u64,
    /// Megabytes of proportional memory.
    pub reload_on_pss: u64,
    /// Megabytes of resident memory; the master kills.
    pub evil_reload_on_rss: u64,
    /// Megabytes of address space; the master kills.
    pub evil_reload_on_as: u64,
    /// A worker is replaced after an uncaught exception.
    pub reload_on_exception: bool,
    /// … of these types.
    pub reload_on_exception_type: Vec<String>,
    /// … of these messages.
    pub reload_on_exception_value: Vec<String>,
    /// … of these `TYPE: message` forms.
    pub reload_on_exception_repr: Vec<String>,
    /// The instance ends (3: boot, 4: application) when workers cannot boot.
    pub worker_boot_error_halt: bool,
    /// Measure memory after each request.
    pub memory_report: bool,
    /// Address space limit of every process, megabytes.
    pub limit_as: u64,
    /// Process limit.
    pub limit_nproc: u64,
    /// Traceback in the answer to an uncaught exception.
    pub catch_exceptions: bool,
}

impl Limits {
    pub(super) fn apply_defaults(&mut self, classic: bool) {
        self.buffer_size = if classic { 4096 } else { 65536 };
        self.post_buffering_bufsize = 8192;
        self.response_headers_limit = 65536;
        self.chunked_input_limit = 1024 * 1024;
        self.chunked_input_timeout = 4;
        self.min_worker_lifetime = 10;
    }
}
