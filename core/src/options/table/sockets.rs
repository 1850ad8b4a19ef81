//! Listening sockets.

use crate::config::Origin;
use crate::options::parse;
use crate::options::spec::ArgKind::{No, Optional, Required};
use crate::options::spec::{Group, OptionSpec, bytes, flag, later, no_effect, number, optional_parsed, parsed, path};
use crate::settings::{Settings, SocketProtocol, SocketSpec};
use crate::worker::plugin_protocol::PROTOCOLS;

pub static GROUP: Group = Group {
    title: "Sockets",
    rows: ROWS,
};

static ROWS: &[OptionSpec] = &[
    parsed(
        "socket",
        "listen on an address (HOST:PORT, :PORT, PATH, @NAME, =N), speaking the default protocol",
        |s, v| bind(s, v, None),
    )
    .short('s'),
    parsed(
        "uwsgi-socket",
        "listen on an address, speaking the uwsgi protocol",
        |s, v| bind(s, v, Some(SocketProtocol::Uwsgi)),
    ),
    parsed("http-socket", "listen on an address, speaking HTTP", |s, v| {
        bind(s, v, Some(SocketProtocol::Http))
    }),
    parsed(
        "http11-socket",
        "listen on an address, speaking HTTP with kept connections",
        |s, v| bind(s, v, Some(SocketProtocol::Http11)),
    ),
    parsed("fastcgi-socket", "listen on an address, speaking FastCGI", |s, v| {
        bind(s, v, Some(SocketProtocol::FastCgi))
    }),
    parsed(
        "fastcgi-nph-socket",
        "as fastcgi-socket, answers with their status line",
        |s, v| bind(s, v, Some(SocketProtocol::FastCgiNph)),
    ),
    parsed("scgi-socket", "listen on an address, speaking SCGI", |s, v| {
        bind(s, v, Some(SocketProtocol::Scgi))
    }),
    parsed(
        "scgi-nph-socket",
        "as scgi-socket, answers with their status line",
        |s, v| bind(s, v, Some(SocketProtocol::ScgiNph)),
    ),
    parsed(
        "raw-socket",
        "listen on an address and hand connections to a plugin",
        |s, v| bind(s, v, Some(SocketProtocol::Raw)),
    ),
    parsed(
        "puwsgi-socket",
        "as uwsgi-socket, on connections that may be kept",
        |s, v| bind(s, v, Some(SocketProtocol::Puwsgi)),
    ),
    parsed(
        "shared-socket",
        "bind before privileges are dropped; other socket options name it =0, =1 and so on",
        share,
    ),
    parsed(
        "undeferred-shared-socket",
        "as shared-socket, without waiting for data before accept",
        share,
    ),
    parsed(
        "protocol",
        "what plain sockets speak: uwsgi, puwsgi, http, http11, fastcgi(-nph), scgi(-nph), raw, a plugin's",
        |s, v| {
            let of_plugin = || {
                let is_brought = PROTOCOLS.find(v).is_some();
                is_brought.then(|| SocketProtocol::Plugin(v.to_owned().leak()))
            };
            let Some(protocol) = SocketProtocol::of(v).or_else(of_plugin) else {
                let brought: String = PROTOCOLS.names().iter().map(|name| format!(", {name}")).collect();
                return Err(format!(
                    "unknown protocol \"{v}\": use uwsgi, puwsgi, http, http11, fastcgi, fastcgi-nph, scgi, scgi-nph, \
                     raw{brought}"
                ));
            };
            s.sockets.protocol = Some(protocol);
            Ok(())
        },
    )
    .aliases(&["socket-protocol"]),
    modifier(
        "http-socket-modifier1",
        "plugin number of requests on HTTP sockets",
        |s, n| s.sockets.http_modifiers.first = n as u8,
    ),
    modifier(
        "http-socket-modifier2",
        "second number of requests on HTTP sockets",
        |s, n| s.sockets.http_modifiers.second = n as u8,
    ),
    modifier(
        "fastcgi-modifier1",
        "plugin number of requests on FastCGI sockets",
        |s, n| s.sockets.fastcgi_modifiers.first = n as u8,
    ),
    modifier(
        "fastcgi-modifier2",
        "second number of requests on FastCGI sockets",
        |s, n| s.sockets.fastcgi_modifiers.second = n as u8,
    ),
    modifier("scgi-modifier1", "plugin number of requests on SCGI sockets", |s, n| {
        s.sockets.scgi_modifiers.first = n as u8
    }),
    modifier("scgi-modifier2", "second number of requests on SCGI sockets", |s, n| {
        s.sockets.scgi_modifiers.second = n as u8
    }),
    modifier(
        "raw-modifier1",
        "plugin number of connections on raw sockets",
        |s, n| s.sockets.raw_modifiers.first = n as u8,
    ),
    modifier(
        "raw-modifier2",
        "second number of connections on raw sockets",
        |s, n| s.sockets.raw_modifiers.second = n as u8,
    ),
    number("listen", "length of the queue of waiting connections", |s, n| {
        s.sockets.listen = Some(n as u32)
    })
    .short('l')
    .range(1, 65535),
    flag("reuse-port", "share the port with other instances", |s, on| {
        s.sockets.reuse_port = on
    }),
    flag(
        "freebind",
        "bind to addresses that the machine does not have yet",
        |s, on| s.sockets.freebind = on,
    ),
    optional_parsed(
        "chmod-socket",
        "permission bits of unix sockets, octal (666 without a value)",
        |s, v| {
            s.sockets.chmod_socket = Some(match v {
                None | Some("" | "true") => 0o666,
                Some(value) => parse::mode(value)?,
            });
            Ok(())
        },
    )
    .short('C')
    .aliases(&["chmod"]),
    path("chown-socket", "owner of unix sockets: USER or USER:GROUP", |s, v| {
        s.sockets.chown_socket = Some(v.into())
    }),
    parsed("umask", "mask of permission bits, octal", |s, v| {
        s.sockets.umask = Some(parse::mode(v)?);
        Ok(())
    }),
    flag(
        "abstract-socket",
        "unix sockets live in the abstract namespace",
        |s, on| s.sockets.abstract_socket = on,
    )
    .short('a'),
    number("socket-timeout", "seconds that a worker waits for a client", |s, n| {
        s.sockets.socket_timeout = n
    })
    .short('z'),
    no_effect(
        "so-send-timeout",
        Required,
        "nothing to do: the kernel never waits here; socket-timeout says how long a client may take nothing",
    )
    .aliases(&["so-write-timeout", "socket-send-timeout", "socket-write-timeout"]),
    flag("so-keepalive", "probe idle connections", |s, on| {
        s.sockets.so_keepalive = on
    }),
    flag(
        "tcp-nodelay",
        "send small packets at once (on unless classic-defaults)",
        |s, on| s.sockets.tcp_nodelay = on,
    )
    .negation("no-tcp-nodelay"),
    no_effect("no-defer-accept", No, "nothing to do: connections are accepted at once"),
    number("tcp-fast-open", "queue length of TCP fast open", |s, n| {
        s.sockets.tcp_fast_open = n as u32
    })
    .aliases(&["tcp-fastopen"]),
    bytes("socket-sndbuf", "bytes of the kernel's send buffer", |s, n| {
        s.sockets.socket_sndbuf = n
    }),
    bytes("socket-rcvbuf", "bytes of the kernel's receive buffer", |s, n| {
        s.sockets.socket_rcvbuf = n
    }),
    flag("honour-stdin", "leave descriptor 0 open to the application", |s, on| {
        s.sockets.honour_stdin = on
    }),
    no_effect(
        "close-on-exec",
        No,
        "nothing to do: programs that requests start never get connections",
    ),
    no_effect(
        "close-on-exec2",
        No,
        "nothing to do: programs that workers start never get sockets",
    ),
    number("max-fd", "limit of open descriptors to ask the system for", |s, n| {
        s.sockets.max_fd = n
    }),
    path(
        "map-socket",
        "give a socket to some workers: SOCKET:WORKER,WORKER",
        |s, v| s.sockets.map_socket.push(v.into()),
    ),
    flag(
        "enable-proxy-protocol",
        "read PROXY headers (versions 1 and 2) on HTTP sockets, --http and --https",
        |s, on| s.sockets.enable_proxy_protocol = on,
    ),
    parsed(
        "trusted-proxy",
        "peers that may write PROXY headers: ADDRESS[/BITS]; nobody named: all",
        |s, v| s.sockets.trusted_proxies.add(v).map_err(|e| e.to_string()),
    ),
    parsed(
        "remote-allow",
        "hosts that may raise signals and spool tasks: ADDRESS[/BITS]",
        |s, v| s.sockets.remote_allow.add(v).map_err(|e| e.to_string()),
    ),
    parsed(
        "allowed-modifiers",
        "plugin numbers that requests may ask for: 0,5,9",
        |s, v| {
            for part in v.split(',') {
                s.sockets.allowed_modifiers.push(parse::number(part, 0, 255)? as u8);
            }
            Ok(())
        },
    ),
    parsed("remap-modifier", "exchange plugin numbers: FROM:TO,FROM:TO", |s, v| {
        for part in v.split(',') {
            let (from, to) = part
                .split_once(':')
                .ok_or_else(|| format!("invalid value \"{part}\": give FROM:TO"))?;
            let pair = (parse::number(from, 0, 255)? as u8, parse::number(to, 0, 255)? as u8);
            s.sockets.remap_modifier.push(pair);
        }
        Ok(())
    }),
    number("safe-fd", "a descriptor that programs keep open", |s, n| {
        s.sockets.safe_fds.push(n as i32)
    })
    .later()
    .aliases(&["fd-safe"])
    .range(0, 1 << 20),
    // uWSGI declares it with a value that it does not read; people write it as the flag that it is
    flag(
        "http-path-info-no-decode-slashes",
        "leave %2F encoded in PATH_INFO",
        |s, on| s.http.path_info_no_decode_slashes = on,
    ),
    later("zerg", Required, "borrow sockets from a zerg server"),
    later("zerg-server", Required, "lend sockets to other instances").master(),
    no_effect(
        "shutdown-sockets",
        No,
        "nothing to do: sockets close with their last process",
    ),
    later("ssl-sessions-use-cache", Optional, "keep TLS sessions in a cache"),
];

