//! The plugin as the host sees it: binds in the master, asks for gateway processes, and sets one up in its process.

use std::ffi::{CStr, CString, c_int, c_void};
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::AtomicI64;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType};
use rsgi_plugin_api::{HookError, Plugin, export_plugin, log, sys};
use rsgi_protocol::allow::AllowList;
use rsgi_protocol::http1::Limits;

use crate::backend::{Address, Backends, Node, Pool};
use crate::gateway::{Config, Gateway, Order, Orders, Service};
use crate::options::{OPTIONS, settings as configured};
use crate::packet::Stamp;
use crate::settings::{self, Kind, Listen, Settings};
use crate::stats::Counters;
use crate::stream::Listener;
use crate::tls::Context;

struct Http;

/// What `init` prepared and every gateway process inherits.
struct Prepared {
    sockets: Vec<RawFd>,
    services: Vec<Service>,
    backends: Backends,
    announcements: Option<UdpSocket>,
    settings: Settings,
    counters: Counters,
}

static PREPARED: OnceLock<Prepared> = OnceLock::new();

impl Plugin for Http {
    fn init() -> Result<(), HookError> {
        if let Err(e) = prepare() {
            // going on would mean a server that its clients do not find
            log::line(&e.to_string());
            // SAFETY: in the master, before anything was forked.
            unsafe { sys::uwsgi_exit(1) }
        }
        Ok(())
    }
}

/// Binds, reads keys, and asks for the gateway processes.
fn prepare() -> Result<(), HookError> {
    let mut settings = configured();
    if settings.listen.iter().all(|listen| listen.kind == Kind::Stats) {
        return match settings.listen.first() {
            None => Ok(()),
            Some(_) => Err(HookError::new(
                "http-stats: there is no gateway to tell of; add http = ADDRESS",
            )),
        };
    }
    // while the keys' files may still be read
    let services = settings
        .listen
        .iter()
        .map(|listen| service(&settings, listen))
        .collect::<Result<Vec<_>, _>>()?;
    let sockets = settings
        .listen
        .iter()
        .map(bind)
        .collect::<Result<Option<Vec<_>>, _>>()?;
    let Some(sockets) = sockets else {
        // the host knows why, says it with its place, and ends the start
        return Ok(());
    };
    settings.proxy_protocol |= host_options(c"enable-proxy-protocol")
        .last()
        .is_some_and(|value| settings::is_on(Some(value.as_str()).filter(|text| !text.is_empty())));
    let announcements = settings
        .announcements
        .as_deref()
        .map(|text| announcements(&settings, text))
        .transpose()?;
    let backends = if announcements.is_some() {
        Backends::Subscribers {
            tolerance: settings.tolerance,
            grace: settings.grace,
        }
    } else if settings.backends.is_empty() {
        // The number of cores is known when the gateway starts.
        Backends::Workers {
            link: link()?,
            workers: 0,
            cores: 0,
        }
    } else {
        Backends::Nodes(Pool {
            nodes: nodes("http-to", &settings.backends)?,
            fallback: nodes("http-fallback", &settings.fallback)?,
            grace: settings.grace,
        })
    };
    if settings.backends.is_empty() && !settings.fallback.is_empty() {
        return Err(HookError::new(
            "http-fallback stands in for the servers of http-to, and there are none; add http-to = ADDRESS",
        ));
    }
    let counters = counters(&settings);

    let processes = settings.processes;
    let _ = PREPARED.set(Prepared {
        sockets,
        services,
        backends,
        announcements,
        settings,
        counters,
    });
    for _ in 0..processes {
        // SAFETY: the name is static; the function runs in a process of its own, and the data is not used.
        unsafe { sys::register_gateway(c"http".as_ptr().cast_mut(), Some(run), std::ptr::null_mut()) };
    }
    Ok(())
}

export_plugin! { http_plugin: Http, name: c"http", modifier1: 0, options: OPTIONS, hooks: [init] }

/// The values of one of the host's own options, in their order; for one without a value it is empty.
fn host_options(name: &CStr) -> Vec<String> {
    let mut found = Vec::new();
    // SAFETY: the host's list of options, written before `init` and not changed afterwards; keys are never NULL.
    unsafe {
        let server = &raw const sys::uwsgi;
        let (list, count) = ((*server).exported_opts, (*server).exported_opts_cnt);
        for i in 0..usize::try_from(count).unwrap_or(0) {
            let option = *list.add(i);
            if CStr::from_ptr((*option).key) == name {
                let value = (*option).value;
                found.push(match value.is_null() {
                    true => String::new(),
                    false => CStr::from_ptr(value).to_string_lossy().into_owned(),
                });
            }
        }
    }
    found
}

/// Who may speak for others, if anybody is asked to.
fn proxies(settings: &Settings) -> Option<AllowList> {
    let mut trusted = AllowList::default();
    for text in host_options(c"trusted-proxy") {
        // the host has looked at it
        let _ = trusted.add(&text);
    }
    settings.proxy_protocol.then_some(trusted)
}

