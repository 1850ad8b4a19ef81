//! The workers' sockets: from the options, from the image before (reload), from systemd, from standard input.

use super::StartupError;
use crate::net::address::Address;
use crate::net::listener::{self, BindOptions, Listener};
use crate::process::{gateway, reload};
use crate::say;
use crate::server::{SocketProtocol, WorkerSocket};
use crate::settings::{self, Settings, SocketSpec};
use std::os::fd::AsRawFd;

/// A `--shared-socket`, until a socket option refers to it.
pub struct SharedSocket {
    listener: Option<Listener>,
    asked: String,
}

fn options(settings: &Settings) -> Result<BindOptions, StartupError> {
    let s = &settings.sockets;
    let most = listener::somaxconn();
    let backlog = match s.listen {
        Some(wanted) => {
            let wanted = wanted as i32;
            if wanted > most {
                say!("listen = {wanted} is more than the system allows (net.core.somaxconn = {most}); using {most}");
            }
            wanted.min(most)
        }
        None => most.min(4096),
    };
    let owner = match &s.chown_socket {
        Some(text) => listener::owner(text).map_err(|e| StartupError::new(format!("chown-socket: {e}")))?,
        None => (None, None),
    };
    Ok(BindOptions {
        backlog,
        reuse_port: s.reuse_port,
        mode: s.chmod_socket,
        owner,
        free_bind: s.freebind,
        keepalive: s.so_keepalive,
        delay: !s.tcp_nodelay,
        send_buffer: s.socket_sndbuf as usize,
        receive_buffer: s.socket_rcvbuf as usize,
        fast_open: s.tcp_fast_open,
    })
}

fn obtain(spec: &SocketSpec, settings: &Settings, options: &BindOptions) -> Result<Listener, StartupError> {
    if let Some(fd) = reload::inherited_socket(&spec.address) {
        return Ok(Listener::adopt(fd));
    }
    let place = |e: String| StartupError::new(format!("{e} [{}]", spec.origin));
    let address = Address::parse(&spec.address, settings.sockets.abstract_socket).map_err(|e| place(e.to_string()))?;
    Listener::bind(&address, options).map_err(|e| place(e.to_string()))
}

/// Binds the `--shared-socket`s, while the process may still be root.
///
/// # Errors
/// An address cannot be bound.
pub fn bind_shared(settings: &Settings) -> Result<Vec<SharedSocket>, StartupError> {
    let options = options(settings)?;
    let bind = |spec: &SocketSpec| {
        Ok(SharedSocket {
            listener: Some(obtain(spec, settings, &options)?),
            asked: spec.address.clone(),
        })
    };
    let bound: Vec<SharedSocket> = settings
        .sockets
        .shared
        .iter()
        .map(bind)
        .collect::<Result<_, StartupError>>()?;
    for (number, socket) in bound.iter().enumerate() {
        let Some(listener) = &socket.listener else {
            continue;
        };
        let kind = if listener.is_tcp() { "TCP" } else { "UNIX" };
        say!(
            "uwsgi shared socket {number} bound to {kind} address {} fd {}",
            listener.name,
            listener.as_raw_fd()
        );
    }
    Ok(bound)
}

/// Binds everything else.
///
/// # Errors
/// An address cannot be bound, or a protocol is not there yet.
pub fn bind(settings: &Settings, shared: &mut [SharedSocket]) -> Result<Vec<WorkerSocket>, StartupError> {
    let options = options(settings)?;
    let default = settings.sockets.protocol.unwrap_or(settings::SocketProtocol::Uwsgi);
    let mut all = Vec::new();
    for spec in &settings.sockets.bind {
        let kind = spec.protocol.unwrap_or(default);
        let (listener, asked) = match spec.shared() {
            Some(index) => {
                let socket = shared.get_mut(index).filter(|s| s.listener.is_some()).ok_or_else(|| {
                    StartupError::new(format!(
                        "{} [{}]: there is no --shared-socket number {index} left (they count from 0)",
                        spec.address, spec.origin
                    ))
                })?;
                (socket.listener.take(), socket.asked.clone())
            }
            None => (Some(obtain(spec, settings, &options)?), spec.address.clone()),
        };
        let Some(listener) = listener else { continue };
        all.push(worker_socket(settings, listener, kind, asked));
    }
    add_activated(settings, default, &mut all)?;
    if all.is_empty() && is_listening_socket(0) && !settings.sockets.honour_stdin {
        // a descriptor of its own: 0 becomes /dev/null for the applications
        // SAFETY: 0 is open, it was just looked at.
        let fd = unsafe { libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 3) };
        if fd >= 0 {
            all.push(worker_socket(
                settings,
                Listener::adopt(fd),
                default,
                format!("fd://{fd}"),
            ));
        }
    }
    for (number, socket) in all.iter().enumerate() {
        announce(number, socket);
    }
    if gateway::wants_link() {
        let name = gateway::link_address();
        let spec = SocketSpec {
            address: name.clone(),
            protocol: None,
            origin: crate::config::Origin::CommandLine,
        };
        let listener = obtain(&spec, settings, &options)?;
        all.push(WorkerSocket {
            listener,
            protocol: SocketProtocol::Link,
            modifier1: 0,
            modifier2: 0,
            view: std::ptr::null_mut(),
            functions: None,
            asked: name,
        });
    }
    Ok(all)
}

