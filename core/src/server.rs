//! The state of this process that everyone asks for: the typed [`Server`], set once, and the C view `uwsgi` of it.
//!
//! Rust code reads [`server()`]; the view is written at fixed points by `publish_*`. The few fields that plugins may
//! write are read from the view itself.

use crate::apps::AppTable;
use crate::net::listener::{Listener, c_name};
use crate::settings::Settings;
use crate::shared::SharedMemory;
use crate::worker::plugin_protocol::{self, Functions};
use rsgi_plugin_api::abi::{UwsgiOpt, UwsgiPlugin, UwsgiServer, UwsgiSocket, WsgiRequest};
use rsgi_protocol::http1::Limits;
use rsgi_protocol::target::PathRules;
use std::ffi::CString;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a socket of the workers speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketProtocol {
    /// The uwsgi protocol: one packet, one answer, close.
    Uwsgi,
    /// The same; a connection whose answer says how long it is is kept.
    Puwsgi,
    /// HTTP/1.x.
    Http,
    /// The private link of the gateways: uwsgi packets in, framed answers out, many per connection.
    Link,
    /// FastCGI, answered with a `Status` header.
    FastCgi,
    /// FastCGI, answered with a status line.
    FastCgiNph,
    /// SCGI, answered with a `Status` header.
    Scgi,
    /// SCGI, answered with a status line.
    ScgiNph,
    /// Nothing is read: a plugin gets the connection.
    Raw,
    /// What a plugin of this name reads and writes.
    Plugin(&'static str),
}

impl SocketProtocol {
    /// Whether answers are framed and connections kept as HTTP has it.
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Link)
    }

    /// Whether answers go in records.
    pub fn is_fastcgi(self) -> bool {
        matches!(self, Self::FastCgi | Self::FastCgiNph)
    }

    /// Whether an answer's status is a header, as CGI has it.
    pub fn has_status_header(self) -> bool {
        matches!(self, Self::FastCgi | Self::Scgi)
    }

    /// The name in logs and statistics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uwsgi => "uwsgi",
            Self::Puwsgi => "puwsgi",
            Self::Http => "http",
            Self::Link => "link",
            Self::FastCgi => "fastcgi",
            Self::FastCgiNph => "fastcgi-nph",
            Self::Scgi => "scgi",
            Self::ScgiNph => "scgi-nph",
            Self::Raw => "raw",
            Self::Plugin(name) => name,
        }
    }
}

/// A listening socket with what is spoken there.
#[derive(Debug)]
pub struct WorkerSocket {
    /// The socket.
    pub listener: Listener,
    /// The protocol.
    pub protocol: SocketProtocol,
    /// Modifiers for protocols that do not carry them.
    pub modifier1: u8,
    /// The second modifier.
    pub modifier2: u8,
    /// The record that C plugins see; set by [`publish_sockets`].
    pub view: *mut UwsgiSocket,
    /// What a plugin does there, where it brings the protocol; set by [`publish_sockets`].
    pub functions: Option<Functions>,
    /// The address as it was asked for: by it the next image finds the socket.
    pub asked: String,
}

// SAFETY: `view` points at a record that lives as long as the process and that only the master's loop writes.
unsafe impl Sync for WorkerSocket {}
// SAFETY: as above.
unsafe impl Send for WorkerSocket {}

impl WorkerSocket {
    /// Whether the socket ends with this server: not one that was passed to it, and not the gateways' link.
    pub fn is_ours_to_close(&self) -> bool {
        self.protocol != SocketProtocol::Link && !self.asked.starts_with("fd://")
    }
}

/// Everything that is fixed before the first fork.
pub struct Server {
    /// The configuration.
    pub settings: Settings,
    /// The workers' sockets.
    pub sockets: Vec<WorkerSocket>,
    /// Workers and cores, in memory that all processes share.
    pub shared: SharedMemory,
    /// How large a request head may be.
    pub http_limits: Limits,
    /// How `PATH_INFO` is made.
    pub path_rules: PathRules,
    /// `SERVER_NAME`.
    pub server_name: Vec<u8>,
    ports: Vec<(*const WorkerSocket, Vec<u8>)>,
    /// Plugin slots by the modifier1 that a request carries (`--remap-modifier`); `None`: not allowed.
    slots: [Option<u8>; 256],
}

// SAFETY: the addresses in `ports` are only compared.
unsafe impl Send for Server {}
// SAFETY: as above.
unsafe impl Sync for Server {}

impl Server {
    /// Lets go of the workers' sockets in a process that accepts nobody (any more).
    pub fn release_sockets(&self) {
        for socket in &self.sockets {
            socket.listener.release();
        }
    }

