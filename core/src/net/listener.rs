//! Listening sockets: bound once by the master, or inherited over a reload or from systemd; shared by all workers.

use super::address::Address;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, UnixAddr, sockopt};
use nix::sys::stat::{Mode, umask};
use std::ffi::CString;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

/// How the sockets of this server are made (`--listen`, `--reuse-port`, `--chmod-socket` ...).
#[derive(Debug, Clone, Default)]
pub struct BindOptions {
    /// Length of the queue of connections not yet accepted; bounded by the system's limit.
    pub backlog: i32,
    /// Several instances may share the port.
    pub reuse_port: bool,
    /// Permission bits of a unix socket's path.
    pub mode: Option<u32>,
    /// Owner and group of a unix socket's path.
    pub owner: (Option<u32>, Option<u32>),
    /// Addresses that this machine does not have (yet) may be bound.
    pub free_bind: bool,
    /// Probe idle connections (`--so-keepalive`).
    pub keepalive: bool,
    /// Small packets wait for more (no TCP_NODELAY).
    pub delay: bool,
    /// Bytes of the kernel's send buffer; 0: its own choice.
    pub send_buffer: usize,
    /// Bytes of its receive buffer; 0: its own choice.
    pub receive_buffer: usize,
    /// Queue of TCP fast open; 0: none.
    pub fast_open: u32,
}

/// Why a socket could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody listens there.
    #[error(
        "probably another instance of rsgi is running on the same address ({address}).\nbind(): Address already in use{holder}"
    )]
    InUse {
        /// the address
        address: String,
        /// who has it and what to do, or empty
        holder: String,
    },
    /// The system refused.
    #[error("cannot listen on {address}: {call}(): {reason}{hint}", reason = crate::config::system_message(source))]
    System {
        /// the address
        address: String,
        /// the system call
        call: &'static str,
        /// its error
        source: io::Error,
        /// what to do about it, or empty
        hint: String,
    },
}

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
    /// The address as bound: a port chosen by the kernel is filled in.
    pub name: String,
    /// The path to remove at the end (`--vacuum`).
    pub path: Option<PathBuf>,
    /// Queue length that the kernel was asked for.
    pub backlog: i32,
}

impl Listener {
    /// Binds and listens.
    ///
    /// # Errors
    /// See [`BindError`].
    pub fn bind(address: &Address, options: &BindOptions) -> Result<Self, BindError> {
        let name = address.to_string();
        match address {
            Address::Inet(inet) => bind_inet(name, *inet, options),
            Address::Unix(path) => bind_unix(name, path, options),
            Address::Abstract(abstract_name) => bind_abstract(name, abstract_name, options),
            Address::Descriptor(fd) => Ok(Self::adopt(*fd)),
            Address::Shared(_) => Err(system(
                &name,
                "bind",
                io::Error::from(io::ErrorKind::InvalidInput),
                "; a shared socket is not bound but referred to",
            )),
        }
    }

    /// Takes over a descriptor that listens already.
    pub fn adopt(fd: RawFd) -> Self {
        // SAFETY: the caller names a descriptor that this process inherited for us; nobody else closes it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        set_flags(fd.as_fd());
        let name = socket_name(fd.as_fd());
        let path = name.starts_with('/').then(|| PathBuf::from(&name));
        Self {
            fd,
            name,
            path,
            backlog: somaxconn(),
        }
    }

    /// Whether this is a TCP socket.
    pub fn is_tcp(&self) -> bool {
        self.path.is_none() && !self.name.starts_with('@')
    }
}

impl Listener {
    /// The descriptor alone.
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Lets go of the socket in this process, at once and for good: when the last process has done so, the kernel
    /// refuses new connections instead of queueing them for nobody. The descriptor stays valid and leads nowhere.
    pub fn release(&self) {
        release(self.as_raw_fd());
    }
}

