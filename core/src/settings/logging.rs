//! Where logs go and what they say.

/// A `logger` or `req-logger`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSink {
    /// The name before the first space of `name plugin:argument`.
    pub name: Option<String>,
    /// The logger: `file`, `socket`, `stdio` …
    pub kind: String,
    /// What stands behind its colon.
    pub argument: String,
}

impl LogSink {
    /// Reads `[name ]kind[:argument]`.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let (name, rest) = match text.split_once(' ') {
            Some((name, rest)) if !name.contains(':') => (Some(name.to_owned()), rest.trim_start()),
            _ => (None, text),
        };
        let (kind, argument) = rest.split_once(':').unwrap_or((rest, ""));
        Self {
            name,
            kind: kind.to_owned(),
            argument: argument.to_owned(),
        }
    }
}

impl std::fmt::Display for LogSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name} ")?;
        }
        write!(f, "{}:{}", self.kind, self.argument)
    }
}

/// A rule for lines of the log, in the order of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlarmLog {
    /// `alarm-log`: `NAME REGEXP`
    Raise(String),
    /// `not-alarm-log`: a line that matches is left alone from here on.
    Keep(String),
}

impl std::fmt::Display for AlarmLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Raise(text) => write!(f, "alarm-log \"{text}\""),
            Self::Keep(text) => write!(f, "not-alarm-log \"{text}\""),
        }
    }
}

/// `logto`, `log-format`, `disable-logging` …
#[derive(Debug, Clone, Default)]
pub struct Logging {
    /// `NAME KIND:ARGUMENT`
    pub alarms: Vec<String>,
    /// Lines that raise alarms.
    pub alarm_log: Vec<AlarmLog>,
    /// Alarms for crashes.
    pub alarm_segfault: Vec<String>,
    /// Alarms for full accept queues.
    pub alarm_backlog: Vec<String>,
    /// Bytes of a message.
    pub alarm_msg_size: Option<u64>,
    /// Seconds in which the same message is not repeated.
    pub alarm_freq: Option<u64>,
    /// File or UDP address, opened while privileges are high.
    pub logto: Option<String>,
    /// The same, after they are dropped.
    pub logto2: Option<String>,
    /// `daemonize`: go to the background, log there.
    pub daemonize: Option<String>,
    /// `daemonize2`: the same, after the application is loaded.
    pub daemonize2: Option<String>,
    /// The master writes the log of all processes.
    pub log_master: bool,
    /// Bytes of the longest line that is kept whole; 0: the server's limit.
    pub log_master_bufsize: usize,
    /// Sinks of all lines.
    pub logger: Vec<LogSink>,
    /// Sinks of request lines.
    pub req_logger: Vec<LogSink>,
    /// Sinks of all lines of a worker, which writes them itself.
    pub worker_logger: Vec<LogSink>,
    /// Sinks of its request lines.
    pub worker_logger_req: Vec<LogSink>,
    /// `ENCODER ARGUMENT` for lines of these sinks.
    pub worker_log_encoder: Vec<String>,
    /// The same for request lines.
    pub worker_log_req_encoder: Vec<String>,
    /// `sink regexp`
    pub log_route: Vec<String>,
    /// `sink regexp`, request lines.
    pub log_req_route: Vec<String>,
    /// Lines that match are dropped.
    pub log_drain: Vec<String>,
    /// Lines that match are kept, others dropped.
    pub log_filter: Vec<String>,
    /// Request lines that match are dropped.
    pub log_req_drain: Vec<String>,
    /// Request lines that match are kept, others dropped.
    pub log_req_filter: Vec<String>,
    /// `ENCODER[:LOGGER] ARGUMENT`
    pub log_encoder: Vec<String>,
    /// The same for request lines.
    pub log_req_encoder: Vec<String>,
    /// The template of request lines.
    pub log_format: Option<String>,
    /// Lines are JSON objects: `Some("")` for requests of the default form, else by this template.
    pub log_json: Option<String>,
    /// Each request has an id.
    pub request_id: bool,
    /// Each request has a trace context.
    pub traceparent: bool,
    /// No lines of requests whose path matches, unless they failed.
    pub log_except: Vec<String>,
    /// The template also goes through strftime.
    pub logformat_strftime: bool,
    /// Date before the server's lines: `Some("")` is the default form, else a strftime format.
    pub log_date: Option<String>,
    /// Micro- instead of milliseconds.
    pub log_micros: bool,
    /// The forwarded address instead of the peer's.
    pub log_x_forwarded_for: bool,
    /// No request lines but those asked for below.
    pub disable_logging: bool,
    /// Answers 400 to 499.
    pub log_4xx: bool,
    /// Answers 500 to 599.
    pub log_5xx: bool,
    /// Requests slower than these milliseconds.
    pub log_slow: Option<u32>,
    /// Answers larger than these bytes.
    pub log_big: Option<u64>,
    /// Answers without a body.
    pub log_zero: bool,
    /// Answers sent by sendfile.
    pub log_sendfile: bool,
    /// Requests with a failed read or write.
    pub log_ioerror: bool,
    /// Bytes after which the log is rotated.
    pub log_maxsize: Option<u64>,
    /// The name of the rotated log.
    pub log_backupname: Option<String>,
    /// Open the log anew at a reload.
    pub log_reopen: bool,
    /// Empty the log at start.
    pub log_truncate: bool,
    /// Permission bits of logs.
    pub logfile_chmod: Option<u32>,
    /// Owner of logs is the user of `uid`.
    pub logfile_chown: bool,
}
