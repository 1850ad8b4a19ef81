//! rsgi, the server: parse, load, run, exit code.
use rsgi_core::{plugin::registry, process, settings::*, startup};
fn main() {
    process::reload::begin();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut s = Settings::with_defaults(args.iter().any(|a| a == "--classic-defaults"));
    let mut i = 0;
    while i < args.len() {
        let a = args[i].clone();
        let v = args.get(i + 1).cloned().unwrap_or_default();
        i += 2;
        match a.as_str() {
            "--plugin" => {
                for p in v.split(',') {
                    if let Err(e) = registry::load(p) {
                        eprintln!("{e}");
                    }
                }
            }
            "--http-socket" | "--socket" => s.sockets.bind.push(SocketSpec {
                address: v,
                protocol: Some(if a == "--socket" {
                    SocketProtocol::Uwsgi
                } else {
                    SocketProtocol::Http
                }),
                extra: vec![],
                origin: rsgi_core::config::Origin::CommandLine,
            }),
            "-p" => s.processes.workers = v.parse().unwrap(),
            "--threads" => s.processes.threads = v.parse().unwrap(),
            "--http-socket-modifier1" => s.sockets.http_modifiers.first = v.parse().unwrap(),
            "--disable-logging" => {
                s.logging.disable_logging = true;
                i -= 1
            }
            "--max-requests" => {
                s.limits.max_requests = v.parse().unwrap();
                s.limits.min_worker_lifetime = 0;
            }
            "--harakiri" => s.limits.harakiri = v.parse().unwrap(),
            "--master" | "--classic-defaults" => i -= 1,
            other => {
                let name = other.trim_start_matches('-');
                if let Some(owner) = registry::registry().owner_of(name) {
                    registry::load(&owner).unwrap();
                }
                let row = registry::registry()
                    .plugins()
                    .iter()
                    .flat_map(|p| p.options().collect::<Vec<_>>())
                    .find(|o| unsafe { std::ffi::CStr::from_ptr(o.name) }.to_str() == Ok(name));
                match row {
                    Some(r) => {
                        if r.kind == 0 {
                            i -= 1;
                        }
                        registry::apply_option(r, Some(v.as_str()).filter(|_| r.kind != 0))
                    }
                    None => {
                        eprintln!("unknown {other}");
                        std::process::exit(1)
                    }
                }
            }
        }
    }
    let code = match startup::run(s) {
        Ok(c) => c,
        Err(e) => {
            eprintln!("{e}");
            e.code
        }
    };
    process::exit(code)
}