/// A plugin number.
const fn modifier(name: &'static str, help: &'static str, set: fn(&mut Settings, u64)) -> OptionSpec {
    number(name, help, set).range(0, 255)
}

fn bind(settings: &mut Settings, value: &str, protocol: Option<SocketProtocol>) -> Result<(), String> {
    let spec = socket(value, protocol)?;
    settings.sockets.bind.push(spec);
    Ok(())
}

fn share(settings: &mut Settings, value: &str) -> Result<(), String> {
    let spec = socket(value, None)?;
    if spec.shared().is_some() {
        return Err("a shared socket needs an address of its own".into());
    }
    settings.sockets.shared.push(spec);
    Ok(())
}

fn socket(value: &str, protocol: Option<SocketProtocol>) -> Result<SocketSpec, String> {
    let address = value.trim();
    check_address(address)?;
    Ok(SocketSpec {
        address: address.to_owned(),
        protocol,
        // the loader puts the place of the directive
        origin: Origin::CommandLine,
    })
}

/// The longest path of a unix socket.
const MAX_UNIX_PATH: usize = 107;

/// Refuses what can never be bound.
pub fn check_address(address: &str) -> Result<(), String> {
    if let Some(name) = parse::unset_variable(address) {
        return Err(format!(
            "invalid address \"{address}\": the environment variable {name} is not set"
        ));
    }
    if address.is_empty() {
        return Err("the address is missing: give HOST:PORT, :PORT or a path".into());
    }
    if let Some(number) = address.strip_prefix('=') {
        let number = number.parse::<u16>().map(|_| ());
        return number.map_err(|_| format!("invalid address \"{address}\": =N names the shared socket N"));
    }
    let is_unix = address.starts_with(['@', '\\', '/', '.']) || address.starts_with("fd://");
    match address.rsplit_once(':') {
        Some((_, port)) if !is_unix && !port.contains('/') => match port.parse::<u32>() {
            Ok(port) if port <= 65535 => Ok(()),
            Ok(port) => Err(format!("invalid port {port} in \"{address}\": the most is 65535")),
            Err(_) => Err(format!("invalid port \"{port}\" in \"{address}\": give a number")),
        },
        _ if address.len() > MAX_UNIX_PATH => Err(format!(
            "the socket path \"{address}\" is too long: the system takes {MAX_UNIX_PATH} bytes"
        )),
        _ if address.bytes().all(|b| b.is_ascii_digit()) => {
            Err(format!("invalid address \"{address}\": for a port write :{address}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::check_address;

    #[test]
    fn addresses_are_checked() {
        for good in [
            ":80",
            "h:80",
            "[::1]:80",
            "*:80",
            "/tmp/a:b.sock",
            "a.sock",
            "@x",
            "=0",
            "127.0.0.1:0",
            "fd://3",
            "./a",
        ] {
            assert_eq!(check_address(good), Ok(()), "{good}");
        }
        for bad in ["", ":99999", "h:abc", "8080", "=x", "$(SOCK)", &"/x".repeat(60)] {
            assert!(check_address(bad).is_err(), "{bad}");
        }
    }
}
