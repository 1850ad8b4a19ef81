//! Files that are served without the application.

/// `static-map = /prefix=directory`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticMap {
    /// Of the path.
    pub prefix: String,
    /// Directory or file.
    pub target: String,
    /// The whole path is appended (`static-map2`).
    pub append_prefix: bool,
}

/// `static-map`, `check-static`, `offload-threads` …
#[derive(Debug, Clone, Default)]
pub struct StaticFiles {
    /// In order.
    pub maps: Vec<StaticMap>,
    /// Directories whose matching files are served before the application is asked.
    pub check_static: Vec<String>,
    /// DOCUMENT_ROOT is such a directory too.
    pub check_static_docroot: bool,
    /// Names served for a directory.
    pub index: Vec<String>,
    /// Endings never served.
    pub skip_ext: Vec<String>,
    /// More directories that links may lead into.
    pub safe: Vec<String>,
    /// `sendfile`, `x-sendfile`, `x-accel-redirect`, `nginx`.
    pub file_serve_mode: Option<String>,
    /// Byte ranges.
    pub honour_range: bool,
    /// `regexp seconds`, by file name.
    pub expires: Vec<String>,
    /// `regexp seconds`, by URI.
    pub expires_uri: Vec<String>,
    /// `type=seconds`
    pub expires_type: Vec<String>,
    /// The `.gz` neighbour is preferred where the regexp matches.
    pub gzip: Vec<String>,
    /// … everywhere.
    pub gzip_all: bool,
    /// Files of MIME types.
    pub mime_file: Vec<String>,
    /// Threads that send files instead of the worker.
    pub offload_threads: u32,
    /// Never sendfile().
    pub disable_sendfile: bool,
}

impl StaticFiles {
    pub(super) fn apply_defaults(&mut self, classic: bool) {
        self.honour_range = !classic;
    }
}