    /// Puts the parts together.
    pub fn new(settings: Settings, sockets: Vec<WorkerSocket>, shared: SharedMemory) -> Self {
        let mut slots: [Option<u8>; 256] = std::array::from_fn(|n| Some(n as u8));
        let s = &settings.sockets;
        if !s.allowed_modifiers.is_empty() {
            for (n, slot) in slots.iter_mut().enumerate() {
                *slot = slot.filter(|_| s.allowed_modifiers.contains(&(n as u8)));
            }
        }
        for (plugin, asked) in &s.remap_modifier {
            slots[usize::from(*asked)] = Some(*plugin);
        }
        // SAFETY: written in the single-threaded start, before this.
        let server_name = unsafe {
            let v = view();
            let len = (*v).hostname_len as usize;
            std::slice::from_raw_parts((&raw const (*v).hostname).cast::<u8>(), len).to_vec()
        };
        let http_limits = match settings.is_given("buffer-size") {
            true => Limits::with_buffer_size(settings.limits.buffer_size),
            false => Limits {
                head: settings.limits.buffer_size,
                ..Limits::default()
            },
        };
        let path_rules = PathRules {
            keep_encoded_slashes: settings.http.path_info_no_decode_slashes,
        };
        let mut server = Self {
            settings,
            sockets,
            shared,
            http_limits,
            path_rules,
            server_name,
            ports: Vec::new(),
            slots,
        };
        server.ports = server
            .sockets
            .iter()
            .map(|socket| {
                let port = socket
                    .listener
                    .name
                    .rsplit_once(':')
                    .filter(|_| socket.listener.is_tcp());
                (
                    std::ptr::from_ref(socket),
                    port.map_or("80", |(_, p)| p).as_bytes().to_vec(),
                )
            })
            .collect();
        server
    }

    /// `SERVER_PORT` of a socket.
    pub fn port_of(&self, socket: &WorkerSocket) -> &[u8] {
        self.ports
            .iter()
            .find(|(at, _)| std::ptr::eq(*at, socket))
            .map_or(b"80", |(_, port)| port)
    }

    /// The plugin slot of a modifier1.
    pub fn remapped(&self, modifier1: u8) -> u8 {
        self.slots[usize::from(modifier1)].unwrap_or(modifier1)
    }

    /// Whether requests may carry this modifier1.
    pub fn allows(&self, modifier1: u8) -> bool {
        self.slots[usize::from(modifier1)].is_some()
    }
}

static SERVER: OnceLock<Server> = OnceLock::new();
static VIEW_READY: AtomicBool = AtomicBool::new(false);
static WORKER_ID: AtomicI32 = AtomicI32::new(0);

/// The C view. Plugins link against it by this name.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static mut uwsgi: UwsgiServer =
    // SAFETY: all fields are pointers, optional functions, integers and byte arrays: zero is valid.
    unsafe { std::mem::zeroed() };

static mut UNKNOWN: UwsgiPlugin = rsgi_plugin_api::export::EMPTY;

/// The address of the C view; first use fills what never changes.
pub fn view() -> *mut UwsgiServer {
    let view = &raw mut uwsgi;
    if !VIEW_READY.load(Ordering::Acquire) && !VIEW_READY.swap(true, Ordering::AcqRel) {
        // SAFETY: the first call happens in the single-threaded start, before any plugin is loaded.
        unsafe {
            for slot in &mut (*view).p {
                *slot = &raw mut UNKNOWN;
            }
            (*view).page_size = libc::sysconf(libc::_SC_PAGESIZE) as i32;
            (*view).cpus = libc::sysconf(libc::_SC_NPROCESSORS_ONLN) as i32;
            (*view).empty = c"".as_ptr().cast_mut();
            (*view).version = keep(env!("CARGO_PKG_VERSION"));
            (*view).default_app = -1;
            (*view).signal_socket = -1;
            (*view).my_signal_socket = -1;
            (*view).master_queue = -1;
            (*view).socket_timeout = 4;
            (*view).mypid = libc::getpid();
            let name = nix::unistd::gethostname().unwrap_or_default();
            let name = name.as_bytes();
            let len = name.len().min(255);
            std::ptr::copy_nonoverlapping(name.as_ptr(), (*view).hostname.as_mut_ptr().cast(), len);
            (*view).hostname_len = len as i32;
            (*view).wait_read_hook = Some(crate::exports::wait_read);
            (*view).wait_milliseconds_hook = Some(crate::exports::wait_milliseconds);
            (*view).wait_write_hook = Some(crate::exports::wait_write);
            (*view).wait_read2_hook = Some(crate::exports::wait_read2);
            (*view).current_wsgi_req = Some(current_request);
            (*view).lock_ops = crate::exports::LOCK_OPS;
        }
    }
    view
}

thread_local! {
    static CURRENT: std::cell::Cell<*mut WsgiRequest> = const { std::cell::Cell::new(std::ptr::null_mut()) };
}

/// Remembers the request of this thread for `uwsgi.current_wsgi_req()`.
pub fn set_current_request(req: *mut WsgiRequest) {
    CURRENT.set(req);
}

unsafe extern "C" fn current_request() -> *mut WsgiRequest {
    CURRENT.get()
}

/// The server of this process.
///
/// # Panics
/// Before the start has installed it: a mistake in the order of the start.
pub fn server() -> &'static Server {
    SERVER
        .get()
        .expect("the server is installed before anything asks for it")
}

/// The server, if the start has come so far.
pub fn try_server() -> Option<&'static Server> {
    SERVER.get()
}

