//! Listening sockets: what is bound, in which order, speaking what.

use crate::config::Origin;
use rsgi_protocol::allow::AllowList;

/// What a socket speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketProtocol {
    /// The packets of uWSGI.
    Uwsgi,
    /// The same on connections that are kept.
    Puwsgi,
    /// HTTP/1, parsed by the worker.
    Http,
    /// HTTP/1.1 with keep-alive even under `classic-defaults`.
    Http11,
    /// FastCGI.
    FastCgi,
    /// FastCGI whose answers carry their own status line.
    FastCgiNph,
    /// SCGI.
    Scgi,
    /// SCGI whose answers carry their own status line.
    ScgiNph,
    /// The connection is handed to a plugin.
    Raw,
    /// The protocol of this name, which a plugin brings.
    Plugin(&'static str),
}

impl SocketProtocol {
    /// By the value of `--protocol`.
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "uwsgi" => Self::Uwsgi,
            "puwsgi" => Self::Puwsgi,
            "http" => Self::Http,
            "http11" => Self::Http11,
            "fastcgi" => Self::FastCgi,
            "fastcgi-nph" => Self::FastCgiNph,
            "scgi" => Self::Scgi,
            "scgi-nph" => Self::ScgiNph,
            "raw" => Self::Raw,
            _ => return None,
        })
    }
}

/// One socket option, in the order of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketSpec {
    /// `host:port`, `:port`, `[v6]:port`, `*:port`, a path, `@abstract`, `fd://N`; for an HTTPS socket without its
    /// certificate. `=N` stands for the shared socket N.
    pub address: String,
    /// `None`: the default protocol (`--protocol`), which may be named later than the socket.
    pub protocol: Option<SocketProtocol>,
    /// For messages.
    pub origin: Origin,
}

impl SocketSpec {
    /// The number of the shared socket that `=N` names.
    pub fn shared(&self) -> Option<usize> {
        self.address.strip_prefix('=')?.parse().ok()
    }
}

/// The plugin that answers on a kind of socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Modifiers {
    /// modifier1
    pub first: u8,
    /// modifier2
    pub second: u8,
}

/// `socket`, `http-socket`, `listen` …
#[derive(Debug, Clone, Default)]
pub struct Sockets {
    /// The workers' sockets.
    pub bind: Vec<SocketSpec>,
    /// `shared-socket`: bound before privileges are dropped, named by `=0`, `=1` …
    pub shared: Vec<SocketSpec>,
    /// Spoken where a socket names no protocol; `None`: uwsgi.
    pub protocol: Option<SocketProtocol>,
    /// `http-socket-modifier1`
    pub http_modifiers: Modifiers,
    /// `fastcgi-modifier1`
    pub fastcgi_modifiers: Modifiers,
    /// `scgi-modifier1`
    pub scgi_modifiers: Modifiers,
    /// `raw-modifier1`
    pub raw_modifiers: Modifiers,
    /// Queue of connections not yet accepted; `None`: what the system allows, at most 4096.
    pub listen: Option<u32>,
    /// Several instances may share the port.
    pub reuse_port: bool,
    /// Bind to addresses that are not configured yet.
    pub freebind: bool,
    /// Permission bits of unix sockets.
    pub chmod_socket: Option<u32>,
    /// `user`, `user:group`, `:group`
    pub chown_socket: Option<String>,
    /// File mode mask of the process.
    pub umask: Option<u32>,
    /// Unix sockets without a path live in the abstract namespace.
    pub abstract_socket: bool,
    /// Seconds that a read or write of a worker may wait.
    pub socket_timeout: u64,
    /// SO_KEEPALIVE
    pub so_keepalive: bool,
    /// TCP_NODELAY
    pub tcp_nodelay: bool,
    /// Length of the TCP_FASTOPEN queue; 0: off.
    pub tcp_fast_open: u32,
    /// SO_SNDBUF, bytes; 0: the system's.
    pub socket_sndbuf: u64,
    /// SO_RCVBUF, bytes; 0: the system's.
    pub socket_rcvbuf: u64,
    /// Keep descriptor 0 as it is.
    pub honour_stdin: bool,
    /// The descriptor limit to ask for; 0: as it is.
    pub max_fd: u64,
    /// `map-socket`: `socket:worker,worker`
    pub map_socket: Vec<String>,
    /// The PROXY line is read on HTTP sockets.
    pub enable_proxy_protocol: bool,
    /// Other hosts whose packets may be orders: signals, tasks.
    pub remote_allow: AllowList,
    /// Peers that may write PROXY headers; empty: all.
    pub trusted_proxies: AllowList,
    /// Requests for other modifiers are refused; empty: all are allowed.
    pub allowed_modifiers: Vec<u8>,
    /// `remap-modifier`: (from, to)
    pub remap_modifier: Vec<(u8, u8)>,
    /// Descriptors that programs keep open.
    pub safe_fds: Vec<i32>,
}

impl Sockets {
    pub(super) fn apply_defaults(&mut self, classic: bool) {
        self.listen = classic.then_some(100);
        self.socket_timeout = 4;
        if !classic {
            self.tcp_nodelay = true;
        }
    }
}