/// Puts nothing in the place of a descriptor that this process has no use for.
pub fn release(fd: RawFd) {
    if let Ok(null) = std::fs::File::open("/dev/null") {
        // SAFETY: both descriptors are open; the old one is closed by the call.
        unsafe { libc::dup3(null.as_raw_fd(), fd, libc::O_CLOEXEC) };
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

fn system(address: &str, call: &'static str, source: impl Into<io::Error>, hint: &str) -> BindError {
    BindError::System {
        address: address.into(),
        call,
        source: source.into(),
        hint: hint.to_owned(),
    }
}

fn bind_error(address: &str, errno: nix::Error) -> BindError {
    let hint = match errno {
        nix::Error::EADDRINUSE => {
            let holder = address.parse().ok().and_then(super::holder::of);
            return BindError::InUse {
                address: address.into(),
                holder: holder.map_or_else(String::new, |h| format!(": {h}; stop it or choose another port")),
            };
        }
        nix::Error::EACCES if address.parse::<SocketAddr>().is_ok() => {
            "; ports below 1024 are root's: bind it with shared-socket before uid and gid, or keep cap = net_bind_service"
                .to_owned()
        }
        nix::Error::EACCES => folder_hint(Path::new(address)),
        nix::Error::EADDRNOTAVAIL => "; no interface of this machine has that address".to_owned(),
        nix::Error::ENOENT => "; its folder does not exist: create it".to_owned(),
        nix::Error::ENAMETOOLONG => "; a unix socket's path has at most 107 bytes".to_owned(),
        _ => String::new(),
    };
    system(address, "bind", errno, &hint)
}

/// Who may write to the folder of a unix socket, and who tries.
fn folder_hint(path: &Path) -> String {
    use nix::unistd::{Uid, User};
    use std::os::unix::fs::MetadataExt;
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let name = |uid: Uid| match User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        _ => uid.to_string(),
    };
    let us = name(Uid::effective());
    match std::fs::metadata(folder) {
        Ok(meta) => format!(
            "; {us} may not write to the folder {} ({}'s, mode {:o}): change its owner, or bind with shared-socket before uid",
            folder.display(),
            name(Uid::from_raw(meta.uid())),
            meta.mode() & 0o7777
        ),
        Err(_) => format!("; {us} may not enter the folder {}", folder.display()),
    }
}

fn new_socket(name: &str, family: AddressFamily) -> Result<OwnedFd, BindError> {
    socket::socket(
        family,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        None,
    )
    .map_err(|e| system(name, "socket", e, ""))
}

fn listen(name: &str, fd: &OwnedFd, options: &BindOptions) -> Result<i32, BindError> {
    let backlog = options.backlog.clamp(1, somaxconn());
    socket::listen(fd, socket::Backlog::new(backlog).unwrap_or(socket::Backlog::MAXCONN))
        .map_err(|e| system(name, "listen", e, ""))?;
    Ok(backlog)
}

/// Lets clients send with their first packet, as many at a time as wait for their handshake's end.
fn fast_open(fd: &OwnedFd, queue: u32) -> io::Result<()> {
    let queue = i32::try_from(queue).unwrap_or(i32::MAX);
    // SAFETY: an open socket, and a number of the size stated.
    let done = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_FASTOPEN,
            (&raw const queue).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    (done == 0).then_some(()).ok_or_else(io::Error::last_os_error)
}

fn bind_inet(name: String, inet: SocketAddr, options: &BindOptions) -> Result<Listener, BindError> {
    let family = if inet.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    };
    let fd = new_socket(&name, family)?;
    let option = |r: nix::Result<()>| r.map_err(|e| system(&name, "setsockopt", e, ""));
    option(socket::setsockopt(&fd, sockopt::ReuseAddr, &true))?;
    if options.reuse_port {
        option(socket::setsockopt(&fd, sockopt::ReusePort, &true))?;
    }
    if options.free_bind {
        option(socket::setsockopt(&fd, sockopt::IpFreebind, &true))?;
    }
    if options.keepalive {
        option(socket::setsockopt(&fd, sockopt::KeepAlive, &true))?;
    }
    // accepted connections inherit these: no call per connection
    option(socket::setsockopt(&fd, sockopt::TcpNoDelay, &!options.delay))?;
    if options.send_buffer > 0 {
        option(socket::setsockopt(&fd, sockopt::SndBuf, &options.send_buffer))?;
    }
    if options.receive_buffer > 0 {
        option(socket::setsockopt(&fd, sockopt::RcvBuf, &options.receive_buffer))?;
    }
    match inet {
        SocketAddr::V4(a) => socket::bind(fd.as_raw_fd(), &SockaddrIn::from(a)),
        SocketAddr::V6(a) => socket::bind(fd.as_raw_fd(), &SockaddrIn6::from(a)),
    }
    .map_err(|e| bind_error(&name, e))?;
    if options.fast_open > 0 {
        fast_open(&fd, options.fast_open).map_err(|e| system(&name, "setsockopt", e, ""))?;
    }
    let backlog = listen(&name, &fd, options)?;
    let name = socket_name(fd.as_fd());
    Ok(Listener {
        fd,
        name,
        path: None,
        backlog,
    })
}

fn bind_unix(name: String, path: &Path, options: &BindOptions) -> Result<Listener, BindError> {
    let address = UnixAddr::new(path).map_err(|e| bind_error(&name, e))?;
    let fd = new_socket(&name, AddressFamily::Unix)?;
    if is_stale(path) {
        let _ = std::fs::remove_file(path);
    }
    // the path appears with its final bits: nobody connects in between
    let old = options.mode.map(|mode| umask(Mode::from_bits_truncate(!mode & 0o777)));
    let bound = socket::bind(fd.as_raw_fd(), &address);
    if let Some(old) = old {
        umask(old);
    }
    bound.map_err(|e| bind_error(&name, e))?;
    if options.owner != (None, None) {
        std::os::unix::fs::chown(path, options.owner.0, options.owner.1)
            .map_err(|e| system(&name, "chown", e, "; --chown-socket needs root"))?;
    }
    if let Some(mode) = options.mode {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
            .map_err(|e| system(&name, "chmod", e, ""))?;
    }
    let backlog = listen(&name, &fd, options)?;
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    Ok(Listener {
        fd,
        name,
        path: Some(path),
        backlog,
    })
}

