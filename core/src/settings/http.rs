//! How requests are read and answered.

/// `add-header`, `keep-alive`, `ignore-sigpipe` …
#[derive(Debug, Clone, Default)]
pub struct Http {
    /// Connections stay open after an answer.
    pub keep_alive: bool,
    /// Seconds that an idle connection stays open.
    pub keep_alive_timeout: u64,
    /// Seconds for a whole header block to arrive.
    pub headers_timeout: u64,
    /// SERVER_NAME is what the Host header says.
    pub server_name_from_host: bool,
    /// `Name: value` lines added to every answer.
    pub add_headers: Vec<String>,
    /// Names of headers taken out of every answer.
    pub rem_headers: Vec<String>,
    /// `HEADER VAR`: an answer's header becomes a request variable.
    pub collect_headers: Vec<(String, String)>,
    /// No line about a client that left.
    pub ignore_sigpipe: bool,
    /// No line about a failed write.
    pub ignore_write_errors: bool,
    /// A failed write raises nothing in the application.
    pub disable_write_exception: bool,
    /// A failed write raises, and the request goes on.
    pub write_errors_exception_only: bool,
    /// Failed writes of one request before it is given up.
    pub write_errors_tolerance: Option<u64>,
    /// `%2F` stays encoded in PATH_INFO.
    pub path_info_no_decode_slashes: bool,
    /// Kilobytes of a websocket message.
    pub websockets_max_size: u64,
    /// Seconds between two pings.
    pub websockets_ping_freq: u64,
    /// Seconds to wait for the pong.
    pub websockets_pong_tolerance: u64,
}

impl Http {
    pub(super) fn apply_defaults(&mut self, classic: bool) {
        self.keep_alive = !classic;
        self.keep_alive_timeout = 65;
        self.headers_timeout = 60;
        self.ignore_sigpipe = !classic;
        self.ignore_write_errors = !classic;
        self.disable_write_exception = !classic;
        self.websockets_max_size = 1024;
        self.websockets_ping_freq = 30;
        self.websockets_pong_tolerance = 3;
    }
}