/// The addresses of an option's servers.
fn nodes(option: &str, texts: &[String]) -> Result<Vec<Node>, HookError> {
    let nodes = texts.iter().map(|text| {
        Node::parse(text)
            .map_err(|e| HookError::new(format!("{option} = {text}: {e}; give host:port, a path or @name")))
    });
    nodes.collect()
}

/// The metrics, in the order of the counters.
const METRICS: [&str; 4] = [
    "gateway.http.connections",
    "gateway.http.requests",
    "gateway.http.refused",
    "gateway.http.failures",
];

/// Counters that all gateway processes share, as metrics, if anybody wants to know them.
fn counters(settings: &Settings) -> Counters {
    let shows = settings.listen.iter().any(|listen| listen.kind == Kind::Stats);
    if !shows && host_options(c"enable-metrics").is_empty() {
        return Counters::own();
    }
    let made = METRICS.map(|name| {
        let name = CString::new(name).ok()?;
        let (none, nothing) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: in init; the host copies the name, and its record lives as long as the process, as does the value.
        unsafe {
            let metric = sys::uwsgi_register_metric(name.as_ptr().cast_mut(), none, 0, none, nothing, 0, nothing);
            let metric = metric.as_ref()?;
            Some(AtomicI64::from_ptr(metric.value))
        }
    });
    match made {
        [Some(a), Some(b), Some(c), Some(d)] => Counters::at([a, b, c, d]),
        // the host has said why
        _ => Counters::own(),
    }
}

/// What the packets of a listening socket ask for.
fn modifiers(settings: &Settings, listen: &Listen) -> (u8, u8) {
    match listen.option {
        "https-socket" => settings.https_socket_modifiers,
        _ => settings.modifiers,
    }
}

/// The socket where servers announce themselves.
fn announcements(settings: &Settings, text: &str) -> Result<UdpSocket, HookError> {
    let told = |why: String| HookError::new(format!("http-subscription-server = {text}: {why}"));
    if !settings.backends.is_empty() {
        return Err(told(
            "http-to names the servers already; take one of the two away".into(),
        ));
    }
    if settings.processes > 1 {
        return Err(told(
            "each announcement reaches one process only; take http-processes away".into(),
        ));
    }
    let full = if text.starts_with(':') {
        format!("0.0.0.0{text}")
    } else {
        text.to_owned()
    };
    let resolved = full
        .to_socket_addrs()
        .map_err(|e| told(format!("{e}; give host:port")))?
        .next();
    let address = resolved.ok_or_else(|| told("the name has no address".into()))?;
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let made = socket::socket(family, SockType::Datagram, flags, None).and_then(|fd| {
        // the gateway before a reload has the address, too, until it has done its work
        socket::setsockopt(&fd, socket::sockopt::ReuseAddr, &true)?;
        socket::bind(fd.as_raw_fd(), &socket::SockaddrStorage::from(address))?;
        Ok(fd)
    });
    made.map(UdpSocket::from).map_err(|e| told(e.desc().to_owned()))
}

/// What is done on a listening socket; reads certificates.
fn service(settings: &Settings, listen: &Listen) -> Result<Service, HookError> {
    Ok(match &listen.kind {
        Kind::Plain => Service::Plain,
        Kind::Redirect => Service::Redirect,
        Kind::Stats => Service::Stats,
        Kind::Tls(plan) => {
            let (context, remark) = Context::load(settings.plan(plan))
                .map_err(|e| HookError::new(format!("{} = {}: {e}", listen.option, listen.address)))?;
            if let Some(remark) = remark {
                log::line(&remark);
            }
            Service::Tls(Box::new(context))
        }
    })
}

/// The socket of an address; `None`: the host could not make it.
fn bind(listen: &Listen) -> Result<Option<RawFd>, HookError> {
    let address = listen.address.as_str();
    let text = CString::new(address).map_err(|_| HookError::new("http: NUL in an address"))?;
    // SAFETY: a NUL-terminated address.
    let fd = unsafe { sys::rsgi_gateway_bind(text.as_ptr()) };
    Ok((fd >= 0).then_some(fd))
}

fn link() -> Result<Node, HookError> {
    let mut name = [0u8; 108];
    // SAFETY: the buffer is as large as stated.
    let n = unsafe { sys::rsgi_gateway_link(name.as_mut_ptr().cast(), name.len()) };
    let text = usize::try_from(n).ok().and_then(|n| name.get(..n)).unwrap_or_default();
    match text {
        [] => Err(HookError::new("http: the host gives no link to its workers")),
        [b'@', name @ ..] => Ok(Node {
            address: Address::Abstract(name.into()),
            name: "the workers".into(),
        }),
        path => {
            let path = String::from_utf8_lossy(path).into_owned();
            Ok(Node {
                address: Address::Unix(path.into()),
                name: "the workers".into(),
            })
        }
    }
}