fn worker_socket(
    settings: &Settings,
    listener: Listener,
    kind: settings::SocketProtocol,
    asked: String,
) -> WorkerSocket {
    use settings::SocketProtocol as Kind;
    let (protocol, modifiers) = match kind {
        Kind::Uwsgi => (SocketProtocol::Uwsgi, settings::Modifiers::default()),
        Kind::Puwsgi => (SocketProtocol::Puwsgi, settings::Modifiers::default()),
        Kind::Http | Kind::Http11 => (SocketProtocol::Http, settings.sockets.http_modifiers),
        Kind::FastCgi => (SocketProtocol::FastCgi, settings.sockets.fastcgi_modifiers),
        Kind::FastCgiNph => (SocketProtocol::FastCgiNph, settings.sockets.fastcgi_modifiers),
        Kind::Scgi => (SocketProtocol::Scgi, settings.sockets.scgi_modifiers),
        Kind::ScgiNph => (SocketProtocol::ScgiNph, settings.sockets.scgi_modifiers),
        Kind::Raw => (SocketProtocol::Raw, settings.sockets.raw_modifiers),
        Kind::Plugin(name) => (SocketProtocol::Plugin(name), settings::Modifiers::default()),
    };
    WorkerSocket {
        listener,
        protocol,
        modifier1: modifiers.first,
        modifier2: modifiers.second,
        view: std::ptr::null_mut(),
        functions: None,
        asked,
    }
}

fn announce(number: usize, socket: &WorkerSocket) {
    let (name, fd) = (&socket.listener.name, socket.listener.as_raw_fd());
    if !socket.listener.is_tcp() {
        say!("rsgi socket {number} bound to UNIX address {name} fd {fd}");
    } else if reload::is_reload() || socket.asked.starts_with("fd://") {
        say!("rsgi socket {number} attached to INET address {name} fd {fd}");
    } else {
        say!("rsgi socket {number} bound to TCP address {name} fd {fd}");
    }
}

/// Sockets that systemd passes (`LISTEN_FDS`, sd_listen_fds(3)).
fn add_activated(
    settings: &Settings,
    kind: settings::SocketProtocol,
    all: &mut Vec<WorkerSocket>,
) -> Result<(), StartupError> {
    let Some(count) = systemd_count().filter(|n| *n > 0) else {
        return Ok(());
    };
    say!("- SystemD socket activation detected -");
    for fd in 3..3 + count {
        if is_listening_socket(fd) && !all.iter().any(|s| s.listener.as_raw_fd() == fd) {
            let asked = format!("fd://{fd}");
            let fd = reload::inherited_socket(&asked).unwrap_or(fd);
            all.push(worker_socket(settings, Listener::adopt(fd), kind, asked));
        }
    }
    Ok(())
}

fn systemd_count() -> Option<i32> {
    let pid: u32 = std::env::var("LISTEN_PID").ok()?.parse().ok()?;
    (pid == std::process::id())
        .then(|| std::env::var("LISTEN_FDS").ok()?.parse().ok())
        .flatten()
}

fn is_listening_socket(fd: i32) -> bool {
    let mut value = 0;
    let mut size = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the places are ours; any descriptor number may be asked about.
    let rc = unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_ACCEPTCONN,
            (&raw mut value).cast(),
            &mut size,
        )
    };
    rc == 0 && value != 0
}