/// Installs the server; once per process image.
pub fn install(server: Server) -> &'static Server {
    SERVER.get_or_init(|| server)
}

/// The id of this worker; 0 in every other process.
pub fn worker_id() -> usize {
    WORKER_ID.load(Ordering::Relaxed) as usize
}

/// The pid of this process, without asking the system.
pub fn pid() -> i32 {
    // SAFETY: written first thing after a fork, by the only thread.
    unsafe { (*view()).mypid }
}

/// `--socket-timeout`, seconds.
pub fn socket_timeout() -> i32 {
    // SAFETY: written in the single-threaded start only.
    unsafe { (*view()).socket_timeout }
}

/// The same as a duration.
pub fn socket_limit() -> Duration {
    Duration::from_secs(socket_timeout().max(1) as u64)
}

/// A C text that lives as long as the process.
pub fn keep(text: impl AsRef<[u8]>) -> *mut std::ffi::c_char {
    let bytes: Vec<u8> = text.as_ref().iter().copied().filter(|b| *b != 0).collect();
    CString::new(bytes).unwrap_or_default().into_raw()
}

/// What the configuration says, for C plugins; before their `init`.
pub fn publish_settings(settings: &Settings, is_reload: bool) {
    let view = view();
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    // SAFETY: single-threaded start, no hook running.
    unsafe {
        let v = &mut *view;
        v.start_tv = seconds as i64;
        v.current_time = v.start_tv;
        v.is_a_reload = i32::from(is_reload);
        crate::startup::publish(v, settings);
        let mut rows: Vec<*mut UwsgiOpt> = settings
            .exported
            .iter()
            .map(|(key, value)| {
                let value = value.as_ref().map_or(std::ptr::null_mut(), keep);
                Box::into_raw(Box::new(UwsgiOpt {
                    key: keep(key),
                    value,
                    configured: 1,
                }))
            })
            .collect();
        v.exported_opts_cnt = rows.len() as i32;
        rows.push(std::ptr::null_mut());
        v.exported_opts = Box::leak(rows.into_boxed_slice()).as_mut_ptr();
        let args: Vec<_> = std::env::args_os().map(|a| keep(a.as_bytes())).collect();
        v.argc = args.len() as i32;
        v.argv = Box::leak(args.into_iter().chain([std::ptr::null_mut()]).collect()).as_mut_ptr();
        v.cwd = keep(std::env::current_dir().unwrap_or_default().as_os_str().as_bytes());
        v.binary_path = keep(std::env::current_exe().unwrap_or_default().as_os_str().as_bytes());
    }
}

/// The sockets, for C plugins; after bind. Plugins set up those that speak their protocols.
///
/// # Errors
/// One line: nobody brings a protocol, or its plugin does not read requests.
pub fn publish_sockets(sockets: &mut [WorkerSocket], can_offload: bool) -> Result<(), String> {
    let mut head: *mut UwsgiSocket = std::ptr::null_mut();
    for socket in sockets.iter_mut().rev() {
        // SAFETY: all fields are pointers and integers: zero is valid.
        let mut record: UwsgiSocket = unsafe { std::mem::zeroed() };
        let name = c_name(&socket.listener.name);
        record.fd = socket.listener.as_raw_fd();
        record.name_len = name.as_bytes().len() as i32;
        record.name = name.into_raw();
        record.family = if socket.listener.is_tcp() {
            libc::AF_INET
        } else {
            libc::AF_UNIX
        };
        record.bound = 1;
        record.max_queue = socket.listener.backlog as u64;
        record.modifier1 = socket.modifier1;
        record.modifier2 = socket.modifier2;
        record.proto_name = keep(socket.protocol.name());
        record.can_offload = i32::from(can_offload);
        if let SocketProtocol::Plugin(name) = socket.protocol {
            socket.functions = Some(plugin_protocol::set_up(name, &mut record)?);
        }
        record.proto = Some(crate::worker::engine::parse);
        record.next = head;
        socket.view = Box::into_raw(Box::new(record));
        // the link is the gateways' own affair: an override must not serve it
        if socket.protocol != SocketProtocol::Link {
            head = socket.view;
        }
    }
    // SAFETY: single-threaded start.
    unsafe { (*view()).sockets = head };
    Ok(())
}

/// The shared memory, for C plugins.
pub fn publish_workers(shared: &SharedMemory) {
    // SAFETY: single-threaded start; the memory lives as long as the process.
    unsafe { (*view()).workers = shared.workers() };
}

/// Who this process is; first thing after a fork.
pub fn publish_process(worker: usize) {
    WORKER_ID.store(worker as i32, Ordering::Relaxed);
    // SAFETY: right after a fork the process has one thread.
    unsafe {
        (*view()).mywid = worker as i32;
        (*view()).mypid = libc::getpid();
    }
}

/// Makes a descriptor non-blocking.
pub fn set_nonblocking(fd: std::os::fd::RawFd) {
    crate::exports::socket_nonblocking(fd);
}

/// The table of applications of this process.
pub fn apps() -> &'static AppTable {
    AppTable::get()
}