/// A gateway process, from its fork to its end.
unsafe extern "C" fn run(_number: c_int, _data: *mut c_void) {
    rsgi_plugin_api::guard::hook("http", "gateway", (), || {
        let prepared = PREPARED.get().ok_or_else(|| HookError::new("http: not initialised"))?;
        serve(prepared).map_err(|e| HookError::new(format!("http: the gateway ended: {e}")))
    });
}

fn serve(prepared: &Prepared) -> std::io::Result<()> {
    // Without its parent nobody would ever stop it.
    nix::sys::prctl::set_pdeathsig(Signal::SIGQUIT)?;
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT]);
    signals.thread_block()?;
    let signal_fd = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    // SAFETY: the disposition of a signal, in a process that has no other thread.
    unsafe { nix::sys::signal::signal(Signal::SIGPIPE, nix::sys::signal::SigHandler::SigIgn)? };

    let listeners = prepared.sockets.iter().map(|&fd| {
        // SAFETY: the descriptor came from the host for this purpose, and this process has one gateway.
        unsafe { Listener::adopt(fd) }
    });
    let listeners = listeners.collect::<std::io::Result<Vec<_>>>()?;
    let facts = Facts::read();
    let backends = match &prepared.backends {
        Backends::Workers { link, .. } => Backends::Workers {
            link: link.clone(),
            workers: facts.workers,
            cores: facts.cores,
        },
        nodes => nodes.clone(),
    };
    let orders = Orders {
        fd: signal_fd.as_fd(),
        next: Box::new(|| {
            let info = signal_fd.read_signal().ok().flatten()?;
            Some(match Signal::try_from(info.ssi_signo as i32) {
                Ok(Signal::SIGHUP) => Order::Retire,
                Ok(Signal::SIGTERM) => Order::Drain,
                _ => Order::Stop,
            })
        }),
    };
    let config = Config {
        services: prepared.services.clone(),
        modifiers: prepared
            .settings
            .listen
            .iter()
            .map(|l| modifiers(&prepared.settings, l))
            .collect(),
        counters: prepared.counters,
        announcements: prepared.announcements.as_ref().map(UdpSocket::try_clone).transpose()?,
        ..config(&prepared.settings, &facts)
    };
    Gateway::new(config, listeners, backends)?.run(orders)
}

/// What the host's published state says, read in the gateway process.
struct Facts {
    hostname: Vec<u8>,
    buffer_size: usize,
    workers: usize,
    cores: usize,
    limit_post: u64,
}

impl Facts {
    fn read() -> Self {
        // SAFETY: plain numbers and an array, written by the host before the fork and by nobody in this process.
        unsafe {
            let server = &raw const sys::uwsgi;
            let positive = |n: c_int| usize::try_from(n).unwrap_or(0);
            let hostname = (*server).hostname;
            let bytes = hostname
                .iter()
                .take(positive((*server).hostname_len))
                .map(|&c| c.cast_unsigned());
            Self {
                hostname: bytes.collect(),
                buffer_size: positive((*server).buffer_size),
                limit_post: (*server).limit_post as u64,
                // workers with an event loop serve as many at a time as come
                workers: if (*server).r#loop.is_null() {
                    positive((*server).numproc)
                } else {
                    0
                },
                cores: positive((*server).cores).max(1),
            }
        }
    }
}

fn config(settings: &Settings, facts: &Facts) -> Config {
    let default = Limits::default();
    // 64 KiB is the default; whoever sets another size means the request line too.
    let limits = match facts.buffer_size {
        0 => default,
        size if size == default.head || size == default.head - 1 => default,
        size => Limits::with_buffer_size(size),
    };
    let bytes = |text: &String| text.clone().into_bytes();
    Config {
        services: Vec::new(),
        modifiers: Vec::new(),
        export_certificate: settings.export_certificate,
        http2: settings.http2,
        proxies: proxies(settings),
        forwarders: (!settings.forwarders.is_empty()).then(|| (settings.forwarders.clone(), settings.dialect)),
        limits,
        server_name: facts.hostname.clone(),
        name_from_host: settings.name_from_host,
        stamp: Stamp {
            vars: settings
                .vars
                .iter()
                .map(|(key, value)| (bytes(key), bytes(value)))
                .collect(),
            // The limit of this server's own workers; foreign ones have theirs.
            limit_post: match facts.limit_post {
                n if n > 0 && settings.backends.is_empty() => n,
                _ => u64::MAX,
            },
        },
        keep_alive: settings.keep_alive,
        timeout: settings.timeout,
        headers_timeout: settings.headers_timeout,
        connect_timeout: settings.connect_timeout,
        expect_limit: settings.expect_limit,
        auto_gzip: settings.auto_gzip,
        counters: Counters::own(),
        addresses: settings
            .listen
            .iter()
            .filter(|listen| listen.kind != Kind::Stats)
            .map(|listen| listen.address.clone())
            .collect(),
        check_every: settings.check_every,
        announcements: None,
        log: if settings.quiet { |_| {} } else { log::line },
    }
}