/// A socket file that nobody listens on any more: left behind by a killed server.
fn is_stale(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket())
        && std::os::unix::net::UnixStream::connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
}

fn bind_abstract(name: String, bytes: &[u8], options: &BindOptions) -> Result<Listener, BindError> {
    let address = UnixAddr::new_abstract(bytes).map_err(|e| bind_error(&name, e))?;
    let fd = new_socket(&name, AddressFamily::Unix)?;
    socket::bind(fd.as_raw_fd(), &address).map_err(|e| bind_error(&name, e))?;
    let backlog = listen(&name, &fd, options)?;
    Ok(Listener {
        fd,
        name,
        path: None,
        backlog,
    })
}

fn set_flags(fd: BorrowedFd<'_>) {
    use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
    let _ = fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
    if let Ok(flags) = fcntl(fd, FcntlArg::F_GETFL) {
        let _ = fcntl(
            fd,
            FcntlArg::F_SETFL(OFlag::from_bits_truncate(flags) | OFlag::O_NONBLOCK),
        );
    }
}

/// The address that a socket is bound to, as text.
pub fn socket_name(fd: BorrowedFd<'_>) -> String {
    use nix::sys::socket::{SockaddrLike, SockaddrStorage};
    let Ok(address) = socket::getsockname::<SockaddrStorage>(fd.as_raw_fd()) else {
        return format!("fd://{}", fd.as_raw_fd());
    };
    match address.family() {
        Some(AddressFamily::Unix) => match address.as_unix_addr() {
            Some(unix) => match (unix.path(), unix.as_abstract()) {
                (Some(path), _) => path.display().to_string(),
                (_, Some(name)) => format!("@{}", String::from_utf8_lossy(name)),
                _ => format!("fd://{}", fd.as_raw_fd()),
            },
            None => format!("fd://{}", fd.as_raw_fd()),
        },
        _ => address.to_string(),
    }
}

/// The longest queue that the system allows (`net.core.somaxconn`).
pub fn somaxconn() -> i32 {
    std::fs::read_to_string("/proc/sys/net/core/somaxconn")
        .ok()
        .and_then(|t| t.trim().parse().ok())
        .unwrap_or(128)
}

/// Makes a path for `--chown-socket`: `user[:group]`, names or numbers.
///
/// # Errors
/// The name is unknown.
pub fn owner(text: &str) -> Result<(Option<u32>, Option<u32>), String> {
    let (user, group) = text.split_once([':', ',']).map_or((text, None), |(u, g)| (u, Some(g)));
    let uid = match user {
        "" => None,
        name => Some(match name.parse() {
            Ok(number) => number,
            Err(_) => nix::unistd::User::from_name(name)
                .ok()
                .flatten()
                .ok_or_else(|| format!("no user named {name:?}"))?
                .uid
                .as_raw(),
        }),
    };
    let gid = match group {
        None | Some("") => None,
        Some(name) => Some(match name.parse() {
            Ok(number) => number,
            Err(_) => nix::unistd::Group::from_name(name)
                .ok()
                .flatten()
                .ok_or_else(|| format!("no group named {name:?}"))?
                .gid
                .as_raw(),
        }),
    };
    Ok((uid, gid))
}

/// A C copy of a name, for the published view.
pub fn c_name(name: &str) -> CString {
    CString::new(name.replace('\0', "")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_inherit_what_the_options_ask_for() {
        for (options, no_delay, least, most) in [
            (BindOptions::default(), true, 0, usize::MAX),
            (
                BindOptions {
                    delay: true,
                    send_buffer: 16_384,
                    receive_buffer: 16_384,
                    fast_open: 5,
                    ..BindOptions::default()
                },
                false,
                16_384,
                65_536,
            ),
        ] {
            let address = Address::parse("127.0.0.1:0", false).expect("an address");
            let listener = Listener::bind(&address, &options).expect("a port");
            let client = std::net::TcpStream::connect(&listener.name).expect("a listener");
            let accepted = socket::accept(listener.as_raw_fd()).expect("a client");
            // SAFETY: the kernel just gave us this descriptor.
            let accepted = unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(accepted) };
            assert_eq!(socket::getsockopt(&accepted, sockopt::TcpNoDelay), Ok(no_delay));
            // the kernel doubles what it is asked for
            for size in [
                socket::getsockopt(&accepted, sockopt::SndBuf),
                socket::getsockopt(&accepted, sockopt::RcvBuf),
            ] {
                assert!(size.is_ok_and(|size| (least..=most).contains(&size)), "{size:?}");
            }
            drop(client);
        }
    }
}
